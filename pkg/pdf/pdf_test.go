package pdf_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/pdf"
	"github.com/lcp-tools/lcp/pkg/pdf/pdftest"
)

func open(t *testing.T, data []byte) (*pdf.Document, error) {
	t.Helper()
	return pdf.Open(t.Context(), bytes.NewReader(data), int64(len(data)))
}

func mustOpen(t *testing.T, data []byte) *pdf.Document {
	t.Helper()
	d, err := open(t, data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// An object is a number and what stands between obj and endobj.
type object struct {
	number int
	body   string
}

// twoPages is a catalog with two pages, for the tests of how objects are found.
var twoPages = []object{
	{1, "<< /Type /Catalog /Pages 2 0 R >>"},
	{2, "<< /Type /Pages /Count 2 /Kids [3 0 R 4 0 R] /MediaBox [0 0 100 100] >>"},
	{3, "<< /Type /Page /Parent 2 0 R >>"},
	{4, "<< /Type /Page /Parent 2 0 R >>"},
	{5, "<< /Title (Two \\(2\\) pages) >>"},
}

// classic returns a file with a cross-reference table.
func classic(trailer string, objects ...object) []byte {
	var f pdftest.File
	for _, o := range objects {
		f.Object(o.number, o.body)
	}
	return f.Finish(trailer)
}

func deflate(data []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

const (
	containerNumber = 90
	xrefNumber      = 91
)

// packed returns a file whose objects are all in an object stream, and whose
// cross-reference is a stream with or without prediction.
func packed(trailer string, predict bool, objects ...object) []byte {
	var head, body strings.Builder
	for _, o := range objects {
		fmt.Fprintf(&head, "%d %d ", o.number, body.Len())
		body.WriteString(o.body + "\n")
	}
	var b bytes.Buffer
	b.WriteString("%PDF-1.5\n")
	container := b.Len()
	content := deflate([]byte(head.String() + body.String()))
	fmt.Fprintf(&b, "%d 0 obj\n<< /Type /ObjStm /N %d /First %d /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream\nendobj\n",
		containerNumber, len(objects), head.Len(), len(content), content)
	start := b.Len()
	rows := make([][7]byte, xrefNumber+1)
	row := func(number int, kind byte, off uint32, index uint16) {
		rows[number][0] = kind
		binary.BigEndian.PutUint32(rows[number][1:], off)
		binary.BigEndian.PutUint16(rows[number][5:], index)
	}
	for i, o := range objects {
		row(o.number, 2, containerNumber, uint16(i))
	}
	row(containerNumber, 1, uint32(container), 0)
	row(xrefNumber, 1, uint32(start), 0)
	var table []byte
	parms := ""
	var above [7]byte
	for _, r := range rows {
		if predict { // PNG's Up
			parms = "/DecodeParms << /Predictor 12 /Columns 7 >>"
			table = append(table, 2)
			for i := range r {
				table = append(table, r[i]-above[i])
			}
			above = r
		} else {
			table = append(table, r[:]...)
		}
	}
	table = deflate(table)
	fmt.Fprintf(&b, "%d 0 obj\n<< /Type /XRef /W [1 4 2] /Size %d %s %s /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n",
		xrefNumber, len(rows), parms, trailer, len(table), table, start)
	return b.Bytes()
}

// update appends a revision that replaces one object and names the one before.
func update(file []byte, o object) []byte {
	i := bytes.LastIndex(file, []byte("startxref\n"))
	var prev int
	fmt.Sscanf(string(file[i+len("startxref\n"):]), "%d", &prev)
	b := bytes.NewBuffer(slices.Clone(file))
	off := b.Len()
	fmt.Fprintf(b, "%d 0 obj\n%s\nendobj\n", o.number, o.body)
	start := b.Len()
	fmt.Fprintf(b, "xref\n%d 1\n%010d 00000 n \ntrailer\n<< /Size 99 /Prev %d /Root 1 0 R /Info 5 0 R >>\nstartxref\n%d\n%%%%EOF\n", o.number, off, prev, start)
	return b.Bytes()
}

// hybrid returns a file whose second page and Info old readers do not see: they
// are free in a first table, and stand in the stream that XRefStm of a second one
// names (ISO 32000-1 §7.5.8.4).
func hybrid() []byte {
	file := packed("", false, twoPages[3], twoPages[4])
	end := bytes.LastIndex(file, []byte("startxref"))
	xrefStm := bytes.Index(file, []byte("91 0 obj"))
	b := bytes.NewBuffer(slices.Clone(file[:end]))
	var seen strings.Builder
	for _, o := range twoPages[:3] {
		fmt.Fprintf(&seen, "%010d 00000 n \n", b.Len())
		fmt.Fprintf(b, "%d 0 obj\n%s\nendobj\n", o.number, o.body)
	}
	first := b.Len()
	fmt.Fprintf(b, "xref\n0 6\n0000000000 65535 f \n%s0000000000 00000 f \n0000000000 00000 f \n", &seen)
	b.WriteString("trailer\n<< /Size 92 /Root 1 0 R >>\n")
	second := b.Len()
	fmt.Fprintf(b, "xref\n1 3\n%strailer\n<< /Size 92 /Root 1 0 R /Info 5 0 R /Prev %d /XRefStm %d >>\nstartxref\n%d\n%%%%EOF\n",
		&seen, first, xrefStm, second)
	return b.Bytes()
}

func replace(data []byte, old, with string) []byte {
	if !bytes.Contains(data, []byte(old)) {
		panic("there is no " + old)
	}
	return bytes.Replace(data, []byte(old), []byte(with), 1)
}

func TestOpenSound(t *testing.T) {
	t.Parallel()
	const trailer = "/Root 1 0 R /Info 5 0 R"
	plain := classic(trailer, twoPages...)
	tests := map[string]struct {
		file    []byte
		title   string
		warning string // a part of the only one
	}{
		"table":                        {file: plain},
		"stream":                       {file: packed(trailer, false, twoPages...)},
		"stream with predictor":        {file: packed(trailer, true, twoPages...)},
		"hybrid":                       {file: hybrid()},
		"update of a table":            {file: update(plain, object{5, "<< /Title (New) >>"}), title: "New"},
		"second update":                {file: update(update(plain, object{5, "<< /Title (Old) >>"}), object{5, "<< /Title (New) >>"}), title: "New"},
		"entries of 19 bytes":          {file: shortEntries(plain)},
		"free list head counted as 1":  {file: replace(plain, "xref\n0 6", "xref\n1 6")},
		"no final line end":            {file: bytes.TrimSpace(plain)},
		"a few bytes behind the end":   {file: append(slices.Clone(plain), "\r\n\x00\x00"...)},
		"Info at a wrong offset":       {file: replace(plain, fmt.Sprintf("%010d 00000 n", bytes.Index(plain, []byte("5 0 obj"))), "0000000020 00000 n"), warning: "rebuilt"},
		"much behind the end":          {file: append(slices.Clone(plain), bytes.Repeat([]byte("x"), 2000)...), warning: "2000 bytes follow"},
		"mail header before":           {file: append([]byte("From: x\n\n"), plain...), warning: "9 bytes stand before the header"},
		"wrong startxref":              {file: replace(plain, "startxref\n", "startxref\n1"), warning: "rebuilt"},
		"wrong offset of a page":       {file: replace(plain, fmt.Sprintf("%010d 00000 n", bytes.Index(plain, []byte("3 0 obj"))), "0000000020 00000 n"), warning: "rebuilt"},
		"no cross-reference at all":    {file: replace(plain, "xref\n0 6", "lost\n0 6"), warning: "rebuilt"},
		"wrong startxref and streams":  {file: replace(packed(trailer, true, twoPages...), "startxref\n", "startxref\n1"), warning: "rebuilt"},
		"circle of revisions":          {file: replace(plain, "/Size", fmt.Sprintf("/Prev %d /Size", bytes.Index(plain, []byte("xref\n0")))), warning: "circle"},
		"count differs from the pages": {file: replace(plain, "/Count 2", "/Count 3"), warning: "says 3 pages and has 2"},
		"count beyond belief":          {file: classic(trailer, twoPages[0], object{2, "<< /Count 2000000000 /Kids [3 0 R 4 0 R] >>"}, twoPages[2], twoPages[3], twoPages[4]), warning: "and has 2"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := mustOpen(t, tt.file)
			if got := d.Pages(); got != 2 {
				t.Errorf("pages = %d, want 2", got)
			}
			want := tt.title
			if want == "" {
				want = "Two (2) pages"
			}
			if got := d.Info().Title; got != want {
				t.Errorf("title = %q, want %q", got, want)
			}
			switch got := d.Warnings(); {
			case tt.warning == "" && len(got) > 0, tt.warning != "" && len(got) != 1:
				t.Errorf("warnings = %q", got)
			case tt.warning != "" && !strings.Contains(got[0], tt.warning):
				t.Errorf("warning = %q, want %q in it", got[0], tt.warning)
			}
		})
	}
}

// shortEntries writes the table as programs do that forget the space before the
// line feed.
func shortEntries(file []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(file, []byte(" n \n"), []byte(" n\n")), []byte(" f \n"), []byte(" f\n"))
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	const trailer = "/Root 1 0 R"
	plain := classic(trailer, twoPages...)
	withoutTrailer, _, _ := bytes.Cut(plain, []byte("trailer"))
	kidsInACircle := []object{
		{1, "<< /Type /Catalog /Pages 2 0 R >>"},
		{2, "<< /Type /Pages /Count 2 /Kids [3 0 R] >>"},
		{3, "<< /Type /Pages /Count 2 /Kids [2 0 R 2 0 R] >>"},
	}
	tests := map[string]struct {
		file   []byte
		err    error
		reason string
	}{
		"empty":                        {file: nil, err: pdf.ErrNotPDF, reason: "empty"},
		"another format":               {file: []byte("PK\x03\x04mimetypeapplication/epub+zip"), err: pdf.ErrNotPDF},
		"header beyond the first KiB":  {file: append(bytes.Repeat([]byte(" "), 1100), plain...), err: pdf.ErrNotPDF},
		"header alone":                 {file: []byte("%PDF-1.4\n"), err: pdf.ErrDamaged, reason: "cut short"},
		"first half":                   {file: plain[:len(plain)/2], err: pdf.ErrDamaged, reason: "cut short"},
		"all but the trailer":          {file: withoutTrailer, err: pdf.ErrDamaged, reason: "there is no trailer"},
		"catalog missing":              {file: classic("/Root 9 0 R", twoPages...), err: pdf.ErrDamaged, reason: "catalog is missing"},
		"page tree missing":            {file: classic(trailer, twoPages[0]), err: pdf.ErrDamaged, reason: "page tree is missing"},
		"page missing":                 {file: classic(trailer, twoPages[0], twoPages[1], twoPages[2]), err: pdf.ErrDamaged, reason: "page 2 is missing"},
		"page is something else":       {file: classic(trailer, twoPages[0], twoPages[1], twoPages[2], object{4, "<< /Type /Font >>"}), err: pdf.ErrDamaged, reason: "page 2 is something else"},
		"no pages":                     {file: classic(trailer, twoPages[0], object{2, "<< /Type /Pages /Count 0 /Kids [] >>"}), err: pdf.ErrDamaged, reason: "no pages"},
		"page tree in a circle":        {file: classic(trailer, kidsInACircle...), err: pdf.ErrDamaged, reason: "circle"},
		"references in a circle":       {file: classic(trailer, object{1, "1 0 R"}), err: pdf.ErrDamaged, reason: "circle"},
		"deep nesting":                 {file: classic(trailer, object{1, strings.Repeat("[", 1<<20)}), err: pdf.ErrDamaged, reason: "nested"},
		"rebuilt with a page too few":  {file: replace(replace(plain, "/Kids [3 0 R 4 0 R]", "/Kids [3 0 R]"), "startxref\n", "startxref\n9"), err: pdf.ErrDamaged, reason: "1 of its 2 pages"},
		"rebuilt without page content": {file: replace(replace(plain, "/Page /Parent", "/Page /Contents 8 0 R /Parent"), "startxref\n", "startxref\n9"), err: pdf.ErrDamaged, reason: "page 1: its content is missing"},
		"object stream corrupt":        {file: replace(replace(packed(trailer, true, twoPages...), "/Filter /FlateDecode", "/Filter /Nonsense   "), "startxref\n", "startxref\n1"), err: pdf.ErrDamaged, reason: "object stream 90"},
		"public-key encryption":        {file: classic(trailer+" /Encrypt << /Filter /Adobe.PubSec >>", twoPages...), err: pdf.ErrEncrypted, reason: "Adobe.PubSec"},
		"encrypted, xref damaged":      {file: replace(classic(trailer+" /Encrypt << /Filter /Standard >>", twoPages...), "startxref\n", "startxref\n9"), err: pdf.ErrEncrypted},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, tt.file)
			if !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("error = %v, want %v because %q", err, tt.err, tt.reason)
			}
		})
	}
}

