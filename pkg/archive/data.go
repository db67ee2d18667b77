package archive

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
)

// Raw returns the data of the entry as they lie in the archive, compressed or
// not. It checks the entry's local header against the directory: an archive in
// which the two differ says one thing to one reader and another to the next.
func (e *Entry) Raw() (*io.SectionReader, error) {
	head := make([]byte, localSize+len(e.rawName))
	if _, err := e.src.ReadAt(head, e.headerOffset); err != nil {
		return nil, &EntryError{e.Name, fmt.Errorf("read its header: %w", noEOF(err))}
	}
	if err := e.checkLocal(head); err != nil {
		return nil, &EntryError{e.Name, err}
	}
	offset := e.headerOffset + int64(len(head)) + int64(le.Uint16(head[28:]))
	if offset+e.CompressedSize > e.limit {
		return nil, &EntryError{e.Name, fmt.Errorf("%w: its data are cut short", ErrDamaged)}
	}
	return io.NewSectionReader(e.src, offset, e.CompressedSize), nil
}

// checkLocal compares the local header with what the directory says.
func (e *Entry) checkLocal(head []byte) error {
	if le.Uint32(head) != localSignature {
		return fmt.Errorf("%w: no entry where the directory says", ErrDamaged)
	}
	flags := le.Uint16(head[6:])
	// Figures may follow the data instead, stand in the ZIP64 field, or never
	// have been filled in.
	differ := func(local uint32, central int64) bool {
		return flags&flagDescriptor == 0 && local != 0 && local != max32 && int64(local) != central
	}
	switch {
	case int(le.Uint16(head[26:])) != len(e.rawName) || !bytes.Equal(head[localSize:], e.rawName):
		return fmt.Errorf("%w: its header bears another name", ErrDamaged)
	case le.Uint16(head[8:]) != e.Method:
		return fmt.Errorf("%w: its header names another compression method", ErrDamaged)
	case flags&flagEncrypted != 0:
		return ErrEncrypted
	case differ(le.Uint32(head[14:]), int64(e.CRC32)), differ(le.Uint32(head[18:]), e.CompressedSize), differ(le.Uint32(head[22:]), e.Size):
		return fmt.Errorf("%w: its header gives another length or checksum", ErrDamaged)
	}
	return nil
}

// Open returns a reader of the uncompressed data. Its last read fails with
// ErrLength or ErrChecksum where the data are not those declared; it never
// gives more bytes than declared.
func (e *Entry) Open() (io.ReadCloser, error) {
	raw, err := e.Raw()
	if err != nil {
		return nil, err
	}
	r := io.NopCloser(raw)
	if e.Method == Deflate {
		r = flate.NewReader(raw)
	}
	return &verifiedReader{ReadCloser: r, check: e.Check()}, nil
}

// ReadAll returns the verified data, or ErrEntryTooBig beyond limit bytes.
func (e *Entry) ReadAll(limit int64) ([]byte, error) {
	if e.Size > limit {
		return nil, &EntryError{e.Name, fmt.Errorf("%w: %d bytes, where %d are the limit", ErrEntryTooBig, e.Size, limit)}
	}
	r, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data := make([]byte, e.Size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, noEOF(err)
	}
	if _, err := io.CopyN(io.Discard, r, 1); !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data, nil
}

// Check returns a writer that is given the entry's uncompressed data and tells
// whether they are those declared. It serves callers that read Raw themselves.
func (e *Entry) Check() *Check { return &Check{entry: e} }

// A Check compares data with the length and CRC-32 declared for an entry.
type Check struct {
	entry *Entry
	n     int64
	crc   uint32
}

// Write takes the next bytes. It fails with ErrLength once they are too many.
func (c *Check) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	if c.n > c.entry.Size {
		return 0, &EntryError{c.entry.Name, fmt.Errorf("%w: more than %d bytes", ErrLength, c.entry.Size)}
	}
	c.crc = crc32.Update(c.crc, crc32.IEEETable, p)
	return len(p), nil
}

// Err is nil when all the data came and are the right ones.
func (c *Check) Err() error {
	switch {
	case c.n != c.entry.Size:
		return &EntryError{c.entry.Name, fmt.Errorf("%w: %d bytes, not %d", ErrLength, c.n, c.entry.Size)}
	case c.crc != c.entry.CRC32:
		return &EntryError{c.entry.Name, fmt.Errorf("%w: CRC-32 is %08x, not %08x", ErrChecksum, c.crc, c.entry.CRC32)}
	}
	return nil
}

type verifiedReader struct {
	io.ReadCloser
	check *Check
}

func (r *verifiedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if _, werr := r.check.Write(p[:n]); werr != nil {
		return 0, werr
	}
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		if cerr := r.check.Err(); cerr != nil {
			return n, cerr
		}
		return n, io.EOF
	default:
		return n, &EntryError{r.check.entry.Name, Damaged(err)}
	}
}

// Damaged turns a failure to inflate into ErrDamaged, and leaves a failure to
// read the file as it is.
func Damaged(err error) error {
	var corrupt flate.CorruptInputError
	if errors.As(err, &corrupt) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: its compressed data are corrupt", ErrDamaged)
	}
	return err
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
