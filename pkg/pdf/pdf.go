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
	"bytes"
	"context"
	"errors"
	"fmt"
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
	file     *file
	pages    int
	first    page
	info     Info
	warnings []string
}

// Open reads the structure and the metadata of the PDF of size bytes in r. It
// returns an error that wraps ErrNotPDF, ErrEncrypted or ErrDamaged for what
// cannot be protected, the reader's own error when it fails, and ctx.Err() once
// ctx is done. It closes nothing.
func Open(ctx context.Context, r io.ReaderAt, size int64) (*Document, error) {
	src := &source{r: r}
	d, err := open(ctx, src, size)
	switch {
	case src.err != nil:
		return nil, fmt.Errorf("read PDF: %w", src.err)
	case err == nil:
		return d, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, ErrNotPDF), errors.Is(err, ErrEncrypted):
		return nil, err
	default:
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
}

// Pages returns the number of pages, at least 1.
func (d *Document) Pages() int { return d.pages }

// Info returns the metadata. The slices belong to the document.
func (d *Document) Info() Info { return d.info }

// Warnings returns what is wrong with the document though it can be read, one
// line each.
func (d *Document) Warnings() []string { return slices.Clone(d.warnings) }

func (d *Document) warn(format string, args ...any) {
	d.warnings = append(d.warnings, fmt.Sprintf(format, args...))
}

// headerSize is where readers look for the header (Adobe's implementation note
// 13 to PDF 1.7).
const headerSize = 1024

// open reads the document by its cross-reference, and failing that by a search
// for its objects.
func open(ctx context.Context, src io.ReaderAt, size int64) (*Document, error) {
	head := make([]byte, max(0, min(size, headerSize)))
	n, _ := src.ReadAt(head, 0)
	start := bytes.Index(head[:n], []byte("%PDF-"))
	switch {
	case size == 0:
		return nil, fmt.Errorf("%w: the file is empty", ErrNotPDF)
	case start < 0:
		return nil, fmt.Errorf("%w: there is no %%PDF- in its first %d bytes", ErrNotPDF, headerSize)
	}
	d, err := openByXRef(ctx, src, size)
	if start > 0 && hopeful(ctx, err) { // offsets may count from the header instead
		shifted := io.NewSectionReader(src, int64(start), size-int64(start))
		if e, err2 := openByXRef(ctx, shifted, shifted.Size()); err2 == nil || errors.Is(err2, ErrEncrypted) {
			d, err = e, err2
		}
	}
	if hopeful(ctx, err) {
		d, err = openBySearch(ctx, src, size, err)
	}
	if err == nil && start > 0 {
		d.warn("%d bytes stand before the header", start)
	}
	return d, err
}

// hopeful reports whether another way of reading may succeed after err.
func hopeful(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() == nil && !errors.Is(err, ErrEncrypted) && !errors.Is(err, errTooMuchWork)
}

// trailingAllowed is how much may follow the document without a word: mail and
// download programs leave some bytes.
const trailingAllowed = 1024

func openByXRef(ctx context.Context, r io.ReaderAt, size int64) (*Document, error) {
	d := &Document{file: &file{r: r, size: size}}
	trailing, err := d.file.readXRef(ctx)
	if err != nil {
		return nil, err
	}
	if trailing > trailingAllowed {
		d.warn("%d bytes follow the document", trailing)
	}
	return d, d.read(ctx, false)
}

// openBySearch opens a document whose cross-reference failed for that cause.
func openBySearch(ctx context.Context, r io.ReaderAt, size int64, cause error) (*Document, error) {
	d := &Document{}
	var err error
	if d.file, err = searchFile(ctx, r, size); err == nil {
		err = d.read(ctx, true)
	}
	switch {
	case err == nil:
		d.warn("the cross-reference is damaged and was rebuilt: %v", cause)
		return d, nil
	case errors.Is(err, ErrEncrypted):
		return nil, err
	case err.Error() == cause.Error():
		return nil, cause
	default:
		return nil, fmt.Errorf("%w; a search for its objects does not help: %w", cause, err)
	}
}

// read checks the document and reads its metadata. A rebuilt document must be
// whole, since nothing else tells that the end of the file is there.
func (d *Document) read(ctx context.Context, rebuilt bool) error {
	f := d.file
	if err := f.checkEncryption(ctx); err != nil {
		return err
	}
	root, err := f.get(ctx, f.trailer, "Root")
	if err != nil {
		return err
	}
	catalog, ok := root.(dict)
	if !ok {
		return errors.New("its catalog is missing")
	}
	if err := d.readPages(ctx, catalog, rebuilt); err != nil {
		return err
	}
	return d.readInfo(ctx, catalog, rebuilt)
}
