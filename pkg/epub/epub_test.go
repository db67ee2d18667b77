package epub_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/epub"
	"github.com/lcp-tools/lcp/pkg/publication"
)

func utf16LE(s string) string {
	b := []byte{0xFF, 0xFE}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

func TestRecognize(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		files []file
		want  bool
	}{
		"container":                    {[]file{{"META-INF/container.xml", "<x/>"}}, true},
		"mimetype alone":               {[]file{{"mimetype", "application/epub+zip"}}, true},
		"mimetype with line end":       {[]file{{"mimetype", "application/epub+zip\r\n"}}, true},
		"mimetype of something else":   {[]file{{"mimetype", "application/vnd.oasis.opendocument.text"}}, false},
		"enormous mimetype":            {[]file{{"mimetype", "application/epub+zip" + strings.Repeat(" ", 1<<20)}}, false},
		"neither":                      {[]file{{"manifest.json", "{}"}}, false},
		"container in a folder deeper": {[]file{{"book/META-INF/container.xml", "<x/>"}}, false},
	} {
		if got := epub.Recognize(pack(t, tt.files...)); got != tt.want {
			t.Errorf("%s: Recognize = %v, want %v", name, got, tt.want)
		}
	}
}

func TestPlanKeepsClear(t *testing.T) {
	t.Parallel()
	const image = "\xff\xd8\xff\xe0"
	page := file{"OPS/p.xhtml", chapter}
	two := strings.Replace(containerXML, "</rootfiles>", `<rootfile full-path="alt/b.opf" media-type="application/oebps-package+xml"/></rootfiles>`, 1)
	cover := func(content, item string) string {
		return `<package version="2.0"><metadata><meta content="` + content + `" name="cover"/></metadata><manifest>` +
			item + `<item href="p.xhtml"/></manifest></package>`
	}
	for name, tt := range map[string]struct {
		files     []file
		encrypted []string
	}{
		"META-INF and package document": {
			[]file{{"OPS/book.opf", opf(item("p.xhtml"))}, {"META-INF/com.apple.ibooks.display-options.xml", "<x/>"}, page},
			[]string{"OPS/p.xhtml"},
		},
		"navigation document among other properties": {
			[]file{{"OPS/book.opf", opf("<item href='nav.xhtml' properties=' scripted\n nav '/>")}, {"OPS/nav.xhtml", chapter}, page},
			[]string{"OPS/p.xhtml"},
		},
		"property that only begins like nav": {
			[]file{{"OPS/book.opf", opf("<item href='nav.xhtml' properties='navigation x-nav'/>")}, {"OPS/nav.xhtml", chapter}},
			[]string{"OPS/nav.xhtml"},
		},
		"NCX by media type": {
			[]file{{"OPS/book.opf", opf("<item href='t.xml' media-type='Application/x-dtbncx+xml'/>")}, {"OPS/t.xml", "<ncx/>"}, page},
			[]string{"OPS/p.xhtml"},
		},
		"NCX and page map by the spine": {
			[]file{
				{"OPS/book.opf", "<package><manifest><item id='t' href='t.xml' media-type='text/xml'/><item id='m' href='m.xml'/></manifest><spine toc='t' page-map='m'/></package>"},
				{"OPS/t.xml", "<ncx/>"},
				{"OPS/m.xml", "<page-map/>"},
				page,
			},
			[]string{"OPS/p.xhtml"},
		},
		"page map by media type": {
			[]file{{"OPS/book.opf", opf("<item href='m.xml' media-type='application/oebps-page-map+xml'/>")}, {"OPS/m.xml", "<page-map/>"}, page},
			[]string{"OPS/p.xhtml"},
		},
		"EPUB 3 cover": {
			[]file{{"OPS/book.opf", opf("<item href='c.jpg' media-type='image/jpeg' properties='cover-image'/>")}, {"OPS/c.jpg", image}, {"OPS/d.jpg", image}},
			[]string{"OPS/d.jpg"},
		},
		"EPUB 2 cover": {
			[]file{{"OPS/book.opf", cover("c", "<item id='c' href='c.jpg' media-type='image/jpeg'/>")}, {"OPS/c.jpg", image}, page},
			[]string{"OPS/p.xhtml"},
		},
		"EPUB 2 cover by its href": {
			[]file{{"OPS/book.opf", cover("img/c.jpg", "<item id='c' href='img/c.jpg' media-type='image/jpeg'/>")}, {"OPS/img/c.jpg", image}, page},
			[]string{"OPS/p.xhtml"},
		},
		"cover page is no cover image": {
			[]file{{"OPS/book.opf", cover("c", "<item id='c' href='c.xhtml' media-type='application/xhtml+xml'/>")}, {"OPS/c.xhtml", chapter}, page},
			[]string{"OPS/c.xhtml", "OPS/p.xhtml"},
		},
		"obfuscated fonts": {
			[]file{
				{"OPS/book.opf", opf(item("p.xhtml"))},
				page,
				{"OPS/my font.otf", "OTTO"},
				{"OPS/b.ttf", "true"},
				{"OPS/c.ttf", "true"},
				{"META-INF/encryption.xml", obfuscated("http://www.idpf.org/2008/embedding", "OPS/my%20font.otf") + ""},
			},
			[]string{"OPS/p.xhtml", "OPS/b.ttf", "OPS/c.ttf"},
		},
		"every rendition": {
			[]file{
				{"META-INF/container.xml", two},
				{"OPS/book.opf", opf(item("p.xhtml"))},
				{"alt/b.opf", opf("<item href='../alt/nav.xhtml' properties='nav'/><item href='p.xhtml'/>")},
				page,
				{"alt/nav.xhtml", chapter},
				{"alt/p.xhtml", chapter},
				{"nav.xhtml", chapter},
			},
			[]string{"OPS/p.xhtml", "alt/p.xhtml", "nav.xhtml"},
		},
		"package document of no type and extension": {
			[]file{
				{"META-INF/container.xml", "<container><rootfiles><rootfile full-path='OPS/package'/></rootfiles></container>"},
				{"OPS/package", opf(item("p.xhtml"))},
				page,
			},
			[]string{"OPS/p.xhtml"},
		},
		"folders and empty resources": {
			[]file{{"OPS/", ""}, {"OPS/book.opf", opf(item("p.xhtml"))}, page},
			[]string{"OPS/p.xhtml"},
		},
		"resources outside the manifest are encrypted": {
			[]file{{"OPS/book.opf", opf(item("p.xhtml"))}, page, {"OPS/extra.css", "p{}"}},
			[]string{"OPS/p.xhtml", "OPS/extra.css"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan, err := epub.Plan(book(t, tt.files...))
			if err != nil {
				t.Fatal(err)
			}
			_, encrypted := partNames(plan)
			if diff := cmp.Diff(tt.encrypted, encrypted); diff != "" {
				t.Errorf("encrypted parts (-want +got):\n%s", diff)
			}
		})
	}
}

