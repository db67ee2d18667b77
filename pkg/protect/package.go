package protect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/klauspost/compress/flate"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/blob/fileblob"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/publication"
)

// ErrNotProtected is returned where a protected publication is wanted and the
// file is a clear one.
var ErrNotProtected = errors.New("the publication is not protected with LCP")

// maxLicense bounds an embedded license document.
const maxLicense = 1 << 20

// A Package is an opened publication package, protected or not: what is found in
// a file, where a Source is what will become of it.
type Package struct {
	*publication.Contents
	Archive *archive.Reader

	file *os.File
}

// OpenPackage opens an EPUB or a Readium package. The caller closes it.
func OpenPackage(name string) (*Package, error) {
	f, info, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	p, err := readPackage(f, info)
	if err != nil {
		f.Close()
		return nil, err
	}
	return p, nil
}

func readPackage(f *os.File, info os.FileInfo) (*Package, error) {
	a, err := openArchive(f, info.Size())
	if err != nil {
		return nil, err
	}
	contents, err := inspectArchive(a)
	if err != nil {
		return nil, err
	}
	return &Package{Contents: contents, Archive: a, file: f}, nil
}

// Close closes the file.
func (p *Package) Close() error { return p.file.Close() }

// LicenseDocument returns the embedded license, or nil if there is none.
func (p *Package) LicenseDocument() ([]byte, error) {
	if p.License == nil {
		return nil, nil
	}
	return p.License.ReadAll(maxLicense)
}

// Embed writes the package to the named file with the license document in its
// place, instead of one that may be there already.
func (p *Package) Embed(ctx context.Context, license []byte, name string) error {
	if !p.Protected {
		return ErrNotProtected
	}
	return p.rewrite(ctx, name, func(zw *archive.Writer) error {
		for _, e := range p.Archive.Entries {
			if e.Name == p.Format.License {
				continue
			}
			if err := copyEntry(ctx, zw, e); err != nil {
				return err
			}
		}
		return zw.Add(p.Format.License, 0, license)
	})
}

