package catalogue

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/blob/s3blob"
	"github.com/lcp-tools/lcp/pkg/protect"
)

// An origin is where an item's publication is read from.
type origin interface {
	// state tells what the source is now.
	state(ctx context.Context) (sourceState, error)
	// isStill reports whether the source is what it was. It may err on the side of
	// saying no.
	isStill(ctx context.Context, known sourceState) bool
	open(ctx context.Context, rec protect.Recognition) (*protect.Source, error)
	// close frees what the origin takes up.
	close()
}

// origin finds out where an input is. Of an address, the publication is downloaded.
func (w *Worker) origin(ctx context.Context, input string) (origin, error) {
	switch {
	case IsURL(input):
		local, err := w.fetch(ctx, input)
		if err != nil {
			return nil, err
		}
		return fileOrigin{name: local, dir: filepath.Dir(local)}, nil
	case IsObject(input):
		return w.objectOrigin(ctx, input)
	default:
		return fileOrigin{name: input}, nil
	}
}

// A fileOrigin is a file.
type fileOrigin struct {
	name string
	dir  string // that is there for this file alone; "" for none
}

func (o fileOrigin) state(context.Context) (sourceState, error) { return readSourceState(o.name) }

// isStill reads the file only where its size is the same and its time is not.
func (o fileOrigin) isStill(_ context.Context, known sourceState) bool {
	info, err := os.Stat(o.name)
	if err != nil || info.Size() != known.size {
		return false // opening the source tells
	}
	if info.ModTime().UnixNano() == known.time {
		return true
	}
	now, err := readSourceState(o.name)
	return err == nil && now.content == known.content
}

func (o fileOrigin) open(ctx context.Context, rec protect.Recognition) (*protect.Source, error) {
	return rec.Open(ctx, o.name)
}

func (o fileOrigin) close() {
	if o.dir != "" {
		os.RemoveAll(o.dir)
	}
}

// IsObject reports whether an input is in a bucket: s3://bucket/key.
func IsObject(input string) bool { return strings.HasPrefix(input, "s3://") }

// An objectOrigin is an object in a bucket. It is read where it is.
type objectOrigin struct {
	bucket  *s3blob.Store
	key     string
	readers int
}

func (w *Worker) objectOrigin(ctx context.Context, input string) (origin, error) {
	bucket, key, err := s3blob.ParseURL(input)
	if err != nil {
		return nil, err
	}
	if w.Bucket == nil {
		return nil, errors.New("no buckets are known here")
	}
	s, err := w.Bucket(ctx, bucket)
	if err != nil {
		return nil, err
	}
	return objectOrigin{s, key, runtime.GOMAXPROCS(0)}, nil
}

func (o objectOrigin) state(ctx context.Context) (sourceState, error) {
	info, err := o.bucket.Look(ctx, o.key)
	if errors.Is(err, blob.ErrNotFound) {
		return sourceState{}, notFound(err)
	}
	if err != nil {
		return sourceState{}, err
	}
	sum := sha256.Sum256([]byte(info.ETag))
	return sourceState{info.Size, info.Modified.UnixNano(), digest(sum[:16])}, nil
}

// notFound tells what may have been meant.
func notFound(err error) error {
	return &InputError{fmt.Errorf("%w; for what is below it, end it in a slash", err)}
}

func (o objectOrigin) isStill(ctx context.Context, known sourceState) bool {
	now, err := o.state(ctx)
	return err == nil && now.size == known.size && now.content == known.content
}

func (o objectOrigin) open(ctx context.Context, rec protect.Recognition) (*protect.Source, error) {
	object, err := o.bucket.OpenObject(ctx, o.key, o.readers)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, notFound(err)
	}
	if err != nil {
		return nil, err
	}
	return rec.OpenFile(ctx, objectFile{object})
}

func (o objectOrigin) close() {}

// An objectFile is an object as a file to be protected.
type objectFile struct{ *s3blob.Object }

// ReadAt makes one error of all that tell of a source that changed, and an error
// of the system of what is the bucket's fault, not the publication's.
func (f objectFile) ReadAt(p []byte, offset int64) (int, error) {
	n, err := f.Object.ReadAt(p, offset)
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return n, err
	case errors.Is(err, s3blob.ErrReplaced):
		return n, fmt.Errorf("%w: %w", protect.ErrChanged, err)
	default:
		return n, &sourceError{err}
	}
}

// Changed returns nil: what was replaced while it was read has failed already.
func (f objectFile) Changed() error { return nil }

// A sourceError is not the fault of a publication but of where it is read from.
type sourceError struct{ error }

func (e *sourceError) Unwrap() error { return e.error }
