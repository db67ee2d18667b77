package epub_test

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/publication"
)

// A file is an entry of a hand-made EPUB.
type file struct{ name, data string }

const (
	containerXML = `<?xml version="1.0"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
  <rootfiles><rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>`

	chapter = "<html xmlns='http://www.w3.org/1999/xhtml'><p>Call me Ishmael.</p></html>"
)

// opf makes an EPUB 3 package document with the given manifest.
func opf(manifest string) string {
	return `<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">` +
		`<dc:title>A title</dc:title></metadata><manifest>` + manifest + `</manifest><spine/></package>`
}

// item makes an item of a manifest.
func item(href string) string {
	return `<item id="x" href="` + href + `" media-type="application/xhtml+xml"/>`
}

// book packs an EPUB: mimetype and container.xml unless the files hold them,
// then the files. A file without data keeps a default one away.
func book(t testing.TB, files ...file) *archive.Reader {
	t.Helper()
	var all []file
	for _, f := range []file{{"mimetype", "application/epub+zip"}, {"META-INF/container.xml", containerXML}} {
		given := false
		for _, g := range files {
			given = given || g.name == f.name
		}
		if !given {
			all = append(all, f)
		}
	}
	return pack(t, append(all, files...)...)
}

func pack(t testing.TB, files ...file) *archive.Reader {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		if f.data == "" && !strings.HasSuffix(f.name, "/") {
			continue
		}
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		if f.name == "mimetype" || strings.HasSuffix(f.name, "/") || len(f.data) > 1<<14 { // compressing takes long
			h.Method = zip.Store
		}
		e, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(e, f.data); err != nil {
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

// names of the parts, and of those to be encrypted.
func partNames(p *publication.Plan) (all, encrypted []string) {
	for _, part := range p.Parts {
		all = append(all, part.Name)
		if part.Encrypt() {
			encrypted = append(encrypted, part.Name)
		}
	}
	return all, encrypted
}

// declared is what the pipeline tells Declare of a part.
func declared(p *publication.Part) publication.Encrypted {
	return publication.Encrypted{
		Name: p.Name, Deflated: p.Compress(), OriginalLength: p.Size(),
		Scheme: publication.Scheme, Algorithm: publication.Algorithm,
	}
}

func read(t testing.TB, p *publication.Part) []byte {
	t.Helper()
	r, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
