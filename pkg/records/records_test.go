package records_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/client"
	"github.com/lcp-tools/lcp/pkg/keyring"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/licensing"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/records"
	"github.com/lcp-tools/lcp/pkg/store"
)

const pubID = "c6abe80a-1681-4694-b6f4-80c165213780"

// testClock is the present of all tests.
var testClock = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

// newLocal returns the records of a store of the test's own.
func newLocal(t *testing.T) *records.Local {
	t.Helper()
	master := make([]byte, 32)
	rand.Read(master)
	keys, err := keyring.Parse(base64.StdEncoding.EncodeToString(master))
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return testClock }
	s, err := store.Open(t.Context(), store.Options{DSN: filepath.Join(t.TempDir(), "lcp.db"), Keyring: keys, Now: now, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &records.Local{Store: s, Licensing: newLicensing(t, s, now), Now: now}
}

func newLicensing(t *testing.T, s *store.Store, now func() time.Time) *licensing.Services {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cert")
	if err := certificate.CreateTest(dir, certificate.P256, testClock); err != nil {
		t.Fatal(err)
	}
	pair, err := certificate.Load(filepath.Join(dir, certificate.CertificateFile), filepath.Join(dir, certificate.KeyFile), testClock)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := license.ParseTemplate("https://lcp.example.com/gateway/licenses/{license_id}")
	if err != nil {
		t.Fatal(err)
	}
	providers, err := provider.NewDirectory(provider.Options{
		Default: provider.Provider{ID: provider.DefaultID, URI: "https://example.com", Profile: profile.Basic}, Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	services, err := licensing.NewServices(t.Context(), licensing.Options{
		Store: s, Providers: providers, Profiles: profile.NewRegistry(), Signer: pair.Signer,
		PublicURL: "https://lcp.example.com", Fresh: fresh, Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return services
}

func book() api.Publication {
	key := lcpcrypto.NewContentKey()
	return api.Publication{
		UUID: pubID, AltID: "moby", Title: "Moby-Dick", Authors: "Herman Melville, Another", ContentType: "application/epub+zip",
		Href: "https://example.com/1.epub", Size: 5, Checksum: strings.Repeat("0a", 32), EncryptionKey: key[:],
	}
}

func TestPublications(t *testing.T) {
	t.Parallel()
	l, ctx, in := newLocal(t), t.Context(), book()
	created, err := l.CreatePublication(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	want := in
	want.EncryptionKey = nil
	want.CreatedAt, want.UpdatedAt, want.CreatedSnake = &testClock, &testClock, &testClock
	if diff := cmp.Diff(want, created); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	for name, get := range map[string]func() (api.Publication, error){
		"uuid":   func() (api.Publication, error) { return l.Publication(ctx, strings.ToUpper(pubID)) },
		"alt_id": func() (api.Publication, error) { return l.PublicationByAltID(ctx, "moby") },
	} {
		got, err := get()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("by %s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	for format, want := range map[string]int{"": 1, "epub": 1, "lcpdf": 0, "doc": -1} {
		n := 0
		for _, err := range l.Publications(ctx, client.PublicationQuery{Format: format}) {
			if n++; err != nil {
				n = -1
			}
		}
		if n != want {
			t.Errorf("format %q has %d publications, want %d", format, n, want)
		}
	}
	next := created
	next.Title = "The Whale"
	if _, err := l.UpdatePublication(ctx, next); err != nil {
		t.Errorf("update without the key: %v", err)
	}
	next.EncryptionKey = bytes.Repeat([]byte{7}, 32)
	if _, err := l.UpdatePublication(ctx, next); !errors.Is(err, store.ErrKeyChanged) {
		t.Errorf("update with another key: %v", err)
	}
	if got, err := l.Publication(ctx, pubID); err != nil || got.Title != "The Whale" {
		t.Errorf("after the update it is %q, %v", got.Title, err)
	}
	if err := l.DeletePublication(ctx, pubID); err != nil {
		t.Error(err)
	}
	if _, err := l.Publication(ctx, pubID); !errors.Is(err, store.ErrDeleted) {
		t.Errorf("after the deletion: %v", err)
	}
	audit, _, err := l.Store.AuditLog(ctx, store.AuditFilter{Target: pubID}, store.Page{Limit: 10})
	if err != nil || len(audit) != 3 {
		t.Errorf("the audit log has %d entries, %v", len(audit), err)
	}
}

func request(user string) api.LicenseRequest {
	return api.LicenseRequest{
		PublicationID: pubID, UserID: user, TextHint: "h", PassHash: profile.HashPassphrase("secret").Hex(),
	}
}

func TestLicenses(t *testing.T) {
	t.Parallel()
	l, ctx := newLocal(t), t.Context()
	if _, err := l.CreatePublication(ctx, book()); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for i := range 3 {
		r := request(fmt.Sprint("u", i))
		if i == 2 {
			past := testClock.Add(-time.Hour)
			r.End = &past
		}
		doc, err := l.GenerateLicense(ctx, r, "")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, doc.ID)
	}
	search := func(q client.LicenseQuery) string {
		var users []string
		for info, err := range l.Licenses(ctx, q) {
			if err != nil {
				return err.Error()
			}
			users = append(users, info.UserID+" "+info.Status)
		}
		return strings.Join(users, ", ")
	}
	revoked, err := l.RevokeLicense(ctx, strings.ToUpper(ids[1]))
	if err != nil || revoked.Status != "cancelled" {
		t.Errorf("revoked: %+v, %v", revoked, err)
	}
	if again, err := l.RevokeLicense(ctx, ids[1]); err != nil || !again.Updated.Status.Equal(revoked.Updated.Status) {
		t.Errorf("revoked again: %+v, %v", again, err)
	}
	tests := map[string]struct {
		query client.LicenseQuery
		want  string
	}{
		"all":          {client.LicenseQuery{}, "u2 expired, u1 cancelled, u0 ready"},
		"user":         {client.LicenseQuery{User: "u1"}, "u1 cancelled"},
		"status":       {client.LicenseQuery{Status: "expired"}, "u2 expired"},
		"wrong status": {client.LicenseQuery{Status: "gone"}, `unknown license status "gone": it must be one of [ready active revoked returned cancelled expired]`},
		"publication":  {client.LicenseQuery{Publication: strings.ToUpper(pubID), User: "u0"}, "u0 ready"},
		"no device":    {client.LicenseQuery{Devices: &client.Range{Min: 0, Max: 0}, User: "u0"}, "u0 ready"},
		"devices":      {client.LicenseQuery{Devices: &client.Range{Min: 1, Max: 5}}, ""},
		"device":       {client.LicenseQuery{Device: "d"}, ""},
	}
	for name, tt := range tests {
		if got := search(tt.query); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	events, err := l.Events(ctx, ids[1])
	if want := []api.Event{{Timestamp: testClock, Type: "cancel"}}; err != nil || !slices.Equal(events, want) {
		t.Errorf("events are %v, %v", events, err)
	}
	if doc, err := l.Status(ctx, ids[2]); err != nil || doc.Status != "expired" {
		t.Errorf("status is %+v, %v", doc, err)
	}
	for name, err := range map[string]error{
		"info":   errOf(l.LicenseInfo(ctx, pubID)),
		"status": errOf(l.Status(ctx, pubID)),
		"events": errOf(l.Events(ctx, pubID)),
		"revoke": errOf(l.RevokeLicense(ctx, pubID)),
	} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s of an unknown license: %v", name, err)
		}
	}
}

func errOf[T any](_ T, err error) error { return err }

// However often a license is asked for under one key, there is one.
func TestGenerateLicenseOnce(t *testing.T) {
	t.Parallel()
	l, ctx := newLocal(t), t.Context()
	if _, err := l.CreatePublication(ctx, book()); err != nil {
		t.Fatal(err)
	}
	other := book()
	other.UUID, other.AltID = "11111111-2222-4333-8444-555555555555", ""
	if _, err := l.CreatePublication(ctx, other); err != nil {
		t.Fatal(err)
	}
	first, err := l.GenerateLicense(ctx, request("u1"), "order 17")
	if err != nil {
		t.Fatal(err)
	}
	again, err := l.GenerateLicense(ctx, request("u1"), "order 17")
	if err != nil || again.ID != first.ID || !again.Issued.Equal(first.Issued) {
		t.Errorf("again: %v, %v", again, err)
	}
	if next, err := l.GenerateLicense(ctx, request("u1"), "order 18"); err != nil || next.ID == first.ID {
		t.Errorf("under another key: %v", err)
	}
	if _, err := l.GenerateLicense(ctx, request("u2"), "order 17"); err == nil {
		t.Error("another user has the license of the first")
	}
	r := request("u1")
	r.PublicationID = other.UUID
	if _, err := l.GenerateLicense(ctx, r, "order 17"); !errors.Is(err, store.ErrExists) {
		t.Errorf("another publication: %v", err)
	}
	ids := make(chan string)
	for range 8 {
		go func() {
			doc, err := l.GenerateLicense(ctx, request("u1"), "order 19")
			if err != nil {
				ids <- err.Error()
				return
			}
			ids <- doc.ID
		}()
	}
	all := map[string]bool{}
	for range 8 {
		all[<-ids] = true
	}
	if n, err := l.Store.CountLicenses(ctx, store.LicenseFilter{}); len(all) != 1 || n != 3 || err != nil {
		t.Errorf("at once: %v; %d licenses, %v", all, n, err)
	}
}
