package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/lcp-tools/lcp/pkg/status"
)

// What the counters count.
const (
	countStatus       = "license status"    // by status as stored, and by day of the end
	countDevices      = "license devices"   // by number of registered devices, as the period
	countIssued       = "license issued"    // by day of issue
	countUsed         = "license used"      // the same, those of them that are not ready any more
	countUsers        = "license users"     // who have licenses
	countPublications = "publication types" // live ones, by media type
)

const (
	day = 24 * time.Hour
	// noEnd is the day on which licenses without an end have it.
	noEnd = 1 << 40
)

// A counter counts records of one kind, name and period. Each is spread over
// several rows, so that transactions at the same time seldom wait for each
// other; their sum counts.
type counter struct {
	kind   string
	name   string
	period int64
}

// A tally is by how much counters change.
type tally map[counter]int64

// add adds another tally.
func (y tally) add(other tally) {
	for c, n := range other {
		y[c] += n
	}
}

// license counts a license n times, which is 1 or -1.
func (y tally) license(l *License, n int64) {
	issued, end := dayOf(l.Issued), int64(noEnd)
	if !l.End.IsZero() {
		end = dayOf(l.End)
	}
	y[counter{countStatus, l.Status, end}] += n
	y[counter{countDevices, "", int64(l.DeviceCount)}] += n
	y[counter{countIssued, "", issued}] += n
	if l.Status != string(status.Ready) {
		y[counter{countUsed, "", issued}] += n
	}
}

// publication counts a publication n times, unless it is deleted.
func (y tally) publication(p *Publication, n int64) {
	if p.DeletedAt.IsZero() {
		y[counter{countPublications, p.ContentType, 0}] += n
	}
}

// dayOf returns the number of the day, in UTC and counted from 1970, in which t
// lies. A zero time lies in the first.
func dayOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	ms := t.UnixMilli()
	n := ms / day.Milliseconds()
	if ms%day.Milliseconds() < 0 {
		n--
	}
	return n
}

const (
	addToCounter  = "UPDATE counters SET n = n + ? WHERE kind = ? AND name = ? AND period = ? AND shard = ?"
	insertCounter = "INSERT INTO counters (n, kind, name, period, shard) VALUES (?, ?, ?, ?, ?)"

	addLicenseOfUser = "UPDATE license_users SET licenses = licenses + ? WHERE user_id = ?"
	insertUserCount  = "INSERT INTO license_users (licenses, user_id) VALUES (?, ?)"
	licensesOfUser   = "SELECT licenses FROM license_users WHERE user_id = ?"
	deleteUserCount  = "DELETE FROM license_users WHERE user_id = ? AND licenses = 0"
)

// write adds the tally to the counters, at the end of a transaction: their rows
// are locked no longer than it takes to commit, and always in the same order.
func (y tally) write(ctx context.Context, t tx) error {
	shard := 0
	if n := t.s.dialect.shards; n > 1 {
		shard = rand.IntN(n) //nolint:gosec // not a secret
	}
	for _, c := range slices.SortedFunc(maps.Keys(y), compareCounters) {
		n := y[c]
		if n == 0 {
			continue
		}
		args := []any{n, c.kind, c.name, c.period, shard}
		changed, err := t.execCount(ctx, addToCounter, args...)
		if err == nil && changed == 0 {
			err = t.exec(ctx, insertCounter, args...)
		}
		if err != nil {
			return fmt.Errorf("count %s: %w", c.kind, err)
		}
	}
	return nil
}

func compareCounters(a, b counter) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name), cmp.Compare(a.period, b.period))
}

// countLicenseOfUser counts how many licenses a user has, and with the first
// and the last of them the user.
func countLicenseOfUser(ctx context.Context, t tx, user string, n int64) error {
	if user == "" {
		return nil
	}
	changed, err := t.execCount(ctx, addLicenseOfUser, n, user)
	switch {
	case err != nil:
		return err
	case changed == 0:
		t.tally[counter{countUsers, "", 0}]++
		return t.exec(ctx, insertUserCount, n, user)
	case n > 0:
		return nil
	}
	gone, err := t.execCount(ctx, deleteUserCount, user)
	t.tally[counter{countUsers, "", 0}] -= gone
	return err
}

// sum returns the sum of the counters of a kind that the clause selects.
func (s *Store) sum(ctx context.Context, kind, clause string, args ...any) (int64, error) {
	return selectOne(ctx, s, scanCount, "SELECT COALESCE(SUM(n), 0) FROM counters WHERE kind = ?"+clause, append([]any{kind}, args...)...)
}

// licensesOf returns how many licenses a user has.
func (s *Store) licensesOf(ctx context.Context, user string) (int64, error) {
	n, err := selectOne(ctx, s, scanCount, licensesOfUser, user)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return n, err
}
