package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/metering"
)

var (
	rollupRows = rowWriter{
		table: "usage_rollup", key: "key_id, month, of_month, group_id, publication_id", adds: true,
		values: []string{"started", "continued", "offline", "blocked", "held", "unbilled", "seconds", "billable"},
	}
	uniqueRows  = rowWriter{table: "usage_unique", key: "key_id, month, of_month, group_id, publication_id", adds: true, values: []string{"users"}}
	countedRows = rowWriter{table: "usage_counted", key: "user_id, of_month, group_id, publication_id", inserts: true}
	sessionRows = rowWriter{
		table: "reading_sessions", key: "user_id, publication_id, origin_id, opened_at", values: []string{"started_at", "valid_until", "seconds"},
	}
	eventRows = rowWriter{
		table: "reading_events", key: "key_id, event", inserts: true,
		values: []string{"content", "at", "user_id", "publication_id", "origin_id", "device", "seconds", "status", "opened_at"},
	}
)

func compareCells(a, b cell) int {
	return cmp.Or(cmp.Compare(a.month, b.month), cmp.Compare(a.of, b.of), cmp.Compare(a.group, b.group), cmp.Compare(a.publication, b.publication))
}

// addUsage adds to figures, always in the same order, so that transactions at the
// same time wait for one another and not in a circle.
func addUsage(ctx context.Context, t tx, key int64, usage map[cell]*metering.Usage) error {
	var rows [][]any
	for _, c := range slices.SortedFunc(maps.Keys(usage), compareCells) {
		if u := usage[c]; *u != (metering.Usage{}) {
			rows = append(rows, []any{
				key, int64(c.month), int64(c.of), c.group, c.publication,
				u.Started, u.Continued, u.Offline, u.Blocked, u.Held, u.Unbilled, u.ActiveSeconds, u.Billable,
			})
		}
	}
	return rollupRows.write(ctx, t, rows)
}

func addUnique(ctx context.Context, t tx, key int64, unique map[cell]int64) error {
	var rows [][]any
	for _, c := range slices.SortedFunc(maps.Keys(unique), compareCells) {
		rows = append(rows, []any{key, int64(c.month), int64(c.of), c.group, c.publication, unique[c]})
	}
	return uniqueRows.write(ctx, t, rows)
}

const selectHeld = "SELECT of_month, publication_id, SUM(held) FROM usage_rollup WHERE key_id = ? AND group_id = ? " +
	"GROUP BY of_month, publication_id HAVING SUM(held) <> 0"

// settle makes what was held in a group billable, or leaves it unbilled for good.
// Months that are closed stay as they are: what changes is billed now.
func (m *Meter) settle(ctx context.Context, t tx, k *LicenseKey, group int64, billable bool, now time.Time) error {
	changes := make(map[cell]*metering.Usage)
	_, err := selectAll(ctx, t, func(r row) (none struct{}, err error) {
		var of, publication, held int64
		if err = r.Scan(&of, &publication, &held); err != nil {
			return none, err
		}
		u := &metering.Usage{Held: -held}
		if billable {
			u.Billable = held
		} else {
			u.Unbilled = held
		}
		changes[cell{booked(k, metering.Month(of), now), metering.Month(of), group, publication}] = u
		return none, nil
	}, selectHeld, k.id, group)
	if err != nil {
		return err
	}
	return addUsage(ctx, t, k.id, changes)
}

// streak notes when a key begins and ceases to be blocked, and has its holder told
// about once if that lasts. It is a transaction of its own: the key is seldom
// changed, and locked by all who record events for it.
func (m *Meter) streak(ctx context.Context, r *recording) error {
	blocked, accepted := false, false
	for _, o := range r.outcomes {
		blocked = blocked || o.Status == metering.Refused
		accepted = accepted || o.Err == nil && o.Status != metering.Refused
	}
	k := &r.key
	long := !k.BlockedSince.IsZero() && r.now.Sub(k.BlockedSince) > metering.BlockedPeriod
	switch {
	case len(r.fresh) == 0:
		return nil
	case accepted && k.BlockedSince.IsZero(), !accepted && !blocked:
		return nil
	case blocked && !k.BlockedSince.IsZero() && (!long || k.blockedTold):
		return nil
	}
	return m.s.write(ctx, func(t tx) error {
		now, err := m.lockKey(ctx, t, k.Key)
		if err != nil {
			return err
		}
		const set = "UPDATE license_keys SET blocked_since = ?, blocked_told = ? WHERE id = ?"
		switch {
		case accepted:
			return t.exec(ctx, set, 0, 0, k.id)
		case now.BlockedSince.IsZero():
			return t.exec(ctx, set, r.now.UnixMilli(), 0, k.id)
		case long && !now.blockedTold:
			if err := m.notify(ctx, t, &now, NoticeBlocked, nil, r.now); err != nil {
				return err
			}
			return t.exec(ctx, set, now.BlockedSince.UnixMilli(), 1, k.id)
		}
		return nil
	})
}

