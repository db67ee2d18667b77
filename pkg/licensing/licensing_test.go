package licensing_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/keyring"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/licensing"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
)

// now is what the clock of the tests says, all the time.
var now = time.Date(2030, 5, 1, 12, 0, 0, 500e6, time.UTC)

// newService returns a service with one publication, whose profiles include one
// that does what the basic one does.
func newService(t *testing.T) (*licensing.Service, string) {
	t.Helper()
	dir := t.TempDir()
	clock := func() time.Time { return now }
	if err := certificate.CreateTest(dir, certificate.P256, now); err != nil {
		t.Fatal(err)
	}
	pair, err := certificate.Load(filepath.Join(dir, certificate.CertificateFile), filepath.Join(dir, certificate.KeyFile), now)
	if err != nil {
		t.Fatal(err)
	}
	profiles := profile.NewRegistry()
	same := func(_ context.Context, _ string, h profile.Hash) (lcpcrypto.UserKey, error) {
		return lcpcrypto.UserKey(h), nil
	}
	if err := profiles.Register(profile.V1, profile.DeriverFunc(same)); err != nil {
		t.Fatal(err)
	}
	issuer, err := license.NewIssuer(license.Options{
		Provider: "https://example.org", Signer: pair.Signer, Profiles: profiles, Hint: "https://example.org/hint",
	})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.New(keyring.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{DSN: ":memory:", Keyring: keys, Now: clock, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	p, err := s.CreatePublication(t.Context(), store.Publication{
		UUID: uuid.NewString(), AltID: "book", Title: "Book", ContentType: "application/epub+zip", Href: "https://example.org/book.epub",
		Size: 1, Checksum: strings.Repeat("ab", 32), ContentKey: lcpcrypto.NewContentKey(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return &licensing.Service{
		Store: s, Issuer: issuer, Profiles: profiles, Provider: "https://example.org", Profile: profile.Basic, Policy: status.Policy{}, Now: clock,
	}, p.UUID
}

func request(publication string) api.LicenseRequest {
	return api.LicenseRequest{PublicationID: publication, UserID: "u", TextHint: "h", PassHash: strings.Repeat("0a", 32)}
}

func TestGenerateNamesFields(t *testing.T) {
	t.Parallel()
	s, pub := newService(t)
	for name, tt := range map[string]struct {
		change func(*api.LicenseRequest)
		want   string
		is     error
	}{
		"no user":             {func(r *api.LicenseRequest) { r.UserID = " " }, "user_id: is missing", nil},
		"long user":           {func(r *api.LicenseRequest) { r.UserID = strings.Repeat("é", 256) }, "user_id: is longer", nil},
		"user with NUL":       {func(r *api.LicenseRequest) { r.UserID = "\x00" }, "user_id: has a NUL", nil},
		"unknown publication": {func(r *api.LicenseRequest) { r.PublicationID = uuid.NewString() }, "publication_id: unknown", licensing.ErrPublication},
		"unknown alt id":      {func(r *api.LicenseRequest) { r.PublicationID, r.AltID = "", "x" }, `alt_id: unknown publication "x"`, licensing.ErrPublication},
		"two faults":          {func(r *api.LicenseRequest) { r.UserID, r.PassHash = "", "" }, "user_id: is missing\npass_hash: ", nil},
	} {
		r := request(pub)
		tt.change(&r)
		doc, err := s.Generate(t.Context(), r)
		if _, ok := errors.AsType[*license.FieldError](err); !ok || !strings.HasPrefix(err.Error(), tt.want) || doc != nil {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		if tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: %v is no %v", name, err, tt.is)
		}
	}
	if n, err := s.Store.CountLicenses(t.Context(), store.LicenseFilter{}); n != 0 || err != nil {
		t.Errorf("%d licenses are recorded, %v", n, err)
	}
}

// Apps learn of another profile by the time of the update, also when the license
// was issued in the very same second.
func TestFreshWithAnotherProfile(t *testing.T) {
	t.Parallel()
	s, pub := newService(t)
	first, err := s.Generate(t.Context(), request(pub))
	if err != nil {
		t.Fatal(err)
	}
	last := first.Issued
	for _, uri := range []string{profile.V1, profile.Basic, profile.V1} {
		r := request("")
		r.Profile = uri
		doc, err := s.Fresh(t.Context(), first.ID, r)
		if err != nil {
			t.Fatal(err)
		}
		if doc.Encryption.Profile != uri || !doc.Updated.After(last) {
			t.Errorf("profile %s, updated %s, before %s", doc.Encryption.Profile, doc.Updated, last)
		}
		last = doc.Updated
	}
}

func TestGenerateAs(t *testing.T) {
	t.Parallel()
	s, pub := newService(t)
	id := uuid.NewString()
	first, err := s.GenerateAs(t.Context(), id, request(pub))
	if err != nil || first.ID != id {
		t.Fatalf("GenerateAs = %v, %v", first, err)
	}
	again, err := s.GenerateAs(t.Context(), id, request(pub))
	if err != nil || again.ID != id || !again.Issued.Equal(first.Issued) {
		t.Errorf("again: %v, %v", again, err)
	}
	if n, err := s.Store.CountLicenses(t.Context(), store.LicenseFilter{}); n != 1 || err != nil {
		t.Errorf("%d licenses are recorded, %v", n, err)
	}
	if _, err := s.Store.DeleteLicense(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if doc, err := s.GenerateAs(t.Context(), id, request(pub)); err == nil {
		t.Errorf("after it was deleted: %v", doc)
	}
}
