package epub

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"

	"github.com/lcp-tools/lcp/pkg/publication"
)

// Limits on documents beyond their size.
const (
	maxDepth    = 256      // nested elements; a package document needs 6
	maxDoctype  = 64 << 10 // bytes of it in which entities are looked for
	maxEntities = 256
	maxExpanded = 1 << 20 // bytes of a document in which declared entities have a value
)

var (
	declaration  = regexp.MustCompile(`^\s*<\?xml\s[^>]*\?>`)
	encodingName = regexp.MustCompile(`(\sencoding\s*=\s*)(?:"([^"]*)"|'([^']*)')`)

	// entityDecl finds the general entities of a DOCTYPE, with the value of
	// those that are internal and plain text.
	entityDecl = regexp.MustCompile(`<!ENTITY\s+([A-Za-z_][\w.-]*)\s+(?:"([^"&%<]{0,128})"|'([^'&%<]{0,128})')?`)
)

const byteOrderMark = "\uFEFF"

// toUTF8 returns an XML document in UTF-8, with a declaration that says so.
// One that is in UTF-8 already comes back byte for byte. The encoding is that
// of the byte order mark, else the one declared (XML 1.0 appendix F).
func toUTF8(doc []byte) ([]byte, error) {
	if order, ok := utf16Order(doc); ok {
		text, err := unicode.UTF16(order, unicode.UseBOM).NewDecoder().Bytes(doc)
		if err != nil {
			return nil, err
		}
		return declareUTF8(text), nil
	}
	enc, err := declaredEncoding(doc)
	if enc == nil || err != nil {
		return doc, err
	}
	text, err := enc.NewDecoder().Bytes(doc)
	if err != nil {
		return nil, err
	}
	return declareUTF8(text), nil
}

// utf16Order tells UTF-16 by its byte order mark or its first character, "<".
func utf16Order(doc []byte) (unicode.Endianness, bool) {
	switch {
	case bytes.HasPrefix(doc, []byte{0xFE, 0xFF}), bytes.HasPrefix(doc, []byte{0, '<'}):
		return unicode.BigEndian, true
	case bytes.HasPrefix(doc, []byte{0xFF, 0xFE}), bytes.HasPrefix(doc, []byte{'<', 0}):
		return unicode.LittleEndian, true
	}
	return unicode.BigEndian, false
}

// declaredEncoding returns nil where the document is, or can only be, UTF-8.
func declaredEncoding(doc []byte) (encoding.Encoding, error) {
	if bytes.HasPrefix(doc, []byte(byteOrderMark)) {
		return nil, nil //nolint:nilnil // no encoding: none but UTF-8
	}
	m := encodingName.FindSubmatch(declaration.Find(doc))
	if m == nil {
		return nil, nil //nolint:nilnil // as above
	}
	label := strings.ToLower(string(m[2]) + string(m[3]))
	// Eight-bit text that calls itself UTF-16 was converted by a careless tool.
	if label == "utf-8" || label == "utf8" || strings.HasPrefix(label, "utf-16") {
		return nil, nil //nolint:nilnil // as above
	}
	enc, err := htmlindex.Get(label)
	if err != nil {
		return nil, fmt.Errorf("unknown encoding %q", label)
	}
	return enc, nil
}

func declareUTF8(doc []byte) []byte {
	doc = bytes.TrimPrefix(doc, []byte(byteOrderMark))
	decl := declaration.Find(doc)
	if decl == nil {
		return doc
	}
	return append(encodingName.ReplaceAll(decl, []byte(`${1}"UTF-8"`)), doc[len(decl):]...)
}

// A scanner reads the tokens of a document and knows where it is.
type scanner struct {
	entry string // name of the document, for errors
	dec   *xml.Decoder
	open  []string // local names of the open elements, the token's own included
	start int64    // offset of the token
	size  int      // bytes of the document
	ended bool     // the last token was an end tag, whose element is still in open
	roots int

	doctype bool // has been seen
}

