package licensing

import (
	"context"
	"errors"
	"fmt"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/store"
)

// GenerateAs is Generate for a license whose identifier, a UUID, the caller has
// chosen, so that a request which may have been carried out can be made again: if
// the license is there already, it is issued once more. An identifier that
// belongs to a license of another publication is store.ErrExists.
func (s *Service) GenerateAs(ctx context.Context, id string, r api.LicenseRequest) (*license.Document, error) {
	known, err := s.Store.License(ctx, id)
	if err == nil {
		return s.again(ctx, known, r)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	doc, err := s.generate(ctx, id, r)
	if errors.Is(err, store.ErrExists) { // the same request was quicker
		if known, err = s.Store.License(ctx, id); err == nil {
			return s.again(ctx, known, r)
		}
	}
	return doc, err
}

// again issues a license that an earlier request has made.
func (s *Service) again(ctx context.Context, known store.License, r api.LicenseRequest) (*license.Document, error) {
	pub, err := s.publication(ctx, r)
	if err != nil {
		return nil, err
	}
	if pub.UUID != known.PublicationUUID {
		return nil, fmt.Errorf("license %q of another publication: %w", known.UUID, store.ErrExists)
	}
	r.Profile = "" // as it was chosen then
	return s.Fresh(ctx, known.UUID, r)
}
