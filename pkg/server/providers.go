package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/rights"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
	"github.com/lcp-tools/lcp/pkg/wire"
)

func (s *server) listProviders(w http.ResponseWriter, r *http.Request) error {
	list, err := s.Providers.List(r.Context())
	if err != nil {
		return err
	}
	out := []provider.Listed{}
	for _, p := range list {
		if own := scope(r.Context()); own == nil || own.ID == p.ID {
			out = append(out, p)
		}
	}
	return writeJSON(w, http.StatusOK, out)
}

// findProvider returns the provider with an identifier, if it is in scope.
func (s *server) findProvider(ctx context.Context, id string) (provider.Listed, error) {
	if own := scope(ctx); own != nil && own.ID != id {
		return provider.Listed{}, fmt.Errorf("%w %q", provider.ErrUnknown, id)
	}
	list, err := s.Providers.List(ctx)
	if err != nil {
		return provider.Listed{}, err
	}
	for _, p := range list {
		if p.ID == id {
			return p, nil
		}
	}
	return provider.Listed{}, fmt.Errorf("%w %q", provider.ErrUnknown, id)
}

func (s *server) getProvider(w http.ResponseWriter, r *http.Request) error {
	p, err := s.findProvider(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, p)
}

func (s *server) createProvider(w http.ResponseWriter, r *http.Request) error {
	var in provider.Listed
	if err := decode(r, &in); err != nil {
		return err
	}
	ctx, p := r.Context(), in.Provider
	if scope(ctx) != nil {
		return problem(http.StatusForbidden, "providers are added by administrators of the whole server")
	}
	if err := s.admitProvider(ctx, p); err != nil {
		return err
	}
	if err := provider.NewRecords(s.Store).Create(ctx, p); err != nil {
		return err
	}
	return s.savedProvider(w, r, http.StatusCreated, "provider created", p)
}

// admitProvider refuses a provider that could not be stored, or not issue
// licenses.
func (s *server) admitProvider(ctx context.Context, p provider.Provider) error {
	if err := s.Providers.Admit(ctx, p); err != nil {
		return err
	}
	if err := s.Licensing.Try(ctx, p); err != nil {
		return &license.FieldError{Field: "certificate", Reason: err.Error()}
	}
	return nil
}

// savedProvider answers with a provider that was stored, which is in force here
// from now on, and on other replicas within seconds.
func (s *server) savedProvider(w http.ResponseWriter, r *http.Request, code int, action string, p provider.Provider) error {
	s.audit(r, action, p.ID)
	if err := s.Providers.Refresh(r.Context()); err != nil {
		return err
	}
	return writeJSON(w, code, provider.Listed{Provider: p, Source: provider.FromDatabase})
}

// updateProvider replaces a provider. Those who belong to it do not change what
// reaches into the server, its files and its network.
func (s *server) updateProvider(w http.ResponseWriter, r *http.Request) error {
	var in provider.Listed
	if err := decode(r, &in); err != nil {
		return err
	}
	ctx, id, p := r.Context(), r.PathValue("id"), in.Provider
	known, err := s.findProvider(ctx, id)
	switch {
	case err != nil:
		return err
	case p.ID != "" && p.ID != id:
		return &license.FieldError{Field: "id", Reason: "is not the one in the path"}
	case p.URI == "":
		p.URI = known.URI
	case p.URI != known.URI:
		return &license.FieldError{Field: "uri", Reason: "cannot be changed, since licenses carry it"}
	}
	p.ID = id
	if err := s.Providers.Reserved(id); err != nil {
		return err
	}
	if scope(ctx) != nil {
		if err := reaching(known.Provider, p); err != nil {
			return err
		}
	}
	if err := s.admitProvider(ctx, p); err != nil {
		return err
	}
	if err := provider.NewRecords(s.Store).Update(ctx, p); err != nil {
		return err
	}
	return s.savedProvider(w, r, http.StatusOK, "provider updated", p)
}

// reaching reports changes of what lets a provider at files of the server, or at
// addresses that only the server reaches.
func reaching(old, next provider.Provider) error {
	var faults wire.Faults
	const whose = "can be changed by administrators of the whole server alone"
	if next.Certificate != old.Certificate {
		faults.Add("certificate", whose)
	}
	a, b := old.Authorization.Callback, next.Authorization.Callback
	if !reflect.DeepEqual(a.Allow, b.Allow) {
		faults.Add("authorization.callback.allow", whose)
	}
	if a.Loopback != b.Loopback {
		faults.Add("authorization.callback.loopback", whose)
	}
	return faults.Err()
}

