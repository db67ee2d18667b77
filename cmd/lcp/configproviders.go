package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/provider"
)

// Authorization rules how the gateway delivers licenses of the default provider.
type Authorization struct {
	Mode     string     `yaml:"mode"`     // token, callback, fallback, allow-all, test-dummy; "" for none
	Until    string     `yaml:"until"`    // date, or date and time; when allow-all and test-dummy end
	Merchant string     `yaml:"merchant"` // what tokens call the provider
	Strict   bool       `yaml:"strict"`
	Callback Callback   `yaml:"callback"`
	Rights   rightsJSON `yaml:"rights"` // Customer Rights Token of allow-all
}

// Callback is the service that is asked for authorization.
type Callback struct {
	URL         string   `yaml:"url"`
	Allow       []string `yaml:"allow"` // networks that are not public and may be called
	Concurrency int      `yaml:"concurrency"`
	Loopback    bool     `yaml:"loopback"`
}

// rightsJSON is a setting with the form of its own that a Customer Rights Token
// has.
type rightsJSON json.RawMessage

// MarshalYAML writes it as text, in which nothing changes.
func (r rightsJSON) MarshalYAML() (any, error) { return string(r), nil } //nolint:unparam // as yaml.Marshaler has it

// providerList is the setting of other providers than the default one, each in the
// form of the API.
type providerList []provider.Provider

// MarshalYAML writes providers in the form in which they are read.
func (l providerList) MarshalYAML() (any, error) {
	if len(l) == 0 {
		return []any{}, nil
	}
	data, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	var tree any
	err = json.Unmarshal(data, &tree)
	return tree, err
}

// jsonOf returns the JSON of a value in a file.
func jsonOf(n *yaml.Node) ([]byte, error) {
	var tree any
	if err := n.Decode(&tree); err != nil {
		return nil, errors.New("is not made of values, lists, and sections with texts as names")
	}
	data, err := json.Marshal(tree)
	if err != nil {
		return nil, errors.New("has a name that is not a text")
	}
	return data, nil
}

// parseProviders reads a JSON array of providers. Each fault names its provider.
func parseProviders(data []byte) (providerList, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(data, &items); err != nil {
		return nil, errors.New("must be a list of providers")
	}
	var list providerList
	var faults []error
	for i, item := range items {
		p, err := provider.Parse(item)
		faults = append(faults, providerFaults(p, i, err)...)
		list = append(list, p)
	}
	return list, errors.Join(faults...)
}

// providerFaults puts the name of a provider, or its place in the list, before each of
// its faults.
func providerFaults(p provider.Provider, i int, err error) []error {
	if err == nil {
		return nil
	}
	name := fmt.Sprintf("%q", p.ID)
	if p.ID == "" {
		name = fmt.Sprintf("number %d", i+1)
	}
	var faults []error
	for _, f := range fieldFaults(err) {
		faults = append(faults, fmt.Errorf("%s: %w", name, f))
	}
	if len(faults) == 0 {
		faults = append(faults, fmt.Errorf("%s: %w", name, err))
	}
	return faults
}

// readAuthorization takes over how the default provider authorizes requests.
func (c *Config) readAuthorization(f *configFaults) {
	a := c.Authorization
	c.authorization = provider.Authorization{
		Mode: delivery.Mode(a.Mode), Merchant: a.Merchant, Strict: a.Strict, Rights: json.RawMessage(a.Rights),
		Callback: provider.Callback{URL: a.Callback.URL, Concurrency: a.Callback.Concurrency, Loopback: a.Callback.Loopback},
	}
	if a.Until != "" {
		until, err := parseUntil(a.Until)
		if err != nil {
			f.add("authorization.until", "%w", err)
			until = time.Unix(1, 0) // that there is none would be another fault
		}
		c.authorization.Until = until
	}
	for _, text := range a.Callback.Allow {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			f.add("authorization.callback.allow", "%q is not a network, as in 10.1.0.0/16", text)
			continue
		}
		c.authorization.Callback.Allow = append(c.authorization.Callback.Allow, network)
	}
}

// parseUntil reads a moment, or a day in UTC, which counts from its beginning.
func parseUntil(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date, as in 2030-01-31 or 2030-01-31T12:00:00Z", text)
}

// validateProviders reports what is wrong with each provider, and between them.
func (c *Config) validateProviders(f *configFaults) {
	ids := map[string]string{provider.DefaultID: "is that of the provider that the rest of the configuration is about"}
	uris := map[string]bool{c.License.Provider: true}
	merchants := map[string]bool{(&provider.Provider{ID: provider.DefaultID, Authorization: c.authorization}).Merchant(): true}
	for i, p := range c.Providers {
		for _, fault := range providerFaults(p, i, p.Check()) {
			f.add("providers", "%w", fault)
		}
		name := fmt.Sprintf("%q", p.ID)
		if why := ids[p.ID]; why != "" {
			f.add("providers", "%s: id: %s", name, why)
		}
		if uris[p.URI] {
			f.add("providers", "%s: uri: %q is that of another provider", name, p.URI)
		}
		if merchants[p.Merchant()] {
			f.add("providers", "%s: authorization.merchant: %q is what tokens call another provider", name, p.Merchant())
		}
		ids[p.ID], uris[p.URI], merchants[p.Merchant()] = "is there twice", true, true
	}
	if p := c.Access.Provider; p != "" {
		if err := provider.CheckID(p); err != nil {
			f.add("access.provider", "%w", err)
		}
	}
}
