package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/status"
)

// Hint is what the hint page of the default provider tells.
type Hint struct {
	Name      string   `yaml:"name"`      // of the provider, as readers know it
	Languages []string `yaml:"languages"` // tags, that of the text first
	Text      string   `yaml:"text"`      // Markdown
	TextFile  string   `yaml:"text_file"` // of the text; hint.fr.md beside hint.md is that in French
	Link      string   `yaml:"link"`      // where readers recover their passphrase
}

// KeyRetrieval is how reading apps get the hash of the passphrase of a reader who
// is logged in.
type KeyRetrieval struct {
	PublicationLink string `yaml:"publication_link"` // template in {license_id}
	Authentication  string `yaml:"authentication"`   // URL of the OPDS authentication document
}

// readHint reads the texts of the hint page.
func (c *Config) readHint(f *configFaults) {
	h := &c.Hint
	c.hint = provider.Hint{Text: h.Text, Link: h.Link}
	if h.TextFile == "" {
		return
	}
	if h.Text != "" {
		f.add("hint.text_file", "goes without hint.text")
	}
	text, err := os.ReadFile(h.TextFile)
	if err != nil {
		f.add("hint.text_file", "read %s: %w", h.TextFile, pathless(err))
	}
	c.hint.Text = string(text)
	c.hint.Texts = map[string]provider.HintText{}
	extension := filepath.Ext(h.TextFile)
	for _, l := range status.Languages() {
		name := strings.TrimSuffix(h.TextFile, extension) + "." + l.String() + extension
		switch text, err := os.ReadFile(name); {
		case err == nil:
			c.hint.Texts[l.String()] = provider.HintText{Text: string(text)}
		case !errors.Is(err, fs.ErrNotExist):
			f.add("hint.text_file", "read %s: %w", name, pathless(err))
		}
	}
}

// validateHint holds what readers are helped with, and the authorization, against
// the rules for any provider.
func (c *Config) validateHint(f *configFaults) {
	p := provider.Provider{
		ID: provider.DefaultID, URI: "urn:uuid:00000000-0000-0000-0000-000000000000",
		Name: c.Hint.Name, Languages: c.Hint.Languages, Hint: c.hint, KeyRetrieval: provider.KeyRetrieval(c.KeyRetrieval),
		SupportLinks: c.License.Support, Authorization: c.authorization,
	}
	for _, fault := range fieldFaults(p.Check()) {
		key := fault.Field
		switch {
		case key == "support_links":
			key = "license.support_links"
		case key == "name" || key == "languages":
			key = "hint." + key
		case c.Hint.TextFile != "" && strings.HasPrefix(key, "hint.text"):
			key = "hint.text_file"
		}
		f.add(key, "%s", fault.Reason)
	}
}

// fieldFaults takes an error apart into those of fields.
func fieldFaults(err error) []*license.FieldError {
	var list []*license.FieldError
	switch e := err.(type) { //nolint:errorlint // walks the tree itself
	case *license.FieldError:
		return []*license.FieldError{e}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			list = append(list, fieldFaults(inner)...)
		}
	}
	return list
}

// defaultProvider is the one whose everything is that is nobody else's.
func (c *Config) defaultProvider() provider.Provider {
	return provider.Provider{
		ID: provider.DefaultID, Name: c.Hint.Name, URI: c.License.Provider, Profile: c.License.Profile,
		HintLink: c.License.HintLink, Hint: c.hint, SupportLinks: c.License.Support, Languages: c.Hint.Languages,
		KeyRetrieval: provider.KeyRetrieval(c.KeyRetrieval), SnapshotUsers: c.SnapshotUsers,
		Certificate: provider.Certificate{Cert: c.Certificate.Cert, PrivateKey: c.Certificate.PrivateKey},
		Renewal: &provider.Renewal{
			DefaultDays: c.Status.RenewDefaultDays, MaxDays: c.Status.RenewMaxDays,
			AllowOnExpired: c.Status.AllowRenewOnExpiredLicenses, Link: c.Status.RenewLink,
		},
		Authorization: c.authorization,
	}
}
