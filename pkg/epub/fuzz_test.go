package epub_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/epub"
	"github.com/lcp-tools/lcp/pkg/publication"
)

// check asks of any plan that each entry of the source is in it once, behind a
// proper mimetype, and that META-INF stays clear.
func check(t *testing.T, plan *publication.Plan) {
	t.Helper()
	names, encrypted := partNames(plan)
	if names[0] != "mimetype" || string(plan.Parts[0].Data) != "application/epub+zip" {
		t.Errorf("the first part is %q", names[0])
	}
	slices.Sort(names)
	if unique := slices.Compact(slices.Clone(names)); len(unique) != len(names) {
		t.Errorf("parts are not unique: %q", names)
	}
	if len(encrypted) == 0 {
		t.Error("nothing is encrypted")
	}
	for _, name := range encrypted {
		if strings.HasPrefix(name, "META-INF/") || name == "OPS/book.opf" {
			t.Errorf("%q is encrypted", name)
		}
	}
}

func FuzzContainer(f *testing.F) {
	f.Add(containerXML)
	f.Add(utf16LE(containerXML))
	f.Add(`<container><rootfile full-path="/OPS%2Fbook.opf"/><rootfile full-path="a" media-type="text/plain"/></container>`)
	f.Fuzz(func(t *testing.T, doc string) {
		a := book(t, file{"META-INF/container.xml", doc}, anOPF, aPage, file{"a", "a"})
		plan, err := epub.Plan(a)
		if err != nil {
			return
		}
		if !strings.Contains(plan.Source, "EPUB") {
			t.Errorf("source = %q", plan.Source)
		}
		names, _ := partNames(plan)
		if want := len(a.Entries) + 1; len(names) != want {
			t.Errorf("%d parts, want %d", len(names), want)
		}
	})
}

func FuzzPackage(f *testing.F) {
	f.Add(opf(item("p.xhtml") + item("gone%zz") + item("http://example.org/")))
	f.Add(`<package version="2.0"><metadata><dc:title id="t">x</dc:title><meta name="cover" content="x"/><meta refines="#t" property="title-type">main</meta></metadata><manifest><item id="x" href="../a%20b" media-type="image/png"/></manifest><spine toc="x"/><guide><reference type="cover" href="a"/></guide></package>`)
	f.Add(`<!DOCTYPE package [<!ENTITY a "b"><!ENTITY c SYSTEM "d">]><package>&a;&c;&eacute;</package>`)
	f.Fuzz(func(t *testing.T, doc string) {
		a := book(t, file{"OPS/book.opf", doc}, aPage, file{"OPS/a b", "a"}, file{"a", "a"})
		if _, err := epub.Inspect(a); err != nil {
			if _, planErr := epub.Plan(a); planErr == nil {
				t.Errorf("Inspect refuses what Plan accepts: %v", err)
			}
			return
		}
		if plan, err := epub.Plan(a); err == nil {
			check(t, plan)
		}
	})
}

// Whatever encryption.xml held survives to the byte, the result is well-formed
// for another reader and lists what was asked, and taking that away again gives
// what was there.
func FuzzEncryption(f *testing.F) {
	f.Add(obfuscated("http://www.idpf.org/2008/embedding", "OPS/my%20font.otf"), "OPS/p.xhtml", "OPS/a+b & c.css")
	f.Add("<encryption/>", "é", "%2e")
	f.Add("\uFEFF<?xml version='1.0' encoding='utf-8'?><encryption>\n<!-- x --><x/>\r\n</encryption>\n<?y?>", "a:b", "a//b")
	f.Fuzz(func(t *testing.T, source, first, second string) {
		if !utf8.ValidString(first) || !utf8.ValidString(second) || first == "" || second == "" || strings.HasPrefix(first, "/") || strings.HasPrefix(second, "/") {
			return
		}
		plan, err := epub.Plan(book(t, anOPF, aPage, aFont, file{"META-INF/encryption.xml", source}))
		if err != nil {
			return
		}
		check(t, plan)
		before := decodable(source)
		names := []string{first, second}
		doc, err := plan.Declare([]publication.Encrypted{
			{Name: first, OriginalLength: 1, Algorithm: publication.Algorithm},
			{Name: second, Deflated: true, OriginalLength: 2, Algorithm: publication.Algorithm},
		})
		if err != nil {
			t.Fatal(err)
		}
		if source != "" && !before { // in another encoding, or in XML beyond the other reader
			return
		}
		var listed []string
		for _, d := range lcpDeclarations(t, doc) {
			listed = append(listed, d.name)
		}
		if !cmp.Equal(listed, names) {
			t.Errorf("listed %q, want %q", listed, names)
		}
		c, err := epub.Inspect(book(t, anOPF, aPage, aFont, file{"META-INF/encryption.xml", string(doc)}))
		if err != nil {
			t.Fatalf("Inspect: %v", err)
		}
		got, err := c.Unprotect()
		if err != nil || got != nil && string(got) != source {
			t.Errorf("Unprotect = %q, %v; want %q", got, err, source)
		}
		if got == nil && strings.Contains(source, "EncryptedData>") {
			if e, _ := decode([]byte(source)); len(e.Data) > 0 {
				t.Errorf("Unprotect of %q left nothing", source)
			}
		}
	})
}

func decodable(source string) bool {
	_, err := decode([]byte(source))
	return err == nil
}
