package records

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/rights"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
	"github.com/lcp-tools/lcp/pkg/wire"
)

// Providers lists the providers as JSON, the default one first.
func (l *Local) Providers(ctx context.Context) ([]json.RawMessage, error) {
	list, err := l.Licensing.Providers().List(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]json.RawMessage, len(list))
	for i, p := range list {
		if out[i], err = json.Marshal(p); err != nil {
			return nil, fmt.Errorf("write provider %q: %w", p.ID, err)
		}
	}
	return out, nil
}

// find returns a provider. The error is provider.ErrUnknown.
func (l *Local) find(ctx context.Context, id string) (provider.Listed, error) {
	list, err := l.Licensing.Providers().List(ctx)
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

// Provider returns a provider as JSON.
func (l *Local) Provider(ctx context.Context, id string) (json.RawMessage, error) {
	p, err := l.find(ctx, id)
	if err != nil {
		return nil, err
	}
	return json.Marshal(p)
}

// CreateProvider adds a provider, and returns it as it is now.
func (l *Local) CreateProvider(ctx context.Context, document json.RawMessage) (json.RawMessage, error) {
	p, err := provider.ParseListed(document)
	if err == nil {
		err = l.Licensing.Providers().Admit(ctx, p)
	}
	if err == nil {
		err = provider.NewRecords(l.Store).Create(ctx, p)
	}
	if err != nil {
		return nil, err
	}
	return l.saved(ctx, "provider created", p.ID)
}

// saved returns a provider that was stored.
func (l *Local) saved(ctx context.Context, action, id string) (json.RawMessage, error) {
	if err := errors.Join(l.audit(ctx, action, id), l.Licensing.Providers().Refresh(ctx)); err != nil {
		return nil, err
	}
	return l.Provider(ctx, id)
}

// UpdateProvider replaces what is set for a provider, and returns it as it is now.
func (l *Local) UpdateProvider(ctx context.Context, id string, document json.RawMessage) (json.RawMessage, error) {
	known, err := l.find(ctx, id)
	if err != nil {
		return nil, err
	}
	p, err := provider.ParseListed(document)
	switch {
	case err != nil:
		return nil, err
	case p.ID != "" && p.ID != id:
		return nil, &license.FieldError{Field: "id", Reason: fmt.Sprintf("is %q, and the provider to update %q", p.ID, id)}
	case p.URI == "":
		p.URI = known.URI
	}
	p.ID = id
	if err := l.Licensing.Providers().Admit(ctx, p); err != nil {
		return nil, err
	}
	if err := provider.NewRecords(l.Store).Update(ctx, p); err != nil {
		return nil, err
	}
	return l.saved(ctx, "provider updated", id)
}

// DeleteProvider removes a provider that nothing belongs to.
func (l *Local) DeleteProvider(ctx context.Context, id string) error {
	if err := l.Licensing.Providers().Reserved(id); err != nil {
		return err
	}
	if err := l.Store.DeleteProvider(ctx, id); err != nil {
		return err
	}
	return errors.Join(l.audit(ctx, "provider removed", id), l.Licensing.Providers().Refresh(ctx))
}

// Secrets lists the secrets shared with a provider, without their values.
func (l *Local) Secrets(ctx context.Context, id string) ([]api.Secret, error) {
	if _, err := l.find(ctx, id); err != nil {
		return nil, err
	}
	list, err := l.Store.Secrets(ctx, id)
	if err != nil {
		return nil, err
	}
	out := make([]api.Secret, len(list))
	for i := range list {
		out[i] = wire.SecretOut(&list[i])
	}
	return out, nil
}

// AddSecret makes a secret, whose value it returns, or takes one.
func (l *Local) AddSecret(ctx context.Context, id string, r api.SecretRequest) (api.Secret, error) {
	if _, err := l.find(ctx, id); err != nil {
		return api.Secret{}, err
	}
	secret, made, err := wire.SecretIn(&r, id, l.Now())
	if err == nil {
		err = l.Store.AddSecret(ctx, secret)
	}
	if err == nil {
		err = l.audit(ctx, "secret added", id+"/"+secret.KeyID)
	}
	if err != nil {
		return api.Secret{}, err
	}
	out := wire.SecretOut(&secret)
	if made {
		out.Value = secret.Value.Hex()
	}
	return out, nil
}

// MoveSecret brings a secret to a later state.
func (l *Local) MoveSecret(ctx context.Context, id, keyID, state string) (api.Secret, error) {
	to, err := sharedsecret.ParseState(state)
	if err != nil {
		return api.Secret{}, err
	}
	if _, err := l.find(ctx, id); err != nil {
		return api.Secret{}, err
	}
	secret, err := l.Store.MoveSecret(ctx, id, keyID, to)
	if err == nil {
		err = l.audit(ctx, "secret "+string(secret.State), id+"/"+secret.KeyID)
	}
	if err != nil {
		return api.Secret{}, err
	}
	return wire.SecretOut(&secret), nil
}

// Templates lists the names of a provider's rights templates.
func (l *Local) Templates(ctx context.Context, id string) ([]string, error) {
	if _, err := l.find(ctx, id); err != nil {
		return nil, err
	}
	return l.Store.Templates(ctx, id)
}

// Template returns the JSON of a rights template.
func (l *Local) Template(ctx context.Context, id, name string) (json.RawMessage, error) {
	if _, err := l.find(ctx, id); err != nil {
		return nil, err
	}
	return l.Store.Template(ctx, id, name)
}

// SaveTemplate adds or replaces a rights template.
func (l *Local) SaveTemplate(ctx context.Context, id, name string, document json.RawMessage) error {
	if err := rights.CheckTemplateName(name); err != nil {
		return err
	}
	document = bytes.TrimSpace(document)
	if len(document) == 0 || document[0] != '{' {
		return errors.New("a rights template is a JSON object")
	}
	if _, err := rights.Parse(document); err != nil {
		return err
	}
	if _, err := l.find(ctx, id); err != nil {
		return err
	}
	if _, err := l.Store.SaveTemplate(ctx, id, name, document); err != nil {
		return err
	}
	return l.audit(ctx, "rights template saved", id+"/"+name)
}

// DeleteTemplate removes a rights template.
func (l *Local) DeleteTemplate(ctx context.Context, id, name string) error {
	if err := l.Store.DeleteTemplate(ctx, id, name); err != nil {
		return err
	}
	return l.audit(ctx, "rights template removed", id+"/"+name)
}
