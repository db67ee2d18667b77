// Package publication holds the terms that formats and the encryption pipeline
// share: what a publication says of itself, and the plan by which its package
// is written again in protected form.
//
// A format reads a package and returns a Plan: which entries there are, in what
// order, which stay clear, and how encryption is declared. It encrypts nothing.
// The pipeline executes a plan and knows nothing of formats.
package publication

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/lcp-tools/lcp/pkg/archive"
)

// Scheme identifies LCP where a manifest or encryption.xml declares encryption.
const Scheme = "http://readium.org/2014/01/lcp"

// Algorithm is the URI of the cipher that LCP uses for resources (LCP §6.3).
const Algorithm = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"

// Reasons to refuse a publication. They come wrapped with the particulars.
var (
	ErrUnknownFormat = errors.New("unknown publication format")
	ErrProtectedLCP  = errors.New("already protected with LCP")
	ErrProtected     = errors.New("already protected by another scheme")
	ErrInvalid       = errors.New("invalid publication")
	ErrNothing       = errors.New("nothing to protect: the publication has no local resource that may be encrypted")
)

// A Format is a kind of protected publication.
type Format struct {
	Name      string // short name, as license servers use it in searches
	Extension string // of protected publications, with the dot
	MediaType string // of protected publications
	License   string // path of an embedded license document within the package
}

// The formats of protected publications (LCP §3.2; "LCP for PDF" and "LCP for
// audiobooks"; the others by the same pattern).
var (
	EPUB      = Format{"epub", ".epub", "application/epub+zip", "META-INF/license.lcpl"}
	PDF       = Format{"lcpdf", ".lcpdf", "application/pdf+lcp", "license.lcpl"}
	Audiobook = Format{"lcpa", ".lcpa", "application/audiobook+lcp", "license.lcpl"}
	Divina    = Format{"lcpdi", ".lcpdi", "application/divina+lcp", "license.lcpl"}
	WebPub    = Format{"webpub", ".webpub", "application/webpub+lcp", "license.lcpl"}
)

// Metadata is what a publication says of itself, as far as license servers and
// catalogues want to know. Fields that the publication lacks are empty.
type Metadata struct {
	Title         string
	Identifiers   []string
	Authors       []string
	Publishers    []string
	Languages     []string // BCP 47
	Subjects      []string
	Description   string // plain text or HTML, as found
	Published     string // a date as found, usually ISO 8601
	NumberOfPages int
	Duration      float64 // seconds
	CoverURL      string  // of a cover image that is published already
}

// A Plan says how a publication is written in protected form.
type Plan struct {
	Format   Format
	Source   string // what the input was recognized as, such as "EPUB 3" or "CBZ"
	Metadata Metadata
	Parts    []Part   // entries of the protected package in their order
	Cover    *Cover   // nil if the publication has none
	Warnings []string // what was odd and accepted nevertheless

	// Declare returns the data of the part marked Declaration, which declares
	// to readers what is encrypted: encryption.xml or the manifest.
	Declare func(encrypted []Encrypted) ([]byte, error)
}

// A Part is one entry of the package to be written. Its bytes come from exactly
// one of Entry, File and Data; those of the declaration from Plan.Declare.
type Part struct {
	Name        string // in the protected package
	MediaType   string // empty if unknown
	Clear       bool   // must stay readable without a license
	Declaration bool   // is made by Plan.Declare; always clear
	Stored      bool   // must not be compressed, clear or not (an EPUB's mimetype)

	Entry *archive.Entry    // an entry of the source
	File  *io.SectionReader // a file that becomes an entry (a PDF)
	Data  []byte            // bytes made by the format
}

// Size returns the length in bytes of the part before compression and
// encryption.
func (p *Part) Size() int64 {
	switch {
	case p.Entry != nil:
		return p.Entry.Size
	case p.File != nil:
		return p.File.Size()
	default:
		return int64(len(p.Data))
	}
}

// Open returns the part's bytes, verified where the source has a checksum.
func (p *Part) Open() (io.ReadCloser, error) {
	switch {
	case p.Entry != nil:
		return p.Entry.Open()
	case p.File != nil:
		return io.NopCloser(io.NewSectionReader(p.File, 0, p.File.Size())), nil
	default:
		return io.NopCloser(bytes.NewReader(p.Data)), nil
	}
}

// Encrypt reports whether the part is to be encrypted. Empty resources and
// folders stay clear: readers disagree about how an empty one is encrypted.
func (p *Part) Encrypt() bool {
	return !p.Clear && !p.Declaration && p.Size() > 0
}

// Compress reports whether the part's bytes are deflated before encryption.
func (p *Part) Compress() bool { return !p.Stored && !IsCodec(p.MediaType, p.Name) }

// Encrypted declares one encrypted resource.
type Encrypted struct {
	Name           string // of the entry
	Deflated       bool   // the plaintext is a deflate stream
	OriginalLength int64  // bytes before compression and encryption; -1 if not declared
	Scheme         string // Scheme, another one's URI, or empty
	Algorithm      string
}

// A Cover is a cover image.
type Cover struct {
	MediaType string
	Part      Part // where its bytes are
}

// Contents is what is found in a package, protected or not.
type Contents struct {
	Format    Format // as a protected publication, whether it is one or not
	Source    string // such as "EPUB 3"
	Metadata  Metadata
	Protected bool                 // by LCP
	Encrypted map[string]Encrypted // by entry name; obfuscated fonts included
	// Clear has the names of entries that are to stay readable without a license:
	// true where a specification forbids to encrypt them, false where readers do
	// better without.
	Clear   map[string]bool
	License *archive.Entry // embedded license, nil if there is none
	// Declaration is the name of the entry that declares encryption.
	Declaration string
	// Unprotect returns the declaration without anything of LCP, or nil data
	// where the entry is to be left out.
	Unprotect func() ([]byte, error)
	// MediaType gives the type declared for an entry, or "".
	MediaType func(name string) string
	Warnings  []string
}

// A MissingError names resources that a publication lists and does not hold.
type MissingError struct{ Names []string }

func (e *MissingError) Error() string {
	const shown = 5
	if len(e.Names) > shown {
		return fmt.Sprintf("missing resources: %q and %d more", e.Names[:shown], len(e.Names)-shown)
	}
	return fmt.Sprintf("missing resources: %q", e.Names)
}

// Unwrap makes the error one of ErrInvalid.
func (e *MissingError) Unwrap() error { return ErrInvalid }
