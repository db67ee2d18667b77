package server

import (
	"net/http"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/opds"
	"github.com/lcp-tools/lcp/pkg/profile"
)

// opdsPublication answers with the OPDS publication of a license, for automatic
// key retrieval. It has the hash of the passphrase, which opens what the user has,
// so it is for the provider's server, which passes it on to that user alone.
func (s *server) opdsPublication(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	var in api.LicenseRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	p, err := s.opdsOf(r, id, in)
	if err != nil {
		return err
	}
	body, err := p.JSON()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", license.OPDSMediaType)
	_, _ = w.Write(body) //nolint:gosec // JSON that no browser takes for anything else
	return nil
}

// opdsOf puts together the OPDS publication of a license.
func (s *server) opdsOf(r *http.Request, id string, in api.LicenseRequest) (p opds.Publication, err error) {
	l, err := s.Store.License(r.Context(), id)
	if err != nil {
		return p, err
	}
	if in.UserID != "" && in.UserID != l.UserID {
		return p, &license.FieldError{Field: "user_id", Reason: "is not the user that the license was issued to"}
	}
	service, err := s.Licensing.ByURI(r.Context(), l.Provider)
	if err != nil {
		return p, err
	}
	if in, err = service.Complete(r.Context(), id, in); err != nil {
		return p, err
	}
	hash, err := profile.ParseHash(in.PassHash)
	if err != nil {
		return p, &license.FieldError{Field: "pass_hash", Reason: err.Error()}
	}
	pub, err := s.Store.AnyPublication(r.Context(), l.PublicationUUID)
	if err != nil {
		return p, err
	}
	p = opds.Publication{
		UUID: pub.UUID, Title: pub.Title, Authors: pub.Authors, Publishers: pub.Publishers, Description: pub.Description,
		Languages: pub.Languages, CoverURL: pub.CoverURL, ContentType: pub.ContentType, PassHash: hash,
	}
	if p.License, err = s.FreshLink.Expand(id); err != nil {
		return p, err
	}
	owner, err := s.owner(r.Context(), l.Provider)
	if err != nil {
		return p, err
	}
	p.Authentication = owner.KeyRetrieval.Authentication
	if link := owner.KeyRetrieval.PublicationLink; link != "" {
		t, err := license.ParseTemplate(link)
		if err != nil {
			return p, err
		}
		p.Self, err = t.Expand(id)
		return p, err
	}
	return p, nil
}
