package rpf

import (
	"fmt"
	"io"
	"strings"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/rwpm"
)

// pdfName is what a PDF is called within a package ("LCP for PDF", example).
const pdfName = "publication.pdf"

// A PDF is what is known of a PDF that is to be wrapped.
type PDF struct {
	Metadata  publication.Metadata // NumberOfPages must be set
	Modified  string               // ISO 8601, or empty
	Cover     []byte               // an image, or nil
	CoverType string               // media type of the cover
}

// PlanPDF plans a package around a PDF. name is its title if it has none.
func PlanPDF(file *io.SectionReader, doc PDF, name string) (*publication.Plan, error) {
	if doc.Metadata.NumberOfPages <= 0 {
		return nil, fmt.Errorf("%w: the number of pages is not known", publication.ErrInvalid)
	}
	meta := manifestMetadata(doc.Metadata)
	meta.ConformsTo = []string{rwpm.ProfilePDF}
	meta.Modified = doc.Modified
	if len(meta.Title) == 0 {
		meta.Title = rwpm.Plain(name)
	}
	m := rwpm.Manifest{
		Metadata:     meta,
		Links:        []rwpm.Link{selfLink("application/webpub+json")},
		ReadingOrder: []rwpm.Link{{Href: pdfName, Type: "application/pdf", Size: file.Size()}},
	}
	parts := []publication.Part{
		{Name: ManifestName, MediaType: "application/webpub+json", Clear: true, Declaration: true},
		{Name: pdfName, MediaType: "application/pdf", File: file},
	}
	var cover *publication.Cover
	if len(doc.Cover) > 0 {
		part := publication.Part{Name: coverName(doc.CoverType), MediaType: doc.CoverType, Clear: true, Data: doc.Cover}
		link := rwpm.Link{Rels: []string{"cover"}, Href: part.Name, Type: part.MediaType}
		link.Width, link.Height = imageSize(part)
		m.Resources = append(m.Resources, link)
		parts = append(parts, part)
		cover = &publication.Cover{MediaType: doc.CoverType, Part: part}
	}
	manifest := m.Document()
	p := &publication.Plan{
		Format: publication.PDF, Source: "PDF", Metadata: describe(manifest.Metadata()), Parts: parts, Cover: cover,
	}
	r := resolve(new(archive.Reader), manifest) // by name alone: there is no archive
	p.Declare = func(encrypted []publication.Encrypted) ([]byte, error) {
		if err := r.declare(encrypted); err != nil {
			return nil, err
		}
		return manifest.Bytes(), nil
	}
	return p, nil
}

func coverName(mediaType string) string {
	switch mediaType {
	case "image/png":
		return "cover.png"
	case "image/webp":
		return "cover.webp"
	case "image/gif":
		return "cover.gif"
	default:
		return "cover.jpg"
	}
}

// selfLink is the link that a manifest should have to itself (README §2.3).
func selfLink(mediaType string) rwpm.Link {
	return rwpm.Link{Rels: []string{"self"}, Href: ManifestName, Type: mediaType}
}

// manifestMetadata gives what is known of a publication in the terms of a
// manifest, whose identifier must be a URI.
func manifestMetadata(p publication.Metadata) rwpm.Metadata {
	m := rwpm.Metadata{
		Type:          "http://schema.org/Book",
		Title:         rwpm.Plain(p.Title),
		Contributors:  map[rwpm.Role][]rwpm.Contributor{},
		Languages:     p.Languages,
		Subjects:      p.Subjects,
		Description:   p.Description,
		Published:     p.Published,
		NumberOfPages: p.NumberOfPages,
	}
	for _, id := range p.Identifiers {
		if uri := identifierURI(id); m.Identifier == "" && uri != "" {
			m.Identifier = uri
		} else {
			m.AltIdentifiers = append(m.AltIdentifiers, id)
		}
	}
	m.Contributors[rwpm.Author] = contributors(p.Authors...)
	m.Contributors[rwpm.Publisher] = contributors(p.Publishers...)
	return m
}

func contributors(names ...string) []rwpm.Contributor {
	var list []rwpm.Contributor
	for _, name := range names {
		if name = strings.TrimSpace(name); name != "" {
			list = append(list, rwpm.Contributor{Name: rwpm.Plain(name)})
		}
	}
	return list
}

// identifierURI returns the identifier as a URI, or "" if it is none and no
// bare ISBN either.
func identifierURI(id string) string {
	id = strings.TrimSpace(id)
	if rwpm.IsURI(id) {
		return id
	}
	digits := strings.NewReplacer("-", "", " ", "").Replace(id)
	if len(digits) == 13 && strings.Trim(digits, "0123456789") == "" && (digits[:3] == "978" || digits[:3] == "979") {
		return "urn:isbn:" + digits
	}
	return ""
}
