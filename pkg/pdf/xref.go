package pdf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// Bounds on the cross-reference. Its sections stay where they are, in the file
// or as inflated, and are looked into per object: a document of a million
// objects opens as fast as one of ten.
const (
	maxSections    = 1024     // revisions of one file
	maxSubsections = 16 << 10 // in all
	maxXRefStreams = 24 << 20 // inflated bytes, in all
	tailSize       = 64 << 10 // where startxref is looked for
)

type entryKind int

const (
	absent entryKind = iota // no word of the object
	free
	inFile   // off is an offset in the file
	inStream // off is the number of the object stream
)

// An entry says where an object is.
type entry struct {
	kind  entryKind
	off   int64
	index int64 // in the object stream
}

// A section is the part of the cross-reference that one revision of the file
// has written (ISO 32000-1 §7.5.4, §7.5.8).
type section interface {
	find(num int64) (entry, error)
	objects() int64 // how many entries there are
}

// xref is a cross-reference, the newest section first.
type xref []section

func (x xref) find(num int64) (entry, error) {
	for _, s := range x {
		if e, err := s.find(num); err != nil || e.kind != absent {
			return e, err
		}
	}
	return entry{}, nil
}

func (x xref) objects() (n int64) {
	for _, s := range x {
		n += s.objects()
	}
	return n
}

// readXRef reads the cross-reference and the trailers of f from the end of the
// file. It also returns how many bytes follow the document.
func (f *file) readXRef(ctx context.Context) (trailing int64, err error) {
	start, trailing, err := f.startXRef()
	if err != nil {
		return 0, err
	}
	subsections, inflated := 0, int64(0)
	seen := make(map[int64]bool)
	f.trailer = dict{}
	for next := start; next >= 0; {
		if seen[next] || len(f.xref) >= maxSections {
			return 0, errors.New("the cross-reference goes round in a circle")
		}
		seen[next] = true
		s, trailer, err := f.section(ctx, next)
		if err != nil {
			return 0, err
		}
		subsections += s.subsections()
		inflated += s.size()
		if subsections > maxSubsections || inflated > maxXRefStreams {
			return 0, errTooMuchWork
		}
		f.xref = append(f.xref, s)
		for k, v := range trailer {
			if _, ok := f.trailer[k]; !ok {
				f.trailer[k] = v
			}
		}
		next = trailer.offset("Prev")
	}
	return trailing, nil
}

// offset returns an entry that is an offset in the file, or -1. Some writers say
// 0 for none.
func (d dict) offset(key name) int64 {
	if n, ok := d[key].(int64); ok && n > 0 {
		return n
	}
	return -1
}

// startXRef finds the last startxref and returns its offset.
func (f *file) startXRef() (start, trailing int64, err error) {
	mark := []byte("startxref")
	tail := make([]byte, min(f.size, tailSize))
	n, _ := f.r.ReadAt(tail, f.size-int64(len(tail)))
	i := bytes.LastIndex(tail[:n], mark)
	if i < 0 {
		return 0, 0, errors.New("it has no startxref at its end, as if cut short")
	}
	l := newLexer(tail[i+len(mark):n], false)
	v, err := l.object()
	start, ok := v.(int64)
	if err != nil || !ok || start <= 0 || start >= f.size {
		return 0, 0, errors.New("its startxref leads nowhere")
	}
	rest := tail[i+len(mark)+int(l.offset()) : n]
	if eof := bytes.Index(rest, []byte("%%EOF")); eof >= 0 {
		rest = rest[eof+len("%%EOF"):]
	}
	return start, int64(len(bytes.Trim(rest, "\x00\t\n\f\r \x1a"))), nil
}

// A boundedSection tells what it costs to keep.
type boundedSection interface {
	section
	subsections() int
	size() int64 // bytes of memory
}

// section reads the section at off, a table or a stream.
func (f *file) section(ctx context.Context, off int64) (boundedSection, dict, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	l := newFileLexer(f.r, off, f.size)
	l.refs = false
	v, err := l.object()
	switch {
	case err == nil && v == keyword("xref"):
		return f.table(ctx, l)
	case err == nil && v != nil:
		if num, ok := v.(int64); ok {
			return f.xrefStream(ctx, num, off)
		}
	}
	return nil, nil, fmt.Errorf("there is no cross-reference at offset %d", off)
}

