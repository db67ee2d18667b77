package license_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/profile"
)

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// minimal has what a license must have and nothing else (LCP §3).
const minimal = `{"provider":"https://a.example","id":"1","issued":"2026-01-01T00:00:00Z",
	"encryption":{"profile":"http://readium.org/lcp/basic-profile",
		"content_key":{"algorithm":"http://www.w3.org/2001/04/xmlenc#aes256-cbc","encrypted_value":"AAAA"},
		"user_key":{"algorithm":"http://www.w3.org/2001/04/xmlenc#sha256","text_hint":"","key_check":"AAAA"}},
	"links":[],
	"signature":{"algorithm":"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256","certificate":"AAAA","value":"AAAA"}}`

func parse(t testing.TB, text string) *license.Document {
	t.Helper()
	d, err := license.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// with adds members to minimal.
func with(members string) string {
	return strings.Replace(minimal, `{"provider"`, "{"+members+`,"provider"`, 1)
}

func TestParse(t *testing.T) {
	t.Parallel()
	t.Run("unknown members are kept", func(t *testing.T) {
		t.Parallel()
		text := with(`"x":{"y":[1.50, null]}, "ID":"other", "Issued":"x", "iſsued":1`)
		d := parse(t, text)
		if d.ID != "1" {
			t.Errorf("id = %q, that of a member of another name", d.ID)
		}
		if string(d.JSON()) != text {
			t.Errorf("JSON = %s, want %s", d.JSON(), text)
		}
		whole, err := json.Marshal(map[string]any{"license": d})
		if err != nil || !bytes.Contains(whole, []byte(`"y":[1.50,null]`)) {
			t.Errorf("within another document: %s, %v", whole, err)
		}
	})
	t.Run("links", func(t *testing.T) {
		t.Parallel()
		d := parse(t, strings.Replace(minimal, `"links":[]`, `"links":[
			{"rel":["hint","help"],"href":"a"},
			{"rel":"publication","href":"b","length":"264929","hash":"ff","type":"t","title":"u","profile":"p"},
			{"rel":"status","href":"c{?x}","templated":true,"length":7}]`, 1))
		want := []license.Link{
			{Rel: "hint", Href: "a"},
			{Rel: "publication", Href: "b", Length: 264929, Hash: "ff", Type: "t", Title: "u", Profile: "p"},
			{Rel: "status", Href: "c{?x}", Templated: true, Length: 7},
		}
		if diff := cmp.Diff(want, d.Links); diff != "" {
			t.Errorf("links (-want +got):\n%s", diff)
		}
	})
	t.Run("user", func(t *testing.T) {
		t.Parallel()
		d := parse(t, with(`"user":{"id":"a","name":null,"https://b.example":"c","https://d.example":5,"encrypted":[]}`))
		want := license.User{ID: "a", Fields: map[string]string{"https://b.example": "c"}, Encrypted: []string{}}
		if diff := cmp.Diff(want, d.User); diff != "" {
			t.Errorf("user (-want +got):\n%s", diff)
		}
	})
	t.Run("rights", func(t *testing.T) {
		t.Parallel()
		d := parse(t, with(`"rights":{"print":-1,"copy":0,"end":"2026-01-01T01:00:00.5+01:00","https://b.example":true}`))
		zero, end := int64(0), time.Date(2026, 1, 1, 0, 0, 0, 5e8, time.UTC)
		if diff := cmp.Diff(license.Rights{Copy: &zero, End: &end}, d.Rights); diff != "" {
			t.Errorf("rights (-want +got):\n%s", diff)
		}
	})
	t.Run("null is absent", func(t *testing.T) {
		t.Parallel()
		if d := parse(t, with(`"user":null,"rights":null,"updated":null`)); !d.User.IsZero() || !d.Updated.IsZero() {
			t.Errorf("user %v, updated %v", d.User, d.Updated)
		}
	})
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, reason string }{
		"nothing":               {"", "not an object"},
		"not JSON":              {"<license/>", "not an object"},
		"not an object":         {"[]", "not an object"},
		"repeated member":       {with(`"id":"2"`), "twice"},
		"trailing data":         {minimal + "x", "after the end"},
		"too long":              {minimal + strings.Repeat(" ", license.MaxSize), "bytes"},
		"empty id":              {strings.Replace(minimal, `"id":"1"`, `"id":""`, 1), "id is empty"},
		"id of another type":    {strings.Replace(minimal, `"id":"1"`, `"id":1`, 1), "id is not a string"},
		"no date":               {strings.Replace(minimal, `"issued"`, `"x"`, 1), "issued is missing"},
		"date that is none":     {strings.Replace(minimal, `2026-01-01T`, `2026-13-01T`, 1), "issued is not an RFC 3339 date"},
		"no content key":        {strings.Replace(minimal, `"content_key"`, `"x"`, 1), "encryption.content_key is missing"},
		"no key check":          {strings.Replace(minimal, `"key_check"`, `"x"`, 1), "encryption.user_key.key_check is missing"},
		"key check not base64":  {strings.Replace(minimal, `"key_check":"AAAA"`, `"key_check":"*"`, 1), "key_check is not standard base64"},
		"empty key check":       {strings.Replace(minimal, `"key_check":"AAAA"`, `"key_check":""`, 1), "key_check is empty"},
		"no text hint":          {strings.Replace(minimal, `"text_hint"`, `"x"`, 1), "text_hint is missing"},
		"no links":              {strings.Replace(minimal, `"links"`, `"x"`, 1), "links is missing"},
		"links of another type": {strings.Replace(minimal, `"links":[]`, `"links":{}`, 1), "links is not a list"},
		"link that is none":     {strings.Replace(minimal, `"links":[]`, `"links":[1]`, 1), "links[0] is not an object"},
		"link without rel":      {strings.Replace(minimal, `"links":[]`, `"links":[{"href":"a"}]`, 1), "links[0].rel is missing"},
		"link without href":     {strings.Replace(minimal, `"links":[]`, `"links":[{"rel":"a"}]`, 1), "links[0].href is missing"},
		"length that is none": {
			strings.Replace(minimal, `"links":[]`, `"links":[{"rel":"a","href":"b","length":"x"}]`, 1), "links[0].length is not an integer",
		},
		"empty list of relations": {
			strings.Replace(minimal, `"links":[]`, `"links":[{"rel":[],"href":"b"}]`, 1), "links[0].rel is not a string",
		},
		"no signature":        {strings.Replace(minimal, `"signature"`, `"x"`, 1), "signature is missing"},
		"user that is none":   {with(`"user":[]`), "user is not an object"},
		"encrypted not texts": {with(`"user":{"encrypted":[1]}`), "user.encrypted is not a list of strings"},
		"print that is none":  {with(`"rights":{"print":1.5}`), "rights.print is not an integer"},
		"end that is none":    {with(`"rights":{"end":"tomorrow"}`), "rights.end is not an RFC 3339 date"},
		"everything missing":  {`{}`, "provider is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := license.Parse([]byte(tt.text))
			if !errors.Is(err, license.ErrDocument) || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("Parse = %v, want an ErrDocument that says %q", err, tt.reason)
			}
		})
	}
}

