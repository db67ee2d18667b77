package store

import (
	"context"
	"fmt"
	"time"

	"github.com/lcp-tools/lcp/pkg/status"
)

// A LicenseFilter says which licenses to list: those that match all that is
// set. The zero value means all.
type LicenseFilter struct {
	UserID          string
	PublicationUUID string
	Provider        string // URI
	Status          string // as seen now: a license that is ready or active expires when its end has passed
	DeviceID        string // of a device that is registered

	CountDevices bool // MinDevices and MaxDevices count
	MinDevices   int
	MaxDevices   int // less than MinDevices: no upper bound

	IssuedFrom   time.Time // counts
	IssuedBefore time.Time // does not
}

// The indexes of licenses that searches go through. Where several would do, the
// first counts: those before have fewer entries, those after are closer to the
// order of lists.
const (
	byUser        = "licenses_user"        // by user, in the order of lists
	byPublication = "licenses_publication" // by publication, in the order of lists
	byEnded       = "licenses_ended"       // by status, in the order of lists, only those that are neither ready nor active
	byShared      = "licenses_shared"      // by number of devices, only those with more than usual
	byProviderURI = "licenses_provider"    // by provider, in the order of lists
	byList        = "licenses_list"        // all, in the order of lists, with what conditions are about
	byIssue       = "licenses_issued"      // by when they were issued
	byDevice      = ""                     // by those of the device's events
)

// usual is the number of devices up to which licenses are not in byShared.
const usual = 2

// manyShared is how many licenses of byShared are sorted for a list. Where there
// are more, going through the list meets them soon.
const manyShared = 5000

// manyIssued is how many licenses of some days are looked through for where they
// are in the list.
const manyIssued = 100_000

// deep is how many licenses a page leaves out before it is worth to know how
// many there are.
const deep = 10_000

// A search is a filter, and how to find what it is for.
type search struct {
	LicenseFilter
	index       string
	first, last int64 // places between which the licenses are; last 0: all
}

// search chooses how to find licenses.
func (s *Store) search(ctx context.Context, f LicenseFilter) (search, error) {
	q := search{LicenseFilter: f, index: byList}
	if f.Provider != "" {
		q.index = byProviderURI
	}
	state := status.State(f.Status)
	switch {
	case f.DeviceID != "":
		q.index = byDevice
	case f.UserID != "":
		q.index = byUser
	case f.PublicationUUID != "":
		q.index = byPublication
	case state != "" && state != status.Ready && state != status.Active && state != status.Expired:
		q.index = byEnded
	case f.CountDevices && f.MinDevices > usual:
		n, err := s.countByDevices(ctx, f)
		if n <= manyShared {
			q.index = byShared
		}
		return q, err
	case !f.IssuedFrom.IsZero() || !f.IssuedBefore.IsZero():
		return s.searchByIssue(ctx, q)
	}
	return q, nil
}

// searchByIssue finds between which places the licenses of a time are, unless
// there are so many that going through the list meets them soon.
func (s *Store) searchByIssue(ctx context.Context, q search) (search, error) {
	n, err := s.countByIssue(ctx, q.LicenseFilter)
	if err != nil || n > manyIssued {
		return q, err
	}
	c := &conditions{}
	q.addIssued(c)
	bounds, err := selectOne(ctx, s, func(r row) (b [2]int64, err error) {
		err = r.Scan(&b[0], &b[1])
		return b, err
	}, "SELECT COALESCE(MIN(l.seq), 0), COALESCE(MAX(l.seq), 0) + 1 FROM licenses l"+s.dialect.through(byIssue)+c.where(), c.args...)
	q.first, q.last = bounds[0], bounds[1]
	return q, err
}

