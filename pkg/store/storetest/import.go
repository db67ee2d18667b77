package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
)

// foreignPublication is the n-th publication as another server has it, created a
// year before epoch and changed a month later.
func foreignPublication(n int) store.Publication {
	p := publication(n)
	p.CreatedAt = epoch.AddDate(-1, 0, 0)
	p.UpdatedAt = p.CreatedAt.AddDate(0, 1, 0)
	return p
}

// foreignLicense is the n-th license as another server has it: issued a year
// before epoch, active on two devices since the day after, and renewed by one.
func foreignLicense(n int, publication string) store.ForeignLicense {
	f := store.ForeignLicense{License: license(n, publication)}
	f.Issued = epoch.AddDate(-1, 0, n)
	f.Updated, f.StatusUpdated = f.Issued.AddDate(0, 0, 2), f.Issued.AddDate(0, 0, 2)
	f.Status = "active"
	f.PlayDuration = ""
	f.DeviceCount = 77 // of no effect
	f.Events = []store.Event{
		{Type: "register", DeviceID: "one", DeviceName: "Thorium", At: f.Issued.AddDate(0, 0, 1)},
		{Type: "register", DeviceID: "two", DeviceName: "Ābc \u65e5\u672c", At: f.Issued.AddDate(0, 0, 1).Add(123 * time.Millisecond)},
		{Type: "register", DeviceID: "one", DeviceName: "Thorium", At: f.Issued.AddDate(0, 0, 2)},
		{Type: "renew", DeviceID: "one", DeviceName: "Thorium", At: f.Issued.AddDate(0, 0, 2)},
	}
	return f
}

