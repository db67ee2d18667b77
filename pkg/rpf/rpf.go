// Package rpf reads and makes Readium packages: ZIP archives with a manifest.json
// at their root, which hold audiobooks, comics (Divina), PDFs or other web
// publications. It also makes such packages of a comic archive (CBZ) and of a
// bare PDF.
//
// It decides which entries stay clear and how encryption is declared in the
// manifest; it encrypts nothing. Its rules are those of the Readium Packaging
// Format and the encryption module (readium/webpub-manifest) and of the notes
// "LCP for PDF" and "LCP for audiobooks".
package rpf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/rwpm"
	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
)

// ManifestName is the entry of a package that holds its manifest.
const ManifestName = "manifest.json"

// licenseName is the entry of a protected package that holds its license.
const licenseName = "license.lcpl"

// w3cContext tells a W3C publication manifest from a Readium one.
const w3cContext = "https://www.w3.org/ns/pub-context"

// Recognize reports whether the archive is a Readium package: one that has a
// manifest.json at its root, be it a broken one. That name is also common for
// the manifests of web applications and possible for W3C ones, which are told
// apart by their content.
func Recognize(a *archive.Reader) bool {
	if a.Lookup(ManifestName) == nil {
		return false
	}
	data, err := a.ReadFile(ManifestName, rwpm.MaxSize)
	if err != nil {
		return true
	}
	root, err := jsontree.Parse(data)
	if err != nil {
		return true
	}
	for _, context := range root.Get("@context").All() {
		if uri, _ := context.Text(); uri == w3cContext {
			return false
		}
	}
	return root.Get("metadata") != nil || root.Get("readingOrder") != nil || a.Lookup("publication.json") == nil
}

// Plan plans the protection of a clear package. It refuses one that is already
// protected, lists resources that it does not hold, or holds none that may be
// encrypted, with the errors of package publication.
func Plan(a *archive.Reader) (*publication.Plan, error) {
	doc, err := readManifest(a)
	if err != nil {
		return nil, err
	}
	return Build(a, doc, nil)
}

// Inspect tells what is in a package, protected or not.
func Inspect(a *archive.Reader) (*publication.Contents, error) {
	doc, err := readManifest(a)
	if err != nil {
		return nil, err
	}
	r := resolve(a, doc)
	kind, _ := r.kind(doc)
	c := &publication.Contents{
		Format:      kind.format,
		Source:      kind.source,
		Metadata:    describe(doc.Metadata()),
		Encrypted:   r.encrypted(),
		Clear:       r.clear(kind.format),
		License:     a.Lookup(licenseName),
		Declaration: ManifestName,
		MediaType:   r.mediaType,
		Warnings:    r.warnings(),
	}
	c.Protected = c.License != nil || r.protectedByLCP()
	c.Unprotect = func() ([]byte, error) {
		r.removeLCP()
		return doc.Bytes(), nil
	}
	if len(r.missing) > 0 {
		c.Warnings = append(c.Warnings, (&publication.MissingError{Names: r.missing}).Error())
	}
	return c, nil
}

func readManifest(a *archive.Reader) (*rwpm.Document, error) {
	if a.Lookup(ManifestName) == nil {
		return nil, fmt.Errorf("%w: %s is missing at the root of the package", publication.ErrInvalid, ManifestName)
	}
	data, err := a.ReadFile(ManifestName, rwpm.MaxSize)
	if err != nil {
		return nil, err
	}
	doc, err := rwpm.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", publication.ErrInvalid, ManifestName, err)
	}
	return doc, nil
}

// Build plans a package with the given manifest and the entries of a, without
// those that drop names and without the manifest and the license that a may
// have. The manifest belongs to the plan from then on. It serves formats that
// are converted to a Readium package; the errors are those of Plan.
func Build(a *archive.Reader, doc *rwpm.Document, drop func(name string) bool) (*publication.Plan, error) {
	r := resolve(a, doc)
	if err := r.check(a); err != nil {
		return nil, err
	}
	kind, declared := r.kind(doc)
	meta := doc.Metadata()
	p := &publication.Plan{
		Format:   kind.format,
		Source:   kind.source,
		Metadata: describe(meta),
		Parts:    []publication.Part{{Name: ManifestName, MediaType: "application/webpub+json", Clear: true, Declaration: true}},
		Warnings: r.warnings(),
	}
	for _, e := range a.Entries {
		if e.Name == ManifestName || drop != nil && drop(e.Name) {
			continue
		}
		p.Parts = append(p.Parts, r.part(e))
	}
	if !slices.ContainsFunc(p.Parts, func(part publication.Part) bool { return part.Encrypt() }) {
		return nil, publication.ErrNothing
	}
	p.Cover = r.cover()
	if p.Metadata.Title == "" {
		p.Warnings = append(p.Warnings, "the manifest gives no title")
	}
	if !declared && kind.profile != "" {
		doc.AddConformsTo(kind.profile)
	}
	if kind.format == publication.PDF && meta.NumberOfPages == 0 {
		p.Warnings = append(p.Warnings, "the manifest does not tell the number of pages, which LCP for PDF requires")
	}
	p.Declare = func(encrypted []publication.Encrypted) ([]byte, error) {
		if err := r.declare(encrypted); err != nil {
			return nil, err
		}
		return doc.Bytes(), nil
	}
	return p, nil
}

// describe gives what a manifest says of a publication in the terms of license
// servers.
func describe(m rwpm.Metadata) publication.Metadata {
	var language string
	if len(m.Languages) > 0 {
		language = m.Languages[0]
	}
	names := func(role rwpm.Role) []string {
		var list []string
		for _, c := range m.Contributors[role] {
			list = append(list, c.Name.In(language))
		}
		return list
	}
	p := publication.Metadata{
		Title:         m.Title.In(language),
		Authors:       names(rwpm.Author),
		Publishers:    names(rwpm.Publisher),
		Languages:     m.Languages,
		Subjects:      m.Subjects,
		Description:   m.Description,
		Published:     m.Published,
		NumberOfPages: m.NumberOfPages,
		Duration:      m.Duration.Float(),
	}
	if m.Identifier != "" {
		p.Identifiers = append(p.Identifiers, m.Identifier)
	}
	p.Identifiers = append(p.Identifiers, m.AltIdentifiers...)
	return p
}

// IsJunk reports whether operating systems leave files of that name in archives
// without anybody's intention.
func IsJunk(name string) bool {
	parts := strings.Split(strings.TrimSuffix(name, "/"), "/")
	last := parts[len(parts)-1]
	switch strings.ToLower(last) {
	case ".ds_store", "thumbs.db", "desktop.ini", "__macosx":
		return true
	}
	return strings.HasPrefix(last, "._") || parts[0] == "__MACOSX"
}
