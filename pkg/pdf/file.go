package pdf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// Bounds on the work that one document may cause, hostile ones included.
const (
	maxLoads   = 1 << 18   // objects read
	maxWork    = 128 << 20 // bytes parsed, searched, or given by a filter
	maxStream  = 16 << 20  // bytes of one stream, filters undone
	maxNesting = 16        // objects read to read another
	cacheSize  = 8 << 20   // bytes of object streams kept
)

var errTooMuchWork = errors.New("reading it takes too much work: it is not an ordinary document")

// A source remembers the first failure of a reader, so that the code that
// reads objects can take any failure for the end of the data. Open then tells
// a failing disk from a damaged file.
type source struct {
	r   io.ReaderAt
	err error
}

func (s *source) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) && s.err == nil {
		s.err = err
	}
	return n, err
}

// A file is a PDF as a set of numbered objects.
type file struct {
	r       io.ReaderAt
	size    int64
	xref    xref
	trailer dict // merged, the newest revision first

	loads   int
	work    int64
	nesting int
	cached  int64
	objects map[int64]*objectStream // by number of the stream
}

// charge counts n bytes of work, and fails when there has been too much.
func (f *file) charge(n int64) error {
	if f.work += n; f.work > maxWork {
		return errTooMuchWork
	}
	return nil
}

// load returns the object of that number, nil when there is none: a reference
// to what does not exist is a reference to null (ISO 32000-1 §7.3.10).
func (f *file) load(ctx context.Context, num int64) (object, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if f.loads++; f.loads > maxLoads || f.nesting == maxNesting {
		return nil, errTooMuchWork
	}
	f.nesting++
	defer func() { f.nesting-- }()
	e, err := f.xref.find(num)
	if err != nil {
		return nil, err
	}
	switch e.kind {
	case inFile:
		v, err := f.objectAt(num, e.off)
		if err != nil {
			return nil, fmt.Errorf("object %d: %w", num, err)
		}
		return v, nil
	case inStream:
		v, err := f.objectInStream(ctx, num, e.off, e.index)
		if err != nil {
			return nil, fmt.Errorf("object %d in object stream %d: %w", num, e.off, err)
		}
		return v, nil
	default:
		return nil, nil
	}
}

// resolve follows references until there is a value.
func (f *file) resolve(ctx context.Context, o object) (object, error) {
	for range maxNesting {
		r, ok := o.(ref)
		if !ok {
			return o, nil
		}
		var err error
		if o, err = f.load(ctx, r.num); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("references go round in a circle")
}

// get resolves the entry of d of that name.
func (f *file) get(ctx context.Context, d dict, key name) (object, error) {
	return f.resolve(ctx, d[key])
}

// dict resolves o to a dictionary, nil when it is something else.
func (f *file) dict(ctx context.Context, o object) (dict, error) {
	v, err := f.resolve(ctx, o)
	if err != nil {
		return nil, err
	}
	d, _ := v.(dict)
	return d, nil
}

// objectAt reads the object of that number, which must stand at off.
func (f *file) objectAt(num, off int64) (object, error) {
	l := newFileLexer(f.r, off, f.size)
	l.refs = false
	n, err1 := l.object()
	_, err2 := l.object()
	k, err3 := l.object()
	if err1 != nil || err2 != nil || err3 != nil || n != num || k != keyword("obj") {
		return nil, fmt.Errorf("it is not at offset %d", off)
	}
	l.refs = true
	v, err := l.object()
	if err2 := f.charge(l.offset() - off); err2 != nil {
		return nil, err2
	}
	if err != nil {
		return nil, err
	}
	if k, ok := v.(keyword); ok {
		if k != "endobj" {
			return nil, fmt.Errorf("unexpected %q at offset %d", k, l.offset())
		}
		return nil, nil // an empty object is null
	}
	d, ok := v.(dict)
	if !ok {
		return v, nil
	}
	if k, _ := l.object(); k != keyword("stream") {
		return d, nil
	}
	if l.peek() == '\r' {
		l.pos++
	}
	if l.peek() == '\n' {
		l.pos++
	}
	return &stream{dict: d, off: l.offset()}, nil
}

// raw returns the data of s before any filter. Where Length does not lead to
// the end of the stream, the end is looked for.
func (f *file) raw(ctx context.Context, s *stream) (*io.SectionReader, error) {
	v, err := f.get(ctx, s.dict, "Length")
	if err != nil {
		return nil, err
	}
	if n, ok := v.(int64); ok && n >= 0 && n <= f.size-s.off {
		l := newFileLexer(f.r, s.off+n, f.size)
		if k, _ := l.object(); k == keyword("endstream") {
			return io.NewSectionReader(f.r, s.off, n), nil
		}
	}
	n, err := f.searchEnd(ctx, s.off)
	if err != nil {
		return nil, err
	}
	return io.NewSectionReader(f.r, s.off, n), nil
}

// searchEnd returns how many bytes after off the stream ends.
func (f *file) searchEnd(ctx context.Context, off int64) (int64, error) {
	mark := []byte("endstream")
	buf := make([]byte, 64<<10)
	for at := off; at < min(f.size, off+maxStream); at += int64(len(buf) - len(mark)) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, _ := f.r.ReadAt(buf, at)
		if err := f.charge(int64(n)); err != nil {
			return 0, err
		}
		if i := bytes.Index(buf[:n], mark); i >= 0 {
			return at + int64(i) - off, nil
		}
	}
	return 0, fmt.Errorf("the stream at offset %d has no end", off)
}

