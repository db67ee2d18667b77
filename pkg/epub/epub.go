// Package epub reads EPUB publications, 2 and 3: which resources must stay
// readable without a license, what the publication says of itself, and how
// META-INF/encryption.xml declares what is encrypted.
//
// It encrypts nothing and knows neither keys nor licenses. Its rules come from
// LCP 1.0 §2 and §7.1, EPUB Open Container Format 3.3 §4, EPUB Packages 3.3 §5
// and OPF 2.0.1 §2. Books are taken as they are: what reading systems accept
// is accepted, with a warning where the output differs.
package epub

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/publication"
)

// mimetype is the content of the first entry (OCF 3.3 §4.2.7).
const mimetype = "application/epub+zip"

// Recognize reports whether an archive is an EPUB, sound or not.
func Recognize(a *archive.Reader) bool {
	if a.Lookup(containerName) != nil {
		return true
	}
	data, err := a.ReadFile(mimetypeName, maxMimetype)
	return err == nil && trimMimetype(data) == mimetype
}

func trimMimetype(data []byte) string {
	return string(bytes.TrimSpace(bytes.TrimPrefix(data, []byte(byteOrderMark))))
}

// Plan says how the EPUB is written in protected form. It refuses, with errors
// of package publication, one that is protected already, one without container
// or package documents, and one whose manifests name entries that are not
// there; with errors of package archive, one whose documents are damaged.
func Plan(a *archive.Reader) (*publication.Plan, error) {
	enc, err := readEncryption(a)
	if err != nil {
		return nil, err
	}
	if err := checkProtection(a, enc); err != nil {
		return nil, err
	}
	b, err := readBook(a, enc)
	if err != nil {
		return nil, err
	}
	if len(b.missing) > 0 {
		return nil, &publication.MissingError{Names: b.missing}
	}
	if err := b.checkMimetype(); err != nil {
		return nil, err
	}
	if a.Lookup(signaturesName) != nil {
		b.warnf("the signatures in %s do not hold for the protected publication", signaturesName)
	}
	plan := &publication.Plan{
		Format:   publication.EPUB,
		Source:   b.packages[0].source(),
		Metadata: b.packages[0].metadata(),
		Parts:    b.parts(),
		Cover:    b.cover(),
		Warnings: b.warnings,
		Declare: func(encrypted []publication.Encrypted) ([]byte, error) {
			return enc.declare(encrypted, b.refer), nil
		},
	}
	if !slices.ContainsFunc(plan.Parts, func(p publication.Part) bool { return p.Encrypt() }) {
		return nil, publication.ErrNothing
	}
	return plan, nil
}

// Inspect tells what is in an EPUB, protected or not. What Plan refuses in a
// clear one for the sake of readers is a warning here.
func Inspect(a *archive.Reader) (*publication.Contents, error) {
	enc, err := readEncryption(a)
	if err != nil {
		return nil, err
	}
	b, err := readBook(a, enc)
	if err != nil {
		return nil, err
	}
	if len(b.missing) > 0 {
		b.warnings = append(b.warnings, (&publication.MissingError{Names: b.missing}).Error())
	}
	c := &publication.Contents{
		Format:      publication.EPUB,
		Source:      b.packages[0].source(),
		Metadata:    b.packages[0].metadata(),
		License:     a.Lookup(licenseName),
		Encrypted:   make(map[string]publication.Encrypted, len(enc.data)),
		Clear:       b.clear,
		Declaration: encryptionName,
		Unprotect:   func() ([]byte, error) { return enc.withoutLCP(), nil },
		MediaType:   func(name string) string { return b.mediaTypes[name] },
		Warnings:    b.warnings,
	}
	c.Protected = c.License != nil
	for i := range enc.data {
		e := enc.data[i].encrypted(a)
		c.Protected = c.Protected || e.Scheme == publication.Scheme
		if c.Encrypted[e.Name].Scheme == "" { // obfuscated, then encrypted: LCP is the outer one
			c.Encrypted[e.Name] = e
		}
	}
	return c, nil
}

