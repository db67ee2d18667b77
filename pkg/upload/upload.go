// Package upload puts files that are ready, such as publications protected
// before, into the store that readers download from. A file that is there
// already is not sent again.
//
// It does not look into files: their extension tells their media type.
package upload

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime"
	"os"
	"path/filepath"
	"strings"

	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/publication"
)

// ErrChanged is returned for a file that changed while it was read.
var ErrChanged = errors.New("the file changed while it was read")

// An Item is a file and the name it is to have in the store.
type Item struct {
	Path string
	Name string
}

// Plan names each file as it is called in its folder. It refuses names that the
// store could not have, and two files that would have the same, with all reasons
// at once.
func Plan(paths []string) ([]Item, error) {
	items := make([]Item, 0, len(paths))
	taken := map[string]string{}
	var errs []error
	for _, path := range paths {
		name := filepath.Base(path)
		if other, ok := taken[name]; ok {
			errs = append(errs, fmt.Errorf("%s: %s would have the same name in the store", path, other))
			continue
		}
		taken[name] = path
		if err := blob.CheckName(name); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
		items = append(items, Item{Path: path, Name: name})
	}
	return items, errors.Join(errs...)
}

// A Record tells what became of an item.
type Record struct {
	File        string `json:"file"`
	Location    string `json:"location"` // in the store
	Href        string `json:"href"`     // where readers download it
	ContentType string `json:"content_type"`
	Size        int64  `json:"size"`                // bytes
	Checksum    string `json:"checksum"`            // SHA-256, hexadecimal
	Unchanged   bool   `json:"unchanged,omitempty"` // it was there already, and not sent
}

// File puts an item into the store, unless it is there already with the same
// checksum. The file is read twice, the first time for its checksum, so that
// what arrives can be compared with it. Progress, if not nil, is told how many
// bytes were read the second time since the last call. The errors are those of
// the store, and ErrChanged.
func File(ctx context.Context, store blob.Store, item Item, progress func(int64)) (Record, error) {
	f, err := open(item.Path)
	if err != nil {
		return Record{}, err
	}
	defer f.Close()
	sum, size, err := digest(ctx, f)
	if err != nil {
		return Record{}, err
	}
	rec := Record{
		File: item.Path, Location: store.Location(item.Name), Href: store.URL(item.Name),
		ContentType: ContentType(item.Name), Size: size, Checksum: sum.String(),
	}
	if rec.Unchanged, err = blob.Holds(ctx, store, item.Name, size, sum); err != nil || rec.Unchanged {
		return rec, err
	}
	_, err = store.Put(ctx, item.Name, blob.Meta{ContentType: rec.ContentType, SHA256: &sum}, func(w io.Writer) error {
		return send(w, io.NewSectionReader(f, 0, size), progress)
	})
	if err == nil || !errors.Is(err, blob.ErrChecksum) {
		return rec, err
	}
	if again, _, sumErr := digest(ctx, f); sumErr == nil && again != sum {
		return rec, fmt.Errorf("%w: %w", ErrChanged, err)
	}
	return rec, err
}

// open opens a regular file; a pipe could not be read twice.
func open(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return os.Open(path)
}

// digest reads the file from its beginning.
func digest(ctx context.Context, f *os.File) (blob.Digest, int64, error) {
	h := sha256.New()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return blob.Digest{}, 0, err
	}
	size, err := io.Copy(h, readerFunc(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return f.Read(p)
	}))
	return blob.Digest(h.Sum(nil)), size, err
}

type readerFunc func([]byte) (int, error)

func (r readerFunc) Read(p []byte) (int, error) { return r(p) }

func send(w io.Writer, r io.Reader, progress func(int64)) error {
	if progress == nil {
		progress = func(int64) {}
	}
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, readerFunc(func(p []byte) (int, error) {
		n, err := r.Read(p)
		progress(int64(n))
		return n, err
	}), make([]byte, 256<<10))
	return err
}

// ContentType gives the media type of a file by its extension: those of
// protected publications, of license documents, and of what a publication is
// made of, such as covers.
func ContentType(name string) string {
	ext := strings.ToLower(filepath.Ext(name))
	for _, f := range []publication.Format{
		publication.EPUB, publication.PDF, publication.Audiobook, publication.Divina, publication.WebPub,
	} {
		if ext == f.Extension {
			return f.MediaType
		}
	}
	switch ext {
	case ".lcpau": // as older tools call audiobooks
		return publication.Audiobook.MediaType
	case ".lcpl":
		return "application/vnd.readium.lcp.license.v1.0+json"
	}
	if t := publication.MediaTypeByName(name); t != "" {
		if strings.HasPrefix(t, "text/") {
			return mime.FormatMediaType(t, map[string]string{"charset": "utf-8"})
		}
		return t
	}
	return "application/octet-stream"
}