// newScanner scans a document that is in UTF-8.
func newScanner(entry string, doc []byte) *scanner {
	// The declaration is of no use any more, and the decoder knows neither
	// other encodings nor XML 1.1. Spaces in its place keep offsets and lines.
	body := doc
	if decl := declaration.Find(bytes.TrimPrefix(doc, []byte(byteOrderMark))); decl != nil {
		at := bytes.Index(doc, decl)
		body = bytes.Clone(doc)
		for i, c := range decl {
			if c != '\n' {
				body[at+i] = ' '
			}
		}
	}
	dec := xml.NewDecoder(bytes.NewReader(body))
	dec.Entity = xml.HTMLEntity
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	return &scanner{entry: entry, dec: dec, size: len(doc)}
}

// next returns the next token, or io.EOF after the end of a document that has
// one root element and is well-formed. Other errors are ErrInvalid.
func (s *scanner) next() (xml.Token, error) {
	if s.ended {
		s.open, s.ended = s.open[:len(s.open)-1], false
	}
	s.start = s.dec.InputOffset()
	token, err := s.dec.Token()
	switch {
	case errors.Is(err, io.EOF) && s.roots == 1:
		return nil, io.EOF
	case errors.Is(err, io.EOF):
		return nil, s.invalid("it holds no element")
	case err != nil:
		return nil, s.syntaxError(err)
	}
	switch t := token.(type) {
	case xml.StartElement:
		if len(s.open) == 0 {
			s.roots++
		}
		if s.open = append(s.open, t.Name.Local); len(s.open) > maxDepth {
			return nil, s.invalid("its elements are nested too deeply")
		}
	case xml.EndElement:
		s.ended = true
	case xml.CharData:
		if len(s.open) == 0 && len(bytes.TrimSpace(bytes.TrimPrefix(t, []byte(byteOrderMark)))) > 0 {
			return nil, s.invalid("text outside the root element")
		}
	case xml.Directive:
		s.declareEntities(t)
	}
	if s.roots > 1 {
		return nil, s.invalid("a second root element")
	}
	return token, nil
}

// declareEntities lets references to declared entities pass. External ones and
// those that hold markup or other entities stand for nothing, so that neither
// files nor the memory of this machine can be had through them.
func (s *scanner) declareEntities(directive xml.Directive) {
	if s.doctype || !bytes.HasPrefix(directive, []byte("DOCTYPE")) {
		return
	}
	s.doctype = true
	entities := maps.Clone(xml.HTMLEntity)
	found := entityDecl.FindAllSubmatch(directive[:min(len(directive), maxDoctype)], maxEntities)
	for _, m := range found {
		value := string(m[2]) + string(m[3])
		if s.size > maxExpanded {
			value = ""
		}
		entities[string(m[1])] = value
	}
	s.dec.Entity = entities
}

// at tells whether the open elements are those named, the root aside.
func (s *scanner) at(names ...string) bool {
	if len(s.open) != len(names)+1 {
		return false
	}
	for i, name := range names {
		if s.open[i+1] != name {
			return false
		}
	}
	return true
}

func (s *scanner) syntaxError(err error) error {
	if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
		return s.invalid(syntax.Msg)
	}
	return s.invalid(err.Error())
}

func (s *scanner) invalid(reason string) error {
	line, _ := s.dec.InputPos()
	return fmt.Errorf("%w: %q is not valid XML: line %d: %s", publication.ErrInvalid, s.entry, line, reason)
}

// attribute returns the trimmed value of the attribute with that local name.
// One without a namespace comes first: opf:role is found, and hides no role.
func attribute(e xml.StartElement, name string) string {
	value := ""
	for _, a := range e.Attr {
		switch {
		case a.Name.Local != name:
		case a.Name.Space == "":
			return strings.TrimSpace(a.Value)
		case value == "":
			value = strings.TrimSpace(a.Value)
		}
	}
	return value
}

// escapeAttribute writes a value between double quotes.
func escapeAttribute(value string) string {
	var b strings.Builder
	if !utf8.ValidString(value) {
		value = strings.ToValidUTF8(value, "\uFFFD")
	}
	_ = xml.EscapeText(&b, []byte(value)) // a Builder takes everything
	return b.String()
}
