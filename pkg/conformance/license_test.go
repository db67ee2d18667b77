package conformance_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/conformance"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/signature"
)

// now is when test certificates are made, licenses issued and documents checked.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

const (
	passphrase = "open sesame"
	licenseID  = "ef15e740-697f-11e3-949a-0800200c9a66"
)

// pairs are the test certificates, one of each type of key.
var pairs = map[certificate.KeyType]*certificate.Pair{}

// roots are what the RSA pair was issued under.
var roots = x509.NewCertPool()

func TestMain(m *testing.M) { os.Exit(withCertificates(m)) }

func withCertificates(m *testing.M) int {
	dir, err := os.MkdirTemp("", "conformance-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	for _, keyType := range []certificate.KeyType{certificate.RSA2048, certificate.P256} {
		folder := filepath.Join(dir, string(keyType))
		if err := certificate.CreateTest(folder, keyType, now); err != nil {
			panic(err)
		}
		pairs[keyType], err = certificate.Load(filepath.Join(folder, certificate.CertificateFile), filepath.Join(folder, certificate.KeyFile), now)
		if err != nil {
			panic(err)
		}
		if keyType == certificate.RSA2048 {
			root, err := certificate.Read(filepath.Join(folder, certificate.RootFile))
			if err != nil {
				panic(err)
			}
			roots.AddCert(root[0])
		}
	}
	return m.Run()
}

var contentKey = lcpcrypto.ContentKey{1, 2, 3}

// request is that of a license with all that one may have.
func request() license.Request {
	prints, copies := int64(10), int64(0)
	end := now.AddDate(0, 0, 14)
	return license.Request{
		ID: licenseID, Issued: now.Add(-time.Hour), ContentKey: contentKey,
		Publication: license.Publication{
			Href: "https://cdn.example.org/moby-dick.epub", ContentType: "application/epub+zip", Title: "Moby-Dick",
			Size: 264929, Checksum: strings.Repeat("8b", 32),
		},
		User: license.User{
			ID: "d9f298a7", Name: "Ishmael", Fields: map[string]string{"https://shop.example.org/language": "tlh"},
			Encrypted: []string{"name"},
		},
		Rights:  license.Rights{Print: &prints, Copy: &copies, End: &end},
		Profile: profile.Basic, TextHint: "The usual", PassHash: profile.HashPassphrase(passphrase).Hex(),
	}
}

