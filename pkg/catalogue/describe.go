package catalogue

import (
	"cmp"
	"encoding/json"
	"errors"
	"strings"

	"github.com/lcp-tools/lcp/pkg/onix"
	"github.com/lcp-tools/lcp/pkg/publication"
)

// product finds what ONIX messages say of an item: by the name of its input or
// its alternative identifier, else by what the publication says identifies it. It
// is nil if they say nothing, and the warning tells why.
func (w *Worker) product(item *Item, identifiers []string) (p *onix.Product, warning string, err error) {
	if w.Products == nil {
		return nil, "", nil
	}
	name := InputName(item.Input)
	for _, texts := range [][]string{{strings.TrimSuffix(name, extension(name)), item.AltID}, identifiers} {
		p, err := w.Products.Find(texts...)
		if ambiguous := (*onix.AmbiguousError)(nil); errors.As(err, &ambiguous) {
			return nil, "ONIX: " + err.Error(), nil
		}
		if p != nil || err != nil {
			return p, "", err
		}
	}
	return nil, "ONIX: no product is for this publication", nil
}

// extension is that of a name if publications have it: what follows the last dot
// of others may be part of an identifier.
func extension(name string) string {
	if at := strings.LastIndexByte(name, '.'); at >= 0 && publication.IsInputName(name) {
		return name[at:]
	}
	return ""
}

// describe lets what ONIX messages say of an item go over what the publication
// says of itself.
func (w *Worker) describe(item *Item, plan *publication.Plan, rec *Record) error {
	if w.Products == nil {
		return nil
	}
	rec.Identifiers = plan.Metadata.Identifiers
	p, warning, err := w.product(item, rec.Identifiers)
	if err != nil {
		return err
	}
	if warning != "" {
		rec.Warnings = append(rec.Warnings, warning)
	}
	if p != nil {
		override(&plan.Metadata, p)
		plan.Metadata.CoverURL = p.Cover
	}
	return nil
}

// override lets a product go over what a publication says of itself, where the
// product says anything.
func override(m *publication.Metadata, p *onix.Product) {
	m.Title = cmp.Or(p.FullTitle(), m.Title)
	m.Description = cmp.Or(p.Description, m.Description)
	m.Published = cmp.Or(p.Published, m.Published)
	for _, list := range []struct {
		own  *[]string
		said []string
	}{{&m.Authors, p.Authors}, {&m.Publishers, p.Publishers}, {&m.Languages, p.Languages}, {&m.Subjects, p.Subjects}} {
		if len(list.said) > 0 {
			*list.own = list.said
		}
	}
}

// productDigest stands for what a product says; "" for none.
func productDigest(p *onix.Product) string {
	if p == nil {
		return ""
	}
	data, err := json.Marshal(p)
	if err != nil {
		return "" // texts and lists of them can be written
	}
	return claim{"product", string(data)}.digest().String()
}
