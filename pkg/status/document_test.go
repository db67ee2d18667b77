package status_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/status"
)

var update = flag.Bool("update", false, "rewrite golden files")

const base = "https://lcp.example.org"

func template(tb testing.TB, text string) *license.Template {
	tb.Helper()
	t, err := license.ParseTemplate(text)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// builder returns a builder of documents, with options changed.
func builder(tb testing.TB, change func(*status.Options)) *status.Builder {
	tb.Helper()
	o := status.Options{Policy: policy, BaseURL: base, License: template(tb, "https://example.org/fresh/{license_id}")}
	if change != nil {
		change(&o)
	}
	b, err := status.NewBuilder(o)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// document makes a document at noon that keeps the rules of the schema.
func document(tb testing.TB, b *status.Builder, r status.Record) []byte {
	tb.Helper()
	doc, err := b.Append(nil, r, nil, status.English, noon)
	if err != nil {
		tb.Fatal(err)
	}
	checkSchema(tb, doc)
	return doc
}

func TestGoldenDocuments(t *testing.T) {
	t.Parallel()
	bought := loan(status.Ready)
	bought.End, bought.MaxEnd = time.Time{}, time.Time{}
	renewed := loan(status.Active)
	renewed.Profile = "http://readium.org/lcp/basic-profile"
	renewed.Updated = noon.Add(-day + 120*time.Millisecond)
	renewed.StatusUpdated = renewed.Updated
	history := []status.Event{
		{Type: "register", DeviceID: "709e1380-3528-11e5-a2cb-0800200c9a66", DeviceName: "eBook App (Android)", At: noon.Add(-6 * day)},
		{Type: "renew", At: renewed.Updated},
	}
	awkward := []status.Event{{Type: "register", DeviceID: `"\`, DeviceName: "J\u00fcrgens </Ger\u00e4t>\u2028\t\xff", At: noon}}
	page := func(o *status.Options) { o.RenewPage = template(t, "https://example.org/renew{?license_id}") }
	provider := func(o *status.Options) { o.RenewURL = template(t, "https://example.org/renew{?license_id}") }
	allowed := func(o *status.Options) { o.Policy = lavish }
	tests := map[string]struct {
		builder  *status.Builder
		record   status.Record
		events   []status.Event
		language status.Language
	}{
		"bought":        {builder(t, nil), bought, nil, status.English},
		"lent":          {builder(t, nil), renewed, history, status.English},
		"expired":       {builder(t, allowed), overdue(status.Active), history[:1], status.German},
		"returned":      {builder(t, nil), loan(status.Returned), history[:1], status.French},
		"renew page":    {builder(t, page), renewed, nil, status.Japanese},
		"provider":      {builder(t, provider), renewed, nil, status.Spanish},
		"awkward names": {builder(t, nil), loan(status.Active), awkward, status.English},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := tt.builder.Append([]byte("before "), tt.record, tt.events, tt.language, noon)
			if err != nil {
				t.Fatal(err)
			}
			doc, ok := bytes.CutPrefix(doc, []byte("before "))
			if !ok {
				t.Fatalf("not appended: %s", doc)
			}
			checkSchema(t, doc)
			var got bytes.Buffer
			if err := json.Indent(&got, doc, "", "  "); err != nil {
				t.Fatal(err)
			}
			golden(t, strings.ReplaceAll(name, " ", "-")+".json", got.Bytes())
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// A parsed is a document as a reading app sees it.
type parsed struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Message string `json:"message"`
	Updated struct {
		License string `json:"license"`
		Status  string `json:"status"`
	} `json:"updated"`
	Links []struct {
		Rel       string `json:"rel"`
		Href      string `json:"href"`
		Type      string `json:"type"`
		Profile   string `json:"profile"`
		Templated bool   `json:"templated"`
	} `json:"links"`
	PotentialRights *struct {
		End string `json:"end"`
	} `json:"potential_rights"`
	Events []struct {
		Type      string  `json:"type"`
		ID        *string `json:"id"`
		Name      *string `json:"name"`
		Timestamp string  `json:"timestamp"`
	} `json:"events"`
}

func parse(tb testing.TB, doc []byte) parsed {
	tb.Helper()
	var p parsed
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		tb.Fatalf("%v in %s", err, doc)
	}
	return p
}

func (p parsed) rels() string {
	var rels []string
	for _, l := range p.Links {
		rels = append(rels, l.Rel)
	}
	return strings.Join(rels, " ")
}

// TestLinks says which links a document has, and up to when it can be renewed.
func TestLinks(t *testing.T) {
	t.Parallel()
	with := func(r status.Record, change func(*status.Record)) status.Record {
		change(&r)
		return r
	}
	endless := func(r *status.Record) { r.End, r.MaxEnd = time.Time{}, time.Time{} }
	page := func(o *status.Options) { o.RenewPage = template(t, "https://example.org/loans") }
	pageAlone := func(o *status.Options) { page(o); o.Policy = status.Policy{} }
	providerAlone := func(o *status.Options) {
		o.RenewURL, o.Policy = template(t, "https://example.org/{license_id}"), status.Policy{}
	}
	off := func(o *status.Options) { o.Policy = status.Policy{RenewDefault: day, AllowRenewOnExpired: true} }
	allowed := func(o *status.Options) { o.Policy = lavish }
	const latest = "2030-06-17T12:00:00Z"
	tests := map[string]struct {
		record  status.Record
		options func(*status.Options)
		rels    string
		end     string // of the potential rights
	}{
		"ready":                            {loan(status.Ready), nil, "license register return", ""},
		"ready without an end":             {with(loan(status.Ready), endless), nil, "license register", ""},
		"active":                           {loan(status.Active), nil, "license register return renew", latest},
		"active without an end":            {with(loan(status.Active), endless), nil, "license register", ""},
		"active without an end, page":      {with(loan(status.Active), endless), page, "license register", ""},
		"active, no maximum on record":     {with(loan(status.Active), func(r *status.Record) { r.MaxEnd = time.Time{} }), nil, "license register return renew", latest},
		"active, maximum reached":          {with(loan(status.Active), func(r *status.Record) { r.MaxEnd = r.End }), nil, "license register return", ""},
		"active, renewals off":             {loan(status.Active), off, "license register", ""},
		"active, renew page":               {loan(status.Active), page, "license register return renew", latest},
		"active, nothing but a renew page": {loan(status.Active), pageAlone, "license register return renew", ""},
		"active, off but a renew URL":      {loan(status.Active), providerAlone, "license register", ""},
		"past its end":                     {overdue(status.Active), nil, "license", ""},
		"past its end, allowed":            {overdue(status.Active), allowed, "license renew", latest},
		"past its end, off":                {overdue(status.Active), off, "license", ""},
		"past its maximum, allowed":        {with(overdue(status.Active), func(r *status.Record) { r.MaxEnd = noon }), allowed, "license", ""},
		"ready, past its end, allowed":     {overdue(status.Ready), allowed, "license renew", latest},
		"expired":                          {loan(status.Expired), nil, "license", ""},
		"expired, allowed":                 {loan(status.Expired), allowed, "license renew", latest},
		"returned":                         {loan(status.Returned), allowed, "license", ""},
		"revoked":                          {loan(status.Revoked), allowed, "license", ""},
		"cancelled":                        {loan(status.Cancelled), allowed, "license", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := parse(t, document(t, builder(t, tt.options), tt.record))
			if got := p.rels(); got != tt.rels {
				t.Errorf("links = %q, want %q", got, tt.rels)
			}
			end := ""
			if p.PotentialRights != nil {
				end = p.PotentialRights.End
			}
			if end != tt.end {
				t.Errorf("potential end = %q, want %q", end, tt.end)
			}
		})
	}
}

// A link is there exactly if what it leads to would be granted.
func TestLinksKeepTheirWord(t *testing.T) {
	t.Parallel()
	for _, p := range []status.Policy{policy, lavish} {
		b := builder(t, func(o *status.Options) { o.Policy = p })
		for _, s := range []status.State{
			status.Ready, status.Active, status.Revoked, status.Returned, status.Cancelled, status.Expired,
		} {
			for _, r := range []status.Record{loan(s), overdue(s)} {
				rels := strings.Fields(parse(t, document(t, b, r)).rels())
				_, _, registerErr := status.Register(r, tablet, noon)
				_, _, returnErr := status.Return(r, nobody, noon)
				_, _, renewErr := status.Renew(r, nobody, r.MaxEnd, noon, p)
				for rel, err := range map[string]error{"register": registerErr, "return": returnErr, "renew": renewErr} {
					if slices.Contains(rels, rel) != (err == nil) {
						t.Errorf("%s, end %s, %+v: links %s, but %s: %v", s, r.End, p, rels, rel, err)
					}
				}
			}
		}
	}
}

func TestHrefs(t *testing.T) {
	t.Parallel()
	id, long := loan(status.Active).ID, strings.Repeat("0123456789", 30)
	tests := map[string]struct {
		id, rel   string
		options   func(*status.Options)
		href      string
		mediaType string
		templated bool
	}{
		"license":        {id, "license", nil, "https://example.org/fresh/" + id, "application/vnd.readium.lcp.license.v1.0+json", false},
		"register":       {id, "register", nil, base + "/register/" + id + "{?id,name}", status.MediaType, true},
		"return":         {id, "return", nil, base + "/return/" + id + "{?id,name}", status.MediaType, true},
		"renew":          {id, "renew", nil, base + "/renew/" + id + "{?end,id,name}", status.MediaType, true},
		"long":           {long, "license", nil, "https://example.org/fresh/" + long, license.MediaType, false},
		"not for a path": {`a/?`, "license", nil, "https://example.org/fresh/a%2F%3F", license.MediaType, false},
		"a part of the id": {
			id, "license", func(o *status.Options) { o.License = template(t, "https://example.org/{license_id:4}/{license_id}") },
			"https://example.org/87ea/" + id, license.MediaType, false,
		},
		"nothing but a part": {
			id, "license", func(o *status.Options) { o.License = template(t, "https://example.org/{license_id:4}") },
			"https://example.org/87ea", license.MediaType, false,
		},
		"a constant page": {
			id, "renew", func(o *status.Options) { o.RenewPage = template(t, "https://example.org/loans") },
			"https://example.org/loans", "text/html", false,
		},
		"twice": {
			id, "license", func(o *status.Options) { o.License = template(t, "https://example.org/{license_id}{?license_id}") },
			"https://example.org/" + id + "?license_id=" + id, license.MediaType, false,
		},
		"hostile":   {`a/b?{x}"`, "register", nil, base + "/register/a%2Fb%3F%7Bx%7D%22{?id,name}", status.MediaType, true},
		"base path": {id, "register", func(o *status.Options) { o.BaseURL = base + "/lcp/" }, base + "/lcp/register/" + id + "{?id,name}", status.MediaType, true},
		"renew page": {
			id, "renew", func(o *status.Options) { o.RenewPage = template(t, "https://example.org/r/{license_id}") },
			"https://example.org/r/" + id, "text/html", false,
		},
		"renew URL": {
			id, "renew", func(o *status.Options) { o.RenewURL = template(t, "https://example.org/r/{license_id}") },
			"https://example.org/r/" + id + "{?end,id,name}", status.MediaType, true,
		},
		"renew URL with a query": {
			id, "renew", func(o *status.Options) { o.RenewURL = template(t, "https://example.org/r?u=1{&license_id}") },
			"https://example.org/r?u=1&license_id=" + id + "{&end,id,name}", status.MediaType, true,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := loan(status.Active)
			r.ID = tt.id
			for _, l := range parse(t, document(t, builder(t, tt.options), r)).Links {
				if l.Rel != tt.rel {
					continue
				}
				if l.Href != tt.href || l.Type != tt.mediaType || l.Templated != tt.templated {
					t.Errorf("link = %+v, want %q, %q, templated %t", l, tt.href, tt.mediaType, tt.templated)
				}
				return
			}
			t.Errorf("no %s link", tt.rel)
		})
	}
}

func TestNewBuilderRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*status.Options)
		want   string
	}{
		"no base URL":              {func(o *status.Options) { o.BaseURL = "" }, `base URL ""`},
		"a base of another scheme": {func(o *status.Options) { o.BaseURL = "ftp://example.org" }, "base URL"},
		"a base with a query":      {func(o *status.Options) { o.BaseURL = base + "/?x" }, "base URL"},
		"a base with a quote":      {func(o *status.Options) { o.BaseURL = base + "/\"" }, "base URL"},
		"a base with a template":   {func(o *status.Options) { o.BaseURL = base + "/{x}" }, "base URL"},
		"no license link":          {func(o *status.Options) { o.License = nil }, "fresh licenses"},
		"a constant license link":  {func(o *status.Options) { o.License = template(t, base) }, "{license_id}"},
		"a constant renew URL":     {func(o *status.Options) { o.RenewURL = template(t, base) }, "{license_id}"},
		"two ways to renew": {func(o *status.Options) {
			o.RenewURL, o.RenewPage = template(t, base+"/{license_id}"), template(t, base)
		}, "not both"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := status.Options{BaseURL: base, License: template(t, "https://example.org/{license_id}")}
			tt.change(&o)
			if _, err := status.NewBuilder(o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one about %s", err, tt.want)
			}
		})
	}
}

