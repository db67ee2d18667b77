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
	policy    Policy
	base      string // URL without a slash at its end, and without characters to escape in JSON
	license   href
	renewURL  href
	renewPage href
}

// NewBuilder checks the options, and reports all that is wrong with them.
func NewBuilder(o Options) (*Builder, error) {
	var faults []error
	base, err := parseBase(o.BaseURL)
	if err != nil {
		faults = append(faults, err)
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
	return &Builder{o.Policy, base, newHref(o.License), newHref(o.RenewURL), newHref(o.RenewPage)}, nil
}

// parseBase reads a base URL and brings it into the form of RFC 3986.
func parseBase(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" ||
		strings.ContainsAny(text, "\"\\{} \t") {
		return "", fmt.Errorf("base URL %q is not an absolute http or https URL without a query", text)
	}
	return strings.TrimRight(u.String(), "/"), nil
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
	renewable := b.renewable(r, now)
	dst, err := b.appendLinks(append(dst, `},"links":[`...), r, seen, renewable)
	if err != nil {
		return nil, err
	}
	dst = append(dst, ']')
	if end := b.policy.MaxEnd(r); renewable && !end.IsZero() {
		dst = appendTime(append(dst, `,"potential_rights":{"end":`...), end)
		dst = append(dst, '}')
	}
	return append(appendEvents(append(dst, `,"events":[`...), events), `]}`...), nil
}

// appendLinks writes the links that make sense for the license as it stands.
func (b *Builder) appendLinks(dst []byte, r Record, seen State, renewable bool) ([]byte, error) {
	fresh, err := b.license.expand(r.ID)
	if err != nil {
		return nil, err
	}
	dst = appendLink(dst, link{rel: "license", href: fresh, mediaType: license.MediaType, profile: r.Profile})
	usable := seen == Ready || seen == Active
	if usable {
		dst = b.appendOwn(append(dst, ','), "register", r.ID, "{?id,name}")
	}
	if usable && !r.End.IsZero() && b.lends() {
		dst = b.appendOwn(append(dst, ','), "return", r.ID, "{?id,name}")
	}
	if renewable {
		return b.appendRenew(append(dst, ','), r)
	}
	return dst, nil
}

// lends reports whether the provider offers loans that users renew and return,
// as the documented configuration has it: one setting for both.
func (b *Builder) lends() bool { return b.policy.RenewMax > 0 || b.renewPage.template != nil }

// renewable reports whether a renewal could succeed. Without a maximum only the
// provider's page knows.
func (b *Builder) renewable(r Record, now time.Time) bool {
	if b.policy.whyNotRenew(r, now) != "" {
		return false
	}
	end := b.policy.MaxEnd(r)
	if end.IsZero() {
		return b.renewPage.template != nil
	}
	return end.After(r.End) && end.After(instant(now))
}

// appendRenew writes the renew link.
func (b *Builder) appendRenew(dst []byte, r Record) ([]byte, error) {
	switch {
	case b.renewPage.template != nil:
		href, err := b.renewPage.expand(r.ID)
		return appendLink(dst, link{rel: "renew", href: href, mediaType: "text/html"}), err
	case b.renewURL.template != nil:
		href, err := b.renewURL.expand(r.ID)
		parameters := "{?end,id,name}"
		if strings.Contains(href, "?") {
			parameters = "{&end,id,name}"
		}
		return appendLink(dst, link{rel: "renew", href: href, parameters: parameters, mediaType: MediaType}), err
	}
	return b.appendOwn(dst, "renew", r.ID, "{?end,id,name}"), nil
}

// appendOwn writes a link to the license server.
func (b *Builder) appendOwn(dst []byte, action, id, parameters string) []byte {
	return appendLink(dst, link{
		rel: action, server: b.base, href: url.PathEscape(id), parameters: parameters, mediaType: MediaType,
	})
}

// A link is one of a status document (LSD §2.5).
type link struct {
	rel        string
	server     string // base URL, if href is the rest of the path to what rel names there
	href       string
	parameters string // what makes it a template, if it is one
	mediaType  string
	profile    string // if it is to be told
}

// appendLink writes a link. Only href and profile can have what must be escaped.
func appendLink(dst []byte, l link) []byte {
	dst = append(append(dst, `{"rel":"`...), l.rel...)
	dst = append(dst, `","href":"`...)
	if l.server != "" {
		dst = append(append(dst, l.server...), '/')
		dst = append(append(dst, l.rel...), '/')
	}
	dst = append(appendEscaped(dst, l.href), l.parameters...)
	dst = append(append(dst, `","type":"`...), l.mediaType...)
	dst = append(dst, '"')
	if l.profile != "" {
		dst = appendString(append(dst, `,"profile":`...), l.profile)
	}
	if l.parameters != "" {
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

func appendString(dst []byte, s string) []byte {
	return append(appendEscaped(append(dst, '"'), s), '"')
}

// appendEscaped writes what stands between the quotes of a JSON string. What is
// not UTF-8 becomes U+FFFD.
func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, string(utf8.RuneError))
	}
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
	return append(dst, s[start:]...)
}

// appendTime writes a date as license documents do, so that the same instant is
// the same text in both.
func appendTime(dst []byte, t time.Time) []byte {
	dst = instant(t).AppendFormat(append(dst, '"'), time.RFC3339Nano)
	return append(dst, '"')
}

// format writes a date for people.
func format(t time.Time) string { return instant(t).Format(time.RFC3339Nano) }
