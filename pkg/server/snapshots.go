package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/store"
)

// deleteUserSnapshots removes what is kept of a user for fresh licenses.
func (s *server) deleteUserSnapshots(w http.ResponseWriter, r *http.Request) error {
	return s.deleteSnapshots(w, r, r.PathValue("user"))
}

// deleteAllSnapshots removes what is kept of all users.
func (s *server) deleteAllSnapshots(w http.ResponseWriter, r *http.Request) error {
	return s.deleteSnapshots(w, r, "")
}

func (s *server) deleteSnapshots(w http.ResponseWriter, r *http.Request, user string) error {
	uri, err := s.namedProvider(r.Context(), r.URL.Query().Get("provider"))
	if err != nil {
		return err
	}
	n, err := s.Store.DeleteSnapshots(r.Context(), store.SnapshotFilter{Provider: uri, UserID: user})
	if err != nil {
		return err
	}
	s.audit(r, "user data removed", user)
	return writeJSON(w, http.StatusOK, api.Deleted{Deleted: n})
}

// namedProvider returns the URI of the provider that a caller names or belongs to,
// or "" for all.
func (s *server) namedProvider(ctx context.Context, id string) (string, error) {
	own := scope(ctx)
	if id == "" || own != nil && own.ID == id {
		return scopeURI(ctx), nil
	}
	p, err := s.Providers.ByID(ctx, id)
	switch {
	case own != nil || errors.Is(err, provider.ErrUnknown):
		return "", &license.FieldError{Field: "provider", Reason: fmt.Sprintf("%q is not the identifier of a provider", id)}
	case err != nil:
		return "", err
	}
	return p.URI, nil
}
