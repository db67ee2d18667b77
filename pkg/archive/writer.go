package archive

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A Header is what a Writer is told of an entry.
type Header struct {
	Name     string
	Method   uint16 // of the data as they will be written; Store or Deflate
	Modified uint32 // MS-DOS date and time; 0 means 1980-01-01, the earliest
	Sum
	// Streamed tells that Sum is known only after the data. It is then given
	// to End and written in a data descriptor.
	Streamed bool
	// Large asks for 64-bit sizes in a streamed entry, whose compressed or
	// uncompressed size may reach 4 GiB.
	Large bool
}

// A Sum is what a ZIP says of the data of an entry.
type Sum struct {
	CRC32          uint32 // of the uncompressed data
	CompressedSize int64  // bytes
	Size           int64  // bytes, uncompressed
}

// HeaderOf returns the header for copying e with its data untouched.
func HeaderOf(e *Entry) Header {
	return Header{
		Name: e.Name, Method: e.Method, Modified: e.Modified,
		Sum: Sum{CRC32: e.CRC32, CompressedSize: e.CompressedSize, Size: e.Size},
	}
}

// A Writer writes an archive to a stream, entry after entry. After an error the
// archive is of no use; every later call returns the same error. It is not safe
// for concurrent use.
type Writer struct {
	w       io.Writer
	offset  int64
	records []record
	current Header
	open    bool
	written int64 // bytes of the current entry's data
	err     error
}

type record struct {
	Header
	offset int64
}

// errMisuse marks calls in the wrong order: a fault of the program.
var errMisuse = errors.New("archive writer misused")

// NewWriter returns a writer to w, which should be buffered.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Begin starts an entry; its data follow with Write, and End.
func (w *Writer) Begin(h Header) error {
	if w.err != nil {
		return w.err
	}
	if w.open || len(h.Name) > max16 {
		return w.fail(fmt.Errorf("%w: begin entry %q", errMisuse, h.Name))
	}
	if h.Modified == 0 {
		h.Modified = 1<<21 | 1<<16 // 1 January 1980: zero is no date
	}
	w.records = append(w.records, record{Header: h, offset: w.offset})
	w.current, w.open, w.written = h, true, 0
	return w.write(appendLocal(nil, h))
}

// Write writes data of the current entry.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if !w.open {
		return 0, w.fail(fmt.Errorf("%w: data outside an entry", errMisuse))
	}
	w.written += int64(len(p))
	if err := w.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// End finishes the current entry. Sum must be that of the data written; for an
// entry that is not streamed it is the one given to Begin.
func (w *Writer) End(sum Sum) error {
	if w.err != nil {
		return w.err
	}
	if !w.open {
		return w.fail(fmt.Errorf("%w: end outside an entry", errMisuse))
	}
	h := &w.records[len(w.records)-1].Header
	switch {
	case w.written != sum.CompressedSize, !h.Streamed && sum != h.Sum:
		return w.fail(fmt.Errorf("%w: entry %q ends with other figures than announced", errMisuse, w.current.Name))
	case h.Streamed && !h.Large && (sum.Size >= max32 || sum.CompressedSize >= max32):
		return w.fail(fmt.Errorf("%w: entry %q was not announced as large", errMisuse, w.current.Name))
	}
	w.open = false
	if !h.Streamed {
		return nil
	}
	h.Sum = sum
	return w.write(appendDescriptor(nil, *h))
}

// Add writes a stored entry from memory.
func (w *Writer) Add(name string, modified uint32, data []byte) error {
	n := int64(len(data))
	h := Header{Name: name, Modified: modified, Sum: Sum{CRC32: crc32.ChecksumIEEE(data), CompressedSize: n, Size: n}}
	if err := w.Begin(h); err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.End(h.Sum)
}

// Close writes the central directory. It does not close the underlying writer.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	if w.open {
		return w.fail(fmt.Errorf("%w: closed within entry %q", errMisuse, w.current.Name))
	}
	start := w.offset
	for _, r := range w.records {
		if err := w.write(appendCentral(nil, r)); err != nil {
			return err
		}
	}
	if err := w.write(appendEnd(nil, len(w.records), start, w.offset)); err != nil {
		return err
	}
	w.err = errors.New("archive writer is closed")
	return nil
}

func (w *Writer) write(p []byte) error {
	if w.err != nil {
		return w.err
	}
	n, err := w.w.Write(p)
	w.offset += int64(n)
	if err != nil {
		return w.fail(err)
	}
	return nil
}

func (w *Writer) fail(err error) error {
	w.err = err
	return err
}

const (
	version20 = 20 // deflate and folders
	version45 = 45 // ZIP64

	flagEncrypted  = 1 << 0
	flagDescriptor = 1 << 3
	flagUTF8       = 1 << 11
)

// large reports whether the entry's local header and descriptor use 64-bit sizes.
func (h *Header) large() bool {
	return h.Streamed && h.Large || h.Size >= max32 || h.CompressedSize >= max32
}

