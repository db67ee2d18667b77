package pdf_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/lcp-tools/lcp/pkg/pdf"
	"github.com/lcp-tools/lcp/pkg/pdf/pdftest"
)

// Whatever the input, Open ends soon, refuses with one of its sentinels or
// gives a document with pages and presentable metadata, and Cover gives a JPEG
// or none.
func FuzzOpen(f *testing.F) {
	const trailer = "/Root 1 0 R /Info 5 0 R"
	f.Add([]byte("%PDF-1.4\n"))
	f.Add(pdftest.Document(2, "Title", picture(f, 100, 100)))
	f.Add(classic(trailer, twoPages...))
	f.Add(packed(trailer, true, twoPages...))
	f.Add(packed(trailer, false, twoPages...))
	f.Add(hybrid())
	f.Add(update(classic(trailer, twoPages...), object{5, "<< /Title <FEFF0041> >>"}))
	f.Add(replace(classic(trailer, twoPages...), "startxref\n", "startxref\n9"))
	f.Add(replace(packed(trailer, true, twoPages...), "startxref\n", "startxref\n9"))
	f.Add(classic("/Root 1 0 R /Encrypt << /Filter /Standard /R 6 /V 5 /U <"+strings.Repeat("00", 48)+"> >>", twoPages...))
	var xmp pdftest.File
	xmp.Object(1, "<< /Pages 2 0 R /Metadata 5 0 R /Lang (en) >>")
	for _, o := range twoPages[1:4] {
		xmp.Object(o.number, o.body)
	}
	xmp.Stream(5, "", []byte(`<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><rdf:Alt><rdf:li xml:lang="x-default">T</rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:RDF>`))
	f.Add(xmp.Finish("/Root 1 0 R"))
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		d, err := pdf.Open(t.Context(), bytes.NewReader(data), int64(len(data)))
		if err != nil {
			if !errors.Is(err, pdf.ErrNotPDF) && !errors.Is(err, pdf.ErrEncrypted) && !errors.Is(err, pdf.ErrDamaged) {
				t.Errorf("error without a sentinel: %v", err)
			}
			return
		}
		cover, _, err := d.Cover(t.Context())
		if err == nil && !bytes.HasPrefix(cover, []byte("\xFF\xD8")) || err != nil && !errors.Is(err, pdf.ErrNoCover) {
			t.Errorf("cover of %d bytes, %v", len(cover), err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
		if d.Pages() < 1 {
			t.Errorf("pages = %d", d.Pages())
		}
		i := d.Info()
		texts := []string{i.Title, i.Description, i.Creator, i.Producer}
		for _, list := range [][]string{i.Authors, i.Keywords, i.Publishers, i.Languages, i.Identifiers} {
			if texts = append(texts, list...); len(list) > 64 {
				t.Errorf("%d values", len(list))
			}
		}
		for _, s := range texts {
			if !utf8.ValidString(s) || len(s) > 4<<10 || s != strings.TrimSpace(s) || strings.ContainsAny(s, "\n\x00") {
				t.Errorf("text = %q", s)
			}
		}
	})
}
