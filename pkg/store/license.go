package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/lcp-tools/lcp/pkg/status"
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
	PlayDuration    string    // from the registration of the first device, which may bring End forward (ISO 8601); "": none
	Status          string    // state of the license (LSD §2.3) as last stored: that it expired may not be
	StatusUpdated   time.Time
	Issued          time.Time
	// Updated is when something in the license document last changed. While
	// a license is ready or active that may be the file of its publication,
	// without a change of the license itself; StatusUpdated follows then.
	Updated     time.Time
	DeviceCount int // how many devices are registered; kept by the store

	// Of the publication. License, Licenses and EachLicense set them, nothing
	// stores them.
	PublicationTitle string
	PublicationAltID string
}

// check refuses a license that cannot be stored, with ErrInvalid, and reduces
// it to what can be.
func (l *License) check() error {
	if l.UUID == "" {
		return &InvalidError{"uuid", "is empty"}
	}
	for _, t := range []struct {
		name string
		at   *time.Time
	}{
		{"start", &l.Start},
		{"end", &l.End},
		{"max_end", &l.MaxEnd},
		{"status_updated", &l.StatusUpdated},
		{"issued", &l.Issued},
		{"updated", &l.Updated},
	} {
		*t.at = t.at.UTC().Truncate(time.Millisecond)
		if year := t.at.Year(); year < 0 || year > 9999 { // RFC 3339 cannot write it
			return &InvalidError{t.name, "has a year that is not one of four digits"}
		}
	}
	l.PublicationTitle, l.PublicationAltID = "", ""
	return checkFields(
		field{"uuid", l.UUID, maxName},
		field{"publication_id", l.PublicationUUID, maxName},
		field{"user_id", l.UserID, maxName},
		field{"provider", l.Provider, maxName},
		field{"profile", l.Profile, maxName},
		field{"status", l.Status, maxName},
		field{"play_duration", l.PlayDuration, maxDuration},
	)
}

// Standing returns what moves and status documents are made from.
func (l *License) Standing() status.Record {
	return status.Record{
		ID: l.UUID, Profile: l.Profile, State: status.State(l.Status), Start: l.Start, End: l.End, MaxEnd: l.MaxEnd,
		Issued: l.Issued, Updated: l.Updated, StatusUpdated: l.StatusUpdated, Devices: l.DeviceCount,
	}
}

// Moved returns the license with what a move may have changed of its standing.
func (l License) Moved(r status.Record) License {
	l.Status, l.Start, l.End, l.MaxEnd = string(r.State), r.Start, r.End, r.MaxEnd
	l.Updated, l.StatusUpdated = r.Updated, r.StatusUpdated
	return l
}

// live reports whether nothing but the clock has ended the license.
func (l *License) live() bool {
	return l.Status == string(status.Ready) || l.Status == string(status.Active)
}

// replaced moves the times of a live license on to when the file of its
// publication was replaced.
func (l *License) replaced(at time.Time) {
	if !l.live() || !at.After(l.Issued) {
		return
	}
	if at.After(l.Updated) {
		l.Updated = at
	}
	if at.After(l.StatusUpdated) {
		l.StatusUpdated = at
	}
}

// equal reports whether l and other are stored the same way.
func (l License) equal(other License) bool {
	same := equalLimit(l.Copy, other.Copy) && equalLimit(l.Print, other.Print)
	l.Copy, l.Print, other.Copy, other.Print = nil, nil, nil, nil
	return same && l == other
}

func equalLimit(a, b *int64) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// A licenseRow is a license as it lies in its table.
type licenseRow struct {
	License
	seq     int64   // its place in lists; what events know it by
	events  int64   // how many happened to it
	history []Event // the last of those, if they have been read
}

// complete reports whether the history has all that happened.
func (l *licenseRow) complete() bool { return int64(len(l.history)) == l.events }