// A table is a classic cross-reference section, left in the file, and the
// stream that a hybrid file adds to it.
type table struct {
	r      io.ReaderAt
	parts  []tablePart
	hybrid *streamSection // or nil
}

// A tablePart is a run of entries of equal width.
type tablePart struct {
	first, count int64
	off          int64
	width        int64 // 20 (ISO 32000-1 §7.5.4), though some write 19 or 21
}

// table reads the rest of the section that l is in. It does not read the
// entries but for the first of each part.
func (f *file) table(ctx context.Context, l *lexer) (boundedSection, dict, error) {
	t := &table{r: f.r}
	l.end = f.size
	for {
		v, err := l.object()
		if err != nil {
			return nil, nil, err
		}
		if v == keyword("trailer") {
			break
		}
		w, err := l.object()
		first, ok1 := v.(int64)
		count, ok2 := w.(int64)
		if err != nil || !ok1 || !ok2 || first < 0 || count < 0 || len(t.parts) == maxSubsections {
			return nil, nil, fmt.Errorf("the cross-reference table is invalid at offset %d", l.offset())
		}
		if count > 0 {
			if err := t.add(l, first, count); err != nil {
				return nil, nil, err
			}
		}
	}
	l.refs, l.parts = true, maxObjectParts
	l.end = min(f.size, l.offset()+maxObjectSize)
	v, err := l.object()
	if err != nil {
		return nil, nil, fmt.Errorf("read the trailer: %w", err)
	}
	trailer, ok := v.(dict)
	if !ok {
		return nil, nil, errors.New("the trailer is not a dictionary")
	}
	if off := trailer.offset("XRefStm"); off >= 0 {
		s, _, err := f.xrefStream(ctx, -1, off)
		if err != nil {
			return nil, nil, err
		}
		t.hybrid = s
	}
	return t, trailer, nil
}

// add adds the part whose entries l stands before, and moves l behind them.
func (t *table) add(l *lexer, first, count int64) error {
	l.skipSpace()
	p := tablePart{first: first, count: count, off: l.offset(), width: 20}
	var buf [entrySize + 4]byte
	n, _ := t.r.ReadAt(buf[:], p.off)
	e, err := parseEntry(buf[:n])
	if err != nil || count > l.end/entrySize {
		return fmt.Errorf("the cross-reference table is invalid at offset %d", p.off)
	}
	if count > 1 {
		p.width = entrySize
		for p.width < int64(n) && isSpace(int(buf[p.width])) {
			p.width++
		}
	}
	if first == 1 && e.kind == free && bytes.HasPrefix(buf[:], []byte("0000000000 65535")) {
		p.first = 0 // the head of the free list is object 0: a known mistake of writers
	}
	t.parts = append(t.parts, p)
	l.seek(p.off + (count-1)*p.width + entrySize)
	return nil
}

// entrySize is the length of an entry without its end of line.
const entrySize = 18

// parseEntry reads "nnnnnnnnnn ggggg n".
func parseEntry(b []byte) (entry, error) {
	if len(b) < entrySize || b[10] != ' ' || b[16] != ' ' {
		return entry{}, errEnd
	}
	var off int64
	for _, c := range b[:10] {
		if !isDigit(int(c)) {
			return entry{}, errors.New("it is not an entry")
		}
		off = 10*off + int64(c-'0')
	}
	switch b[17] {
	case 'n':
		if off == 0 { // where the header is: writers that mean free
			return entry{kind: free}, nil
		}
		return entry{kind: inFile, off: off}, nil
	case 'f':
		return entry{kind: free}, nil
	default:
		return entry{}, errors.New("it is not an entry")
	}
}

func (t *table) find(num int64) (entry, error) {
	var found entry
	for _, p := range t.parts {
		if num < p.first || num >= p.first+p.count {
			continue
		}
		var buf [entrySize]byte
		n, _ := t.r.ReadAt(buf[:], p.off+(num-p.first)*p.width)
		e, err := parseEntry(buf[:n])
		if err != nil {
			return entry{}, fmt.Errorf("the cross-reference entry of object %d is invalid", num)
		}
		found = e
		break
	}
	// Objects that old readers are not to see are free in the table
	// (ISO 32000-1 §7.5.8.4).
	if t.hybrid != nil && found.kind != inFile {
		if e, err := t.hybrid.find(num); err != nil || e.kind != absent {
			return e, err
		}
	}
	return found, nil
}

