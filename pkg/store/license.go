package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// A License is the record that license documents and status documents are made
// from. Of its user it knows an identifier and nothing else. Times are in UTC
// and of whole milliseconds; a zero time is none.
type License struct {
	UUID            string
	PublicationUUID string
	UserID          string
	Provider        string // URI
	Profile         string // URI of the encryption profile
	Start           time.Time
	End             time.Time
	MaxEnd          time.Time // no renewal goes beyond it
	Copy            *int64    // characters; nil: no limit
	Print           *int64    // pages; nil: no limit
	Status          string    // state of the license (LSD §2.3) as last stored: that it expired may not be
	StatusUpdated   time.Time
	Issued          time.Time
	Updated         time.Time // when something in the license document last changed
	DeviceCount     int       // how many devices are registered; kept by the store
}

// check refuses a license that cannot be stored, with ErrInvalid, and reduces
// its times to what can be.
func (l *License) check() error {
	if l.UUID == "" {
		return fmt.Errorf("%w: uuid is empty", ErrInvalid)
	}
	for _, t := range []*time.Time{&l.Start, &l.End, &l.MaxEnd, &l.StatusUpdated, &l.Issued, &l.Updated} {
		*t = t.UTC().Truncate(time.Millisecond)
	}
	return checkFields(
		field{"uuid", l.UUID, maxName},
		field{"publication_id", l.PublicationUUID, maxName},
		field{"user_id", l.UserID, maxName},
		field{"provider", l.Provider, maxName},
		field{"profile", l.Profile, maxName},
		field{"status", l.Status, maxName},
	)
}

