// Package archive reads and writes the ZIP container of publications: an EPUB's
// OCF container, a Readium package, a W3C package, a comic archive.
//
// The reader is strict, for the archives come from strangers: it refuses
// damaged and ambiguous archives, names that leave the package, encrypted
// entries and decompression bombs before a byte of content is used, and it
// verifies the length and CRC-32 of whatever is read. The writer streams: it
// never seeks, and it knows nothing of compression or encryption, only of
// entries that are ready to be stored. Both handle ZIP64. The format is that of
// PKWARE's APPNOTE 6.3, restricted as ISO/IEC 21320-1 and EPUB OCF 3.3 §4.2 do.
package archive

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
)

// Compression methods of entries (APPNOTE §4.4.5). Others are refused.
const (
	Store   uint16 = 0
	Deflate uint16 = 8
)

// Limits on what an archive may hold. They are far above any publication and
// keep hostile ones from exhausting the machine.
const (
	maxEntries       = 100_000
	maxDirectorySize = 32 << 20

	// A deflate stream cannot expand more than about 1032 times, and text
	// rarely more than 20 times. Larger ratios are refused where the outcome
	// is large enough to hurt.
	maxRatio      = 120
	bombEntrySize = 16 << 20
	bombTotalSize = 256 << 20
)

// Reasons to refuse an archive or an entry of it. They come wrapped, in an
// EntryError where one entry is at fault.
var (
	ErrEmpty       = errors.New("file is empty")
	ErrNotZIP      = errors.New("not a ZIP archive")
	ErrTruncated   = errors.New("not a complete ZIP archive: the central directory is missing or cut short")
	ErrDamaged     = errors.New("damaged ZIP archive")
	ErrTooLarge    = errors.New("ZIP directory is too large")
	ErrUnsafeName  = errors.New("unsafe entry name")
	ErrDuplicate   = errors.New("duplicate entry name")
	ErrEncrypted   = errors.New("encrypted ZIP entry")
	ErrMethod      = errors.New("unsupported compression method")
	ErrBomb        = errors.New("decompression bomb")
	ErrChecksum    = errors.New("checksum mismatch")
	ErrLength      = errors.New("length differs from the one declared")
	ErrNotFound    = errors.New("entry not found")
	ErrEntryTooBig = errors.New("entry is too large")
)

// An EntryError says which entry is at fault.
type EntryError struct {
	Entry string
	Err   error
}

func (e *EntryError) Error() string { return fmt.Sprintf("entry %q: %v", e.Entry, e.Err) }

// Unwrap gives the reason.
func (e *EntryError) Unwrap() error { return e.Err }

// A Reader gives the entries of an archive in the order of its central
// directory. It is safe for concurrent use.
type Reader struct {
	Entries []*Entry

	byName map[string]*Entry
	byNFC  map[string]*Entry // by normalized name, where that is another
}

// An Entry is a file or a folder of an archive.
type Entry struct {
	Name           string // slash-separated, relative to the root; folders end in a slash
	Method         uint16 // Store or Deflate
	CRC32          uint32 // of the uncompressed data
	CompressedSize int64
	Size           int64  // bytes, uncompressed
	Modified       uint32 // MS-DOS date and time, date in the upper half

	src          io.ReaderAt
	rawName      []byte
	headerOffset int64
	limit        int64 // the data end at or before this offset
}

// IsDir reports whether the entry is a folder, which has no data.
func (e *Entry) IsDir() bool { return strings.HasSuffix(e.Name, "/") }

// NewReader reads the directory of the archive r of size bytes and checks all
// that can be checked without reading the data. The errors are those of this
// package, wrapped.
func NewReader(r io.ReaderAt, size int64) (*Reader, error) {
	if size == 0 {
		return nil, ErrEmpty
	}
	end, err := readDirectoryEnd(r, size)
	if err != nil {
		return nil, err
	}
	entries, err := readDirectory(r, end)
	if err != nil {
		return nil, err
	}
	a := &Reader{Entries: entries, byName: make(map[string]*Entry, len(entries))}
	for _, e := range entries {
		if err := checkEntry(e); err != nil {
			return nil, &EntryError{e.Name, err}
		}
		if a.byName[e.Name] != nil {
			return nil, &EntryError{e.Name, ErrDuplicate}
		}
		a.byName[e.Name] = e
		if n := norm.NFC.String(e.Name); n != e.Name {
			if a.byNFC == nil {
				a.byNFC = make(map[string]*Entry)
			}
			a.byNFC[n] = e
		}
	}
	if err := checkLayout(entries, end.offset, size); err != nil {
		return nil, err
	}
	return a, nil
}