// The same instant is the same text in a license and in its status document.
func TestTimesAreWrittenAsInLicenses(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{
		noon,
		noon.Add(time.Millisecond),
		noon.Add(120 * time.Millisecond),
		noon.In(time.FixedZone("", -5*3600)),
		time.Date(1999, 12, 31, 23, 59, 59, 999e6, time.UTC),
	} {
		utc := at.UTC()
		rights, err := json.Marshal(license.Rights{End: &utc})
		if err != nil {
			t.Fatal(err)
		}
		r := loan(status.Returned)
		r.Updated = at.Add(999 * time.Microsecond) // which licenses do not have
		got := parse(t, document(t, builder(t, nil), r)).Updated.License
		if want := `{"end":"` + got + `"}`; string(rights) != want {
			t.Errorf("a license has %s, the status document %s", rights, got)
		}
	}
}

// FuzzNames: what a device calls itself comes out as it went in, whatever it is.
func FuzzNames(f *testing.F) {
	f.Add("d1", "Phone", "id")
	f.Add(`"\/`, "\x00\x1f\x7f\u2028", "</script>")
	f.Add("\xff\xc0", "\U0001f4d6", "\ufffd")
	b := builder(f, nil)
	f.Fuzz(func(t *testing.T, id, name, license string) {
		r := loan(status.Active)
		r.ID = license
		doc, err := b.Append(nil, r, []status.Event{{Type: "register", DeviceID: id, DeviceName: name, At: noon}}, status.English, noon)
		if err != nil {
			if utf8.ValidString(license) && !strings.ContainsRune(license, utf8.RuneError) { // which templates cannot carry
				t.Error(err)
			}
			return
		}
		p := parse(t, doc)
		valid := func(s string) string { return strings.ToValidUTF8(s, "\ufffd") }
		if p.ID != valid(license) {
			t.Errorf("id = %q, want %q", p.ID, license)
		}
		e := p.Events[0]
		for _, v := range []struct {
			got  *string
			want string
		}{{e.ID, id}, {e.Name, name}} {
			if (v.got == nil) != (v.want == "") || v.got != nil && *v.got != valid(v.want) {
				t.Errorf("event has %v, want %q", v.got, v.want)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	w := builder(b, nil)
	r := loan(status.Active)
	r.Profile = "http://readium.org/lcp/basic-profile"
	events := []status.Event{
		{Type: "register", DeviceID: "709e1380-3528-11e5-a2cb-0800200c9a66", DeviceName: "eBook App (Android)", At: noon},
		{Type: "renew", DeviceID: "709e1380-3528-11e5-a2cb-0800200c9a66", DeviceName: "eBook App (Android)", At: noon},
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = w.Append(buf[:0], r, events, status.French, noon); err != nil {
			b.Fatal(err)
		}
	}
}
