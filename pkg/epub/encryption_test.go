package epub_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/epub"
	"github.com/lcp-tools/lcp/pkg/publication"
)

// obfuscated makes an encryption.xml with one resource, under prefixes and in
// a layout of its own.
func obfuscated(algorithm, uri string) string {
	return `<?xml version="1.0"?>
<!-- fonts -->
<odc:encryption xmlns:odc="urn:oasis:names:tc:opendocument:xmlns:container"
                xmlns:c='http://www.w3.org/2001/04/xmlenc#'>
	<c:EncryptedData Id="f1"><c:EncryptionMethod Algorithm="` + algorithm + `"/>
		<c:CipherData><c:CipherReference URI="` + uri + `"/></c:CipherData></c:EncryptedData>
</odc:encryption >
`
}

// An encryptionXML is encryption.xml as an independent reader sees it, with the
// namespaces that LCP §2.2 gives.
type encryptionXML struct {
	Data []struct {
		Method struct {
			Algorithm string `xml:"Algorithm,attr"`
		} `xml:"http://www.w3.org/2001/04/xmlenc# EncryptionMethod"`
		Retrieval *struct {
			URI  string `xml:"URI,attr"`
			Type string `xml:"Type,attr"`
		} `xml:"http://www.w3.org/2000/09/xmldsig# KeyInfo>RetrievalMethod"`
		Reference struct {
			URI string `xml:"URI,attr"`
		} `xml:"http://www.w3.org/2001/04/xmlenc# CipherData>CipherReference"`
		Property *struct {
			Compression struct {
				Method         string `xml:"Method,attr"`
				OriginalLength string `xml:"OriginalLength,attr"`
			} `xml:"http://www.idpf.org/2016/encryption#compression Compression"`
		} `xml:"http://www.w3.org/2001/04/xmlenc# EncryptionProperties>EncryptionProperty"`
	} `xml:"http://www.w3.org/2001/04/xmlenc# EncryptedData"`
}

func decode(doc []byte) (encryptionXML, error) {
	var e encryptionXML
	d := xml.NewDecoder(bytes.NewReader(doc))
	d.Entity = xml.HTMLEntity
	if err := d.Decode(&e); err != nil {
		return e, err
	}
	for { // what follows the root
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return e, nil
		} else if err != nil {
			return e, err
		}
	}
}

type declaration struct{ name, algorithm, keyURI, keyType, method, length string }

func lcpDeclarations(t testing.TB, doc []byte) []declaration {
	t.Helper()
	e, err := decode(doc)
	if err != nil {
		t.Fatalf("%v in\n%s", err, doc)
	}
	var found []declaration
	for _, d := range e.Data {
		if d.Retrieval == nil || d.Retrieval.Type != "http://readium.org/2014/01/lcp#EncryptedContentKey" {
			continue
		}
		name, err := url.PathUnescape(d.Reference.URI)
		if err != nil {
			t.Errorf("reference %q: %v", d.Reference.URI, err)
		}
		if u, err := url.Parse(d.Reference.URI); err != nil || u.Path != name || u.IsAbs() || u.Host != "" {
			t.Errorf("reference %q is no relative URL of the same path: %v", d.Reference.URI, err)
		}
		if strings.Trim(d.Reference.URI, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/%!$&'()*+,;=:@") != "" {
			t.Errorf("reference %q is not percent-encoded", d.Reference.URI)
		}
		found = append(found, declaration{name, d.Method.Algorithm, d.Retrieval.URI, d.Retrieval.Type, "", ""})
		if d.Property != nil {
			found[len(found)-1].method = d.Property.Compression.Method
			found[len(found)-1].length = d.Property.Compression.OriginalLength
		}
	}
	return found
}