// Lookup returns the entry of that name, or nil. A name that differs only in
// its Unicode normalization is found too: archives made on macOS hold
// decomposed names while documents refer to composed ones.
func (a *Reader) Lookup(name string) *Entry {
	if e := a.byName[name]; e != nil {
		return e
	}
	n := norm.NFC.String(name)
	if e := a.byName[n]; e != nil {
		return e
	}
	return a.byNFC[n]
}

// ReadFile returns the verified data of the named entry. It refuses an entry of
// more than limit bytes with ErrEntryTooBig and one that is not there with
// ErrNotFound, both in an EntryError.
func (a *Reader) ReadFile(name string, limit int64) ([]byte, error) {
	e := a.Lookup(name)
	if e == nil {
		return nil, &EntryError{name, ErrNotFound}
	}
	return e.ReadAll(limit)
}

// directoryEnd is what the end-of-central-directory record says, and its ZIP64
// twin where there is one (APPNOTE §4.3.14, §4.3.16).
type directoryEnd struct {
	entries int64
	size    int64
	offset  int64 // of the central directory, from the start of the file
	base    int64 // bytes before the archive; offsets in headers do not count them
}

const (
	endSize      = 22
	end64LocSize = 20
	end64Size    = 56
	centralSize  = 46
	localSize    = 30

	endSignature     = 0x06054b50
	end64LocSig      = 0x07064b50
	end64Signature   = 0x06064b50
	centralSignature = 0x02014b50
	localSignature   = 0x04034b50
	descriptorSig    = 0x08074b50

	max16 = 0xffff
	max32 = 0xffffffff
)

var le = binary.LittleEndian

func readDirectoryEnd(r io.ReaderAt, size int64) (directoryEnd, error) {
	tail := make([]byte, min(size, endSize+max16))
	tailOffset := size - int64(len(tail))
	if _, err := r.ReadAt(tail, tailOffset); err != nil && !errors.Is(err, io.EOF) {
		return directoryEnd{}, fmt.Errorf("read the end of the archive: %w", err)
	}
	at := findEnd(tail)
	if at < 0 {
		return directoryEnd{}, missingEnd(r)
	}
	rec := tail[at:]
	d := directoryEnd{
		entries: int64(le.Uint16(rec[10:])),
		size:    int64(le.Uint32(rec[12:])),
		offset:  int64(le.Uint32(rec[16:])),
	}
	if disk, start := le.Uint16(rec[4:]), le.Uint16(rec[6:]); disk != start || disk != 0 && disk != max16 {
		return d, fmt.Errorf("%w: it is one part of several", ErrDamaged)
	}
	dirEnd := tailOffset + int64(at)
	if d.entries == max16 || d.size == max32 || d.offset == max32 {
		var err error
		if dirEnd, err = d.read64(r, dirEnd); err != nil {
			return d, err
		}
	}
	if d.entries > maxEntries || d.size > maxDirectorySize {
		return d, fmt.Errorf("%w: %d entries, %d bytes", ErrTooLarge, d.entries, d.size)
	}
	if d.offset > dirEnd-d.size {
		return d, fmt.Errorf("%w: the central directory lies outside the file", ErrTruncated)
	}
	// What precedes the archive moves the directory away from where it is said
	// to be; what stands between the directory and its end record does not.
	if !hasSignature(r, d.offset, centralSignature) {
		d.base = dirEnd - d.size - d.offset
		d.offset += d.base
	}
	return d, nil
}

func hasSignature(r io.ReaderAt, offset int64, signature uint32) bool {
	var head [4]byte
	n, _ := r.ReadAt(head[:], offset)
	return n == len(head) && le.Uint32(head[:]) == signature
}

// findEnd returns the index of the last end record in tail, or -1.
func findEnd(tail []byte) int {
	for i := len(tail) - endSize; i >= 0; i-- {
		if le.Uint32(tail[i:]) == endSignature && i+endSize+int(le.Uint16(tail[i+20:])) <= len(tail) {
			return i
		}
	}
	return -1
}

// missingEnd tells an archive that was cut short from something else.
func missingEnd(r io.ReaderAt) error {
	if hasSignature(r, 0, localSignature) {
		return ErrTruncated
	}
	return ErrNotZIP
}

