package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/licensing"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/store"
)

// withScope notes which provider the caller belongs to, if to one: then what is
// another's does not exist for that caller.
func (s *server) withScope(ctx context.Context, p access.Principal) (context.Context, error) {
	if p.Provider == "" {
		return ctx, nil
	}
	own, err := s.Providers.ByID(ctx, p.Provider)
	if errors.Is(err, provider.ErrUnknown) {
		return ctx, problem(http.StatusForbidden, fmt.Sprintf("this user belongs to the provider %q, which there is not", p.Provider))
	}
	if err != nil {
		return ctx, err
	}
	return context.WithValue(ctx, scopeKey{}, own), nil
}

// scope returns the provider whose matters alone the caller sees, or nil for one
// who sees all.
func scope(ctx context.Context) *provider.Provider {
	p, _ := ctx.Value(scopeKey{}).(*provider.Provider)
	return p
}

// scopeURI returns the URI of the scope, as records have it, or "".
func scopeURI(ctx context.Context) string {
	if own := scope(ctx); own != nil {
		return own.URI
	}
	return ""
}

// ofPublication lets the caller at the publication in the path if it is in scope.
func (s *server) ofPublication(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if scope(r.Context()) == nil {
			return h(w, r)
		}
		id, err := pathID(r)
		if err == nil {
			err = s.checkPublication(r.Context(), id)
		}
		if err != nil {
			return err
		}
		return h(w, r)
	}
}

// checkPublication fails like a publication that is not there if there is none
// with that UUID in scope.
func (s *server) checkPublication(ctx context.Context, id string) error {
	own := scope(ctx)
	if own == nil {
		return nil
	}
	p, err := s.Store.AnyPublication(ctx, id)
	if err == nil && p.Provider != own.URI {
		err = fmt.Errorf("publication %q: %w", id, errForeign)
	}
	return err
}

// errForeign says that there is something, and that the caller may not know. It
// reads like store.ErrNotFound, and is one.
var errForeign = fmt.Errorf("%w", store.ErrNotFound)

// ofLicense lets the caller at the license in the path if it is in scope.
func (s *server) ofLicense(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		own := scope(r.Context())
		if own == nil {
			return h(w, r)
		}
		id, err := pathID(r)
		if err != nil {
			return err
		}
		l, err := s.Store.License(r.Context(), id)
		if err == nil && l.Provider != own.URI {
			err = fmt.Errorf("license %q: %w", id, store.ErrNotFound)
		}
		if err != nil {
			return err
		}
		return h(w, r)
	}
}

// ownURI returns the provider that a record gets for which a caller named one, or
// none: a caller of one provider makes records of that one alone.
func ownURI(ctx context.Context, named string) (string, error) {
	own := scopeURI(ctx)
	if own == "" || named == own {
		return named, nil
	}
	if named != "" {
		return "", &license.FieldError{Field: "provider", Reason: fmt.Sprintf("must be %q, or be left out", own)}
	}
	return own, nil
}

// hidden keeps from callers of one provider whose an identifier is that is taken.
func hidden(ctx context.Context, err error) error {
	taken, ok := errors.AsType[*store.ExistsError](err)
	if !ok || scope(ctx) == nil {
		return err
	}
	return &store.ExistsError{Field: taken.Field, Value: taken.Value, UUID: taken.Value}
}

// sellerOf returns the service that issues the license that a caller asks for:
// that of the caller's provider, for its own publications, or else that of the
// provider of the publication.
func (s *server) sellerOf(ctx context.Context, in api.LicenseRequest) (*licensing.Service, error) {
	own := scope(ctx)
	if own == nil {
		return s.Licensing.Seller(ctx, in)
	}
	service, err := s.Licensing.Of(ctx, own)
	if err != nil {
		return nil, err
	}
	return service.Alone(), nil
}
