package conformance_test

import (
	"archive/zip"
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/conformance"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/protect"
	"github.com/lcp-tools/lcp/testdata"
)

// protectedSample protects a sample publication under contentKey, and returns its
// entries in their order.
func protectedSample(t testing.TB, name string) []entry {
	t.Helper()
	data, err := testdata.Samples.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	src, err := protect.Recognition{}.Open(t.Context(), writeFile(t, name, data))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var b bytes.Buffer
	if _, err := protect.NewPipeline(1).Encrypt(t.Context(), src.Plan, contentKey, &b, nil); err != nil {
		t.Fatal(err)
	}
	return unpack(t, b.Bytes())
}

// An entry is one of a package that is made for a test.
type entry struct {
	name     string
	data     []byte
	deflated bool
	extra    []byte
}

func unpack(t testing.TB, data []byte) []entry {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var entries []entry
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry{name: f.Name, data: data})
	}
	return entries
}

// pack writes a package.
func pack(t testing.TB, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Extra: e.extra}
		if e.deflated {
			h.Method = zip.Deflate
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// find returns the entry whose name ends so.
func find(t testing.TB, entries []entry, suffix string) *entry {
	t.Helper()
	i := slices.IndexFunc(entries, func(e entry) bool { return strings.HasSuffix(e.name, suffix) })
	if i < 0 {
		t.Fatalf("no entry is called %q", suffix)
	}
	return &entries[i]
}

// replace changes text in an entry, which must be there.
func replace(t testing.TB, entries []entry, suffix, from, to string) {
	t.Helper()
	e := find(t, entries, suffix)
	if !bytes.Contains(e.data, []byte(from)) {
		t.Fatalf("%s has no %q:\n%s", e.name, from, e.data)
	}
	e.data = bytes.Replace(e.data, []byte(from), []byte(to), 1)
}

const (
	epubSample = "sample.epub"
	opened     = "info package-decrypted"
)

// Every rule on packages finds what it is about in a publication that has no
// other fault.
func TestPackage(t *testing.T) {
	t.Parallel()
	const declaration = "META-INF/encryption.xml"
	for name, tt := range map[string]struct {
		sample string
		edit   func(t *testing.T, entries []entry) []entry
		want   []string
	}{
		"EPUB":      {epubSample, nil, []string{opened}},
		"PDF":       {"sample.pdf", nil, []string{opened}},
		"audiobook": {"sample.audiobook", nil, []string{opened}},
		"comic":     {"sample.cbz", nil, []string{opened}},
		"web":       {"sample.webpub", nil, []string{opened}},
		"mimetype later": {
			epubSample, func(_ *testing.T, e []entry) []entry { return append(e[1:], e[0]) },
			[]string{"error epub-mimetype mimetype", opened},
		},
		"mimetype compressed": {
			epubSample, func(_ *testing.T, e []entry) []entry { e[0].deflated = true; return e },
			[]string{"error epub-mimetype mimetype", opened},
		},
		"mimetype with an extra field": {
			epubSample, func(_ *testing.T, e []entry) []entry { e[0].extra = []byte{1, 0, 1, 0, 0}; return e },
			[]string{"error epub-mimetype mimetype", opened},
		},
		"mimetype and a line end": {
			epubSample, func(_ *testing.T, e []entry) []entry { e[0].data = append(e[0].data, '\n'); return e },
			[]string{"error epub-mimetype mimetype", opened},
		},
		"no mimetype": {
			epubSample, func(_ *testing.T, e []entry) []entry { return e[1:] },
			[]string{"error epub-mimetype mimetype", opened},
		},
		"other algorithm": {epubSample, func(t *testing.T, e []entry) []entry {
			replace(t, e, declaration, "aes256-cbc", "aes128-cbc")
			return e
		}, []string{"error encryption-algorithm *", opened}},
		"other key": {epubSample, func(t *testing.T, e []entry) []entry {
			replace(t, e, declaration, "license.lcpl#/", "META-INF/license.lcpl#/")
			return e
		}, []string{"error encryption-key-uri *", opened}},
		"other type of key": {epubSample, func(t *testing.T, e []entry) []entry {
			replace(t, e, declaration, "#EncryptedContentKey", "#ContentKey")
			return e
		}, []string{"error encryption-key-type *", opened}},
		"other compression": {epubSample, func(t *testing.T, e []entry) []entry {
			replace(t, e, declaration, `Method="8"`, `Method="deflate"`)
			return e
		}, []string{"error encryption-compression *", "error entry-length *", "error entry-decrypt *", opened}},
		"declaration without namespaces": {epubSample, func(t *testing.T, e []entry) []entry {
			replace(t, e, declaration, `xmlns="urn:oasis:names:tc:opendocument:xmlns:container"`, "")
			return e
		}, []string{"warning encryption-xml META-INF/encryption.xml", opened}},
		"other length": {epubSample, func(t *testing.T, e []entry) []entry {
			replace(t, e, declaration, `OriginalLength="`, `OriginalLength="1`)
			return e
		}, []string{"error entry-decrypt *", opened}},
		"no length": {epubSample, func(t *testing.T, e []entry) []entry {
			replace(t, e, declaration, `OriginalLength=`, `x=`)
			return e
		}, []string{"error entry-original-length *", opened}},
		"listed and not there": {epubSample, func(t *testing.T, e []entry) []entry {
			replace(t, e, declaration, `CipherReference URI="`, `CipherReference URI="x/`)
			return e
		}, []string{"error package-missing *", "warning entry-undeclared *", opened}},
		"not percent-encoded": {epubSample, func(t *testing.T, e []entry) []entry {
			replace(t, e, declaration, `CipherReference URI="`, `CipherReference URI="./é/../`)
			return e
		}, []string{"error encryption-reference *", opened}},
		"listed twice": {epubSample, func(t *testing.T, e []entry) []entry {
			doc := find(t, e, declaration)
			from := bytes.Index(doc.data, []byte("<enc:EncryptedData"))
			to := bytes.Index(doc.data, []byte("</enc:EncryptedData>")) + len("</enc:EncryptedData>")
			doc.data = slices.Insert(slices.Clone(doc.data), to, doc.data[from:to]...)
			return e
		}, []string{"warning encryption-twice *", opened}},
		"declared and clear": {epubSample, func(t *testing.T, e []entry) []entry {
			find(t, e, "jabberwocky.xhtml").data = []byte("<html xmlns='http://www.w3.org/1999/xhtml'/>    ")
			return e
		}, []string{"error entry-clear *", opened}},
		"navigation encrypted": {epubSample, func(t *testing.T, e []entry) []entry {
			nav := find(t, e, "nav.xhtml")
			nav.data = lcpcrypto.Encrypt(contentKey, nav.data)
			replace(t, e, declaration, "</encryption>", encryptedData(nav.name)+"</encryption>")
			return e
		}, []string{"error entry-forbidden *", "warning entry-original-length *", opened}},
		"clear page in Latin 1": {epubSample, func(t *testing.T, e []entry) []entry {
			find(t, e, "nav.xhtml").data = []byte("<html xmlns='http://www.w3.org/1999/xhtml'>\xe9</p>") // three blocks
			return e
		}, []string{opened}},
		"cut": {epubSample, func(t *testing.T, e []entry) []entry {
			page := find(t, e, "jabberwocky.xhtml")
			page.data = page.data[:len(page.data)-1]
			return e
		}, []string{"error entry-size *", opened}},
		"damaged": {epubSample, func(t *testing.T, e []entry) []entry {
			find(t, e, "jabberwocky.xhtml").data[40] ^= 1
			return e
		}, []string{"error entry-decrypt *", opened}},
		"compressed": {epubSample, func(t *testing.T, e []entry) []entry {
			find(t, e, "jabberwocky.xhtml").deflated = true
			return e
		}, []string{"warning entry-stored *", opened}},
		"image compressed": {epubSample, func(t *testing.T, e []entry) []entry {
			replace(t, e, declaration, `Method="0"`, `Method="8"`)
			return e
		}, []string{"warning entry-codec *", "error entry-decrypt *", opened}},
		"license beside": {epubSample, func(_ *testing.T, e []entry) []entry {
			return append(e, entry{name: "license.lcpl", data: []byte("{}")})
		}, []string{"error package-license-place license.lcpl", opened}},
		"license, and nothing encrypted": {epubSample, func(t *testing.T, e []entry) []entry {
			return append(undeclared(t, e), entry{name: "META-INF/license.lcpl", data: []byte("{}")})
		}, append(slices.Repeat([]string{"warning entry-undeclared *"}, 6), "error package-encrypted META-INF/encryption.xml", opened)},
		"nothing declared": {epubSample, undeclared, []string{"error package-protected"}},
		"another scheme": {epubSample, func(t *testing.T, e []entry) []entry {
			doc := find(t, e, declaration)
			doc.data = bytes.ReplaceAll(doc.data, []byte("license.lcpl#/encryption/content_key"), []byte("rights.xml#key"))
			doc.data = bytes.ReplaceAll(doc.data, []byte("http://readium.org/2014/01/lcp#EncryptedContentKey"), []byte("x"))
			return e
		}, []string{"error package-protected *"}},
		"PDF without pages": {"sample.pdf", func(t *testing.T, e []entry) []entry {
			replace(t, e, "manifest.json", `"numberOfPages"`, `"pages"`)
			return e
		}, []string{"error pdf-pages manifest.json", opened}},
		"PDF compressed": {"sample.pdf", func(t *testing.T, e []entry) []entry {
			find(t, e, ".pdf").deflated = true
			return e
		}, []string{"error entry-stored *", opened}},
		"PDF of another length": {"sample.pdf", func(t *testing.T, e []entry) []entry {
			replace(t, e, "manifest.json", `"originalLength": `, `"originalLength": 1`)
			return e
		}, []string{"error entry-length *", "error entry-decrypt *", opened}},
		"tracks without type": {"sample.audiobook", func(t *testing.T, e []entry) []entry {
			replace(t, e, "manifest.json", `"type": "audio`, `"kind": "audio`)
			return e
		}, []string{"error manifest-type *", opened}},
		"tracks of another algorithm": {"sample.audiobook", func(t *testing.T, e []entry) []entry {
			replace(t, e, "manifest.json", "aes256-cbc", "aes256-gcm")
			return e
		}, []string{"error entry-algorithm *", opened}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entries := protectedSample(t, tt.sample)
			if tt.edit != nil {
				entries = tt.edit(t, entries)
			}
			pkg, err := protect.OpenPackage(writeFile(t, "package", pack(t, entries)))
			if err != nil {
				t.Fatal(err)
			}
			defer pkg.Close()
			compareBlurred(t, findingsOf(t, pkg, &contentKey), tt.want)
		})
	}
}