func planOf(t testing.TB, files ...file) *publication.Plan {
	t.Helper()
	plan, err := epub.Plan(book(t, files...))
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

var (
	anOPF  = file{"OPS/book.opf", opf(item("p.xhtml"))}
	aPage  = file{"OPS/p.xhtml", chapter}
	aFont  = file{"OPS/my font.otf", "OTTO"}
	asked  = []publication.Encrypted{{Name: "OPS/p.xhtml", Deflated: true, OriginalLength: 73, Algorithm: publication.Algorithm}, {Name: "OPS/a.mp3", OriginalLength: 5, Algorithm: publication.Algorithm}}
	answer = []declaration{
		{"OPS/p.xhtml", "http://www.w3.org/2001/04/xmlenc#aes256-cbc", "license.lcpl#/encryption/content_key", "http://readium.org/2014/01/lcp#EncryptedContentKey", "8", "73"},
		{"OPS/a.mp3", "http://www.w3.org/2001/04/xmlenc#aes256-cbc", "license.lcpl#/encryption/content_key", "http://readium.org/2014/01/lcp#EncryptedContentKey", "0", "5"},
	}
)

func TestDeclare(t *testing.T) {
	t.Parallel()
	const idpf = "http://www.idpf.org/2008/embedding"
	for name, source := range map[string]string{
		"no source":           "",
		"other prefixes":      obfuscated(idpf, "OPS/my%20font.otf"),
		"clashing prefixes":   strings.NewReplacer("c:", "ds:", ":c=", ":ds=", "odc", "enc").Replace(obfuscated(idpf, "OPS/my%20font.otf")),
		"one line":            `<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"></encryption>`,
		"empty-element tag":   "<?xml version='1.0'?><o:encryption\n\txmlns:o=\"urn:oasis:names:tc:opendocument:xmlns:container\" a='x &gt; /'/><!-- end -->",
		"shortest":            "<encryption/>",
		"byte order mark":     "\uFEFF" + obfuscated(idpf, "OPS/my%20font.otf"),
		"character data":      "<encryption> text &amp; more \n</encryption>\n\n",
		"something unknown":   `<encryption><x xmlns="urn:x"/><EncryptedKey xmlns="http://www.w3.org/2001/04/xmlenc#"/></encryption>`,
		"comment before end":  "<encryption>\n<!-- </encryption> -->\n</encryption>",
		"CDATA before end":    "<encryption><![CDATA[</encryption>]]></encryption>",
		"carriage returns":    "<encryption>\r\n\t<x/>\r\n</encryption>\r\n",
		"processing after it": "<encryption>\n</encryption>\n<?x </encryption> ?>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := planOf(t, anOPF, aPage, aFont, file{"META-INF/encryption.xml", source})
			doc, err := plan.Declare(asked)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(answer, lcpDeclarations(t, doc), cmp.AllowUnexported(declaration{})); diff != "" {
				t.Errorf("declarations (-want +got):\n%s\n%s", diff, doc)
			}
			if source == "" {
				if !bytes.HasPrefix(doc, []byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<encryption xmlns=\"urn:oasis:names:tc:opendocument:xmlns:container\"")) {
					t.Errorf("the document begins otherwise:\n%s", doc)
				}
				return
			}
			if name == "shortest" || name == "empty-element tag" {
				source = strings.Replace(source, "/>", ">", 1) + "</"
				if before, after, _ := strings.Cut(string(doc), "\n  <enc:EncryptedData"); !strings.HasPrefix(source, before) || after == "" {
					t.Errorf("the tag became\n%s", doc)
				}
				return
			}
			if !inserted(source, string(doc)) {
				t.Errorf("what was there did not survive:\n%s\nbecame\n%s", source, doc)
			}
			if doc, err := plan.Declare(nil); err != nil || string(doc) != source {
				t.Errorf("Declare of nothing = %q, %v", doc, err)
			}
		})
	}
}

// inserted reports whether doc is source with something put in at one place.
func inserted(source, doc string) bool {
	if len(doc) < len(source) {
		return false
	}
	at := 0
	for at < len(source) && source[at] == doc[at] {
		at++
	}
	return strings.HasSuffix(doc, source[at:])
}

func TestDeclareConvertsEncodings(t *testing.T) {
	t.Parallel()
	const doc = `<?xml version="1.0" encoding="CODE" standalone="yes"?>` + "\n<encryption>\n  <!-- été -->\n</encryption>\n"
	latin := strings.ReplaceAll(strings.Replace(doc, "CODE", "iso-8859-1", 1), "é", "\xe9")
	want := strings.Replace(doc, "CODE", "UTF-8", 1)
	for name, source := range map[string]string{
		"UTF-16":  utf16LE(strings.Replace(doc, "CODE", "UTF-16", 1)),
		"Latin 1": latin,
	} {
		plan := planOf(t, anOPF, aPage, file{"META-INF/encryption.xml", source})
		got, err := plan.Declare(asked)
		if err != nil {
			t.Fatal(err)
		}
		if !inserted(want, string(got)) || len(lcpDeclarations(t, got)) != len(asked) {
			t.Errorf("%s: Declare = %s", name, got)
		}
	}
}

