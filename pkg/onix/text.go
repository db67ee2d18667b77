package onix

import (
	"encoding/xml"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// blocks are the elements of HTML that stand on lines of their own.
func isBlock(name string) bool {
	switch atom.Lookup([]byte(name)) {
	case atom.P, atom.Div, atom.Br, atom.Li, atom.Ul, atom.Ol, atom.Dl, atom.Dt, atom.Dd, atom.Blockquote, atom.Tr, atom.Table,
		atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Pre, atom.Section, atom.Hr:
		return true
	default:
		return false
	}
}

// markup reads the text of the element that has begun, with lines where XHTML in
// it has blocks. Where there is none, the text is as it stands.
func (d *decoder) markup() (string, error) {
	var b strings.Builder
	for depth := d.depth - 1; ; {
		token, err := d.next()
		if err != nil {
			return "", err
		}
		switch t := token.(type) {
		case xml.CharData:
			b.Write(t)
		case xml.StartElement:
			if isBlock(strings.ToLower(t.Name.Local)) {
				b.WriteByte('\n')
			}
		case xml.EndElement:
			if d.depth == depth {
				return b.String(), nil
			}
			if isBlock(strings.ToLower(t.Name.Local)) {
				b.WriteByte('\n')
			}
		}
	}
}

// plain makes text of what may be HTML (List 34: 02; 05 is XHTML, which may be
// escaped, too; senders forget to say).
func plain(text, format string) string {
	isHTML := format == "02" || format == "05" || format == "03"
	if isHTML || strings.Contains(text, "</") || strings.Contains(text, "<br") {
		text = stripHTML(text)
	}
	var lines []string
	for line := range strings.Lines(text) {
		if line = oneLine(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// stripHTML takes the text out of HTML, without scripts and styles.
func stripHTML(text string) string {
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(text))
	hidden := ""
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			if hidden == "" {
				b.Write(z.Text())
			}
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			raw, _ := z.TagName()
			name := string(raw)
			if name == "script" || name == "style" {
				if hidden = ""; kind == html.StartTagToken {
					hidden = name
				}
			}
			if isBlock(name) {
				b.WriteByte('\n')
			}
		default: // comments and the like
		}
	}
}
