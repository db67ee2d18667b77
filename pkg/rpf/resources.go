package rpf

import (
	"fmt"
	"strings"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/rwpm"
)

// A resource is an entry that the manifest links to.
type resource struct {
	entry     *archive.Entry // nil if the package does not hold it
	mediaType string         // as declared or, failing that, by name
	part      bool           // of the publication: not only one of its "links"
	cover     bool
	items     []*rwpm.Item // all links to it
}

// resources are the entries that a manifest links to.
type resources struct {
	byName  map[string]*resource
	order   []*resource  // as they come in the manifest
	items   []*rwpm.Item // all links, wherever they lead
	pages   int          // links of the reading order itself
	missing []string     // parts of the publication that are not in the package
	remote  int          // parts of the publication that are elsewhere
}

// resolve finds the entries behind the links of a manifest.
func resolve(a *archive.Reader, doc *rwpm.Document) *resources {
	r := &resources{byName: make(map[string]*resource)}
	for item := range doc.Publication() {
		r.add(a, item, true)
	}
	for item := range doc.Links() {
		r.add(a, item, false)
	}
	return r
}

func (r *resources) add(a *archive.Reader, item *rwpm.Item, part bool) {
	r.items = append(r.items, item)
	if item.Collection == "readingOrder" && !item.Nested {
		r.pages++
	}
	if item.Templated || isData(item.Href) {
		return
	}
	names := rwpm.Names(ManifestName, item.Href)
	if len(names) == 0 {
		if part {
			r.remote++
		}
		return
	}
	name, entry := names[0], find(a, names)
	if entry != nil {
		name = entry.Name
	}
	if name == ManifestName || name == licenseName {
		return // always clear, whoever links to them
	}
	res := r.byName[name]
	if res == nil {
		res = &resource{entry: entry}
		r.byName[name] = res
		r.order = append(r.order, res)
	}
	if entry == nil && part && !res.part {
		r.missing = append(r.missing, name)
	}
	if res.mediaType == "" {
		res.mediaType = item.Type
	}
	if item.Cover && isImage(item.Type, name) {
		res.cover = true
	}
	res.part = res.part || part
	res.items = append(res.items, item)
}

// find returns the first entry among names.
func find(a *archive.Reader, names []string) *archive.Entry {
	for _, name := range names {
		if e := a.Lookup(name); e != nil && !e.IsDir() {
			return e
		}
	}
	return nil
}

func isData(href string) bool {
	return len(href) > 5 && strings.EqualFold(href[:5], "data:")
}

func isImage(mediaType, name string) bool {
	if mediaType == "" {
		mediaType = publication.MediaTypeByName(name)
	}
	return strings.HasPrefix(strings.ToLower(mediaType), "image/")
}

// check refuses what cannot be protected. Protection comes first: a protected
// package need not be whole.
func (r *resources) check(a *archive.Reader) error {
	if a.Lookup(licenseName) != nil {
		return fmt.Errorf("%w: it holds %s", publication.ErrProtectedLCP, licenseName)
	}
	for _, item := range r.items {
		e, ok := item.Encryption()
		switch {
		case !ok, isObfuscation(e):
		case e.Scheme == publication.Scheme:
			return fmt.Errorf("%w: %s declares it for %q", publication.ErrProtectedLCP, ManifestName, item.Href)
		default:
			return fmt.Errorf("%w: %s declares %q for %q", publication.ErrProtected, ManifestName, schemeOf(e), item.Href)
		}
	}
	switch {
	case r.pages == 0:
		return fmt.Errorf("%w: %s has no reading order", publication.ErrInvalid, ManifestName)
	case len(r.missing) > 0:
		return &publication.MissingError{Names: r.missing}
	}
	return nil
}

func schemeOf(e rwpm.Encryption) string {
	if e.Scheme != "" {
		return e.Scheme
	}
	return e.Algorithm
}

