package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lcp-tools/lcp/pkg/metering"
)

// A Notice is something that the holder of a license key is to be told.
type Notice struct {
	ID       string // the same in every attempt
	Kind     string
	Key      LicenseKey
	Body     []byte // JSON
	Attempts int    // that failed

	seq    int64
	origin int64
}

const (
	dueNotices = "SELECT n.seq, n.id, n.kind, n.body, n.attempts, n.origin_id, k.license_key FROM usage_notices n " +
		"JOIN license_keys k ON k.id = n.key_id WHERE n.done_at = 0 AND n.due_at <= ? ORDER BY n.due_at, n.seq LIMIT ?"
	claimNotice = "UPDATE usage_notices SET due_at = ?, attempts = attempts + 1 WHERE seq = ? AND done_at = 0 AND due_at <= ?"
	endNotice   = "UPDATE usage_notices SET done_at = ?, failure = ? WHERE seq = ?"
	failNotice  = "UPDATE usage_notices SET due_at = ?, failure = ? WHERE seq = ?"
	beginReview = "UPDATE origins SET review_until = ? WHERE id = ? AND state = 'pending' AND review_until = 0"
)

// DueNotices returns notices to deliver, which nobody else will be given for the
// time of the lease.
func (m *Meter) DueNotices(ctx context.Context, lease time.Duration, limit int) ([]Notice, error) {
	now := m.s.time()
	due, err := selectAll(ctx, m.s, func(r row) (n Notice, err error) {
		var body string
		err = r.Scan(&n.seq, &n.ID, &n.Kind, &body, &n.Attempts, &n.origin, &n.Key.Key)
		n.Body = []byte(body)
		return n, err
	}, dueNotices, now.UnixMilli(), limit)
	if err != nil {
		return nil, fmt.Errorf("list notices to deliver: %w", err)
	}
	var mine []Notice
	for _, n := range due {
		var claimed int64
		err := m.s.write(ctx, func(t tx) (err error) {
			claimed, err = t.execCount(ctx, claimNotice, now.Add(lease).UnixMilli(), n.seq, now.UnixMilli())
			return err
		})
		if err == nil && claimed > 0 {
			n.Key, err = m.LicenseKey(ctx, n.Key.Key)
			mine = append(mine, n)
		}
		if err != nil {
			return nil, fmt.Errorf("take a notice to deliver: %w", err)
		}
	}
	return mine, nil
}

// EndNotice says that a notice was delivered, or that it will not be any more. The
// review of the origin that it is about begins with that.
func (m *Meter) EndNotice(ctx context.Context, n *Notice, failure string) error {
	now := m.s.time()
	err := m.s.write(ctx, func(t tx) error {
		if n.Kind == NoticePending {
			if err := t.exec(ctx, beginReview, now.Add(metering.ReviewPeriod).UnixMilli(), n.origin); err != nil {
				return err
			}
		}
		return t.exec(ctx, endNotice, now.UnixMilli(), clip(failure), n.seq)
	})
	if err != nil {
		return fmt.Errorf("end notice %s: %w", n.ID, err)
	}
	return nil
}

// RetryNotice says that a notice was not delivered, and when to try again.
func (m *Meter) RetryNotice(ctx context.Context, n *Notice, at time.Time, failure string) error {
	err := m.s.write(ctx, func(t tx) error { return t.exec(ctx, failNotice, at.UnixMilli(), clip(failure), n.seq) })
	if err != nil {
		return fmt.Errorf("put notice %s off: %w", n.ID, err)
	}
	return nil
}

// clip shortens a text to what a column takes.
func clip(text string) string { return text[:min(len(text), 1000)] }

const overdueReviews = "SELECT k.license_key, o.origin FROM origins o JOIN license_keys k ON k.id = o.key_id " +
	"WHERE o.state = 'pending' AND o.review_until > 0 AND o.review_until <= ? ORDER BY o.review_until LIMIT 100"

// ReviewEnded is who decides about origins that nobody decided about in time.
const ReviewEnded = "end of review"

// EndReviews approves origins whose review has ended without a decision, some at a
// time, and returns them.
func (m *Meter) EndReviews(ctx context.Context) (approved []Origin, err error) {
	now := m.s.time()
	overdue, err := selectAll(ctx, m.s, func(r row) (o Origin, err error) {
		err = r.Scan(&o.LicenseKey, &o.Pattern)
		return o, err
	}, overdueReviews, now.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("end reviews of origins: %w", err)
	}
	for _, o := range overdue {
		done, err := m.endReview(ctx, o, now)
		if err != nil {
			return approved, fmt.Errorf("end the review of %q: %w", o.Pattern, err)
		}
		if done {
			approved = append(approved, o)
		}
	}
	return approved, nil
}

// endReview approves an origin, unless somebody was quicker.
func (m *Meter) endReview(ctx context.Context, o Origin, now time.Time) (done bool, err error) {
	err = m.s.write(ctx, func(t tx) error {
		done = false
		k, err := m.lockKey(ctx, t, o.LicenseKey)
		if err != nil {
			return err
		}
		seen, err := selectOne(ctx, t, scanOrigin, selectOrigin, k.id, string(o.Pattern))
		if err != nil || seen.state != metering.Pending || seen.reviewUntil == 0 || seen.reviewUntil > now.UnixMilli() {
			return err
		}
		done = true
		if err := m.decide(ctx, t, &k, metering.Rule{Pattern: o.Pattern, State: metering.Approved}, ReviewEnded); err != nil {
			return err
		}
		return m.notify(ctx, t, &k, NoticeApproved, &seen, now)
	})
	return done, err
}

