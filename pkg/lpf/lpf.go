// Package lpf converts W3C publications in the Lightweight Packaging Format to
// Readium packages.
//
// It finds the publication manifest in the package, in publication.json or by
// way of the entry page, and turns it into a Readium manifest that says the
// same as far as that can: titles and names in several languages, contributors,
// durations, accessibility, the table of contents. The sources are the W3C
// documents "Lightweight Packaging Format", "Publication Manifest" and
// "Audiobooks". What becomes of the package then is up to package rpf.
package lpf

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/rpf"
	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
)

const (
	manifestName  = "publication.json"
	entryPageName = "index.html"
	pubContext    = "https://www.w3.org/ns/pub-context"
)

// Recognize reports whether the archive is a W3C publication: one with a
// publication.json at its root, be it a broken one, or with an entry page that
// links to a publication manifest or embeds one. One whose manifest bears the
// name of a Readium one is recognized too, so that Plan can tell what is wrong.
func Recognize(a *archive.Reader) bool {
	if a.Lookup(manifestName) != nil {
		return true
	}
	if data, err := a.ReadFile(rpf.ManifestName, jsontree.MaxSize); err == nil {
		if manifest, err := jsontree.Parse(data); err == nil && hasPubContext(manifest) {
			return true
		}
	}
	page, err := readPage(a, entryPageName)
	return err == nil && page != nil && (publicationLink(page) != nil || embeddedManifest(page, "") != nil)
}

// Plan plans the Readium package that a W3C publication becomes. name is its
// title if neither the manifest nor the entry page has one. The manifest is not
// carried over; the entry page is, encrypted where the manifest lists it. The
// errors are those of package publication.
func Plan(a *archive.Reader, name string) (*publication.Plan, error) {
	src, err := findManifest(a)
	if err != nil {
		return nil, err
	}
	c := newConverter(a, src)
	manifest, err := c.convert(name)
	if err != nil {
		return nil, err
	}
	if c.listed[rpf.ManifestName] {
		return nil, fmt.Errorf("%w: it lists a resource named %s, which is the name of a Readium package's manifest",
			publication.ErrInvalid, rpf.ManifestName)
	}
	p, err := rpf.Build(a, manifest.Document(), func(name string) bool {
		return !c.listed[name] && (name == src.entry || rpf.IsJunk(name))
	})
	if err != nil {
		return nil, err
	}
	p.Source = "W3C publication (LPF)"
	if e := a.Lookup(rpf.ManifestName); e != nil && e.Name != src.entry {
		c.warn("%s, which the publication does not list, gives way to the Readium manifest", rpf.ManifestName)
	}
	p.Warnings = append(c.warnings, p.Warnings...)
	return p, nil
}

// A source is a publication manifest as it was found.
type source struct {
	manifest *jsontree.Value
	base     string     // name of the entry that its URLs are relative to
	entry    string     // that holds the manifest and nothing else, or empty
	page     *html.Node // the entry page, or nil
}

// findManifest obtains the manifest (LPF, "Obtaining a Publication Manifest").
func findManifest(a *archive.Reader) (*source, error) {
	page, err := readPage(a, entryPageName)
	if err != nil {
		return nil, err
	}
	if e := a.Lookup(manifestName); e != nil {
		return readSource(e, page)
	}
	if page == nil {
		return nil, noManifest("neither " + manifestName + " nor an entry page (" + entryPageName + ") is at the root of the package")
	}
	link := publicationLink(page)
	href := strings.TrimSpace(attribute(link, "href"))
	target, id, _ := strings.Cut(href, "#")
	switch entry := findEntry(a, entryPageName, href); {
	case link == nil, target == "" && id != "", entry != nil && entry.Name == entryPageName:
		return embeddedSource(page, id)
	case entry != nil:
		return readSource(entry, page)
	case href == "":
		return nil, noManifest(entryPageName + " has a link to the manifest that is empty")
	default:
		return nil, noManifest(fmt.Sprintf("%s links to a manifest %q that is not in the package", entryPageName, href))
	}
}

func noManifest(reason string) error {
	return fmt.Errorf("%w: the publication manifest is missing: %s", publication.ErrInvalid, reason)
}

func readSource(e *archive.Entry, page *html.Node) (*source, error) {
	data, err := e.ReadAll(jsontree.MaxSize)
	if err != nil {
		return nil, err
	}
	manifest, err := parseManifest(data, e.Name)
	if err != nil {
		return nil, err
	}
	return &source{manifest: manifest, base: e.Name, entry: e.Name, page: page}, nil
}

func embeddedSource(page *html.Node, id string) (*source, error) {
	script := embeddedManifest(page, id)
	if script == nil {
		return nil, noManifest(entryPageName + " neither links to one nor embeds one")
	}
	manifest, err := parseManifest([]byte(childText(script)), entryPageName)
	if err != nil {
		return nil, err
	}
	return &source{manifest: manifest, base: baseOf(page, entryPageName), page: page}, nil
}

func parseManifest(data []byte, where string) (*jsontree.Value, error) {
	manifest, err := jsontree.Parse(data)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %s: %w", publication.ErrInvalid, where, err)
	case manifest.Kind() != jsontree.Object:
		return nil, fmt.Errorf("%w: %s: the publication manifest is not a JSON object", publication.ErrInvalid, where)
	}
	return manifest, nil
}

func hasPubContext(manifest *jsontree.Value) bool {
	return slices.Contains(strs(manifest.Get("@context")), pubContext)
}
