package pdf

import (
	"bytes"
	"context"
	"errors"
	"image/jpeg"
	"math"
)

// Bounds on the search for a cover, and what counts as one.
const (
	maxContent   = 4 << 20  // bytes of the content of a page
	maxOperators = 100_000  // of a page; a page that is one image has a handful
	maxCover     = 16 << 20 // bytes
	minCoverSide = 100      // pixels
	maxForms     = 3        // forms inside each other
	minCovered   = 0.9      // how much of the page's width and height it covers
	maxBeyond    = 1.25     // how far it may be cropped
	slack        = 0.1      // how far the shapes of image and place may differ
)

// Cover returns the JPEG image that fills the first page, byte for byte as the
// document holds it, and its media type. It returns ErrNoCover when there is
// none: the page is drawn from text or several images, or the image is in a
// form that browsers do not show upright and in its colors, such as CMYK,
// masked, or JPEG 2000. Text beside the image does not count, since scanned
// pages carry it unseen. The budget of the work on hostile documents is shared
// with Open.
func (d *Document) Cover(ctx context.Context) (data []byte, mediaType string, err error) {
	data, err = d.cover(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, "", ctx.Err()
	case err != nil || data == nil: // damage here is no reason to refuse anything
		return nil, "", ErrNoCover
	}
	return data, "image/jpeg", nil
}

func (d *Document) cover(ctx context.Context) ([]byte, error) {
	box, err := d.file.pageBox(ctx, d.first)
	if err != nil {
		return nil, err
	}
	content, err := d.file.content(ctx, d.first.dict["Contents"])
	if err != nil {
		return nil, err
	}
	resources, err := d.file.dict(ctx, d.first.resources)
	if err != nil {
		return nil, err
	}
	p := painter{file: d.file, box: box, left: maxOperators}
	if err := p.run(ctx, content, resources, identity, maxForms); err != nil || p.image == nil || p.layers != 1 {
		return nil, err
	}
	return d.file.jpeg(ctx, p.image, p.place)
}

// A rect is a rectangle in points, left of right and bottom below top.
type rect struct{ left, bottom, right, top float64 }

func (r rect) width() float64  { return r.right - r.left }
func (r rect) height() float64 { return r.top - r.bottom }

func (r rect) intersect(s rect) rect {
	return rect{max(r.left, s.left), max(r.bottom, s.bottom), min(r.right, s.right), min(r.top, s.top)}
}

// pageBox returns what a reader shows of the page. A rotated page has no cover:
// its image lies on its side.
func (f *file) pageBox(ctx context.Context, p page) (rect, error) {
	media, ok, err := f.rect(ctx, p.mediaBox)
	if err != nil || !ok {
		return rect{}, errors.Join(err, ErrNoCover)
	}
	crop, ok, err := f.rect(ctx, p.cropBox)
	if err != nil {
		return rect{}, err
	}
	if ok {
		media = media.intersect(crop)
	}
	rotate, err := f.resolve(ctx, p.rotate)
	if err != nil {
		return rect{}, err
	}
	if n, ok := number(rotate); ok && math.Mod(n, 360) != 0 || !(media.width() > 0 && media.height() > 0) {
		return rect{}, ErrNoCover
	}
	return media, nil
}