// A book is an EPUB whose documents have been read.
type book struct {
	archive    *archive.Reader
	packages   []*packageDocument // the default rendition comes first
	clear      map[string]bool    // entries that stay readable; true for those of LCP §2.1
	listed     map[string]bool    // entries that encryption.xml lists, which stay as they are
	mediaTypes map[string]string  // of entries, by the manifests
	references map[string]string  // to entries, as the manifests spell them
	missing    []string           // names that manifests list
	warnings   []string
}

func (b *book) warnf(format string, args ...any) {
	b.warnings = append(b.warnings, fmt.Sprintf(format, args...))
}

func readBook(a *archive.Reader, enc *encryptionDocument) (*book, error) {
	b := &book{
		archive:    a,
		clear:      make(map[string]bool),
		listed:     make(map[string]bool),
		mediaTypes: make(map[string]string),
		references: make(map[string]string),
	}
	if err := b.readRootfiles(); err != nil {
		return nil, err
	}
	for _, p := range b.packages {
		b.readManifest(p)
	}
	for i := range enc.data {
		if e, _ := enc.data[i].entry(a); e != nil {
			b.listed[e.Name] = true
		}
	}
	for _, e := range a.Entries {
		if e.Name == mimetypeName || strings.HasPrefix(e.Name, metaInf) {
			b.keep(e, isReserved(e.Name))
		}
	}
	return b, nil
}

// keep has an entry stay readable, because LCP §2.1 forbids to encrypt it or for
// the sake of readers.
func (b *book) keep(e *archive.Entry, forbidden bool) {
	b.clear[e.Name] = b.clear[e.Name] || forbidden
}

func (b *book) readRootfiles() error {
	rootfiles, err := readContainer(b.archive)
	if err != nil {
		return err
	}
	for _, r := range rootfiles {
		e := findRootfile(b.archive, r.path)
		if e == nil {
			return fmt.Errorf("%w: %s names the package document %q, which is missing", publication.ErrInvalid, containerName, r.path)
		}
		if b.clear[e.Name] {
			continue // named twice
		}
		b.keep(e, true)
		if !r.isPackage() {
			b.mediaTypes[e.Name] = r.mediaType
			b.warnf("the rendition %q (%s) stays clear", e.Name, r.mediaType)
			continue
		}
		b.mediaTypes[e.Name] = packageType
		doc, err := readXML(b.archive, e.Name, maxPackage)
		if err != nil {
			return err
		}
		p, err := parsePackage(e.Name, doc)
		if err != nil {
			return err
		}
		b.packages = append(b.packages, p)
	}
	if len(b.packages) == 0 {
		return fmt.Errorf("%w: %s names no package document", publication.ErrInvalid, containerName)
	}
	return nil
}

// readManifest finds the entries of the items, and those that stay clear.
func (b *book) readManifest(p *packageDocument) {
	keep := make(map[string]bool)
	for _, id := range p.clearIDs {
		keep[id] = true
	}
	missing := make(map[string]bool)
	dir := folder(p.name)
	for i := range p.items {
		it := &p.items[i]
		e, name := find(b.archive, dir, it.href)
		if e == nil {
			if trimURL(it.href) != "" && !isRemote(it.href) && !missing[name] {
				missing[name] = true
				b.missing = append(b.missing, name)
			}
			continue
		}
		if b.mediaTypes[e.Name] == "" {
			b.mediaTypes[e.Name] = it.mediaType
		}
		if b.references[e.Name] == "" {
			b.references[e.Name] = reference(e.Name, dir, it.href)
		}
		if it.mustStayClear() || it.mediaType == pageMapType || it.id != "" && keep[it.id] {
			b.keep(e, it.mustStayClear())
		}
	}
	for _, e := range b.metaCovers(p) {
		b.keep(e, false)
	}
}

