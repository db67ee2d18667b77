package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/metering"
)

// CreateLicenseKey makes a license key of pay per use. The answer has its secrets,
// which are not shown again.
func (c *Client) CreateLicenseKey(ctx context.Context, k api.LicenseKey) (api.LicenseKey, error) {
	return fetch[api.LicenseKey](ctx, c, call{method: http.MethodPost, path: []string{"license-keys"}, body: k, limit: maxRecord, once: true})
}

// UpdateLicenseKey changes what k says of a license key.
func (c *Client) UpdateLicenseKey(ctx context.Context, key string, k api.LicenseKey) (api.LicenseKey, error) {
	return fetch[api.LicenseKey](ctx, c, call{method: http.MethodPut, path: []string{"license-keys", key}, body: k, limit: maxRecord})
}

// LicenseKeys lists all license keys.
func (c *Client) LicenseKeys(ctx context.Context) ([]api.LicenseKey, error) {
	return fetch[[]api.LicenseKey](ctx, c, call{method: http.MethodGet, path: []string{"license-keys"}, limit: maxList})
}

// LicenseKey returns a license key.
func (c *Client) LicenseKey(ctx context.Context, key string) (api.LicenseKey, error) {
	return fetch[api.LicenseKey](ctx, c, call{method: http.MethodGet, path: []string{"license-keys", key}, limit: maxRecord})
}

// NewAPISecret makes a new secret for the native apps of a license key.
func (c *Client) NewAPISecret(ctx context.Context, key string) (api.LicenseKey, error) {
	return fetch[api.LicenseKey](ctx, c, call{method: http.MethodPost, path: []string{"license-keys", key, "api-secret"}, limit: maxRecord})
}

// NewWebhookSecret makes a new secret that notifications are signed with.
func (c *Client) NewWebhookSecret(ctx context.Context, key string) (api.LicenseKey, error) {
	return fetch[api.LicenseKey](ctx, c, call{method: http.MethodPost, path: []string{"license-keys", key, "webhook-secret"}, limit: maxRecord})
}

// EraseUser forgets a user of a license key.
func (c *Client) EraseUser(ctx context.Context, key string, e api.Erasure) (api.Erasure, error) {
	return fetch[api.Erasure](ctx, c, call{method: http.MethodPost, path: []string{"license-keys", key, "erasures"}, body: e, limit: maxRecord})
}

// Decide approves or blocks an origin.
func (c *Client) Decide(ctx context.Context, o api.Origin) (api.Origin, error) {
	return fetch[api.Origin](ctx, c, call{method: http.MethodPost, path: []string{"origins"}, body: o, limit: maxRecord})
}

// Forget removes a rule about origins.
func (c *Client) Forget(ctx context.Context, key, origin string) error {
	_, err := c.do(ctx, call{
		method: http.MethodDelete, path: []string{"origins"}, query: url.Values{"licenseKey": {key}, "origin": {origin}}, limit: maxRecord,
	})
	return err
}

// Origins lists origins and rules about such.
func (c *Client) Origins(ctx context.Context, key, state string) ([]api.Origin, error) {
	return fetch[[]api.Origin](ctx, c, call{
		method: http.MethodGet, path: []string{"origins"}, query: given(map[string]string{"licenseKey": key, "state": state}), limit: maxList,
	})
}

// given returns the parameters that are not empty.
func given(parameters map[string]string) url.Values {
	q := url.Values{}
	for name, value := range parameters {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

func periodQuery(p api.Period) url.Values {
	return given(map[string]string{"licenseKey": p.LicenseKey, "from": p.From, "to": p.To, "groupBy": p.GroupBy})
}

// Usage reports what is billed.
func (c *Client) Usage(ctx context.Context, p api.Period) ([]metering.Row, error) {
	return fetch[[]metering.Row](ctx, c, call{method: http.MethodGet, path: []string{"reports", "usage"}, query: periodQuery(p), limit: maxList})
}

// TitleReport reports title use as COUNTER wants it.
func (c *Client) TitleReport(ctx context.Context, p api.Period) (*metering.TitleReport, error) {
	return fetch[*metering.TitleReport](ctx, c, call{method: http.MethodGet, path: []string{"reports", "tr_b1"}, query: periodQuery(p), limit: maxList})
}

// CloseMonth closes a month, and all before it.
func (c *Client) CloseMonth(ctx context.Context, m api.Closing) (api.Closing, error) {
	return fetch[api.Closing](ctx, c, call{method: http.MethodPost, path: []string{"reports", "closings"}, body: m, limit: maxRecord})
}
