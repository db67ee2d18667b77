package license_test

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/signature"
)

// now is when the test certificates are made.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

const passphrase = "open sesame"

// provider returns a signer and the folder with its certificates. Making an RSA
// key takes a while, so there is one of each type for all tests.
var provider = func() func(testing.TB, certificate.KeyType) (*signature.Signer, string) {
	type made struct {
		once   sync.Once
		dir    string
		signer *signature.Signer
		err    error
	}
	all := map[certificate.KeyType]*made{certificate.RSA2048: {}, certificate.P256: {}}
	return func(t testing.TB, keyType certificate.KeyType) (*signature.Signer, string) {
		t.Helper()
		m := all[keyType]
		m.once.Do(func() {
			m.dir = filepath.Join(certificates, string(keyType))
			if m.err = certificate.CreateTest(m.dir, keyType, now); m.err != nil {
				return
			}
			var p *certificate.Pair
			p, m.err = certificate.Load(filepath.Join(m.dir, certificate.CertificateFile),
				filepath.Join(m.dir, certificate.KeyFile), now)
			if m.err == nil {
				m.signer = p.Signer
			}
		})
		if m.err != nil {
			t.Fatal(m.err)
		}
		return m.signer, m.dir
	}
}()

// certificates is the folder of the test certificates, for as long as tests run.
var certificates string

