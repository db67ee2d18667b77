package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lcp-tools/lcp/pkg/status"
)

// A Verdict says what became of a record that was to be imported.
type Verdict int

// The verdicts.
const (
	Refused   Verdict = iota // it cannot be, for the reason in Import.Err
	Created                  // it was not here
	Updated                  // it was here, older
	Unchanged                // it is here, the same
	Kept                     // it was changed or deleted here since
	Gone                     // it was deleted there, and is not here
)

// An Import is what became of one record.
type Import struct {
	Verdict Verdict
	Err     error // why it is Refused
}

// A ForeignLicense is a license as another server has it.
type ForeignLicense struct {
	License           // DeviceCount follows from the events
	Events  []Event   // all that happened to it, oldest first
	Changed time.Time // when its record was last written, if that is later than the times of the license and of the events
	Deleted bool      // the other server has it no more
}

// prepare refuses a license that cannot be stored, with ErrInvalid, and brings it
// into the form in which the store keeps it.
func (f *ForeignLicense) prepare() error {
	if f.Issued.IsZero() {
		return &InvalidError{"issued", "is missing"}
	}
	if err := f.check(); err != nil {
		return err
	}
	f.Events = slices.Clone(f.Events)
	for i := range f.Events {
		e := &f.Events[i]
		if err := checkEvent(e); err != nil {
			return fmt.Errorf("event %d: %w", i+1, err)
		}
		e.At = e.At.UTC().Truncate(time.Millisecond)
	}
	f.DeviceCount = f.Registered()
	return nil
}

// Registered returns how many devices are, by what happened to the license.
func (f *ForeignLicense) Registered() int {
	devices := make(map[string]bool)
	for _, e := range f.Events {
		if e.Type == status.EventRegister {
			devices[e.DeviceID] = true
		}
	}
	return len(devices)
}

// changed is when the other server last changed the license.
func (f *ForeignLicense) changed() time.Time {
	own := lastChange(&f.License, f.Events)
	if there := f.Changed.UTC().Truncate(time.Millisecond); there.After(own) {
		return there
	}
	return own
}

// lastChange is when a license was last changed, by its own times and those of
// what happened to it.
func lastChange(l *License, events []Event) time.Time {
	last := slices.MaxFunc([]time.Time{l.Issued, l.Updated, l.StatusUpdated}, time.Time.Compare)
	for i := range events {
		if events[i].At.After(last) {
			last = events[i].At
		}
	}
	return last
}