// A UsageFilter says what a report is on.
type UsageFilter struct {
	LicenseKey string // "" for all
	From, To   metering.Month
	metering.Grouping
}

// MaxRows bounds a report. One that is longer has to be asked for in parts.
const MaxRows = 1_000_000

// Usage reports on the months from From to To, both of which count, by license
// key, month and what it is to be grouped by. The rows of a month are those that
// are billed in it. It reads figures that are kept up to date, and no events. It
// fails with ErrNoLicenseKey and ErrInvalid.
func (m *Meter) Usage(ctx context.Context, f UsageFilter) ([]metering.Row, error) {
	if f.To < f.From {
		return nil, fmt.Errorf("report usage: %w: the last month lies before the first", ErrInvalid)
	}
	keys, err := m.keysByID(ctx, f.LicenseKey)
	if err != nil {
		return nil, fmt.Errorf("report usage: %w", err)
	}
	var rows []metering.Row
	for _, k := range keys {
		some, err := m.usageOf(ctx, &k, f)
		if err != nil {
			return nil, fmt.Errorf("report usage: %w", err)
		}
		if rows = append(rows, some...); len(rows) > MaxRows {
			return nil, fmt.Errorf("report usage: %w: more than %d rows: ask for fewer months, or one license key", ErrInvalid, MaxRows)
		}
	}
	return rows, nil
}

func (m *Meter) keysByID(ctx context.Context, only string) ([]LicenseKey, error) {
	if only == "" {
		return m.LicenseKeys(ctx)
	}
	k, err := m.LicenseKey(ctx, only)
	return []LicenseKey{k}, err
}

// usageOf reports on one license key.
func (m *Meter) usageOf(ctx context.Context, k *LicenseKey, f UsageFilter) ([]metering.Row, error) {
	users, err := m.uniqueOf(ctx, k, f)
	if err != nil {
		return nil, err
	}
	columns := "r.month, r.of_month" + f.column(f.Origin, ", r.group_id", ", 0") + f.column(f.Publication, ", r.publication_id", ", 0")
	query := "SELECT " + columns + ", SUM(r.started), SUM(r.continued), SUM(r.offline), SUM(r.blocked), SUM(r.held), SUM(r.unbilled), " +
		"SUM(r.seconds), SUM(r.billable) FROM usage_rollup r WHERE r.key_id = ? AND r.month >= ? AND r.month <= ? GROUP BY r.month, r.of_month" +
		f.column(f.Origin, ", r.group_id", "") + f.column(f.Publication, ", r.publication_id", "") + fmt.Sprintf(" LIMIT %d", MaxRows+1)
	type line struct {
		cell
		metering.Usage
	}
	lines, err := selectAll(ctx, m.s, func(r row) (l line, err error) {
		var month, of int64
		err = r.Scan(&month, &of, &l.group, &l.publication, &l.Started, &l.Continued, &l.Offline, &l.Blocked, &l.Held, &l.Unbilled,
			&l.ActiveSeconds, &l.Billable)
		l.month, l.of = metering.Month(month), metering.Month(of)
		return l, err
	}, query, k.id, int64(f.From), int64(f.To))
	if err != nil {
		return nil, err
	}
	groups, err := m.namesOf(ctx, f.Origin, "SELECT id, name FROM usage_groups WHERE key_id = ?", k.id)
	if err != nil {
		return nil, err
	}
	publications, err := m.namesOf(ctx, f.Publication, "SELECT id, token FROM usage_publications WHERE key_id = ?", k.id)
	if err != nil {
		return nil, err
	}
	rows := make([]metering.Row, len(lines))
	for i, l := range lines {
		l.UniqueUsers = users[l.cell]
		rows[i] = metering.Row{
			LicenseKey: k.Key, Customer: k.Name, Month: l.month, OriginGroup: groups[l.group], Publication: publications[l.publication],
			Closed: l.month < k.OpenMonth, Usage: l.Usage,
		}
		if l.of != l.month {
			rows[i].Adjusts = &lines[i].of
		}
	}
	slices.SortFunc(rows, compareRows)
	return rows, nil
}

// column chooses a part of a statement.
func (UsageFilter) column(wanted bool, yes, no string) string {
	if wanted {
		return yes
	}
	return no
}