// The vectors were made with qpdf 11.3 from one file, with the owner password
// "owner" and the user password "" or "secret".
func TestOpenEncrypted(t *testing.T) {
	t.Parallel()
	const (
		oEmpty  = "/O <566fa873ee33c797cd3b904fdadf814afa34df9a38f6ed41b984e2c6da2aa6f5> "
		oSecret = "/O <0db5855fc5326569e765906caf64e4429a4c20d6e996fdef963e9b5080f9e083> "
	)
	tests := map[string]struct {
		dict  string
		opens bool // without a password
	}{
		"R2": {
			"/Length 40 /V 1 /R 2 /O <c92422687facee686e373f10b5c7d04738053152f7e2ee30e11c69ec442576ab> " +
				"/U <3a61e177d493f321a78fd7f86ab6cd35e4bd397f53c5ed22409d8de514ec7785>", true,
		},
		"R2 with user password": {
			"/Length 40 /V 1 /R 2 /O <92fe0f4454ad4c9644693f33c07cb54f587dce1e2682fe9ecea6107a1ef630dd> " +
				"/U <33dd4f5d59de3111f67aa1eebfa0cf6ec2a4a49ba3015ed474647f7bf172063f>", false,
		},
		"R3":                    {"/Length 128 /V 2 /R 3 " + oEmpty + "/U <d7bea4592ae0a76209636612aa7049ee0122456a91bae5134273a6db134c87c4>", true},
		"R3 with user password": {"/Length 128 /V 2 /R 3 " + oSecret + "/U <245fae99eebb2dfded3808928a2a87da0122456a91bae5134273a6db134c87c4>", false},
		"R4":                    {"/V 4 /R 4 " + oEmpty + "/U <d7bea4592ae0a76209636612aa7049ee0122456a91bae5134273a6db134c87c4>", true},
		"R4 with clear metadata": {
			"/V 4 /R 4 /EncryptMetadata false " + oEmpty + "/U <65636a7bd4643146a82f38ad800a17ac0122456a91bae5134273a6db134c87c4>", true,
		},
		"R4 with user password": {"/V 4 /R 4 " + oSecret + "/U <245fae99eebb2dfded3808928a2a87da0122456a91bae5134273a6db134c87c4>", false},
		"R5":                    {"/V 5 /R 5 /U <af1e97caa8419eb8234f304e75c4b317f9bbb0b57037c10b6da51fd46f0230ec3e4a9224135235e21d324bf8e7931a28>", true},
		"R5 with user password": {"/V 5 /R 5 /U <72dc003d055f4e7f5d41e176549929318b7c4489ad8183c50b1b6b40e3389b14b56e536ca8da9965fdf7dca6bb46ea17>", false},
		"R6":                    {"/V 5 /R 6 /U <eb9baf38229fc9b00754af4a3d4eb06c1e927eeca2baab131926aa47f1e94d331f9eef70656059c0e88ee988491775e5>", true},
		"R6 with user password": {"/V 5 /R 6 /U <ffdd86845e4ae9c5064229a5612cdedad1af1ee567cf62753b2b90597b7b4c52dae2b03ff05c7723874a4d3e09ef3d3d>", false},
		"unknown revision":      {"/V 9 /R 9", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := classic("/Root 1 0 R /ID [<7196c3e355c17c9f53ba9a0dca70cdd0> <00>] /Encrypt 8 0 R",
				append(slices.Clone(twoPages), object{8, "<< /Filter /Standard /P -4 " + tt.dict + " >>"})...)
			_, err := open(t, file)
			if !errors.Is(err, pdf.ErrEncrypted) {
				t.Fatalf("error = %v, want ErrEncrypted", err)
			}
			if got := strings.Contains(err.Error(), "opens without a password"); got != tt.opens {
				t.Errorf("error = %v; opens without a password: want %t", err, tt.opens)
			}
		})
	}
}

func TestOpenCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	data := pdftest.Document(1, "", nil)
	if _, err := pdf.Open(ctx, bytes.NewReader(data), int64(len(data))); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
}

// A failing disk is not a damaged file.
func TestOpenReadError(t *testing.T) {
	t.Parallel()
	data := pdftest.Document(3, "", nil)
	boom := errors.New("boom")
	_, err := pdf.Open(t.Context(), failingReader{data, 300, boom}, int64(len(data)))
	if !errors.Is(err, boom) || errors.Is(err, pdf.ErrDamaged) {
		t.Errorf("error = %v, want %v", err, boom)
	}
}

// failingReader fails where the byte at a certain offset is asked for.
type failingReader struct {
	data []byte
	at   int64
	err  error
}

func (r failingReader) ReadAt(p []byte, off int64) (int, error) {
	if off <= r.at && r.at < off+int64(len(p)) {
		return 0, r.err
	}
	return bytes.NewReader(r.data).ReadAt(p, off)
}

// Opening reads what it needs and no more, however large the file is.
func TestOpenReadsLittle(t *testing.T) {
	t.Parallel()
	const hole = 1 << 30 // the data of an image, all zeros
	head := "%PDF-1.4\n"
	image := "6 0 obj\n<< /Length 1073741824 >>\nstream\n"
	f := holed{head: []byte(head + image), hole: hole}
	tail := bytes.NewBufferString("\nendstream\nendobj\n")
	var table strings.Builder
	fmt.Fprintf(&table, "xref\n0 7\n0000000000 65535 f \n")
	base := int64(len(f.head)) + hole
	for _, o := range twoPages {
		fmt.Fprintf(&table, "%010d 00000 n \n", base+int64(tail.Len()))
		fmt.Fprintf(tail, "%d 0 obj\n%s\nendobj\n", o.number, o.body)
	}
	fmt.Fprintf(&table, "%010d 00000 n \ntrailer\n<< /Size 7 /Root 1 0 R /Info 5 0 R >>\n", len(head))
	start := base + int64(tail.Len())
	fmt.Fprintf(tail, "%sstartxref\n%d\n%%%%EOF\n", table.String(), start)
	f.tail = tail.Bytes()
	d, err := pdf.Open(t.Context(), &f, base+int64(len(f.tail)))
	if err != nil {
		t.Fatal(err)
	}
	if d.Pages() != 2 || d.Info().Title == "" {
		t.Errorf("pages = %d, title = %q", d.Pages(), d.Info().Title)
	}
	if f.read > 200<<10 {
		t.Errorf("read %d bytes, want less than 200 KiB", f.read)
	}
}