func findingsOf(t *testing.T, pkg *protect.Package, key *lcpcrypto.ContentKey) []conformance.Finding {
	t.Helper()
	var found []conformance.Finding
	conformance.Package(t.Context(), pkg, key, func(f ...conformance.Finding) { found = append(found, f...) })
	return found
}

// A byte that was changed on the way is found in any entry.
func TestDamagedEntry(t *testing.T) {
	t.Parallel()
	entries := protectedSample(t, epubSample)
	data := pack(t, entries)
	data[bytes.Index(data, find(t, entries, "cover.jpg").data)+100] ^= 1
	pkg, err := protect.OpenPackage(writeFile(t, "a.epub", data))
	if err != nil {
		t.Fatal(err)
	}
	defer pkg.Close()
	compare(t, findingsOf(t, pkg, nil), []string{"error entry-damaged EPUB/images/cover.jpg", opened})
}

// compareBlurred is compare, where * stands for any place.
func compareBlurred(t *testing.T, found []conformance.Finding, want []string) {
	t.Helper()
	blurred := slices.Clone(found)
	for i, f := range blurred {
		if slices.Contains(want, string(f.Severity)+" "+f.Rule+" *") {
			if f.Place == "" {
				t.Errorf("%+v has no place", f)
			}
			blurred[i].Place = "*"
		}
	}
	compare(t, blurred, want)
}

// undeclared takes away what tells that entries are encrypted.
func undeclared(_ *testing.T, entries []entry) []entry {
	return slices.DeleteFunc(entries, func(e entry) bool { return e.name == "META-INF/encryption.xml" })
}

func encryptedData(name string) string {
	return `<enc:EncryptedData><enc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes256-cbc"/>` +
		`<ds:KeyInfo><ds:RetrievalMethod URI="license.lcpl#/encryption/content_key" Type="http://readium.org/2014/01/lcp#EncryptedContentKey"/></ds:KeyInfo>` +
		`<enc:CipherData><enc:CipherReference URI="` + name + `"/></enc:CipherData></enc:EncryptedData>`
}
