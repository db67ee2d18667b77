package pdf

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Namespaces of XMP (ISO 16684-1 §8) and, up to its version, of PRISM.
const (
	nsRDF   = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
	nsDC    = "http://purl.org/dc/elements/1.1/"
	nsXMP   = "http://ns.adobe.com/xap/1.0/"
	nsPDF   = "http://ns.adobe.com/pdf/1.3/"
	nsPRISM = "http://prismstandard.org/namespaces/basic/"
)

var (
	rdfDescription = xml.Name{Space: nsRDF, Local: "Description"}
	rdfItem        = xml.Name{Space: nsRDF, Local: "li"}
	rdfValue       = xml.Name{Space: nsRDF, Local: "value"}
)

// xmp reads the metadata stream of the catalog (ISO 32000-1 §14.3.2).
func (f *file) xmp(ctx context.Context, s *stream) (Info, error) {
	data, whole, err := f.decode(ctx, s, maxXMP)
	if err != nil {
		return Info{}, err
	}
	if !whole {
		return Info{}, errTooLong
	}
	return parseXMP(ctx, data)
}

// parseXMP reads the properties of a packet that Info has. A packet that ends
// in an error still gives what came before.
func parseXMP(ctx context.Context, data []byte) (Info, error) {
	dec := xml.NewDecoder(bytes.NewReader(toUTF8(data)))
	dec.Strict = false
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it is UTF-8 by now
	p := xmpParser{props: make(properties)}
	err := p.parse(ctx, dec)
	return p.props.info(), err
}

// toUTF8 converts a packet in UTF-16, which its byte order mark or the zero
// byte beside its first character tells.
func toUTF8(data []byte) []byte {
	if len(data) < 2 {
		return data
	}
	high := 0
	switch {
	case data[0] == 0xFE && data[1] == 0xFF, data[0] == 0:
	case data[0] == 0xFF && data[1] == 0xFE, data[1] == 0:
		high = 1
	default:
		return bytes.ToValidUTF8(data, []byte(string(utf8.RuneError)))
	}
	units := make([]uint16, 0, len(data)/2)
	for i := 0; i+1 < len(data); i += 2 {
		units = append(units, uint16(data[i+high])<<8|uint16(data[i+1-high]))
	}
	return []byte(strings.TrimPrefix(string(utf16.Decode(units)), "\uFEFF"))
}

// properties are the values of each property in the order of the packet. Of
// alternatives in several languages, the one for x-default comes first.
type properties map[xml.Name][]string

func (p properties) info() Info {
	first := func(space, local string) string {
		if v := p[xml.Name{Space: space, Local: local}]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	list := func(space, local string) []string { return p[xml.Name{Space: space, Local: local}] }
	info := Info{
		Title:       first(nsDC, "title"),
		Authors:     list(nsDC, "creator"),
		Description: first(nsDC, "description"),
		Keywords:    eitherList(list(nsDC, "subject"), splitText(first(nsPDF, "Keywords"), ",;")),
		Publishers:  list(nsDC, "publisher"),
		Languages:   list(nsDC, "language"),
		Identifiers: list(nsDC, "identifier"),
		Creator:     first(nsXMP, "CreatorTool"),
		Producer:    first(nsPDF, "Producer"),
		Created:     parseXMPDate(first(nsXMP, "CreateDate")),
		Modified:    parseXMPDate(first(nsXMP, "ModifyDate")),
	}
	for _, v := range list(nsXMP, "Identifier") {
		info.Identifiers = appendText(info.Identifiers, v)
	}
	for _, local := range []string{"isbn", "eIsbn", "doi"} {
		for _, v := range list(nsPRISM, local) {
			info.Identifiers = appendText(info.Identifiers, v)
		}
	}
	return info
}

// parseXMPDate reads a date of XMP (ISO 16684-1 §8.2.1.1), a profile of ISO 8601
// in which all but the year may be missing.
func parseXMPDate(s string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly, "2006-01", "2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// An xmpParser walks through RDF/XML (ISO 16684-1 §7). It keeps the property
// it is in and the text it has met, no tree.
type xmpParser struct {
	props       properties
	depth       int // of open elements
	description int // depth of the outermost rdf:Description, 0 outside
	at          int // depth of the property, 0 outside
	collect     int // depth of the element whose text counts
	property    xml.Name
	text        strings.Builder
	lang        string // of the item
	items       bool   // the property is a list
}

func (p *xmpParser) parse(ctx context.Context, dec *xml.Decoder) error {
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if p.depth++; p.depth > maxDepth {
				return errTooLong
			}
			p.start(t)
		case xml.CharData:
			if p.collect == p.depth && p.text.Len() < 4*maxText {
				p.text.Write(t[:min(len(t), 4*maxText)])
			}
		case xml.EndElement:
			p.end()
			p.depth--
		}
	}
}

func (p *xmpParser) start(e xml.StartElement) {
	switch {
	case p.description == 0 && e.Name == rdfDescription:
		p.description = p.depth
		for _, a := range e.Attr { // simple properties may be attributes
			p.add(a.Name, a.Value, "")
		}
	case p.description > 0 && p.depth == p.description+1:
		p.at, p.property, p.items = p.depth, e.Name, false
		p.begin()
	case p.at > 0 && p.depth == p.at+2 && e.Name == rdfItem:
		p.items, p.lang = true, ""
		for _, a := range e.Attr {
			if a.Name.Local == "lang" {
				p.lang = a.Value
			}
		}
		p.begin()
	case p.at > 0 && e.Name == rdfValue: // the value of a property with qualifiers
		p.begin()
	}
}

// begin starts to collect the text of the element just opened.
func (p *xmpParser) begin() {
	p.collect = p.depth
	p.text.Reset()
}

func (p *xmpParser) end() {
	switch p.depth {
	case p.description:
		p.description = 0
	case p.at:
		if !p.items {
			p.add(p.property, p.text.String(), "")
		}
		p.at, p.collect = 0, 0
	case p.at + 2:
		if p.at > 0 && p.items {
			p.add(p.property, p.text.String(), p.lang)
			p.text.Reset()
		}
	}
}

// add keeps a value of a property that may be of use.
func (p *xmpParser) add(property xml.Name, value, lang string) {
	if strings.HasPrefix(property.Space, nsPRISM) { // the version follows
		property.Space = nsPRISM
	}
	switch property.Space {
	case nsDC, nsXMP, nsPDF, nsPRISM:
	default:
		return
	}
	list := p.props[property]
	if list == nil && len(p.props) == maxTexts {
		return
	}
	longer := appendText(list, value)
	if lang == "x-default" && len(longer) > len(list) {
		longer = slices.Insert(longer[:len(list)], 0, longer[len(list)])
	}
	p.props[property] = longer
}
