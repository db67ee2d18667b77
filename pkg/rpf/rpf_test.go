package rpf_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/archive"
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

// declare gives the manifest that declares all that a plan encrypts.
func declare(t testing.TB, p *publication.Plan) []byte {
	t.Helper()
	var encrypted []publication.Encrypted
	for _, part := range p.Parts {
		if part.Encrypt() {
			encrypted = append(encrypted, publication.Encrypted{
				Name: part.Name, Deflated: part.Compress(), OriginalLength: part.Size(),
				Scheme: publication.Scheme, Algorithm: publication.Algorithm,
			})
		}
	}
	data, err := p.Declare(encrypted)
	if err != nil {
		t.Fatalf("declare: %v", err)
	}
	return data
}

func compact(t testing.TB, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		t.Fatalf("not valid JSON: %v\n%s", err, data)
	}
	return b.String()
}

const lcp = `"scheme":"http://readium.org/2014/01/lcp","algorithm":"http://www.w3.org/2001/04/xmlenc#aes256-cbc"`

func TestPlan(t *testing.T) {
	t.Parallel()
	a := pack(t,
		file{"z/unlisted.txt", "x"},
		file{"text/chapter 1.html", "<p>one</p>"},
		file{"manifest.json", `{
			"metadata": {"title": "T", "x:y": 1.10},
			"links": [{"href": "positions.json", "rel": "positions"}, {"href": "guide.json"}],
			"readingOrder": [
				{"href": "text/chapter%201.html?v=1#top", "type": "text/html", "properties": {"layout": "fixed"},
				 "alternate": [{"href": "./a.mp3", "type": "audio/mpeg"}]},
				{"href": "/img.png", "children": [{"href": "sub.svg", "type": "image/svg+xml"}]}
			],
			"resources": [
				{"href": "cover.jpg", "rel": ["x", "cover"]},
				{"href": "guide.json"},
				{"href": "a.mp3"},
				{"href": "empty.css"},
				{"href": "font.otf", "properties": {"encrypted": {"algorithm": "http://www.idpf.org/2008/embedding"}}},
				{"href": "https://example.org/remote.css"},
				{"href": "data:text/css,x"},
				{"href": "search{?q}", "templated": true},
				{"href": "manifest.json"}
			],
			"toc": [{"href": "text/chapter%201.html#s"}]
		}`},
		file{"img.png", "png"}, file{"sub.svg", "<svg/>"}, file{"a.mp3", "mp3"}, file{"cover.jpg", "jpg"},
		file{"guide.json", "{}"}, file{"positions.json", "{}"}, file{"empty.css", ""}, file{"font.otf", "otf"},
		file{"__MACOSX/._a.mp3", "junk"},
	)
	if !rpf.Recognize(a) {
		t.Error("the package is not recognized")
	}
	p, err := rpf.Plan(a)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"manifest.json", "z/unlisted.txt", "*text/chapter 1.html", "*img.png", "*sub.svg", "*a.mp3",
		"cover.jpg", "*guide.json", "positions.json", "empty.css", "font.otf", "__MACOSX/._a.mp3",
	}
	if diff := cmp.Diff(want, entries(p)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if p.Format != publication.WebPub || !p.Parts[0].Declaration {
		t.Errorf("format = %v, first part = %+v", p.Format, p.Parts[0])
	}
	if p.Cover == nil || p.Cover.Part.Name != "cover.jpg" || p.Cover.MediaType != "image/jpeg" {
		t.Errorf("cover = %+v, want cover.jpg", p.Cover)
	}
	if want := []string{"one resource is not in the package but elsewhere, and stays as it is"}; !slices.Equal(p.Warnings, want) {
		t.Errorf("warnings = %q, want %q", p.Warnings, want)
	}
	manifest := `{"metadata":{"title":"T","x:y":1.10},` +
		`"links":[{"href":"positions.json","rel":"positions"},{"href":"guide.json","properties":{"encrypted":{` + lcp + `,"compression":"deflate","originalLength":2}}}],` +
		`"readingOrder":[{"href":"text/chapter%201.html?v=1#top","type":"text/html","properties":{"layout":"fixed","encrypted":{` + lcp + `,"compression":"deflate","originalLength":10}},` +
		`"alternate":[{"href":"./a.mp3","type":"audio/mpeg","properties":{"encrypted":{` + lcp + `,"originalLength":3}}}]},` +
		`{"href":"/img.png","children":[{"href":"sub.svg","type":"image/svg+xml","properties":{"encrypted":{` + lcp + `,"compression":"deflate","originalLength":6}}}],"properties":{"encrypted":{` + lcp + `,"originalLength":3}}}],` +
		`"resources":[{"href":"cover.jpg","rel":["x","cover"]},{"href":"guide.json","properties":{"encrypted":{` + lcp + `,"compression":"deflate","originalLength":2}}},` +
		`{"href":"a.mp3","properties":{"encrypted":{` + lcp + `,"originalLength":3}}},{"href":"empty.css"},` +
		`{"href":"font.otf","properties":{"encrypted":{"algorithm":"http://www.idpf.org/2008/embedding"}}},` +
		`{"href":"https://example.org/remote.css"},{"href":"data:text/css,x"},{"href":"search{?q}","templated":true},{"href":"manifest.json"}],` +
		`"toc":[{"href":"text/chapter%201.html#s"}]}`
	for range 2 { // a second call says the same
		if diff := cmp.Diff(manifest, compact(t, declare(t, p))); diff != "" {
			t.Errorf("manifest (-want +got):\n%s", diff)
		}
	}
	if _, err := p.Declare([]publication.Encrypted{{Name: "z/unlisted.txt"}}); err == nil {
		t.Error("an entry that no link names was declared encrypted")
	}
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	const track = `{"readingOrder": [{"href": "a.mp3"}]}`
	encrypted := func(properties string) string {
		return `{"readingOrder": [{"href": "gone.mp3"}, {"href": "a.mp3", "properties": {"encrypted": ` + properties + `}}]}`
	}
	tests := map[string]struct {
		manifest string
		more     []file
		want     error
		text     string // in the message
	}{
		"manifest cut short":      {`{"metadata": {"title": "x`, nil, publication.ErrInvalid, "manifest.json: not valid JSON"},
		"no reading order":        {`{"metadata": {}}`, nil, publication.ErrInvalid, "no reading order"},
		"empty reading order":     {`{"readingOrder": [], "resources": [{"href": "a.mp3"}]}`, nil, publication.ErrInvalid, "no reading order"},
		"not a link":              {`{"readingOrder": ["a.mp3"]}`, nil, publication.ErrInvalid, "readingOrder[0]"},
		"missing track":           {`{"readingOrder": [{"href": "gone%20.mp3"}, {"href": "gone%20.mp3"}]}`, nil, publication.ErrInvalid, `missing resources: ["gone .mp3"]`},
		"missing alternate":       {`{"readingOrder": [{"href": "a.mp3", "alternate": [{"href": "b.ogg"}]}]}`, nil, publication.ErrInvalid, "b.ogg"},
		"a folder is no resource": {`{"readingOrder": [{"href": "d"}, {"href": "d/"}]}`, []file{{"d/", ""}}, publication.ErrInvalid, `"d"`},
		"only remote ones":        {`{"readingOrder": [{"href": "https://example.org/a.mp3"}]}`, nil, publication.ErrNothing, ""},
		"only a cover":            {`{"readingOrder": [{"href": "c.png", "rel": "cover"}]}`, []file{{"c.png", "x"}}, publication.ErrNothing, ""},
		"license within":          {track, []file{{"license.lcpl", "{}"}}, publication.ErrProtectedLCP, "license.lcpl"},
		"LCP, and not whole":      {encrypted(`{` + lcp + `}`), nil, publication.ErrProtectedLCP, "a.mp3"},
		"another scheme":          {encrypted(`{"scheme": "https://example.org/drm", "algorithm": "x"}`), nil, publication.ErrProtected, "https://example.org/drm"},
		"no scheme":               {encrypted(`{"algorithm": "http://www.w3.org/2001/04/xmlenc#aes256-cbc"}`), nil, publication.ErrProtected, "aes256-cbc"},
		"LCP on a remote one": {
			`{"readingOrder": [{"href": "a.mp3"}, {"href": "http://example.org/b", "properties": {"encrypted": {` + lcp + `}}}]}`,
			nil, publication.ErrProtectedLCP, "example.org",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := pack(t, append([]file{{"manifest.json", tt.manifest}, {"a.mp3", "mp3"}}, tt.more...)...)
			if !rpf.Recognize(a) {
				t.Error("the package is not recognized")
			}
			_, err := rpf.Plan(a)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error = %v, want %v with %q", err, tt.want, tt.text)
			}
		})
	}
}

