package lpf_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/lpf"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/rpf"
)

// A file is an entry of a package made for a test.
type file struct{ name, data string }

func pack(t testing.TB, files ...file) *archive.Reader {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		e, err := w.CreateHeader(&zip.FileHeader{Name: f.name})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Write([]byte(f.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := archive.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// entries gives the names of a plan's parts, those to be encrypted marked "*".
func entries(p *publication.Plan) []string {
	var names []string
	for _, part := range p.Parts {
		name := part.Name
		if part.Encrypt() {
			name = "*" + name
		}
		names = append(names, name)
	}
	return names
}

// manifestOf gives a plan's manifest without any encryption, in compact form.
func manifestOf(t testing.TB, p *publication.Plan) string {
	t.Helper()
	data, err := p.Declare(nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		t.Fatalf("not valid JSON: %v\n%s", err, data)
	}
	return b.String()
}

// member gives a member of the manifest's metadata, or of its top.
func member(t testing.TB, p *publication.Plan, path ...string) string {
	t.Helper()
	raw := json.RawMessage(manifestOf(t, p))
	for _, key := range path {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			t.Fatalf("%q: %v", path, err)
		}
		raw = object[key]
	}
	return string(raw)
}

const contexts = `"@context":["https://schema.org","https://www.w3.org/ns/pub-context"],`

func TestManifestIsFound(t *testing.T) {
	t.Parallel()
	manifest := func(title, url string) string {
		return `{` + contexts + `"name":"` + title + `","readingOrder":"` + url + `"}`
	}
	page := func(head string) file { return file{"index.html", "<!DOCTYPE html><head>" + head + "</head>"} }
	chapters := []file{{"c.html", "c"}, {"x/c.html", "xc"}}
	tests := map[string]struct {
		files []file
		want  []string // entries
	}{
		"publication.json": {
			[]file{page(`<link rel="publication" href="other.json">`), {"publication.json", manifest("T", "c.html")}},
			[]string{"manifest.json", "index.html", "*c.html", "x/c.html"},
		},
		"linked": {
			[]file{page(`<link rel="Next PUBLICATION" href="x/pub%20lication.json#">`), {"x/pub lication.json", manifest("T", "c.html")}},
			[]string{"manifest.json", "index.html", "c.html", "*x/c.html"},
		},
		"linked, with the name of a Readium manifest": {
			[]file{page(`<link rel="publication" href="manifest.json">`), {"manifest.json", manifest("T", "./c.html")}},
			[]string{"manifest.json", "index.html", "*c.html", "x/c.html"},
		},
		"embedded": {
			[]file{page(`<script type="application/ld+json">{"name":"no"}</script><script id="m" type="application/ld+json">` +
				manifest("T", "c.html") + `</script><link rel="publication" href="#m">`)},
			[]string{"manifest.json", "index.html", "*c.html", "x/c.html"},
		},
		"embedded, with a base": {
			[]file{page(`<base href="x/"><link rel="publication" href="index.html#m"><script id="m" type="application/ld+json">` + manifest("T", "c.html") + `</script>`)},
			[]string{"manifest.json", "index.html", "c.html", "*x/c.html"},
		},
		"embedded, without a link": {
			[]file{page(`<script type="application/ld+json">{"name":"no"}</script><script type="application/ld+json">` + manifest("T", "c.html") + `</script>`)},
			[]string{"manifest.json", "index.html", "*c.html", "x/c.html"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := pack(t, append(tt.files, chapters...)...)
			if !lpf.Recognize(a) || rpf.Recognize(a) {
				t.Errorf("recognized as LPF: %v, as a Readium package: %v", lpf.Recognize(a), rpf.Recognize(a))
			}
			p, err := lpf.Plan(a, "file name")
			if err != nil {
				t.Fatal(err)
			}
			if p.Metadata.Title != "T" || p.Format != publication.WebPub {
				t.Errorf("title %q, format %s", p.Metadata.Title, p.Format.Name)
			}
			if diff := cmp.Diff(tt.want, entries(p)); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		files []file
		want  error
		text  string
	}{
		"neither manifest nor page":  {[]file{{"c.html", "c"}}, publication.ErrInvalid, "neither publication.json nor an entry page"},
		"page without a manifest":    {[]file{{"index.html", "<p>hello"}}, publication.ErrInvalid, "neither links to one nor embeds one"},
		"link to nothing":            {[]file{{"index.html", `<link rel=publication href=x.json>`}}, publication.ErrInvalid, `"x.json"`},
		"empty link":                 {[]file{{"index.html", `<link rel=publication href="">`}}, publication.ErrInvalid, "empty"},
		"link to the web":            {[]file{{"index.html", `<link rel=publication href="https://example.org/x.json">`}}, publication.ErrInvalid, "example.org"},
		"link to a script not there": {[]file{{"index.html", `<link rel=publication href="#m">`}}, publication.ErrInvalid, "embeds"},
		"manifest not JSON":          {[]file{{"publication.json", "{\n\"a"}}, publication.ErrInvalid, "publication.json: not valid JSON: line 2"},
		"manifest not an object":     {[]file{{"publication.json", "[]"}}, publication.ErrInvalid, "not a JSON object"},
		"embedded one not JSON": {
			[]file{{"index.html", `<link rel=publication href="#m"><script id=m type=application/ld+json>{</script>`}},
			publication.ErrInvalid, "index.html: not valid JSON",
		},
		"no reading order, no page": {[]file{{"publication.json", "{}"}}, publication.ErrInvalid, "no reading order"},
		"missing chapter":           {[]file{{"publication.json", `{"readingOrder":["c%201.html"]}`}}, publication.ErrInvalid, `missing resources: ["c 1.html"]`},
		"missing alternate":         {[]file{{"c.html", "c"}, {"publication.json", `{"readingOrder":[{"url":"c.html","alternate":"c.mp3"}]}`}}, publication.ErrInvalid, "c.mp3"},
		"audiobook without audio": {
			[]file{{"c.html", "c"}, {"publication.json", `{"conformsTo":"https://www.w3.org/TR/audiobooks/","readingOrder":["c.html"]}`}},
			publication.ErrInvalid, "no audio",
		},
		"license within":       {[]file{{"c.html", "c"}, {"license.lcpl", "{}"}, {"publication.json", `{"readingOrder":["c.html"]}`}}, publication.ErrProtectedLCP, "license.lcpl"},
		"all of it on the web": {[]file{{"publication.json", `{"readingOrder":["https://example.org/c.html"]}`}}, publication.ErrNothing, ""},
		"manifest.json listed": {
			[]file{{"c.html", "c"}, {"manifest.json", "{}"}, {"publication.json", `{"readingOrder":["c.html"],"resources":["manifest.json"]}`}},
			publication.ErrInvalid, "manifest.json",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := lpf.Plan(pack(t, tt.files...), "T"); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error = %v, want %v with %q", err, tt.want, tt.text)
			}
		})
	}
}

func TestEntries(t *testing.T) {
	t.Parallel()
	a := pack(t,
		file{"__MACOSX/._c.html", "x"}, file{".DS_Store", "x"}, file{"manifest.json", `{"name":"web app"}`},
		file{"publication.json", `{"readingOrder":"c.html","resources":["publication.json","Thumbs.db",{"url":"cover.png","rel":"COVER"}]}`},
		file{"c.html", "c"}, file{"style.css", "s"}, file{"Thumbs.db", "listed, and so no junk"}, file{"cover.png", "x"},
	)
	p, err := lpf.Plan(a, "file name")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"manifest.json", "*c.html", "style.css", "*Thumbs.db", "cover.png"}, entries(p)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if p.Cover == nil || p.Cover.Part.Name != "cover.png" || p.Metadata.Title != "file name" || len(p.Warnings) != 2 {
		t.Errorf("cover %+v, title %q, warnings %q", p.Cover, p.Metadata.Title, p.Warnings)
	}
}

func TestEntryPageIsTheReadingOrder(t *testing.T) {
	t.Parallel()
	a := pack(t, file{"index.html", `<title> The  Golden
		Bough </title><link rel="publication" href="publication.json">`},
		file{"publication.json", `{"resources":["index.html","a.css"]}`}, file{"a.css", "x"})
	p, err := lpf.Plan(a, "file name")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Metadata.Title, "The Golden Bough"; got != want {
		t.Errorf("title = %q, want %q", got, want)
	}
	if got, want := member(t, p, "readingOrder"), `[{"href":"index.html","type":"text/html","size":84}]`; got != want {
		t.Errorf("reading order = %s, want %s", got, want)
	}
	if got, want := member(t, p, "resources"), `[{"href":"a.css","type":"text/css","size":1}]`; got != want {
		t.Errorf("resources = %s, want %s", got, want)
	}
}

func openCorpus(t *testing.T, path string) *archive.Reader {
	t.Helper()
	root := os.Getenv("LCP_CORPUS")
	if root == "" {
		t.Skip("LCP_CORPUS does not name the folder of sample publications")
	}
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	a, err := archive.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The expectations are those of the corpus's index.
func TestRealPackages(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		format publication.Format
		title  string
		count  int // of encrypted entries
		clear  []string
	}{
		"dickinson-selected-poems.lpf": {publication.Audiobook, "Selected Poems of Emily Dickinson", 26, []string{"Selected_Poems_Emily_Dickinson_1108.jpg"}},
		"l6.02.lpf":                    {publication.WebPub, "My Wonderful Book", 2, nil},
		"l7.01.lpf":                    {publication.WebPub, "A Simple ebook", 1, []string{"index.html"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := openCorpus(t, filepath.Join("lpf", name))
			if !lpf.Recognize(a) {
				t.Error("the package is not recognized")
			}
			p, err := lpf.Plan(a, "file name")
			if err != nil {
				t.Fatal(err)
			}
			var clear []string
			var count int
			for _, part := range p.Parts[1:] {
				if part.Encrypt() {
					count++
				} else {
					clear = append(clear, part.Name)
				}
			}
			if p.Format != tt.format || p.Metadata.Title != tt.title || count != tt.count || len(p.Warnings) > 0 {
				t.Errorf("%s, %q, %d encrypted, warnings %q", p.Format.Name, p.Metadata.Title, count, p.Warnings)
			}
			if diff := cmp.Diff(tt.clear, clear); diff != "" {
				t.Errorf("clear entries (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRealBrokenPackages(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"missing-resource.lpf": `missing resources: ["chapter2.html"]`,
		"no-manifest.lpf":      "the publication manifest is missing",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := openCorpus(t, filepath.Join("broken", name))
			if !lpf.Recognize(a) || rpf.Recognize(a) {
				t.Errorf("recognized as LPF: %v, as a Readium package: %v", lpf.Recognize(a), rpf.Recognize(a))
			}
			if _, err := lpf.Plan(a, ""); !errors.Is(err, publication.ErrInvalid) || !strings.Contains(err.Error(), text) {
				t.Errorf("error = %v, want ErrInvalid with %q", err, text)
			}
		})
	}
}
