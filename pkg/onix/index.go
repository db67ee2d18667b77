package onix

import (
	"bufio"
	"cmp"
	"encoding/gob"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"sync/atomic"
)

// An Index finds products by their identifiers. The products wait in a temporary
// file, so that their number costs little memory. Its methods may be called by
// several goroutines at once.
type Index struct {
	file  *os.File
	seed  maphash.Seed
	keys  []key // sorted
	count int
	size  int64

	used []atomic.Bool // by product
}

// A key stands for an identifier of a product.
type key struct {
	hash    uint64
	offset  int64 // of the product in the file
	product int32 // number of the product
}

// ErrTooMany is returned for messages with more products than an index can hold.
var ErrTooMany = errors.New("more products than can be kept apart")

// NewIndex takes in products. Of those with the same reference the last counts, as
// it does where messages are read one after another. The caller closes the index.
func NewIndex() (*Index, error) {
	f, err := os.CreateTemp("", "lcp-onix-")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name()) // where that works on open files, a killed run leaves none
	return &Index{file: f, seed: maphash.MakeSeed()}, nil
}

// Add takes in the products of a message. After the last, call Done.
func (x *Index) Add(r io.Reader) error {
	out := bufio.NewWriter(io.NewOffsetWriter(x.file, x.size))
	for p, err := range Read(r) {
		if err != nil {
			return err
		}
		if x.count == 1<<31-1 {
			return ErrTooMany
		}
		counted := &countingWriter{w: out}
		if err := gob.NewEncoder(counted).Encode(p); err != nil {
			return fmt.Errorf("keep the products: %w", err)
		}
		for _, id := range p.identifiers() {
			x.keys = append(x.keys, key{maphash.String(x.seed, id), x.size, int32(x.count)})
		}
		x.size += counted.n
		x.count++
	}
	return out.Flush()
}

// A countingWriter counts bytes.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// Identifiers of different kinds are not taken for one another.
const (
	isbnKind      = "isbn "
	referenceKind = "reference "
)

// identifiers are what a product is found by.
func (p *Product) identifiers() []string {
	ids := []string{referenceKind + strings.ToLower(p.Reference)}
	for _, isbn := range p.ISBNs {
		ids = append(ids, isbnKind+isbn)
	}
	return ids
}

// Done ends the adding. Nothing can be found before.
func (x *Index) Done() {
	slices.SortFunc(x.keys, func(a, b key) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.offset, b.offset)) })
	x.used = make([]atomic.Bool, x.count)
}

// Close removes the temporary file.
func (x *Index) Close() error {
	err := x.file.Close()
	_ = os.Remove(x.file.Name())
	return err
}

// An AmbiguousError says that several products are meant.
type AmbiguousError struct{ References []string }

func (e *AmbiguousError) Error() string {
	const shown = 3
	list := e.References
	more := ""
	if len(list) > shown {
		more = fmt.Sprintf(" and %d more", len(list)-shown)
		list = list[:shown]
	}
	return fmt.Sprintf("several products are meant: %q%s", list, more)
}

// Find finds the product that texts tell of: one is its reference, or holds one of
// its ISBNs, hyphens or not. It is nil if there is none, or it is withdrawn. It
// fails with an AmbiguousError if there are several.
func (x *Index) Find(texts ...string) (*Product, error) {
	var found []*Product
	var number int32
	for _, text := range texts {
		ids := []string{referenceKind + strings.ToLower(strings.TrimSpace(text))}
		for _, isbn := range isbnsIn(text) {
			ids = append(ids, isbnKind+isbn)
		}
		for _, id := range ids {
			products, last, err := x.products(id)
			if err != nil {
				return nil, err
			}
			if len(products) > 0 {
				number = last
			}
			for _, p := range products {
				if !slices.ContainsFunc(found, func(f *Product) bool { return f.Reference == p.Reference }) {
					found = append(found, p)
				}
			}
		}
	}
	switch {
	case len(found) == 0:
		return nil, nil //nolint:nilnil // there is none, as said
	case len(found) > 1:
		e := &AmbiguousError{}
		for _, p := range found {
			e.References = append(e.References, p.Reference)
		}
		return nil, e
	}
	x.used[number].Store(true)
	if found[0].Withdrawn {
		return nil, nil //nolint:nilnil // as said
	}
	return found[0], nil
}

// products finds the products with an identifier: of those with one reference the
// last, whose number is returned, too.
func (x *Index) products(id string) (list []*Product, number int32, err error) {
	hash := maphash.String(x.seed, id)
	at, _ := slices.BinarySearchFunc(x.keys, hash, func(k key, hash uint64) int { return cmp.Compare(k.hash, hash) })
	for ; at < len(x.keys) && x.keys[at].hash == hash; at++ {
		p, err := x.read(x.keys[at].offset)
		if err != nil {
			return nil, 0, err
		}
		if !slices.Contains(p.identifiers(), id) {
			continue // another one with the same hash
		}
		number = x.keys[at].product
		if before := slices.IndexFunc(list, func(f *Product) bool { return f.Reference == p.Reference }); before >= 0 {
			list[before] = p
			continue
		}
		list = append(list, p)
	}
	return list, number, nil
}

func (x *Index) read(offset int64) (*Product, error) {
	var p Product
	r := bufio.NewReaderSize(io.NewSectionReader(x.file, offset, x.size-offset), 4096)
	if err := gob.NewDecoder(r).Decode(&p); err != nil {
		return nil, fmt.Errorf("read the products again: %w", err)
	}
	return &p, nil
}

// Unused gives the products that were not found, in their order: without those
// that are withdrawn, or replaced by a later one.
func (x *Index) Unused() iter.Seq2[*Product, error] {
	return func(yield func(*Product, error) bool) {
		byOffset := slices.Clone(x.keys)
		slices.SortFunc(byOffset, func(a, b key) int { return cmp.Compare(a.offset, b.offset) })
		byOffset = slices.CompactFunc(byOffset, func(a, b key) bool { return a.product == b.product })
		for _, k := range byOffset {
			if x.used[k.product].Load() {
				continue
			}
			p, err := x.read(k.offset)
			var last int32
			if err == nil {
				_, last, err = x.products(referenceKind + strings.ToLower(p.Reference))
			}
			if err == nil && (p.Withdrawn || last != k.product) {
				continue
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// isbnsIn finds the ISBNs in a text: 13 digits, hyphens or not, with no digit
// before or behind them.
func isbnsIn(text string) []string {
	var list []string
	for _, run := range strings.FieldsFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '-' && r != '\u2010' && r != '\u2011' }) {
		if isbn := digits(run); len(isbn) == isbnLength {
			list = append(list, isbn)
			continue
		}
		// As in 9780000000001-2.
		for part := range strings.SplitSeq(run, "-") {
			if len(part) == isbnLength {
				list = append(list, part)
			}
		}
	}
	return list
}
