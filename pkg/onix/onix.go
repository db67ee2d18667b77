// Package onix reads what publishers say of their books in ONIX for Books 3.0 and
// 3.1, with reference or short tag names: titles, contributors, publishers,
// descriptions, languages and dates. It finds the product that a publication is.
//
// A message is read as a stream, one product at a time, so that its length does
// not matter. Nothing outside it is read, no entities are expanded but those of
// XML and HTML, and what one product may hold is bounded. What the codes mean is
// from EDItEUR's code lists, whose numbers stand beside them.
//
// The package knows nothing of publications' files, stores or servers.
package onix

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// A Product is a product record, as far as catalogues want to know. What the
// record lacks is empty.
type Product struct {
	Reference   string   // RecordReference, the same for all editions of the record
	ISBNs       []string // 13 digits each: ISBN-13 and GTIN-13
	Title       string   // with its prefix, and with what it is a part of where it has no name of its own
	Subtitle    string
	Authors     []string // A01 and other roles of authorship, in their order
	Publishers  []string
	Description string   // plain text
	Languages   []string // of the text, BCP 47
	Published   string   // 2030, 2030-01 or 2030-01-02
	Subjects    []string // headings and keywords
	Cover       string   // URL of the front cover
	Withdrawn   bool     // the record says to delete the product
}

// FullTitle is the title and the subtitle.
func (p *Product) FullTitle() string {
	if p.Subtitle == "" || p.Title == "" {
		return p.Title + p.Subtitle
	}
	return p.Title + ": " + p.Subtitle
}

// Bounds on one product, far above any.
const (
	maxProduct = 4 << 20 // bytes
	maxDepth   = 100     // nested elements
)

