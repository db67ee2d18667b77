package catalogue

import (
	"bufio"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lcp-tools/lcp/pkg/publication"
)

// A Plan is the items of a batch, checked against each other before anything is
// done. They wait in a temporary file, so that their number costs little memory.
type Plan struct {
	file  *os.File
	count int
	taken map[digest]struct{}
}

// A DuplicateError says that two items would take each other's place.
type DuplicateError struct {
	First, Second string // inputs
	What          string // they have in common, and its value
}

func (e *DuplicateError) Error() string {
	if e.What == "" {
		return e.Second + " is there twice"
	}
	return fmt.Sprintf("%s and %s have the same %s", e.First, e.Second, e.What)
}

// NewPlan takes in items. It fails with the first error among them, and with a
// DuplicateError if two have the same alternative identifier, UUID or name in
// the store, or are the same. The caller closes the plan.
func NewPlan(items iter.Seq2[Item, error]) (*Plan, error) {
	f, err := os.CreateTemp("", "lcp-plan-")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name()) // where that works on open files, a killed run leaves none
	p := &Plan{file: f, taken: map[digest]struct{}{}}
	if err := p.fill(items); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.taken = nil
	return p, nil
}

func (p *Plan) fill(items iter.Seq2[Item, error]) error {
	out := bufio.NewWriter(p.file)
	enc := gob.NewEncoder(out)
	for item, err := range items {
		if err != nil {
			return err
		}
		for _, c := range claimsOf(&item) {
			d := c.digest()
			if _, taken := p.taken[d]; taken {
				if err := out.Flush(); err != nil {
					return err
				}
				return p.duplicate(&item, c)
			}
			p.taken[d] = struct{}{}
		}
		if err := enc.Encode(&item); err != nil {
			return fmt.Errorf("keep the list of inputs: %w", err)
		}
		p.count++
	}
	return out.Flush()
}

// duplicate finds out which item has made the claim before.
func (p *Plan) duplicate(second *Item, c claim) error {
	for first, err := range p.Items() {
		if err != nil {
			return err
		}
		if !slices.Contains(claimsOf(&first), c) {
			continue
		}
		e := &DuplicateError{First: first.Input, Second: second.Input}
		if c.kind != claimInput {
			e.What = fmt.Sprintf("%s %q", c.kind, c.value)
		}
		return e
	}
	return &DuplicateError{First: "an earlier input", Second: second.Input, What: c.kind}
}

// Len is the number of items.
func (p *Plan) Len() int { return p.count }

// Items gives the items in their order.
func (p *Plan) Items() iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		dec := gob.NewDecoder(bufio.NewReader(io.NewSectionReader(p.file, 0, 1<<62)))
		for {
			var item Item
			err := dec.Decode(&item)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				err = fmt.Errorf("read the list of inputs again: %w", err)
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// Close removes the temporary file.
func (p *Plan) Close() error {
	err := p.file.Close()
	_ = os.Remove(p.file.Name())
	return err
}

// A claim is something that only one item of a batch can have.
type claim struct{ kind, value string }

const (
	claimInput = "input"
	claimAltID = "alternative identifier"
	claimUUID  = "uuid"
	claimName  = "file name"
)

// A digest stands for a text where many are kept.
type digest [16]byte

func (c claim) digest() digest {
	sum := sha256.Sum256([]byte(c.kind + "\x00" + c.value))
	return digest(sum[:16])
}

// claimsOf lists what an item lays claim to.
func claimsOf(i *Item) []claim {
	id := strings.ToLower(i.UUID)
	claims := []claim{i.claim()}
	if i.AltID != "" {
		claims = append(claims, claim{claimAltID, i.AltID})
	}
	if id != "" {
		claims = append(claims, claim{claimUUID, id})
	}
	name := i.FileName
	if name == "" {
		name = id
	}
	switch {
	case name == "":
	case filepath.Ext(name) != "":
		claims = append(claims, claim{claimName, name})
	default: // the format, not known yet, adds its extension
		for _, f := range []publication.Format{
			publication.EPUB, publication.PDF, publication.Audiobook, publication.Divina, publication.WebPub,
		} {
			claims = append(claims, claim{claimName, name + f.Extension})
		}
	}
	return claims
}

// claim is that of being this item.
func (i *Item) claim() claim {
	parts := []string{cleanInput(i.Input), i.AltID, strings.ToLower(i.UUID), i.FileName}
	if i.Edition != "" {
		parts = append(parts, i.Edition)
	}
	return claim{claimInput, strings.Join(parts, "\x00")}
}

// digest stands for the item in a journal.
func (i *Item) digest() digest { return i.claim().digest() }

// cleanInput is the same for the same file, as far as its name tells.
func cleanInput(input string) string {
	if IsURL(input) || IsObject(input) {
		return input
	}
	return filepath.Clean(input)
}
