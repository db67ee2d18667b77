// Package wire puts the records of the store into the words of the License API
// and back, with every fault by its field. The license server and the commands
// that work on the local store show and take records alike.
package wire

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/store"
)

// PublicationOut is a record in the words of the API, without its content key.
func PublicationOut(p *store.Publication) api.Publication {
	return api.Publication{
		UUID: p.UUID, AltID: p.AltID, Provider: p.Provider, ContentType: p.ContentType, Title: p.Title,
		Description: p.Description, Authors: strings.Join(p.Authors, ", "), Publishers: strings.Join(p.Publishers, ", "),
		CoverURL: p.CoverURL, Href: p.Href, Size: p.Size, Checksum: p.Checksum,
		Stamps: stamps(p.CreatedAt, p.UpdatedAt),
	}
}

func stamps(created, updated time.Time) api.Stamps {
	return api.Stamps{CreatedAt: optional(created), UpdatedAt: optional(updated), CreatedSnake: optional(created)}
}

// PublicationIn checks a record in the words of the API and reports every fault:
// *license.FieldError, several joined. Its files are at http and https URLs, and
// at those of the further schemes; spaces in them, which tools leave there that
// make URLs of the names of files, are percent-encoded.
func PublicationIn(in *api.Publication, schemes ...string) (store.Publication, error) {
	var faults Faults
	href, cover := withoutSpaces(in.Href), withoutSpaces(in.CoverURL)
	if !IsUUID(in.UUID) {
		faults.Add("uuid", "must be a UUID")
	}
	key, err := lcpcrypto.ContentKeyFromBytes(in.EncryptionKey)
	if err != nil || key == (lcpcrypto.ContentKey{}) {
		faults.Add("encryption_key", "must be 32 bytes in base64")
	}
	for field, text := range map[string]string{"title": in.Title, "content_type": in.ContentType} {
		if strings.TrimSpace(text) == "" {
			faults.Add(field, "is missing")
		}
	}
	if !isURLOf(href, schemes) {
		faults.Add("href", "must be an absolute http or https URL")
	}
	if cover != "" && !isURLOf(cover, schemes) {
		faults.Add("cover_url", "must be an absolute http or https URL")
	}
	if in.Provider != "" && !IsURI(in.Provider) {
		faults.Add("provider", "must be an absolute URI")
	}
	if in.Size <= 0 {
		faults.Add("size", "must be the size of the file in bytes")
	}
	if !IsSHA256(in.Checksum) {
		faults.Add("checksum", "must be a SHA-256 in 64 hexadecimal digits")
	}
	for field, t := range map[string]struct {
		text  string
		limit int
	}{
		"alt_id": {in.AltID, MaxName}, "content_type": {in.ContentType, MaxName}, "provider": {in.Provider, MaxName},
		"href": {href, MaxURL}, "cover_url": {cover, MaxURL},
		"title": {in.Title, MaxProse}, "authors": {in.Authors, MaxProse}, "publishers": {in.Publishers, MaxProse}, "description": {in.Description, MaxProse},
	} {
		faults.Text(field, t.text, t.limit)
	}
	if err := faults.Err(); err != nil {
		return store.Publication{}, err
	}
	return store.Publication{
		UUID: strings.ToLower(in.UUID), AltID: in.AltID, Provider: in.Provider, Title: in.Title,
		Authors: SplitNames(in.Authors), Publishers: SplitNames(in.Publishers), Description: in.Description,
		ContentType: in.ContentType, Href: href, Size: in.Size, Checksum: strings.ToLower(in.Checksum),
		CoverURL: cover, ContentKey: key,
	}, nil
}

// SplitNames returns the names in a text that separates them by commas.
func SplitNames(text string) []string {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func withoutSpaces(url string) string { return strings.ReplaceAll(url, " ", "%20") }

// IsURL reports whether text is an absolute http or https URL.
func IsURL(text string) bool { return isURLOf(text, nil) }

// isURLOf reports whether text is an absolute URL, with http, https or one of the
// further schemes.
func isURLOf(text string, schemes []string) bool {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return false
	case u.Scheme == "http" || u.Scheme == "https":
		return u.Host != ""
	default:
		return slices.Contains(schemes, u.Scheme) && u.Host+u.Path != ""
	}
}

// IsURI reports whether text is an absolute URI.
func IsURI(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme != ""
}

// IsSHA256 reports whether text is a SHA-256 in 64 hexadecimal digits.
func IsSHA256(text string) bool {
	return len(text) == 64 && !strings.ContainsFunc(text, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F')
	})
}

// IsUUID wants the form of RFC 9562 §4, and none of the others that are in use.
func IsUUID(text string) bool {
	_, err := uuid.Parse(text)
	return err == nil && len(text) == 36
}

// optional is nil for a time that was not set: the store sets it.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