const (
	selectLicenses = `SELECT seq, uuid, publication_uuid, user_id, provider, profile, rights_start, rights_end,
	rights_max_end, rights_copy, rights_print, status, status_updated, issued, updated, device_count FROM licenses`
	selectLicense = selectLicenses + " WHERE uuid = ?"
	insertLicense = `INSERT INTO licenses (publication_uuid, user_id, provider, profile, rights_start, rights_end,
	rights_max_end, rights_copy, rights_print, status, status_updated, issued, updated, device_count, uuid)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	updateLicense = `UPDATE licenses SET publication_uuid = ?, user_id = ?, provider = ?, profile = ?, rights_start = ?,
	rights_end = ?, rights_max_end = ?, rights_copy = ?, rights_print = ?, status = ?, status_updated = ?, issued = ?,
	updated = ?, device_count = ? WHERE uuid = ?`
)

// licenseArgs returns the values of insertLicense and of updateLicense, which
// have them in the same order.
func licenseArgs(l *License) []any {
	return []any{
		l.PublicationUUID, l.UserID, l.Provider, l.Profile, millis(l.Start), millis(l.End),
		millis(l.MaxEnd), l.Copy, l.Print, l.Status, millis(l.StatusUpdated), millis(l.Issued), millis(l.Updated),
		l.DeviceCount, l.UUID,
	}
}

// scanLicense reads a row of selectLicenses.
func scanLicense(r row) (numbered[License], error) {
	var n numbered[License]
	var start, end, maxEnd, statusUpdated, issued, updated sql.NullInt64
	l := &n.record
	err := r.Scan(&n.seq, &l.UUID, &l.PublicationUUID, &l.UserID, &l.Provider, &l.Profile, &start, &end,
		&maxEnd, &l.Copy, &l.Print, &l.Status, &statusUpdated, &issued, &updated, &l.DeviceCount)
	l.Start, l.End, l.MaxEnd = fromMillis(start), fromMillis(end), fromMillis(maxEnd)
	l.StatusUpdated, l.Issued, l.Updated = fromMillis(statusUpdated), fromMillis(issued), fromMillis(updated)
	return n, err
}

// CreateLicense adds l, which no device is registered with, and returns it as
// stored. It fails with ErrNotFound if there is no such publication, which is
// ErrDeleted if there was one, and with ErrExists if the UUID is taken.
func (s *Store) CreateLicense(ctx context.Context, l License) (License, error) {
	l.DeviceCount = 0
	err := l.check()
	if err == nil {
		err = s.write(ctx, func(t tx) error { return createLicense(ctx, t, &l) })
	}
	if err != nil {
		return License{}, fmt.Errorf("create license %q: %w", l.UUID, err)
	}
	return l, nil
}

func createLicense(ctx context.Context, t tx, l *License) error {
	live, err := selectOne(ctx, t, scanCount, isLivePublication, l.PublicationUUID)
	if err == nil && live == 0 {
		err = ErrDeleted
	}
	if err != nil {
		return fmt.Errorf("publication %q: %w", l.PublicationUUID, err)
	}
	_, err = selectOne(ctx, t, scanLicense, selectLicense+t.s.dialect.forUpdate, l.UUID)
	if err == nil {
		return &ExistsError{Field: "uuid", Value: l.UUID, UUID: l.UUID}
	}
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	return t.exec(ctx, insertLicense, licenseArgs(l)...)
}

// License returns a license. It fails with ErrNotFound.
func (s *Store) License(ctx context.Context, uuid string) (License, error) {
	n, err := selectOne(ctx, s, scanLicense, selectLicense, uuid)
	if err != nil {
		return License{}, fmt.Errorf("license %q: %w", uuid, err)
	}
	return n.record, nil
}

// UpdateLicense reads a license, lets change decide what becomes of it, and
// writes the outcome with its events, in one transaction during which nobody
// else changes the license. When change refuses, nothing is written and its
// error comes back in the chain.
//
// If deviceID is not empty, registered says whether that device is already
// registered with the license. An event of the type EventRegister registers the
// device it names, unless it is; DeviceCount follows. What change does to UUID
// and DeviceCount is of no effect. It may run more than once and must not call
// the store. UpdateLicense fails with ErrNotFound.
func (s *Store) UpdateLicense(ctx context.Context, uuid, deviceID string,
	change func(l License, registered bool) (License, []Event, error),
) (License, error) {
	var l License
	err := s.write(ctx, func(t tx) error {
		old, err := selectOne(ctx, t, scanLicense, selectLicense+s.dialect.forUpdate, uuid)
		if err != nil {
			return err
		}
		registered, err := isRegistered(ctx, t, uuid, deviceID)
		if err != nil {
			return err
		}
		var events []Event
		if l, events, err = change(old.record, registered); err != nil {
			return err
		}
		l.UUID, l.DeviceCount = uuid, old.record.DeviceCount
		return writeLicense(ctx, t, &l, events)
	})
	if err != nil {
		return License{}, fmt.Errorf("update license %q: %w", uuid, err)
	}
	return l, nil
}

// writeLicense writes l and what happened to it.
func writeLicense(ctx context.Context, t tx, l *License, events []Event) error {
	if err := l.check(); err != nil {
		return err
	}
	for _, e := range events {
		added, err := writeEvent(ctx, t, l.UUID, e)
		if err != nil {
			return err
		}
		if added {
			l.DeviceCount++
		}
	}
	return t.exec(ctx, updateLicense, licenseArgs(l)...)
}

// A LicenseFilter says which licenses to list: those that match all that is
// set. The zero value means all.
type LicenseFilter struct {
	UserID          string
	PublicationUUID string
	Status          string // as stored
	DeviceID        string // of a device that is registered
	MinDevices      int
	MaxDevices      int // 0: no limit
}

func (f LicenseFilter) conditions() *conditions {
	c := &conditions{}
	if f.UserID != "" {
		c.add("user_id = ?", f.UserID)
	}
	if f.PublicationUUID != "" {
		c.add("publication_uuid = ?", f.PublicationUUID)
	}
	if f.Status != "" {
		c.add("status = ?", f.Status)
	}
	if f.DeviceID != "" {
		c.add("uuid IN (SELECT license_uuid FROM devices WHERE device_id = ?)", f.DeviceID)
	}
	if f.MinDevices > 0 {
		c.add("device_count >= ?", f.MinDevices)
	}
	if f.MaxDevices > 0 {
		c.add("device_count <= ?", f.MaxDevices)
	}
	return c
}

// Licenses lists licenses, newest first. next is where the next page begins,
// or 0 at the end of the list. The error is ErrInvalid for an impossible page.
func (s *Store) Licenses(ctx context.Context, f LicenseFilter, p Page) (list []License, next Cursor, err error) {
	if err := p.check(); err != nil {
		return nil, 0, fmt.Errorf("list licenses: %w", err)
	}
	c := f.conditions()
	clause := c.page(p)
	rows, err := selectAll(ctx, s, scanLicense, selectLicenses+clause, c.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list licenses: %w", err)
	}
	list, next = cut(rows, p.Limit)
	return list, next, nil
}

// CountLicenses returns how many licenses Licenses lists on all pages.
func (s *Store) CountLicenses(ctx context.Context, f LicenseFilter) (int64, error) {
	c := f.conditions()
	n, err := selectOne(ctx, s, scanCount, "SELECT COUNT(*) FROM licenses"+c.where(), c.args...)
	if err != nil {
		return 0, fmt.Errorf("count licenses: %w", err)
	}
	return n, nil
}
