package licensing

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/store"
)

// A snapshot is what a license says of its user, beside the identifier, as it is
// kept: the store seals it. Lasting names keep what was stored readable.
type snapshot struct {
	Name      string   `json:"name,omitempty"`
	Email     string   `json:"email,omitempty"`
	Encrypted []string `json:"encrypted,omitempty"`
	TextHint  string   `json:"text_hint"`
	PassHash  string   `json:"pass_hash"`
}

// encode returns the snapshot of the user of a request.
func encode(r api.LicenseRequest) ([]byte, error) {
	return json.Marshal(snapshot{r.UserName, r.UserEmail, r.UserEncrypted, r.TextHint, r.PassHash})
}

// Complete returns a request for a fresh license with what it does not tell of
// the user filled in from what was kept when the license was issued, if anything
// was.
func (s *Service) Complete(ctx context.Context, id string, r api.LicenseRequest) (api.LicenseRequest, error) {
	r, _, err := s.complete(ctx, id, r)
	return r, err
}

// complete is Complete, and returns what was kept, or nil.
func (s *Service) complete(ctx context.Context, id string, r api.LicenseRequest) (api.LicenseRequest, []byte, error) {
	if !s.KeepUsers {
		return r, nil, nil
	}
	data, err := s.Store.Snapshot(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return r, nil, nil
	}
	var kept snapshot
	if err == nil {
		err = json.Unmarshal(data, &kept)
	}
	if err != nil {
		return r, nil, fmt.Errorf("read what is kept of the user of license %q: %w", id, err)
	}
	r.UserName, r.UserEmail = cmp.Or(r.UserName, kept.Name), cmp.Or(r.UserEmail, kept.Email)
	if r.UserEncrypted == nil {
		r.UserEncrypted = kept.Encrypted
	}
	r.TextHint, r.PassHash = cmp.Or(r.TextHint, kept.TextHint), cmp.Or(r.PassHash, kept.PassHash)
	return r, data, nil
}

// keep replaces what is kept of the user of a license, if it has changed.
func (s *Service) keep(ctx context.Context, id string, r api.LicenseRequest, kept []byte) error {
	data, err := encode(r)
	if err != nil || string(data) == string(kept) {
		return err
	}
	return s.Store.UpdateSnapshot(ctx, id, data)
}

// create records a license, what shall be kept of its user, and that a token was
// spent.
func (s *Service) create(ctx context.Context, rec store.License, r api.LicenseRequest, token *store.Spending) (err error) {
	with := store.With{Spending: token}
	if s.KeepUsers {
		if with.Snapshot, err = encode(r); err != nil {
			return err
		}
	}
	_, err = s.Store.CreateLicenseWith(ctx, rec, with)
	return err
}
