package pdf

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Bounds on the search for objects.
const (
	maxFound      = 1 << 19 // objects
	maxTrailers   = 64      // the last ones
	searchStep    = 256 << 10
	searchBefore  = 64   // bytes looked at before a match: the numbers
	searchAfter   = 1024 // and behind it: the type of a stream
	maxContainers = 1 << 16
)

// found is a cross-reference made by a search.
type found map[int64]entry

func (f found) find(num int64) (entry, error) { return f[num], nil }

func (f found) objects() int64 { return int64(len(f)) }

// A search collects what a file holds, in order of offset.
type search struct {
	objects    found
	trailers   []int64         // offsets behind the keyword
	containers []objectAddress // streams of objects
	tables     []objectAddress // cross-reference streams, whose dictionary is a trailer
}

type objectAddress struct{ num, off int64 }

// searchFile reads the file from end to end for its objects and trailers, the
// way that readers go when the cross-reference fails them. Of several objects
// of one number the last counts.
func searchFile(ctx context.Context, r io.ReaderAt, size int64) (*file, error) {
	s := search{objects: make(found)}
	buf := make([]byte, searchBefore+searchStep+searchAfter)
	for at := int64(0); at < size; at += searchStep {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		from := max(0, at-searchBefore)
		n, _ := r.ReadAt(buf[:at-from+searchStep+searchAfter], from)
		s.objectsIn(buf[:n], from, at)
		s.trailersIn(buf[:n], from, at)
		if len(s.objects) > maxFound || len(s.containers) > maxContainers {
			return nil, errTooMuchWork
		}
	}
	f := &file{r: r, size: size, xref: xref{s.objects}}
	if f.trailer = s.trailer(f); f.trailer["Root"] == nil {
		return nil, errors.New("there is no trailer")
	}
	if f.trailer["Encrypt"] == nil {
		if err := s.openContainers(ctx, f); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// matches calls do for each place of mark in buf that lies in the step at
// offset at, where buf begins at offset from.
func matches(buf []byte, mark string, from, at int64, do func(i int)) {
	for i := int(at - from); i < len(buf) && i < int(at-from)+searchStep; {
		j := bytes.Index(buf[i:], []byte(mark))
		if j < 0 || i+j >= int(at-from)+searchStep {
			return
		}
		do(i + j)
		i += j + len(mark)
	}
}

func (s *search) objectsIn(buf []byte, from, at int64) {
	matches(buf, "obj", from, at, func(i int) {
		num, start, ok := objectNumber(buf[:i])
		if !ok {
			return
		}
		a := objectAddress{num, from + int64(start)}
		s.objects[num] = entry{kind: inFile, off: a.off}
		head := buf[i:min(len(buf), i+searchAfter)]
		for _, end := range []string{"endobj", "stream"} {
			head, _, _ = bytes.Cut(head, []byte(end))
		}
		if bytes.Contains(head, []byte("/ObjStm")) {
			s.containers = append(s.containers, a)
		} else if bytes.Contains(head, []byte("/XRef")) {
			s.tables = append(s.tables, a)
		}
	})
}

// objectNumber reads "12 0 " at the end of b, and returns the number and where
// it stands.
func objectNumber(b []byte) (num int64, start int, ok bool) {
	back := func(i int, class func(int) bool) int {
		for i > 0 && class(int(b[i-1])) {
			i--
		}
		return i
	}
	genEnd := back(len(b), isSpace)
	gen := back(genEnd, isDigit)
	numEnd := back(gen, isSpace)
	start = back(numEnd, isDigit)
	if gen == genEnd || numEnd == gen || start == numEnd || numEnd-start > 10 {
		return 0, 0, false
	}
	for _, c := range b[start:numEnd] {
		num = 10*num + int64(c-'0')
	}
	return num, start, true
}

func (s *search) trailersIn(buf []byte, from, at int64) {
	matches(buf, "trailer", from, at, func(i int) {
		if len(s.trailers) == maxTrailers {
			s.trailers = s.trailers[1:]
		}
		s.trailers = append(s.trailers, from+int64(i)+int64(len("trailer")))
	})
}

// trailer merges the trailers, the last first.
func (s *search) trailer(f *file) dict {
	type located struct {
		off  int64
		dict dict
	}
	var all []located
	for _, off := range s.trailers {
		if v, err := newFileLexer(f.r, off, f.size).object(); err == nil {
			if d, ok := v.(dict); ok {
				all = append(all, located{off, d})
			}
		}
	}
	for _, a := range s.tables[max(0, len(s.tables)-maxTrailers):] {
		if v, err := f.objectAt(a.num, a.off); err == nil {
			if t, ok := v.(*stream); ok {
				all = append(all, located{a.off, t.dict})
			}
		}
	}
	slices.SortFunc(all, func(a, b located) int { return cmp.Compare(b.off, a.off) })
	merged := dict{}
	for _, t := range all {
		for k, v := range t.dict {
			if merged[k] == nil {
				merged[k] = v
			}
		}
	}
	return merged
}

// openContainers adds the objects inside object streams, the newest first. An
// object that stands in the file itself wins. A stream that cannot be read
// means that objects are lost.
func (s *search) openContainers(ctx context.Context, f *file) error {
	for _, a := range slices.Backward(s.containers) {
		if s.objects[a.num].off != a.off {
			continue // replaced by a later object of its number
		}
		numbers, err := f.containedNumbers(ctx, a.num)
		if err != nil {
			return fmt.Errorf("object stream %d: %w", a.num, err)
		}
		for i, num := range numbers {
			if _, ok := s.objects[num]; !ok {
				s.objects[num] = entry{kind: inStream, off: a.num, index: int64(i)}
			}
		}
		if len(s.objects) > maxFound {
			return errTooMuchWork
		}
	}
	return nil
}

// containedNumbers returns the numbers of the objects in an object stream, for
// which its head is enough.
func (f *file) containedNumbers(ctx context.Context, container int64) ([]int64, error) {
	stm, count, start, err := f.findObjectStream(ctx, container)
	if err != nil {
		return nil, err
	}
	head, _, err := f.decode(ctx, stm, start)
	if err != nil {
		return nil, err
	}
	s, err := parseObjectStream(head, count, start)
	if err != nil {
		return nil, err
	}
	return s.numbers, nil
}