func (s *server) deleteProvider(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	if _, err := s.findProvider(ctx, id); err != nil {
		return err
	}
	if scope(ctx) != nil {
		return problem(http.StatusForbidden, "providers are removed by administrators of the whole server")
	}
	if err := s.Providers.Reserved(id); err != nil {
		return err
	}
	if err := s.Store.DeleteProvider(ctx, id); err != nil {
		return err
	}
	s.audit(r, "provider removed", id)
	if err := s.Providers.Refresh(ctx); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) listSecrets(w http.ResponseWriter, r *http.Request) error {
	p, err := s.findProvider(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	list, err := s.Store.Secrets(r.Context(), p.ID)
	if err != nil {
		return err
	}
	out := make([]api.Secret, len(list))
	for i := range list {
		out[i] = wire.SecretOut(&list[i])
	}
	return writeJSON(w, http.StatusOK, out)
}

// addSecret makes a secret, and tells it this once, or takes one that was made
// elsewhere.
func (s *server) addSecret(w http.ResponseWriter, r *http.Request) error {
	var in api.SecretRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	p, err := s.findProvider(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	secret, made, err := wire.SecretIn(&in, p.ID, s.Now())
	if err != nil {
		return err
	}
	if err := s.Store.AddSecret(r.Context(), secret); err != nil {
		return err
	}
	s.audit(r, "secret added", p.ID+"/"+secret.KeyID)
	out := wire.SecretOut(&secret)
	if made {
		out.Value = secret.Value.Hex()
	}
	return writeJSON(w, http.StatusCreated, out)
}

func (s *server) moveSecret(w http.ResponseWriter, r *http.Request) error {
	var in api.SecretState
	if err := decode(r, &in); err != nil {
		return err
	}
	to, err := sharedsecret.ParseState(in.State)
	if err != nil {
		return &license.FieldError{Field: "state", Reason: err.Error()}
	}
	p, err := s.findProvider(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	secret, err := s.Store.MoveSecret(r.Context(), p.ID, r.PathValue("kid"), to)
	if err != nil {
		return err
	}
	s.audit(r, "secret "+string(secret.State), p.ID+"/"+secret.KeyID)
	return writeJSON(w, http.StatusOK, wire.SecretOut(&secret))
}

func (s *server) listTemplates(w http.ResponseWriter, r *http.Request) error {
	p, err := s.findProvider(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	names, err := s.Store.Templates(r.Context(), p.ID)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, append([]string{}, names...))
}

// templateOf returns the provider and the name of the template in the path.
func (s *server) templateOf(r *http.Request) (id, name string, err error) {
	name = r.PathValue("name")
	if err := rights.CheckTemplateName(name); err != nil {
		return "", "", problem(http.StatusNotFound, err.Error())
	}
	p, err := s.findProvider(r.Context(), r.PathValue("id"))
	return p.ID, name, err
}

func (s *server) getTemplate(w http.ResponseWriter, r *http.Request) error {
	id, name, err := s.templateOf(r)
	if err != nil {
		return err
	}
	document, err := s.Store.Template(r.Context(), id, name)
	if err != nil {
		return err
	}
	return writeDocument(w, http.StatusOK, document)
}

func (s *server) putTemplate(w http.ResponseWriter, r *http.Request) error {
	if err := checkMediaType(r); err != nil {
		return err
	}
	document, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	document = bytes.TrimSpace(document)
	if err := checkTemplate(document); err != nil {
		return err
	}
	id, name, err := s.templateOf(r)
	if err != nil {
		return err
	}
	created, err := s.Store.SaveTemplate(r.Context(), id, name, document)
	if err != nil {
		return err
	}
	s.audit(r, "rights template saved", id+"/"+name)
	if created {
		return writeDocument(w, http.StatusCreated, document)
	}
	return writeDocument(w, http.StatusOK, document)
}

// checkTemplate reports what is wrong with a rights template. That it names others
// that there are not shows when it is used: they may come later.
func checkTemplate(document []byte) error {
	if len(document) == 0 || document[0] != '{' {
		return problem(http.StatusBadRequest, "a rights template is a JSON object")
	}
	_, err := rights.Parse(document)
	if err != nil && len(fieldProblems(err)) == 0 {
		return problem(http.StatusBadRequest, err.Error())
	}
	return err
}

func (s *server) deleteTemplate(w http.ResponseWriter, r *http.Request) error {
	id, name, err := s.templateOf(r)
	if err != nil {
		return err
	}
	if err := s.Store.DeleteTemplate(r.Context(), id, name); err != nil {
		return err
	}
	s.audit(r, "rights template removed", id+"/"+name)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// writeDocument answers with JSON that is kept as it came.
func writeDocument(w http.ResponseWriter, code int, document []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(document) //nolint:gosec // JSON that no browser takes for anything else
	return nil
}
