package rwpm_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/rwpm"
)

const lcp = "http://readium.org/2014/01/lcp"

func parse(t testing.TB, text string) *rwpm.Document {
	t.Helper()
	d, err := rwpm.Parse([]byte(text))
	if err != nil {
		t.Fatalf("parse manifest: %v", err)
	}
	return d
}

// compact removes the space between tokens and changes nothing else.
func compact(t testing.TB, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		t.Fatalf("not valid JSON: %v\n%s", err, data)
	}
	return b.String()
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"array":                  `[]`,
		"string":                 `"manifest"`,
		"link that is a string":  `{"readingOrder":["a.mp3"]}`,
		"link without href":      `{"resources":[{"type":"text/css"}]}`,
		"href that is a number":  `{"links":[{"href":1}]}`,
		"alternate without href": `{"readingOrder":[{"href":"a","alternate":[{}]}]}`,
		"child that is a string": `{"readingOrder":[{"href":"a","children":["b"]}]}`,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := rwpm.Parse([]byte(text)); !errors.Is(err, rwpm.ErrStructure) {
				t.Errorf("error = %v, want ErrStructure", err)
			}
		})
	}
}

func TestPublicationGivesEveryLink(t *testing.T) {
	t.Parallel()
	d := parse(t, `{
		"links": [{"href": "self", "rel": "self"}, {"href": "cover2", "rel": "cover", "type": "image/png"}],
		"readingOrder": [
			{"href": "a", "alternate": [{"href": "a-alt", "children": [{"href": "a-alt-child"}]}]},
			{"href": "b", "children": {"href": "b-child"}, "alternate": null}
		],
		"resources": [
			{"href": "c", "rel": ["x", "cover"], "type": "image/jpeg", "alternate": [{"href": "c-alt", "type": "image/avif"}]},
			{"href": "d.html", "rel": "cover", "type": "text/html"},
			{"href": "e{?q}", "templated": true}
		],
		"toc": [{"href": "t"}]
	}`)
	var hrefs, covers []string
	for item := range d.Publication() {
		hrefs = append(hrefs, item.Href)
		if item.Cover {
			covers = append(covers, item.Href)
		}
		if got, want := item.Templated, item.Href == "e{?q}"; got != want {
			t.Errorf("%s: templated = %v, want %v", item.Href, got, want)
		}
	}
	want := []string{"a", "a-alt", "a-alt-child", "b", "b-child", "c", "c-alt", "d.html", "e{?q}"}
	if diff := cmp.Diff(want, hrefs); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"c", "c-alt"}, covers); diff != "" {
		t.Errorf("covers (-want +got):\n%s", diff)
	}
	hrefs = nil
	for item := range d.Links() {
		hrefs = append(hrefs, item.Href)
	}
	if diff := cmp.Diff([]string{"self", "cover2"}, hrefs); diff != "" {
		t.Errorf("links of the collection (-want +got):\n%s", diff)
	}
}

// The expected document is the example of modules/encryption, with more around
// it that must stay as it is.
func TestSetEncryption(t *testing.T) {
	t.Parallel()
	d := parse(t, `{"x":1.10,"readingOrder":[
		{"href":"chapter_001.xhtml","type":"application/xhtml+xml","size":2e4},
		{"href":"b","properties":{"layout":"fixed","encrypted":{"old":1},"page":null}},
		{"href":"c","properties":null}]}`)
	for item := range d.Publication() {
		e := rwpm.Encryption{Scheme: lcp, Algorithm: "http://www.w3.org/2001/04/xmlenc#aes256-cbc", OriginalLength: 13810}
		switch item.Href {
		case "chapter_001.xhtml":
			e.Compression = "deflate"
		case "c":
			e.OriginalLength = -1
		}
		item.SetEncryption(e)
		got, ok := item.Encryption()
		if !ok || got != e {
			t.Errorf("%s: encryption = %+v, %v, want %+v", item.Href, got, ok, e)
		}
	}
	const common = `"scheme":"http://readium.org/2014/01/lcp","algorithm":"http://www.w3.org/2001/04/xmlenc#aes256-cbc"`
	want := `{"x":1.10,"readingOrder":[` +
		`{"href":"chapter_001.xhtml","type":"application/xhtml+xml","size":2e4,` +
		`"properties":{"encrypted":{` + common + `,"compression":"deflate","originalLength":13810}}},` +
		`{"href":"b","properties":{"layout":"fixed","encrypted":{` + common + `,"originalLength":13810},"page":null}},` +
		`{"href":"c","properties":{"encrypted":{` + common + `}}}]}`
	if got := compact(t, d.Bytes()); got != want {
		t.Errorf("manifest =\n%s\nwant\n%s", got, want)
	}
	for item := range d.Publication() {
		item.RemoveEncryption()
	}
	want = `{"x":1.10,"readingOrder":[{"href":"chapter_001.xhtml","type":"application/xhtml+xml","size":2e4},` +
		`{"href":"b","properties":{"layout":"fixed","page":null}},{"href":"c"}]}`
	if got := compact(t, d.Bytes()); got != want {
		t.Errorf("manifest without encryption =\n%s\nwant\n%s", got, want)
	}
}

