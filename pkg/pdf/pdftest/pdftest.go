// Package pdftest makes small PDF files for tests and samples.
package pdftest

import (
	"bytes"
	"fmt"
	"image/color"
	"image/jpeg"
	"strings"
	"unicode/utf16"
)

// Document returns a sound PDF 1.4 of the given number of pages, at least one,
// each of which says its number. A title that is not empty goes into the Info
// dictionary. A JPEG cover, when there is one, fills the first page, which
// takes its shape; Document panics when it is not a JPEG. The same arguments give the same bytes.
func Document(pages int, title string, jpegCover []byte) []byte {
	pages = max(pages, 1)
	var f File
	f.Object(1, "<< /Type /Catalog /Pages 2 0 R >>")
	var kids strings.Builder
	for i := range pages {
		fmt.Fprintf(&kids, " %d 0 R", 10+2*i)
	}
	f.Object(2, fmt.Sprintf("<< /Type /Pages /Count %d /Kids [%s ] /MediaBox [0 0 420 595] >>", pages, kids.String()))
	f.Object(3, "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
	trailer := "/Root 1 0 R"
	if title != "" {
		f.Object(4, "<< /Title "+UTF16(title)+" >>")
		trailer += " /Info 4 0 R"
	}
	for i := range pages {
		page, content := 10+2*i, 11+2*i
		resources := "/Font << /F 3 0 R >>"
		draw := fmt.Sprintf("BT /F 24 Tf 60 500 Td (Page %d) Tj ET", i+1)
		box := ""
		if i == 0 && jpegCover != nil {
			dict, ratio := image(jpegCover)
			f.Stream(5, dict, jpegCover)
			resources += " /XObject << /Cover 5 0 R >>"
			box = fmt.Sprintf("/MediaBox [0 0 420 %.2f] ", 420*ratio)
			draw = fmt.Sprintf("q 420 0 0 %.2f 0 0 cm /Cover Do Q", 420*ratio)
		}
		f.Object(page, fmt.Sprintf("<< /Type /Page /Parent 2 0 R %s/Contents %d 0 R /Resources << %s >> >>", box, content, resources))
		f.Stream(content, "", []byte(draw))
	}
	return f.Finish(trailer)
}

// image returns the entries of the image's dictionary (ISO 32000-1 §8.9.5), and
// its height as a multiple of its width.
func image(data []byte) (dict string, ratio float64) {
	c, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		panic("pdftest: the cover is not a JPEG: " + err.Error())
	}
	space := "DeviceRGB"
	switch c.ColorModel {
	case color.GrayModel:
		space = "DeviceGray"
	case color.CMYKModel:
		space = "DeviceCMYK"
	}
	dict = fmt.Sprintf("/Type /XObject /Subtype /Image /Filter /DCTDecode /ColorSpace /%s /BitsPerComponent 8 /Width %d /Height %d",
		space, c.Width, c.Height)
	return dict, float64(c.Height) / float64(c.Width)
}

// UTF16 returns s as a hexadecimal string object in UTF-16BE with a byte order
// mark, the form that any text may take (ISO 32000-1 §7.9.2.2).
func UTF16(s string) string {
	var b strings.Builder
	b.WriteString("<FEFF")
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04X", u)
	}
	return b.String() + ">"
}

// A File is a PDF in the making: objects in the order they are added, then a
// classic cross-reference table. The zero value is ready to use.
type File struct {
	buf     bytes.Buffer
	offsets map[int]int
}

// Object adds the object of that number with generation 0.
func (f *File) Object(number int, body string) {
	f.begin(number)
	f.buf.WriteString(body + "\nendobj\n")
}

// Stream adds a stream object. dict holds the entries of its dictionary but for
// Length.
func (f *File) Stream(number int, dict string, data []byte) {
	f.begin(number)
	fmt.Fprintf(&f.buf, "<< %s /Length %d >>\nstream\n", dict, len(data))
	f.buf.Write(data)
	f.buf.WriteString("\nendstream\nendobj\n")
}

func (f *File) begin(number int) {
	if f.offsets == nil {
		f.offsets = make(map[int]int)
		f.buf.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	}
	f.offsets[number] = f.buf.Len()
	fmt.Fprintf(&f.buf, "%d 0 obj\n", number)
}

// Finish adds the cross-reference table and the trailer with the given entries
// besides Size, and returns the whole file. Numbers that were not used become
// free entries.
func (f *File) Finish(trailer string) []byte {
	size := 1
	for n := range f.offsets {
		size = max(size, n+1)
	}
	start := f.buf.Len()
	fmt.Fprintf(&f.buf, "xref\n0 %d\n0000000000 65535 f \n", size)
	for n := 1; n < size; n++ {
		if off, ok := f.offsets[n]; ok {
			fmt.Fprintf(&f.buf, "%010d 00000 n \n", off)
		} else {
			f.buf.WriteString("0000000000 00000 f \n")
		}
	}
	fmt.Fprintf(&f.buf, "trailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n", size, trailer, start)
	return f.buf.Bytes()
}