func compareRows(a, b metering.Row) int {
	of := func(r *metering.Row) metering.Month {
		if r.Adjusts != nil {
			return *r.Adjusts
		}
		return r.Month
	}
	return cmp.Or(cmp.Compare(a.Month, b.Month), cmp.Compare(of(&b), of(&a)), strings.Compare(a.OriginGroup, b.OriginGroup),
		strings.Compare(a.Publication, b.Publication))
}

// uniqueOf returns how many users there were, in the grouping of the report.
func (m *Meter) uniqueOf(ctx context.Context, k *LicenseKey, f UsageFilter) (map[cell]int64, error) {
	query := "SELECT month, of_month, group_id, publication_id, users FROM usage_unique WHERE key_id = ? AND month >= ? AND month <= ?" +
		f.column(f.Origin, " AND group_id > 0", " AND group_id = 0") + f.column(f.Publication, " AND publication_id > 0", " AND publication_id = 0")
	users := make(map[cell]int64)
	_, err := selectAll(ctx, m.s, func(r row) (none struct{}, err error) {
		var month, of, n int64
		var c cell
		err = r.Scan(&month, &of, &c.group, &c.publication, &n)
		c.month, c.of = metering.Month(month), metering.Month(of)
		users[c] = n
		return none, err
	}, query, k.id, int64(f.From), int64(f.To))
	return users, err
}

// namesOf returns names by number, or none.
func (m *Meter) namesOf(ctx context.Context, wanted bool, query string, key int64) (map[int64]string, error) {
	names := make(map[int64]string)
	if !wanted {
		return names, nil
	}
	_, err := selectAll(ctx, m.s, func(r row) (none struct{}, err error) {
		var id int64
		var name string
		err = r.Scan(&id, &name)
		names[id] = name
		return none, err
	}, query, key)
	return names, err
}

// ErrMonthOpen refuses to close a month that is not over.
var ErrMonthOpen = errors.New("month is not over")

// CloseMonth closes a month of a license key, and all before it: their figures
// stay what they are, and what is reported later is billed as an adjustment in the
// month in which it comes. It reports whether there was anything to close. The
// errors are ErrNoLicenseKey and ErrMonthOpen.
func (m *Meter) CloseMonth(ctx context.Context, key string, month metering.Month) (closed bool, err error) {
	err = m.s.write(ctx, func(t tx) error {
		closed = false
		k, err := m.lockKey(ctx, t, key)
		switch {
		case err != nil:
			return err
		case month >= metering.MonthOf(m.s.time()):
			return ErrMonthOpen
		case month < k.OpenMonth:
			return nil
		}
		closed = true
		return t.exec(ctx, "UPDATE license_keys SET open_month = ? WHERE id = ?", int64(month+1), k.id)
	})
	if err != nil {
		return false, fmt.Errorf("close %s of license key %q: %w", month, key, err)
	}
	return closed, nil
}

const selectClicks = "SELECT at, user_id, publication_id FROM reading_events WHERE key_id = ? AND at >= ? AND at < ? AND status IN (1, 2) ORDER BY at"

// TitleUse goes through the events of some months as COUNTER wants it, and returns
// what was asked for, by publication token. Events are kept for a time only. It
// fails with ErrNoLicenseKey and ErrInvalid.
func (m *Meter) TitleUse(ctx context.Context, key string, from, to metering.Month) (k LicenseKey, use map[string]metering.Performance, err error) {
	if k, err = m.LicenseKey(ctx, key); err != nil {
		return k, nil, err
	}
	if to < from {
		return k, nil, fmt.Errorf("report title use: %w: the last month lies before the first", ErrInvalid)
	}
	rows, err := m.s.query(ctx, selectClicks, k.id, from.Begin().UnixMilli(), (to+1).Begin().Add(metering.DoubleClick).UnixMilli()+1)
	if err != nil {
		return k, nil, fmt.Errorf("report title use: %w", m.s.failure(ctx, err))
	}
	defer rows.Close()
	tally := metering.Tally{From: from, To: to}
	for rows.Next() {
		var at int64
		var c metering.Click
		if err := rows.Scan(&at, &c.User, &c.Publication); err != nil {
			return k, nil, fmt.Errorf("report title use: %w", err)
		}
		c.At = time.UnixMilli(at).UTC()
		tally.Add(c)
	}
	if err := rows.Err(); err != nil {
		return k, nil, fmt.Errorf("report title use: %w", m.s.failure(ctx, err))
	}
	names, err := m.namesOf(ctx, true, "SELECT id, token FROM usage_publications WHERE key_id = ?", k.id)
	if err != nil {
		return k, nil, fmt.Errorf("report title use: %w", err)
	}
	use = make(map[string]metering.Performance)
	for _, id := range tally.Publications() {
		if p := tally.Counts(id); len(p.TotalItemRequests) > 0 {
			use[names[id]] = p
		}
	}
	return k, use, nil
}
