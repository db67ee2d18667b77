package protect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
	"golang.org/x/sync/errgroup"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/epub"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/rpf"
)

// ErrMismatch is returned when a protected publication does not hold what its
// source does.
var ErrMismatch = errors.New("the protected publication differs from its source")

// Verify reads a protected publication back as a reading system would and
// compares it with the plan it was made by: its size and SHA-256, that every
// resource is declared and decrypts to the source's bytes, and that every clear
// entry is the source's. The errors wrap ErrMismatch, or say what could not be
// read.
func Verify(ctx context.Context, plan *publication.Plan, key lcpcrypto.ContentKey, f io.ReaderAt, want Result) error {
	h := sha256.New()
	n, err := io.Copy(h, io.NewSectionReader(f, 0, want.Size+1))
	if err != nil {
		return fmt.Errorf("read the output: %w", err)
	}
	if n != want.Size || [32]byte(h.Sum(nil)) != want.SHA256 {
		return fmt.Errorf("%w: its size or checksum is not the one computed", ErrMismatch)
	}
	a, err := archive.NewReader(f, want.Size)
	if err != nil {
		return err
	}
	contents, err := inspectArchive(a)
	if err != nil {
		return err
	}
	if len(a.Entries) != len(plan.Parts) {
		return fmt.Errorf("%w: it has %d entries, not %d", ErrMismatch, len(a.Entries), len(plan.Parts))
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(verifiers)
	for i := range plan.Parts {
		part := &plan.Parts[i]
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			if err := verifyPart(a, contents, part, key); err != nil {
				return partError(part, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// verifiers is how many parts are compared at once.
const verifiers = 4

func verifyPart(a *archive.Reader, contents *publication.Contents, part *publication.Part, key lcpcrypto.ContentKey) error {
	e := a.Lookup(part.Name)
	if e == nil {
		return fmt.Errorf("%w: it is missing", ErrMismatch)
	}
	if part.Declaration {
		return nil // inspecting the archive has read it
	}
	enc, encrypted := contents.Encrypted[e.Name]
	encrypted = encrypted && enc.Scheme == publication.Scheme
	if encrypted != part.Encrypt() {
		return fmt.Errorf("%w: encrypted is %t where it should be %t", ErrMismatch, encrypted, part.Encrypt())
	}
	var got io.ReadCloser
	var err error
	if encrypted {
		if enc.OriginalLength != part.Size() {
			return fmt.Errorf("%w: its declared length is %d, not %d", ErrMismatch, enc.OriginalLength, part.Size())
		}
		got, err = openEncrypted(e, enc, key)
	} else {
		got, err = e.Open()
	}
	if err != nil {
		return err
	}
	defer got.Close()
	want, err := part.Open()
	if err != nil {
		return err
	}
	defer want.Close()
	return sameBytes(got, want)
}

// openEncrypted gives the decrypted and inflated bytes of an entry.
func openEncrypted(e *archive.Entry, enc publication.Encrypted, key lcpcrypto.ContentKey) (io.ReadCloser, error) {
	r, err := e.Open()
	if err != nil {
		return nil, err
	}
	plain, err := lcpcrypto.NewDecrypter(r, e.Size, key)
	if err != nil {
		r.Close()
		return nil, err
	}
	if enc.Deflated {
		return flate.NewReader(plain), nil
	}
	return io.NopCloser(plain), nil
}

// sameBytes compares two streams.
func sameBytes(got, want io.Reader) error {
	a, b := make([]byte, 32<<10), make([]byte, 32<<10)
	for offset := int64(0); ; {
		n, errA := io.ReadFull(got, a)
		m, errB := io.ReadFull(want, b)
		if !bytes.Equal(a[:n], b[:m]) {
			return fmt.Errorf("%w: after byte %d", ErrMismatch, offset)
		}
		offset += int64(n)
		switch {
		case atEnd(errA) && atEnd(errB):
			return nil
		case errA != nil && !atEnd(errA):
			return errA
		case errB != nil && !atEnd(errB):
			return errB
		}
	}
}

func atEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// inspectArchive reads a package that may be protected.
func inspectArchive(a *archive.Reader) (*publication.Contents, error) {
	switch {
	case epub.Recognize(a):
		return epub.Inspect(a)
	case rpf.Recognize(a):
		return rpf.Inspect(a)
	default:
		return nil, fmt.Errorf("%w: a ZIP archive without META-INF/container.xml or manifest.json", publication.ErrUnknownFormat)
	}
}