// Read tells all faults by their member, and what is sound beside them.
func TestRead(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer(`"issued"`, `"x"`, `"key_check":"AAAA"`, `"key_check":"*"`, `"links":[]`, `"links":[{"rel":"hint"}]`).Replace(minimal)
	d, faults, err := license.Read([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, fault := range faults {
		m, ok := errors.AsType[*license.MemberError](fault)
		if !ok {
			t.Fatalf("%v names no member", fault)
		}
		got = append(got, m.Member+": "+m.Reason)
	}
	want := []string{"issued: is missing", "encryption.user_key.key_check: is not standard base64", "links[0].href: is missing"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if d.ID != "1" || d.Encryption.Profile == "" || len(d.Links) != 1 || d.Links[0].Rel != "hint" || !d.Issued.IsZero() {
		t.Errorf("Read = %+v", d)
	}
	if d, _, err := license.Read([]byte("[]")); d != nil || !errors.Is(err, license.ErrDocument) {
		t.Errorf("Read of what is no object = %v, %v", d, err)
	}
}

// Licenses made by the servers in use, with the passphrase hash of the one that
// has it inside, in a member that is no part of the specification.
func TestLicensesOfOthers(t *testing.T) {
	t.Parallel()
	corpus := os.Getenv("LCP_CORPUS")
	if corpus == "" {
		t.Skip("LCP_CORPUS, the folder of sample publications, is not set")
	}
	for file, tt := range map[string]struct {
		entry string
		open  bool
	}{
		"broken/already-lcp.epub": {"META-INF/license.lcpl", true},
		"broken/already-lcp.lcpa": {"license.lcpl", false},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			text := readEntry(t, filepath.Join(corpus, file), tt.entry)
			d := parse(t, string(text))
			if _, err := d.Verify(nil); err != nil {
				t.Errorf("Verify = %v", err)
			}
			if verdict, code := verifyScript(t, text); code != 0 {
				t.Errorf("%s: %s", script, verdict)
			}
			if tt.open {
				openWithItsOwnHash(t, d)
			}
		})
	}
}

func openWithItsOwnHash(t *testing.T, d *license.Document) {
	t.Helper()
	var raw struct {
		Encryption struct {
			UserKey struct{ Value []byte } `json:"user_key"`
		}
	}
	if err := json.Unmarshal(d.JSON(), &raw); err != nil {
		t.Fatal(err)
	}
	opened, err := d.Open(lcpcrypto.UserKey(raw.Encryption.UserKey.Value))
	if err != nil || !strings.Contains(opened.User.Email, "@") || opened.User.Name == "" {
		t.Errorf("Open = %v, email and name read: %v", err, opened.User.Email != "" && opened.User.Name != "")
	}
}

func readEntry(t *testing.T, archive, name string) []byte {
	t.Helper()
	z, err := zip.OpenReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	f, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(with(`"user":{"id":"a","encrypted":["id"]},"rights":{"print":-1,"end":"2026-01-01T00:00:00Z"}`)))
	f.Add([]byte(strings.Replace(minimal, `"links":[]`, `"links":[{"rel":["a"],"href":"b","length":"1"}]`, 1)))
	f.Add(issue(f, newIssuer(f, options(f, certificate.P256)), request()).JSON())
	key := lcpcrypto.UserKey(profile.HashPassphrase(passphrase))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := license.Parse(text)
		if err != nil {
			if !errors.Is(err, license.ErrDocument) {
				t.Fatalf("Parse = %v, not an ErrDocument", err)
			}
			return
		}
		if !bytes.Equal(d.JSON(), text) {
			t.Fatalf("JSON = %q, want %q", d.JSON(), text)
		}
		if d.ID == "" || d.Provider == "" || d.Issued.IsZero() && !bytes.Contains(text, []byte("0001-01-01")) {
			t.Fatalf("accepted %q", text)
		}
		_, _ = d.Verify(nil)
		_, _ = d.Open(key)
	})
}