// Decrypt writes the clear publication to the named file: every resource as it
// was before, the declaration of encryption and the license taken out. A wrong
// key is found out by padding, lengths or checksums and is an error.
func (p *Package) Decrypt(ctx context.Context, key lcpcrypto.ContentKey, name string) error {
	if !p.Protected {
		return ErrNotProtected
	}
	declaration, err := p.Unprotect()
	if err != nil {
		return err
	}
	return p.rewrite(ctx, name, func(zw *archive.Writer) error {
		for _, e := range p.Archive.Entries {
			if err := p.decryptEntry(ctx, zw, e, key, declaration); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *Package) decryptEntry(ctx context.Context, zw *archive.Writer, e *archive.Entry, key lcpcrypto.ContentKey, declaration []byte) error {
	enc, encrypted := p.Encrypted[e.Name]
	switch {
	case e.Name == p.Format.License:
		return nil
	case e.Name == p.Declaration:
		if declaration == nil {
			return nil
		}
		return zw.Add(e.Name, e.Modified, declaration)
	case encrypted && enc.Scheme == publication.Scheme:
		if err := copyDecrypted(ctx, zw, e, enc, key); err != nil {
			return &archive.EntryError{Entry: e.Name, Err: err}
		}
		return nil
	default:
		return copyEntry(ctx, zw, e)
	}
}

// DecryptTo writes the decrypted bytes of one entry to w.
func (p *Package) DecryptTo(w io.Writer, e *archive.Entry, key lcpcrypto.ContentKey) error {
	enc, ok := p.Encrypted[e.Name]
	if !ok || enc.Scheme != publication.Scheme {
		return fmt.Errorf("entry %q: %w", e.Name, ErrNotProtected)
	}
	r, err := openEncrypted(e, enc, key)
	if err != nil {
		return &archive.EntryError{Entry: e.Name, Err: err}
	}
	defer r.Close()
	n, err := io.Copy(w, r)
	if err == nil && enc.OriginalLength >= 0 && n != enc.OriginalLength {
		err = fmt.Errorf("%w: %d bytes, not %d", archive.ErrLength, n, enc.OriginalLength)
	}
	if err != nil {
		return &archive.EntryError{Entry: e.Name, Err: wrongKey(err)}
	}
	return nil
}

// rewrite writes a package to the named file, whole or not at all.
func (p *Package) rewrite(ctx context.Context, name string, entries func(*archive.Writer) error) error {
	return fileblob.WriteFile(name, func(f *os.File) error {
		buffered := bufio.NewWriterSize(f, chunkSize)
		zw := archive.NewWriter(buffered)
		if err := entries(zw); err != nil {
			return err
		}
		if err := zw.Close(); err != nil {
			return err
		}
		if err := buffered.Flush(); err != nil {
			return err
		}
		return ctx.Err()
	})
}

// copyEntry copies an entry with its bytes as they are, verified.
func copyEntry(ctx context.Context, zw *archive.Writer, e *archive.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	check, err := e.Open()
	if err != nil {
		return err
	}
	defer check.Close()
	if _, err := io.Copy(io.Discard, check); err != nil {
		return err
	}
	raw, err := e.Raw()
	if err != nil {
		return err
	}
	h := archive.HeaderOf(e)
	if err := zw.Begin(h); err != nil {
		return err
	}
	if _, err := io.Copy(zw, raw); err != nil {
		return err
	}
	return zw.End(h.Sum)
}

// copyDecrypted writes the entry as it was before encryption: a deflate stream
// becomes a deflated entry again. The bytes are decrypted twice, first to learn
// the sums that stand in front of them: not every reader of clear publications
// takes stored entries whose sums come after.
func copyDecrypted(ctx context.Context, zw *archive.Writer, e *archive.Entry, enc publication.Encrypted, key lcpcrypto.ContentKey) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	sum, err := decryptedSum(e, enc, key)
	if err != nil {
		return wrongKey(err)
	}
	if enc.OriginalLength >= 0 && sum.Size != enc.OriginalLength {
		return wrongKey(fmt.Errorf("%w: %d bytes, not %d", archive.ErrLength, sum.Size, enc.OriginalLength))
	}
	h := archive.Header{Name: e.Name, Method: archive.Store, Modified: e.Modified, Sum: sum}
	if enc.Deflated {
		h.Method = archive.Deflate
	}
	plain, err := decrypted(e, key)
	if err != nil {
		return err
	}
	if err := zw.Begin(h); err != nil {
		return err
	}
	if _, err := io.Copy(zw, plain); err != nil {
		return err
	}
	return zw.End(sum)
}

// decrypted gives the decrypted bytes of an entry, still deflated if they are.
func decrypted(e *archive.Entry, key lcpcrypto.ContentKey) (io.Reader, error) {
	r, err := e.Open()
	if err != nil {
		return nil, err
	}
	return lcpcrypto.NewDecrypter(r, e.Size, key)
}

// decryptedSum decrypts an entry and inflates it to learn its sums.
func decryptedSum(e *archive.Entry, enc publication.Encrypted, key lcpcrypto.ContentKey) (archive.Sum, error) {
	plain, err := decrypted(e, key)
	if err != nil {
		return archive.Sum{}, err
	}
	compressed := &counter{}
	r := bufio.NewReaderSize(io.TeeReader(plain, compressed), readSize)
	crc := crc32.NewIEEE()
	if !enc.Deflated {
		n, err := io.Copy(crc, r)
		return archive.Sum{CRC32: crc.Sum32(), CompressedSize: n, Size: n}, err
	}
	inflater := flate.NewReader(r)
	defer inflater.Close()
	n, err := io.Copy(crc, inflater)
	if err != nil {
		return archive.Sum{}, err
	}
	if rest, err := io.Copy(io.Discard, r); err != nil || rest > 0 {
		return archive.Sum{}, errors.Join(err, archive.ErrDamaged)
	}
	return archive.Sum{CRC32: crc.Sum32(), CompressedSize: compressed.n, Size: n}, nil
}

// A counter counts the bytes written to it.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// wrongKey says of damage found in decrypted bytes what it most often is.
func wrongKey(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, lcpcrypto.ErrPadding):
		return err
	case errors.As(err, &corrupt), errors.Is(err, archive.ErrDamaged), errors.Is(err, archive.ErrLength), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the key is not the right one, or the data are damaged: %w", err)
	default:
		return err
	}
}

// DecryptPDF writes the PDF of a protected PDF package to the named file. It
// fails with publication.ErrInvalid where the package has not exactly one.
func (p *Package) DecryptPDF(ctx context.Context, key lcpcrypto.ContentKey, name string) error {
	var found *archive.Entry
	for _, e := range p.Archive.Entries {
		if _, encrypted := p.Encrypted[e.Name]; !encrypted || p.MediaType(e.Name) != "application/pdf" {
			continue
		}
		if found != nil {
			return fmt.Errorf("%w: it holds several PDFs", publication.ErrInvalid)
		}
		found = e
	}
	if found == nil {
		return fmt.Errorf("%w: it holds no encrypted PDF", publication.ErrInvalid)
	}
	return fileblob.WriteFile(name, func(f *os.File) error {
		if err := p.DecryptTo(f, found, key); err != nil {
			return err
		}
		return ctx.Err()
	})
}