func TestAddConformsTo(t *testing.T) {
	t.Parallel()
	p := rwpm.ProfilePDF
	tests := map[string]struct{ before, want string }{
		"none yet":    {`{"metadata":{"title":"T"}}`, `{"metadata":{"title":"T","conformsTo":"` + p + `"}}`},
		"another":     {`{"metadata":{"conformsTo":"x"}}`, `{"metadata":{"conformsTo":["x","` + p + `"]}}`},
		"there":       {`{"metadata":{"conformsTo":["x","` + p + `"]}}`, `{"metadata":{"conformsTo":["x","` + p + `"]}}`},
		"no metadata": {`{}`, `{"metadata":{"conformsTo":"` + p + `"}}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := parse(t, tt.before)
			d.AddConformsTo(p)
			if got := compact(t, d.Bytes()); got != tt.want {
				t.Errorf("manifest = %s, want %s", got, tt.want)
			}
		})
	}
}

// corpusManifests gives the manifests of real packages.
func corpusManifests(t *testing.T) map[string][]byte {
	t.Helper()
	root := os.Getenv("LCP_CORPUS")
	if root == "" {
		t.Skip("LCP_CORPUS does not name the folder of sample publications")
	}
	manifests := make(map[string][]byte)
	for _, folder := range []string{"audiobook", "divina", "webpub", "broken"} {
		files, err := filepath.Glob(filepath.Join(root, folder, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasPrefix(filepath.Base(file), "manifest-not-json") {
				continue
			}
			if data := zipEntry(file, "manifest.json"); data != nil && !bytes.Contains(data, []byte("pub-context")) {
				manifests[filepath.Base(file)] = data
			}
		}
	}
	if len(manifests) < 8 {
		t.Fatalf("only %d manifests in %s", len(manifests), root)
	}
	return manifests
}

func zipEntry(file, name string) []byte {
	z, err := zip.OpenReader(file)
	if err != nil {
		return nil
	}
	defer z.Close()
	f, err := z.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return nil
	}
	return data
}

func TestRealManifestsLoseNothing(t *testing.T) {
	t.Parallel()
	for name, data := range corpusManifests(t) {
		d := parse(t, string(data))
		if got, want := compact(t, d.Bytes()), compact(t, data); got != want {
			t.Errorf("%s: manifest =\n%s\nwant\n%s", name, got, want)
		}
		if d.Metadata().Title.In("") == "" {
			t.Errorf("%s: no title", name)
		}
		if bytes.Contains(data, []byte(`"encrypted"`)) {
			continue
		}
		for item := range d.Publication() {
			item.SetEncryption(rwpm.Encryption{Scheme: lcp, Algorithm: "x", OriginalLength: 1})
		}
		for item := range d.Publication() {
			item.RemoveEncryption()
		}
		if got, want := compact(t, d.Bytes()), compact(t, data); got != want {
			t.Errorf("%s: manifest after encryption was set and removed =\n%s\nwant\n%s", name, got, want)
		}
	}
}

// A manifest that is accepted keeps its tokens, and declaring encryption and
// taking it back is seen by whoever reads it again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"metadata":{"title":{"fr":"T"},"author":["A",{"name":"B"}]},"readingOrder":[{"href":"a","properties":{"x":1}}]}`))
	f.Add([]byte(`{"resources":{"href":"a","alternate":{"href":"b","rel":["cover"]}},"links":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := rwpm.Parse(data)
		if err != nil {
			return
		}
		if got, want := compact(t, d.Bytes()), compact(t, bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))); got != want {
			t.Fatalf("manifest = %s, want %s", got, want)
		}
		d.Metadata()
		want := rwpm.Encryption{Scheme: lcp, Algorithm: "a", Compression: "deflate", OriginalLength: 7}
		var links int
		for item := range d.Publication() {
			item.SetEncryption(want)
			links++
		}
		again := parse(t, string(d.Bytes()))
		for item := range again.Publication() {
			if got, ok := item.Encryption(); !ok || got != want {
				t.Fatalf("encryption of %q = %+v", item.Href, got)
			}
			item.RemoveEncryption()
			if _, ok := item.Encryption(); ok {
				t.Fatalf("encryption of %q is still there", item.Href)
			}
			links--
		}
		if links != 0 {
			t.Fatalf("%d links were lost", links)
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		base, href string
		want       []string // the first ones
	}{
		"plain":                     {"manifest.json", "a/b.mp3", []string{"a/b.mp3"}},
		"encoded":                   {"manifest.json", "armanddurand%20chapter01.mp3", []string{"armanddurand chapter01.mp3", "armanddurand%20chapter01.mp3"}},
		"decoded once":              {"manifest.json", "a%2520b", []string{"a%20b"}},
		"plus is a plus":            {"manifest.json", "a+b%2B", []string{"a+b+"}},
		"fragment and query":        {"manifest.json", "a.mp3?x=1#t=2,3", []string{"a.mp3"}},
		"encoded number sign":       {"manifest.json", "a%23b.mp3", []string{"a#b.mp3"}},
		"number sign not encoded":   {"manifest.json", "a #1.mp3", []string{"a ", "a #1.mp3"}},
		"percent sign not encoded":  {"manifest.json", "100% cotton.mp3", []string{"100% cotton.mp3"}},
		"dot":                       {"manifest.json", "./a", []string{"a"}},
		"up and out":                {"manifest.json", "../../a", []string{"a"}},
		"up within":                 {"html/toc.html", "../audio/a.mp3", []string{"audio/a.mp3"}},
		"relative to its folder":    {"html/toc.html", "c1.html#s", []string{"html/c1.html"}},
		"from the root":             {"html/toc.html", "/a", []string{"a"}},
		"not ASCII":                 {"manifest.json", "%C3%A9té.mp3", []string{"été.mp3"}},
		"web address":               {"manifest.json", "https://example.org/a", nil},
		"web address, other scheme": {"manifest.json", "HTTP://example.org/a", nil},
		"host":                      {"manifest.json", "//example.org/a", nil},
		"data":                      {"manifest.json", "data:text/plain,x", nil},
		"empty":                     {"manifest.json", " ", nil},
		"the root itself":           {"manifest.json", "./", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := rwpm.Names(tt.base, tt.href)
			if len(got) < len(tt.want) || tt.want == nil && got != nil {
				t.Fatalf("names = %q, want %q", got, tt.want)
			}
			if got = got[:len(tt.want)]; !slices.Equal(got, tt.want) {
				t.Errorf("names = %q, want %q", got, tt.want)
			}
		})
	}
}

// The reference to a name leads back to that name, and no reference leads out of
// the package.
func FuzzHref(f *testing.F) {
	for _, name := range []string{"a b.mp3", "a:b/c#d?e.mp3", "100%.jpg", "é/ü+.png", "%41", "..a", "//x"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, n := range rwpm.Names("x/y", name) {
			if n == "" || n == ".." || strings.HasPrefix(n, "../") || strings.HasPrefix(n, "/") {
				t.Fatalf("%q leads out of the package: %q", name, n)
			}
		}
		if name == "" || name != strings.TrimPrefix(filepath.ToSlash(filepath.Clean("/"+name)), "/") {
			return // no name that an entry can have
		}
		if got := rwpm.Names("manifest.json", rwpm.Href(name)); len(got) == 0 || got[0] != name {
			t.Fatalf("the reference %q to %q leads to %q", rwpm.Href(name), name, got)
		}
	})
}

func TestSecondsAreExact(t *testing.T) {
	t.Parallel()
	for ns, want := range map[rwpm.Seconds]string{
		0: "0", 890123000000: "890.123", 1e9: "1", 1: "0.000000001", 1500000000: "1.5", 1050000000: "1.05",
	} {
		if got := ns.String(); got != want {
			t.Errorf("%d ns = %s s, want %s", int64(ns), got, want)
		}
	}
}
