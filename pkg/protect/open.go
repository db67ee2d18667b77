// Package protect turns publications into protected ones and back. It
// recognizes what a file is by its content, has the format plan what stays
// clear, and runs the one encryption pipeline over the plan. It also verifies,
// inspects and decrypts what was protected.
//
// It knows files, formats and the content key. It does not know licenses,
// stores, servers or commands.
package protect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/epub"
	"github.com/lcp-tools/lcp/pkg/lpf"
	"github.com/lcp-tools/lcp/pkg/pdf"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/rpf"
)

// ErrChanged is returned when a file was written to while it was read.
var ErrChanged = errors.New("the file changed while it was read")

// A Source is an opened publication file and the plan to protect it. Close it
// after the plan was executed.
type Source struct {
	Plan *publication.Plan

	file File
}

// A File is what a publication is read from, wherever that is.
type File interface {
	io.ReaderAt
	io.Closer
	Name() string   // its last part, without extension, may have to serve as a title
	Size() int64    // bytes
	Changed() error // ErrChanged if it is not what was opened any more
}

// A localFile is a regular file on this machine.
type localFile struct {
	*os.File
	info os.FileInfo
}

func (f localFile) Size() int64 { return f.info.Size() }

func (f localFile) Changed() error {
	now, err := f.Stat()
	if err != nil {
		return err
	}
	if now.Size() != f.info.Size() || !now.ModTime().Equal(f.info.ModTime()) {
		return ErrChanged
	}
	return nil
}

// Recognition has what recognizing some formats needs from outside.
type Recognition struct {
	// Renderer is the path of pdftoppm, which draws the covers of PDFs that
	// have no image on their first page; empty for none.
	Renderer string
}

// Open recognizes the publication in the named file by its content and plans its
// protection. The errors wrap those of the publication, archive and pdf packages.
func (rec Recognition) Open(ctx context.Context, name string) (*Source, error) {
	f, info, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	return rec.OpenFile(ctx, localFile{f, info})
}

// OpenFile is Open for a file that is open. It closes the file if it fails; else
// closing the source does.
func (rec Recognition) OpenFile(ctx context.Context, f File) (*Source, error) {
	plan, err := rec.plan(ctx, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	plan.Metadata.Title = cmp.Or(plan.Metadata.Title, baseName(f.Name()))
	if w := extensionWarning(f.Name(), plan); w != "" {
		plan.Warnings = append(plan.Warnings, w)
	}
	return &Source{Plan: plan, file: f}, nil
}

// Size returns the length in bytes of the file.
func (s *Source) Size() int64 { return s.file.Size() }

// Changed returns ErrChanged if the file is not the one that was opened any more.
func (s *Source) Changed() error { return s.file.Changed() }

// Close closes the file.
func (s *Source) Close() error { return s.file.Close() }

var errNotRegular = errors.New("not a regular file")

// openRegular opens a file that can be read at any offset, and refuses folders,
// pipes and devices.
func openRegular(name string) (*os.File, os.FileInfo, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, nil, errNotRegular // opening a pipe would wait for its writer
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, pathless(err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		err = pathless(err)
	case !info.Mode().IsRegular():
		err = errNotRegular
	case info.Size() == 0:
		err = archive.ErrEmpty
	default:
		return f, info, nil
	}
	f.Close()
	return nil, nil, err
}

// pathless takes the path off an error: callers name the file themselves.
func pathless(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return fmt.Errorf("%s: %w", pe.Op, pe.Err)
	}
	return err
}

// plan recognizes the format: a PDF by its header, everything else by the names
// in its ZIP directory.
func (rec Recognition) plan(ctx context.Context, f File) (*publication.Plan, error) {
	isPDF, err := hasPDFHeader(f)
	if err != nil {
		return nil, err
	}
	if isPDF {
		return rec.planPDF(ctx, f)
	}
	a, err := openArchive(f, f.Size())
	if err != nil {
		return nil, err
	}
	switch {
	case epub.Recognize(a):
		return epub.Plan(a)
	case rpf.Recognize(a):
		return rpf.Plan(a)
	case lpf.Recognize(a):
		return lpf.Plan(a, baseName(f.Name()))
	case isComic(a):
		return rpf.PlanComic(a, baseName(f.Name()))
	default:
		return nil, unknownPackage(a, f.Name())
	}
}

// openArchive reads the ZIP directory. What is no ZIP at all is of an unknown
// format, unless it is called by the name of one.
func openArchive(f io.ReaderAt, size int64) (*archive.Reader, error) {
	a, err := archive.NewReader(f, size)
	if errors.Is(err, archive.ErrNotZIP) {
		return nil, fmt.Errorf("%w: neither a ZIP archive nor a PDF", publication.ErrUnknownFormat)
	}
	return a, err
}

// hasPDFHeader looks for %PDF- in the first KiB, where PDF readers accept it
// (ISO 32000-1 annex H.3.4.1), unless the file begins as a ZIP archive does.
func hasPDFHeader(r io.ReaderAt) (bool, error) {
	head := make([]byte, 1024)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, pathless(err)
	}
	text := string(head[:n])
	return !strings.HasPrefix(text, "PK") && strings.Contains(text, "%PDF-"), nil
}