func importPublications(t *testing.T, s *store.Store, batch ...store.Publication) []store.Import {
	t.Helper()
	got, err := s.ImportPublications(t.Context(), batch, false)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func importLicenses(t *testing.T, s *store.Store, batch ...store.ForeignLicense) []store.Import {
	t.Helper()
	got, err := s.ImportLicenses(t.Context(), batch, false)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func wantVerdicts(t *testing.T, what string, got []store.Import, want ...store.Verdict) {
	t.Helper()
	verdicts := make([]store.Verdict, len(got))
	for i, g := range got {
		verdicts[i] = g.Verdict
		if (g.Err != nil) != (g.Verdict == store.Refused) {
			t.Errorf("%s: result %d has the verdict %d and the error %v", what, i, g.Verdict, g.Err)
		}
	}
	if !slices.Equal(verdicts, want) {
		t.Fatalf("%s: verdicts %v, want %v: %v", what, verdicts, want, got)
	}
}

// Publications keep what they have, and become what they are on the other server
// only while that was the last to change them.
func testImportPublications(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	deleted := foreignPublication(2)
	deleted.DeletedAt = epoch.AddDate(0, -1, 0)
	bare := store.Publication{UUID: uuid(3), ContentKey: key(3), Size: 1}
	twin := foreignPublication(4)
	twin.AltID = foreignPublication(1).AltID
	keyless := foreignPublication(5)
	keyless.ContentKey = bare.ContentKey
	clear(keyless.ContentKey[:])
	batch := []store.Publication{foreignPublication(1), deleted, bare, twin, keyless, foreignPublication(1)}
	verdicts := []store.Verdict{store.Created, store.Created, store.Created, store.Refused, store.Refused, store.Refused}

	dry, err := s.ImportPublications(t.Context(), batch, true)
	if err != nil {
		t.Fatal(err)
	}
	wantVerdicts(t, "dry run", dry, verdicts...)
	if _, err := s.AnyPublication(t.Context(), uuid(1)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after a dry run: %v, want ErrNotFound", err)
	}

	got := importPublications(t, s, batch...)
	wantVerdicts(t, "import", got, verdicts...)
	wantTaken(t, "alternative identifier", got[3].Err, "alt_id", uuid(1))
	wantError(t, "no key", got[4].Err, store.ErrInvalid)
	wantError(t, "twice", got[5].Err, store.ErrInvalid)
	find := func(n int) store.Publication {
		t.Helper()
		p, err := s.AnyPublication(t.Context(), uuid(n))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if d := diff(find(1), foreignPublication(1)); d != "" {
		t.Errorf("imported publication (-want +got):\n%s", d)
	}
	deleted.UpdatedAt = deleted.DeletedAt
	if d := diff(find(2), deleted); d != "" {
		t.Errorf("deleted publication (-want +got):\n%s", d)
	}
	if p := find(3); p.CreatedAt.Before(epoch) || !p.UpdatedAt.Equal(p.CreatedAt) {
		t.Errorf("publication without dates was created %v, updated %v", p.CreatedAt, p.UpdatedAt)
	}
	wantVerdicts(t, "again", importPublications(t, s, batch[:3]...), store.Unchanged, store.Unchanged, store.Unchanged)

	// Changed there, to a title and to nothing for a description.
	changed := foreignPublication(1)
	changed.Title, changed.Description, changed.Checksum = "Another", "", "another"
	changed.UpdatedAt = changed.UpdatedAt.AddDate(0, 1, 0)
	bare.Size = 2
	wantVerdicts(t, "changed there", importPublications(t, s, changed, bare), store.Updated, store.Updated)
	changed.Description = publication(1).Description
	if d := diff(find(1), changed); d != "" {
		t.Errorf("changed publication (-want +got):\n%s", d)
	}
	wantVerdicts(t, "then again", importPublications(t, s, changed, bare), store.Unchanged, store.Unchanged)

	// Changed here.
	for _, n := range []int{1, 3} {
		if _, err := s.UpdatePublication(t.Context(), uuid(n), func(p store.Publication) (store.Publication, error) {
			p.Title, p.Size = "Changed here", 3
			return p, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	otherKey := changed
	otherKey.ContentKey = key(9)
	got = importPublications(t, s, changed, bare)
	wantVerdicts(t, "changed here", got, store.Kept, store.Kept)
	got = importPublications(t, s, otherKey)
	wantVerdicts(t, "another key", got, store.Refused)
	wantError(t, "another key", got[0].Err, store.ErrKeyChanged)
	if p := find(1); p.Title != "Changed here" || p.ContentKey != key(1) {
		t.Errorf("what was changed here became %q", p.Title)
	}

	// Deleted there after all: the alternative identifier is free.
	changed.DeletedAt = epoch.AddDate(1, 0, 0)
	wantVerdicts(t, "deleted there", importPublications(t, s, changed, twin), store.Updated, store.Created)
	if p := find(1); p.DeletedAt.IsZero() || !p.UpdatedAt.Equal(p.DeletedAt) {
		t.Errorf("deleted %v, updated %v", p.DeletedAt, p.UpdatedAt)
	}
	compareFigures(t, s, epoch, store.Count{Name: "", Count: 1}, store.Count{Name: "application/epub+zip", Count: 1})
}

// Licenses keep their times, their status and their history, and the store counts
// with them as with its own.
func testImportLicenses(t *testing.T, impl Implementation) {
	now := epoch
	s := at(t, impl.New(t).DSN, &now)
	deleted := foreignPublication(2)
	deleted.DeletedAt = epoch.AddDate(0, -1, 0)
	importPublications(t, s, foreignPublication(1), deleted)

	active, ofDeleted, orphan, undated := foreignLicense(1, uuid(1)), foreignLicense(2, uuid(2)), foreignLicense(3, uuid(3)), foreignLicense(4, uuid(1))
	undated.Issued = time.Time{}
	nameless := foreignLicense(5, uuid(1))
	nameless.Events[0].DeviceID = ""
	gone := foreignLicense(6, uuid(1))
	gone.Deleted = true
	ready := store.ForeignLicense{License: license(7, uuid(1))}
	ready.Issued, ready.UserID = epoch, ""
	batch := []store.ForeignLicense{active, ofDeleted, orphan, undated, nameless, gone, ready, active}
	verdicts := []store.Verdict{
		store.Created, store.Created, store.Refused, store.Refused, store.Refused, store.Gone, store.Created, store.Refused,
	}
	dry, err := s.ImportLicenses(t.Context(), batch, true)
	if err != nil {
		t.Fatal(err)
	}
	wantVerdicts(t, "dry run", dry, verdicts...)
	if n, err := s.CountLicenses(t.Context(), store.LicenseFilter{}); n != 0 || err != nil {
		t.Errorf("%d licenses, %v, after a dry run", n, err)
	}
	got := importLicenses(t, s, batch...)
	wantVerdicts(t, "import", got, verdicts...)
	wantError(t, "orphan", got[2].Err, store.ErrNotFound)
	for _, i := range []int{3, 4, 7} {
		wantError(t, fmt.Sprintf("license %d", i), got[i].Err, store.ErrInvalid)
	}
	for _, want := range []store.ForeignLicense{active, ofDeleted, ready} {
		l, events, err := s.LicenseHistory(t.Context(), want.UUID)
		if err != nil {
			t.Fatal(err)
		}
		want.DeviceCount = min(len(want.Events), 2)
		if d := diff(l, want.License); d != "" {
			t.Errorf("license (-want +got):\n%s", d)
		}
		if d := diff(events, want.Events); d != "" {
			t.Errorf("history (-want +got):\n%s", d)
		}
	}
	wantVerdicts(t, "again", importLicenses(t, s, batch...),
		store.Unchanged, store.Unchanged, store.Refused, store.Refused, store.Refused, store.Gone, store.Unchanged, store.Refused)

	// The devices are registered, and life goes on.
	for device, wantRegistered := range map[string]bool{"one": true, "two": true, "three": false} {
		if _, _, err := s.ChangeLicense(t.Context(), active.UUID, device, func(l store.License, registered bool) (store.License, []store.Event, error) {
			if registered != wantRegistered {
				t.Errorf("device %s is registered: %t", device, registered)
			}
			return l, nil, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	_, events, err := s.ChangeLicense(t.Context(), active.UUID, "three", register("three"))
	if err != nil || len(events) != 5 || events[4].DeviceID != "three" {
		t.Errorf("history afterwards is %v, %v", events, err)
	}
	if found := all(t, s, store.LicenseFilter{DeviceID: "two"}, 10); len(found) != 2 {
		t.Errorf("licenses of the device two: %v", found)
	}
	types := []store.Count{{Name: "application/epub+zip", Count: 1}}
	now = epoch.Add(time.Minute)
	compareImported(t, s, now, types)
}

// compareImported is compareFigures, where some licenses have no user.
func compareImported(t *testing.T, s *store.Store, now time.Time, types []store.Count) {
	t.Helper()
	const nobody = "nobody in particular"
	var without []string
	if err := s.EachLicense(t.Context(), store.LicenseFilter{}, func(l store.License) error {
		if l.UserID == "" {
			without = append(without, l.UUID)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, id := range without {
		if _, err := s.UpdateLicense(t.Context(), id, "", func(l store.License, _ bool) (store.License, []store.Event, error) {
			l.UserID = nobody
			return l, nil, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	compareFigures(t, s, now, types...)
}

// A license that is on both servers is as the one has it that changed it last.
func testImportBesideChanges(t *testing.T, impl Implementation) {
	now := epoch
	s := at(t, impl.New(t).DSN, &now)
	importPublications(t, s, foreignPublication(1))
	touched, renewed, edited, dropped, erased := foreignLicense(1, uuid(1)), foreignLicense(2, uuid(1)), foreignLicense(3, uuid(1)),
		foreignLicense(4, uuid(1)), foreignLicense(5, uuid(1))
	batch := []store.ForeignLicense{touched, renewed, edited, dropped, erased}
	wantVerdicts(t, "import", importLicenses(t, s, batch...), slices.Repeat([]store.Verdict{store.Created}, len(batch))...)

	// Here one is used and one is deleted, and the file of the publication is
	// replaced, which is no change of a license.
	if _, err := s.UpdateLicense(t.Context(), touched.UUID, "", func(l store.License, _ bool) (store.License, []store.Event, error) {
		l.StatusUpdated = now
		return l, []store.Event{{Type: "register", DeviceID: "three", At: now}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteLicense(t.Context(), erased.UUID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UpdatePublication(t.Context(), uuid(1), func(p store.Publication) (store.Publication, error) {
		p.Checksum = "another"
		return p, nil
	}); err != nil {
		t.Fatal(err)
	}

	// There all are changed, the first of them before it was here.
	for i := range batch {
		b := &batch[i]
		b.End = b.End.AddDate(0, 1, 0)
		b.Profile, b.PlayDuration = "http://readium.org/lcp/profile-1.0", ""
		b.Changed = b.Issued.AddDate(0, 2, 0)
	}
	batch[1].Status, batch[1].UserID = "returned", "somebody else"
	batch[1].Events = append(slices.Clone(renewed.Events), store.Event{Type: "return", DeviceID: "two", At: batch[1].Changed})
	batch[3].Deleted = true
	wantVerdicts(t, "changed there", importLicenses(t, s, batch...), store.Kept, store.Updated, store.Updated, store.Updated, store.Kept)
	wantVerdicts(t, "again", importLicenses(t, s, batch...), store.Kept, store.Unchanged, store.Unchanged, store.Gone, store.Kept)

	l, events, err := s.LicenseHistory(t.Context(), renewed.UUID)
	if err != nil || l.Status != "returned" || l.UserID != "somebody else" || len(events) != 5 || l.DeviceCount != 2 || l.Profile != renewed.Profile {
		t.Errorf("license is %+v, %v, %v", l, events, err)
	}
	l, events, err = s.LicenseHistory(t.Context(), touched.UUID)
	if err != nil || l.DeviceCount != 3 || !l.End.Equal(touched.End) || len(events) != 5 {
		t.Errorf("license that was used here is %+v, %v, %v", l, events, err)
	}
	for _, id := range []string{dropped.UUID, erased.UUID} {
		if _, err := s.License(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("license %s: %v, want ErrNotFound", id, err)
		}
	}
	compareImported(t, s, now, []store.Count{{Name: "application/epub+zip", Count: 1}})
}

// Two imports at a time, which is one too many, beside the usual work of a server,
// lose nothing and count right.
func testManyImports(t *testing.T, impl Implementation) {
	now := epoch
	s := at(t, impl.New(t).DSN, &now)
	const publications, licenses = 230, 1130
	var books []store.Publication
	for n := range publications {
		p := foreignPublication(n)
		p.Description = ""
		books = append(books, p)
	}
	importPublications(t, s, books...)
	var all []store.ForeignLicense
	for n := range licenses {
		f := foreignLicense(n, uuid(n%publications))
		f.Issued, f.UserID = epoch.AddDate(0, 0, -n%300), fmt.Sprintf("user-%d", n%97)
		f.Events = f.Events[:n%len(f.Events)]
		all = append(all, f)
	}
	inParallel(t, func(ctx context.Context, n int) error {
		if n >= 2 {
			own := license(10_000+n, uuid(n))
			if _, err := s.CreateLicense(ctx, own); err != nil {
				return err
			}
			_, err := s.UpdateLicense(ctx, own.UUID, "", register("own"))
			return err
		}
		for part := range slices.Chunk(all, 190) {
			if _, err := s.ImportLicenses(ctx, part, false); err != nil {
				return err
			}
		}
		return nil
	})
	got := importLicenses(t, s, all...)
	if i := slices.IndexFunc(got, func(i store.Import) bool { return i.Verdict != store.Unchanged }); i >= 0 {
		t.Errorf("license %d: %v", i, got[i])
	}
	_, events, err := s.LicenseHistory(t.Context(), all[licenses-1].UUID)
	if d := diff(events, all[licenses-1].Events); d != "" || err != nil {
		t.Errorf("history (-want +got):\n%s\n%v", d, err)
	}
	if events[0].Type != status.EventRegister {
		t.Errorf("first event is %v", events[0])
	}
	compareFigures(t, s, now, store.Count{Name: "application/epub+zip", Count: publications})
}