func (h *Header) flags() uint16 {
	var f uint16
	if h.Streamed {
		f |= flagDescriptor
	}
	for i := range len(h.Name) {
		if h.Name[i] >= 0x80 {
			return f | flagUTF8
		}
	}
	return f
}

// appendLocal appends the local file header (APPNOTE §4.3.7).
func appendLocal(b []byte, h Header) []byte {
	version, crc, compressed, size := uint16(version20), h.CRC32, h.CompressedSize, h.Size
	var extra []byte
	if h.Streamed {
		crc, compressed, size = 0, 0, 0
	}
	if h.large() {
		version = version45
		extra = le.AppendUint16(extra, 1)
		extra = le.AppendUint16(extra, 16)
		extra = le.AppendUint64(extra, uint64(size))
		extra = le.AppendUint64(extra, uint64(compressed))
		compressed, size = max32, max32
	}
	b = le.AppendUint32(b, localSignature)
	b = le.AppendUint16(b, version)
	b = le.AppendUint16(b, h.flags())
	b = le.AppendUint16(b, h.Method)
	b = le.AppendUint16(b, uint16(h.Modified))
	b = le.AppendUint16(b, uint16(h.Modified>>16))
	b = le.AppendUint32(b, crc)
	b = le.AppendUint32(b, uint32(compressed))
	b = le.AppendUint32(b, uint32(size))
	b = le.AppendUint16(b, uint16(len(h.Name)))
	b = le.AppendUint16(b, uint16(len(extra)))
	b = append(b, h.Name...)
	return append(b, extra...)
}

// appendDescriptor appends the data descriptor (APPNOTE §4.3.9).
func appendDescriptor(b []byte, h Header) []byte {
	b = le.AppendUint32(b, descriptorSig)
	b = le.AppendUint32(b, h.CRC32)
	if h.large() {
		b = le.AppendUint64(b, uint64(h.CompressedSize))
		return le.AppendUint64(b, uint64(h.Size))
	}
	b = le.AppendUint32(b, uint32(h.CompressedSize))
	return le.AppendUint32(b, uint32(h.Size))
}

// appendCentral appends a header of the central directory (APPNOTE §4.3.12).
func appendCentral(b []byte, r record) []byte {
	version := uint16(version20)
	var extra []byte
	for _, v := range []int64{r.Size, r.CompressedSize, r.offset} {
		if v >= max32 {
			extra = le.AppendUint64(extra, uint64(v))
		}
	}
	if len(extra) > 0 {
		extra = append(le.AppendUint16(le.AppendUint16(nil, 1), uint16(len(extra))), extra...)
	}
	if len(extra) > 0 || r.large() {
		version = version45
	}
	b = le.AppendUint32(b, centralSignature)
	b = le.AppendUint16(b, version)
	b = le.AppendUint16(b, version)
	b = le.AppendUint16(b, r.flags())
	b = le.AppendUint16(b, r.Method)
	b = le.AppendUint16(b, uint16(r.Modified))
	b = le.AppendUint16(b, uint16(r.Modified>>16))
	b = le.AppendUint32(b, r.CRC32)
	b = le.AppendUint32(b, uint32(min(r.CompressedSize, max32)))
	b = le.AppendUint32(b, uint32(min(r.Size, max32)))
	b = le.AppendUint16(b, uint16(len(r.Name)))
	b = le.AppendUint16(b, uint16(len(extra)))
	b = append(b, make([]byte, 10)...) // comment length, disk, attributes
	b = le.AppendUint32(b, uint32(min(r.offset, max32)))
	b = append(b, r.Name...)
	return append(b, extra...)
}

// appendEnd appends the end-of-central-directory record, after its ZIP64 twin
// and locator where the figures ask for them (APPNOTE §4.3.14 to §4.3.16).
func appendEnd(b []byte, count int, start, end int64) []byte {
	size := end - start
	if count >= max16 || size >= max32 || start >= max32 {
		b = le.AppendUint32(b, end64Signature)
		b = le.AppendUint64(b, end64Size-12)
		b = le.AppendUint16(b, version45)
		b = le.AppendUint16(b, version45)
		b = le.AppendUint64(b, 0) // both disk numbers
		b = le.AppendUint64(b, uint64(count))
		b = le.AppendUint64(b, uint64(count))
		b = le.AppendUint64(b, uint64(size))
		b = le.AppendUint64(b, uint64(start))
		b = le.AppendUint32(b, end64LocSig)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint64(b, uint64(end))
		b = le.AppendUint32(b, 1)
	}
	b = le.AppendUint32(b, endSignature)
	b = le.AppendUint32(b, 0) // both disk numbers
	b = le.AppendUint16(b, uint16(min(count, max16)))
	b = le.AppendUint16(b, uint16(min(count, max16)))
	b = le.AppendUint32(b, uint32(min(size, max32)))
	b = le.AppendUint32(b, uint32(min(start, max32)))
	return le.AppendUint16(b, 0)
}