func number(o object) (float64, bool) {
	switch n := o.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

// numbers resolves an array of n numbers.
func (f *file) numbers(ctx context.Context, o object, n int) ([]float64, error) {
	v, err := f.resolve(ctx, o)
	a, _ := v.(array)
	if err != nil || len(a) != n {
		return nil, err
	}
	out := make([]float64, n)
	for i := range a {
		if v, err = f.resolve(ctx, a[i]); err != nil {
			return nil, err
		}
		var ok bool
		if out[i], ok = number(v); !ok {
			return nil, nil
		}
	}
	return out, nil
}

func (f *file) rect(ctx context.Context, o object) (r rect, ok bool, err error) {
	n, err := f.numbers(ctx, o, 4)
	if err != nil || n == nil {
		return rect{}, false, err
	}
	return rect{min(n[0], n[2]), min(n[1], n[3]), max(n[0], n[2]), max(n[1], n[3])}, true, nil
}

// content returns the operators of a page, whose parts join as if they were one
// (ISO 32000-1 §7.8.2), up to the bound.
func (f *file) content(ctx context.Context, o object) ([]byte, error) {
	v, err := f.resolve(ctx, o)
	if err != nil {
		return nil, err
	}
	parts, ok := v.(array)
	if !ok {
		parts = array{v}
	}
	var all []byte
	for _, part := range parts {
		if v, err = f.resolve(ctx, part); err != nil {
			return nil, err
		}
		s, ok := v.(*stream)
		if !ok {
			continue
		}
		data, whole, err := f.decode(ctx, s, maxContent-int64(len(all)))
		if err != nil {
			return nil, err
		}
		if !whole || len(all)+len(data) >= maxContent {
			return nil, ErrNoCover // far too much for a page that is one image
		}
		all = append(append(all, data...), '\n')
	}
	return all, nil
}

// A matrix is [a b c d e f] of ISO 32000-1 §8.3.3.
type matrix [6]float64

var identity = matrix{1, 0, 0, 1, 0, 0}

// times returns the matrix that applies m first, then n.
func (m matrix) times(n matrix) matrix {
	return matrix{
		m[0]*n[0] + m[1]*n[2], m[0]*n[1] + m[1]*n[3],
		m[2]*n[0] + m[3]*n[2], m[2]*n[1] + m[3]*n[3],
		m[4]*n[0] + m[5]*n[2] + n[4], m[4]*n[1] + m[5]*n[3] + n[5],
	}
}

// place returns the rectangle that m maps the unit square to, where images are
// drawn, and false when they come out turned or mirrored.
func (m matrix) place() (rect, bool) {
	upright := m[0] > 0 && m[3] > 0 && math.Abs(m[1]) < 0.01*m[0] && math.Abs(m[2]) < 0.01*m[3]
	return rect{m[4], m[5], m[4] + m[0], m[5] + m[3]}, upright
}

// A painter follows what a content stream draws, as far as images go.
type painter struct {
	file *file
	box  rect
	left int // operators it may still look at

	layers int     // images that cover most of the page
	image  *stream // the one that covers all of it
	place  rect
}

func (p *painter) run(ctx context.Context, content []byte, resources dict, ctm matrix, forms int) error {
	l := newLexer(content, false)
	var stack []matrix
	var operands []object
	for {
		l.parts = maxObjectParts
		v, err := l.object()
		if errors.Is(err, errEnd) {
			return nil
		}
		if err != nil {
			return err
		}
		op, ok := v.(keyword)
		if !ok {
			if operands = append(operands, v); len(operands) > 32 {
				operands = operands[1:]
			}
			continue
		}
		if p.left--; p.left < 0 {
			return ErrNoCover
		}
		switch op {
		case "q":
			stack = append(stack, ctm)
		case "Q":
			if n := len(stack); n > 0 {
				ctm, stack = stack[n-1], stack[:n-1]
			}
		case "cm":
			if m, ok := matrixOf(operands); ok {
				ctm = m.times(ctm)
			}
		case "Do":
			if n := len(operands); n > 0 {
				if err := p.draw(ctx, operands[n-1], resources, ctm, forms); err != nil {
					return err
				}
			}
		case "ID":
			skipInlineImage(l)
		}
		operands = operands[:0]
	}
}

func matrixOf(operands []object) (m matrix, ok bool) {
	if len(operands) != len(m) {
		return m, false
	}
	for i, v := range operands {
		if m[i], ok = number(v); !ok {
			return m, false
		}
	}
	return m, true
}

// skipInlineImage moves behind the EI that ends the data of an inline image.
func skipInlineImage(l *lexer) {
	for at := l.pos; ; {
		i := bytes.Index(l.buf[at:], []byte("EI"))
		if i < 0 {
			l.pos = len(l.buf)
			return
		}
		end := at + i + 2
		if at+i > 0 && isSpace(int(l.buf[at+i-1])) && (end == len(l.buf) || isSpace(int(l.buf[end]))) {
			l.pos = end
			return
		}
		at = end
	}
}

// draw paints an external object: an image, or a form that draws in its turn.
func (p *painter) draw(ctx context.Context, o object, resources dict, ctm matrix, forms int) error {
	id, _ := o.(name)
	objects, err := p.file.dict(ctx, resources["XObject"])
	if err != nil {
		return err
	}
	v, err := p.file.get(ctx, objects, id)
	if err != nil {
		return err
	}
	s, ok := v.(*stream)
	if !ok {
		return nil
	}
	switch s.dict["Subtype"] {
	case name("Image"):
		p.paint(s, ctm)
	case name("Form"):
		if forms > 0 {
			return p.form(ctx, s, resources, ctm, forms-1)
		}
	}
	return nil
}

// paint notes an image that covers the page. Where several do, the page is made
// of layers, none of which is the page.
func (p *painter) paint(s *stream, ctm matrix) {
	place, upright := ctm.place()
	seen := place.intersect(p.box)
	if seen.width() <= 0 || seen.height() <= 0 || seen.width()*seen.height() < p.box.width()*p.box.height()/2 {
		return
	}
	p.layers++
	if upright && seen.width() >= minCovered*p.box.width() && seen.height() >= minCovered*p.box.height() &&
		place.width() <= maxBeyond*p.box.width() && place.height() <= maxBeyond*p.box.height() {
		p.image, p.place = s, place
	}
}

func (p *painter) form(ctx context.Context, s *stream, resources dict, ctm matrix, forms int) error {
	if v, err := p.file.numbers(ctx, s.dict["Matrix"], 6); err != nil {
		return err
	} else if v != nil {
		ctm = matrix(v).times(ctm)
	}
	own, err := p.file.dict(ctx, s.dict["Resources"])
	if err != nil {
		return err
	}
	if own != nil {
		resources = own
	}
	content, whole, err := p.file.decode(ctx, s, maxContent)
	if err != nil {
		return err
	}
	if !whole {
		return ErrNoCover
	}
	return p.run(ctx, content, resources, ctm, forms)
}

// jpeg returns the data of an image in JPEG that browsers show as the page
// does, drawn in place, else nil.
func (f *file) jpeg(ctx context.Context, s *stream, place rect) ([]byte, error) {
	for _, key := range []name{"SMask", "Mask", "Decode"} {
		if s.dict[key] != nil {
			return nil, nil
		}
	}
	if ok, err := f.plainColor(ctx, s.dict["ColorSpace"]); err != nil || !ok {
		return nil, err
	}
	filters, err := f.filters(ctx, s)
	n := len(filters)
	if err != nil || n == 0 || filters[n-1].name != "DCTDecode" {
		return nil, err
	}
	data, whole, err := f.decodeWith(ctx, s, filters[:n-1], maxCover)
	if err != nil || !whole {
		return nil, err
	}
	c, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil || min(c.Width, c.Height) < minCoverSide {
		return nil, err
	}
	shape := float64(c.Width) / float64(c.Height) * place.height() / place.width()
	if math.Abs(shape-1) > slack {
		return nil, nil
	}
	return data, nil
}

// plainColor reports whether a color space is gray or RGB, calibrated or not.
func (f *file) plainColor(ctx context.Context, o object) (bool, error) {
	list, err := f.list(ctx, o)
	if err != nil || len(list) == 0 {
		return false, err
	}
	switch list[0] {
	case name("DeviceRGB"), name("DeviceGray"), name("CalRGB"), name("CalGray"):
		return true, nil
	case name("ICCBased"):
		if len(list) == 2 {
			if s, ok := list[1].(*stream); ok {
				n := s.dict.number("N", 0)
				return n == 1 || n == 3, nil
			}
		}
	}
	return false, nil
}