func TestMain(m *testing.M) {
	var err error
	if certificates, err = os.MkdirTemp("", "license-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(certificates)
	os.Exit(code)
}

func options(t testing.TB, keyType certificate.KeyType) license.Options {
	t.Helper()
	signer, _ := provider(t, keyType)
	return license.Options{
		Provider: "https://shop.example.org",
		Signer:   signer,
		Profiles: profile.NewRegistry(),
		Hint:     "https://shop.example.org/hint{?license_id}",
		Status:   "https://lcp.example.org/status/{license_id}",
		Links:    []license.Link{{Rel: "support", Href: "mailto:help@example.org"}},
	}
}

func newIssuer(t testing.TB, o license.Options) *license.Issuer {
	t.Helper()
	issuer, err := license.NewIssuer(o)
	if err != nil {
		t.Fatal(err)
	}
	return issuer
}

func request() license.Request {
	prints, copies := int64(10), int64(0)
	start, end := now.Add(time.Hour), now.AddDate(0, 0, 14)
	return license.Request{
		ID:         "ef15e740-697f-11e3-949a-0800200c9a66",
		Issued:     now,
		ContentKey: lcpcrypto.ContentKey{1, 2, 3},
		Publication: license.Publication{
			Href: "https://cdn.example.org/moby-dick.epub", ContentType: "application/epub+zip", Title: "Moby-Dick",
			Size: 264929, Checksum: "8B752F93E5E73A3EFFF1C706C1C2E267DFFC6EC01C382CBE2A6CA9BD57CC8378",
		},
		User: license.User{
			ID: "d9f298a7", Name: "Ishmael", Email: "ishmael@example.org",
			Fields:    map[string]string{"https://shop.example.org/language": "tlh"},
			Encrypted: []string{"name", "email"},
		},
		Rights:   license.Rights{Print: &prints, Copy: &copies, Start: &start, End: &end},
		Profile:  profile.Basic,
		TextHint: "The usual",
		PassHash: strings.ToUpper(profile.HashPassphrase(passphrase).Hex()),
	}
}

func issue(t testing.TB, issuer *license.Issuer, r license.Request) *license.Document {
	t.Helper()
	d, err := issuer.Issue(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The wire form, with what differs from run to run blotted out.
func TestIssueWrites(t *testing.T) {
	t.Parallel()
	d := issue(t, newIssuer(t, options(t, certificate.P256)), request())
	got := string(d.JSON())
	for _, secret := range [][]byte{d.Encryption.ContentKey.EncryptedValue, d.Encryption.UserKey.KeyCheck, d.Signature.Certificate, d.Signature.Value} {
		got = strings.Replace(got, b64(secret), "*", 1)
	}
	got = strings.NewReplacer(d.User.Name, "*", d.User.Email, "*").Replace(got)
	want := `{"provider":"https://shop.example.org","id":"ef15e740-697f-11e3-949a-0800200c9a66",` +
		`"issued":"2026-06-01T12:00:00Z","encryption":{"profile":"http://readium.org/lcp/basic-profile",` +
		`"content_key":{"algorithm":"http://www.w3.org/2001/04/xmlenc#aes256-cbc","encrypted_value":"*"},` +
		`"user_key":{"algorithm":"http://www.w3.org/2001/04/xmlenc#sha256","text_hint":"The usual","key_check":"*"}},` +
		`"links":[{"rel":"publication","href":"https://cdn.example.org/moby-dick.epub","type":"application/epub+zip",` +
		`"title":"Moby-Dick","length":264929,"hash":"8b752f93e5e73a3efff1c706c1c2e267dffc6ec01c382cbe2a6ca9bd57cc8378"},` +
		`{"rel":"status","href":"https://lcp.example.org/status/ef15e740-697f-11e3-949a-0800200c9a66",` +
		`"type":"application/vnd.readium.license.status.v1.0+json"},` +
		`{"rel":"hint","href":"https://shop.example.org/hint?license_id=ef15e740-697f-11e3-949a-0800200c9a66","type":"text/html"},` +
		`{"rel":"support","href":"mailto:help@example.org"}],` +
		`"user":{"id":"d9f298a7","name":"*","email":"*","encrypted":["name","email"],"https://shop.example.org/language":"tlh"},` +
		`"rights":{"print":10,"copy":0,"start":"2026-06-01T13:00:00Z","end":"2026-06-15T12:00:00Z"},` +
		`"signature":{"certificate":"*","algorithm":"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256","value":"*"}}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("license (-want +got):\n%s", diff)
	}
}

func TestIssueVerifyOpen(t *testing.T) {
	t.Parallel()
	for _, keyType := range []certificate.KeyType{certificate.RSA2048, certificate.P256} {
		t.Run(string(keyType), func(t *testing.T) {
			t.Parallel()
			o := options(t, keyType)
			o.Self = "https://lcp.example.org/licenses/{license_id}"
			o.OPDS = "https://shop.example.org/opds{?license_id}"
			r := request()
			r.User.Encrypted = []string{"id", "name", "email", "https://shop.example.org/language"}
			r.Links = []license.Link{{Rel: "https://shop.example.org/rel/authentication", Href: "https://shop.example.org/login"}}
			issued := issue(t, newIssuer(t, o), r)
			parsed, err := license.Parse(issued.JSON())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(issued, parsed, cmp.AllowUnexported(license.Document{})); diff != "" {
				t.Errorf("parsed (-issued +parsed):\n%s", diff)
			}
			checkSchema(t, parsed)
			if _, err := parsed.Verify(roots(t, keyType)); err != nil {
				t.Errorf("Verify: %v", err)
			}
			opened, err := parsed.Open(lcpcrypto.UserKey(profile.HashPassphrase(passphrase)))
			if err != nil || opened.ContentKey != r.ContentKey {
				t.Fatalf("Open = another key, %v", err)
			}
			if diff := cmp.Diff(r.User, opened.User); diff != "" {
				t.Errorf("user (-want +got):\n%s", diff)
			}
			for name, field := range map[string][2]string{
				"id": {parsed.User.ID, r.User.ID}, "name": {parsed.User.Name, r.User.Name}, "email": {parsed.User.Email, r.User.Email},
			} {
				if field[0] == field[1] || field[0] == "" {
					t.Errorf("user.%s is clear", name)
				}
			}
			if l, ok := parsed.Link(license.RelSelf); !ok || l.Href != "https://lcp.example.org/licenses/"+r.ID {
				t.Errorf("self link = %v, %v", l, ok)
			}
			want := license.Link{Rel: "http://opds-spec.org/acquisition", Href: "https://shop.example.org/opds?license_id=" + r.ID, Type: "application/opds-publication+json"}
			if l, _ := parsed.Link(license.RelAcquisition); l != want {
				t.Errorf("link for automatic key retrieval = %v, want %v", l, want)
			}
		})
	}
}

func roots(t testing.TB, keyType certificate.KeyType) *x509.CertPool {
	t.Helper()
	_, dir := provider(t, keyType)
	root, err := certificate.Read(filepath.Join(dir, certificate.RootFile))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root[0])
	return pool
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t, options(t, certificate.P256))
	text := string(issue(t, issuer, request()).JSON())
	for name, change := range map[string][2]string{
		"another right":      {`"print":10`, `"print":11`},
		"another user":       {`"id":"d9f298a7"`, `"id":"d9f298a8"`},
		"an added member":    {`"rights":{`, `"rights":{"x":1,`},
		"a removed link":     {`,{"rel":"support","href":"mailto:help@example.org"}`, ``},
		"another order":      {`["name","email"]`, `["email","name"]`},
		"another hint":       {`"The usual"`, `"the usual"`},
		"an added root item": {`"provider":`, `"x":1,"provider":`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(text, change[0], change[1], 1)
			if changed == text {
				t.Fatalf("%q is not in the license", change[0])
			}
			d, err := license.Parse([]byte(changed))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Verify(nil); !errors.Is(err, signature.ErrInvalid) {
				t.Errorf("Verify = %v, want ErrInvalid", err)
			}
		})
	}
	t.Run("space and order of members do not matter", func(t *testing.T) {
		t.Parallel()
		d, err := license.Parse([]byte(strings.Replace(text, `{"provider":"https://shop.example.org",`,
			"\n{ \"provider\" :\t\"https:\\/\\/shop.example.org\" ,", 1)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Verify(nil); err != nil {
			t.Errorf("Verify = %v", err)
		}
	})
	t.Run("another root", func(t *testing.T) {
		t.Parallel()
		if _, err := issue(t, issuer, request()).Verify(roots(t, certificate.RSA2048)); !errors.Is(err, signature.ErrUntrusted) {
			t.Errorf("Verify = %v, want ErrUntrusted", err)
		}
	})
}

// A reading system wants the certificate to be valid when the license was last
// updated (LCP §5.5.1).
func TestIssueStaysWithinTheCertificate(t *testing.T) {
	t.Parallel()
	o := options(t, certificate.P256)
	begin, end := o.Signer.Certificate().NotBefore, o.Signer.Certificate().NotAfter
	for name, tt := range map[string]struct{ issued, updated, want time.Time }{
		"issued within":                        {now, time.Time{}, time.Time{}},
		"issued as it begins":                  {begin, time.Time{}, time.Time{}},
		"issued before it":                     {begin.Add(-time.Hour), time.Time{}, begin},
		"issued before, updated before it":     {begin.Add(-2 * time.Hour), begin.Add(-time.Hour), begin},
		"issued before it, updated within":     {begin.Add(-time.Hour), now, now},
		"issued and updated within, with nano": {now, now.Add(1234567), now.Add(time.Millisecond)},
		"in another zone":                      {now, now.Add(time.Hour).In(time.FixedZone("", 3600)), now.Add(time.Hour)},
		"updated as it ends":                   {now, end, end},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request()
			r.Issued, r.Updated = tt.issued, tt.updated
			d := issue(t, newIssuer(t, o), r)
			if !d.Updated.Equal(tt.want) || !d.Issued.Equal(tt.issued) {
				t.Errorf("updated %v, issued %v, want %v, %v", d.Updated, d.Issued, tt.want, tt.issued)
			}
			if _, err := d.Verify(nil); err != nil {
				t.Errorf("Verify = %v", err)
			}
			checkSchema(t, d)
		})
	}
	r := request()
	r.Updated = end.Add(time.Second)
	if _, err := newIssuer(t, o).Issue(t.Context(), r); !errors.Is(err, license.ErrValidity) {
		t.Errorf("Issue after the end of the certificate = %v, want ErrValidity", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	d := issue(t, newIssuer(t, options(t, certificate.P256)), request())
	for i := range 64 { // one wrong key in 16 gives a valid padding
		key := lcpcrypto.UserKey(profile.HashPassphrase(string(rune('a' + i))))
		if _, err := d.Open(key); !errors.Is(err, license.ErrPassphrase) {
			t.Fatalf("Open with a wrong key = %v, want ErrPassphrase", err)
		}
	}
	text := strings.Replace(string(d.JSON()), "xmlenc#aes256-cbc", "xmlenc11#aes256-gcm", 1)
	other, err := license.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(lcpcrypto.UserKey(profile.HashPassphrase(passphrase))); !errors.Is(err, license.ErrAlgorithm) {
		t.Errorf("Open with GCM = %v, want ErrAlgorithm", err)
	}
}

func TestLinksFollowTheOptions(t *testing.T) {
	t.Parallel()
	o := options(t, certificate.P256)
	o.Status, o.Links, o.Hint = "", nil, "https://shop.example.org/hint"
	d := issue(t, newIssuer(t, o), request())
	var rels []string
	for _, l := range d.Links {
		rels = append(rels, l.Rel)
	}
	if diff := cmp.Diff([]string{"publication", "hint"}, rels); diff != "" {
		t.Errorf("relations (-want +got):\n%s", diff)
	}
	if _, ok := d.Link(license.RelStatus); ok {
		t.Error("there is a status link")
	}
}

func TestUserAndRightsMayBeAbsent(t *testing.T) {
	t.Parallel()
	r := request()
	r.User, r.Rights, r.Publication.Title = license.User{}, license.Rights{}, ""
	text := string(issue(t, newIssuer(t, options(t, certificate.P256)), r).JSON())
	for _, member := range []string{`"user":`, `"rights":`, `"title":`, `"updated":`, `null`} {
		if strings.Contains(text, member) {
			t.Errorf("%s is in %s", member, text)
		}
	}
}
