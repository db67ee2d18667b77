package pdf

import (
	"context"
	"errors"
	"fmt"
)

// maxWalk is how many nodes of the page tree are looked at. The count that the
// tree declares is believed beyond that, where it is plausible.
const maxWalk = 2000

// A page is a page object with the attributes that it may inherit from the tree
// (ISO 32000-1 §7.7.3.4).
type page struct {
	dict                                 dict
	resources, mediaBox, cropBox, rotate object
}

// inherit returns p with the attributes that d has itself.
func (p page) inherit(d dict) page {
	p.dict = d
	for key, to := range map[name]*object{
		"Resources": &p.resources, "MediaBox": &p.mediaBox, "CropBox": &p.cropBox, "Rotate": &p.rotate,
	} {
		if v := d[key]; v != nil {
			*to = v
		}
	}
	return p
}

// readPages counts the pages and keeps the first.
func (d *Document) readPages(ctx context.Context, catalog dict, rebuilt bool) error {
	tree, err := d.file.dict(ctx, catalog["Pages"])
	if err != nil {
		return err
	}
	if tree == nil {
		return errors.New("its page tree is missing")
	}
	v, err := d.file.get(ctx, tree, "Count")
	if err != nil {
		return err
	}
	declared, _ := v.(int64)
	plausible := declared <= d.file.xref.objects()
	w := walk{file: d.file, left: maxWalk}
	if rebuilt || !plausible {
		w.left, w.thorough = maxLoads/2, rebuilt
	}
	err = w.start(ctx, catalog["Pages"])
	if err == nil && w.left < 0 && plausible && int64(w.count) > declared {
		w.left = maxLoads / 2 // the declared count is wrong: all of them, then
		err = w.start(ctx, catalog["Pages"])
	}
	if err != nil {
		return err
	}
	d.first, d.pages = w.first, w.count
	switch {
	case w.left < 0 && plausible && declared >= int64(w.count):
		d.pages = int(declared)
	case w.left < 0:
		return errTooMuchWork
	case w.count == 0:
		return errors.New("it has no pages")
	case rebuilt && int64(w.count) < declared:
		return fmt.Errorf("it has %d of its %d pages", w.count, declared)
	case int64(w.count) != declared:
		d.warn("the page tree says %d pages and has %d", declared, w.count)
	}
	return nil
}

// A walk goes through a page tree in the order of the pages.
type walk struct {
	file     *file
	left     int  // nodes it may still look at; below 0 it has given up
	thorough bool // the content of the pages must be there too
	seen     map[int64]bool
	count    int
	first    page
}

func (w *walk) start(ctx context.Context, root object) error {
	w.seen, w.count = make(map[int64]bool), 0
	return w.node(ctx, root, page{}, maxDepth)
}

func (w *walk) node(ctx context.Context, o object, p page, depth int) error {
	if w.left--; w.left < 0 {
		return nil
	}
	d, err := w.file.dict(ctx, o)
	switch {
	case err != nil:
		return fmt.Errorf("page %d: %w", w.count+1, err)
	case d == nil:
		return fmt.Errorf("page %d is missing", w.count+1)
	}
	p = p.inherit(d)
	v, err := w.file.get(ctx, d, "Kids")
	if err != nil {
		return err
	}
	kids, ok := v.(array)
	if !ok {
		return w.page(ctx, p)
	}
	if r, ok := o.(ref); ok {
		if w.seen[r.num] {
			return errors.New("its page tree goes round in a circle")
		}
		w.seen[r.num] = true
	}
	if depth == 0 {
		return errTooLong
	}
	for _, kid := range kids {
		if err := w.node(ctx, kid, p, depth-1); err != nil || w.left < 0 {
			return err
		}
	}
	return nil
}

func (w *walk) page(ctx context.Context, p page) error {
	t, err := w.file.get(ctx, p.dict, "Type")
	if err != nil {
		return err
	}
	switch t {
	case name("Pages"): // a node without pages
		return nil
	case name("Page"), nil:
	default:
		return fmt.Errorf("page %d is something else: %v", w.count+1, t)
	}
	if w.thorough {
		if err := w.file.checkContent(ctx, p.dict["Contents"]); err != nil {
			return fmt.Errorf("page %d: %w", w.count+1, err)
		}
	}
	if w.count++; w.count == 1 {
		w.first = p
	}
	return nil
}

// checkContent reports a page content that is not there, as after a cut.
func (f *file) checkContent(ctx context.Context, o object) error {
	if o == nil {
		return nil // an empty page
	}
	v, err := f.resolve(ctx, o)
	if err != nil {
		return err
	}
	parts, ok := v.(array)
	if !ok {
		parts = array{v}
	}
	for _, part := range parts {
		v, err := f.resolve(ctx, part)
		if err != nil {
			return err
		}
		if _, ok := v.(*stream); !ok {
			return errors.New("its content is missing")
		}
	}
	return nil
}