// EraseUser forgets a user of a license key: the hash of the token, and the
// sessions. Events lose what could link them to the token or a device; figures
// stay. It reports whether there was anything. It fails with ErrNoLicenseKey.
func (m *Meter) EraseUser(ctx context.Context, key, token string) (erased bool, err error) {
	err = m.s.write(ctx, func(t tx) error {
		erased = false
		k, err := m.lockKey(ctx, t, key)
		if err != nil {
			return err
		}
		for i := range m.keys {
			h := m.userHash(i, k.Key, token)
			id, err := selectOne(ctx, t, scanCount, "SELECT id FROM usage_users WHERE key_id = ? AND hash = ?", k.id, h[:])
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err == nil {
				erased = true
				err = m.eraseUser(ctx, t, id)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("erase a user of license key %q: %w", key, err)
	}
	return erased, nil
}

func (m *Meter) eraseUser(ctx context.Context, t tx, id int64) error {
	for _, statement := range []string{
		"DELETE FROM reading_sessions WHERE user_id = ?",
		"DELETE FROM usage_counted WHERE user_id = ?",
		"DELETE FROM usage_users WHERE id = ?",
	} {
		if err := t.exec(ctx, statement, id); err != nil {
			return err
		}
	}
	return nil
}

// sweptRows is how many rows one transaction forgets at most, so that others need
// not wait long.
const sweptRows = 2000

// A Sweep is how far Meter.Sweep got: where to go on with users.
type Sweep struct{ afterUser int64 }

// Sweep forgets some of what is older than the retention: events, sessions, users
// without any, notices that are done, and signatures that are too old to be used
// again. Figures are kept. It reports whether there may be more at once. What was
// kept for late events must be older than these may be.
func (m *Meter) Sweep(ctx context.Context, retention time.Duration, from Sweep) (next Sweep, more bool, err error) {
	now := m.s.time()
	before := now.Add(-retention)
	keys, err := m.LicenseKeys(ctx)
	if err != nil {
		return from, false, err
	}
	for _, k := range keys {
		n, err := m.sweepEvents(ctx, k.id, before)
		if err != nil {
			return from, false, fmt.Errorf("forget old events: %w", err)
		}
		more = more || n >= sweptRows
	}
	next, full, err := m.sweepUsers(ctx, before, from)
	if err == nil {
		err = m.s.write(ctx, func(t tx) error {
			if err := t.exec(ctx, "DELETE FROM used_signatures WHERE used_at < ?", now.Add(-3*metering.MaxSkew).UnixMilli()); err != nil {
				return err
			}
			return t.exec(ctx, "DELETE FROM usage_notices WHERE done_at > 0 AND done_at < ?", before.UnixMilli())
		})
	}
	if err != nil {
		return from, false, fmt.Errorf("forget old sessions: %w", err)
	}
	return next, more || full, nil
}

// sweepEvents forgets events of a key, the oldest first.
func (m *Meter) sweepEvents(ctx context.Context, key int64, before time.Time) (n int64, err error) {
	err = m.s.write(ctx, func(t tx) error {
		until, err := selectOne(ctx, t, scanCount,
			"SELECT at FROM reading_events WHERE key_id = ? AND at < ? ORDER BY at LIMIT 1 OFFSET ?", key, before.UnixMilli(), sweptRows)
		switch {
		case errors.Is(err, ErrNotFound):
			until = before.UnixMilli() // all of them
		case err != nil:
			return err
		}
		n, err = t.execCount(ctx, "DELETE FROM reading_events WHERE key_id = ? AND at < ?", key, until)
		if err == nil && n == 0 && until < before.UnixMilli() { // so many at one time
			n, err = t.execCount(ctx, "DELETE FROM reading_events WHERE key_id = ? AND at <= ?", key, until)
		}
		return err
	})
	return n, err
}

// sweepUsers forgets what some users did long ago, and those who did nothing else.
func (m *Meter) sweepUsers(ctx context.Context, before time.Time, from Sweep) (next Sweep, full bool, err error) {
	err = m.s.write(ctx, func(t tx) error {
		ids, err := selectAll(ctx, t, scanCount, "SELECT id FROM usage_users WHERE id > ? ORDER BY id LIMIT ?", from.afterUser, sweptRows)
		if err != nil || len(ids) == 0 {
			next, full = Sweep{}, false
			return err
		}
		first, last := ids[0], ids[len(ids)-1]
		next, full = Sweep{last}, len(ids) == sweptRows
		if !full {
			next = Sweep{}
		}
		for _, q := range []struct {
			statement string
			bound     int64
		}{
			{"DELETE FROM reading_sessions WHERE user_id >= ? AND user_id <= ? AND valid_until < ?", before.UnixMilli()},
			{"DELETE FROM usage_counted WHERE user_id >= ? AND user_id <= ? AND of_month < ?", int64(metering.MonthOf(before))},
		} {
			if err := t.exec(ctx, q.statement, first, last, q.bound); err != nil {
				return err
			}
		}
		return t.exec(ctx, "DELETE FROM usage_users WHERE id >= ? AND id <= ? "+
			"AND NOT EXISTS (SELECT 1 FROM reading_sessions s WHERE s.user_id = usage_users.id) "+
			"AND NOT EXISTS (SELECT 1 FROM usage_counted c WHERE c.user_id = usage_users.id)", first, last)
	})
	return next, full, err
}
