package epub

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/lcp-tools/lcp/pkg/publication"
)

// Media types of documents that stay clear: NCX by LCP §2.1.
const (
	ncxType     = "application/x-dtbncx+xml"
	pageMapType = "application/oebps-page-map+xml"
)

// A packageDocument is what a package document says, as far as it matters here
// (EPUB Packages 3.3 §5, OPF 2.0.1 §2).
type packageDocument struct {
	name        string // of its entry
	version     string
	uniqueID    string
	items       []item
	clearIDs    []string // items that the spine names as NCX and page map
	metaCovers  []string // EPUB 2 <meta name="cover">: ids, or hrefs by mistake
	guideCovers []string // hrefs of guide references
	terms       []term
	refinements []refinement
}

// An item is a resource of the manifest.
type item struct {
	id, href, mediaType string
	properties          []string
}

// A term is a Dublin Core element.
type term struct{ name, id, text, role, event string }

// A refinement is an EPUB 3 <meta refines property>.
type refinement struct{ target, property, value string }

func (i *item) has(property string) bool { return slices.Contains(i.properties, property) }

// mustStayClear tells an item that by itself is one of those of LCP §2.1.
func (i *item) mustStayClear() bool {
	return i.has("nav") || i.has("cover-image") || i.mediaType == ncxType
}

// source is the kind of publication, by the version of the package document.
func (p *packageDocument) source() string {
	if major, _, _ := strings.Cut(p.version, "."); major != "" && isDigit(major[0]) && major >= "2" {
		return "EPUB " + major[:1]
	}
	return "EPUB 2" // or its predecessor, which is packaged the same way
}

// A packageReader fills a packageDocument.
type packageReader struct {
	*scanner
	doc   *packageDocument
	term  term       // the metadata element that is open
	meta  refinement // the same, where it is a <meta>
	text  strings.Builder
	depth int // of that element; 0 means none
}

// parsePackage reads a package document in UTF-8.
func parsePackage(name string, doc []byte) (*packageDocument, error) {
	r := &packageReader{scanner: newScanner(name, doc), doc: &packageDocument{name: name}}
	for {
		token, err := r.next()
		if errors.Is(err, io.EOF) {
			return r.doc, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if err := r.startElement(t); err != nil {
				return nil, err
			}
		case xml.CharData:
			if r.depth > 0 {
				r.text.Write(t)
			}
		case xml.EndElement:
			if len(r.open) == r.depth {
				r.endMetadata()
			}
		}
	}
}

func (r *packageReader) startElement(e xml.StartElement) error {
	switch {
	case len(r.open) == 1:
		if e.Name.Local != "package" {
			return fmt.Errorf("%w: %q is not a package document: its root is <%s>", publication.ErrInvalid, r.entry, e.Name.Local)
		}
		r.doc.version = attribute(e, "version")
		r.doc.uniqueID = attribute(e, "unique-identifier")
	case r.at("spine"):
		r.doc.clearIDs = append(r.doc.clearIDs, attribute(e, "toc"), attribute(e, "page-map"))
	case r.at("guide", "reference"):
		if strings.EqualFold(attribute(e, "type"), "cover") && len(r.doc.guideCovers) < maxTerms {
			r.doc.guideCovers = append(r.doc.guideCovers, attribute(e, "href"))
		}
	case r.at("manifest", "item"):
		return r.addItem(e)
	case r.at("metadata", e.Name.Local), r.at("metadata", "dc-metadata", e.Name.Local), r.at("metadata", "x-metadata", e.Name.Local):
		r.startMetadata(e)
	}
	return nil
}

func (r *packageReader) addItem(e xml.StartElement) error {
	if len(r.doc.items) == maxItems {
		return fmt.Errorf("%w: %q lists more than %d resources", publication.ErrInvalid, r.entry, maxItems)
	}
	r.doc.items = append(r.doc.items, item{
		id:         attribute(e, "id"),
		href:       attribute(e, "href"),
		mediaType:  strings.ToLower(attribute(e, "media-type")),
		properties: strings.Fields(attribute(e, "properties")),
	})
	return nil
}

func (r *packageReader) startMetadata(e xml.StartElement) {
	if len(r.doc.terms)+len(r.doc.refinements)+len(r.doc.metaCovers) >= maxTerms {
		return
	}
	switch name := strings.ToLower(e.Name.Local); {
	case name == "meta" && strings.EqualFold(attribute(e, "name"), "cover"):
		r.doc.metaCovers = append(r.doc.metaCovers, attribute(e, "content"))
	case name == "meta" && attribute(e, "refines") != "":
		r.meta = refinement{target: strings.TrimPrefix(attribute(e, "refines"), "#"), property: attribute(e, "property")}
		r.depth = len(r.open)
	case isDublinCore(e.Name.Space):
		r.term = term{name: name, id: attribute(e, "id"), role: attribute(e, "role"), event: attribute(e, "event")}
		r.depth = len(r.open)
	}
}

// isDublinCore tells the elements of Dublin Core, and those of documents that
// forgot to declare it.
func isDublinCore(space string) bool {
	return strings.HasPrefix(strings.ToLower(space), "http://purl.org/dc/elements/") || space == "dc" || space == ""
}

func (r *packageReader) endMetadata() {
	text := strings.Join(strings.Fields(r.text.String()), " ")
	switch {
	case text == "":
	case r.meta != refinement{}:
		r.meta.value = text
		r.doc.refinements = append(r.doc.refinements, r.meta)
	default:
		r.term.text = text
		r.doc.terms = append(r.doc.terms, r.term)
	}
	r.term, r.meta, r.depth = term{}, refinement{}, 0
	r.text.Reset()
}
