// Package opds makes OPDS 2.0 publications as automatic key retrieval needs them:
// a publication that a user has, a link to its license, and the hash of the user's
// passphrase (Readium LCP Automatic Key Retrieval 1.0 rev. 3). Who may get one is
// not known here.
package opds

import (
	"encoding/json"

	"github.com/lcp-tools/lcp/pkg/license"
)

// relSelf is the relation of a document to itself.
const relSelf = "self"

// AuthenticationMediaType is that of authentication documents (Authentication for
// OPDS 1.0).
const AuthenticationMediaType = "application/opds-authentication+json"

// A Publication is one that a user has a license for. Fields that are zero are
// left out of the document.
type Publication struct {
	UUID        string
	Title       string
	Authors     []string
	Publishers  []string
	Description string
	Languages   []string // BCP 47 tags
	CoverURL    string
	ContentType string // of the protected package

	Self           string   // URL of the document
	License        string   // URL of the license
	Authentication string   // URL of the authentication document
	PassHash       [32]byte // SHA-256 of the user's passphrase; zero for none
}

// kinds are what publications are (schema.org), by media types of packages that
// say so.
var kinds = map[string]string{
	"application/epub+zip":      "http://schema.org/Book",
	"application/pdf+lcp":       "http://schema.org/Book",
	"application/audiobook+lcp": "http://schema.org/Audiobook",
}

// JSON returns the document, of the type license.OPDSMediaType. It holds what
// opens the user's publications: it is for nobody else.
func (p Publication) JSON() ([]byte, error) {
	acquisition := link{Rel: license.RelAcquisition, Href: p.License, Type: license.MediaType, Properties: &properties{}}
	if p.PassHash != [32]byte{} {
		acquisition.Properties.PassHash = p.PassHash[:]
	}
	if p.ContentType != "" {
		acquisition.Properties.Indirect = []typed{{Type: p.ContentType}}
	}
	if p.Authentication != "" {
		acquisition.Properties.Authenticate = &typed{p.Authentication, AuthenticationMediaType}
	}
	d := document{
		Metadata: metadata{
			Type: kinds[p.ContentType], Identifier: "urn:uuid:" + p.UUID, Title: p.Title, Author: p.Authors,
			Publisher: p.Publishers, Language: p.Languages, Description: p.Description,
		},
		Links: []link{acquisition},
	}
	if p.Self != "" {
		d.Links = append(d.Links, link{Rel: relSelf, Href: p.Self, Type: license.OPDSMediaType})
	}
	if p.CoverURL != "" {
		d.Images = []typed{{Href: p.CoverURL}}
	}
	return json.Marshal(d)
}

// The parts of a document (OPDS 2.0 §3, Readium Web Publication Manifest).
type (
	document struct {
		Metadata metadata `json:"metadata"`
		Links    []link   `json:"links"`
		Images   []typed  `json:"images,omitempty"`
	}
	metadata struct {
		Type        string   `json:"@type,omitempty"`
		Identifier  string   `json:"identifier"`
		Title       string   `json:"title"`
		Author      []string `json:"author,omitempty"`
		Publisher   []string `json:"publisher,omitempty"`
		Language    []string `json:"language,omitempty"`
		Description string   `json:"description,omitempty"`
	}
	link struct {
		Rel        string      `json:"rel"`
		Href       string      `json:"href"`
		Type       string      `json:"type"`
		Properties *properties `json:"properties,omitempty"`
	}
	properties struct {
		PassHash     []byte  `json:"lcp_hashed_passphrase,omitempty"` // Base64 in JSON
		Indirect     []typed `json:"indirectAcquisition,omitempty"`   // what the license leads to
		Authenticate *typed  `json:"authenticate,omitempty"`
	}
	typed struct {
		Href string `json:"href,omitempty"`
		Type string `json:"type,omitempty"`
	}
)
