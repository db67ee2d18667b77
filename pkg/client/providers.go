package client

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/lcp-tools/lcp/pkg/api"
)

// Providers lists the providers of a license server as JSON, the default one
// first. Only this program's own servers have providers, secrets and templates.
func (c *Client) Providers(ctx context.Context) ([]json.RawMessage, error) {
	return fetch[[]json.RawMessage](ctx, c, call{method: http.MethodGet, path: []string{"providers"}, limit: maxList})
}

// Provider returns a provider as JSON. For one that is not there, the error is
// IsNotFound.
func (c *Client) Provider(ctx context.Context, id string) (json.RawMessage, error) {
	return fetch[json.RawMessage](ctx, c, call{method: http.MethodGet, path: []string{"providers", id}, limit: maxRecord})
}

// CreateProvider adds a provider, and returns it as it is now.
func (c *Client) CreateProvider(ctx context.Context, document json.RawMessage) (json.RawMessage, error) {
	return fetch[json.RawMessage](ctx, c, call{
		method: http.MethodPost, path: []string{"providers"}, body: document, limit: maxRecord, key: newKey(),
	})
}

// UpdateProvider replaces what is set for a provider, and returns it as it is now.
func (c *Client) UpdateProvider(ctx context.Context, id string, document json.RawMessage) (json.RawMessage, error) {
	return fetch[json.RawMessage](ctx, c, call{method: http.MethodPut, path: []string{"providers", id}, body: document, limit: maxRecord})
}

// DeleteProvider removes a provider that nothing belongs to.
func (c *Client) DeleteProvider(ctx context.Context, id string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: []string{"providers", id}, limit: maxRecord})
	return err
}

// Secrets lists the secrets shared with a provider, without their values.
func (c *Client) Secrets(ctx context.Context, provider string) ([]api.Secret, error) {
	return fetch[[]api.Secret](ctx, c, call{method: http.MethodGet, path: []string{"providers", provider, "secrets"}, limit: maxList})
}

// AddSecret has a secret made, whose value is in the answer, or brings one. It is
// sent once: a second one would be another secret.
func (c *Client) AddSecret(ctx context.Context, provider string, r api.SecretRequest) (api.Secret, error) {
	return fetch[api.Secret](ctx, c, call{
		method: http.MethodPost, path: []string{"providers", provider, "secrets"}, body: r, limit: maxRecord, once: true,
	})
}

// MoveSecret brings a secret to a later state.
func (c *Client) MoveSecret(ctx context.Context, provider, keyID, state string) (api.Secret, error) {
	return fetch[api.Secret](ctx, c, call{
		method: http.MethodPut, path: []string{"providers", provider, "secrets", keyID}, body: api.SecretState{State: state}, limit: maxRecord,
	})
}

// Templates lists the names of a provider's rights templates.
func (c *Client) Templates(ctx context.Context, provider string) ([]string, error) {
	return fetch[[]string](ctx, c, call{method: http.MethodGet, path: []string{"providers", provider, "templates"}, limit: maxList})
}

// Template returns the JSON of a rights template. For one that is not there, the
// error is IsNotFound.
func (c *Client) Template(ctx context.Context, provider, name string) (json.RawMessage, error) {
	return fetch[json.RawMessage](ctx, c, call{
		method: http.MethodGet, path: []string{"providers", provider, "templates", name}, limit: maxRecord,
	})
}

// SaveTemplate adds or replaces a rights template.
func (c *Client) SaveTemplate(ctx context.Context, provider, name string, document json.RawMessage) error {
	_, err := c.do(ctx, call{
		method: http.MethodPut, path: []string{"providers", provider, "templates", name}, body: document, limit: maxRecord,
	})
	return err
}

// DeleteTemplate removes a rights template.
func (c *Client) DeleteTemplate(ctx context.Context, provider, name string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: []string{"providers", provider, "templates", name}, limit: maxRecord})
	return err
}
