package catalogue

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"syscall"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/protect"
	"github.com/lcp-tools/lcp/pkg/store"
)

// An InputError is a fault of what was asked for, such as a damaged publication:
// trying again brings the same. What else fails may be the fault of a network, a
// server or a disk, and another attempt may help.
type InputError struct{ err error }

func (e *InputError) Error() string { return e.err.Error() }
func (e *InputError) Unwrap() error { return e.err }

// inputError makes an InputError of what went wrong with reading the input,
// unless it was interrupted, or the file system cannot be relied on.
func inputError(ctx context.Context, err error) error {
	var failed syscall.Errno
	onDisk := errors.As(err, &failed) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission)
	if err == nil || ctx.Err() != nil || onDisk || errors.Is(err, protect.ErrChanged) {
		return err
	}
	return &InputError{err}
}

// identityError makes an InputError of what the registry refuses about the item's
// identity. With a key of its own making, that the publication is known with
// another one only means that somebody else was quicker.
func identityError(item *Item, err error) error {
	if errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrKeyChanged) && item.KeyFile != "" {
		return &InputError{err}
	}
	return err
}

// encrypt is the pipeline's Encrypt, whose failures are the input's fault unless
// it is writing that fails.
func (w *Worker) encrypt(ctx context.Context, src *protect.Source, key lcpcrypto.ContentKey, out io.Writer, add func(int64)) (protect.Result, error) {
	watched := &watchedWriter{w: out}
	result, err := w.Pipeline.Encrypt(ctx, src.Plan, key, watched, add)
	if err != nil && watched.err == nil && src.Changed() == nil {
		err = inputError(ctx, err)
	}
	return result, err
}

// A watchedWriter remembers that writing failed.
type watchedWriter struct {
	w   io.Writer
	err error
}

func (w *watchedWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		w.err = err
	}
	return n, err
}