func (t *table) objects() (n int64) {
	for _, p := range t.parts {
		n += p.count
	}
	if t.hybrid != nil {
		n += t.hybrid.objects()
	}
	return n
}

func (t *table) subsections() int {
	n := len(t.parts)
	if t.hybrid != nil {
		n += t.hybrid.subsections()
	}
	return n
}

func (t *table) size() int64 {
	if t.hybrid == nil {
		return 0
	}
	return t.hybrid.size()
}

// A streamSection is a cross-reference stream (ISO 32000-1 §7.5.8): rows of
// three numbers of w bytes each, for the runs of objects in parts.
type streamSection struct {
	w     [3]int64
	parts []streamPart
	rows  []byte
}

type streamPart struct{ first, count, row int64 }

// xrefStream reads the cross-reference stream at off. num is the number it must
// have, or -1 when any will do.
func (f *file) xrefStream(ctx context.Context, num, off int64) (*streamSection, dict, error) {
	if num < 0 {
		v, _ := newFileLexer(f.r, off, f.size).object()
		num, _ = v.(int64)
	}
	v, err := f.objectAt(num, off)
	if err != nil {
		return nil, nil, fmt.Errorf("there is no cross-reference at offset %d: %w", off, err)
	}
	s, ok := v.(*stream)
	if !ok || s.dict["Type"] != name("XRef") {
		return nil, nil, fmt.Errorf("there is no cross-reference at offset %d", off)
	}
	sec, err := newStreamSection(s.dict)
	if err != nil {
		return nil, nil, err
	}
	data, whole, err := f.decode(ctx, s, maxXRefStreams)
	if err != nil {
		return nil, nil, fmt.Errorf("read the cross-reference stream: %w", err)
	}
	if !whole {
		return nil, nil, errTooLong
	}
	sec.rows = data
	return sec, s.dict, nil
}

func newStreamSection(d dict) (*streamSection, error) {
	s := &streamSection{}
	w, _ := d["W"].(array)
	if len(w) < 3 {
		return nil, errors.New("the cross-reference stream has no W")
	}
	for i := range s.w {
		n, ok := w[i].(int64)
		if !ok || n < 0 || n > 8 {
			return nil, errors.New("the cross-reference stream has an invalid W")
		}
		s.w[i] = n
	}
	index, ok := d["Index"].(array)
	if !ok {
		index = array{int64(0), d.number("Size", 0)}
	}
	if len(index) > 2*maxSubsections {
		return nil, errTooMuchWork
	}
	row := int64(0)
	for i := 0; i+1 < len(index); i += 2 {
		first, ok1 := index[i].(int64)
		count, ok2 := index[i+1].(int64)
		if !ok1 || !ok2 || first < 0 || count < 0 || count > 1<<40 {
			return nil, errors.New("the cross-reference stream has an invalid Index")
		}
		s.parts = append(s.parts, streamPart{first, count, row})
		row += count
	}
	return s, nil
}

func (s *streamSection) find(num int64) (entry, error) {
	for _, p := range s.parts {
		if num < p.first || num >= p.first+p.count {
			continue
		}
		width := s.w[0] + s.w[1] + s.w[2]
		at := p.row + num - p.first
		if width == 0 || at >= int64(len(s.rows))/width {
			return entry{}, nil
		}
		return s.parse(s.rows[at*width:]), nil
	}
	return entry{}, nil
}

func (s *streamSection) parse(row []byte) entry {
	var v [3]int64
	for i, w := range s.w {
		for _, c := range row[:w] {
			v[i] = v[i]<<8 | int64(c)
		}
		row = row[w:]
	}
	if s.w[0] == 0 {
		v[0] = 1
	}
	switch v[0] {
	case 0:
		return entry{kind: free}
	case 1:
		return entry{kind: inFile, off: max(v[1], 0)}
	case 2:
		return entry{kind: inStream, off: v[1], index: max(v[2], 0)}
	default: // reserved: a reference to null
		return entry{kind: free}
	}
}

func (s *streamSection) objects() int64 {
	width := s.w[0] + s.w[1] + s.w[2]
	return int64(len(s.rows)) / max(width, 1)
}

func (s *streamSection) subsections() int { return len(s.parts) }

func (s *streamSection) size() int64 { return int64(len(s.rows)) }