// checkSchema applies the rules of license.schema.json and link.schema.json (LCP
// Appendix A), read from the JSON and not from our types; and the stricter ones
// that our documents promise on dates and hashes.
func checkSchema(t *testing.T, d *license.Document) {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(d.JSON(), &doc); err != nil {
		t.Fatal(err)
	}
	s := schema{t}
	s.members("license", doc, "id issued provider encryption links signature", "updated user rights")
	s.text(doc, "id")
	s.uri(doc, "provider")
	s.date(doc, "issued", "updated")

	encryption := s.object(doc, "encryption")
	s.members("encryption", encryption, "profile content_key user_key", "")
	s.uri(encryption, "profile")
	contentKey := s.object(encryption, "content_key")
	s.members("content_key", contentKey, "algorithm encrypted_value", "")
	s.uri(contentKey, "algorithm")
	s.base64(contentKey, "encrypted_value")
	userKey := s.object(encryption, "user_key")
	s.members("user_key", userKey, "algorithm key_check text_hint", "")
	s.uri(userKey, "algorithm")
	s.base64(userKey, "key_check")
	s.text(userKey, "text_hint")

	s.links(doc)
	if rights := s.object(doc, "rights"); rights != nil {
		s.members("rights", rights, "", "print copy start end")
		s.limit(rights, "print", "copy")
		s.date(rights, "start", "end")
	}
	if user := s.object(doc, "user"); user != nil {
		s.text(user, "id", "name", "email")
		for _, name := range user["encrypted"].([]any) {
			s.base64(user, name.(string))
		}
	}
	signature := s.object(doc, "signature")
	s.members("signature", signature, "algorithm certificate value", "")
	s.uri(signature, "algorithm")
	s.base64(signature, "certificate")
	s.base64(signature, "value")
}

