// Package provider holds what is set for each of the providers that one license
// server works for: shops, libraries, imprints. A provider has a URI in whose
// name its licenses are issued, a certificate, a hint for its readers, rules for
// renewals, and a way to authorize the delivery of licenses (package delivery).
//
// A [Directory] finds them, those of the configuration and those that are
// stored. Nothing here issues a license or answers a request.
package provider

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/rights"
	"github.com/lcp-tools/lcp/pkg/status"
)

// DefaultID is the identifier of the provider that everything belongs to unless
// it is said whose it is. Where there is one provider, it is this one.
const DefaultID = "default"

// A Provider is what is set for one provider, in JSON as the API and the
// configuration have it. Zero values stand for what is not set. Its fields are
// not to be changed once a Directory has it.
type Provider struct {
	ID            string        `json:"id"`                   // [a-z0-9][a-z0-9-]*, 63 characters at most; never changes
	Name          string        `json:"name,omitempty"`       // for people
	URI           string        `json:"uri"`                  // in every license (LCP §3.2); of one provider alone
	Certificate   Certificate   `json:"certificate,omitzero"` // zero: that of the default provider
	Profile       string        `json:"profile,omitempty"`    // URI, of licenses that ask for none; "": as the default provider's, or the basic one
	HintLink      string        `json:"hint_link,omitempty"`
	Hint          Hint          `json:"hint,omitzero"`
	SupportLinks  []string      `json:"support_links,omitempty"` // URIs, in every license
	Languages     []string      `json:"languages,omitempty"`     // BCP 47 tags of what its readers speak, the preferred one first
	Renewal       *Renewal      `json:"renewal,omitempty"`       // nil: as the default provider's
	Authorization Authorization `json:"authorization,omitzero"`
	SnapshotUsers bool          `json:"snapshot_users,omitempty"` // keep what a fresh license needs of its user, sealed
	KeyRetrieval  KeyRetrieval  `json:"key_retrieval,omitzero"`
}

// A Certificate names files on the server, in PEM.
type Certificate struct {
	Cert       string `json:"cert,omitempty"`
	PrivateKey string `json:"private_key,omitempty"`
}

// A Hint is what the page says that licenses link to (rel hint, LCP §3.5): how
// to find the passphrase again. Provider.HintLink, a template in license_id,
// takes the place of that page.
type Hint struct {
	Text  string              `json:"text,omitempty"`  // Markdown
	Link  string              `json:"link,omitempty"`  // http(s) URL of the provider's page
	Texts map[string]HintText `json:"texts,omitempty"` // by BCP 47 tag; where there is none, Text and Link stand
}

// A HintText is a hint in one language.
type HintText struct {
	Text string `json:"text,omitempty"` // Markdown
	Link string `json:"link,omitempty"` // http(s) URL; "" for that of the Hint
}

// Renewal rules how far loans are extended.
type Renewal struct {
	DefaultDays    int    `json:"default_days,omitempty"` // what a renewal adds to now if the app asks for no date; 0 for 7
	MaxDays        int    `json:"max_days,omitempty"`     // how far beyond its first end; 0: not at all
	AllowOnExpired bool   `json:"allow_on_expired,omitempty"`
	Link           string `json:"link,omitempty"` // template in license_id, of the provider's own; "" for the server's
}

const (
	aDay        = 24 * time.Hour
	defaultDays = 7
)

// Policy returns the rules in the words of status documents.
func (r Renewal) Policy() status.Policy {
	return status.Policy{
		RenewDefault:        time.Duration(cmp.Or(r.DefaultDays, defaultDays)) * aDay,
		RenewMax:            time.Duration(r.MaxDays) * aDay,
		AllowRenewOnExpired: r.AllowOnExpired,
	}
}

// Authorization is how the delivery of licenses is authorized. Without a mode
// the gateway delivers none.
type Authorization struct {
	Mode     delivery.Mode   `json:"mode,omitempty"`
	Until    time.Time       `json:"until,omitzero"`     // when allow-all and test-dummy end
	Merchant string          `json:"merchant,omitempty"` // what tokens call the provider; "": its ID
	Strict   bool            `json:"strict,omitempty"`   // refuse what LCP cannot express
	Callback Callback        `json:"callback,omitzero"`
	Rights   json.RawMessage `json:"rights,omitempty"` // Customer Rights Token of allow-all
}