func TestDeclareWithoutLength(t *testing.T) {
	t.Parallel()
	doc, err := planOf(t, anOPF, aPage).Declare([]publication.Encrypted{{Name: "a", OriginalLength: -1, Algorithm: publication.Algorithm}})
	if err != nil {
		t.Fatal(err)
	}
	if got := lcpDeclarations(t, doc); len(got) != 1 || got[0].method != "" || bytes.Contains(doc, []byte("Compression")) {
		t.Errorf("Declare = %s", doc)
	}
}

// References decode to the name, and are spelled as in the manifest where that
// is a valid spelling: some readers compare them undecoded.
func TestDeclareReferences(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ entry, href, want string }{
		"plain":                    {"OPS/a.xhtml", "a.xhtml", "OPS/a.xhtml"},
		"not in the manifest":      {"OPS/a+b & c@d:'e'.xhtml", "", "OPS/a%2Bb%20%26%20c%40d%3A%27e%27.xhtml"},
		"reserved left as is":      {"OPS/a+b&c@d.xhtml", "a+b&amp;c@d.xhtml", "OPS/a+b&c@d.xhtml"},
		"reserved encoded":         {"OPS/a+b&c@d.xhtml", "a%2Bb%26c%40d.xhtml", "OPS/a%2Bb%26c%40d.xhtml"},
		"lower-case escapes":       {"OPS/é.xhtml", "%c3%a9.xhtml", "OPS/%c3%a9.xhtml"},
		"spaces not encoded":       {"OPS/a b.xhtml", "a b.xhtml", "OPS/a%20b.xhtml"},
		"non-ASCII not encoded":    {"OPS/é.xhtml", "é.xhtml", "OPS/%C3%A9.xhtml"},
		"percent and hash":         {"OPS/50%25 #2.xhtml", "50%2525%20%232.xhtml", "OPS/50%2525%20%232.xhtml"},
		"percent not encoded":      {"OPS/100%.xhtml", "100%.xhtml", "OPS/100%25.xhtml"},
		"wrongly decodes":          {"OPS/50%25.xhtml", "50%25.xhtml", "OPS/50%2525.xhtml"},
		"fragment and parent":      {"a.xhtml", "../a.xhtml#x", "a.xhtml"},
		"decomposed name":          {"OPS/e\u0301.xhtml", "\u00e9.xhtml", "OPS/e%CC%81.xhtml"},
		"colon in the first place": {"a:b.xhtml", "../a:b.xhtml", "a%3Ab.xhtml"},
		"quotes and brackets":      {`OPS/"a"<b>.xhtml`, `&quot;a&quot;&lt;b>.xhtml`, "OPS/%22a%22%3Cb%3E.xhtml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := planOf(t, file{"OPS/book.opf", opf(item(tt.href))}, file{tt.entry, chapter})
			doc, err := plan.Declare([]publication.Encrypted{{Name: tt.entry, OriginalLength: 1}})
			if err != nil {
				t.Fatal(err)
			}
			if got := lcpDeclarations(t, doc); len(got) != 1 || got[0].name != tt.entry {
				t.Errorf("declared %+v, want %q", got, tt.entry)
			}
			if e, _ := decode(doc); e.Data[0].Reference.URI != tt.want {
				t.Errorf("reference = %q, want %q", e.Data[0].Reference.URI, tt.want)
			}
		})
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	const idpf = "http://www.idpf.org/2008/embedding"
	for name, source := range map[string]string{
		"fonts":    obfuscated(idpf, "OPS/my%20font.otf"),
		"nothing":  "",
		"one line": `<encryption><x/></encryption>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := []file{anOPF, aPage, aFont, {"OPS/a.mp3", "audio"}, {"META-INF/encryption.xml", source}}
			clear, err := epub.Inspect(book(t, files...))
			if err != nil {
				t.Fatal(err)
			}
			if clear.Protected || clear.License != nil || clear.Source != "EPUB 3" || clear.Metadata.Title != "A title" {
				t.Errorf("before: %+v", clear)
			}
			if got, err := clear.Unprotect(); err != nil || string(got) != source {
				t.Errorf("before: Unprotect = %q, %v", got, err)
			}
			doc, err := planOf(t, files...).Declare(asked)
			if err != nil {
				t.Fatal(err)
			}
			files[len(files)-1].data = string(doc)
			files = append(files, file{"META-INF/license.lcpl", "{}"})
			c, err := epub.Inspect(book(t, files...))
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]publication.Encrypted{}
			for _, e := range asked {
				e.Scheme = publication.Scheme
				want[e.Name] = e
			}
			if name == "fonts" {
				want["OPS/my font.otf"] = publication.Encrypted{Name: "OPS/my font.otf", OriginalLength: -1, Algorithm: idpf}
			}
			if diff := cmp.Diff(want, c.Encrypted); diff != "" {
				t.Errorf("encrypted (-want +got):\n%s", diff)
			}
			if !c.Protected || c.License == nil || c.Declaration != "META-INF/encryption.xml" || c.MediaType("OPS/p.xhtml") != "application/xhtml+xml" {
				t.Errorf("after: %+v", c)
			}
			if got, err := c.Unprotect(); err != nil || string(got) != source || (got == nil) != (source == "") {
				t.Errorf("after: Unprotect = %q, %v, want %q", got, err, source)
			}
		})
	}
}

// Inspect tells of entries that are to stay readable whether LCP §2.1 forbids to
// encrypt them, whatever encryption.xml says.
func TestInspectTellsWhatStaysClear(t *testing.T) {
	t.Parallel()
	manifest := `<item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="scripted nav"/>
		<item id="x" href="toc.ncx" media-type="application/x-dtbncx+xml"/>
		<item id="c" href="cover.png" media-type="image/png" properties="cover-image"/>
		<item id="old" href="old.png" media-type="image/png"/>
		<item id="m" href="map.xml" media-type="application/oebps-page-map+xml"/>` + item("p.xhtml")
	doc := strings.Replace(opf(manifest), "</metadata>", `<meta name="cover" content="old"/></metadata>`, 1)
	font := obfuscated("http://www.idpf.org/2008/embedding", "OPS/my%20font.otf")
	c, err := epub.Inspect(book(t, file{"OPS/book.opf", doc}, aPage, aFont, file{"OPS/nav.xhtml", chapter}, file{"OPS/toc.ncx", "<ncx/>"},
		file{"OPS/cover.png", "png"}, file{"OPS/old.png", "png"}, file{"OPS/map.xml", "<map/>"},
		file{"META-INF/encryption.xml", font}, file{"META-INF/com.example.xml", "<x/>"}))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{
		"mimetype": true, "META-INF/container.xml": true, "META-INF/encryption.xml": true, "META-INF/com.example.xml": false,
		"OPS/book.opf": true, "OPS/nav.xhtml": true, "OPS/toc.ncx": true, "OPS/cover.png": true,
		"OPS/old.png": false, "OPS/map.xml": false,
	}
	if diff := cmp.Diff(want, c.Clear); diff != "" {
		t.Errorf("clear (-want +got):\n%s", diff)
	}
}

// A font can be obfuscated and then encrypted. LCP is the outer layer.
func TestInspectOfWhatIsListedTwice(t *testing.T) {
	t.Parallel()
	font := file{"META-INF/encryption.xml", obfuscated("http://www.idpf.org/2008/embedding", "OPS/my%20font.otf")}
	doc, err := planOf(t, anOPF, aPage, aFont, font).Declare([]publication.Encrypted{{Name: "OPS/my font.otf", Algorithm: publication.Algorithm}})
	if err != nil {
		t.Fatal(err)
	}
	const start, end = "\t<c:EncryptedData", "</c:EncryptedData>"
	from, to := bytes.Index(doc, []byte(start)), bytes.Index(doc, []byte(end))+len(end)
	last := bytes.LastIndex(doc, []byte("\n</odc"))
	swapped := string(doc[:from]) + string(doc[to:last]) + string(doc[from:to]) + string(doc[last:])
	for _, source := range []string{string(doc), swapped} {
		c, err := epub.Inspect(book(t, anOPF, aPage, aFont, file{"META-INF/encryption.xml", source}))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Encrypted["OPS/my font.otf"]; got.Scheme != publication.Scheme {
			t.Errorf("Inspect gives %+v of\n%s", got, source)
		}
	}
}

func TestInspectToleratesWhatPlanRefuses(t *testing.T) {
	t.Parallel()
	c, err := epub.Inspect(book(t, file{"OPS/book.opf", opf(item("gone.xhtml"))}, aFont,
		file{"META-INF/encryption.xml", obfuscated("http://example.org/drm", "OPS/my%20font.otf")}))
	if err != nil {
		t.Fatal(err)
	}
	if c.Protected || c.Encrypted["OPS/my font.otf"].Algorithm != "http://example.org/drm" {
		t.Errorf("Inspect = %+v", c)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "OPS/gone.xhtml") {
		t.Errorf("warnings = %q", c.Warnings)
	}
}