func (rec Recognition) planPDF(ctx context.Context, f File) (*publication.Plan, error) {
	doc, err := pdf.Open(ctx, f, f.Size())
	if err != nil {
		return nil, err
	}
	cover, mediaType, coverErr := rec.pdfCover(ctx, doc, f)
	plan, err := rpf.PlanPDF(io.NewSectionReader(f, 0, f.Size()), describePDF(doc, cover, mediaType), baseName(f.Name()))
	if err != nil {
		return nil, err
	}
	plan.Warnings = append(plan.Warnings, doc.Warnings()...)
	if coverErr != nil {
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("no cover: %v", coverErr))
	}
	return plan, ctx.Err()
}

// describePDF puts what the PDF says of itself into the terms of a publication.
func describePDF(doc *pdf.Document, cover []byte, coverType string) rpf.PDF {
	about := doc.Info()
	d := rpf.PDF{
		Metadata: publication.Metadata{
			Title: about.Title, Authors: about.Authors, Publishers: about.Publishers, Languages: about.Languages,
			Identifiers: about.Identifiers, Subjects: about.Keywords, Description: about.Description,
			NumberOfPages: doc.Pages(),
		},
		Cover: cover, CoverType: coverType,
	}
	if !about.Created.IsZero() {
		d.Metadata.Published = about.Created.Format(time.DateOnly)
	}
	if !about.Modified.IsZero() {
		d.Modified = about.Modified.Format(time.RFC3339)
	}
	return d
}

// pdfCover takes the image that fills the first page, or has the page drawn.
func (rec Recognition) pdfCover(ctx context.Context, doc *pdf.Document, f File) ([]byte, string, error) {
	cover, mediaType, err := doc.Cover(ctx)
	if err == nil {
		return cover, mediaType, nil
	}
	if rec.Renderer == "" {
		return nil, "", fmt.Errorf("%w, and pdftoppm is not installed to draw it", err)
	}
	local, ok := f.(localFile)
	if !ok {
		return nil, "", fmt.Errorf("%w, and only files on this machine are drawn", err)
	}
	cover, err = pdf.RenderCover(ctx, rec.Renderer, local.Name())
	if err != nil {
		return nil, "", err
	}
	return cover, "image/jpeg", nil
}

// isComic reports whether the archive holds images and hardly anything else: a
// comic archive has no manifest to be known by.
func isComic(a *archive.Reader) bool {
	images := 0
	for _, e := range a.Entries {
		base := path.Base(e.Name)
		if e.IsDir() || strings.HasPrefix(e.Name, "__MACOSX/") || strings.HasPrefix(base, ".") {
			continue
		}
		mediaType := publication.MediaTypeByName(e.Name)
		switch {
		case strings.HasPrefix(mediaType, "image/"):
			images++
		case mediaType == "" || strings.HasPrefix(mediaType, "text/plain") || mediaType == "application/xml" || mediaType == "application/json":
			// ComicInfo.xml, Thumbs.db, release notes
		default:
			return false
		}
	}
	return images > 0
}

// unknownPackage says what is missing, going by the name the file has.
func unknownPackage(a *archive.Reader, name string) error {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".epub":
		return fmt.Errorf("%w: META-INF/container.xml is missing", publication.ErrInvalid)
	case ".audiobook", ".lcpa", ".lcpau", ".divina", ".lcpdi", ".lcpdf", ".webpub", ".rpf":
		return fmt.Errorf("%w: manifest.json is missing", publication.ErrInvalid)
	case ".lpf":
		return fmt.Errorf("%w: the publication manifest is missing: neither publication.json nor index.html", publication.ErrInvalid)
	case ".cbz":
		return fmt.Errorf("%w: it holds no images, or other things than images", publication.ErrInvalid)
	}
	if len(a.Entries) == 0 {
		return fmt.Errorf("%w: an empty ZIP archive", publication.ErrUnknownFormat)
	}
	return fmt.Errorf("%w: a ZIP archive without META-INF/container.xml, manifest.json or publication.json", publication.ErrUnknownFormat)
}

// extensionWarning tells when an EPUB or a PDF is called something else, or
// something else is called one of them. The extensions of packages are used too
// loosely to say anything.
func extensionWarning(name string, plan *publication.Plan) string {
	ext := strings.ToLower(filepath.Ext(name))
	named := ext == ".epub" || ext == ".pdf"
	switch {
	case plan.Format == publication.EPUB && ext == ".epub", plan.Format == publication.PDF && ext == ".pdf":
		return ""
	case named, plan.Format == publication.EPUB && ext != "" && ext != ".zip":
		return fmt.Sprintf("the file is named %s but its content is %s", ext, plan.Source)
	default:
		return ""
	}
}

// baseName is a file's name without folder and extension.
func baseName(name string) string {
	base := filepath.Base(name)
	return strings.TrimSuffix(base, filepath.Ext(base))
}