// read64 replaces the figures by those of the ZIP64 record and returns where
// the central directory must end.
func (d *directoryEnd) read64(r io.ReaderAt, endOffset int64) (int64, error) {
	var loc [end64LocSize]byte
	if endOffset < end64LocSize {
		return endOffset, nil
	}
	if _, err := r.ReadAt(loc[:], endOffset-end64LocSize); err != nil {
		return 0, fmt.Errorf("read the ZIP64 locator: %w", err)
	}
	if le.Uint32(loc[:]) != end64LocSig {
		return endOffset, nil // the plain figures happen to be the highest ones
	}
	at := int64(le.Uint64(loc[8:]))
	var rec [end64Size]byte
	last := endOffset - end64LocSize - end64Size
	if at < 0 || at > last {
		return 0, fmt.Errorf("%w: the ZIP64 record lies outside the file", ErrTruncated)
	}
	if !hasSignature(r, at, end64Signature) {
		at = last // its offset does not count what precedes the archive
	}
	if _, err := r.ReadAt(rec[:], at); err != nil {
		return 0, fmt.Errorf("read the ZIP64 record: %w", err)
	}
	if le.Uint32(rec[:]) != end64Signature {
		return 0, fmt.Errorf("%w: the ZIP64 record is not where it should be", ErrDamaged)
	}
	d.entries = int64(le.Uint64(rec[32:]))
	d.size = int64(le.Uint64(rec[40:]))
	d.offset = int64(le.Uint64(rec[48:]))
	if d.entries < 0 || d.size < 0 || d.offset < 0 {
		return 0, fmt.Errorf("%w: absurd figures in the ZIP64 record", ErrDamaged)
	}
	return at, nil
}

func readDirectory(r io.ReaderAt, end directoryEnd) ([]*Entry, error) {
	dir := make([]byte, end.size)
	if _, err := r.ReadAt(dir, end.offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the central directory: %w", err)
	}
	entries := make([]*Entry, 0, min(end.entries, int64(len(dir)/centralSize)))
	for len(dir) >= centralSize && le.Uint32(dir) == centralSignature {
		if len(entries) == maxEntries {
			return nil, ErrTooLarge
		}
		e, rest, err := parseCentral(dir)
		if err != nil {
			return nil, err
		}
		e.src = r
		e.headerOffset += end.base
		e.limit = end.offset
		entries = append(entries, e)
		dir = rest
	}
	// The count wraps at 65536 in archives without ZIP64 by careless writers.
	if int64(len(entries)) != end.entries && int64(uint16(len(entries))) != end.entries {
		return nil, fmt.Errorf("%w: the directory lists %d entries of %d", ErrDamaged, len(entries), end.entries)
	}
	return entries, nil
}

// parseCentral reads one header of the central directory (APPNOTE §4.3.12) and
// returns what follows it.
func parseCentral(dir []byte) (*Entry, []byte, error) {
	nameLen, extraLen, commentLen := int(le.Uint16(dir[28:])), int(le.Uint16(dir[30:])), int(le.Uint16(dir[32:]))
	total := centralSize + nameLen + extraLen + commentLen
	if total > len(dir) {
		return nil, nil, fmt.Errorf("%w: a header of the directory is cut short", ErrDamaged)
	}
	flags := le.Uint16(dir[8:])
	rawName := dir[centralSize : centralSize+nameLen]
	e := &Entry{
		Name:           decodeName(rawName, flags),
		Method:         le.Uint16(dir[10:]),
		Modified:       uint32(le.Uint16(dir[14:]))<<16 | uint32(le.Uint16(dir[12:])),
		CRC32:          le.Uint32(dir[16:]),
		CompressedSize: int64(le.Uint32(dir[20:])),
		Size:           int64(le.Uint32(dir[24:])),
		rawName:        slices.Clone(rawName),
		headerOffset:   int64(le.Uint32(dir[42:])),
	}
	if err := e.readExtra64(dir[centralSize+nameLen : centralSize+nameLen+extraLen]); err != nil {
		return nil, nil, &EntryError{e.Name, err}
	}
	const strong, masked = 1 << 6, 1 << 13
	if flags&(flagEncrypted|strong|masked) != 0 {
		return nil, nil, &EntryError{e.Name, ErrEncrypted}
	}
	const symlink, typeMask = 0o120000, 0o170000
	if madeByUnix := dir[5] == 3; madeByUnix && le.Uint32(dir[38:])>>16&typeMask == symlink {
		return nil, nil, &EntryError{e.Name, fmt.Errorf("%w: it is a symbolic link", ErrUnsafeName)}
	}
	return e, dir[total:], nil
}

