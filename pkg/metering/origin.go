package metering

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// An Origin is where a reading system runs, in its canonical form: scheme, host
// in lower case and punycode, and the port unless it is that of the scheme, as in
// https://reader.example.org (RFC 6454 §6.2).
type Origin string

// Native is the origin of apps, which have none and sign instead.
const Native Origin = "app"

// maxOrigin bounds an origin in bytes.
const maxOrigin = 255

// ErrOrigin says that a text is no origin, or no pattern of origins.
var ErrOrigin = errors.New("not an origin")

// ParseOrigin returns an origin in its canonical form. It takes what an Origin
// header holds, and that with host names in Unicode. "null" is no origin: pages
// without one share it. The error is an ErrOrigin.
func ParseOrigin(text string) (Origin, error) {
	scheme, host, port, err := splitOrigin(text)
	if err != nil {
		return "", fmt.Errorf("%w: %q %w", ErrOrigin, text, err)
	}
	if host, err = canonicalHost(host); err != nil {
		return "", fmt.Errorf("%w: %q %w", ErrOrigin, text, err)
	}
	return Origin(scheme + "://" + host + port), nil
}

// splitOrigin takes a text apart. port is empty, or begins with a colon.
func splitOrigin(text string) (scheme, host, port string, err error) {
	if len(text) > maxOrigin {
		return "", "", "", fmt.Errorf("is longer than %d bytes", maxOrigin)
	}
	scheme, rest, ok := strings.Cut(text, "://")
	scheme = strings.ToLower(scheme)
	if !ok || scheme != "https" && scheme != "http" {
		return "", "", "", errors.New("does not begin with https:// or http://")
	}
	if strings.ContainsAny(rest, "/?#@\\ \t\r\n,%") {
		return "", "", "", errors.New("has more than a scheme, a host and a port")
	}
	host, port = rest, ""
	if i := strings.LastIndexByte(rest, ':'); i >= 0 && !strings.HasSuffix(rest, "]") {
		host, port = rest[:i], rest[i+1:]
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || port[0] == '0' || port[0] == '+' {
			return "", "", "", fmt.Errorf("has the port %q", port)
		}
		port = ":" + port
	}
	if scheme == "https" && port == ":443" || scheme == "http" && port == ":80" {
		port = ""
	}
	return scheme, host, port, nil
}

// canonicalHost returns a host name in lower case and punycode, and an address as
// the URL standard writes it.
func canonicalHost(host string) (string, error) {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !addr.Is6() || addr.Zone() != "" || !strings.HasSuffix(host, "]") {
			return "", errors.New("has a host that is no IPv6 address")
		}
		return "[" + addr.String() + "]", nil
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is4() {
		return host, nil
	}
	ascii, err := idna.Lookup.ToASCII(host)
	if again, e := idna.Lookup.ToASCII(ascii); e != nil || again != ascii || !utf8.ValidString(host) {
		return "", fmt.Errorf("has the host %q, which is no host name", host) // it decodes to something else
	}
	if err != nil || ascii == "" || strings.HasPrefix(ascii, ".") || strings.HasSuffix(ascii, ".") || strings.Contains(ascii, "..") {
		return "", fmt.Errorf("has the host %q, which is no host name", host)
	}
	if u, err := url.Parse("https://" + ascii); err != nil || u.Hostname() != ascii {
		return "", fmt.Errorf("has the host %q, which is no host name", host)
	}
	return ascii, nil
}

// A Pattern is an origin, or a wildcard such as https://*.example.org, which is
// all origins whose host is any number of labels below example.org, and not
// example.org itself.
type Pattern string

// ParsePattern returns a pattern in its canonical form. A bare * is refused, and
// so is a wildcard over a public suffix such as *.co.uk or *.github.io, under
// which strangers have their sites. The error is an ErrOrigin.
func ParsePattern(text string) (Pattern, error) {
	if text == string(Native) {
		return "", fmt.Errorf("%w: native apps are known by their signature", ErrOrigin)
	}
	scheme, rest, ok := strings.Cut(text, "://*.")
	if !ok {
		if strings.Contains(text, "*") {
			return "", fmt.Errorf("%w: %q: a wildcard stands for whole labels at the beginning of a host, as in https://*.example.org", ErrOrigin, text)
		}
		o, err := ParseOrigin(text)
		return Pattern(o), err
	}
	base, err := ParseOrigin(scheme + "://" + rest)
	if err != nil || strings.Contains(rest, "*") {
		return "", fmt.Errorf("%w: %q: what follows the wildcard is no host name", ErrOrigin, text)
	}
	host := base.host()
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return "", fmt.Errorf("%w: %q: nothing is below an address", ErrOrigin, text)
	}
	if host != "localhost" {
		if suffix, _ := publicsuffix.PublicSuffix(host); suffix == host {
			return "", fmt.Errorf("%w: %q: %s is a public suffix, under which anybody may have a site", ErrOrigin, text, host)
		}
	}
	return Pattern(strings.Replace(string(base), "://", "://*.", 1)), nil
}

// host is the host of an origin, without the port.
func (o Origin) host() string {
	_, rest, _ := strings.Cut(string(o), "://")
	if i := strings.LastIndexByte(rest, ':'); i >= 0 && !strings.HasSuffix(rest, "]") {
		return rest[:i]
	}
	return rest
}

// Exact reports whether a pattern is one origin.
func (p Pattern) Exact() bool { return !strings.Contains(string(p), "://*.") }

// Matches reports whether an origin is among those of a pattern. Scheme and port
// must be the same.
func (p Pattern) Matches(o Origin) bool {
	scheme, base, wild := strings.Cut(string(p), "://*.")
	if !wild {
		return string(p) == string(o)
	}
	rest, ok := strings.CutPrefix(string(o), scheme+"://")
	return ok && strings.HasSuffix(rest, "."+base) && len(rest) > len(base)+1
}

// A State says what becomes of use at an origin.
type State string

// The states.
const (
	Approved State = "approved" // counted and billed
	Blocked  State = "blocked"  // not accepted
	Pending  State = "pending"  // under review: accepted, and held
	Unknown  State = "unknown"  // nobody has decided, and the policy blocks
)

// ParseState reads the name of a state.
func ParseState(name string) (State, error) {
	if s := State(name); slices.Contains([]State{Approved, Blocked, Pending, Unknown}, s) {
		return s, nil
	}
	return "", fmt.Errorf("unknown state of origins %q: it is one of %s, %s, %s, %s", name, Approved, Blocked, Pending, Unknown)
}

// A Rule is what was decided about origins.
type Rule struct {
	Pattern Pattern
	State   State  // Approved or Blocked
	Group   string // under which use is reported; "" for the pattern itself
}

// GroupName is the name under which use is reported.
func (r Rule) GroupName() string {
	if r.Group != "" {
		return r.Group
	}
	return string(r.Pattern)
}

// Resolve returns what was decided about an origin, and under which name its use
// is reported. The origin itself counts first, then the longest wildcard. Where
// nothing was decided the policy decides.
func Resolve(rules []Rule, o Origin, p Policy) (s State, group string) {
	if o == Native {
		return Approved, string(Native)
	}
	best := -1
	for i, r := range rules {
		if !r.Pattern.Matches(o) {
			continue
		}
		if r.Pattern.Exact() {
			return r.State, r.GroupName()
		}
		if best < 0 || len(r.Pattern) > len(rules[best].Pattern) {
			best = i
		}
	}
	switch {
	case best >= 0:
		return rules[best].State, rules[best].GroupName()
	case p == Review:
		return Pending, string(o)
	default:
		return Unknown, string(o)
	}
}