// ImportLicenses brings licenses of another server over, with their times, their
// status and all that happened to them, in one transaction. It returns what
// became of each.
//
// A license that is here already is left alone if it is the same, and otherwise
// becomes what it is there only if it was changed there later than here; its
// profile and its duration stay. A license whose publication, live or deleted, is
// not here is refused with ErrNotFound, and one that cannot be stored with
// ErrInvalid. If dryRun is set nothing is written.
func (s *Store) ImportLicenses(ctx context.Context, batch []ForeignLicense, dryRun bool) ([]Import, error) {
	im := licenseImport{batch: slices.Clone(batch), faults: make([]error, len(batch))}
	for i := range im.batch {
		im.faults[i] = im.batch[i].prepare()
	}
	err := s.write(ctx, func(t tx) error {
		im.t, im.results = t, make([]Import, len(batch))
		if err := im.decide(ctx); err != nil || dryRun {
			return err
		}
		return im.apply(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("import licenses: %w", err)
	}
	return im.results, nil
}

// A licenseImport is a batch of licenses on its way in.
type licenseImport struct {
	batch  []ForeignLicense // prepared
	faults []error          // by index: why one cannot be stored, or nil

	t       tx
	results []Import               // by index
	known   map[string]*licenseRow // those that are here, each with its whole history
}

const (
	selectOwn       = "SELECT " + ownColumns + ", NULL FROM licenses l WHERE l.uuid IN "
	selectSeqs      = "SELECT seq, uuid FROM licenses WHERE uuid IN "
	selectRetired   = "SELECT uuid FROM deleted_licenses WHERE uuid IN "
	selectPublished = "SELECT uuid FROM publications WHERE uuid IN "
	selectHistories = "SELECT license_seq, type, device_id, device_name, at FROM license_events WHERE license_seq IN "
	byNumber        = " ORDER BY license_seq, number"
)

// decide finds out what is to become of each license. It writes nothing.
func (im *licenseImport) decide(ctx context.Context) error {
	uuids, publications := make([]string, len(im.batch)), make([]string, len(im.batch))
	for i := range im.batch {
		uuids[i], publications[i] = im.batch[i].UUID, im.batch[i].PublicationUUID
	}
	published, err := existing(ctx, im.t, selectPublished, publications)
	if err != nil {
		return err
	}
	retired, err := existing(ctx, im.t, selectRetired, uuids)
	if err != nil {
		return err
	}
	if err := im.find(ctx, uuids); err != nil {
		return err
	}
	seen := make(map[string]bool, len(uuids))
	for i := range im.batch {
		f := &im.batch[i]
		switch {
		case im.faults[i] != nil:
			im.results[i].Err = im.faults[i]
			continue
		case seen[f.UUID]:
			im.results[i].Err = &InvalidError{"uuid", "is that of another license, too"}
			continue
		}
		seen[f.UUID] = true
		verdict := f.verdict(im.known[f.UUID], retired[f.UUID])
		if (verdict == Created || verdict == Updated) && !published[f.PublicationUUID] {
			im.results[i].Err = fmt.Errorf("publication %q: %w", f.PublicationUUID, ErrNotFound)
			continue
		}
		im.results[i].Verdict = verdict
	}
	return nil
}

// existing returns which of some values a query finds.
func existing(ctx context.Context, t tx, query string, values []string) (map[string]bool, error) {
	found := make(map[string]bool)
	err := inChunks(distinct(values), func(part []string) error {
		_, err := selectAll(ctx, t, func(r row) (none struct{}, err error) {
			var value string
			err = r.Scan(&value)
			found[value] = true
			return none, err
		}, query+placeholders(len(part)), anys(part)...)
		return err
	})
	return found, err
}

// distinct returns values in order, each once.
func distinct(values []string) []string {
	values = slices.Clone(values)
	slices.Sort(values)
	return slices.Compact(values)
}

func anys[T any](values []T) []any {
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	return args
}

// find reads and locks the licenses that are here, and what happened to them.
func (im *licenseImport) find(ctx context.Context, uuids []string) error {
	im.known = make(map[string]*licenseRow)
	bySeq := make(map[int64]*licenseRow)
	err := inChunks(distinct(uuids), func(part []string) error {
		rows, err := selectAll(ctx, im.t, scanLicense, selectOwn+placeholders(len(part))+im.t.s.dialect.forUpdate, anys(part)...)
		for i := range rows {
			im.known[rows[i].UUID], bySeq[rows[i].seq] = &rows[i], &rows[i]
		}
		return err
	})
	if err != nil {
		return err
	}
	return inChunks(slices.Sorted(maps.Keys(bySeq)), func(part []int64) error {
		_, err := selectAll(ctx, im.t, func(r row) (none struct{}, err error) {
			var seq, at int64
			var e Event
			if err = r.Scan(&seq, &e.Type, &e.DeviceID, &e.DeviceName, &at); err != nil {
				return none, err
			}
			e.At = time.UnixMilli(at).UTC()
			bySeq[seq].history = append(bySeq[seq].history, e)
			return none, nil
		}, selectHistories+placeholders(len(part))+byNumber, anys(part)...)
		return err
	})
}

// verdict is what is to become of a license that is here, or not if known is nil;
// retired says that it was deleted here.
func (f *ForeignLicense) verdict(known *licenseRow, retired bool) Verdict {
	switch {
	case known == nil && f.Deleted:
		return Gone
	case known == nil && retired:
		return Kept
	case known == nil:
		return Created
	}
	f.Profile, f.PlayDuration = known.Profile, known.PlayDuration // the other server keeps none
	switch {
	case !f.Deleted && f.equal(known.License) && slices.Equal(f.Events, known.history):
		return Unchanged
	case f.changed().After(lastChange(&known.License, known.history)):
		return Updated
	default:
		return Kept
	}
}

// The rows of imported licenses, in the order of licenseRow.args and of
// insertEvent.
var (
	licenseRows = rowWriter{table: "licenses", key: "publication_uuid, user_id, provider, profile, rights_start, rights_end, " +
		"rights_max_end, rights_copy, rights_print, status, status_updated, issued, updated, device_count, event_count, " +
		"play_duration, uuid", inserts: true}
	historyRows = rowWriter{table: "license_events", key: "license_seq, number, type, device_id, device_name, at", inserts: true}
	userRows    = rowWriter{table: "license_users", key: "user_id", values: []string{"licenses"}, adds: true}
	newUserRows = rowWriter{table: "license_users", key: "user_id, licenses", unlessThere: true}
)

// apply writes what was decided.
func (im *licenseImport) apply(ctx context.Context) error {
	var rows [][]any
	var created []string
	users := make(map[string]int64)
	for i := range im.batch {
		f := &im.batch[i]
		switch im.results[i].Verdict {
		case Created:
			l := licenseRow{License: f.License, events: int64(len(f.Events))}
			rows, created = append(rows, l.args()), append(created, f.UUID)
			im.t.tally.license(&f.License, 1)
			if f.UserID != "" {
				users[f.UserID]++
			}
		case Updated:
			if err := im.replace(ctx, f); err != nil {
				return err
			}
		default:
		}
	}
	if err := im.countUsers(ctx, users); err != nil {
		return err
	}
	if err := licenseRows.write(ctx, im.t, rows); err != nil {
		return err
	}
	return im.writeHistories(ctx, created)
}

// replace makes a license that is here what it is on the other server.
func (im *licenseImport) replace(ctx context.Context, f *ForeignLicense) error {
	old := im.known[f.UUID]
	if f.Deleted {
		return retire(ctx, im.t, old)
	}
	if f.UserID != old.UserID || f.Provider != old.Provider {
		if err := im.t.exec(ctx, deleteSnapshot, f.UUID); err != nil {
			return err
		}
	}
	im.t.tally.license(&old.License, -1)
	im.t.tally.license(&f.License, 1)
	if err := moveLicense(ctx, im.t, old.UserID, f.UserID); err != nil {
		return err
	}
	if err := im.t.exec(ctx, deleteEvents, old.seq); err != nil {
		return err
	}
	next := licenseRow{License: f.License, seq: old.seq, events: int64(len(f.Events))}
	if err := historyRows.write(ctx, im.t, eventRowsOf(old.seq, f.Events)); err != nil {
		return err
	}
	return im.t.exec(ctx, updateLicense, next.args()...)
}

// countUsers counts how many more licenses users have, always in the same order,
// and the users who had none.
func (im *licenseImport) countUsers(ctx context.Context, more map[string]int64) error {
	var fresh, rows [][]any
	for _, user := range slices.Sorted(maps.Keys(more)) {
		fresh, rows = append(fresh, []any{user, 0}), append(rows, []any{user, more[user]})
	}
	n, err := newUserRows.writeCount(ctx, im.t, fresh)
	if err != nil {
		return err
	}
	im.t.tally[counter{countUsers, "", 0}] += n
	return userRows.write(ctx, im.t, rows)
}

// writeHistories writes what happened to licenses that were just written.
func (im *licenseImport) writeHistories(ctx context.Context, created []string) error {
	seqs := make(map[string]int64, len(created))
	err := inChunks(created, func(part []string) error {
		_, err := selectAll(ctx, im.t, func(r row) (none struct{}, err error) {
			var seq int64
			var uuid string
			err = r.Scan(&seq, &uuid)
			seqs[uuid] = seq
			return none, err
		}, selectSeqs+placeholders(len(part)), anys(part)...)
		return err
	})
	if err != nil {
		return err
	}
	var rows [][]any
	for i := range im.batch {
		if im.results[i].Verdict == Created {
			rows = append(rows, eventRowsOf(seqs[im.batch[i].UUID], im.batch[i].Events)...)
		}
	}
	return historyRows.write(ctx, im.t, rows)
}

// eventRowsOf returns the rows of all that happened to a license.
func eventRowsOf(seq int64, events []Event) [][]any {
	rows := make([][]any, len(events))
	for i, e := range events {
		rows[i] = []any{seq, i + 1, e.Type, e.DeviceID, e.DeviceName, e.At.UnixMilli()}
	}
	return rows
}
