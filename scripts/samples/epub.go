package main

import (
	"fmt"
	"html"
	"net/url"
	"strings"
)

const containerXML = `<?xml version="1.0" encoding="UTF-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
  <rootfiles>
    <rootfile full-path="EPUB/package.opf" media-type="application/oebps-package+xml"/>
  </rootfiles>
</container>
`

// buildEPUB returns an EPUB 3 that has what protecting one must get right: a
// navigation document and an NCX and a cover, all of which stay clear, entry
// names with spaces and letters beyond ASCII, a resource of no bytes, and
// deflated and stored entries side by side.
func buildEPUB() ([]byte, error) {
	texts, err := poems()
	if err != nil {
		return nil, err
	}
	coverImage, err := cover("EPUB/images/cover.jpg")
	if err != nil {
		return nil, err
	}
	picture, err := scene{width: 300, height: 150, hour: 15, hills: 3}.png()
	if err != nil {
		return nil, err
	}
	files := []file{
		{"mimetype", []byte("application/epub+zip")},
		{"META-INF/container.xml", []byte(containerXML)},
		{"EPUB/package.opf", packageDocument(texts)},
		{"EPUB/nav.xhtml", navigation(texts)},
		{"EPUB/toc.ncx", ncx(texts)},
		coverImage,
	}
	for _, p := range texts {
		files = append(files, file{
			"EPUB/text/" + p.name + ".xhtml",
			p.xhtml("../style/book.css", "../images/hills.png", "../images/ornament.svg"),
		})
	}
	files = append(files,
		file{"EPUB/style/book.css", []byte(stylesheet)},
		file{"EPUB/style/empty.css", nil},
		file{"EPUB/images/hills.png", picture},
		file{"EPUB/images/ornament.svg", []byte(ornament)})
	return zipFiles(files)
}

// href returns where the package document finds a poem.
func (p poem) href() string { return "text/" + url.PathEscape(p.name) + ".xhtml" }

func packageDocument(texts []poem) []byte {
	var creators, items, refs strings.Builder
	for i, p := range texts {
		fmt.Fprintf(&creators, "    <dc:creator id=\"author%d\">%s</dc:creator>\n", i+1, html.EscapeString(p.author))
		fmt.Fprintf(&items, "    <item id=\"poem%d\" href=%q media-type=\"application/xhtml+xml\"/>\n", i+1, p.href())
		fmt.Fprintf(&refs, "    <itemref idref=\"poem%d\"/>\n", i+1)
	}
	return fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id" xml:lang="en">
  <metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
    <dc:identifier id="id">urn:uuid:6f1b7a52-5a0c-4f0b-9d0e-0e9a3c1d2b01</dc:identifier>
    <dc:title>Four Poems &amp; Some Hills</dc:title>
    <dc:language>en</dc:language>
    <dc:language>fr</dc:language>
    <dc:language>ja</dc:language>
%s    <dc:publisher>lcp samples</dc:publisher>
    <dc:description>Four short poems in three languages, made to try things with.</dc:description>
    <dc:date>2020-01-01</dc:date>
    <dc:rights>CC0 1.0</dc:rights>
    <meta property="dcterms:modified">2020-01-01T00:00:00Z</meta>
    <meta name="cover" content="cover"/>
    <meta property="schema:accessMode">textual</meta>
    <meta property="schema:accessibilityFeature">tableOfContents</meta>
    <meta property="schema:accessibilityHazard">none</meta>
  </metadata>
  <manifest>
    <item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
    <item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>
    <item id="cover" href="images/cover.jpg" media-type="image/jpeg" properties="cover-image"/>
%s    <item id="css" href="style/book.css" media-type="text/css"/>
    <item id="empty" href="style/empty.css" media-type="text/css"/>
    <item id="hills" href="images/hills.png" media-type="image/png"/>
    <item id="ornament" href="images/ornament.svg" media-type="image/svg+xml"/>
  </manifest>
  <spine toc="ncx">
%s  </spine>
</package>
`, creators.String(), items.String(), refs.String())
}

func navigation(texts []poem) []byte {
	var items strings.Builder
	for _, p := range texts {
		fmt.Fprintf(&items, "      <li><a href=%q>%s</a></li>\n", p.href(), html.EscapeString(p.title))
	}
	return fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" xml:lang="en" lang="en">
<head><title>Contents</title></head>
<body>
  <nav epub:type="toc">
    <ol>
%s    </ol>
  </nav>
</body>
</html>
`, items.String())
}

func ncx(texts []poem) []byte {
	var points strings.Builder
	for i, p := range texts {
		fmt.Fprintf(&points, `    <navPoint id="p%[1]d" playOrder="%[1]d">
      <navLabel><text>%[2]s</text></navLabel>
      <content src="%[3]s"/>
    </navPoint>
`, i+1, html.EscapeString(p.title), p.href())
	}
	return fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?>
<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/" version="2005-1" xml:lang="en">
  <head><meta name="dtb:uid" content="urn:uuid:6f1b7a52-5a0c-4f0b-9d0e-0e9a3c1d2b01"/></head>
  <docTitle><text>Four Poems &amp; Some Hills</text></docTitle>
  <navMap>
%s  </navMap>
</ncx>
`, points.String())
}