// An objectStream is the inflated content of a stream of objects
// (ISO 32000-1 §7.5.7).
type objectStream struct {
	data    []byte
	numbers []int64
	offsets []int64 // into data
}

func (f *file) objectInStream(ctx context.Context, num, container, index int64) (object, error) {
	s := f.objects[container]
	if s == nil {
		var err error
		if s, err = f.readObjectStream(ctx, container); err != nil {
			return nil, err
		}
		if f.cached += int64(len(s.data)); f.cached > cacheSize || f.objects == nil {
			f.cached, f.objects = int64(len(s.data)), make(map[int64]*objectStream)
		}
		f.objects[container] = s
	}
	if index >= int64(len(s.numbers)) || s.numbers[index] != num || s.offsets[index] > int64(len(s.data)) {
		return nil, errors.New("it is not there")
	}
	l := newLexer(s.data[s.offsets[index]:], true)
	v, err := l.object()
	if err2 := f.charge(l.offset()); err2 != nil {
		return nil, err2
	}
	return v, err
}

func (f *file) readObjectStream(ctx context.Context, num int64) (*objectStream, error) {
	stm, count, start, err := f.findObjectStream(ctx, num)
	if err != nil {
		return nil, err
	}
	data, whole, err := f.decode(ctx, stm, maxStream)
	if err != nil {
		return nil, err
	}
	if !whole {
		return nil, errTooLong
	}
	return parseObjectStream(data, count, start)
}

// findObjectStream returns the stream of that number, how many objects it
// holds, and where the first of them stands in the inflated data.
func (f *file) findObjectStream(ctx context.Context, num int64) (s *stream, count, start int64, err error) {
	if e, err := f.xref.find(num); err != nil || e.kind != inFile { // never one inside another
		return nil, 0, 0, errors.New("the object stream is missing")
	}
	v, err := f.load(ctx, num)
	if err != nil {
		return nil, 0, 0, err
	}
	s, ok := v.(*stream)
	if !ok {
		return nil, 0, 0, errors.New("it is not a stream")
	}
	n, err := f.get(ctx, s.dict, "N")
	if err != nil {
		return nil, 0, 0, err
	}
	first, err := f.get(ctx, s.dict, "First")
	if err != nil {
		return nil, 0, 0, err
	}
	count, ok1 := n.(int64)
	start, ok2 := first.(int64)
	if !ok1 || !ok2 || count < 0 || count > maxObjectParts/2 || start < 0 || start > maxStream {
		return nil, 0, 0, errors.New("its dictionary is invalid")
	}
	return s, count, start, nil
}

// parseObjectStream reads the pairs of number and offset at the head of data.
func parseObjectStream(data []byte, count, start int64) (*objectStream, error) {
	if start > int64(len(data)) {
		return nil, errEnd
	}
	s := &objectStream{data: data}
	l := newLexer(data[:start], false)
	for range count {
		num, err1 := l.object()
		off, err2 := l.object()
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		n, ok1 := num.(int64)
		o, ok2 := off.(int64)
		if !ok1 || !ok2 || o < 0 || o > maxStream {
			return nil, errors.New("its table of objects is invalid")
		}
		s.numbers, s.offsets = append(s.numbers, n), append(s.offsets, start+o)
	}
	return s, nil
}