const (
	ownColumns = `l.seq, l.uuid, l.publication_uuid, l.user_id, l.provider, l.profile, l.rights_start, l.rights_end,
	l.rights_max_end, l.rights_copy, l.rights_print, l.status, l.status_updated, l.issued, l.updated, l.device_count,
	l.event_count, l.play_duration`
	licenseColumns     = ownColumns + `, (SELECT r.replaced_at FROM replacements r WHERE r.publication_uuid = l.publication_uuid)`
	selectLicense      = "SELECT " + licenseColumns + " FROM licenses l WHERE l.uuid = ?"
	selectTitled       = "SELECT " + licenseColumns + ", p.title, p.alt_id FROM "
	joinPublication    = " JOIN publications p ON p.uuid = l.publication_uuid"
	selectTitledByUUID = selectTitled + "licenses l" + joinPublication + " WHERE l.uuid = ?"
	insertLicense      = `INSERT INTO licenses (publication_uuid, user_id, provider, profile, rights_start, rights_end,
	rights_max_end, rights_copy, rights_print, status, status_updated, issued, updated, device_count, event_count,
	play_duration, uuid) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	updateLicense = `UPDATE licenses SET publication_uuid = ?, user_id = ?, provider = ?, profile = ?, rights_start = ?,
	rights_end = ?, rights_max_end = ?, rights_copy = ?, rights_print = ?, status = ?, status_updated = ?, issued = ?,
	updated = ?, device_count = ?, event_count = ?, play_duration = ? WHERE uuid = ?`
	updateStanding = `UPDATE licenses SET status = ?, status_updated = ?, updated = ?, device_count = ?, event_count = ?
	WHERE seq = ?`
	retireLicense = `INSERT INTO deleted_licenses (publication_uuid, user_id, provider, profile, rights_start, rights_end,
	rights_max_end, rights_copy, rights_print, status, status_updated, issued, updated, device_count, event_count,
	play_duration, uuid, deleted_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	deleteLicense = "DELETE FROM licenses WHERE uuid = ?"
	takenLicenses = `SELECT (SELECT COUNT(*) FROM licenses WHERE uuid = ?)
	+ (SELECT COUNT(*) FROM deleted_licenses WHERE uuid = ?)`
)

// args returns the values of insertLicense and of updateLicense, which have
// them in the same order.
func (l *licenseRow) args() []any {
	return []any{
		l.PublicationUUID, l.UserID, l.Provider, l.Profile, millis(l.Start), millis(l.End),
		millis(l.MaxEnd), l.Copy, l.Print, l.Status, millis(l.StatusUpdated), millis(l.Issued), millis(l.Updated),
		l.DeviceCount, l.events, l.PlayDuration, l.UUID,
	}
}

// scanColumns reads a row of licenseColumns, and more columns into more.
func scanColumns(r row, more ...any) (licenseRow, error) {
	var in struct { // together, as one piece of memory
		licenseRow
		start, end, maxEnd, statusUpdated, issued, updated, replaced sql.NullInt64
		dest                                                         [21]any
	}
	l := &in.licenseRow
	err := r.Scan(append(append(in.dest[:0],
		&l.seq, &l.UUID, &l.PublicationUUID, &l.UserID, &l.Provider, &l.Profile, &in.start, &in.end,
		&in.maxEnd, &l.Copy, &l.Print, &l.Status, &in.statusUpdated, &in.issued, &in.updated, &l.DeviceCount, &l.events,
		&l.PlayDuration, &in.replaced), more...)...)
	l.Start, l.End, l.MaxEnd = fromMillis(in.start), fromMillis(in.end), fromMillis(in.maxEnd)
	l.StatusUpdated, l.Issued, l.Updated = fromMillis(in.statusUpdated), fromMillis(in.issued), fromMillis(in.updated)
	l.replaced(fromMillis(in.replaced))
	return *l, err
}

// scanLicense reads a row of selectLicense.
func scanLicense(r row) (licenseRow, error) { return scanColumns(r) }

// scanTitled reads a row of selectTitled.
func scanTitled(r row) (numbered[License], error) {
	var title, altID string
	l, err := scanColumns(r, &title, &altID)
	l.PublicationTitle, l.PublicationAltID = title, altID
	return numbered[License]{l.seq, l.License}, err
}

// CreateLicense adds l, which no device is registered with, and returns it as
// stored. It fails with ErrNotFound if there is no such publication, which is
// ErrDeleted if there was one, and with ErrExists if the UUID is taken.
func (s *Store) CreateLicense(ctx context.Context, l License) (License, error) {
	return s.CreateLicenseWith(ctx, l, With{})
}

// With is what goes with a new license: all of it is written, or nothing.
type With struct {
	Snapshot []byte    // data of its user, kept sealed and bound to the license; nil for none
	Spending *Spending // of the token that it is for; nil for none
}

// CreateLicenseWith is CreateLicense, and fails with ErrSpent as well.
func (s *Store) CreateLicenseWith(ctx context.Context, l License, with With) (License, error) {
	l.DeviceCount = 0
	err := l.check()
	if err == nil && with.Spending != nil {
		err = with.Spending.check()
	}
	if err == nil {
		err = s.write(ctx, func(t tx) error { return createLicenseWith(ctx, t, l, with) })
	}
	if with.Spending != nil {
		s.afterSpending(ctx, with.Spending, err)
	}
	if err != nil {
		return License{}, fmt.Errorf("create license %q: %w", l.UUID, err)
	}
	return l, nil
}

func createLicenseWith(ctx context.Context, t tx, l License, with With) error {
	if with.Spending != nil {
		if err := spend(ctx, t, with.Spending); err != nil {
			return err
		}
	}
	if err := createLicense(ctx, t, l); err != nil {
		return err
	}
	if with.Snapshot == nil {
		return nil
	}
	return t.exec(ctx, insertSnapshot, l.Provider, l.UserID, t.s.keyring.Seal(with.Snapshot, snapshotData(l.UUID)), l.UUID)
}

func createLicense(ctx context.Context, t tx, l License) error {
	if err := checkPublication(ctx, t, l.PublicationUUID); err != nil {
		return err
	}
	taken, err := selectOne(ctx, t, scanCount, takenLicenses, l.UUID, l.UUID)
	if err != nil {
		return err
	}
	if taken > 0 {
		return &ExistsError{Field: "uuid", Value: l.UUID, UUID: l.UUID}
	}
	t.tally.license(&l, 1)
	if err := countLicenseOfUser(ctx, t, l.UserID, 1); err != nil {
		return err
	}
	return t.exec(ctx, insertLicense, (&licenseRow{License: l}).args()...)
}

// checkPublication fails unless there is a live publication with that UUID.
func checkPublication(ctx context.Context, t tx, uuid string) error {
	live, err := selectOne(ctx, t, scanCount, isLivePublication, uuid)
	if err == nil && live == 0 {
		err = ErrDeleted
	}
	if err != nil {
		return fmt.Errorf("publication %q: %w", uuid, err)
	}
	return nil
}

// License returns a license. It fails with ErrNotFound.
func (s *Store) License(ctx context.Context, uuid string) (License, error) {
	n, err := selectOne(ctx, s.keyed(), scanTitled, selectTitledByUUID, uuid)
	if err != nil {
		return License{}, fmt.Errorf("license %q: %w", uuid, err)
	}
	return n.record, nil
}

// LicenseHistory returns a license and what happened to it, oldest first: the
// last thousand events if there are more. The two belong together, whoever
// writes meanwhile. It fails with ErrNotFound.
func (s *Store) LicenseHistory(ctx context.Context, uuid string) (License, []Event, error) {
	for {
		l, err := selectOne(ctx, s.keyed(), scanLicense, selectLicense, uuid)
		var events []Event
		if err == nil {
			events, err = history(ctx, s.keyed(), &l)
		}
		if err != nil {
			return License{}, nil, fmt.Errorf("license %q: %w", uuid, err)
		}
		if int64(len(events)) == min(l.events, maxEvents) {
			return l.License, events, nil
		} // otherwise it has just been deleted
	}
}

// UpdateLicense is ChangeLicense for callers who need no history.
func (s *Store) UpdateLicense(ctx context.Context, uuid, deviceID string,
	change func(l License, registered bool) (License, []Event, error),
) (License, error) {
	l, _, err := s.changeLicense(ctx, uuid, deviceID, change, false)
	return l, err
}

// ChangeLicense reads a license, lets change decide what becomes of it, and
// writes the outcome with its events, in one transaction during which nobody
// else changes the license. It returns what the license is then, and all that
// ever happened to it, as LicenseHistory does. When change refuses, nothing is
// written and its error comes back in the chain; if it changes nothing and
// tells of no event, nothing is written either.
//
// If deviceID is not empty, registered says whether that device is already
// registered with the license. An event of the type status.EventRegister registers the
// device it names, unless it is; DeviceCount follows. What change does to UUID
// and DeviceCount is of no effect. It may run more than once, on any goroutine,
// and must not call the store. ChangeLicense fails with ErrNotFound, also if
// change names a publication that there is not.
func (s *Store) ChangeLicense(ctx context.Context, uuid, deviceID string,
	change func(l License, registered bool) (License, []Event, error),
) (l License, history []Event, err error) {
	return s.changeLicense(ctx, uuid, deviceID, change, true)
}

func (s *Store) changeLicense(ctx context.Context, uuid, deviceID string,
	change func(l License, registered bool) (License, []Event, error), withHistory bool,
) (License, []Event, error) {
	var l licenseRow
	err := s.write(ctx, func(t tx) error {
		old, err := selectOne(ctx, t, scanLicense, selectLicense+s.dialect.forUpdate, uuid)
		if err != nil {
			return err
		}
		if withHistory {
			if old.history, err = history(ctx, t, &old); err != nil {
				return err
			}
		}
		registered, err := isRegistered(ctx, t, &old, deviceID)
		if err != nil {
			return err
		}
		next, events, err := change(old.License, registered)
		if err != nil {
			return err
		}
		l, err = writeLicense(ctx, t, &old, next, events)
		return err
	})
	if err != nil {
		return License{}, nil, fmt.Errorf("update license %q: %w", uuid, err)
	}
	return l.License, l.history[max(0, len(l.history)-maxEvents):], nil
}

// writeLicense writes what became of a license, and what happened to it.
func writeLicense(ctx context.Context, t tx, old *licenseRow, l License, events []Event) (licenseRow, error) {
	l.UUID, l.DeviceCount = old.UUID, old.DeviceCount
	next := *old
	next.License = l
	if err := next.check(); err != nil {
		return next, err
	}
	if len(events) == 0 && next.equal(old.License) {
		return *old, nil
	}
	if l.PublicationUUID != old.PublicationUUID {
		if err := checkPublication(ctx, t, l.PublicationUUID); err != nil {
			return next, err
		}
	}
	for _, e := range events {
		if err := writeEvent(ctx, t, &next, e); err != nil {
			return next, err
		}
	}
	if l.UserID != old.UserID || l.Provider != old.Provider { // what is kept is of somebody else
		if err := t.exec(ctx, deleteSnapshot, l.UUID); err != nil {
			return next, err
		}
	}
	t.tally.license(&old.License, -1)
	t.tally.license(&next.License, 1)
	if err := moveLicense(ctx, t, old.UserID, l.UserID); err != nil {
		return next, err
	}
	return next, updateRow(ctx, t, old, &next)
}

// updateRow writes a license that has changed. What changes all day leaves most
// columns alone, and with them most indexes: a database changes every index on a
// column that it is told to set, be it to the value that it has.
func updateRow(ctx context.Context, t tx, old, next *licenseRow) error {
	same := old.License
	same.Status, same.StatusUpdated, same.Updated, same.DeviceCount = next.Status, next.StatusUpdated, next.Updated, next.DeviceCount
	if !same.equal(next.License) {
		return t.exec(ctx, updateLicense, next.args()...)
	}
	return t.exec(ctx, updateStanding, next.Status, millis(next.StatusUpdated), millis(next.Updated), next.DeviceCount, next.events, next.seq)
}

// moveLicense counts a license that one user had for another one.
func moveLicense(ctx context.Context, t tx, from, to string) error {
	if from == to {
		return nil
	}
	if err := countLicenseOfUser(ctx, t, from, -1); err != nil {
		return err
	}
	return countLicenseOfUser(ctx, t, to, 1)
}

// DeleteLicense removes a license, and returns what it was. Its UUID stays taken
// and its record is kept, out of reach. It fails with ErrNotFound.
func (s *Store) DeleteLicense(ctx context.Context, uuid string) (License, error) {
	var l License
	err := s.write(ctx, func(t tx) error {
		old, err := selectOne(ctx, t, scanLicense, selectLicense+s.dialect.forUpdate, uuid)
		if err != nil {
			return err
		}
		l = old.License
		return retire(ctx, t, &old)
	})
	if err != nil {
		return License{}, fmt.Errorf("delete license %q: %w", uuid, err)
	}
	return l, nil
}

// retire takes a license that the transaction has locked out of reach.
func retire(ctx context.Context, t tx, l *licenseRow) error {
	if err := t.exec(ctx, retireLicense, append(l.args(), t.s.time().UnixMilli())...); err != nil {
		return err
	}
	if err := t.exec(ctx, retireEvents, l.UUID, l.seq); err != nil {
		return err
	}
	if err := t.exec(ctx, deleteEvents, l.seq); err != nil {
		return err
	}
	if err := t.exec(ctx, deleteSnapshot, l.UUID); err != nil {
		return err
	}
	t.tally.license(&l.License, -1)
	if err := countLicenseOfUser(ctx, t, l.UserID, -1); err != nil {
		return err
	}
	return t.exec(ctx, deleteLicense, l.UUID)
}
