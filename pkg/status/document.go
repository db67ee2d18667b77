package status

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lcp-tools/lcp/pkg/license"
)

// Options is what status documents are made with.
type Options struct {
	Policy  Policy
	BaseURL string            // of the license server: register, return and renew are below it
	License *license.Template // where a fresh license is fetched from

	// At most one of these takes the place of the server's own renew link.
	RenewURL  *license.Template // of the provider, called as the server's own would be
	RenewPage *license.Template // of the provider, where the user renews by hand
}

// A Builder makes status documents. It is safe for concurrent use.
type Builder struct {
	o    Options
	base string
}

// NewBuilder checks the options, and reports all that is wrong with them.
func NewBuilder(o Options) (*Builder, error) {
	base := strings.TrimRight(o.BaseURL, "/")
	var faults []error
	if u, err := url.Parse(base); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" ||
		u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(base, "{} \t\r\n") {
		faults = append(faults, fmt.Errorf("base URL %q is not an absolute http or https URL", o.BaseURL))
	}
	if o.License == nil {
		faults = append(faults, errors.New("link to fresh licenses is missing"))
	}
	if o.RenewURL != nil && o.RenewPage != nil {
		faults = append(faults, errors.New("there can be a renew URL or a renew page, not both"))
	}
	for _, t := range []*license.Template{o.License, o.RenewURL} {
		if t != nil && !t.HasLicenseID() {
			faults = append(faults, fmt.Errorf("link %q must contain {license_id}", t))
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("status documents: %w", errors.Join(faults...))
	}
	return &Builder{o: o, base: base}, nil
}

// Append appends to dst the status document of a license as seen now, in a
// language. Events are told in the order given. An error is a link that could
// not be made.
func (b *Builder) Append(dst []byte, r Record, events []Event, l Language, now time.Time) ([]byte, error) {
	seen := r.Seen(now)
	dst = appendString(append(dst, `{"id":`...), r.ID)
	dst = appendString(append(dst, `,"status":`...), string(seen))
	dst = appendString(append(dst, `,"message":`...), seen.Message(l))
	dst = appendTime(append(dst, `,"updated":{"license":`...), r.LicenseUpdated())
	dst = appendTime(append(dst, `,"status":`...), r.LastUpdated(now))
	dst, err := b.appendLinks(append(dst, `},"links":[`...), r, now)
	if err != nil {
		return nil, err
	}
	dst = append(dst, ']')
	if end := b.o.Policy.MaxEnd(r); b.renewable(r, now) && !end.IsZero() {
		dst = appendTime(append(dst, `,"potential_rights":{"end":`...), end)
		dst = append(dst, '}')
	}
	return append(appendEvents(append(dst, `,"events":[`...), events), `]}`...), nil
}

// appendLinks writes the links that make sense for the license as it stands.
func (b *Builder) appendLinks(dst []byte, r Record, now time.Time) ([]byte, error) {
	fresh, err := b.o.License.Expand(r.ID)
	if err != nil {
		return nil, err
	}
	dst = appendLink(dst, link{rel: "license", href: fresh, mediaType: license.MediaType, profile: r.Profile})
	id := url.PathEscape(r.ID)
	usable := r.Seen(now) == Ready || r.Seen(now) == Active
	if usable {
		dst = appendLink(append(dst, ','), b.own("register", id, "{?id,name}"))
	}
	if usable && !r.End.IsZero() && b.lends() {
		dst = appendLink(append(dst, ','), b.own("return", id, "{?id,name}"))
	}
	if b.renewable(r, now) {
		renew, err := b.renew(r.ID, id)
		if err != nil {
			return nil, err
		}
		dst = appendLink(append(dst, ','), renew)
	}
	return dst, nil
}

// lends reports whether the provider offers loans that users renew and return,
// as the documented configuration has it: one setting for both.
func (b *Builder) lends() bool { return b.o.Policy.RenewMax > 0 || b.o.RenewPage != nil }

// renewable reports whether a renewal could succeed. Without a maximum only the
// provider's page knows.
func (b *Builder) renewable(r Record, now time.Time) bool {
	if b.o.Policy.mayRenew(r, now) != nil {
		return false
	}
	end := b.o.Policy.MaxEnd(r)
	if end.IsZero() {
		return b.o.RenewPage != nil
	}
	return end.After(r.End) && end.After(instant(now))
}

// renew returns the renew link.
func (b *Builder) renew(id, escapedID string) (link, error) {
	const parameters = "{?end,id,name}"
	switch {
	case b.o.RenewPage != nil:
		href, err := b.o.RenewPage.Expand(id)
		return link{rel: "renew", href: href, mediaType: "text/html"}, err
	case b.o.RenewURL != nil:
		href, err := b.o.RenewURL.Expand(id)
		if strings.Contains(href, "?") {
			return link{rel: "renew", href: href + "{&end,id,name}", mediaType: MediaType, templated: true}, err
		}
		return link{rel: "renew", href: href + parameters, mediaType: MediaType, templated: true}, err
	}
	return b.own("renew", escapedID, parameters), nil
}

// own returns a link to the license server.
func (b *Builder) own(action, id, parameters string) link {
	return link{
		rel: action, href: b.base + "/" + action + "/" + id + parameters,
		mediaType: MediaType, templated: true,
	}
}

// A link is one of a status document (LSD §2.5).
type link struct {
	rel       string
	href      string
	mediaType string
	profile   string // empty: not told
	templated bool
}

func appendLink(dst []byte, l link) []byte {
	dst = appendString(append(dst, `{"rel":`...), l.rel)
	dst = appendString(append(dst, `,"href":`...), l.href)
	dst = appendString(append(dst, `,"type":`...), l.mediaType)
	if l.profile != "" {
		dst = appendString(append(dst, `,"profile":`...), l.profile)
	}
	if l.templated {
		dst = append(dst, `,"templated":true`...)
	}
	return append(dst, '}')
}

func appendEvents(dst []byte, events []Event) []byte {
	for i, e := range events {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `{"type":`...), e.Type)
		if e.DeviceName != "" {
			dst = appendString(append(dst, `,"name":`...), e.DeviceName)
		}
		if e.DeviceID != "" {
			dst = appendString(append(dst, `,"id":`...), e.DeviceID)
		}
		dst = appendTime(append(dst, `,"timestamp":`...), e.At)
		dst = append(dst, '}')
	}
	return dst
}

// appendString writes a JSON string. What is not UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	dst = append(dst, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		if c < ' ' {
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, '\\', c)
		}
	}
	return append(append(dst, s[start:]...), '"')
}

// appendTime writes a date as license documents do, so that the same instant is
// the same text in both.
func appendTime(dst []byte, t time.Time) []byte {
	dst = instant(t).AppendFormat(append(dst, '"'), time.RFC3339Nano)
	return append(dst, '"')
}

// format writes a date for people.
func format(t time.Time) string { return instant(t).Format(time.RFC3339Nano) }
