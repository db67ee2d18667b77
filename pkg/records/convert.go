package records

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/store"
)

// PublicationOut is a record in the words of the API, without its content key.
func PublicationOut(p *store.Publication) api.Publication {
	out := api.Publication{
		UUID: p.UUID, AltID: p.AltID, Provider: p.Provider, ContentType: p.ContentType, Title: p.Title,
		Description: p.Description, Authors: strings.Join(p.Authors, ", "), Publishers: strings.Join(p.Publishers, ", "),
		CoverURL: p.CoverURL, Href: p.Href, Size: p.Size, Checksum: p.Checksum,
	}
	out.CreatedAt, out.UpdatedAt = optional(p.CreatedAt), optional(p.UpdatedAt)
	return out
}

// PublicationIn checks a record in the words of the API and reports every fault:
// *license.FieldError, several joined. Unlike a server's, a local record may
// point to a file: it is what lcp encrypt makes without a public address.
func PublicationIn(in *api.Publication) (store.Publication, error) {
	var faults []error
	fault := func(bad bool, field, reason string) {
		if bad {
			faults = append(faults, &license.FieldError{Field: field, Reason: reason})
		}
	}
	id, err := uuid.Parse(in.UUID)
	fault(err != nil || len(in.UUID) != 36, "uuid", "must be a UUID")
	key, err := lcpcrypto.ContentKeyFromBytes(in.EncryptionKey)
	fault(err != nil, "encryption_key", "must be 32 bytes in base64")
	fault(strings.TrimSpace(in.Title) == "", "title", "is missing")
	fault(strings.TrimSpace(in.ContentType) == "", "content_type", "is missing")
	fault(!isURL(in.Href, "http", "https", "file"), "href", "must be an absolute http or https URL")
	fault(in.CoverURL != "" && !isURL(in.CoverURL, "http", "https", "file"), "cover_url", "must be an absolute http or https URL")
	fault(in.Provider != "" && !isURL(in.Provider), "provider", "must be an absolute URI")
	fault(in.Size <= 0, "size", "must be the size of the file in bytes")
	fault(!isSHA256(in.Checksum), "checksum", "must be a SHA-256 in 64 hexadecimal digits")
	if err := errors.Join(faults...); err != nil {
		return store.Publication{}, err
	}
	return store.Publication{
		UUID: id.String(), AltID: in.AltID, Provider: in.Provider, Title: in.Title,
		Authors: splitNames(in.Authors), Publishers: splitNames(in.Publishers), Description: in.Description,
		ContentType: in.ContentType, Href: in.Href, Size: in.Size, Checksum: strings.ToLower(in.Checksum),
		CoverURL: in.CoverURL, ContentKey: key,
	}, nil
}

// LicenseOut is a record in the words of the API.
func LicenseOut(l *store.License) api.LicenseInfo {
	out := api.LicenseInfo{
		UUID: l.UUID, UserID: l.UserID, PublicationID: l.PublicationUUID, Provider: l.Provider,
		Start: optional(l.Start), End: optional(l.End), MaxEnd: optional(l.MaxEnd), Copy: l.Copy, Print: l.Print,
		Status: l.Status, Updated: optional(l.Updated), StatusUpdated: optional(l.StatusUpdated), DeviceCount: l.DeviceCount,
		PublicationTitle: l.PublicationTitle,
	}
	latest := slices.MaxFunc([]time.Time{l.Issued, l.Updated, l.StatusUpdated}, time.Time.Compare)
	out.CreatedAt, out.UpdatedAt = optional(l.Issued), optional(latest)
	return out
}

// splitNames takes apart the names that the API joins with commas.
func splitNames(text string) []string {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// isURL reports whether text is an absolute URI, of one of the schemes if any are
// named.
func isURL(text string, schemes ...string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" {
		return false
	}
	return len(schemes) == 0 || slices.Contains(schemes, u.Scheme) && cmp.Or(u.Host, u.Path) != ""
}

func isSHA256(text string) bool {
	return len(text) == 64 && strings.Trim(text, "0123456789abcdefABCDEF") == ""
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