// A SyntaxError says where a message cannot be read.
type SyntaxError struct {
	Line int // from 1
	Err  error
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap gives the reason.
func (e *SyntaxError) Unwrap() error { return e.Err }

// Reasons not to read a message.
var (
	ErrNotONIX = errors.New("not an ONIX message")
	ErrRelease = errors.New("not ONIX 3: give a message of release 3.0 or 3.1")
)

// Read gives the products of a message, in their order. The first error, a
// SyntaxError unless reading failed, ends them.
func Read(r io.Reader) iter.Seq2[*Product, error] {
	return func(yield func(*Product, error) bool) {
		d, err := newDecoder(r)
		if err == nil {
			err = d.begin()
		}
		for err == nil {
			var p *Product
			if p, err = d.product(); err != nil || p == nil {
				break
			}
			if !yield(p, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// A decoder goes through the elements of a message.
type decoder struct {
	xml   *xml.Decoder
	in    *boundedReader
	depth int
}

// newDecoder has a message in UTF-16, which its declaration cannot be read of,
// turned into UTF-8.
func newDecoder(r io.Reader) (*decoder, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	start, err := in.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var text io.Reader = in
	wide := bytes.Equal(start, []byte{0xFE, 0xFF}) || bytes.Equal(start, []byte{0xFF, 0xFE})
	if wide {
		text = transform.NewReader(in, unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewDecoder())
	} else if mark, _ := in.Peek(3); string(mark) == "\xEF\xBB\xBF" {
		_, _ = in.Discard(len(mark))
	}
	bounded := &boundedReader{r: text, left: maxProduct}
	d := xml.NewDecoder(bufio.NewReaderSize(bounded, 16<<10))
	d.Entity = xml.HTMLEntity // the DTD of older messages declares them
	d.CharsetReader = func(label string, in io.Reader) (io.Reader, error) {
		if wide {
			return in, nil // it is UTF-8 by now
		}
		enc, err := htmlindex.Get(label)
		if err != nil {
			return nil, fmt.Errorf("encoding %q is unknown", label)
		}
		return enc.NewDecoder().Reader(in), nil
	}
	return &decoder{xml: d, in: bounded}, nil
}

// errTooLong is returned for a product of more than maxProduct bytes.
var errTooLong = fmt.Errorf("a product of more than %d bytes", maxProduct)

// A boundedReader fails when one product takes more than is left.
type boundedReader struct {
	r    io.Reader
	left int
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// next returns the next token that is not a comment or the like.
func (d *decoder) next() (xml.Token, error) {
	for {
		token, err := d.xml.Token()
		if err != nil {
			return nil, d.fault(err)
		}
		switch token.(type) {
		case xml.StartElement:
			if d.depth++; d.depth > maxDepth {
				return nil, d.fault(fmt.Errorf("elements within one another, more than %d", maxDepth))
			}
			return token, nil
		case xml.EndElement:
			d.depth--
			return token, nil
		case xml.CharData:
			return token, nil
		}
	}
}

// fault says on which line something is wrong.
func (d *decoder) fault(err error) error {
	line, _ := d.xml.InputPos()
	if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
		return &SyntaxError{syntax.Line, errors.New(syntax.Msg)}
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return &SyntaxError{line, err}
}

// begin reads up to the root element, and checks that it is one of ONIX 3.
func (d *decoder) begin() error {
	for {
		token, err := d.next()
		if errors.Is(err, io.ErrUnexpectedEOF) && d.depth == 0 {
			return ErrNotONIX
		}
		if err != nil {
			return err
		}
		root, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !strings.EqualFold(root.Name.Local, "ONIXMessage") {
			return d.fault(fmt.Errorf("%w: its root is %q", ErrNotONIX, root.Name.Local))
		}
		for _, a := range root.Attr {
			if a.Name.Local == "release" && !strings.HasPrefix(a.Value, "3.") {
				return d.fault(fmt.Errorf("%w, and this is %q", ErrRelease, a.Value))
			}
		}
		return nil
	}
}

// product reads the next product, or nil at the end of the message.
func (d *decoder) product() (*Product, error) {
	for {
		token, err := d.next()
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.EndElement:
			return nil, nil //nolint:nilnil // the message is over
		case xml.StartElement:
			d.in.left = maxProduct
			if nameOf(t) != "Product" {
				if err := d.skip(); err != nil {
					return nil, err
				}
				continue
			}
			n, err := d.element(t)
			if err != nil {
				return nil, err
			}
			return productOf(n), nil
		}
	}
}

// skip passes over the element that has begun.
func (d *decoder) skip() error {
	for depth := d.depth - 1; d.depth > depth; {
		if _, err := d.next(); err != nil {
			return err
		}
	}
	return nil
}

// A node is an element of a product.
type node struct {
	name     string // reference name
	attr     map[string]string
	text     string // of Text and the like with the text of what is in it
	children []*node
}

// element reads the element that has begun, if it is one that matters, else
// without what is in it.
func (d *decoder) element(start xml.StartElement) (*node, error) {
	n := &node{name: nameOf(start)}
	if n.name == "" {
		return n, d.skip()
	}
	for _, a := range start.Attr {
		if a.Name.Local == "dateformat" || a.Name.Local == "textformat" || a.Name.Local == "language" {
			if n.attr == nil {
				n.attr = map[string]string{}
			}
			n.attr[a.Name.Local] = a.Value
		}
	}
	if n.name == "Text" {
		var err error
		n.text, err = d.markup()
		return n, err
	}
	var text strings.Builder
	for {
		token, err := d.next()
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			n.text = oneLine(text.String())
			return n, nil
		case xml.StartElement:
			child, err := d.element(t)
			if err != nil {
				return nil, err
			}
			if child.name != "" {
				n.children = append(n.children, child)
			}
		}
	}
}

// child is the text of the first child of that name.
func (n *node) child(name string) string {
	for _, c := range n.children {
		if c.name == name {
			return c.text
		}
	}
	return ""
}

// all gives the descendants at the end of a path of names.
func (n *node) all(names ...string) []*node {
	found := []*node{n}
	for _, name := range names {
		var next []*node
		for _, f := range found {
			for _, c := range f.children {
				if c.name == name {
					next = append(next, c)
				}
			}
		}
		found = next
	}
	return found
}

// oneLine makes white space single spaces.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
