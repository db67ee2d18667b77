package licensing_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/keyring"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/licensing"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/store"
)

const (
	bookID    = "11111111-2222-4333-8444-555555555555"
	deletedID = "22222222-2222-4333-8444-555555555555"
	unknownID = "33333333-2222-4333-8444-555555555555"
	provider  = "https://publisher.example"
)

var (
	begin      = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	passphrase = profile.HashPassphrase("correct horse")
)

// A desk is a service with a store that has a publication and one that was
// deleted, and a clock that tests set.
type desk struct {
	*licensing.Service
	now  time.Time
	book store.Publication
}

// otherKey is the transform of the profiles other than the basic one.
func otherKey(_ context.Context, _ string, h profile.Hash) (lcpcrypto.UserKey, error) {
	k := lcpcrypto.UserKey(h)
	k[0] ^= 0xff
	return k, nil
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	dir := t.TempDir()
	d := &desk{now: begin}
	if err := certificate.CreateTest(filepath.Join(dir, "certificate"), certificate.P256, begin); err != nil {
		t.Fatal(err)
	}
	pair, err := certificate.Load(filepath.Join(dir, "certificate", certificate.CertificateFile), filepath.Join(dir, "certificate", certificate.KeyFile), begin)
	if err != nil {
		t.Fatal(err)
	}
	profiles := profile.NewRegistry()
	if err := profiles.Register(profile.Any2, profile.DeriverFunc(otherKey)); err != nil {
		t.Fatal(err)
	}
	issuer, err := license.NewIssuer(license.Options{
		Provider: provider, Signer: pair.Signer, Profiles: profiles, Hint: provider + "/hint/{license_id}",
	})
	if err != nil {
		t.Fatal(err)
	}
	keys, _, err := keyring.LoadOrCreate(filepath.Join(dir, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return d.now }
	records, err := store.Open(t.Context(), store.Options{DSN: filepath.Join(dir, "lcp.db"), Keyring: keys, Now: clock, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { records.Close() })
	d.Service = &licensing.Service{
		Store: records, Issuer: issuer, Profiles: profiles, Provider: provider, Profile: profile.Basic, Now: clock,
	}
	d.book = d.publish(t, bookID, "book")
	d.publish(t, deletedID, "gone")
	if err := records.DeletePublication(t.Context(), deletedID); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) publish(t *testing.T, id, altID string) store.Publication {
	t.Helper()
	p, _, err := d.Store.SavePublication(t.Context(), store.Publication{
		UUID: id, AltID: altID, Title: "Moby-Dick", ContentType: "application/epub+zip", Href: "https://cdn.example/" + id + ".epub",
		Size: 1000, Checksum: strings.Repeat("ab", 32), ContentKey: lcpcrypto.NewContentKey(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// request asks for a license for the book.
func request() api.LicenseRequest {
	return api.LicenseRequest{PublicationID: bookID, UserID: "u1", TextHint: "h", PassHash: passphrase.Hex()}
}

// opens fails unless the document is signed, and opens with the passphrase to
// the key of the book.
func (d *desk) opens(t *testing.T, doc *license.Document, want store.Publication) {
	t.Helper()
	if _, err := doc.Verify(nil); err != nil {
		t.Errorf("Verify: %v", err)
	}
	user, err := d.Profiles.UserKey(t.Context(), doc.Encryption.Profile, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := doc.Open(user)
	if err != nil || opened.ContentKey != want.ContentKey {
		t.Errorf("the license does not open to the key of the publication: %v", err)
	}
}

func (d *desk) generate(t *testing.T, r api.LicenseRequest) *license.Document {
	t.Helper()
	doc, err := d.Generate(t.Context(), r)
	if err != nil {
		t.Fatalf("Generate: %v", err)
	}
	return doc
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	five, zero := int64(5), int64(0)
	end := begin.AddDate(0, 1, 0)
	tests := map[string]func(*api.LicenseRequest){
		"by uuid":                   func(*api.LicenseRequest) {},
		"by uuid in capitals":       func(r *api.LicenseRequest) { r.PublicationID = strings.ToUpper(bookID) },
		"by alternative identifier": func(r *api.LicenseRequest) { r.PublicationID, r.AltID = "", "book" },
		"with rights":               func(r *api.LicenseRequest) { r.Start, r.End, r.Copy, r.Print = &begin, &end, &five, &zero },
		"with another profile":      func(r *api.LicenseRequest) { r.Profile = profile.Version2()[3] },
		"with any of ten profiles":  func(r *api.LicenseRequest) { r.Profile = profile.Any2 },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			r := request()
			change(&r)
			doc := d.generate(t, r)
			d.opens(t, doc, d.book)
			rec, err := d.Store.License(t.Context(), doc.ID)
			if err != nil {
				t.Fatal(err)
			}
			if rec.PublicationUUID != bookID || rec.UserID != "u1" || rec.Provider != provider || rec.Status != "ready" ||
				!rec.Issued.Equal(doc.Issued) || rec.Profile != doc.Encryption.Profile || rec.Profile == profile.Any2 {
				t.Errorf("record %+v of the license %s", rec, doc.JSON())
			}
			if (r.End != nil) != (doc.Rights.End != nil) || r.End != nil && (!doc.Rights.End.Equal(end) || !rec.End.Equal(end) || *rec.Copy != 5 || *doc.Rights.Print != 0) {
				t.Errorf("rights are %+v, the record has %+v", doc.Rights, rec)
			}
			link, _ := doc.Link(license.RelPublication)
			if link.Href != d.book.Href || link.Hash != d.book.Checksum || link.Length != d.book.Size {
				t.Errorf("publication link %+v", link)
			}
		})
	}
}

// What is refused leaves no license in the store.
func TestGenerateRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*api.LicenseRequest)
		want   error
		field  string
	}{
		"unknown publication":          {func(r *api.LicenseRequest) { r.PublicationID = unknownID }, licensing.ErrPublication, ""},
		"deleted publication":          {func(r *api.LicenseRequest) { r.PublicationID = deletedID }, licensing.ErrPublication, ""},
		"alternative id of a deleted":  {func(r *api.LicenseRequest) { r.PublicationID, r.AltID = "", "gone" }, licensing.ErrPublication, ""},
		"unknown alternative id":       {func(r *api.LicenseRequest) { r.PublicationID, r.AltID = "", "nothing" }, licensing.ErrPublication, ""},
		"both identifiers":             {func(r *api.LicenseRequest) { r.AltID = "book" }, nil, "alt_id"},
		"no identifier":                {func(r *api.LicenseRequest) { r.PublicationID = "" }, nil, "publication_id"},
		"unknown profile":              {func(r *api.LicenseRequest) { r.Profile = "http://example.com/profile" }, nil, "profile"},
		"profile that is not set up":   {func(r *api.LicenseRequest) { r.Profile = profile.V1 }, nil, "profile"},
		"bad hash of the passphrase":   {func(r *api.LicenseRequest) { r.PassHash = "1234" }, nil, "pass_hash"},
		"absent field to be encrypted": {func(r *api.LicenseRequest) { r.UserEncrypted = []string{"email"} }, nil, "user_encrypted"},
		"end before start":             {func(r *api.LicenseRequest) { e := begin.Add(-time.Hour); r.Start, r.End = &begin, &e }, nil, "end"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			r := request()
			tt.change(&r)
			_, err := d.Generate(t.Context(), r)
			var field *license.FieldError
			switch {
			case tt.want != nil && !errors.Is(err, tt.want):
				t.Errorf("Generate = %v, want %v", err, tt.want)
			case tt.field != "" && (!errors.As(err, &field) || field.Field != tt.field):
				t.Errorf("Generate = %v, want a fault of %s", err, tt.field)
			}
			if n, err := d.Store.CountLicenses(t.Context(), store.LicenseFilter{}); n != 0 || err != nil {
				t.Errorf("%d licenses are in the store, %v", n, err)
			}
		})
	}
}

// A fresh license has the identifier, the dates and the rights of the first, and
// the publication as it is now.
func TestFresh(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	end, five := begin.AddDate(0, 1, 0), int64(5)
	r := request()
	r.End, r.Copy = &end, &five
	first := d.generate(t, r)

	d.now = begin.AddDate(0, 0, 3)
	edition := d.book
	edition.Checksum, edition.Size = strings.Repeat("cd", 32), 2000
	if _, _, err := d.Store.SavePublication(t.Context(), edition); err != nil {
		t.Fatal(err)
	}
	later := begin.AddDate(1, 0, 0)
	fresh, err := d.Fresh(t.Context(), strings.ToUpper(first.ID), api.LicenseRequest{
		UserName: "Ali", TextHint: "new", PassHash: passphrase.Hex(), End: &later, PublicationID: unknownID,
	})
	if err != nil {
		t.Fatal(err)
	}
	d.opens(t, fresh, d.book)
	if fresh.ID != first.ID || !fresh.Issued.Equal(first.Issued) || !fresh.Rights.End.Equal(end) || *fresh.Rights.Copy != 5 {
		t.Errorf("fresh license %s of %s", fresh.JSON(), first.JSON())
	}
	if fresh.User.ID != "u1" || fresh.User.Name != "Ali" || fresh.Encryption.UserKey.TextHint != "new" {
		t.Errorf("user %+v, hint %q", fresh.User, fresh.Encryption.UserKey.TextHint)
	}
	if link, _ := fresh.Link(license.RelPublication); link.Hash != edition.Checksum || link.Length != 2000 {
		t.Errorf("publication link %+v", link)
	}
}

// Licenses live on when their publication is deleted.
func TestFreshOfDeletedPublication(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	first := d.generate(t, request())
	if err := d.Store.DeletePublication(t.Context(), bookID); err != nil {
		t.Fatal(err)
	}
	fresh, err := d.Fresh(t.Context(), first.ID, request())
	if err != nil {
		t.Fatal(err)
	}
	d.opens(t, fresh, d.book)
	if _, err := d.Generate(t.Context(), request()); !errors.Is(err, licensing.ErrPublication) {
		t.Errorf("Generate = %v, want ErrPublication", err)
	}
}

func TestFreshRefuses(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	first := d.generate(t, request())
	if _, err := d.Fresh(t.Context(), unknownID, request()); !errors.Is(err, licensing.ErrLicense) {
		t.Errorf("unknown license: %v, want ErrLicense", err)
	}
	for field, change := range map[string]func(*api.LicenseRequest){
		"user_id":   func(r *api.LicenseRequest) { r.UserID = "u2" },
		"pass_hash": func(r *api.LicenseRequest) { r.PassHash = "" },
		"profile":   func(r *api.LicenseRequest) { r.Profile = profile.V1 },
	} {
		r := request()
		change(&r)
		var fault *license.FieldError
		if _, err := d.Fresh(t.Context(), first.ID, r); !errors.As(err, &fault) || fault.Field != field {
			t.Errorf("Fresh = %v, want a fault of %s", err, field)
		}
	}
}

// One of ten profiles, once chosen, is kept for the license; another one that is
// asked for is an upgrade, and kept from then on.
func TestFreshKeepsTheProfile(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.Profile = profile.Any2
	first := d.generate(t, request())
	chosen := first.Encryption.Profile
	fresh := func(asked string) string {
		t.Helper()
		d.now = d.now.Add(time.Hour)
		r := request()
		r.Profile = asked
		doc, err := d.Fresh(t.Context(), first.ID, r)
		if err != nil {
			t.Fatal(err)
		}
		d.opens(t, doc, d.book)
		return doc.Encryption.Profile
	}
	for range 20 {
		for _, asked := range []string{"", profile.Any2, chosen} {
			if got := fresh(asked); got != chosen {
				t.Fatalf("asked for %q: profile %s, want %s", asked, got, chosen)
			}
		}
	}
	if got := fresh(profile.Basic); got != profile.Basic {
		t.Errorf("profile %s, want the basic one", got)
	}
	if got := fresh(""); got != profile.Basic {
		t.Errorf("profile %s afterwards, want the basic one", got)
	}
	rec, err := d.Store.License(t.Context(), first.ID)
	if err != nil || !rec.Updated.After(rec.Issued) {
		t.Errorf("the record was updated %s, issued %s, %v", rec.Updated, rec.Issued, err)
	}
}

// A request made again under the identifier that its sender chose makes no
// second license.
func TestGenerateAs(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	first, err := d.GenerateAs(t.Context(), unknownID, request())
	if err != nil {
		t.Fatal(err)
	}
	d.now = begin.Add(time.Minute)
	again, err := d.GenerateAs(t.Context(), unknownID, request())
	if err != nil {
		t.Fatal(err)
	}
	if first.ID != unknownID || again.ID != unknownID || !again.Issued.Equal(first.Issued) {
		t.Errorf("licenses %s and %s", first.JSON(), again.JSON())
	}
	if n, err := d.Store.CountLicenses(t.Context(), store.LicenseFilter{}); n != 1 || err != nil {
		t.Errorf("%d licenses are in the store, %v", n, err)
	}
	other := d.publish(t, deletedID[:35]+"6", "other")
	r := request()
	r.PublicationID = other.UUID
	if _, err := d.GenerateAs(t.Context(), unknownID, r); !errors.Is(err, store.ErrExists) {
		t.Errorf("for another publication: %v, want ErrExists", err)
	}
}
