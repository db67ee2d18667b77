package epub_test

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/epub"
	"github.com/lcp-tools/lcp/pkg/publication"
)

func corpus(t *testing.T, elem ...string) []byte {
	t.Helper()
	root := os.Getenv("LCP_CORPUS")
	if root == "" {
		t.Skip("LCP_CORPUS names no folder with sample publications")
	}
	data, err := os.ReadFile(filepath.Join(append([]string{root}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What each accepted EPUB is, and which of its entries outside META-INF and
// beside its package documents stay clear.
var accepted = map[string]struct {
	source, title, author, cover string
	clear                        []string
	warned                       bool
}{
	"epub/pride-and-prejudice.epub": {
		"EPUB 2", "Pride and Prejudice", "Jane Austen", "OEBPS/7399421126855284922_cover.jpg",
		[]string{"OEBPS/7399421126855284922_cover.jpg", "OEBPS/toc.ncx"},
		false,
	},
	"epub/feedbooks_book_6816.epub": {
		"EPUB 2", "Mémoires d'Outre-tombe", "François-René de Chateaubriand", "OPS/images/cover.png",
		[]string{"OPS/images/cover.png", "OPS/fb.ncx"},
		false,
	},
	"epub/leaves.epub":            {"EPUB 2", "Leaves of Grass", "Walt Whitman", "cover.jpeg", []string{"cover.jpeg", "toc.ncx"}, false},
	"epub/moby-dick.epub":         {"EPUB 3", "Moby-Dick", "Herman Melville", "OPS/images/9780316000000.jpg", []string{"OPS/images/9780316000000.jpg", "OPS/toc.xhtml"}, false},
	"epub/sample-with-space.epub": {"EPUB 3", "Moby-Dick", "Herman Melville", "OPS/images/9780316000000.jpg", []string{"OPS/images/9780316000000.jpg", "OPS/toc.xhtml", "OPS/fonts/MinionPro Regular.otf"}, false},
	"epub/wasteland-otf-obf.epub": {"EPUB 3", "The Waste Land", "T.S. Eliot", "EPUB/wasteland-cover.jpg", []string{"EPUB/OldStandard-Bold.obf.otf", "EPUB/OldStandard-Italic.obf.otf", "EPUB/OldStandard-Regular.obf.otf", "EPUB/wasteland-cover.jpg", "EPUB/wasteland-nav.xhtml", "EPUB/wasteland.ncx"}, false},
	"epub/adobe-font-obfuscation.epub": {
		"EPUB 3", "Your title here", "Hingle McCringleberry", "EPUB/images/cover.jpg",
		[]string{"EPUB/fonts/redacted-script-regular.ttf", "EPUB/images/cover.jpg", "EPUB/nav.xhtml", "EPUB/toc.ncx"},
		false,
	},
	"epub/percent-names.epub": {
		"EPUB 3", "Your title here", "Hingle McCringleberry", "EPUB/images/couverture – été.jpg",
		[]string{"EPUB/images/couverture – été.jpg", "EPUB/nav.xhtml", "EPUB/toc.ncx"},
		false,
	},
	"epub/page-blanche.epub": {
		"EPUB 3", "Page Blanche", "Boulet", "EPUB/Image/cover.jpg",
		[]string{"EPUB/Image/cover.jpg", "EPUB/Navigation/nav.xhtml", "EPUB/Navigation/toc.ncx"},
		false,
	},
	"epub/kusamakura-japanese-vertical-writing.epub": {"EPUB 3", "草枕", "夏目 漱石", "", []string{"OPS/xhtml/toc.ncx", "OPS/xhtml/目次.xhtml"}, false},
	"epub/mol-audio.epub":                            {"EPUB 3", "mol-audio", "Dan Lazin", "", []string{"EPUB/nav.xhtml"}, false},
	"epub/epub30-test-0140.epub":                     {"EPUB 3", "EPUBTEST 0140 - EPUB Content Fragment Identifier Tests", "Matt Garrish", "", []string{"EPUB/xhtml/nav.xhtml"}, false},
	"epub/WCAG.epub":                                 {"EPUB 3", "World Cultures and Geography", "", "", []string{"EPUB/package-braille.opf", "EPUB/xhtml/toc.xhtml", "EPUB/xhtml/toc_braille.xhtml"}, false},
	"epub/linear-algebra.epub":                       {"EPUB 3", "A First Course in Linear Algebra", "Robert A. Beezer", "", []string{"EPUB/xhtml/nav.xhtml"}, false},
	"epub/samuel-pepys_the-diary.epub":               {"EPUB 3", "The Diary", "Samuel Pepys", "epub/images/cover.svg", []string{"epub/images/cover.svg", "epub/toc.xhtml"}, false},
	"epub/The Incomplete Theft - Ralph Burke.epub":   {"EPUB 3", "The Incomplete Theft", "Ralph Burke", "cover.jpeg", []string{"nav.xhtml", "cover.jpeg"}, false},
	"broken/no-mimetype.epub":                        {"EPUB 3", "Minimal EPUB 3.0", "", "", []string{"EPUB/nav.xhtml"}, true},
	"broken/mimetype-last.epub":                      {"EPUB 3", "Large tables - Rare epubs", "EDRLab", "", []string{"EPUB/Text/nav.xhtml"}, true},
}

func TestCorpusAccepted(t *testing.T) {
	t.Parallel()
	for name, want := range accepted {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := corpus(t, filepath.FromSlash(name))
			a, err := archive.NewReader(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			if !epub.Recognize(a) {
				t.Error("not recognized")
			}
			plan, err := epub.Plan(a)
			if err != nil {
				t.Fatal(err)
			}
			if plan.Source != want.source || plan.Metadata.Title != want.title || strings.Join(plan.Metadata.Authors, "; ") != want.author {
				t.Errorf("%s, %q by %q", plan.Source, plan.Metadata.Title, plan.Metadata.Authors)
			}
			if len(plan.Metadata.Languages) == 0 || len(plan.Metadata.Identifiers) == 0 {
				t.Errorf("metadata = %+v", plan.Metadata)
			}
			cover := ""
			if plan.Cover != nil {
				cover = plan.Cover.Part.Name
			}
			if cover != want.cover {
				t.Errorf("cover = %q, want %q", cover, want.cover)
			}
			if (plan.Warnings != nil) != want.warned {
				t.Errorf("warnings = %q", plan.Warnings)
			}
			wantClear := append(slices.Clone(want.clear), defaultPackage(t, data))
			if diff := cmp.Diff(slices.Sorted(slices.Values(wantClear)), clearContent(plan)); diff != "" {
				t.Errorf("clear entries (-want +got):\n%s", diff)
			}
			checkManifest(t, plan, data)
			checkDeclaration(t, plan, a)
		})
	}
}

func clearContent(plan *publication.Plan) []string {
	var names []string
	for _, p := range plan.Parts {
		if !p.Encrypt() && p.Entry != nil && p.Entry.Size > 0 && !strings.HasPrefix(p.Name, "META-INF/") {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

// readWith reads an entry with the standard library.
func readWith(t *testing.T, data []byte, name string, v any) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(bytes.TrimPrefix(doc, []byte("\uFEFF")), v); err != nil {
		t.Fatal(err)
	}
}

func defaultPackage(t *testing.T, data []byte) string {
	t.Helper()
	var c struct {
		Rootfiles []struct {
			FullPath string `xml:"full-path,attr"`
		} `xml:"urn:oasis:names:tc:opendocument:xmlns:container rootfiles>rootfile"`
	}
	readWith(t, data, "META-INF/container.xml", &c)
	return c.Rootfiles[0].FullPath
}

// checkManifest asks that every resource of the manifest is a part with its
// media type.
func checkManifest(t *testing.T, plan *publication.Plan, data []byte) {
	t.Helper()
	var p struct {
		Items []struct {
			Href      string `xml:"href,attr"`
			MediaType string `xml:"media-type,attr"`
		} `xml:"http://www.idpf.org/2007/opf manifest>item"`
	}
	opfName := defaultPackage(t, data)
	readWith(t, data, opfName, &p)
	types := map[string]string{}
	for _, part := range plan.Parts {
		types[part.Name] = part.MediaType
	}
	for _, item := range p.Items {
		u, err := url.Parse(item.Href)
		if err != nil || u.IsAbs() {
			continue
		}
		if name := path.Join(path.Dir(opfName), u.Path); types[name] != strings.ToLower(item.MediaType) {
			t.Errorf("the part %q has media type %q, want %q", name, types[name], item.MediaType)
		}
	}
	if len(p.Items) == 0 {
		t.Error("the manifest is empty")
	}
}

// checkDeclaration makes the protected package, without encrypting, and asks
// that encryption.xml lists exactly what it should and can be undone.
func checkDeclaration(t *testing.T, plan *publication.Plan, a *archive.Reader) {
	t.Helper()
	var list []publication.Encrypted
	var want []string
	for i := range plan.Parts {
		if p := &plan.Parts[i]; p.Encrypt() {
			list = append(list, declared(p))
			want = append(want, p.Name)
		}
	}
	doc, err := plan.Declare(list)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range lcpDeclarations(t, doc) {
		got = append(got, d.name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("encryption.xml lists (-want +got):\n%s", diff)
	}
	var files []file
	for i := range plan.Parts {
		p := &plan.Parts[i]
		data := string(doc)
		if !p.Declaration {
			data = string(read(t, p))
		}
		files = append(files, file{p.Name, data})
	}
	c, err := epub.Inspect(pack(t, files...))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if diff := cmp.Diff(e, c.Encrypted[e.Name]); diff != "" {
			t.Errorf("Inspect of %q (-want +got):\n%s", e.Name, diff)
		}
	}
	source, _ := a.ReadFile("META-INF/encryption.xml", 1<<20)
	if left, err := c.Unprotect(); err != nil || !bytes.Equal(left, source) {
		t.Errorf("Unprotect = %s, %v; want %s", left, err, source)
	}
}

func TestCorpusRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		want error
		says []string
	}{
		"container-points-nowhere.epub": {publication.ErrInvalid, []string{`"nowhere/missing.opf"`}},
		"already-lcp.epub":              {publication.ErrProtectedLCP, []string{"LCP"}},
		"other-drm.epub":                {publication.ErrProtected, []string{"Adobe ADEPT", `"EPUB/nav.xhtml"`}},
		"missing-resources.epub":        {publication.ErrInvalid, []string{"EPUB/audio/fmse004b.mp3", "EPUB/audio/ulnr0036.mp3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := corpus(t, "broken", name)
			a, err := archive.NewReader(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			_, err = epub.Plan(a)
			if !epub.Recognize(a) || !errors.Is(err, tt.want) {
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

func TestCorpusInspectsProtected(t *testing.T) {
	t.Parallel()
	data := corpus(t, "broken", "already-lcp.epub")
	a, err := archive.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	c, err := epub.Inspect(a)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Protected || c.License == nil || c.Metadata.Title != "The Waste Land" {
		t.Errorf("Inspect = %+v", c)
	}
	font, page := c.Encrypted["EPUB/OldStandard-Bold.obf.otf"], c.Encrypted["EPUB/wasteland-content.xhtml"]
	if font.Scheme != "" || page.Scheme != publication.Scheme || !page.Deflated || page.OriginalLength <= 0 {
		t.Errorf("font = %+v, page = %+v", font, page)
	}
	left, err := c.Unprotect()
	if e, derr := decode(left); err != nil || derr != nil || len(e.Data) != 3 {
		t.Errorf("Unprotect = %s, %v", left, err)
	}
}

// The errors of single entries come when they are read, which is not here.
func TestCorpusPlansWithoutReadingContent(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bad-crc.epub", "epub-named.pdf"} {
		data := corpus(t, "broken", name)
		a, err := archive.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		if plan, err := epub.Plan(a); err != nil || plan.Metadata.Title != "Lorem Ipsum" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
