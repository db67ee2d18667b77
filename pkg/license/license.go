// Package license makes, reads, verifies and opens license documents: the JSON
// that carries the content key of a publication to one user, encrypted with the
// key of that user and signed by the provider.
//
// It follows Readium LCP 1.0 rev. 5, §3 to §6, whose words it uses. Values go
// in and documents come out: where publications, licenses and users are kept,
// whether a license may be issued, and what time it is, are not known here.
package license

import (
	"errors"
	"time"

	"github.com/lcp-tools/lcp/pkg/signature"
)

// MediaType is that of license documents, and Extension that of their files
// (LCP §3.2).
const (
	MediaType = "application/vnd.readium.lcp.license.v1.0+json"
	Extension = ".lcpl"
)

// StatusMediaType is that of License Status Documents, which a status link
// points to (LSD 1.0 §2.2).
const StatusMediaType = "application/vnd.readium.license.status.v1.0+json"

// Algorithms that all encryption profiles known so far have in common (LCP §6.3).
const (
	AES256CBC = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"
	SHA256    = "http://www.w3.org/2001/04/xmlenc#sha256"
)

// RelAcquisition is the relation, and OPDSMediaType the type, of the link to an
// OPDS 2 publication with the hash of the passphrase, which apps fetch for users
// who are logged in (Readium LCP Automatic Key Retrieval 1.0 rev. 3).
const (
	RelAcquisition = "http://opds-spec.org/acquisition"
	OPDSMediaType  = "application/opds-publication+json"
)

// Relations of links (LCP Link Relations Registry). Others are URIs.
const (
	RelPublication = "publication"
	RelStatus      = "status"
	RelHint        = "hint"
	RelSelf        = "self"
	RelSupport     = "support"
)

// Failures of reading, verifying and opening a license.
var (
	ErrDocument   = errors.New("not a license document")
	ErrValidity   = errors.New("license is dated outside the validity of the provider certificate")
	ErrPassphrase = errors.New("passphrase does not open this license")
	ErrAlgorithm  = errors.New("unsupported encryption algorithm")
)

// A Document is a license as it was issued or parsed. Its fields are there to be
// read: changing one changes neither the JSON nor the signature.
type Document struct {
	Provider   string              `json:"provider"` // URI of who issued it
	ID         string              `json:"id"`
	Issued     time.Time           `json:"issued"`
	Updated    time.Time           `json:"updated,omitzero"` // zero: never since it was issued
	Encryption Encryption          `json:"encryption"`
	Links      []Link              `json:"links"`
	User       User                `json:"user,omitzero"`
	Rights     Rights              `json:"rights,omitzero"`
	Signature  signature.Signature `json:"signature,omitzero"`

	raw []byte // the JSON, members that are unknown here included
}

// JSON returns the document as it was issued or parsed, byte for byte. It is not
// to be modified.
func (d *Document) JSON() []byte { return d.raw }

// MarshalJSON returns the document with all that was in it, so that it can be
// part of another one.
func (d *Document) MarshalJSON() ([]byte, error) {
	if d.raw == nil {
		return nil, errors.New("a license document is issued or parsed, not assembled")
	}
	return d.raw, nil
}

// LastUpdated returns when the license was last updated, which is when it was
// issued if never since. The provider certificate must be valid then (LCP §5.5.1).
func (d *Document) LastUpdated() time.Time {
	if d.Updated.IsZero() {
		return d.Issued
	}
	return d.Updated
}

// Link returns the first link of a relation.
func (d *Document) Link(rel string) (Link, bool) {
	for _, l := range d.Links {
		if l.Rel == rel {
			return l, true
		}
	}
	return Link{}, false
}

// Encryption carries the keys (LCP §3.4).
type Encryption struct {
	Profile    string     `json:"profile"` // URI
	ContentKey ContentKey `json:"content_key"`
	UserKey    UserKey    `json:"user_key"`
}

// A ContentKey is the key of the publication, under the key of the user.
type ContentKey struct {
	Algorithm      string `json:"algorithm"`
	EncryptedValue []byte `json:"encrypted_value"` // Base64 in JSON
}

// A UserKey says how the key of the user comes from the passphrase.
type UserKey struct {
	Algorithm string `json:"algorithm"`
	TextHint  string `json:"text_hint"`
	KeyCheck  []byte `json:"key_check"` // the license's id, under the user key; Base64 in JSON
}

// A Link points to something outside the license (LCP §3.5).
type Link struct {
	Rel       string `json:"rel"` // the first one, if a parsed link has several
	Href      string `json:"href"`
	Type      string `json:"type,omitempty"` // media type
	Templated bool   `json:"templated,omitempty"`
	Title     string `json:"title,omitempty"`
	Profile   string `json:"profile,omitempty"` // URI
	Length    int64  `json:"length,omitempty"`  // bytes
	Hash      string `json:"hash,omitempty"`    // SHA-256, 64 lower-case hexadecimal digits
}

// Rights are the limits set to the user (LCP §3.6). What is nil is unlimited.
type Rights struct {
	Print *int64     `json:"print,omitempty"` // pages
	Copy  *int64     `json:"copy,omitempty"`  // characters
	Start *time.Time `json:"start,omitempty"`
	End   *time.Time `json:"end,omitempty"`
}
