package main

import (
	"fmt"
	"strings"

	"github.com/lcp-tools/lcp/pkg/pdf/pdftest"
)

const xmp = `<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Two Poems in a PDF — with “quotes”</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>Lewis Carroll</rdf:li><rdf:li>William Blake</rdf:li></rdf:Seq></dc:creator>
<dc:language><rdf:Bag><rdf:li>en</rdf:li></rdf:Bag></dc:language>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>`

// Numbers of the objects that pages refer to.
const (
	catalogObject = iota + 1
	pagesObject
	fontObject
	infoObject
	xmpObject
	coverObject
	firstPageObject // and its contents next, two objects a page
)

// buildPDF returns a PDF of a cover that fills its page and two poems, with the
// Info dictionary and XMP.
func buildPDF() ([]byte, error) {
	texts, err := poems()
	if err != nil {
		return nil, err
	}
	image, err := cover("")
	if err != nil {
		return nil, err
	}
	contents := []string{"q 420 0 0 595 0 0 cm /Cover Do Q", texts[0].pdf(), texts[1].pdf()}

	var f pdftest.File
	f.Object(catalogObject, fmt.Sprintf("<< /Type /Catalog /Pages %d 0 R /Metadata %d 0 R /Lang (en) >>", pagesObject, xmpObject))
	var kids strings.Builder
	for i := range contents {
		fmt.Fprintf(&kids, " %d 0 R", firstPageObject+2*i)
	}
	f.Object(pagesObject, fmt.Sprintf("<< /Type /Pages /Count %d /Kids [%s ] /MediaBox [0 0 420 595] >>", len(contents), kids.String()))
	f.Object(fontObject, "<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman /Encoding /WinAnsiEncoding >>")
	f.Object(infoObject, "<< /Title "+pdftest.UTF16("Two Poems in a PDF — with “quotes”")+" /Author (Lewis Carroll, William Blake) >>")
	f.Stream(xmpObject, "/Type /Metadata /Subtype /XML", []byte(xmp))
	f.Stream(coverObject, "/Type /XObject /Subtype /Image /Filter /DCTDecode /ColorSpace /DeviceRGB /BitsPerComponent 8 /Width 420 /Height 595", image.data)
	for i, content := range contents {
		page := firstPageObject + 2*i
		f.Object(page, fmt.Sprintf("<< /Type /Page /Parent %d 0 R /Contents %d 0 R /Resources << /Font << /F %d 0 R >> /XObject << /Cover %d 0 R >> >> >>",
			pagesObject, page+1, fontObject, coverObject))
		f.Stream(page+1, "", []byte(content))
	}
	return f.Finish(fmt.Sprintf("/Root %d 0 R /Info %d 0 R", catalogObject, infoObject)), nil
}

// winAnsi writes a string object in the encoding of the font, as far as the
// English poems need it.
var winAnsi = strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`, "’", `\222`, "“", `\223`, "”", `\224`, "—", `\227`)

// pdf returns the poem as the content of a page.
func (p poem) pdf() string {
	var b strings.Builder
	fmt.Fprintf(&b, "BT /F 18 Tf 40 550 Td (%s) Tj /F 10 Tf 0 -24 Td (%s, %s) Tj 12 TL T*", winAnsi.Replace(p.title), p.author, p.year)
	for _, stanza := range p.stanzas {
		b.WriteString(" T*")
		for _, line := range stanza {
			fmt.Fprintf(&b, " (%s) Tj T*", winAnsi.Replace(line))
		}
	}
	b.WriteString(" ET")
	return b.String()
}
