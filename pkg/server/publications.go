package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/store"
)

func (s *server) listPublications(w http.ResponseWriter, r *http.Request) error {
	return s.writePublications(w, r, store.PublicationFilter{})
}

// searchFormats are the values of the format parameter.
var searchFormats = map[string]string{
	"epub": "application/epub+zip", "pdf": "application/pdf", "lcpdf": "application/pdf+lcp",
	"lcpa": "application/audiobook+lcp", "lcpau": "application/audiobook+lcp",
	"lcpdi": "application/divina+lcp", "webpub": "application/webpub+lcp",
}

func (s *server) searchPublications(w http.ResponseWriter, r *http.Request) error {
	mediaType, ok := searchFormats[r.URL.Query().Get("format")]
	if !ok {
		return &license.FieldError{Field: "format", Reason: "must be one of epub, pdf, lcpdf, lcpa, lcpau, lcpdi, webpub"}
	}
	return s.writePublications(w, r, store.PublicationFilter{ContentType: mediaType})
}

// writePublications answers with a page of publications, newest first, without
// their keys.
func (s *server) writePublications(w http.ResponseWriter, r *http.Request, filter store.PublicationFilter) error {
	p, err := pageOf(r.URL.Query())
	if err != nil {
		return err
	}
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
	if whyNotText(altID, maxName) != "" {
		return problem(http.StatusNotFound, "no publication can have that alt_id")
	}
	p, err := s.Store.PublicationByAltID(r.Context(), altID)
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
	p, err := publicationIn(&in)
	if err != nil {
		return err
	}
	if p, err = s.Store.CreatePublication(r.Context(), p); err != nil {
		return err
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
	next, err := publicationIn(&in)
	if err != nil {
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
		return err
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
	out := api.Publication{
		UUID: p.UUID, AltID: p.AltID, Provider: p.Provider, ContentType: p.ContentType, Title: p.Title,
		Description: p.Description, Authors: strings.Join(p.Authors, ", "), Publishers: strings.Join(p.Publishers, ", "),
		CoverURL: p.CoverURL, Href: p.Href, Size: p.Size, Checksum: p.Checksum,
		Stamps: stamps(p.CreatedAt, p.UpdatedAt),
	}
	if withKey {
		out.EncryptionKey = p.ContentKey[:]
	}
	return out
}

func stamps(created, updated time.Time) api.Stamps {
	return api.Stamps{CreatedAt: &created, UpdatedAt: &updated, CreatedSnake: &created}
}

// publicationIn checks a record from a request and reports every fault.
func publicationIn(in *api.Publication) (store.Publication, error) {
	var faults faults
	if !isUUID(in.UUID) {
		faults.add("uuid", "must be a UUID")
	}
	key, err := lcpcrypto.ContentKeyFromBytes(in.EncryptionKey)
	if err != nil || key == (lcpcrypto.ContentKey{}) {
		faults.add("encryption_key", "must be 32 bytes in base64")
	}
	for field, text := range map[string]string{"title": in.Title, "content_type": in.ContentType} {
		if strings.TrimSpace(text) == "" {
			faults.add(field, "is missing")
		}
	}
	if !isWebURL(in.Href) {
		faults.add("href", "must be an absolute http or https URL")
	}
	if in.CoverURL != "" && !isWebURL(in.CoverURL) {
		faults.add("cover_url", "must be an absolute http or https URL")
	}
	if in.Provider != "" && !isURI(in.Provider) {
		faults.add("provider", "must be an absolute URI")
	}
	if in.Size <= 0 {
		faults.add("size", "must be the size of the file in bytes")
	}
	if !isSHA256(in.Checksum) {
		faults.add("checksum", "must be a SHA-256 in 64 hexadecimal digits")
	}
	for field, t := range map[string]struct {
		text  string
		limit int
	}{
		"alt_id": {in.AltID, maxName}, "content_type": {in.ContentType, maxName}, "provider": {in.Provider, maxName},
		"href": {in.Href, maxURL}, "cover_url": {in.CoverURL, maxURL},
		"title": {in.Title, maxProse}, "authors": {in.Authors, maxProse}, "publishers": {in.Publishers, maxProse}, "description": {in.Description, maxProse},
	} {
		faults.text(field, t.text, t.limit)
	}
	if err := faults.err(); err != nil {
		return store.Publication{}, err
	}
	return store.Publication{
		UUID: strings.ToLower(in.UUID), AltID: in.AltID, Provider: in.Provider, Title: in.Title,
		Authors: splitNames(in.Authors), Publishers: splitNames(in.Publishers), Description: in.Description,
		ContentType: in.ContentType, Href: in.Href, Size: in.Size, Checksum: strings.ToLower(in.Checksum),
		CoverURL: in.CoverURL, ContentKey: key,
	}, nil
}

func splitNames(text string) []string {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func isWebURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

func isURI(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme != ""
}

func isSHA256(text string) bool {
	return len(text) == 64 && !strings.ContainsFunc(text, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F')
	})
}

// audit records an administrative act. Failing to is logged: the act is done.
func (s *server) audit(r *http.Request, action, target string) {
	err := s.Store.Audit(r.Context(), store.AuditEntry{Actor: caller(r.Context()).Name, Action: action, Target: target})
	if err != nil {
		s.Log.ErrorContext(r.Context(), "audit entry lost", "action", action, "target", target, "err", fmt.Errorf("audit: %w", err))
	}
}
