package metering_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/metering"
)

func TestParseOrigin(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]metering.Origin{
		"https://reader.example.org":            "https://reader.example.org",
		"HTTPS://Reader.Example.ORG:443":        "https://reader.example.org",
		"http://reader.example.org:80":          "http://reader.example.org",
		"http://reader.example.org:443":         "http://reader.example.org:443",
		"https://reader.example.org:8443":       "https://reader.example.org:8443",
		"https://Bücher.example":                "https://xn--bcher-kva.example",
		"https://xn--bcher-kva.example":         "https://xn--bcher-kva.example",
		"https://日本語.example:8080":              "https://xn--wgv71a119e.example:8080",
		"http://localhost:3000":                 "http://localhost:3000",
		"http://127.0.0.1:3000":                 "http://127.0.0.1:3000",
		"https://[2001:DB8:0::1]:8443":          "https://[2001:db8::1]:8443",
		"https://[::1]":                         "https://[::1]",
		"null":                                  "",
		"":                                      "",
		"app":                                   "",
		"https://":                              "",
		"https://*":                             "",
		"https://*.example.org":                 "",
		"https://a.example, https://b.example":  "",
		"https://a.example https://b.example":   "",
		"https://reader.example.org/":           "",
		"https://reader.example.org/path":       "",
		"https://user@reader.example.org":       "",
		"https://reader.example.org:0":          "",
		"https://reader.example.org:65536":      "",
		"https://reader.example.org:":           "",
		"https://reader.example.org:+1":         "",
		"https://reader.example.org.":           "",
		"https://a..example.org":                "",
		"https://[::1%25eth0]":                  "",
		"https://[127.0.0.1]":                   "",
		"capacitor://localhost":                 "",
		"file://":                               "",
		"https://" + strings.Repeat("a.", 200):  "",
		"https://re%61der.example.org":          "",
		"https://reader.example.org\r\nX: y":    "",
		"https://under_score.example.org:8443x": "",
	} {
		got, err := metering.ParseOrigin(text)
		if got != want || (err != nil) != (want == "") || err != nil && !errors.Is(err, metering.ErrOrigin) {
			t.Errorf("ParseOrigin(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestParsePattern(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]metering.Pattern{
		"https://vermont.example.com":       "https://vermont.example.com",
		"https://*.Vermont.Example.com:443": "https://*.vermont.example.com",
		"https://*.Bücher.example":          "https://*.xn--bcher-kva.example",
		"http://*.localhost:3000":           "http://*.localhost:3000",
		"*":                                 "",
		"https://*":                         "",
		"https://*.com":                     "",
		"https://*.co.uk":                   "",
		"https://*.github.io":               "",
		"https://*.someone.github.io":       "https://*.someone.github.io",
		"https://*.*.example.com":           "",
		"https://a.*.example.com":           "",
		"https://a*.example.com":            "",
		"https://*.127.0.0.1":               "",
		"https://*.[::1]":                   "",
		"app":                               "",
		"null":                              "",
		"https://*.":                        "",
	} {
		got, err := metering.ParsePattern(text)
		if got != want || (err != nil) != (want == "") || err != nil && !errors.Is(err, metering.ErrOrigin) {
			t.Errorf("ParsePattern(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

// The example of the documentation: each group has what no closer one has.
func TestResolve(t *testing.T) {
	t.Parallel()
	var rules []metering.Rule
	for _, p := range []metering.Pattern{
		"https://vermont.example", "https://*.vermont.example", "https://jericho.vermont.example",
		"https://*.jericho.vermont.example", "https://nevermore.jericho.vermont.example",
	} {
		rules = append(rules, metering.Rule{Pattern: p, State: metering.Approved})
	}
	rules = append(rules, metering.Rule{Pattern: "https://closed.vermont.example", State: metering.Blocked, Group: "Closed"})
	for origin, want := range map[metering.Origin]string{
		"https://vermont.example":                         "approved https://vermont.example",
		"https://burlington.vermont.example":              "approved https://*.vermont.example",
		"https://a.b.c.vermont.example":                   "approved https://*.vermont.example",
		"https://jericho.vermont.example":                 "approved https://jericho.vermont.example",
		"https://school.jericho.vermont.example":          "approved https://*.jericho.vermont.example",
		"https://nevermore.jericho.vermont.example":       "approved https://nevermore.jericho.vermont.example",
		"https://crypt.nevermore.jericho.vermont.example": "approved https://*.jericho.vermont.example",
		"https://closed.vermont.example":                  "blocked Closed",
		"http://vermont.example":                          "unknown http://vermont.example",
		"https://a.vermont.example:8443":                  "unknown https://a.vermont.example:8443",
		"https://notvermont.example":                      "unknown https://notvermont.example",
		"https://vermont.example.evil.example":            "unknown https://vermont.example.evil.example",
		metering.Native:                                   "approved app",
	} {
		state, group := metering.Resolve(rules, origin, metering.Block)
		if got := string(state) + " " + group; got != want {
			t.Errorf("Resolve(%s) = %s, want %s", origin, got, want)
		}
	}
	if state, _ := metering.Resolve(rules, "https://elsewhere.example", metering.Review); state != metering.Pending {
		t.Errorf("unknown origin under review is %s", state)
	}
}

// The canonical form of an origin is one, and is matched by itself alone.
func FuzzParseOrigin(f *testing.F) {
	for _, seed := range []string{"https://reader.example.org", "http://Bücher.example:80", "https://[::1]:8443", "https://*.a.b", "null", "https://a:b:c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := metering.ParseOrigin(text)
		if err != nil {
			return
		}
		if again, err := metering.ParseOrigin(string(o)); err != nil || again != o {
			t.Errorf("ParseOrigin(%q) = %q, and of that %q, %v", text, o, again, err)
		}
		p, err := metering.ParsePattern(text)
		if err != nil || !p.Exact() || !p.Matches(o) {
			t.Errorf("ParsePattern(%q) = %q, %v, which does not match %q", text, p, err, o)
		}
		if strings.ContainsAny(string(o), " ,*\"<>\\\r\n") || strings.ToLower(string(o)) != string(o) {
			t.Errorf("ParseOrigin(%q) = %q", text, o)
		}
	})
}

// What is accepted as a wildcard is one, over a domain that somebody owns.
func FuzzParsePattern(f *testing.F) {
	for _, seed := range []string{"https://*.example.org", "http://*.co.uk", "https://*.Bücher.example:8443", "*", "https://*.*.a.b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := metering.ParsePattern(text)
		if err != nil {
			return
		}
		if again, err := metering.ParsePattern(string(p)); err != nil || again != p {
			t.Errorf("ParsePattern(%q) = %q, and of that %q, %v", text, p, again, err)
		}
		if strings.Count(string(p), "*") > 1 {
			t.Errorf("ParsePattern(%q) = %q", text, p)
		}
	})
}
