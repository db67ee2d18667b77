package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
	"github.com/lcp-tools/lcp/pkg/store"
)

// Records are what a store keeps for providers: themselves, and what their
// authorization needs.
type Records struct{ store *store.Store }

// NewRecords returns the records of a store.
func NewRecords(s *store.Store) Records { return Records{s} }

var (
	_ Source         = Records{}
	_ delivery.Store = Records{}
)

// Providers implements Source. One whose record cannot be read has an identifier
// and nothing else, so that a Directory leaves it out and says so.
func (r Records) Providers(ctx context.Context) ([]Provider, error) {
	rows, err := r.store.Providers(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Provider, len(rows))
	for i, row := range rows {
		p, err := Parse(row.Document)
		if err != nil || p.ID != row.ID || p.URI != row.URI {
			p = Provider{ID: row.ID}
		}
		list[i] = p
	}
	return list, nil
}

// Create adds a provider, with the errors of store.CreateProvider.
func (r Records) Create(ctx context.Context, p Provider) error {
	row, err := rowOf(p)
	if err == nil {
		err = r.store.CreateProvider(ctx, row)
	}
	return err
}

// Update replaces a provider, with the errors of store.UpdateProvider.
func (r Records) Update(ctx context.Context, p Provider) error {
	row, err := rowOf(p)
	if err == nil {
		err = r.store.UpdateProvider(ctx, row)
	}
	return err
}

func rowOf(p Provider) (store.Provider, error) {
	document, err := json.Marshal(p)
	if err != nil {
		return store.Provider{}, fmt.Errorf("write provider %q: %w", p.ID, err)
	}
	return store.Provider{ID: p.ID, URI: p.URI, Document: document}, nil
}

// Secret implements delivery.Store.
func (r Records) Secret(ctx context.Context, provider, keyID string) (sharedsecret.Secret, error) {
	c, err := r.store.Secret(ctx, provider, keyID)
	return c, missing(err)
}

// SigningSecret implements delivery.Store.
func (r Records) SigningSecret(ctx context.Context, provider string) (sharedsecret.Secret, error) {
	c, err := r.store.SigningSecret(ctx, provider)
	return c, missing(err)
}

// Template implements delivery.Store.
func (r Records) Template(ctx context.Context, provider, name string) ([]byte, error) {
	document, err := r.store.Template(ctx, provider, name)
	return document, missing(err)
}

// missing puts the ErrNotFound of delivery in place of that of the store.
func missing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: %w", delivery.ErrNotFound, err)
	}
	return err
}
