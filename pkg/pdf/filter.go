package pdf

import (
	"bufio"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
)

const maxFilters = 4

// A filter is one step of decoding a stream, with its parameters.
type filter struct {
	name  name
	parms dict
}

// filters returns the filters of s in the order they are applied to its data.
func (f *file) filters(ctx context.Context, s *stream) ([]filter, error) {
	names, err := f.list(ctx, s.dict["Filter"])
	if err != nil {
		return nil, err
	}
	parms, err := f.list(ctx, s.dict["DecodeParms"])
	if err != nil {
		return nil, err
	}
	if len(names) > maxFilters {
		return nil, errTooMuchWork
	}
	var list []filter
	for i, v := range names {
		n, _ := v.(name)
		fl := filter{name: n}
		if i < len(parms) {
			fl.parms, _ = parms[i].(dict)
		}
		list = append(list, fl)
	}
	return list, nil
}

// list resolves o, which is an array or stands for an array of one.
func (f *file) list(ctx context.Context, o object) (array, error) {
	v, err := f.resolve(ctx, o)
	if err != nil || v == nil {
		return nil, err
	}
	a, ok := v.(array)
	if !ok {
		return array{v}, nil
	}
	out := make(array, 0, min(len(a), maxFilters+1))
	for _, v := range a[:min(len(a), maxFilters+1)] {
		if v, err = f.resolve(ctx, v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// decode returns the data of s with all filters undone, at most limit bytes of
// them, and whether that is the whole. Images have filters that it does not
// know.
func (f *file) decode(ctx context.Context, s *stream, limit int64) (data []byte, whole bool, err error) {
	filters, err := f.filters(ctx, s)
	if err != nil {
		return nil, false, err
	}
	return f.decodeWith(ctx, s, filters, limit)
}

func (f *file) decodeWith(ctx context.Context, s *stream, filters []filter, limit int64) (data []byte, whole bool, err error) {
	raw, err := f.raw(ctx, s)
	if err != nil {
		return nil, false, err
	}
	var r io.Reader = &metered{bufio.NewReaderSize(raw, int(min(raw.Size(), 32<<10))), f}
	for _, fl := range filters {
		if r, err = fl.reader(r); err != nil {
			return nil, false, err
		}
		r = &metered{r, f}
	}
	data, err = io.ReadAll(io.LimitReader(r, limit+1))
	if errors.Is(err, errTooMuchWork) {
		return nil, false, err
	}
	if err != nil {
		return nil, false, fmt.Errorf("the stream at offset %d is corrupt: %w", s.off, err)
	}
	if int64(len(data)) > limit {
		return data[:limit], false, nil
	}
	return data, true, nil
}

// A metered reader charges what a filter gives: filters may follow each other,
// and what the first blows up the second may swallow.
type metered struct {
	r    io.Reader
	file *file
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if err2 := m.file.charge(int64(n)); err2 != nil {
		return n, err2
	}
	return n, err
}

// reader returns a reader of what r gives with the filter undone (ISO 32000-1
// §7.4). Cross-references, objects and metadata are written with Flate or with
// no filter; the older ones are left to pages, which are not read.
func (fl filter) reader(r io.Reader) (io.Reader, error) {
	if fl.name != "FlateDecode" {
		return nil, fmt.Errorf("its filter %q is not supported", fl.name)
	}
	return fl.inflater(r)
}

// inflater skips the two bytes of zlib's header and lets its checksum be, which
// some writers leave out.
func (fl filter) inflater(r io.Reader) (io.Reader, error) {
	var header [2]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, errors.New("it holds no data")
	}
	if header[0]&0x0F != 8 {
		return nil, errors.New("it is not a zlib stream")
	}
	z := flate.NewReader(r)
	predictor, _ := fl.parms["Predictor"].(int64)
	if predictor <= 1 {
		return z, nil
	}
	return newUnpredictor(z, predictor, fl.parms)
}

// An unpredictor undoes the prediction of rows that goes before compression
// (ISO 32000-1 §7.4.4.4): the five of PNG, or TIFF's for 8-bit components.
type unpredictor struct {
	r        io.Reader
	png      bool
	pixel    int    // bytes between a byte and its left neighbour
	row, old []byte // the present row and the one above, after prediction
	rest     []byte // of the present row, not yet read
}

func newUnpredictor(r io.Reader, predictor int64, parms dict) (*unpredictor, error) {
	colors, bits, columns := parms.number("Colors", 1), parms.number("BitsPerComponent", 8), parms.number("Columns", 1)
	if colors < 1 || colors > 32 || bits < 1 || bits > 16 || columns < 1 || columns > 1<<20 {
		return nil, errors.New("its predictor has invalid parameters")
	}
	if predictor == 2 && bits != 8 || predictor > 2 && predictor < 10 || predictor > 15 {
		return nil, fmt.Errorf("its predictor %d is not supported", predictor)
	}
	n := (colors*bits*columns + 7) / 8
	return &unpredictor{
		r: r, png: predictor >= 10, pixel: int(max(1, colors*bits/8)),
		row: make([]byte, n), old: make([]byte, n),
	}, nil
}

// number returns an integer entry of d, or otherwise when there is none.
func (d dict) number(key name, otherwise int64) int64 {
	if n, ok := d[key].(int64); ok {
		return n
	}
	return otherwise
}

func (u *unpredictor) Read(p []byte) (int, error) {
	if len(u.rest) == 0 {
		if err := u.nextRow(); err != nil {
			return 0, err
		}
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

func (u *unpredictor) nextRow() error {
	kind := []byte{1} // TIFF's predictor is the left neighbour, as PNG's Sub
	if u.png {
		if _, err := io.ReadFull(u.r, kind); err != nil {
			return err
		}
	}
	u.row, u.old = u.old, u.row
	n, err := io.ReadFull(u.r, u.row)
	if n == 0 {
		return err
	}
	u.rest = u.row[:n] // the last row may be short
	return u.undo(kind[0])
}

func (u *unpredictor) undo(kind byte) error {
	if kind > 4 {
		return fmt.Errorf("its predictor is invalid: %d", kind)
	}
	for i := range u.rest {
		var left, corner byte
		if i >= u.pixel {
			left, corner = u.row[i-u.pixel], u.old[i-u.pixel]
		}
		switch up := u.old[i]; kind {
		case 1:
			u.row[i] += left
		case 2:
			u.row[i] += up
		case 3:
			u.row[i] += byte((int(left) + int(up)) / 2)
		case 4:
			u.row[i] += paeth(left, up, corner)
		}
	}
	return nil
}

// paeth returns the neighbour that is nearest to left + up - corner (PNG §9.4).
func paeth(left, up, corner byte) byte {
	a, b, c := int(left), int(up), int(corner)
	pa, pb, pc := b-c, a-c, a+b-2*c
	pa, pb, pc = max(pa, -pa), max(pb, -pb), max(pc, -pc)
	switch {
	case pa <= pb && pa <= pc:
		return left
	case pb <= pc:
		return up
	default:
		return corner
	}
}
