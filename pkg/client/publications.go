package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/lcp-tools/lcp/pkg/api"
)

// CreatePublication adds the record of a publication, with its content key. It
// may be sent twice, without harm: a UUID is taken once.
func (c *Client) CreatePublication(ctx context.Context, p api.Publication) (api.Publication, error) {
	return fetch[api.Publication](ctx, c, call{
		method: http.MethodPost, path: []string{"publications"}, body: p, limit: maxRecord, key: newKey(),
	})
}

// Publication returns a publication. It has its content key if the credentials
// may encrypt with it. For one that is not there, the error is IsNotFound.
func (c *Client) Publication(ctx context.Context, uuid string) (api.Publication, error) {
	p, err := fetch[api.Publication](ctx, c, call{
		method: http.MethodGet, path: []string{"publications", uuid}, limit: maxRecord,
	})
	if err == nil && !strings.EqualFold(p.UUID, uuid) {
		return api.Publication{}, fmt.Errorf("license server was asked for publication %q and answered with %q", uuid, oneLine(p.UUID))
	}
	return p, err
}

// PublicationByAltID is Publication by the alternative identifier.
func (c *Client) PublicationByAltID(ctx context.Context, altID string) (api.Publication, error) {
	p, err := fetch[api.Publication](ctx, c, call{
		method: http.MethodGet, path: []string{"publications", "altid", altID}, limit: maxRecord,
	})
	if err == nil && (p.AltID != altID || p.UUID == "") {
		return api.Publication{}, fmt.Errorf("license server was asked for the publication with alt_id %q and answered with %q", altID, oneLine(p.AltID))
	}
	return p, err
}

// UpdatePublication replaces the record with the UUID of p. The content key stays
// what it was; LCP Server v2 wants it sent along.
func (c *Client) UpdatePublication(ctx context.Context, p api.Publication) (api.Publication, error) {
	p.Stamps = api.Stamps{}
	return fetch[api.Publication](ctx, c, call{
		method: http.MethodPut, path: []string{"publications", p.UUID}, body: p, limit: maxRecord,
	})
}

// DeletePublication deletes a publication: no license can be made for it any
// more, and those that there are live on.
func (c *Client) DeletePublication(ctx context.Context, uuid string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: []string{"publications", uuid}, limit: maxRecord})
	return err
}

// ErrMayNotRegister says that the server lets these credentials read publications
// and not add any.
var ErrMayNotRegister = errors.New("license server does not let these credentials register publications: they need a role that may encrypt")

// CheckPublications makes sure that this is a license server, which knows these
// credentials and, as far as it tells, lets them register publications: lcp serve
// says so in the header Allow, others have no roles. It asks for one publication.
func (c *Client) CheckPublications(ctx context.Context) error {
	a, err := c.do(ctx, call{
		method: http.MethodGet, path: []string{"publications"}, query: url.Values{"page": {"1"}, "per_page": {"1"}}, limit: maxList,
	})
	if err != nil {
		return err
	}
	var list []api.Publication
	if err := json.Unmarshal(a.body, &list); err != nil {
		return a.garbage(err)
	}
	if allow := strings.Join(a.header.Values("Allow"), ","); allow != "" && !strings.Contains(allow, http.MethodPost) {
		return ErrMayNotRegister
	}
	return nil
}

// A PublicationQuery says which publications to list. The zero value means all.
type PublicationQuery struct {
	Format string // epub, pdf, lcpdf, lcpa, lcpdi, webpub
}

// Publications lists publications, newest first.
func (c *Client) Publications(ctx context.Context, q PublicationQuery) iter.Seq2[api.Publication, error] {
	r := call{method: http.MethodGet, path: []string{"publications"}}
	if q.Format != "" {
		r.path, r.query = append(r.path, "search"), url.Values{"format": {q.Format}}
	}
	return pages(ctx, c, r, func(p *api.Publication) string { return p.UUID })
}