// conditions returns what a license must meet at a time. Conditions of partial
// indexes stand there in full, so that a database recognizes them.
func (f *search) conditions(now time.Time) *conditions {
	c := &conditions{}
	if f.UserID != "" {
		c.add("l.user_id = ?", f.UserID)
	}
	if f.PublicationUUID != "" {
		c.add("l.publication_uuid = ?", f.PublicationUUID)
	}
	if f.Provider != "" {
		c.add("l.provider = ?", f.Provider)
	}
	f.addStatus(c, now)
	if f.DeviceID != "" {
		c.add("l.seq IN (SELECT license_seq FROM license_events WHERE device_id = ? AND type = 'register')", f.DeviceID)
	}
	if f.CountDevices {
		if f.index == byShared {
			c.texts = append(c.texts, "l.device_count > 2")
		}
		c.add("l.device_count >= ?", f.MinDevices)
		if f.bounded() {
			c.add("l.device_count <= ?", f.MaxDevices)
		}
	}
	f.addIssued(c)
	if f.last > 0 {
		c.add("l.seq >= ?", f.first)
		c.add("l.seq < ?", f.last)
	}
	return c
}

// addIssued adds the condition on when a license was issued.
func (f *search) addIssued(c *conditions) {
	if !f.IssuedFrom.IsZero() {
		c.add("l.issued >= ?", ceilMillis(f.IssuedFrom))
	}
	if !f.IssuedBefore.IsZero() {
		c.add("l.issued < ?", ceilMillis(f.IssuedBefore))
	}
}

// addStatus adds the condition on the status as it is seen at a time.
func (f *search) addStatus(c *conditions, now time.Time) {
	switch status.State(f.Status) {
	case "":
	case status.Ready, status.Active:
		c.add("l.status = ?", f.Status)
		c.add("(l.rights_end IS NULL OR l.rights_end >= ?)", now.UnixMilli())
	case status.Expired:
		c.add("(l.status = 'expired' OR l.status IN ('ready', 'active') AND l.rights_end < ?)", now.UnixMilli())
	default:
		if f.index == byEnded {
			c.texts = append(c.texts, "l.status NOT IN ('ready', 'active')")
		}
		c.add("l.status = ?", f.Status)
	}
}

// bounded reports whether there is an upper bound to the number of devices.
func (f LicenseFilter) bounded() bool { return f.MaxDevices >= f.MinDevices }

// Licenses lists licenses, newest first. next is where the next page begins,
// or 0 at the end of the list. The error is ErrInvalid for an impossible page.
func (s *Store) Licenses(ctx context.Context, f LicenseFilter, p Page) (list []License, next Cursor, err error) {
	var q search
	if err = p.check(); err == nil {
		q, err = s.search(ctx, f)
	}
	var rows []numbered[License]
	if err == nil && p.Offset > deep {
		rows, err = s.deepLicenses(ctx, q, p)
	} else if err == nil {
		rows, err = s.licenses(ctx, q, q.conditions(s.time()).page(p, "l.seq"))
	}
	if err != nil {
		return nil, 0, fmt.Errorf("list licenses: %w", err)
	}
	list, next = cut(rows, p.Limit)
	return list, next, nil
}

// licenses returns a page. It finds their places first, in an index, and reads
// no other licenses than those.
func (s *Store) licenses(ctx context.Context, q search, c *conditions) ([]numbered[License], error) {
	places := "(SELECT l.seq FROM licenses l" + s.dialect.through(q.index) + c.where() + c.tail + ")"
	return selectAll(ctx, s, scanTitled, selectTitled+places+" page JOIN licenses l ON l.seq = page.seq"+joinPublication+
		" ORDER BY l.seq DESC", c.args...)
}

// deepLicenses returns a page far from the beginning of the list. It is reached
// from the end of the list if that is nearer. While licenses come and go it may
// be off by as many, as any page that is told by its number.
func (s *Store) deepLicenses(ctx context.Context, q search, p Page) ([]numbered[License], error) {
	n, err := s.countLicenses(ctx, q.LicenseFilter)
	rest := int(n) - p.Offset
	switch {
	case err != nil || rest <= 0:
		return nil, err
	case p.After > 0 || rest > p.Offset:
		return s.licenses(ctx, q, q.conditions(s.time()).page(p, "l.seq"))
	}
	c := q.conditions(s.time())
	length := min(p.Limit+1, rest)
	c.tail = " ORDER BY l.seq LIMIT ? OFFSET ?"
	c.args = append(c.args, length, rest-length)
	return s.licenses(ctx, q, c)
}