func TestRecognize(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		files []file
		want  bool
	}{
		"no manifest":              {[]file{{"a.mp3", ""}}, false},
		"manifest in a folder":     {[]file{{"x/manifest.json", `{"metadata":{}}`}}, false},
		"broken manifest":          {[]file{{"manifest.json", `{"`}}, true},
		"W3C manifest of the name": {[]file{{"manifest.json", `{"@context":["https://schema.org","https://www.w3.org/ns/pub-context"],"readingOrder":["a"]}`}}, false},
		"web app in a W3C package": {[]file{{"manifest.json", `{"name":"App"}`}, {"publication.json", "{}"}}, false},
		"both kinds of manifest":   {[]file{{"manifest.json", `{"readingOrder":[]}`}, {"publication.json", "{}"}}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := rpf.Recognize(pack(t, tt.files...)); got != tt.want {
				t.Errorf("recognized = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	const base = "https://readium.org/webpub-manifest/profiles/"
	tests := map[string]struct {
		manifest string
		want     publication.Format
		added    string // profile
	}{
		"audiobook":                {`{"metadata":{"conformsTo":"` + base + `audiobook"},"readingOrder":[{"href":"a.pdf"}]}`, publication.Audiobook, ""},
		"http and a slash":         {`{"metadata":{"conformsTo":"http://readium.org/webpub-manifest/profiles/divina/"},"readingOrder":[{"href":"a.pdf"}]}`, publication.Divina, ""},
		"one of several":           {`{"metadata":{"conformsTo":["x","` + base + `pdf.html"]},"readingOrder":[{"href":"a.mp3"}]}`, publication.PDF, ""},
		"EPUB profile":             {`{"metadata":{"conformsTo":"` + base + `epub"},"readingOrder":[{"href":"a.mp3"}]}`, publication.WebPub, ""},
		"type Audiobook":           {`{"metadata":{"@type":"https://schema.org/Audiobook"},"readingOrder":[{"href":"a.mp3"}]}`, publication.Audiobook, "audiobook"},
		"only audio":               {`{"readingOrder":[{"href":"a.mp3"},{"href":"b","type":"audio/ogg; codecs=opus"}]}`, publication.Audiobook, "audiobook"},
		"only bitmaps":             {`{"readingOrder":[{"href":"a.jpg"},{"href":"b","type":"IMAGE/AVIF"}]}`, publication.Divina, "divina"},
		"only PDF, remote profile": {`{"metadata":{"conformsTo":"x"},"readingOrder":[{"href":"a.pdf"}]}`, publication.PDF, "pdf"},
		"drawings":                 {`{"readingOrder":[{"href":"a.svg"}]}`, publication.WebPub, ""},
		"a mixture":                {`{"readingOrder":[{"href":"a.mp3"},{"href":"a.jpg"}]}`, publication.WebPub, ""},
		"alternates do not count":  {`{"readingOrder":[{"href":"a.mp3","alternate":[{"href":"a.pdf"}]}],"resources":[{"href":"a.jpg"}]}`, publication.Audiobook, "audiobook"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := []file{{"manifest.json", tt.manifest}}
			for _, name := range []string{"a.mp3", "b", "a.jpg", "a.pdf", "a.svg"} {
				files = append(files, file{name, "x"})
			}
			p, err := rpf.Plan(pack(t, files...))
			if err != nil {
				t.Fatal(err)
			}
			if p.Format != tt.want {
				t.Errorf("format = %s, want %s", p.Format.Name, tt.want.Name)
			}
			manifest := string(declare(t, p))
			if got := strings.Count(manifest, base); tt.added == "" && got != strings.Count(tt.manifest, base) {
				t.Errorf("manifest names a profile that was declared or is not known:\n%s", manifest)
			}
			if tt.added != "" && !strings.Contains(manifest, base+tt.added) {
				t.Errorf("manifest does not name the profile %q:\n%s", tt.added, manifest)
			}
		})
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	a := pack(t,
		file{"license.lcpl", "{}"},
		file{"manifest.json", `{"metadata":{"title":"T","numberOfPages":2.50},"readingOrder":[` +
			`{"href":"a%20b.html","type":"text/html","properties":{"encrypted":{` + lcp + `,"profile":"p","compression":"deflate","originalLength":13810}}},` +
			`{"href":"c.mp3","properties":{"page":"left","encrypted":{` + lcp + `}}}],` +
			`"resources":[{"href":"gone.mp3","properties":{"encrypted":{` + lcp + `}}},` +
			`{"href":"f.otf","properties":{"encrypted":{"algorithm":"http://www.idpf.org/2008/embedding"}}},{"href":"cover.png","rel":"cover"}]}`},
		file{"a b.html", "x"}, file{"c.mp3", "x"}, file{"f.otf", "x"}, file{"cover.png", "x"},
	)
	c, err := rpf.Inspect(a)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]publication.Encrypted{
		"a b.html": {Name: "a b.html", Deflated: true, OriginalLength: 13810, Scheme: publication.Scheme, Algorithm: publication.Algorithm},
		"c.mp3":    {Name: "c.mp3", OriginalLength: -1, Scheme: publication.Scheme, Algorithm: publication.Algorithm},
		"gone.mp3": {Name: "gone.mp3", OriginalLength: -1, Scheme: publication.Scheme, Algorithm: publication.Algorithm},
		"f.otf":    {Name: "f.otf", OriginalLength: -1, Algorithm: "http://www.idpf.org/2008/embedding"},
	}
	if diff := cmp.Diff(want, c.Encrypted); diff != "" {
		t.Errorf("encrypted (-want +got):\n%s", diff)
	}
	if !c.Protected || c.License == nil || c.Declaration != "manifest.json" || c.Format != publication.WebPub || c.Metadata.Title != "T" {
		t.Errorf("contents = %+v", c)
	}
	if got := c.MediaType("a b.html"); got != "text/html" {
		t.Errorf("media type = %q, want text/html", got)
	}
	clear, err := c.Unprotect()
	if err != nil {
		t.Fatal(err)
	}
	manifest := `{"metadata":{"title":"T","numberOfPages":2.50},"readingOrder":[{"href":"a%20b.html","type":"text/html"},` +
		`{"href":"c.mp3","properties":{"page":"left"}}],"resources":[{"href":"gone.mp3"},` +
		`{"href":"f.otf","properties":{"encrypted":{"algorithm":"http://www.idpf.org/2008/embedding"}}},{"href":"cover.png","rel":"cover"}]}`
	if diff := cmp.Diff(manifest, compact(t, clear)); diff != "" {
		t.Errorf("clear manifest (-want +got):\n%s", diff)
	}
}

// Covers are to stay readable: the notes on PDF and audiobooks forbid to encrypt
// them, and of other packages nothing is said.
func TestInspectTellsWhatStaysClear(t *testing.T) {
	t.Parallel()
	for profile, want := range map[string]map[string]bool{
		"pdf":       {"cover.png": true},
		"audiobook": {"cover.png": true},
		"divina":    {"cover.png": false},
	} {
		a := pack(t,
			file{"manifest.json", `{"metadata":{"title":"T","conformsTo":"https://readium.org/webpub-manifest/profiles/` + profile + `"},` +
				`"readingOrder":[{"href":"a"}],"resources":[{"href":"cover.png","rel":"cover"}]}`},
			file{"a", "x"}, file{"cover.png", "x"},
		)
		c, err := rpf.Inspect(a)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, c.Clear); diff != "" {
			t.Errorf("%s: clear (-want +got):\n%s", profile, diff)
		}
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
		clear  []string // besides the manifest
	}{
		"audiobook/38533.audiobook":              {publication.Audiobook, "De nye læsere", []string{"cover.jpg"}},
		"audiobook/crimson-fairy-book.audiobook": {publication.Audiobook, "The Crimson Fairy Book", []string{"cover.jpg"}},
		"audiobook/audio-formats.audiobook":      {publication.Audiobook, "Audio formats", nil},
		"divina/50272-nota-comics.divina":        {publication.Divina, "Når tegneserien bliver digital", []string{"cover.jpg"}},
		"divina/vertical-manga.divina":           {publication.Divina, "鳥の眼", []string{"images/000.jpg"}},
		"divina/image-formats.divina":            {publication.Divina, "Image formats", []string{"images/001.jpg"}},
		"webpub/basic.webpub":                    {publication.PDF, "Basic sample of a manifest associated with a pdf file", []string{"__MACOSX/._manifest.json", "__MACOSX/._rwpm.pdf"}},
		"webpub/712199_ebook.webpub":             {publication.WebPub, "De nye læsere", []string{"cover.jpg", "positions.json"}},
		"webpub/rwpm.lcpdf":                      {publication.PDF, "Readium Web Publication Manifest", nil},
		"webpub/MobyDick.webpub": {publication.WebPub, "Moby-Dick", []string{
			"fonts/STIXFontLicense2010.txt", "icon-large.png", "icon-medium.png", "icon-xlarge.png", "icon.png",
			"images/cover.jpg", "manifest.webmanifest",
		}},
	}
	for path, tt := range tests {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			a := openCorpus(t, path)
			if !rpf.Recognize(a) {
				t.Error("the package is not recognized")
			}
			p, err := rpf.Plan(a)
			if err != nil {
				t.Fatal(err)
			}
			if p.Format != tt.format || p.Metadata.Title != tt.title {
				t.Errorf("a %s with the title %q, want a %s, %q", p.Format.Name, p.Metadata.Title, tt.format.Name, tt.title)
			}
			var clear []string
			for _, part := range p.Parts[1:] {
				if !part.Encrypt() {
					clear = append(clear, part.Name)
				}
			}
			if diff := cmp.Diff(tt.clear, clear); diff != "" {
				t.Errorf("clear entries (-want +got):\n%s", diff)
			}
			if len(p.Parts) != len(a.Entries) {
				t.Errorf("%d parts of %d entries", len(p.Parts), len(a.Entries))
			}
			checkProtected(t, a, p)
		})
	}
}

