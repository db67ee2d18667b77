package legacy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/keyring"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/legacy"
	"github.com/lcp-tools/lcp/pkg/legacy/legacytest"
	"github.com/lcp-tools/lcp/pkg/store"
	"github.com/lcp-tools/lcp/pkg/store/storetest"
)

const basic = "http://readium.org/lcp/basic-profile"

// Identifiers of the n-th publication and license of the scripts.
func book(n int) string { return fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", n) }
func loan(n int) string { return fmt.Sprintf("bbbbbbbb-0000-4000-8000-%012d", n) }

// day returns an instant of 2026 in the scripts.
func day(month time.Month, d, hour int) time.Time {
	return time.Date(2026, month, d, hour, 0, 0, 0, time.UTC)
}

// servers are the database servers that tests have started.
var servers sync.Map

func TestMain(m *testing.M) {
	code := m.Run()
	servers.Range(func(_, s any) bool {
		if err := s.(*storetest.Server).Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		return true
	})
	os.Exit(code)
}

var starting sync.Mutex

// database makes an empty database, or skips the test, and returns how sql.Open
// and how the store call it.
func database(t *testing.T, kind string) (driver, source, dsn string) {
	t.Helper()
	if kind == "sqlite" {
		path := filepath.Join(t.TempDir(), "other.db")
		return "sqlite", path, path
	}
	starting.Lock()
	defer starting.Unlock()
	s, ok := servers.Load(kind)
	if !ok {
		started, err := storetest.Start(context.Background(), kind)
		if errors.Is(err, storetest.ErrNoServer) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		s = started
		servers.Store(kind, s)
	}
	dsn = s.(*storetest.Server).Database(t).DSN
	if rest, ok := strings.CutPrefix(dsn, "mysql://"); ok {
		return "mysql", rest, dsn
	}
	return "pgx", dsn, dsn
}

// create makes a database with what scripts put there, and opens it.
func create(t *testing.T, kind string, scripts ...string) *store.Foreign {
	t.Helper()
	driver, source, dsn := database(t, kind)
	for _, script := range scripts {
		if err := legacytest.Create(t.Context(), driver, source, script); err != nil {
			t.Fatal(err)
		}
	}
	f, err := store.OpenForeign(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// target is an empty store.
func target(t *testing.T) *store.Store {
	t.Helper()
	k, err := keyring.New(keyring.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{
		DSN: filepath.Join(t.TempDir(), "lcp.db"), Keyring: k, Migrate: true, Bulk: true,
		Now: func() time.Time { return day(6, 1, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// run imports, with changes to what is asked for.
func run(t *testing.T, s *store.Store, source *legacy.Source, change func(*legacy.Import)) (legacy.Summary, []legacy.Record) {
	t.Helper()
	var records []legacy.Record
	im := legacy.Import{
		Source: source, Store: s, Profile: func() (string, error) { return basic, nil }, Progress: func(legacy.Summary) {},
		Each: func(r legacy.Record) error {
			records = append(records, r)
			return nil
		},
	}
	if change != nil {
		change(&im)
	}
	sum, err := im.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sum, records
}

func open(t *testing.T, records, status *store.Foreign) *legacy.Source {
	t.Helper()
	source, err := legacy.Open(t.Context(), records, status)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b lcpcrypto.ContentKey) bool { return a == b })); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

var v2Failures = []legacy.Record{
	{Type: "publication", ID: book(5), Result: legacy.Failed, Error: "encryption_key is not a content key of 32 bytes"},
	{Type: "license", ID: loan(8), Result: legacy.Failed, Error: `status "asleep" is not known`},
	{Type: "license", ID: loan(4), Result: legacy.Incomplete, Lost: []string{
		"event 6: device_id is missing: a registration names a device", `event 7: type "slept" is not known`,
	}},
	{Type: "license", ID: loan(9), Result: legacy.Failed, Error: `publication "` + book(5) + `": not found`},
	{Type: "license", ID: loan(10), Result: legacy.Failed, Error: "invalid value: issued is missing"},
}

func TestV2(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"sqlite", "postgres", "mariadb"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			source, s := open(t, create(t, kind, legacytest.V2), nil), target(t)
			if publications, licenses, err := source.Count(t.Context()); publications != 6 || licenses != 10 || err != nil {
				t.Errorf("Count = %d, %d, %v", publications, licenses, err)
			}
			want := legacy.Summary{
				Publications: legacy.Tally{Created: 5, Failed: 1},
				Licenses:     legacy.Tally{Created: 6, Gone: 1, Failed: 3, Incomplete: 1},
				Unaddressed:  1, Unmeasured: 1, Recounted: 1,
			}
			sum, records := run(t, s, source, func(im *legacy.Import) { im.DryRun = true })
			equal(t, "dry run", sum, want)
			equal(t, "records of a dry run", records, v2Failures)
			sum, records = run(t, s, source, nil)
			equal(t, "summary", sum, want)
			equal(t, "records", records, v2Failures)
			checkV2(t, s)

			sum, records = run(t, s, source, nil)
			equal(t, "summary of a second run", sum, legacy.Summary{
				Publications: legacy.Tally{Unchanged: 5, Failed: 1},
				Licenses:     legacy.Tally{Unchanged: 6, Gone: 1, Failed: 3, Incomplete: 1},
			})
			equal(t, "records of a second run", records, v2Failures)
		})
	}
}

// checkV2 looks at what is there after an import.
func checkV2(t *testing.T, s *store.Store) {
	t.Helper()
	whale, err := s.Publication(t.Context(), book(1))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "publication", whale, store.Publication{
		UUID: book(1), AltID: "moby-dick", Provider: "https://provider.example.org", Title: "Moby-Dick; or, The Whale", Description: "A sea story",
		Authors: []string{"Herman Melville", "Ishmael"}, Publishers: []string{"Harper & Brothers"}, ContentType: "application/epub+zip",
		Href: "https://cdn.example.org/moby%20dick.epub", CoverURL: "https://cdn.example.org/moby%20dick.jpg", Size: 769257,
		Checksum: "edce32ca54c36aa73da9075098fc592fa29ff3e12406d1442544535d99dc1b87", ContentKey: legacytest.Key(1),
		CreatedAt: day(1, 10, 9).Add(123 * time.Millisecond), UpdatedAt: day(1, 11, 9),
	})
	deleted, err := s.AnyPublication(t.Context(), book(2))
	if err != nil || !deleted.DeletedAt.Equal(day(2, 1, 0)) || deleted.Checksum != "edce0eca54c36aa73da9075098fc592fa29ff3e12406d1442544535d99dc1b87" {
		t.Errorf("deleted publication: %+v, %v", deleted, err)
	}
	if p, err := s.PublicationByAltID(t.Context(), "twin"); err != nil || p.UUID != book(4) {
		t.Errorf("twin is %s, %v, want the newer one", p.UUID, err)
	}
	none, pages := int64(0), int64(20)
	for _, want := range []struct {
		license store.License
		events  []store.Event
	}{
		{store.License{
			UUID: loan(1), PublicationUUID: book(1), UserID: "reader@example.org", Status: "ready", Issued: day(2, 1, 10).Add(750 * time.Millisecond),
		}, nil},
		{store.License{
			UUID: loan(2), PublicationUUID: book(1), UserID: "u2", Status: "active", Issued: day(2, 1, 10).Add(750 * time.Millisecond), Updated: day(2, 3, 10),
			Start: day(2, 1, 0), End: day(3, 1, 0).AddDate(5, 0, 0), MaxEnd: day(5, 1, 0).AddDate(5, 0, 0), Copy: &none, Print: &pages,
			StatusUpdated: day(2, 2, 10), DeviceCount: 2,
		}, []store.Event{
			{Type: "register", DeviceID: "device-1", DeviceName: "Thorium on Ada's laptop", At: day(2, 2, 10)},
			{Type: "register", DeviceID: "device-2", DeviceName: string([]rune(legacytest.LongName)[:255]), At: day(2, 2, 12)},
			{Type: "renew", DeviceID: "device-1", DeviceName: "Thorium", At: day(2, 3, 10)},
		}},
		{store.License{
			UUID: loan(4), PublicationUUID: book(3), UserID: "u4", Status: "revoked", Issued: day(2, 1, 10), Updated: day(2, 5, 10),
			End: day(2, 5, 10), StatusUpdated: day(2, 5, 10),
		}, []store.Event{{Type: "revoke", DeviceID: "admin", DeviceName: "system", At: day(2, 5, 10)}}},
		{store.License{ // its dates of change were cut to seconds
			UUID: loan(5), PublicationUUID: book(4), UserID: "u5", Status: "cancelled", Issued: day(2, 6, 10).Add(750 * time.Millisecond),
			Updated: day(2, 6, 10).Add(750 * time.Millisecond), StatusUpdated: day(2, 6, 10).Add(750 * time.Millisecond), End: day(2, 6, 10),
		}, []store.Event{{Type: "cancel", DeviceID: "admin", DeviceName: "system", At: day(2, 6, 10)}}},
	} {
		want.license.Provider, want.license.Profile = "https://provider.example.org", basic
		got, events, err := s.LicenseHistory(t.Context(), want.license.UUID)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "license", got, want.license)
		equal(t, "events", events, want.events)
	}
	for n, status := range map[int]string{3: "returned", 6: "expired"} {
		if l, err := s.License(t.Context(), loan(n)); err != nil || l.Status != status {
			t.Errorf("license %d is %q, %v, want %s", n, l.Status, err, status)
		}
	}
	if _, err := s.License(t.Context(), loan(7)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("license that was deleted: %v", err)
	}
}

// The tables of earlier versions lack columns, or call them differently.
func TestV2Early(t *testing.T) {
	t.Parallel()
	s := target(t)
	sum, records := run(t, s, open(t, create(t, "sqlite", legacytest.V2Early), nil), nil)
	equal(t, "summary", sum, legacy.Summary{Publications: legacy.Tally{Created: 1}, Licenses: legacy.Tally{Created: 1}})
	equal(t, "records", records, []legacy.Record(nil))
	p, err := s.Publication(t.Context(), book(1))
	if err != nil || p.Href != "https://cdn.example.org/1.epub" || p.Provider != "https://provider.example.org" {
		t.Errorf("publication %+v, %v", p, err)
	}
}

func TestV1(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"sqlite", "postgres", "mariadb"} {
		for _, apart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s apart %t", kind, apart), func(t *testing.T) {
				t.Parallel()
				var source *legacy.Source
				if apart {
					source = open(t, create(t, kind, legacytest.V1LCP), create(t, kind, legacytest.V1LSD))
				} else {
					source = open(t, create(t, kind, legacytest.V1LCP, legacytest.V1LSD), nil)
				}
				s := target(t)
				sum, records := run(t, s, source, func(im *legacy.Import) { im.BaseURL = "https://lcp.example.org/contents/" })
				equal(t, "summary", sum, legacy.Summary{
					Publications: legacy.Tally{Created: 3}, Licenses: legacy.Tally{Created: 5, Failed: 2},
					Untitled: 3, Unmeasured: 1, Unseen: 1,
				})
				equal(t, "records", records, []legacy.Record{
					{Type: "license", ID: loan(7), Result: legacy.Failed, Error: "status 3 is not known"},
					{Type: "license", ID: loan(6), Result: legacy.Failed, Error: `publication "` + book(77) + `": not found`},
				})
				checkV1(t, s)
				sum, _ = run(t, s, source, func(im *legacy.Import) { im.BaseURL = "https://lcp.example.org/contents" })
				equal(t, "summary of a second run", sum, legacy.Summary{
					Publications: legacy.Tally{Unchanged: 3}, Licenses: legacy.Tally{Unchanged: 5, Failed: 2},
				})
			})
		}
	}
}