// CountLicenses returns how many licenses Licenses lists on all pages.
func (s *Store) CountLicenses(ctx context.Context, f LicenseFilter) (int64, error) {
	n, err := s.countLicenses(ctx, f)
	if err != nil {
		return 0, fmt.Errorf("count licenses: %w", err)
	}
	return n, nil
}

// countLicenses knows the numbers that counters tell, and counts where a search
// is for more than one thing.
func (s *Store) countLicenses(ctx context.Context, f LicenseFilter) (int64, error) {
	switch f {
	case LicenseFilter{}:
		return s.sum(ctx, countStatus, "")
	case LicenseFilter{UserID: f.UserID}:
		return s.licensesOf(ctx, f.UserID)
	case LicenseFilter{Status: f.Status}:
		statuses, err := s.statuses(ctx, s.time())
		return statuses[f.Status], err
	case LicenseFilter{CountDevices: true, MinDevices: f.MinDevices, MaxDevices: f.MaxDevices}:
		return s.countByDevices(ctx, f)
	case LicenseFilter{IssuedFrom: wholeDay(f.IssuedFrom), IssuedBefore: wholeDay(f.IssuedBefore)}:
		return s.countByIssue(ctx, f)
	}
	q, err := s.search(ctx, f)
	if err != nil {
		return 0, err
	}
	c := q.conditions(s.time())
	return selectOne(ctx, s, scanCount, "SELECT COUNT(*) FROM licenses l"+s.dialect.through(q.index)+c.where(), c.args...)
}

// countByDevices returns how many licenses have as many devices as f says.
func (s *Store) countByDevices(ctx context.Context, f LicenseFilter) (int64, error) {
	if f.bounded() {
		return s.sum(ctx, countDevices, " AND period >= ? AND period <= ?", f.MinDevices, f.MaxDevices)
	}
	return s.sum(ctx, countDevices, " AND period >= ?", f.MinDevices)
}

// countByIssue returns how many licenses were issued on the days that f says,
// whole days.
func (s *Store) countByIssue(ctx context.Context, f LicenseFilter) (int64, error) {
	before := int64(noEnd)
	if !f.IssuedBefore.IsZero() {
		before = dayOf(f.IssuedBefore.Add(day - 1))
	}
	return s.sum(ctx, countIssued, " AND period >= ? AND period < ?", dayOf(f.IssuedFrom), before)
}

// wholeDay returns t if it is the beginning of a day, and otherwise another time.
func wholeDay(t time.Time) time.Time {
	if t.IsZero() || t.UnixNano()%int64(day) == 0 {
		return t
	}
	return t.Add(1)
}

// eachBatch is how many licenses EachLicense holds at a time.
const eachBatch = 500

// EachLicense calls use with one license after another, newest first. It holds
// few of them at a time, and no transaction while use works. It stops with the
// first error of use, and returns it.
func (s *Store) EachLicense(ctx context.Context, f LicenseFilter, use func(License) error) error {
	q, err := s.search(ctx, f)
	page := Page{Limit: eachBatch}
	for more := err == nil; more; more = page.After != 0 {
		rows, err := s.licenses(ctx, q, q.conditions(s.time()).page(page, "l.seq"))
		if err != nil {
			return fmt.Errorf("go through licenses: %w", err)
		}
		var list []License
		list, page.After = cut(rows, page.Limit)
		for _, l := range list {
			if err := use(l); err != nil {
				return err
			}
		}
	}
	if err != nil {
		return fmt.Errorf("go through licenses: %w", err)
	}
	return nil
}
