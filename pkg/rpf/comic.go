package rpf

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/rwpm"
)

// PlanComic plans a Divina made of a comic archive (CBZ): its images in their
// natural order are the pages, the first of them the cover, and ComicInfo.xml,
// where there is one, gives the metadata. name is the title if nothing else is.
func PlanComic(a *archive.Reader, name string) (*publication.Plan, error) {
	pages, others := comicEntries(a)
	if len(pages) == 0 {
		return nil, fmt.Errorf("%w: the comic archive holds no images", publication.ErrInvalid)
	}
	info, warning := readComicInfo(a)
	m := rwpm.Manifest{
		Metadata: info.metadata(),
		Links:    []rwpm.Link{selfLink("application/divina+json")},
	}
	m.Metadata.NumberOfPages = len(pages)
	if len(m.Metadata.Title) == 0 {
		m.Metadata.Title = rwpm.Plain(name)
	}
	for _, e := range pages {
		link := entryLink(e)
		link.Width, link.Height = imageSize(publication.Part{Entry: e, MediaType: link.Type})
		m.ReadingOrder = append(m.ReadingOrder, link)
	}
	// The cover stays clear; a comic of a single page would have nothing else.
	if len(pages) > 1 {
		m.ReadingOrder[0].Rels = []string{"cover"}
	}
	for _, e := range others {
		m.Resources = append(m.Resources, entryLink(e))
	}
	p, err := Build(a, m.Document(), func(name string) bool { return IsJunk(name) || name == licenseName })
	if err != nil {
		return nil, err
	}
	p.Source = "CBZ"
	if warning != "" {
		p.Warnings = append(p.Warnings, warning)
	}
	return p, nil
}

// comicEntries returns the pages in their order, and what else is content.
func comicEntries(a *archive.Reader) (pages, others []*archive.Entry) {
	for _, e := range a.Entries {
		switch mediaType := publication.MediaTypeByName(e.Name); {
		case e.IsDir(), e.Size == 0, IsJunk(e.Name), isComicInfo(e.Name), e.Name == ManifestName, e.Name == licenseName:
		case strings.HasPrefix(mediaType, "image/") && mediaType != "image/svg+xml":
			pages = append(pages, e)
		default:
			others = append(others, e)
		}
	}
	slices.SortStableFunc(pages, func(a, b *archive.Entry) int { return compareNatural(a.Name, b.Name) })
	return pages, others
}

func entryLink(e *archive.Entry) rwpm.Link {
	mediaType := publication.MediaTypeByName(e.Name)
	if mediaType == "" {
		mediaType = "application/octet-stream"
	}
	return rwpm.Link{Href: rwpm.Href(e.Name), Type: mediaType, Size: e.Size}
}

// compareNatural orders paths folder by folder, numbers in names by their value
// and letters without regard to case: page2 before page10.
func compareNatural(a, b string) int {
	pa, pb := strings.Split(a, "/"), strings.Split(b, "/")
	for i := range min(len(pa), len(pb)) {
		x, y := pa[i], pb[i]
		if i == len(pa)-1 {
			x = strings.TrimSuffix(x, path.Ext(x))
		}
		if i == len(pb)-1 {
			y = strings.TrimSuffix(y, path.Ext(y))
		}
		if c := compareSegments(x, y); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(len(pa), len(pb)), strings.Compare(a, b))
}

func compareSegments(a, b string) int {
	for a != "" && b != "" {
		na, nb := leadingDigits(a), leadingDigits(b)
		if na > 0 && nb > 0 {
			x, y := strings.TrimLeft(a[:na], "0"), strings.TrimLeft(b[:nb], "0")
			if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
				return c
			}
			a, b = a[na:], b[nb:]
			continue
		}
		ra, sa := utf8.DecodeRuneInString(a)
		rb, sb := utf8.DecodeRuneInString(b)
		if c := cmp.Compare(unicode.ToLower(ra), unicode.ToLower(rb)); c != 0 {
			return c
		}
		a, b = a[sa:], b[sb:]
	}
	return cmp.Compare(len(a), len(b))
}

func leadingDigits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