// A Callback is the provider's service that is asked.
type Callback struct {
	URL         string         `json:"url,omitempty"`
	Allow       []netip.Prefix `json:"allow,omitempty"` // networks that are not public and may be called
	Concurrency int            `json:"concurrency,omitempty"`
	Loopback    bool           `json:"loopback,omitempty"` // http to this machine is allowed, for development
}

// KeyRetrieval lets apps fetch the hash of the passphrase of a reader who is
// logged in (Readium LCP Automatic Key Retrieval 1.0 rev. 3). Both are in the hands
// of the provider, who alone knows its readers.
type KeyRetrieval struct {
	PublicationLink string `json:"publication_link,omitempty"` // template in license_id, of the OPDS publication; "" for none
	Authentication  string `json:"authentication,omitempty"`   // http(s) URL of the OPDS authentication document, if there is one
}

// Parse reads a provider from JSON of at most api.MaxBody bytes. Faults are
// *license.FieldError, several joined, each by the path of its field; values are
// not checked beyond their type, see Check.
func Parse(data []byte) (Provider, error) {
	var p Provider
	err := api.Decode(bytes.NewReader(data), &p)
	return p, err
}

// section reads a JSON object within another one, by the rules of api.Decode.
// Null is nothing.
func section(data []byte, v any) error {
	if string(data) == "null" {
		return nil
	}
	return api.Decode(bytes.NewReader(data), v)
}

// UnmarshalJSON implements json.Unmarshaler, with the faults of Parse. So do the
// others of its name.
func (c *Certificate) UnmarshalJSON(data []byte) error {
	type plain Certificate
	return section(data, (*plain)(c))
}

// UnmarshalJSON implements json.Unmarshaler.
func (h *Hint) UnmarshalJSON(data []byte) error {
	type plain Hint
	return section(data, (*plain)(h))
}

// UnmarshalJSON implements json.Unmarshaler.
func (h *HintText) UnmarshalJSON(data []byte) error {
	type plain HintText
	return section(data, (*plain)(h))
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *Renewal) UnmarshalJSON(data []byte) error {
	type plain Renewal
	return section(data, (*plain)(r))
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *Authorization) UnmarshalJSON(data []byte) error {
	type plain Authorization
	return section(data, (*plain)(a))
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Callback) UnmarshalJSON(data []byte) error {
	type plain Callback
	return section(data, (*plain)(c))
}

// UnmarshalJSON implements json.Unmarshaler.
func (k *KeyRetrieval) UnmarshalJSON(data []byte) error {
	type plain KeyRetrieval
	return section(data, (*plain)(k))
}

// Merchant returns what tokens call the provider.
func (p *Provider) Merchant() string { return cmp.Or(p.Authorization.Merchant, p.ID) }

// Delivery returns how the provider authorizes requests. The error is that of
// its rights, which Check reports as well.
func (p *Provider) Delivery() (delivery.Provider, error) {
	a := p.Authorization
	d := delivery.Provider{
		ID: p.ID, Merchant: p.Merchant(), Mode: a.Mode, Until: a.Until, Strict: a.Strict,
		Callback: delivery.Callback{
			URL: a.Callback.URL, Loopback: a.Callback.Loopback, Allow: a.Callback.Allow, Concurrency: a.Callback.Concurrency,
		},
	}
	if len(a.Rights) == 0 || string(a.Rights) == "null" {
		return d, nil
	}
	open, err := rights.Parse(a.Rights)
	if err != nil {
		return delivery.Provider{}, fmt.Errorf("rights of provider %q: %w", p.ID, err)
	}
	d.Open = open
	return d, nil
}

// Links returns the support links of every license.
func (p *Provider) Links() []license.Link {
	var links []license.Link
	for _, href := range p.SupportLinks {
		link := license.Link{Rel: license.RelSupport, Href: href}
		if isWeb(href) {
			link.Type = "text/html"
		}
		links = append(links, link)
	}
	return links
}

// over returns p with what it leaves to the default provider filled in. Nothing
// is filled in that would speak for another one, such as its hint.
func (p Provider) over(d *Provider) *Provider {
	if p.Certificate == (Certificate{}) {
		p.Certificate = d.Certificate
	}
	p.Profile = cmp.Or(p.Profile, d.Profile)
	if p.Renewal == nil {
		p.Renewal = d.Renewal
	}
	if len(p.Languages) == 0 {
		p.Languages = d.Languages
	}
	return &p
}