func checkV1(t *testing.T, s *store.Store) {
	t.Helper()
	p, err := s.Publication(t.Context(), book(1))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "publication", p, store.Publication{
		UUID: book(1), ContentType: "application/epub+zip", Href: "https://lcp.example.org/contents/AAAAAAAA-0000-4000-8000-000000000001", Size: 10,
		Checksum: "edce32ca54c36aa73da9075098fc592fa29ff3e12406d1442544535d99dc1b87", ContentKey: legacytest.Key(1),
		CreatedAt: day(6, 1, 0), UpdatedAt: day(6, 1, 0),
	})
	old := func(t time.Time) time.Time { return t.AddDate(-6, 0, 0) }
	none, pages := int64(0), int64(20)
	l, events, err := s.LicenseHistory(t.Context(), loan(2))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "license", l, store.License{
		UUID: loan(2), PublicationUUID: book(2), UserID: "u2", Provider: "https://provider.example.org", Profile: basic, Status: "active",
		Issued: old(day(2, 2, 10)), Updated: old(day(2, 3, 10)).Add(time.Second), StatusUpdated: old(day(2, 3, 10)).Add(time.Second),
		Start: old(day(2, 1, 0)), End: day(3, 1, 0).AddDate(5, 0, 0), MaxEnd: day(5, 1, 0).AddDate(5, 0, 0), Copy: &none, Print: &pages, DeviceCount: 1,
	})
	equal(t, "events", events, []store.Event{
		{Type: "register", DeviceID: "device-1", DeviceName: "Thorium", At: old(day(2, 2, 11))},
		{Type: "renew", DeviceID: "device-1", DeviceName: "Thorium", At: old(day(2, 3, 10)).Add(time.Second)},
	})
	for n, want := range map[int]string{9: "ready", 3: "returned", 4: "cancelled", 5: "ready"} {
		l, err := s.License(t.Context(), loan(n))
		if err != nil || l.Status != want || !l.Updated.IsZero() && l.Updated.Equal(l.Issued) || l.Copy != nil {
			t.Errorf("license %d is %+v, %v, want %s", n, l, err, want)
		}
	}
	list, _, err := s.Licenses(t.Context(), store.LicenseFilter{}, store.Page{Limit: 1})
	if err != nil || list[0].UUID != loan(5) {
		t.Errorf("the first of the list is %v, %v, want the license issued last", list, err)
	}
}

