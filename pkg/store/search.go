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
	Status          string // as seen now: a license that is ready or active expires when its end has passed
	DeviceID        string // of a device that is registered

	CountDevices bool // MinDevices and MaxDevices count
	MinDevices   int
	MaxDevices   int // less than MinDevices: no upper bound

	IssuedFrom   time.Time // counts
	IssuedBefore time.Time // does not
}

func (f LicenseFilter) conditions(now time.Time) *conditions {
	c := &conditions{}
	if f.UserID != "" {
		c.add("l.user_id = ?", f.UserID)
	}
	if f.PublicationUUID != "" {
		c.add("l.publication_uuid = ?", f.PublicationUUID)
	}
	f.addStatus(c, now)
	if f.DeviceID != "" {
		c.add("l.uuid IN (SELECT license_uuid FROM devices WHERE device_id = ?)", f.DeviceID)
	}
	if f.CountDevices {
		c.add("l.device_count >= ?", f.MinDevices)
		if f.MaxDevices >= f.MinDevices {
			c.add("l.device_count <= ?", f.MaxDevices)
		}
	}
	if !f.IssuedFrom.IsZero() {
		c.add("l.issued >= ?", ceilMillis(f.IssuedFrom))
	}
	if !f.IssuedBefore.IsZero() {
		c.add("l.issued < ?", ceilMillis(f.IssuedBefore))
	}
	return c
}

// addStatus adds the condition on the status as it is seen at a time.
func (f LicenseFilter) addStatus(c *conditions, now time.Time) {
	switch status.State(f.Status) {
	case "":
	case status.Ready, status.Active:
		c.add("l.status = ?", f.Status)
		c.add("(l.rights_end IS NULL OR l.rights_end >= ?)", now.UnixMilli())
	case status.Expired:
		c.add("(l.status = 'expired' OR l.status IN ('ready', 'active') AND l.rights_end < ?)", now.UnixMilli())
	default:
		c.add("l.status = ?", f.Status)
	}
}

// Licenses lists licenses, newest first. next is where the next page begins,
// or 0 at the end of the list. The error is ErrInvalid for an impossible page.
func (s *Store) Licenses(ctx context.Context, f LicenseFilter, p Page) (list []License, next Cursor, err error) {
	if err := p.check(); err != nil {
		return nil, 0, fmt.Errorf("list licenses: %w", err)
	}
	c := f.conditions(s.time())
	clause := c.page(p, "l.seq")
	rows, err := selectAll(ctx, s, scanTitled, selectTitled+"licenses l"+joinPublication+clause, c.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list licenses: %w", err)
	}
	list, next = cut(rows, p.Limit)
	return list, next, nil
}

// CountLicenses returns how many licenses Licenses lists on all pages.
func (s *Store) CountLicenses(ctx context.Context, f LicenseFilter) (int64, error) {
	c := f.conditions(s.time())
	n, err := selectOne(ctx, s, scanCount, "SELECT COUNT(*) FROM licenses l"+c.where(), c.args...)
	if err != nil {
		return 0, fmt.Errorf("count licenses: %w", err)
	}
	return n, nil
}

// eachBatch is how many licenses EachLicense holds at a time.
const eachBatch = 500

// EachLicense calls use with one license after another, newest first. It holds
// few of them at a time, and no transaction while use works. It stops with the
// first error of use, and returns it.
func (s *Store) EachLicense(ctx context.Context, f LicenseFilter, use func(License) error) error {
	page := Page{Limit: eachBatch}
	for more := true; more; more = page.After != 0 {
		list, next, err := s.Licenses(ctx, f, page)
		if err != nil {
			return err
		}
		for _, l := range list {
			if err := use(l); err != nil {
				return err
			}
		}
		page.After = next
	}
	return nil
}
