package catalogue

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"syscall"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/client"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/pdf"
	"github.com/lcp-tools/lcp/pkg/protect"
	"github.com/lcp-tools/lcp/pkg/publication"
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
	if err == nil || ctx.Err() != nil || onDisk || errors.Is(err, protect.ErrChanged) || errors.As(err, new(*sourceError)) || errors.As(err, new(*InputError)) {
		return err
	}
	return &InputError{err}
}

// refusals are answers of a license server that it will give again to the same
// request.
var refusals = []int{
	http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity,
}

// identityError makes an InputError of what the registry refuses about the item's
// identity. With a key of its own making, that the publication is known with
// another one only means that somebody else was quicker.
func identityError(item *Item, err error) error {
	var refused *client.Error
	if errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrKeyChanged) && item.KeyFile != "" ||
		errors.As(err, &refused) && slices.Contains(refusals, refused.Status) {
		return &InputError{err}
	}
	return err
}

// kinds of faults by the errors that tell of them, in the order they are looked for.
var kinds = []struct {
	name string
	errs []error
}{
	{"protected", []error{publication.ErrProtectedLCP, publication.ErrProtected, archive.ErrEncrypted, pdf.ErrEncrypted}},
	{"unknown", []error{publication.ErrUnknownFormat, archive.ErrNotZIP, pdf.ErrNotPDF}},
	{"damaged", []error{
		archive.ErrEmpty, archive.ErrTruncated, archive.ErrDamaged, archive.ErrChecksum, archive.ErrLength,
		archive.ErrDuplicate, pdf.ErrDamaged,
	}},
	{"hostile", []error{archive.ErrUnsafeName, archive.ErrBomb, archive.ErrTooLarge, archive.ErrEntryTooBig}},
	{"invalid", []error{publication.ErrInvalid, publication.ErrNothing, archive.ErrMethod}},
	{"conflict", []error{store.ErrExists, store.ErrKeyChanged, store.ErrInvalid}},
}

// Kind says in one word what an item failed for: protected, unknown (format),
// damaged, hostile, invalid, conflict (with what is registered), or else failed.
func Kind(err error) string {
	for _, k := range kinds {
		if slices.ContainsFunc(k.errs, func(target error) bool { return errors.Is(err, target) }) {
			return k.name
		}
	}
	return "failed"
}

// encrypt is the pipeline's Encrypt, whose failures are the input's fault unless
// it is writing that fails.
func (w *Worker) encrypt(ctx context.Context, src *protect.Source, key lcpcrypto.ContentKey, out io.Writer, add func(int64)) (protect.Result, error) {
	result, err := w.Pipeline.Encrypt(ctx, src.Plan, key, out, add)
	if err != nil && !errors.As(err, new(*protect.WriteError)) && src.Changed() == nil {
		err = inputError(ctx, err)
	}
	return result, err
}