// issueAt issues a license whose links lead to a server.
func issueAt(t testing.TB, base string, keyType certificate.KeyType, r license.Request) []byte {
	t.Helper()
	issuer, err := license.NewIssuer(license.Options{
		Provider: "https://shop.example.org", Signer: pairs[keyType].Signer, Profiles: profile.NewRegistry(),
		Hint: base + "/hint{?license_id}", Status: base + "/status/{license_id}",
		Links: []license.Link{{Rel: "support", Href: "mailto:help@example.org"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := issuer.Issue(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return doc.JSON()
}

func issue(t testing.TB) []byte {
	t.Helper()
	return issueAt(t, "https://lcp.example.org", certificate.RSA2048, request())
}

// An object is a JSON object to change.
type object = map[string]any

func at(o object, names ...string) object {
	for _, name := range names {
		o = o[name].(object)
	}
	return o
}

func linkOf(o object, i int) object { return o["links"].([]any)[i].(object) }

// edited changes a document.
func edited(t testing.TB, data []byte, edit func(object)) []byte {
	t.Helper()
	var doc object
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	edit(doc)
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// resigned changes a license and signs it again.
func resigned(t testing.TB, data []byte, edit func(object)) []byte {
	t.Helper()
	return edited(t, edited(t, data, edit), func(doc object) {
		signed, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		canonical, err := signature.Signed(signed)
		if err != nil {
			t.Fatal(err)
		}
		s, err := pairs[certificate.RSA2048].Signer.Sign(t.Context(), canonical)
		if err != nil {
			t.Fatal(err)
		}
		doc["signature"] = s
	})
}

// told gives findings as severity, rule and place.
func told(found []conformance.Finding) []string {
	list := []string{}
	for _, f := range found {
		list = append(list, strings.TrimSpace(string(f.Severity)+" "+f.Rule+" "+f.Place))
	}
	return list
}

// ofTests are the findings of every license of a test.
var ofTests = []string{
	"info license-test-profile encryption.profile",
	"warning signature-test signature.certificate",
}

func base64Of(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }

// Every rule finds what it is about, in a license that is signed and has no other
// fault.
func TestLicense(t *testing.T) {
	t.Parallel()
	const userKey = "encryption.user_key"
	for name, tt := range map[string]struct {
		edit func(object)
		want []string // besides ofTests
	}{
		"as issued":        {func(object) {}, nil},
		"unknown members":  {func(o object) { o["x"] = 1; at(o, "encryption")["y"] = "z" }, nil},
		"provider no URI":  {func(o object) { o["provider"] = "shop" }, []string{"error license-provider provider"}},
		"provider spaced":  {func(o object) { o["provider"] = "https://my shop" }, []string{"error license-provider provider"}},
		"provider missing": {func(o object) { delete(o, "provider") }, []string{"error license-member provider"}},
		"two missing": {
			func(o object) { delete(o, "issued"); delete(at(o, "encryption", "user_key"), "text_hint") },
			[]string{"error license-member " + userKey + ".text_hint", "error license-member issued"},
		},
		"id no UUID": {func(o object) {
			o["id"] = "17"
			at(o, "encryption", "user_key")["key_check"] = base64Of(32)
		}, []string{"info license-id id"}},
		"issued in the future": {func(o object) { o["issued"] = "2026-07-01T00:00:00Z" }, []string{"warning license-issued issued"}},
		"updated too early": {
			func(o object) { o["updated"] = "2026-06-01T10:00:00Z" },
			[]string{"warning license-updated updated"},
		},
		"issued elsewhere":    {func(o object) { o["issued"] = "2026-06-01T13:00:00+02:00" }, []string{"warning date-utc issued"}},
		"issued too precise":  {func(o object) { o["issued"] = "2026-06-01T11:00:00.0001Z" }, []string{"warning date-precision issued"}},
		"issued no date":      {func(o object) { o["issued"] = "yesterday" }, []string{"error license-member issued"}},
		"unknown profile":     {func(o object) { at(o, "encryption")["profile"] = "http://readium.org/lcp/profile-3.0" }, []string{"error license-profile encryption.profile", "-info license-test-profile encryption.profile"}},
		"profile of any kind": {func(o object) { at(o, "encryption")["profile"] = profile.Any2 }, []string{"error license-profile encryption.profile", "-info license-test-profile encryption.profile"}},
		"production profile":  {func(o object) { at(o, "encryption")["profile"] = profile.V1 }, []string{"-info license-test-profile encryption.profile"}},
		"content key algorithm": {
			func(o object) {
				at(o, "encryption", "content_key")["algorithm"] = "http://www.w3.org/2001/04/xmlenc#aes128-cbc"
			},
			[]string{"error license-content-key-algorithm encryption.content_key.algorithm"},
		},
		"content key in hexadecimal": {
			func(o object) { at(o, "encryption", "content_key")["encrypted_value"] = base64Of(96) },
			[]string{"error license-content-key encryption.content_key.encrypted_value"},
		},
		"content key no base64": {
			func(o object) { at(o, "encryption", "content_key")["encrypted_value"] = "*" },
			[]string{"error license-member encryption.content_key.encrypted_value"},
		},
		"user key algorithm": {
			func(o object) { at(o, "encryption", "user_key")["algorithm"] = "sha256" },
			[]string{"error license-user-key-algorithm " + userKey + ".algorithm"},
		},
		"key check of another length": {
			func(o object) { at(o, "encryption", "user_key")["key_check"] = base64Of(32) },
			[]string{"error license-key-check " + userKey + ".key_check"},
		},
		"no text hint":            {func(o object) { at(o, "encryption", "user_key")["text_hint"] = " " }, []string{"warning license-text-hint " + userKey + ".text_hint"}},
		"more in the user key":    {func(o object) { at(o, "encryption", "user_key")["value"] = "x" }, []string{"warning license-unknown-member " + userKey}},
		"no links":                {func(o object) { o["links"] = []any{} }, []string{"error license-hint-link links", "error license-publication-link links", "info license-status-link links"}},
		"two publications":        {func(o object) { linkOf(o, 3)["rel"] = "publication" }, []string{"error publication-link-url links[3].href", "warning license-one-publication links", "warning publication-link-hash links[3].hash", "warning publication-link-length links[3].length"}},
		"template not marked":     {func(o object) { linkOf(o, 1)["href"] = "https://lcp.example.org/{id}" }, []string{"error link-templated links[1].href"}},
		"template without places": {func(o object) { linkOf(o, 3)["templated"] = true }, []string{"error link-templated links[3].href"}},
		"broken template":         {func(o object) { linkOf(o, 2)["href"] = "https://x.example/{a"; linkOf(o, 2)["templated"] = true }, []string{"error link-template links[2].href", "warning hint-link-templated links[2].templated"}},
		"status link templated":   {func(o object) { linkOf(o, 1)["href"] = "https://x.example/{a}"; linkOf(o, 1)["templated"] = true }, []string{"error status-link-templated links[1].templated"}},
		"relative link":           {func(o object) { linkOf(o, 2)["href"] = "/hint" }, []string{"error link-uri links[2].href"}},
		"link without type":       {func(o object) { delete(linkOf(o, 2), "type") }, []string{"warning link-type links[2].type"}},
		"unknown relation":        {func(o object) { linkOf(o, 3)["rel"] = "help" }, []string{"error link-rel links[3].rel"}},
		"relation of their own":   {func(o object) { linkOf(o, 3)["rel"] = "https://shop.example.org/help" }, nil},
		"publication by ftp":      {func(o object) { linkOf(o, 0)["href"] = "ftp://x.example/a" }, []string{"error publication-link-url links[0].href"}},
		"publication in a file":   {func(o object) { linkOf(o, 0)["href"] = "file:///shelf/a.epub" }, []string{"info publication-link-local links[0].href"}},
		"publication templated":   {func(o object) { linkOf(o, 0)["href"] = "https://x.example/{a}"; linkOf(o, 0)["templated"] = true }, []string{"error publication-link-templated links[0].templated"}},
		"publication of a clear type": {
			func(o object) { linkOf(o, 0)["type"] = "application/pdf" },
			[]string{"warning publication-link-type links[0].type"},
		},
		"publication without length": {func(o object) { delete(linkOf(o, 0), "length") }, []string{"warning publication-link-length links[0].length"}},
		"length in a text":           {func(o object) { linkOf(o, 0)["length"] = "264929" }, []string{"warning link-length-number links[0].length"}},
		"publication without hash":   {func(o object) { delete(linkOf(o, 0), "hash") }, []string{"warning publication-link-hash links[0].hash"}},
		"hash that is none":          {func(o object) { linkOf(o, 0)["hash"] = "8b8b" }, []string{"error publication-link-hash-form links[0].hash"}},
		"hash in upper case":         {func(o object) { linkOf(o, 0)["hash"] = strings.Repeat("8B", 32) }, []string{"warning publication-link-hash-spelling links[0].hash"}},
		"hash in base64":             {func(o object) { linkOf(o, 0)["hash"] = base64Of(32) }, []string{"warning publication-link-hash-spelling links[0].hash"}},
		"status of another type":     {func(o object) { linkOf(o, 1)["type"] = "application/json" }, []string{"warning status-link-type links[1].type"}},
		"status by mail":             {func(o object) { linkOf(o, 1)["href"] = "mailto:s@example.org" }, []string{"error status-link-url links[1].href"}},
		"status over http":           {func(o object) { linkOf(o, 1)["href"] = "http://lcp.example.org/s" }, []string{"warning status-link-insecure links[1].href"}},
		"status on this machine":     {func(o object) { linkOf(o, 1)["href"] = "http://localhost:8989/s" }, []string{"info status-link-local links[1].href"}},
		"hint by telephone":          {func(o object) { linkOf(o, 2)["href"] = "tel:1800836482" }, []string{"error hint-link-url links[2].href"}},
		"user without id":            {func(o object) { delete(at(o, "user"), "id") }, []string{"info user-id user"}},
		"no user":                    {func(o object) { delete(o, "user") }, nil},
		"encrypted names nothing":    {func(o object) { at(o, "user")["encrypted"] = []string{"name", "email"} }, []string{"error user-encrypted user.encrypted"}},
		"encrypted names itself":     {func(o object) { at(o, "user")["encrypted"] = []string{"name", "encrypted"} }, []string{"error user-encrypted user.encrypted"}},
		"encrypted and clear":        {func(o object) { at(o, "user")["name"] = "Ishmael" }, []string{"error user-encryption user.name"}},
		"field of their own":         {func(o object) { at(o, "user")["language"] = "tlh" }, []string{"error user-extension user"}},
		"end before start":           {func(o object) { at(o, "rights")["start"] = "2027-01-01T00:00:00Z" }, []string{"error rights-period rights", "info rights-not-begun rights.start"}},
		"ended before it began": {func(o object) {
			at(o, "rights")["start"], at(o, "rights")["end"] = "2026-07-01T00:00:00Z", "2026-05-01T00:00:00Z"
		}, []string{"info rights-ended rights.end", "info rights-not-begun rights.start"}},
		"ended":              {func(o object) { at(o, "rights")["end"] = "2026-05-01T00:00:00Z" }, []string{"info rights-ended rights.end"}},
		"end elsewhere":      {func(o object) { at(o, "rights")["end"] = "2027-05-01T00:00:00-05:00" }, []string{"warning date-utc rights.end"}},
		"negative limit":     {func(o object) { at(o, "rights")["print"] = -1 }, []string{"warning rights-negative rights.print"}},
		"right of their own": {func(o object) { at(o, "rights")["tweet"] = true }, []string{"error rights-extension rights"}},
		"right by a URI":     {func(o object) { at(o, "rights")["https://shop.example.org/tweet"] = true }, nil},
		"outside the certificate": {
			func(o object) { o["issued"] = "2020-01-01T00:00:00Z" },
			[]string{"error signature-validity signature.certificate"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, found := conformance.License(conformance.SubjectLicense, resigned(t, issue(t), tt.edit), roots, now)
			compare(t, found, append(slices.Clone(ofTests), tt.want...))
		})
	}
}

// compare fails unless exactly these findings were made. One that begins with a
// dash is taken off the others.
func compare(t *testing.T, found []conformance.Finding, want []string) {
	t.Helper()
	want = slices.DeleteFunc(slices.Clone(want), func(s string) bool {
		return slices.Contains(want, "-"+s) || strings.HasPrefix(s, "-")
	})
	got := told(found)
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got, cmp.Transformer("", func(s []string) string { return strings.Join(s, "\n") })); diff != "" {
		t.Errorf("findings (-want +got):\n%s\n%+v", diff, found)
	}
	for _, f := range found {
		if f.Severity != conformance.Info && (f.Message == "" || f.Remedy == "" || f.Subject == "") {
			t.Errorf("%+v does not tell what to do", f)
		}
	}
}

// What a signature can be wrong in. Editing a license breaks it.
func TestLicenseSignature(t *testing.T) {
	t.Parallel()
	elsewhere := issueAt(t, "https://lcp.example.org", certificate.P256, request())
	for name, tt := range map[string]struct {
		data  []byte
		roots *x509.CertPool
		want  []string
	}{
		"roots not known":     {issue(t), nil, append(slices.Clone(ofTests), "info signature-root signature.certificate")},
		"changed":             {edited(t, issue(t), func(o object) { at(o, "rights")["print"] = 1000 }), roots, append(slices.Clone(ofTests), "error signature-value signature.value")},
		"of another root":     {elsewhere, roots, append(slices.Clone(ofTests), "error signature-root signature.certificate", "warning signature-profile signature.algorithm")},
		"algorithm of others": {edited(t, elsewhere, func(o object) { at(o, "signature")["algorithm"] = signature.RSASHA256 }), nil, append(slices.Clone(ofTests), "error signature-algorithm signature.algorithm", "info signature-root signature.certificate")},
		"no certificate":      {edited(t, issue(t), func(o object) { at(o, "signature")["certificate"] = "AAAA" }), roots, []string{ofTests[0], "error signature-certificate signature.certificate"}},
		"unsigned":            {edited(t, issue(t), func(o object) { delete(o, "signature") }), roots, []string{ofTests[0], "error license-member signature"}},
		"more than a signature": {
			edited(t, issue(t), func(o object) { at(o, "signature")["chain"] = "x" }), roots,
			append(slices.Clone(ofTests), "warning license-unknown-member signature"),
		},
		"not JSON":  {[]byte("{"), roots, []string{"error license-json"}},
		"a list":    {[]byte("[]"), roots, []string{"error license-json"}},
		"two of it": {[]byte(`{"id":"1","id":"2"}`), roots, []string{"error license-json"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, found := conformance.License(conformance.SubjectLicense, tt.data, tt.roots, now)
			compare(t, found, tt.want)
		})
	}
}

// checker checks files without following links.
func checker(hash *profile.Hash) *conformance.Checker {
	return &conformance.Checker{
		Roots: roots, Hash: hash, Profiles: profile.NewRegistry(), Now: func() time.Time { return now },
	}
}

func hashOf(passphrase string) *profile.Hash {
	hash := profile.HashPassphrase(passphrase)
	return &hash
}

func writeFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPassphrase(t *testing.T) {
	t.Parallel()
	hash := profile.HashPassphrase(passphrase)
	key, err := lcpcrypto.ParseUserKey(hash.Hex())
	if err != nil {
		t.Fatal(err)
	}
	sealed := func(plain []byte) string { return base64.StdEncoding.EncodeToString(lcpcrypto.Encrypt(key, plain)) }
	for name, tt := range map[string]struct {
		passphrase string
		edit       func(object)
		want       []string
	}{
		"right": {passphrase, func(object) {}, nil},
		"wrong": {"close sesame", func(object) {}, []string{"error passphrase encryption.user_key.key_check"}},
		"key of another length": {
			passphrase, func(o object) { at(o, "encryption", "content_key")["encrypted_value"] = sealed(make([]byte, 33)) },
			[]string{"error passphrase-content-key encryption.content_key"},
		},
		"check of another id": {passphrase, func(o object) {
			at(o, "encryption", "user_key")["key_check"] = sealed([]byte(strings.ToUpper(licenseID)))
		}, []string{"error passphrase encryption.user_key.key_check"}},
		"field of another key": {passphrase, func(o object) {
			data := lcpcrypto.Encrypt(key, make([]byte, 15))
			data[15] ^= 0x80 // of the initialization vector, which makes the padding 0x81
			at(o, "user")["name"] = base64.StdEncoding.EncodeToString(data)
		}, []string{"error passphrase-user user"}},
		"no check": {
			passphrase, func(o object) { delete(at(o, "encryption", "user_key"), "key_check") },
			[]string{"error license-member encryption.user_key.key_check"},
		},
		"profile without helper": {
			passphrase, func(o object) { at(o, "encryption")["profile"] = profile.V1 },
			[]string{"warning passphrase-profile encryption.profile", "-info license-test-profile encryption.profile"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := writeFile(t, "book.lcpl", resigned(t, issue(t), tt.edit))
			report := checker(hashOf(tt.passphrase)).Check(t.Context(), file)
			if report.Kind != conformance.SubjectLicense || report.Target != file {
				t.Errorf("report of %q, %q", report.Kind, report.Target)
			}
			compare(t, report.Findings, append(slices.Clone(ofTests), tt.want...))
		})
	}
}

// Findings never repeat what is told of the user, nor anything secret.
func TestFindingsKeepSecrets(t *testing.T) {
	t.Parallel()
	data := resigned(t, issue(t), func(o object) {
		at(o, "user")["name"], at(o, "user")["email"] = "Queequeg", "queequeg@example.org"
		at(o, "user")["encrypted"] = []string{"name", "email"}
	})
	report := checker(hashOf("a secret of mine")).Check(t.Context(), writeFile(t, "book.lcpl", data))
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"ueequeg", "secret of mine", profile.HashPassphrase("a secret of mine").Hex()} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%q is in the report %s", secret, text)
		}
	}
}

// The profile's own transform is asked, and its failure told.
func TestPassphraseOfAProductionProfile(t *testing.T) {
	t.Parallel()
	r := request()
	r.Profile = profile.V1
	registry := profile.NewRegistry()
	if err := registry.Register(profile.V1, profile.DeriverFunc(func(_ context.Context, _ string, hash profile.Hash) (lcpcrypto.UserKey, error) {
		return lcpcrypto.UserKey{hash[0], 7}, nil
	})); err != nil {
		t.Fatal(err)
	}
	issuer, err := license.NewIssuer(license.Options{
		Provider: "https://shop.example.org", Signer: pairs[certificate.RSA2048].Signer, Profiles: registry, Hint: "https://shop.example.org/hint",
	})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := issuer.Issue(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	c := checker(hashOf(passphrase))
	c.Profiles = registry
	report := c.Check(t.Context(), writeFile(t, "book.lcpl", doc.JSON()))
	compare(t, report.Findings, []string{"info license-status-link links", ofTests[1]})
}

func FuzzLicense(f *testing.F) {
	f.Add([]byte(`{"id":"1","links":[{"rel":["a"],"href":"{x","templated":true,"length":"1"}],"user":{"encrypted":["x"],"x":"AA=="},"rights":{"print":-1,"start":"2026-01-01T00:00:00+01:00"}}`))
	f.Add([]byte(`{"provider":"https://a.example","signature":{"certificate":"AAAA","value":"AAAA","algorithm":"x"},"encryption":{"user_key":{"x":1}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, found := conformance.License(conformance.SubjectLicense, data, nil, now)
		_, err := license.Parse(data)
		broken := slices.ContainsFunc(found, func(f conformance.Finding) bool { return f.Severity == conformance.Error })
		if err != nil && !broken {
			t.Errorf("no error was found in %q: %v", data, err)
		}
		if doc == nil && !broken {
			t.Errorf("nothing could be read of %q, and no error is told", data)
		}
	})
}