type schema struct{ *testing.T }

func (s schema) members(what string, o map[string]any, required, optional string) {
	s.Helper()
	for name := range strings.FieldsSeq(required) {
		if _, ok := o[name]; !ok {
			s.Errorf("%s has no %s", what, name)
		}
	}
	for name := range o {
		if !slices.Contains(strings.Fields(required+" "+optional), name) {
			s.Errorf("%s has a member %s", what, name)
		}
	}
}

func (s schema) object(o map[string]any, name string) map[string]any {
	s.Helper()
	v, present := o[name]
	inner, ok := v.(map[string]any)
	if present && !ok {
		s.Fatalf("%s is not an object", name)
	}
	return inner
}

func (s schema) text(o map[string]any, names ...string) {
	s.Helper()
	for _, name := range names {
		if v, present := o[name]; present {
			if _, ok := v.(string); !ok {
				s.Errorf("%s = %v, not a string", name, v)
			}
		}
	}
}

func (s schema) uri(o map[string]any, name string) {
	s.Helper()
	if u, err := url.Parse(fmt.Sprint(o[name])); err != nil || !u.IsAbs() {
		s.Errorf("%s = %v, not a URI", name, o[name])
	}
}

var dateForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$`)

func (s schema) date(o map[string]any, names ...string) {
	s.Helper()
	for _, name := range names {
		if v, present := o[name]; present && !dateForm.MatchString(fmt.Sprint(v)) {
			s.Errorf("%s = %v, not a date in UTC with milliseconds at most", name, v)
		}
	}
}

func (s schema) base64(o map[string]any, name string) {
	s.Helper()
	text, ok := o[name].(string)
	if b, err := base64.StdEncoding.DecodeString(text); err != nil || !ok || len(b) == 0 {
		s.Errorf("%s = %v, not base64", name, o[name])
	}
}

func (s schema) limit(o map[string]any, names ...string) {
	s.Helper()
	for _, name := range names {
		if v, present := o[name]; present {
			if n, ok := v.(float64); !ok || n < 0 || n != math.Trunc(n) {
				s.Errorf("%s = %v, not an integer from 0 on", name, v)
			}
		}
	}
}

func (s schema) links(doc map[string]any) {
	s.Helper()
	links, _ := doc["links"].([]any)
	count := map[string]int{}
	seen := map[string]bool{}
	for _, v := range links {
		l, ok := v.(map[string]any)
		if !ok {
			s.Fatalf("link %v is not an object", v)
		}
		s.members("link", l, "href rel", "type templated title profile length hash")
		s.text(l, "rel", "type", "title", "profile")
		s.uri(l, "href")
		s.limit(l, "length")
		if h, present := l["hash"]; present && !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(fmt.Sprint(h)) {
			s.Errorf("hash = %v, not 64 lower-case hexadecimal digits", h)
		}
		count[fmt.Sprint(l["rel"])]++
		if seen[fmt.Sprint(l)] {
			s.Errorf("link %v is there twice", l)
		}
		seen[fmt.Sprint(l)] = true
	}
	if count["hint"] != 1 || count["publication"] != 1 {
		s.Errorf("links have the relations %v, want one hint and one publication", count)
	}
}