// Each href names the navigation document, which must be found to stay clear.
func TestPlanResolvesHrefs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ path, href, entry string }{
		"plain":                      {"OPS/book.opf", "nav.xhtml", "OPS/nav.xhtml"},
		"percent-encoded":            {"OPS/book.opf", "caf%C3%A9%20%26%20co.xhtml", "OPS/café & co.xhtml"},
		"not encoded":                {"OPS/book.opf", "café &amp; co.xhtml", "OPS/café & co.xhtml"},
		"entity":                     {"OPS/book.opf", "caf&eacute;.xhtml", "OPS/café.xhtml"},
		"decoded once":               {"OPS/book.opf", "50%2525.xhtml", "OPS/50%25.xhtml"},
		"literal percent":            {"OPS/book.opf", "100% sure.xhtml", "OPS/100% sure.xhtml"},
		"literal %25":                {"OPS/book.opf", "50%25.xhtml", "OPS/50%25.xhtml"},
		"plus is a plus":             {"OPS/book.opf", "a+b.xhtml", "OPS/a+b.xhtml"},
		"encoded #":                  {"OPS/book.opf", "%232.xhtml", "OPS/#2.xhtml"},
		"literal #":                  {"OPS/book.opf", "no#2.xhtml", "OPS/no#2.xhtml"},
		"fragment":                   {"OPS/book.opf", "nav.xhtml#toc", "OPS/nav.xhtml"},
		"query":                      {"OPS/book.opf", "nav.xhtml?x=1#toc", "OPS/nav.xhtml"},
		"parent":                     {"OPS/book.opf", "../text/./nav.xhtml", "text/nav.xhtml"},
		"above the root":             {"OPS/book.opf", "../../nav.xhtml", "nav.xhtml"},
		"absolute":                   {"OPS/book.opf", "/text/nav.xhtml", "text/nav.xhtml"},
		"spaces around":              {"OPS/book.opf", " nav.xhtml\n", "OPS/nav.xhtml"},
		"composed for decomposed":    {"OPS/book.opf", "\u00e9.xhtml", "OPS/e\u0301.xhtml"},
		"colon":                      {"OPS/book.opf", "nav:1.xhtml", "OPS/nav:1.xhtml"},
		"package at the root":        {"book.opf", "nav.xhtml", "nav.xhtml"},
		"package in an odd folder":   {"my %41 book/b.opf", "nav.xhtml", "my %41 book/nav.xhtml"},
		"package path percent-coded": {"my book/b.opf", "nav.xhtml", "my book/nav.xhtml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decoy := "OPS/50%.xhtml" // what decoding twice would find
			if name == "literal %25" {
				decoy = "other.xhtml"
			}
			fullPath := tt.path
			if name == "package path percent-coded" {
				fullPath = "my%20book/b.opf"
			}
			container := strings.Replace(containerXML, "OPS/book.opf", fullPath, 1)
			plan, err := epub.Plan(book(t, file{"META-INF/container.xml", container},
				file{tt.path, opf(`<item href="` + tt.href + `" properties="nav" media-type="text/x-nav"/>`)},
				file{tt.entry, chapter}, file{decoy, chapter}))
			if err != nil {
				t.Fatal(err)
			}
			if _, encrypted := partNames(plan); !cmp.Equal(encrypted, []string{decoy}) {
				t.Errorf("encrypted parts are %q", encrypted)
			}
			for _, p := range plan.Parts {
				if p.Name == tt.entry && p.MediaType != "text/x-nav" {
					t.Errorf("media type of %q is %q", p.Name, p.MediaType)
				}
			}
		})
	}
}

