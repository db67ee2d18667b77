package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
)

// at opens a database with a clock that the test sets.
func at(t *testing.T, dsn string, now *time.Time) *store.Store {
	t.Helper()
	o, err := options(dsn, masterKey)
	if err != nil {
		t.Fatal(err)
	}
	o.Now = func() time.Time { return *now }
	return openOptions(t, o)
}

// all returns the UUIDs of the licenses that a filter lists, page after page.
func all(t *testing.T, s *store.Store, f store.LicenseFilter, limit int) []string {
	t.Helper()
	var got []string
	page := store.Page{Limit: limit}
	for more := true; more; more = page.After != 0 {
		list, next, err := s.Licenses(t.Context(), f, page)
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		for _, l := range list {
			got = append(got, l.UUID)
		}
		page.After = next
	}
	return got
}

// change sets a status and adds an event for it.
func change(to string) func(store.License, bool) (store.License, []store.Event, error) {
	return func(l store.License, _ bool) (store.License, []store.Event, error) {
		l.Status = to
		return l, []store.Event{{Type: to, At: epoch}}, nil
	}
}

func testReplacement(t *testing.T, impl Implementation) {
	now := epoch
	s := at(t, impl.New(t).DSN, &now)
	ctx := t.Context()
	p := mustCreate(t, s, publication(1))
	mustCreate(t, s, publication(2))
	ready, active, revoked := license(1, p.UUID), license(2, p.UUID), license(3, p.UUID)
	active.Status, revoked.Status = "active", "revoked"
	other := license(4, uuid(2))
	for _, l := range []store.License{ready, active, revoked, other} {
		mustLicense(t, s, l)
	}
	replace := func(what string, change func(*store.Publication)) time.Time {
		t.Helper()
		now = now.Add(time.Hour)
		if _, err := s.UpdatePublication(ctx, p.UUID, func(p store.Publication) (store.Publication, error) {
			change(&p)
			return p, nil
		}); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return now
	}
	wantTimes := func(what string, uuid string, updated, statusUpdated time.Time) {
		t.Helper()
		l, err := s.License(ctx, uuid)
		h, _, err2 := s.LicenseHistory(ctx, uuid)
		list, _, err3 := s.Licenses(ctx, store.LicenseFilter{UserID: l.UserID}, store.Page{Limit: 10})
		if err := errors.Join(err, err2, err3); err != nil {
			t.Fatal(err)
		}
		list = slices.DeleteFunc(list, func(l store.License) bool { return l.UUID != uuid })
		for _, got := range []store.License{l, h, list[0]} {
			if !got.Updated.Equal(updated) || !got.StatusUpdated.Equal(statusUpdated) {
				t.Errorf("%s: updated %v, status %v, want %v and %v", what, got.Updated, got.StatusUpdated, updated, statusUpdated)
			}
		}
	}
	replace("title", func(p *store.Publication) { p.Title = "Another" })
	wantTimes("another title", ready.UUID, time.Time{}, epoch)

	first := replace("checksum", func(p *store.Publication) { p.Checksum = "another" })
	wantTimes("replaced, ready", ready.UUID, first, first)
	wantTimes("replaced, active", active.UUID, first, first)
	wantTimes("replaced, revoked", revoked.UUID, time.Time{}, epoch)
	wantTimes("another publication", other.UUID, time.Time{}, epoch)

	// In the same instant again: the time has to move all the same.
	if _, _, err := s.SavePublication(ctx, publication(1)); err != nil {
		t.Fatal(err)
	}
	wantTimes("saved in the same instant", ready.UUID, first.Add(time.Millisecond), first.Add(time.Millisecond))

	second := replace("href", func(p *store.Publication) { p.Href = "https://elsewhere.example.org" })
	fresh := license(5, p.UUID)
	fresh.Issued, fresh.StatusUpdated = now, now
	mustLicense(t, s, fresh)
	wantTimes("issued afterwards", fresh.UUID, time.Time{}, now)

	// A change sees the time, and writes it down or a later one.
	later := second.Add(time.Second)
	_, err := s.UpdateLicense(ctx, active.UUID, "", func(l store.License, _ bool) (store.License, []store.Event, error) {
		if !l.Updated.Equal(second) {
			t.Errorf("change sees %v, want %v", l.Updated, second)
		}
		l.Status, l.Updated, l.StatusUpdated = "returned", later, later
		return l, nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantTimes("changed afterwards", active.UUID, later, later)
}

func testSeenStatus(t *testing.T, impl Implementation) {
	now := epoch
	s := at(t, impl.New(t).DSN, &now)
	mustCreate(t, s, publication(1))
	states := []string{"ready", "active", "revoked", "expired"}
	ends := []time.Duration{0, time.Hour, 2 * time.Hour, 24 * time.Hour, 25 * time.Hour, 500 * time.Hour}
	licenses := make([]store.License, 0, len(states)*len(ends))
	for n := range cap(licenses) {
		l := license(n, uuid(1))
		l.Status, l.End, l.MaxEnd = states[n%len(states)], time.Time{}, time.Time{}
		if end := ends[n/len(states)]; end > 0 {
			l.End = epoch.Add(end)
		}
		licenses = append(licenses, mustLicense(t, s, l))
	}
	for _, passed := range []time.Duration{0, time.Hour, time.Hour + time.Millisecond, 12 * time.Hour, 24*time.Hour + 1, 30 * time.Hour, 9999 * time.Hour} {
		now = epoch.Add(passed)
		want := make(map[string][]string)
		for _, l := range slices.Backward(licenses) {
			seen := l.Status
			if (seen == "ready" || seen == "active") && !l.End.IsZero() && now.Truncate(time.Millisecond).After(l.End) {
				seen = "expired"
			}
			want[seen] = append(want[seen], l.UUID)
		}
		for _, state := range states {
			f := store.LicenseFilter{Status: state}
			if got := all(t, s, f, 4); !slices.Equal(got, want[state]) {
				t.Errorf("after %v: %s are %v, want %v", passed, state, got, want[state])
			}
			if n, err := s.CountLicenses(t.Context(), f); err != nil || n != int64(len(want[state])) {
				t.Errorf("after %v: %d are %s, %v, want %d", passed, n, state, err, len(want[state]))
			}
			f.PublicationUUID = uuid(1)
			if n, err := s.CountLicenses(t.Context(), f); err != nil || n != int64(len(want[state])) {
				t.Errorf("after %v: %d of the publication are %s, %v, want %d", passed, n, state, err, len(want[state]))
			}
		}
	}
}

func testHistory(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	ctx := t.Context()
	mustCreate(t, s, publication(1))
	l := mustLicense(t, s, license(1, uuid(1)))
	got, events, err := s.LicenseHistory(ctx, l.UUID)
	if err != nil || events != nil || diff(got, l) != "" {
		t.Errorf("history of a new license = %v, %v, %s", events, err, diff(got, l))
	}
	var want []store.Event
	for _, device := range []string{"a", "b"} {
		want = append(want, store.Event{Type: status.EventRegister, DeviceID: device, DeviceName: "Device " + device, At: epoch})
		got, events, err = s.ChangeLicense(ctx, l.UUID, device, register(device))
		if err != nil || diff(events, want) != "" || got.DeviceCount != len(want) {
			t.Errorf("register %s: %d devices, %v, events (-want +got):\n%s", device, got.DeviceCount, err, diff(events, want))
		}
	}
	// Nothing changed: the clock of the record stands still.
	calls := 0
	same, events, err := s.ChangeLicense(ctx, l.UUID, "a", func(l store.License, registered bool) (store.License, []store.Event, error) {
		calls++
		if !registered {
			t.Error("device a is not registered")
		}
		limit := *l.Copy // the same number elsewhere is no change
		l.Copy = &limit
		return l, nil, nil
	})
	if err != nil || calls != 1 || diff(same, got) != "" || diff(events, want) != "" {
		t.Errorf("no change: %d calls, %v, %s, %s", calls, err, diff(same, got), diff(events, want))
	}
	many := make([]store.Event, 1200)
	for i := range many {
		many[i] = store.Event{Type: "renew", DeviceID: strconv.Itoa(i), At: epoch.Add(time.Duration(i) * time.Second)}
	}
	_, events, err = s.ChangeLicense(ctx, l.UUID, "", func(l store.License, _ bool) (store.License, []store.Event, error) {
		return l, many, nil
	})
	if err != nil || diff(events, many[200:]) != "" {
		t.Errorf("last thousand after a change: %d, %v", len(events), err)
	}
	if _, events, err = s.LicenseHistory(ctx, l.UUID); err != nil || diff(events, many[200:]) != "" {
		t.Errorf("last thousand: %d, %v", len(events), err)
	}
	_, _, err = s.LicenseHistory(ctx, "nothing")
	wantError(t, "unknown", err, store.ErrNotFound)
	_, err = s.UpdateLicense(ctx, l.UUID, "", func(l store.License, _ bool) (store.License, []store.Event, error) {
		l.PublicationUUID = uuid(9)
		return l, nil, nil
	})
	wantError(t, "unknown publication", err, store.ErrNotFound)
}

func testDeleteLicense(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	ctx := t.Context()
	mustCreate(t, s, publication(1))
	kept := mustLicense(t, s, license(1, uuid(1)))
	l := mustLicense(t, s, license(4, uuid(1))) // of the same user
	want, err := s.UpdateLicense(ctx, l.UUID, "", register("a"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.DeleteLicense(ctx, l.UUID)
	if err != nil || diff(got, want) != "" {
		t.Errorf("deleted: %v, (-want +got):\n%s", err, diff(got, want))
	}
	_, err = s.License(ctx, l.UUID)
	wantError(t, "get", err, store.ErrNotFound)
	_, _, err = s.LicenseHistory(ctx, l.UUID)
	wantError(t, "history", err, store.ErrNotFound)
	_, err = s.UpdateLicense(ctx, l.UUID, "", register("b"))
	wantError(t, "change", err, store.ErrNotFound)
	_, err = s.DeleteLicense(ctx, l.UUID)
	wantError(t, "delete again", err, store.ErrNotFound)
	if events, err := s.Events(ctx, l.UUID); err != nil || events != nil {
		t.Errorf("events = %v, %v", events, err)
	}
	for name, f := range map[string]store.LicenseFilter{
		"all": {}, "user": {UserID: l.UserID}, "publication": {PublicationUUID: uuid(1)}, "device": {DeviceID: "a"},
		"status": {Status: "active"}, "devices": {CountDevices: true, MinDevices: 1},
	} {
		if got := all(t, s, f, 10); slices.Contains(got, l.UUID) {
			t.Errorf("%s: deleted license is listed", name)
		}
		if n, err := s.CountLicenses(ctx, f); err != nil || n != int64(len(all(t, s, f, 10))) {
			t.Errorf("%s: %d licenses, %v", name, n, err)
		}
	}
	_, err = s.CreateLicense(ctx, license(4, uuid(1)))
	wantTaken(t, "create again", err, "uuid", l.UUID)
	if _, err := s.License(ctx, kept.UUID); err != nil {
		t.Error(err)
	}
	next := mustLicense(t, s, license(7, uuid(1)))
	if _, events, err := s.LicenseHistory(ctx, next.UUID); err != nil || events != nil {
		t.Errorf("the license after a deleted one has the history %v, %v", events, err)
	}
	if got, err := s.UpdateLicense(ctx, next.UUID, "a", register("a")); err != nil || got.DeviceCount != 1 {
		t.Errorf("the license after a deleted one has %d devices, %v", got.DeviceCount, err)
	}
}

func testEachLicense(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	ctx := t.Context()
	mustCreate(t, s, publication(1))
	const count = 600 // more than a batch
	if err := parallel(ctx, count, func(ctx context.Context, n int) error {
		l := license(n, uuid(1))
		l.Issued = epoch.Add(time.Duration(n) * time.Hour)
		_, err := s.CreateLicense(ctx, l)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]store.LicenseFilter{
		"all": {}, "none": {UserID: "nobody"}, "user": {UserID: "user-1"},
		"days":  {IssuedFrom: epoch.AddDate(0, 0, 2), IssuedBefore: epoch.AddDate(0, 0, 12)},
		"hours": {IssuedFrom: epoch.Add(90 * time.Minute), IssuedBefore: epoch.Add(400*time.Hour + 1), Status: "ready"},
		"since": {IssuedFrom: epoch.Add(500 * time.Hour)},
	} {
		want := all(t, s, f, 1000)
		var got []string
		if err := s.EachLicense(ctx, f, func(l store.License) error {
			if l.PublicationTitle != publication(1).Title {
				t.Errorf("%s: title %q", name, l.PublicationTitle)
			}
			got = append(got, l.UUID)
			return nil
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Equal(got, want) || len(got) == 0 && name != "none" {
			t.Errorf("%s: %d licenses, want %d", name, len(got), len(want))
		}
		if n, err := s.CountLicenses(ctx, f); err != nil || n != int64(len(want)) {
			t.Errorf("%s: %d licenses, %v, want %d", name, n, err, len(want))
		}
	}
	if n, err := s.CountLicenses(ctx, store.LicenseFilter{IssuedFrom: epoch.Add(90 * time.Minute), IssuedBefore: epoch.Add(400*time.Hour + 1)}); err != nil || n != 399 {
		t.Errorf("%d licenses of 399 hours, %v", n, err)
	}
	enough := errors.New("enough")
	calls := 0
	wantError(t, "stopped", s.EachLicense(ctx, store.LicenseFilter{}, func(store.License) error {
		calls++
		return enough
	}), enough)
	if calls != 1 {
		t.Errorf("%d calls, want 1", calls)
	}
}

// testFigures compares what counters tell with what lists tell, after a random
// life of many licenses.
func testFigures(t *testing.T, impl Implementation) {
	now := epoch
	s := at(t, impl.New(t).DSN, &now)
	ctx := t.Context()
	const publications, licenses = 6, 120
	for n := range publications {
		p := publication(n)
		p.ContentType = []string{"application/epub+zip", "application/pdf+lcp"}[n%2]
		p.Provider = providerOf(n)
		mustCreate(t, s, p)
	}
	random := rand.New(rand.NewPCG(3, 5)) //nolint:gosec // the same life each time
	for n := range licenses {
		l := license(n, uuid(n%publications))
		l.UserID, l.Provider = fmt.Sprintf("user-%d", n%17), providerOf(n)
		l.Issued = epoch.AddDate(0, 0, -random.IntN(500))
		l.End = time.Time{}
		if n%3 > 0 {
			l.End = epoch.Add(time.Duration(random.IntN(200)-100) * time.Hour)
		}
		mustLicense(t, s, l)
		for range random.IntN(4) {
			move := register(strconv.Itoa(random.IntN(12)))
			switch random.IntN(8) {
			case 0:
				move = change([]string{"returned", "revoked", "cancelled"}[random.IntN(3)])
			case 1:
				move = func(l store.License, _ bool) (store.License, []store.Event, error) {
					l.End, l.UserID = epoch.AddDate(0, 0, random.IntN(9)), fmt.Sprintf("user-%d", random.IntN(20))
					return l, nil, nil
				}
			}
			if _, err := s.UpdateLicense(ctx, l.UUID, "", move); err != nil {
				t.Fatal(err)
			}
		}
		if n%13 == 0 {
			if _, err := s.DeleteLicense(ctx, l.UUID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.DeletePublication(ctx, uuid(3)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UpdatePublication(ctx, uuid(4), func(p store.Publication) (store.Publication, error) {
		p.ContentType = "application/divina+lcp"
		return p, nil
	}); err != nil {
		t.Fatal(err)
	}
	now = epoch.Add(time.Minute)
	compareFigures(t, s, now, store.Count{Name: "application/epub+zip", Count: 2}, store.Count{Name: "application/pdf+lcp", Count: 2},
		store.Count{Name: "application/divina+lcp", Count: 1})
	compareProviders(t, s, now)
	for _, f := range []store.LicenseFilter{
		{},
		{Provider: providerOf(1)},
		{Provider: providerOf(2), Status: "expired"},
		{Provider: providerOf(0), CountDevices: true, MinDevices: 3},
		{Provider: providerOf(1), IssuedFrom: epoch.AddDate(0, -2, 0), IssuedBefore: epoch.AddDate(0, -1, 0)},
		{Provider: "nobody"},
		{UserID: "user-3"},
		{Status: "ready"},
		{Status: "active"},
		{Status: "expired"},
		{Status: "returned"},
		{Status: "revoked"},
		{CountDevices: true},
		{CountDevices: true, MinDevices: 1, MaxDevices: 2},
		{CountDevices: true, MinDevices: 3},
		{CountDevices: true, MinDevices: 3, MaxDevices: 4, Status: "active"},
		{CountDevices: true, MinDevices: 1, IssuedFrom: epoch.AddDate(-1, 0, 0)},
		{IssuedFrom: epoch.AddDate(0, -2, 0), IssuedBefore: epoch.AddDate(0, -1, 0)},
		{PublicationUUID: uuid(1), Status: "expired"},
		{IssuedBefore: epoch.Truncate(24*time.Hour).AddDate(0, -3, 0)},
		{Status: "revoked", PublicationUUID: uuid(1), UserID: "user-1"},
	} {
		list := all(t, s, f, 7)
		if n, err := s.CountLicenses(ctx, f); err != nil || n != int64(len(list)) {
			t.Errorf("%+v: CountLicenses = %d, %v, but %d are listed", f, n, err, len(list))
		}
	}
}

// providerOf returns the URI of one of three providers.
func providerOf(n int) string { return fmt.Sprintf("https://%d.example", n%3) }

// compareProviders compares the figures of providers with what is listed, and
// with one another.
func compareProviders(t *testing.T, s *store.Store, now time.Time) {
	t.Helper()
	whole, err := s.Figures(t.Context(), now, store.LicenseFilter{CountDevices: true, MinDevices: 2})
	if err != nil {
		t.Fatal(err)
	}
	var sum store.Figures
	days, statuses := make([]store.Day, len(whole.Days)), map[string]int64{}
	for n := range 3 {
		f := store.LicenseFilter{Provider: providerOf(n), CountDevices: true, MinDevices: 2}
		got, err := s.Figures(t.Context(), now, f)
		if err != nil {
			t.Fatal(err)
		}
		sum.Publications += got.Publications
		sum.Licenses += got.Licenses
		sum.Overshared += got.Overshared
		for i, d := range got.Days {
			days[i].Day, days[i].Issued, days[i].Used = d.Day, days[i].Issued+d.Issued, days[i].Used+d.Used
		}
		for _, c := range got.Statuses {
			statuses[c.Name] += c.Count
		}
		users := map[string]bool{}
		var oldest time.Time
		if err := s.EachLicense(t.Context(), store.LicenseFilter{Provider: f.Provider}, func(l store.License) error {
			if l.Provider != f.Provider {
				t.Errorf("license of %s among those of %s", l.Provider, f.Provider)
			}
			users[l.UserID] = true
			if oldest.IsZero() || l.Issued.Before(oldest) {
				oldest = l.Issued.Truncate(24 * time.Hour)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		list, _, err := s.Publications(t.Context(), store.PublicationFilter{Provider: f.Provider}, store.Page{Limit: 100})
		count, err2 := s.CountPublications(t.Context(), store.PublicationFilter{Provider: f.Provider})
		if err != nil || err2 != nil || int64(len(list)) != count || count != got.Publications {
			t.Errorf("%d publications are listed, %d counted, %d in the figures, %v, %v", len(list), count, got.Publications, err, err2)
		}
		if got.Users != int64(len(users)) || !got.Oldest.Equal(oldest) {
			t.Errorf("%d users since %s, want %d since %s", got.Users, got.Oldest, len(users), oldest)
		}
	}
	if sum.Publications != whole.Publications || sum.Licenses != whole.Licenses || sum.Overshared != whole.Overshared {
		t.Errorf("providers have %+v together, want %+v", sum, whole)
	}
	for _, c := range whole.Statuses {
		if statuses[c.Name] != c.Count {
			t.Errorf("%d are %s in all providers, want %d", statuses[c.Name], c.Name, c.Count)
		}
	}
	if d := diff(days, whole.Days); d != "" {
		t.Errorf("days of all providers (-want +got):\n%s", d)
	}
}

// compareFigures goes through all licenses and counts. types are the publications.
func compareFigures(t *testing.T, s *store.Store, now time.Time, types ...store.Count) {
	t.Helper()
	shared := store.LicenseFilter{CountDevices: true, MinDevices: 2}
	got, err := s.Figures(t.Context(), now, shared)
	if err != nil {
		t.Fatal(err)
	}
	want := store.Figures{Types: types}
	for _, c := range types {
		want.Publications += c.Count
	}
	users, statuses := map[string]bool{}, map[string]int64{}
	days := map[time.Time]store.Day{}
	if err := s.EachLicense(t.Context(), store.LicenseFilter{}, func(l store.License) error {
		users[l.UserID] = true
		want.Licenses++
		if l.DeviceCount >= 2 {
			want.Overshared++
		}
		seen := l.Status
		if (seen == "ready" || seen == "active") && !l.End.IsZero() && now.After(l.End) {
			seen = "expired"
		}
		statuses[seen]++
		day := l.Issued.Truncate(24 * time.Hour)
		d := days[day]
		d.Day, d.Issued = day, d.Issued+1
		if l.Status != "ready" {
			d.Used++
		}
		days[day] = d
		if want.Oldest.IsZero() || day.Before(want.Oldest) {
			want.Oldest = day
		}
		if day.After(want.Latest) {
			want.Latest = day
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want.Users = int64(len(users))
	for d := now.AddDate(-1, 0, 0).Truncate(24 * time.Hour); !d.After(now); d = d.AddDate(0, 0, 1) {
		day := days[d]
		day.Day = d
		want.Days = append(want.Days, day)
	}
	for _, c := range got.Statuses {
		if statuses[c.Name] != c.Count {
			t.Errorf("%d licenses are %s, want %d", c.Count, c.Name, statuses[c.Name])
		}
		delete(statuses, c.Name)
	}
	if len(statuses) > 0 {
		t.Errorf("statuses that are missing: %v", statuses)
	}
	got.Statuses = nil
	if d := diff(got, want); d != "" {
		t.Errorf("figures differ (-want +got):\n%s", d)
	}
}