// checkProtected reads the manifest of a protected package again: it declares
// what was encrypted, and without that it is the one that was there.
func checkProtected(t *testing.T, a *archive.Reader, p *publication.Plan) {
	t.Helper()
	files := []file{{"manifest.json", string(declare(t, p))}}
	want := make(map[string]publication.Encrypted)
	for _, part := range p.Parts[1:] {
		files = append(files, file{part.Name, "x"})
		if part.Encrypt() {
			want[part.Name] = publication.Encrypted{
				Name: part.Name, Deflated: part.Compress(), OriginalLength: part.Size(),
				Scheme: publication.Scheme, Algorithm: publication.Algorithm,
			}
		}
	}
	b := pack(t, files...)
	c, err := rpf.Inspect(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, c.Encrypted); diff != "" {
		t.Errorf("encrypted (-want +got):\n%s", diff)
	}
	if _, err := rpf.Plan(b); !errors.Is(err, publication.ErrProtectedLCP) {
		t.Errorf("protecting it again: %v, want ErrProtectedLCP", err)
	}
	clear, err := c.Unprotect()
	if err != nil {
		t.Fatal(err)
	}
	original, err := a.ReadFile("manifest.json", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	got, was := compact(t, clear), compact(t, original)
	if !strings.Contains(was, "conformsTo") { // the one thing that is added
		got = strings.Replace(got, `,"conformsTo":"https://readium.org/webpub-manifest/profiles/pdf"`, "", 1)
	}
	if diff := cmp.Diff(was, got); diff != "" {
		t.Errorf("clear manifest (-want +got):\n%s", diff)
	}
}

func TestRealBrokenPackages(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		want error
		text string
	}{
		"already-lcp.lcpa":         {publication.ErrProtectedLCP, "license.lcpl"},
		"remote-only.audiobook":    {publication.ErrNothing, ""},
		"manifest-not-json.divina": {publication.ErrInvalid, "manifest.json: not valid JSON"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := openCorpus(t, filepath.Join("broken", name))
			if !rpf.Recognize(a) {
				t.Error("the package is not recognized")
			}
			if _, err := rpf.Plan(a); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error = %v, want %v with %q", err, tt.want, tt.text)
			}
		})
	}
	t.Run("no-manifest.audiobook", func(t *testing.T) {
		t.Parallel()
		a := openCorpus(t, "broken/no-manifest.audiobook")
		if rpf.Recognize(a) {
			t.Error("a package without a manifest is recognized")
		}
		if _, err := rpf.Plan(a); !errors.Is(err, publication.ErrInvalid) || !strings.Contains(err.Error(), "manifest.json is missing") {
			t.Errorf("error = %v, want ErrInvalid for the missing manifest", err)
		}
	})
}

func TestInspectRealProtectedPackage(t *testing.T) {
	t.Parallel()
	c, err := rpf.Inspect(openCorpus(t, "broken/already-lcp.lcpa"))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Protected || c.License == nil || c.Format != publication.Audiobook || c.Metadata.Duration != 150 {
		t.Errorf("contents = %+v", c)
	}
	if !slices.ContainsFunc(c.Warnings, func(w string) bool { return strings.Contains(w, "audio/Latin.mp3") }) {
		t.Errorf("warnings = %q, want one of the missing track", c.Warnings)
	}
	clear, err := c.Unprotect()
	if err != nil || bytes.Contains(clear, []byte("encrypted")) || bytes.Contains(clear, []byte(`"properties"`)) {
		t.Errorf("clear manifest = %s, %v", clear, err)
	}
}
