package server

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/store"
	"github.com/lcp-tools/lcp/pkg/wire"
)

// publications lists them, and says in Allow whether the caller may add to them, too:
// an encryption tool can ask before it encrypts.
func (s *server) publications(w http.ResponseWriter, r *http.Request) error {
	allow := "GET, HEAD"
	if access.May(caller(r.Context()).Role, access.WritePublications) {
		allow += ", POST"
	}
	w.Header().Set("Allow", allow)
	return s.listPublications(w, r)
}

func (s *server) listPublications(w http.ResponseWriter, r *http.Request) error {
	return s.writePublications(w, r, store.PublicationFilter{}, listPerPage)
}

func (s *server) searchPublications(w http.ResponseWriter, r *http.Request) error {
	mediaType, err := wire.FormatType(r.URL.Query().Get("format"))
	if err != nil {
		return &license.FieldError{Field: "format", Reason: err.Error()}
	}
	return s.writePublications(w, r, store.PublicationFilter{ContentType: mediaType}, searchPerPage)
}

// writePublications answers with a page of publications, newest first, without
// their keys.
func (s *server) writePublications(w http.ResponseWriter, r *http.Request, filter store.PublicationFilter, perPage int) error {
	p, err := pageOf(r.URL.Query(), perPage)
	if err != nil {
		return err
	}
	filter.Provider = scopeURI(r.Context())
	list, _, err := s.Store.Publications(r.Context(), filter, store.Page{Offset: p.offset(), Limit: p.size})
	if err != nil {
		return err
	}
	total, err := s.Store.CountPublications(r.Context(), filter)
	if err != nil {
		return err
	}
	out := make([]api.Publication, len(list))
	for i := range list {
		out[i] = publicationOut(&list[i], false)
	}
	return writePage(w, r, out, p, total)
}

func (s *server) getPublication(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	p, err := s.Store.Publication(r.Context(), id)
	if err != nil {
		return err
	}
	return s.writePublication(w, r, http.StatusOK, &p)
}

func (s *server) getPublicationByAltID(w http.ResponseWriter, r *http.Request) error {
	altID := r.PathValue("alt_id")
	if wire.WhyNotText(altID, wire.MaxName) != "" {
		return problem(http.StatusNotFound, "no publication can have that alt_id")
	}
	p, err := s.Store.PublicationByAltID(r.Context(), altID)
	if own := scope(r.Context()); err == nil && own != nil && p.Provider != own.URI {
		err = fmt.Errorf("publication with alt_id %q: %w", altID, store.ErrNotFound)
	}
	if err != nil {
		return err
	}
	return s.writePublication(w, r, http.StatusOK, &p)
}

// writePublication answers with a publication, and with its key if the caller
// may encrypt with it again.
func (s *server) writePublication(w http.ResponseWriter, r *http.Request, code int, p *store.Publication) error {
	return writeJSON(w, code, publicationOut(p, access.May(caller(r.Context()).Role, access.ReadContentKeys)))
}

func (s *server) createPublication(w http.ResponseWriter, r *http.Request) error {
	var in api.Publication
	if err := decode(r, &in); err != nil {
		return err
	}
	p, err := wire.PublicationIn(&in)
	if err != nil {
		return err
	}
	if p.Provider, err = ownURI(r.Context(), p.Provider); err != nil {
		return err
	}
	if scope(r.Context()) != nil { // a deleted one of another provider would come back to life
		if err := s.checkPublication(r.Context(), p.UUID); errors.Is(err, errForeign) {
			return &store.ExistsError{Field: "uuid", Value: p.UUID, UUID: p.UUID}
		}
	}
	if p, err = s.Store.CreatePublication(r.Context(), p); err != nil {
		return hidden(r.Context(), err)
	}
	s.audit(r, "publication created", p.UUID)
	return s.writePublication(w, r, http.StatusCreated, &p)
}

// updatePublication replaces the record. The key stays: licenses are made of it.
func (s *server) updatePublication(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	var in api.Publication
	if err := decode(r, &in); err != nil {
		return err
	}
	if in.UUID == "" {
		in.UUID = id
	}
	if !strings.EqualFold(in.UUID, id) {
		return &license.FieldError{Field: "uuid", Reason: "is not the one in the path"}
	}
	known, err := s.Store.Publication(r.Context(), id)
	if err != nil {
		return err
	}
	if len(in.EncryptionKey) == 0 {
		in.EncryptionKey = known.ContentKey[:]
	}
	next, err := wire.PublicationIn(&in)
	if err != nil {
		return err
	}
	if next.Provider, err = ownURI(r.Context(), next.Provider); err != nil {
		return err
	}
	p, err := s.Store.UpdatePublication(r.Context(), id, func(old store.Publication) (store.Publication, error) {
		if next.ContentKey != old.ContentKey {
			return old, store.ErrKeyChanged
		}
		next.Languages, next.Published = old.Languages, old.Published
		return next, nil
	})
	if err != nil {
		return hidden(r.Context(), err)
	}
	s.audit(r, "publication updated", p.UUID)
	return s.writePublication(w, r, http.StatusOK, &p)
}

func (s *server) deletePublication(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	p, err := s.Store.Publication(r.Context(), id)
	if err != nil {
		return err
	}
	if err := s.Store.DeletePublication(r.Context(), id); err != nil {
		return err
	}
	s.audit(r, "publication deleted", id)
	return writeJSON(w, http.StatusOK, publicationOut(&p, false))
}

// publicationOut is a record in the words of the API.
func publicationOut(p *store.Publication, withKey bool) api.Publication {
	out := wire.PublicationOut(p)
	if withKey {
		out.EncryptionKey = p.ContentKey[:]
	}
	return out
}

// audit records an administrative act. Failing to is logged: the act is done.
func (s *server) audit(r *http.Request, action, target string) {
	err := s.Store.Audit(r.Context(), store.AuditEntry{Actor: caller(r.Context()).Name, Action: action, Target: target})
	if err != nil {
		s.Log.ErrorContext(r.Context(), "audit entry lost", "action", action, "target", target, "err", fmt.Errorf("audit: %w", err))
	}
}