func TestPlanReadsXMLOfAllSorts(t *testing.T) {
	t.Parallel()
	const body = `<package version="3.0"><metadata><dc:title>Été</dc:title></metadata><manifest>` +
		`<item href="nav.xhtml" properties="nav"/></manifest></package>`
	prefixed := strings.NewReplacer("<pa", "<o:pa", "</pa", "</o:pa", "<m", "<o:m", "</m", "</o:m", "<i", "<o:i",
		"version", `xmlns:o="http://www.idpf.org/2007/opf" xmlns:d="http://purl.org/dc/elements/1.1/" version`, "dc:", "d:").Replace(body)
	for name, doc := range map[string]string{
		"UTF-8":                     body,
		"byte order mark":           "\uFEFF<?xml version='1.0'?>" + body,
		"UTF-16":                    utf16LE(`<?xml version="1.0" encoding="UTF-16"?>` + body),
		"UTF-16 without a mark":     utf16LE(`<?xml version="1.0"?>` + body)[2:],
		"UTF-16 by mistake":         `<?xml version="1.0" encoding="utf-16"?>` + body,
		"Latin 1":                   strings.ReplaceAll(strings.ReplaceAll("<?xml version='1.0' encoding='ISO-8859-1'?>"+body, "É", "\xc9"), "é", "\xe9"),
		"Windows 1252":              strings.ReplaceAll(strings.ReplaceAll("<?xml version='1.0' encoding='windows-1252'?>"+body, "É", "\xc9"), "é", "\xe9"),
		"XML 1.1":                   `<?xml version="1.1"?>` + body,
		"white space in front":      "\n" + `<?xml version="1.0"?>` + body,
		"other prefixes":            prefixed,
		"HTML entities":             strings.Replace(body, "Été", "&Eacute;t&eacute;", 1),
		"DOCTYPE":                   `<!DOCTYPE package PUBLIC "+//ISBN 0-9673008-1-9//DTD OEB 1.2 Package//EN" "http://openebook.org/dtds/oeb-1.2/oebpkg12.dtd">` + body,
		"entity of the document":    `<!DOCTYPE package [<!ENTITY t "Ét">]>` + strings.Replace(body, "Été", "&t;é", 1),
		"entity of a huge document": `<!DOCTYPE package [<!ENTITY t "a bomb">]>` + strings.Replace(body, "Été", "&t;Été<!--"+strings.Repeat("x", 1<<20)+"-->", 1),
		"external entity":           `<!DOCTYPE package [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + strings.Replace(body, "Été", "&x;Été", 1),
		"entities of entities":      `<!DOCTYPE package [<!ENTITY a "ha"><!ENTITY b "&a;&a;"><!ENTITY b "&b;&b;">]>` + strings.Replace(body, "Été", "Été&b;", 1),
		"comment around":            "<!-- x -->" + body + "<!-- y -->",
		"another element between":   strings.Replace(body, "<manifest>", "<manifest><x><item href='gone.xhtml'/></x>", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan, err := epub.Plan(book(t, file{"OPS/book.opf", doc}, file{"OPS/nav.xhtml", chapter}, file{"a", "a"}))
			if err != nil {
				t.Fatal(err)
			}
			if plan.Metadata.Title != "Été" {
				t.Errorf("title = %q", plan.Metadata.Title)
			}
			if _, encrypted := partNames(plan); !cmp.Equal(encrypted, []string{"a"}) {
				t.Errorf("encrypted parts are %q", encrypted)
			}
		})
	}
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	page := file{"OPS/p.xhtml", chapter}
	sound := file{"OPS/book.opf", opf(item("p.xhtml"))}
	container := func(doc string) file { return file{"META-INF/container.xml", doc} }
	encryption := func(doc string) file { return file{"META-INF/encryption.xml", doc} }
	for name, tt := range map[string]struct {
		files []file
		want  error
		says  []string
	}{
		"no container": {[]file{container(""), sound, page}, publication.ErrInvalid, []string{"META-INF/container.xml", "missing"}},
		"container that is no XML": {
			[]file{container("<container>\n<rootfiles"), sound, page}, publication.ErrInvalid, []string{"META-INF/container.xml", "line 2"},
		},
		"empty container": {[]file{container("<container/>"), sound, page}, publication.ErrInvalid, []string{"names no package document"}},
		"container points nowhere": {
			[]file{container(strings.Replace(containerXML, "book.opf", "gone.opf", 1)), sound, page}, publication.ErrInvalid, []string{`"OPS/gone.opf"`},
		},
		"enormous container":         {[]file{container(containerXML + strings.Repeat(" ", 1<<20)), sound, page}, archive.ErrEntryTooBig, []string{"container.xml"}},
		"package that is no XML":     {[]file{{"OPS/book.opf", "<package>\n\n<a></b></package>"}, page}, publication.ErrInvalid, []string{`"OPS/book.opf"`, "line 3"}},
		"package cut short":          {[]file{{"OPS/book.opf", "<package><metadata>"}, page}, publication.ErrInvalid, []string{`"OPS/book.opf"`}},
		"package that is empty text": {[]file{{"OPS/book.opf", " "}, page}, publication.ErrInvalid, []string{"no element"}},
		"package that is a page":     {[]file{{"OPS/book.opf", "<html/>"}, page}, publication.ErrInvalid, []string{`"OPS/book.opf"`, "<html>"}},
		"package in no encoding":     {[]file{{"OPS/book.opf", "<?xml version='1.0' encoding='klingon'?><package/>"}, page}, publication.ErrInvalid, []string{`"klingon"`}},
		"package in wrong encoding":  {[]file{{"OPS/book.opf", "<package><metadata>\xe9</metadata></package>"}, page}, publication.ErrInvalid, []string{"UTF-8"}},
		"package nested too deeply": {
			[]file{{"OPS/book.opf", "<package>" + strings.Repeat("<a>", 1000) + strings.Repeat("</a>", 1000) + "</package>"}, page}, publication.ErrInvalid, []string{"deep"},
		},
		"undeclared entity": {[]file{{"OPS/book.opf", "<package>&nonsense;</package>"}, page}, publication.ErrInvalid, []string{"nonsense"}},
		"missing resources": {
			[]file{{"OPS/book.opf", opf(item("gone%20away.xhtml") + item("p.xhtml") + item("http://example.org/a.mp3") + item("../b.css"))}, page},
			publication.ErrInvalid,
			[]string{`["OPS/gone away.xhtml" "b.css"]`},
		},
		"nothing to encrypt": {[]file{{"OPS/book.opf", opf("")}}, publication.ErrNothing, nil},
		"LCP by license":     {[]file{sound, page, {"META-INF/license.lcpl", "{}"}}, publication.ErrProtectedLCP, []string{"license.lcpl"}},
		"LCP by encryption.xml": {
			[]file{sound, page, encryption(`<encryption><x:EncryptedData xmlns:x="http://www.w3.org/2001/04/xmlenc#"><d:KeyInfo xmlns:d="http://www.w3.org/2000/09/xmldsig#"><d:RetrievalMethod Type="http://readium.org/2014/01/lcp#EncryptedContentKey"/></d:KeyInfo><x:CipherData><x:CipherReference URI="OPS/p.xhtml"/></x:CipherData></x:EncryptedData></encryption>`)},
			publication.ErrProtectedLCP,
			[]string{`"OPS/p.xhtml"`},
		},
		"ADEPT": {
			[]file{sound, page, {"META-INF/rights.xml", `<rights xmlns="http://ns.adobe.com/adept"/>`}, encryption(obfuscated("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "OPS/p.xhtml"))},
			publication.ErrProtected,
			[]string{"Adobe ADEPT", `"OPS/p.xhtml"`},
		},
		"some other scheme": {
			[]file{sound, page, encryption(obfuscated("http://example.org/drm", "OPS/p.xhtml"))}, publication.ErrProtected, []string{"http://example.org/drm", `"OPS/p.xhtml"`},
		},
		"FairPlay": {[]file{sound, page, {"META-INF/sinf.xml", "<x/>"}}, publication.ErrProtected, []string{"Apple FairPlay"}},
		"encryption.xml that is no XML": {
			[]file{sound, page, encryption("<encryption>\n</EncryptedData>")}, publication.ErrInvalid, []string{"META-INF/encryption.xml", "line 2"},
		},
		"encryption.xml of another kind": {[]file{sound, page, encryption("<html/>")}, publication.ErrInvalid, []string{"META-INF/encryption.xml", "<html>"}},
		"two roots":                      {[]file{sound, page, encryption("<encryption/><encryption/>")}, publication.ErrInvalid, []string{"second root"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := epub.Plan(book(t, tt.files...))
			if !errors.Is(err, tt.want) {
				t.Fatalf("Plan = %v, want %v", err, tt.want)
			}
			for _, words := range tt.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("Plan = %v, which lacks %q", err, words)
				}
			}
		})
	}
}

func TestPlanNamesMissingResources(t *testing.T) {
	t.Parallel()
	_, err := epub.Plan(book(t, file{"OPS/book.opf", opf(item("a.mp3") + item("b.mp3") + item("a.mp3#t=10"))}))
	missing, ok := errors.AsType[*publication.MissingError](err)
	if !ok || !cmp.Equal(missing.Names, []string{"OPS/a.mp3", "OPS/b.mp3"}) {
		t.Errorf("Plan = %v", err)
	}
}

func TestPlanIgnoresWhatIsNotLocal(t *testing.T) {
	t.Parallel()
	items := item("https://example.org/a.mp3") + item("//example.org/b.mp3") + item("data:text/plain,x") + item("") + item("#toc") + item("p.xhtml")
	if _, err := epub.Plan(book(t, file{"OPS/book.opf", opf(items)}, file{"OPS/p.xhtml", chapter})); err != nil {
		t.Errorf("Plan = %v", err)
	}
}

// Rights without encrypted resources, and obfuscated fonts, are no protection.
func TestPlanAcceptsWhatIsNoProtection(t *testing.T) {
	t.Parallel()
	for name, files := range map[string][]file{
		"rights.xml alone": {{"META-INF/rights.xml", `<rights xmlns="http://ns.adobe.com/adept"/>`}},
		"IDPF obfuscation": {{"META-INF/encryption.xml", obfuscated("http://www.idpf.org/2008/embedding", "OPS/f.otf")}, {"OPS/f.otf", "OTTO"}},
		"Adobe obfuscation beside rights.xml": {
			{"META-INF/rights.xml", `<rights xmlns="http://ns.adobe.com/adept"/>`},
			{"META-INF/encryption.xml", obfuscated("http://ns.adobe.com/pdf/enc#RC", "OPS/f.otf")},
			{"OPS/f.otf", "OTTO"},
		},
		"obfuscation with a key elsewhere": {
			{"META-INF/encryption.xml", strings.Replace(obfuscated("http://www.idpf.org/2008/embedding", "OPS/f.otf"), "<c:", `<d:KeyInfo xmlns:d="http://www.w3.org/2000/09/xmldsig#"><EncryptedKey><EncryptionMethod Algorithm="urn:rsa"/><CipherData/></EncryptedKey></d:KeyInfo><c:`, 1)},
			{"OPS/f.otf", "OTTO"},
		},
		"obfuscated font that is not there": {{"META-INF/encryption.xml", obfuscated("http://www.idpf.org/2008/embedding", "OPS/gone.otf")}},
	} {
		files = append(files, file{"OPS/book.opf", opf(item("p.xhtml"))}, file{"OPS/p.xhtml", chapter})
		plan, err := epub.Plan(book(t, files...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, encrypted := partNames(plan); !cmp.Equal(encrypted, []string{"OPS/p.xhtml"}) {
			t.Errorf("%s: encrypted parts are %q", name, encrypted)
		}
	}
}

func TestPlanOrdersParts(t *testing.T) {
	t.Parallel()
	plan, err := epub.Plan(pack(t,
		file{"OPS/", ""}, file{"OPS/p.xhtml", chapter}, file{"META-INF/encryption.xml", "<encryption/>"}, file{"OPS/book.opf", opf(item("p.xhtml"))},
		file{"META-INF/container.xml", containerXML}, file{"mimetype", "application/epub+zip \r\n"}))
	if err != nil {
		t.Fatal(err)
	}
	names, _ := partNames(plan)
	want := []string{"mimetype", "META-INF/container.xml", "META-INF/encryption.xml", "OPS/", "OPS/p.xhtml", "OPS/book.opf"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	if first := plan.Parts[0]; !first.Stored || string(first.Data) != "application/epub+zip" || first.Encrypt() || first.Compress() {
		t.Errorf("mimetype = %+v", first)
	}
	for _, p := range plan.Parts {
		if p.Declaration != (p.Name == "META-INF/encryption.xml") {
			t.Errorf("%s: Declaration = %v", p.Name, p.Declaration)
		}
	}
}

func TestPlanWarns(t *testing.T) {
	t.Parallel()
	sound := []file{{"META-INF/container.xml", containerXML}, {"OPS/book.opf", opf(item("p.xhtml"))}, {"OPS/p.xhtml", chapter}}
	pdf := strings.Replace(containerXML, "</rootfiles>", strings.Repeat(`<rootfile full-path="b.pdf" media-type="application/pdf"/>`, 2)+"</rootfiles>", 1)
	for name, tt := range map[string]struct {
		files []file
		want  []string
	}{
		"nothing amiss":             {append([]file{{"mimetype", "application/epub+zip"}}, sound...), nil},
		"line end after mimetype":   {append([]file{{"mimetype", "application/epub+zip\r\n"}}, sound...), nil},
		"no mimetype":               {sound, []string{"the entry mimetype is missing: added"}},
		"mimetype last":             {append(sound[:3:3], file{"mimetype", "application/epub+zip"}), []string{"the entry mimetype is not the first entry: corrected"}},
		"mimetype of another thing": {append([]file{{"mimetype", "application/x"}}, sound...), []string{`the entry mimetype says "application/x": corrected`}},
		"signatures": {
			append([]file{{"mimetype", "application/epub+zip"}, {"META-INF/signatures.xml", "<x/>"}}, sound...),
			[]string{"the signatures in META-INF/signatures.xml do not hold for the protected publication"},
		},
		"rendition in PDF": {
			append([]file{{"mimetype", "application/epub+zip"}, {"META-INF/container.xml", pdf}, {"b.pdf", "%PDF-1.4"}}, sound[1:]...),
			[]string{`the rendition "b.pdf" (application/pdf) stays clear`},
		},
	} {
		plan, err := epub.Plan(pack(t, tt.files...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, plan.Warnings); diff != "" {
			t.Errorf("%s: warnings (-want +got):\n%s", name, diff)
		}
	}
}

func TestPlanFindsCover(t *testing.T) {
	t.Parallel()
	const jpeg = `<item id="a" href="a.jpg" media-type="image/jpeg"/>`
	for name, tt := range map[string]struct{ opf, want, mediaType string }{
		"EPUB 3 before EPUB 2": {
			`<package><metadata><meta name="cover" content="a"/></metadata><manifest>` + jpeg + `<item href="b.png" properties="cover-image"/></manifest></package>`,
			"OPS/b.png", "image/png",
		},
		"EPUB 2":                    {`<package><metadata><meta name="cover" content="a"/></metadata><manifest>` + jpeg + `</manifest></package>`, "OPS/a.jpg", "image/jpeg"},
		"guide that names an image": {`<package><manifest>` + jpeg + `</manifest><guide><reference type="cover" href="a.jpg"/></guide></package>`, "OPS/a.jpg", "image/jpeg"},
		"guide that names a page":   {`<package><manifest>` + jpeg + `</manifest><guide><reference type="cover" href="p.xhtml"/></guide></package>`, "", ""},
		"none":                      {`<package><manifest>` + jpeg + `</manifest></package>`, "", ""},
	} {
		plan, err := epub.Plan(book(t, file{"OPS/book.opf", tt.opf}, file{"OPS/a.jpg", "A"}, file{"OPS/b.png", "B"}, file{"OPS/p.xhtml", chapter}))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, mediaType := "", ""
		if plan.Cover != nil {
			got, mediaType = plan.Cover.Part.Name, plan.Cover.MediaType
			if string(read(t, &plan.Cover.Part)) == "" {
				t.Errorf("%s: the cover has no data", name)
			}
		}
		if got != tt.want || mediaType != tt.mediaType {
			t.Errorf("%s: cover = %q (%s), want %q (%s)", name, got, mediaType, tt.want, tt.mediaType)
		}
	}
}

func TestPlanReadsMetadata(t *testing.T) {
	t.Parallel()
	const head = `<package xmlns="http://www.idpf.org/2007/opf" xmlns:opf="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/" unique-identifier="uid" version="%s"><metadata>%s</metadata><manifest><item href="p.xhtml"/></manifest></package>`
	for name, tt := range map[string]struct {
		version, metadata, source string
		want                      publication.Metadata
	}{
		"EPUB 3": {
			"3.0",
			`<meta refines="#t2" property="title-type">main</meta><dc:title id="t1">Subtitle</dc:title><meta refines="#t1" property="title-type">subtitle</meta><dc:title id="t2"> The
			  main   title </dc:title>
			<dc:creator id="c1">An Author</dc:creator><meta refines="#c1" property="role" scheme="marc:relators">aut</meta>
			<dc:creator id="c2">An Illustrator</dc:creator><meta refines="#c2" property="role">ill</meta>
			<dc:creator id="c3">Both</dc:creator><meta refines="#c3" property="role">ill</meta><meta refines="#c3" property="role">http://id.loc.gov/vocabulary/relators/aut</meta>
			<dc:creator>No Role</dc:creator><dc:contributor>An Editor</dc:contributor>
			<dc:identifier>isbn:1</dc:identifier><dc:identifier id="uid">urn:uuid:2</dc:identifier>
			<dc:language>fr</dc:language><dc:language>en</dc:language><dc:language>fr</dc:language>
			<dc:subject>Whales</dc:subject><dc:subject></dc:subject><dc:publisher>Harper</dc:publisher>
			<dc:description>&lt;p&gt;About <b>whales</b></dc:description><dc:date>1851-10-18</dc:date>
			<meta property="dcterms:modified">2020-01-01T00:00:00Z</meta>`, "EPUB 3",
			publication.Metadata{
				Title: "The main title", Authors: []string{"An Author", "Both", "No Role"}, Identifiers: []string{"urn:uuid:2", "isbn:1"},
				Languages: []string{"fr", "en"}, Subjects: []string{"Whales"}, Publishers: []string{"Harper"},
				Description: "<p>About whales", Published: "1851-10-18",
			},
		},
		"EPUB 2": {
			"2.0",
			`<dc:title>One</dc:title><dc:title>Two</dc:title>
			<dc:creator opf:role="aut" opf:file-as="Melville">Herman Melville</dc:creator><dc:creator opf:role="trl">A Translator</dc:creator>
			<dc:date opf:event="modification">2020</dc:date><dc:date>2010</dc:date><dc:date opf:event="publication">1851</dc:date>`, "EPUB 2",
			publication.Metadata{Title: "One", Authors: []string{"Herman Melville"}, Published: "1851"},
		},
		"OEB": {
			"", `<dc-metadata><dc:Title>Old</dc:Title><dc:Creator role="aut">Someone</dc:Creator><dc:Date event="creation">1999</dc:Date></dc-metadata>`, "EPUB 2",
			publication.Metadata{Title: "Old", Authors: []string{"Someone"}},
		},
		"none": {"3.1", "", "EPUB 3", publication.Metadata{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan, err := epub.Plan(book(t, file{"OPS/book.opf", fmt.Sprintf(head, tt.version, tt.metadata)}, file{"OPS/p.xhtml", chapter}))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, plan.Metadata); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
			if plan.Source != tt.source {
				t.Errorf("source = %q, want %q", plan.Source, tt.source)
			}
		})
	}
}