func isObfuscation(e rwpm.Encryption) bool {
	return e.Scheme == "" && e.Algorithm == rwpm.FontObfuscation
}

// part plans one entry: a part of the publication is encrypted unless it is the
// cover or an obfuscated font, which would no longer be declared as such; all
// else is carried over.
func (r *resources) part(e *archive.Entry) publication.Part {
	p := publication.Part{Name: e.Name, Entry: e, MediaType: r.mediaType(e.Name), Clear: true}
	res := r.byName[e.Name]
	if res == nil || !res.part {
		return p
	}
	p.Clear = res.cover
	for _, item := range res.items {
		if _, ok := item.Encryption(); ok {
			p.Clear = true
		}
	}
	return p
}

func (r *resources) mediaType(name string) string {
	if res := r.byName[name]; res != nil && res.mediaType != "" {
		return res.mediaType
	}
	return publication.MediaTypeByName(name)
}

// cover returns the first cover, where one in the resources comes before a page
// of the reading order: it is there for being shown as the cover.
func (r *resources) cover() *publication.Cover {
	var best *resource
	for _, res := range r.order {
		if !res.cover || res.entry == nil {
			continue
		}
		if best == nil || best.items[0].Collection == "readingOrder" && res.items[0].Collection != "readingOrder" {
			best = res
		}
	}
	if best == nil {
		return nil
	}
	part := r.part(best.entry)
	return &publication.Cover{MediaType: part.MediaType, Part: part}
}

// declare sets the encryption of every link to the entries that are encrypted.
func (r *resources) declare(encrypted []publication.Encrypted) error {
	r.removeLCP()
	for _, e := range encrypted {
		res := r.byName[e.Name]
		if res == nil {
			return fmt.Errorf("declare encryption: no link of %s leads to entry %q", ManifestName, e.Name)
		}
		declared := rwpm.Encryption{
			Scheme: publication.Scheme, Algorithm: publication.Algorithm, OriginalLength: e.OriginalLength,
		}
		if e.Deflated {
			declared.Compression = "deflate"
		}
		for _, item := range res.items {
			item.SetEncryption(declared)
		}
	}
	return nil
}

// removeLCP removes what links declare of LCP, in the package or elsewhere.
func (r *resources) removeLCP() {
	for _, item := range r.items {
		if e, ok := item.Encryption(); ok && e.Scheme == publication.Scheme {
			item.RemoveEncryption()
		}
	}
}

func (r *resources) protectedByLCP() bool {
	for _, item := range r.items {
		if e, ok := item.Encryption(); ok && e.Scheme == publication.Scheme {
			return true
		}
	}
	return false
}

// encrypted returns what the manifest declares, by entry name. Resources that
// are not in the package are there too.
func (r *resources) encrypted() map[string]publication.Encrypted {
	all := make(map[string]publication.Encrypted)
	for name, res := range r.byName {
		for _, item := range res.items {
			e, ok := item.Encryption()
			if _, twice := all[name]; !ok || twice {
				continue
			}
			all[name] = publication.Encrypted{
				Name: name, Deflated: e.Compression == "deflate", OriginalLength: e.OriginalLength,
				Scheme: e.Scheme, Algorithm: e.Algorithm,
			}
		}
	}
	return all
}

// clear returns what is to stay readable besides the manifest: the covers, which
// the notes on PDF and audiobooks forbid to encrypt.
func (r *resources) clear(format publication.Format) map[string]bool {
	covers := make(map[string]bool)
	for name, res := range r.byName {
		if res.cover {
			covers[name] = format == publication.PDF || format == publication.Audiobook
		}
	}
	return covers
}

func (r *resources) warnings() []string {
	switch r.remote {
	case 0:
		return nil
	case 1:
		return []string{"one resource is not in the package but elsewhere, and stays as it is"}
	default:
		return []string{fmt.Sprintf("%d resources are not in the package but elsewhere, and stay as they are", r.remote)}
	}
}