// holed is a file with a long run of zeros in its middle.
type holed struct {
	head, tail []byte
	hole       int64
	read       int64
}

func (h *holed) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		switch at := off + int64(i); {
		case at < int64(len(h.head)):
			p[i] = h.head[at]
		case at < int64(len(h.head))+h.hole:
			p[i] = 0
		case at < int64(len(h.head)+len(h.tail))+h.hole:
			p[i] = h.tail[at-h.hole-int64(len(h.head))]
		default:
			h.read += int64(i)
			return i, io.EOF
		}
	}
	h.read += int64(len(p))
	return len(p), nil
}

// A small file must not turn into much memory or time.
func TestOpenBombs(t *testing.T) {
	t.Parallel()
	zeros := deflate(deflate(deflate(make([]byte, 20<<20))))
	bomb := func(dict string) []byte {
		var f pdftest.File
		f.Object(1, "<< /Type /Catalog /Pages 2 0 R /Metadata 6 0 R >>")
		for _, o := range twoPages[1:] {
			f.Object(o.number, o.body)
		}
		f.Stream(6, dict, zeros)
		return f.Finish("/Root 1 0 R")
	}
	tests := map[string][]byte{
		"nested filters":   bomb("/Filter [/FlateDecode /FlateDecode /FlateDecode]"),
		"too many filters": bomb("/Filter [" + strings.Repeat("/FlateDecode ", 100) + "]"),
	}
	for name, file := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := mustOpen(t, file)
			if w := d.Warnings(); len(w) != 1 || !strings.Contains(w[0], "XMP") {
				t.Errorf("warnings = %q, want one about XMP", w)
			}
		})
	}
}

