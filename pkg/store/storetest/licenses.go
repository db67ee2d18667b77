package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
)

// untitled returns a license without what is not its own.
func untitled(l store.License) store.License {
	l.PublicationTitle, l.PublicationAltID = "", ""
	return l
}

// mustLicense adds a license.
func mustLicense(t *testing.T, s *store.Store, l store.License) store.License {
	t.Helper()
	l, err := s.CreateLicense(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func testLicenses(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	ctx := t.Context()
	p := mustCreate(t, s, publication(1))
	full := license(1, p.UUID)
	zero := int64(0)
	full.Print = &zero // nothing may be printed, which is not "no limit"
	full.DeviceCount = 7
	bare := store.License{UUID: "bare", PublicationUUID: p.UUID, Status: "ready", Issued: epoch}
	odd := license(2, p.UUID)
	odd.End = time.Date(2030, 6, 1, 2, 0, 0, 123_456_789, time.FixedZone("", 3600))

	for name, l := range map[string]store.License{"full": full, "bare": bare, "odd": odd} {
		created := mustLicense(t, s, l)
		want := l
		want.DeviceCount = 0
		want.End = want.End.UTC().Truncate(time.Millisecond)
		if d := diff(created, want); d != "" {
			t.Errorf("%s: created license differs (-want +got):\n%s", name, d)
		}
		got, err := s.License(ctx, l.UUID)
		if err != nil {
			t.Fatal(err)
		}
		if got.PublicationTitle != p.Title || got.PublicationAltID != p.AltID {
			t.Errorf("%s: title %q and alt id %q, want those of the publication", name, got.PublicationTitle, got.PublicationAltID)
		}
		if d := diff(untitled(got), want); d != "" {
			t.Errorf("%s: read license differs (-want +got):\n%s", name, d)
		}
	}
	_, err := s.CreateLicense(ctx, full)
	wantTaken(t, "same uuid", err, "uuid", full.UUID)
	_, err = s.CreateLicense(ctx, license(3, uuid(9)))
	wantError(t, "unknown publication", err, store.ErrNotFound)
	_, err = s.License(ctx, "nothing")
	wantError(t, "unknown license", err, store.ErrNotFound)
}

func testLicenseSearch(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	ctx := t.Context()
	mustCreate(t, s, publication(1))
	mustCreate(t, s, publication(2))
	for n := range 12 {
		l := mustLicense(t, s, license(n, uuid(1+n%2)))
		for d := range n % 4 {
			if _, err := s.UpdateLicense(ctx, l.UUID, "", register(string(rune('a'+d)))); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tt := range map[string]struct {
		filter store.LicenseFilter
		want   []int
	}{
		"all":            {store.LicenseFilter{}, []int{11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
		"user":           {store.LicenseFilter{UserID: "user-1"}, []int{10, 7, 4, 1}},
		"publication":    {store.LicenseFilter{PublicationUUID: uuid(2)}, []int{11, 9, 7, 5, 3, 1}},
		"status":         {store.LicenseFilter{Status: "ready"}, []int{8, 4, 0}},
		"devices":        {store.LicenseFilter{CountDevices: true, MinDevices: 1, MaxDevices: 2}, []int{10, 9, 6, 5, 2, 1}},
		"many devices":   {store.LicenseFilter{CountDevices: true, MinDevices: 3}, []int{11, 7, 3}},
		"no devices":     {store.LicenseFilter{CountDevices: true}, []int{8, 4, 0}},
		"device":         {store.LicenseFilter{DeviceID: "b"}, []int{11, 10, 7, 6, 3, 2}},
		"all at once":    {store.LicenseFilter{UserID: "user-1", PublicationUUID: uuid(2), Status: "active", DeviceID: "a", CountDevices: true, MinDevices: 2}, []int{7}},
		"nobody has it":  {store.LicenseFilter{UserID: "USER-1"}, nil},
		"injected quote": {store.LicenseFilter{UserID: "' OR '1'='1"}, nil},
	} {
		var want []string
		for _, n := range tt.want {
			want = append(want, license(n, "").UUID)
		}
		var got []string
		page := store.Page{Limit: 5}
		for more := true; more; more = page.After != 0 {
			list, next, err := s.Licenses(ctx, tt.filter, page)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, l := range list {
				got = append(got, l.UUID)
			}
			page.After = next
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: licenses = %v, want %v", name, got, want)
		}
		if n, err := s.CountLicenses(ctx, tt.filter); err != nil || n != int64(len(want)) {
			t.Errorf("%s: CountLicenses = %d, %v, want %d", name, n, err, len(want))
		}
	}
}

func testUpdateLicense(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	ctx := t.Context()
	mustCreate(t, s, publication(1))
	before := mustLicense(t, s, license(1, uuid(1)))
	registeredBefore := make(map[string]bool)
	for _, device := range []string{"a", "b", "a"} {
		_, err := s.UpdateLicense(ctx, before.UUID, device, func(l store.License, registered bool) (store.License, []store.Event, error) {
			registeredBefore[device] = registered
			l.UUID, l.DeviceCount = "ignored", 99
			return register(device)(l, registered)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if !registeredBefore["a"] || registeredBefore["b"] {
		t.Errorf("registered before = %v, want a only", registeredBefore)
	}
	refusal := errors.New("refused")
	_, err := s.UpdateLicense(ctx, before.UUID, "", func(l store.License, _ bool) (store.License, []store.Event, error) {
		l.Status = "revoked"
		return l, []store.Event{{Type: "revoke", At: epoch}}, refusal
	})
	wantError(t, "refused", err, refusal)
	_, err = s.UpdateLicense(ctx, before.UUID, "", func(l store.License, _ bool) (store.License, []store.Event, error) {
		l.Status = "revoked"
		return l, []store.Event{{Type: "revoke", At: epoch}, {Type: status.EventRegister, At: epoch}}, nil
	})
	wantError(t, "second event invalid", err, store.ErrInvalid)
	_, err = s.UpdateLicense(ctx, before.UUID, "", func(l store.License, _ bool) (store.License, []store.Event, error) {
		l.End = time.Date(9999, time.December, 31, 23, 0, 0, 0, time.FixedZone("", -2*60*60))
		return l, nil, nil
	})
	wantError(t, "end that no document can tell", err, store.ErrInvalid)
	_, err = s.UpdateLicense(ctx, "nothing", "", register("a"))
	wantError(t, "unknown", err, store.ErrNotFound)

	want := before
	want.Status, want.DeviceCount = "active", 2
	if got, err := s.License(ctx, before.UUID); err != nil || diff(untitled(got), want) != "" {
		t.Errorf("license: %v, (-want +got):\n%s", err, diff(untitled(got), want))
	}
	event := func(id string) store.Event {
		return store.Event{Type: status.EventRegister, DeviceID: id, DeviceName: "Device " + id, At: epoch}
	}
	events, err := s.Events(ctx, before.UUID)
	if d := diff(events, []store.Event{event("a"), event("b"), event("a")}); err != nil || d != "" {
		t.Errorf("events: %v, (-want +got):\n%s", err, d)
	}
}