// metaCovers finds the cover images that <meta name="cover"> names by the id of
// their item (OPF 2.0 has it by convention only), or by mistake with their
// href. A page that shows the cover is no cover image.
func (b *book) metaCovers(p *packageDocument) []*archive.Entry {
	if len(p.metaCovers) == 0 {
		return nil
	}
	hrefs := make(map[string]string, len(p.items))
	for _, it := range p.items {
		hrefs[it.id] = it.href
	}
	var covers []*archive.Entry
	for _, content := range p.metaCovers {
		href, ok := hrefs[content]
		if !ok {
			href = content
		}
		covers = append(covers, b.image(p, href)...)
	}
	return covers
}

// image finds the image that a package document refers to, if it is one.
func (b *book) image(p *packageDocument, href string) []*archive.Entry {
	e, _ := find(b.archive, folder(p.name), href)
	if e == nil || !strings.HasPrefix(b.mediaType(e.Name), "image/") {
		return nil
	}
	return []*archive.Entry{e}
}

func (b *book) mediaType(name string) string {
	if t := b.mediaTypes[name]; t != "" {
		return t
	}
	return publication.MediaTypeByName(name)
}

// cover finds the cover image. Where none is declared, an image that the guide
// calls the cover serves, though it is not left clear.
func (b *book) cover() *publication.Cover {
	for _, p := range b.packages {
		var images []*archive.Entry
		for i := range p.items {
			if p.items[i].has("cover-image") {
				images = append(images, b.image(p, p.items[i].href)...)
			}
		}
		images = append(images, b.metaCovers(p)...)
		for _, href := range p.guideCovers {
			images = append(images, b.image(p, href)...)
		}
		if len(images) > 0 {
			return &publication.Cover{MediaType: b.mediaType(images[0].Name), Part: b.part(images[0])}
		}
	}
	return nil
}

// checkMimetype warns of a mimetype that is not where and as it should be.
// Readers that find it amiss may refuse the book, so it is written anew.
func (b *book) checkMimetype() error {
	e := b.archive.Lookup(mimetypeName)
	if e == nil {
		b.warnf("the entry %s is missing: added", mimetypeName)
		return nil
	}
	data, err := e.ReadAll(maxMimetype)
	if err != nil {
		return err
	}
	var faults []string
	if b.archive.Entries[0] != e {
		faults = append(faults, "is not the first entry")
	}
	if e.Method != archive.Store {
		faults = append(faults, "is compressed")
	}
	if text := trimMimetype(data); text != mimetype {
		faults = append(faults, fmt.Sprintf("says %.64q", text))
	}
	if faults != nil {
		b.warnf("the entry %s %s: corrected", mimetypeName, strings.Join(faults, ", "))
	}
	return nil
}

// parts gives the entries of the output. The documents that tell what the
// package is come first, so that a reader of a stream knows early.
func (b *book) parts() []publication.Part {
	parts := make([]publication.Part, 0, len(b.archive.Entries)+2)
	parts = append(parts, publication.Part{Name: mimetypeName, Clear: true, Stored: true, Data: []byte(mimetype)})
	container := b.archive.Lookup(containerName)
	parts = append(parts,
		b.part(container),
		publication.Part{Name: encryptionName, MediaType: "application/xml", Clear: true, Declaration: true})
	for _, e := range b.archive.Entries {
		if e != container && e.Name != mimetypeName && e.Name != encryptionName {
			parts = append(parts, b.part(e))
		}
	}
	return parts
}

func (b *book) part(e *archive.Entry) publication.Part {
	_, clear := b.clear[e.Name]
	return publication.Part{Name: e.Name, MediaType: b.mediaTypes[e.Name], Clear: clear || b.listed[e.Name], Entry: e}
}

// refer returns the reference to an entry in encryption.xml.
func (b *book) refer(name string) string {
	if r := b.references[name]; r != "" {
		return r
	}
	return escape(name)
}