// decodeName gives the name as text. Many writers put UTF-8 without saying so;
// what is not UTF-8 is code page 437 (APPNOTE appendix D).
func decodeName(raw []byte, flags uint16) string {
	const utf8Flag = 1 << 11
	if flags&utf8Flag != 0 || utf8.Valid(raw) {
		return strings.ToValidUTF8(string(raw), "\uFFFD")
	}
	name, err := charmap.CodePage437.NewDecoder().Bytes(raw)
	if err != nil {
		return strings.ToValidUTF8(string(raw), "\uFFFD")
	}
	return string(name)
}

// readExtra64 takes the sizes and the offset that do not fit 32 bits from the
// ZIP64 extra field (APPNOTE §4.5.3).
func (e *Entry) readExtra64(extra []byte) error {
	const zip64 = 1
	for len(extra) >= 4 {
		id, size := le.Uint16(extra), int(le.Uint16(extra[2:]))
		if extra = extra[4:]; size > len(extra) {
			return nil // some writers leave junk here; it is not needed
		}
		field := extra[:size]
		extra = extra[size:]
		if id != zip64 {
			continue
		}
		for _, v := range []*int64{&e.Size, &e.CompressedSize, &e.headerOffset} {
			if *v != max32 {
				continue
			}
			if len(field) < 8 {
				return fmt.Errorf("%w: the ZIP64 field is cut short", ErrDamaged)
			}
			*v = int64(le.Uint64(field))
			field = field[8:]
		}
	}
	if e.Size < 0 || e.CompressedSize < 0 || e.headerOffset < 0 {
		return fmt.Errorf("%w: absurd figures in the ZIP64 field", ErrDamaged)
	}
	return nil
}

// checkLayout refuses entries that share bytes, with which a small archive can
// claim to hold a huge one, and archives that expand beyond measure as a whole.
func checkLayout(entries []*Entry, dirOffset, size int64) error {
	byOffset := slices.SortedFunc(slices.Values(entries), func(a, b *Entry) int {
		return cmp.Compare(a.headerOffset, b.headerOffset)
	})
	var total int64
	for i, e := range byOffset {
		end := dirOffset
		if i+1 < len(byOffset) {
			end = byOffset[i+1].headerOffset
		}
		if e.headerOffset > dirOffset || e.CompressedSize > dirOffset || e.headerOffset+localSize+int64(len(e.rawName))+e.CompressedSize > end {
			return &EntryError{e.Name, fmt.Errorf("%w: its data overlap those of another or end beyond the directory", ErrDamaged)}
		}
		e.limit = end
		if total += e.Size; total < 0 {
			return ErrBomb
		}
	}
	if total > bombTotalSize && total/maxRatio > size {
		return fmt.Errorf("%w: %d bytes expand to %d", ErrBomb, size, total)
	}
	return nil
}

func checkEntry(e *Entry) error {
	if err := checkName(e.Name); err != nil {
		return err
	}
	if e.IsDir() && e.Size != 0 {
		return fmt.Errorf("%w: a folder that holds data", ErrDamaged)
	}
	switch e.Method {
	case Store:
		if e.Size != e.CompressedSize {
			return fmt.Errorf("%w: stored, yet its two lengths differ", ErrDamaged)
		}
	case Deflate:
		if e.Size > bombEntrySize && e.Size/maxRatio > e.CompressedSize {
			return fmt.Errorf("%w: %d bytes expand to %d", ErrBomb, e.CompressedSize, e.Size)
		}
	default:
		return fmt.Errorf("%w %d%s: make the file again with its entries stored or deflated", ErrMethod, e.Method, methodName(e.Method))
	}
	return nil
}

func methodName(method uint16) string {
	names := map[uint16]string{
		6: "implode", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz", 97: "wavpack", 98: "ppmd", 99: "aes",
	}
	if n, ok := names[method]; ok {
		return " (" + n + ")"
	}
	return ""
}

// checkName refuses names that could leave the folder they are unpacked into,
// on any system (EPUB OCF 3.3 §4.2.2).
func checkName(name string) error {
	switch {
	case name == "" || name == "/":
		return fmt.Errorf("%w: it is empty", ErrUnsafeName)
	case strings.ContainsRune(name, 0):
		return fmt.Errorf("%w: it holds a NUL character", ErrUnsafeName)
	case name[0] == '/' || name[0] == '\\':
		return fmt.Errorf("%w: it is absolute", ErrUnsafeName)
	case len(name) > 2 && name[1] == ':' && (name[2] == '\\' || name[2] == '/'):
		return fmt.Errorf("%w: it is absolute", ErrUnsafeName)
	}
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '/' || r == '\\' }) {
		if part == ".." || part == "." {
			return fmt.Errorf("%w: it leaves its folder", ErrUnsafeName)
		}
	}
	return nil
}