// What is no database of a license server, or only half of one, is refused.
func TestOpen(t *testing.T) {
	t.Parallel()
	own := filepath.Join(t.TempDir(), "lcp.db")
	k, err := keyring.New(keyring.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{DSN: own, Keyring: k, Now: time.Now, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ours, err := store.OpenForeign(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	blank := filepath.Join(t.TempDir(), "blank.db")
	if err := os.WriteFile(blank, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	anything, err := store.OpenForeign(t.Context(), blank)
	if err != nil {
		t.Fatal(err)
	}
	defer anything.Close()
	lcp, lsd, v2 := create(t, "sqlite", legacytest.V1LCP), create(t, "sqlite", legacytest.V1LSD), create(t, "sqlite", legacytest.V2)
	for name, test := range map[string]struct {
		records, status *store.Foreign
		want            string
	}{
		"our own":         {ours, nil, "is one of lcp itself"},
		"no status":       {lcp, nil, "--status-from"},
		"status only":     {lsd, nil, "--status-from"},
		"wrong status":    {lcp, v2, "has no table license_status"},
		"status beside 2": {v2, lsd, "has no status server"},
		"anything":        {anything, nil, "has the tables neither"},
	} {
		if _, err := legacy.Open(t.Context(), test.records, test.status); !errors.Is(err, legacy.ErrSource) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: Open = %v, want ErrSource with %q", name, err, test.want)
		}
	}
}

// An import that is stopped can be started again.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	source, s := open(t, create(t, "sqlite", legacytest.V2), nil), target(t)
	stop := errors.New("enough")
	im := legacy.Import{
		Source: source, Store: s, Profile: func() (string, error) { return basic, nil }, Progress: func(legacy.Summary) {},
		Each: func(r legacy.Record) error {
			if r.Type == "license" {
				return stop
			}
			return nil
		},
	}
	if sum, err := im.Run(t.Context()); !errors.Is(err, stop) || sum.Publications.Created != 5 {
		t.Errorf("Run = %+v, %v", sum, err)
	}
	sum, _ := run(t, s, source, nil)
	if sum.Publications.Unchanged != 5 || sum.Licenses.Done() != 7 {
		t.Errorf("after a stop: %+v", sum)
	}
	checkV2(t, s)
}