// A flat tree of many pages is not walked to its end when its count can be true.
func TestPagesOfLargeTree(t *testing.T) {
	t.Parallel()
	if got := mustOpen(t, pdftest.Document(5000, "", nil)).Pages(); got != 5000 {
		t.Errorf("pages = %d, want 5000", got)
	}
	file := replace(pdftest.Document(5000, "", nil), "/Count 5000", "/Count 0003")
	d := mustOpen(t, file)
	if got := d.Pages(); got != 5000 || len(d.Warnings()) != 1 {
		t.Errorf("pages = %d, warnings = %q; want 5000 and a warning", got, d.Warnings())
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	const xmp = `<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
 <rdf:Description rdf:about="" xmlns:pdf="http://ns.adobe.com/pdf/1.3/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
   pdf:Producer="Maker" xmp:CreateDate="2004-02-10T13:42:36-08:00"><xmp:ModifyDate>2004-04</xmp:ModifyDate></rdf:Description>
 <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:prism="http://prismstandard.org/namespaces/basic/2.0/">
  <dc:title><rdf:Alt><rdf:li xml:lang="fr">Deux</rdf:li><rdf:li xml:lang="x-default">Two &amp;
   pages</rdf:li></rdf:Alt></dc:title>
  <dc:creator><rdf:Seq><rdf:li>Ada</rdf:li><rdf:li> </rdf:li><rdf:li>Grace 😀</rdf:li></rdf:Seq></dc:creator>
  <dc:subject><rdf:Bag><rdf:li>one</rdf:li><rdf:li>two</rdf:li></rdf:Bag></dc:subject>
  <dc:publisher><rdf:Bag><rdf:li>House</rdf:li></rdf:Bag></dc:publisher>
  <dc:language><rdf:Bag><rdf:li>fr</rdf:li></rdf:Bag></dc:language>
  <dc:description><rdf:Alt/></dc:description>
  <dc:identifier><rdf:Description><rdf:value>urn:x:1</rdf:value></rdf:Description></dc:identifier>
  <prism:isbn>978-3-16-148410-0</prism:isbn>
 </rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>`
	fromXMP := pdf.Info{
		Title: "Two & pages", Authors: []string{"Ada", "Grace 😀"}, Keywords: []string{"one", "two"},
		Publishers: []string{"House"}, Languages: []string{"fr"}, Identifiers: []string{"urn:x:1", "978-3-16-148410-0"}, Producer: "Maker",
		Created: time.Date(2004, 2, 10, 21, 42, 36, 0, time.UTC), Modified: time.Date(2004, 4, 1, 0, 0, 0, 0, time.UTC),
	}
	both := fromXMP
	both.Description, both.Creator = "About", "Writer"
	wide := []byte{0xFF, 0xFE}
	for _, r := range xmp {
		if r < 0x10000 {
			wide = binary.LittleEndian.AppendUint16(wide, uint16(r))
		} else {
			wide = binary.LittleEndian.AppendUint16(wide, uint16(0xD800+(r-0x10000)>>10))
			wide = binary.LittleEndian.AppendUint16(wide, uint16(0xDC00+(r-0x10000)&0x3FF))
		}
	}
	tests := map[string]struct {
		info, xmp string
		catalog   string
		want      pdf.Info
		warning   string
	}{
		"nothing":      {},
		"XMP only":     {xmp: xmp, want: fromXMP},
		"XMP UTF-16":   {xmp: string(wide), want: fromXMP},
		"XMP and Info": {xmp: xmp, info: "/Title (Other) /Subject (About) /Author (Nobody) /Creator (Writer)", want: both},
		"Info only": {
			info: "/Title (A \\\nlong\\r\\nti\\164le \\(x\\)) /Author (Ada; Grace) /Keywords (a, b;c) /Producer <4D616B65>  /CreationDate (D:20040210134236-08'00') /ModDate (D:2004)",
			want: pdf.Info{
				Title: "A long title (x)", Authors: []string{"Ada", "Grace"}, Keywords: []string{"a", "b", "c"}, Producer: "Make",
				Created: time.Date(2004, 2, 10, 21, 42, 36, 0, time.UTC), Modified: time.Date(2004, 1, 1, 0, 0, 0, 0, time.UTC),
			},
		},
		"UTF-16 big-endian":     {info: "/Title " + pdftest.UTF16("あいち 😀"), want: pdf.Info{Title: "あいち 😀"}},
		"UTF-16 little-endian":  {info: "/Title <FFFE4200E900>", want: pdf.Info{Title: "Bé"}},
		"UTF-16 language code":  {info: "/Title <FEFF001B0065006E001B0041>", want: pdf.Info{Title: "A"}},
		"UTF-16 half a pair":    {info: "/Title <FEFF0041D83D>", want: pdf.Info{Title: "A\uFFFD"}},
		"UTF-8":                 {info: "/Title <EFBBBFC3A9>", want: pdf.Info{Title: "é"}},
		"UTF-8 invalid":         {info: "/Title <EFBBBF41FF>", want: pdf.Info{Title: "A\uFFFD"}},
		"PDFDocEncoding":        {info: "/Title <41808488A0E9>", want: pdf.Info{Title: "A•—‹€é"}},
		"control characters":    {info: "/Title <4100070D0A0942>", want: pdf.Info{Title: "A B"}},
		"language of catalog":   {catalog: "/Lang (de-AT)", want: pdf.Info{Languages: []string{"de-AT"}}},
		"names are not text":    {info: "/Title /Name /Author 12"},
		"dates that are none":   {info: "/CreationDate (yesterday) /ModDate (D:20041332)"},
		"broken XMP falls back": {xmp: "<a><b", info: "/Title (Info)", want: pdf.Info{Title: "Info"}, warning: "XMP"},
		"deep XMP":              {xmp: strings.Repeat("<a>", 100_000), info: "/Title (Info)", want: pdf.Info{Title: "Info"}, warning: "XMP"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f pdftest.File
			for _, o := range twoPages[1:4] {
				f.Object(o.number, o.body)
			}
			if tt.xmp != "" {
				f.Stream(6, "/Type /Metadata /Subtype /XML /Filter /FlateDecode", deflate([]byte(tt.xmp)))
				tt.catalog += " /Metadata 6 0 R"
			}
			f.Object(1, "<< /Type /Catalog /Pages 2 0 R "+tt.catalog+" >>")
			f.Object(5, "<< "+tt.info+" >>")
			d := mustOpen(t, f.Finish("/Root 1 0 R /Info 5 0 R"))
			if diff := cmp.Diff(tt.want, d.Info()); diff != "" {
				t.Errorf("info (-want +got):\n%s", diff)
			}
			if got := strings.Join(d.Warnings(), "; "); got != "" != (tt.warning != "") || !strings.Contains(got, tt.warning) {
				t.Errorf("warnings = %q, want %q", got, tt.warning)
			}
		})
	}
}
