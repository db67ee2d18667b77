package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/server"
	"github.com/lcp-tools/lcp/pkg/store"
)

// newProviders returns a directory of the default provider, one other, and those
// that are stored, if there is a store.
func newProviders(tb testing.TB, records *store.Store, c *clock) *provider.Directory {
	tb.Helper()
	o := provider.Options{
		Default: provider.Provider{
			ID: provider.DefaultID, Name: "First Books", URI: "https://provider.example.org",
			Hint:         provider.Hint{Text: "In your account.", Texts: map[string]provider.HintText{"fr": {Text: "Dans votre compte."}}},
			SupportLinks: []string{"mailto:help@provider.example.org"},
			Profile:      profile.Basic, Renewal: &provider.Renewal{DefaultDays: 7, MaxDays: 60},
		},
		Configured: []provider.Provider{{
			ID: "second", Name: "Second Books", URI: "https://second.example.org",
			Renewal:      &provider.Renewal{DefaultDays: 3, MaxDays: 5, Link: "https://second.example.org/renew/{license_id}"},
			SupportLinks: []string{"https://second.example.org/help"},
		}},
	}
	if records != nil {
		o.Stored, o.Now = provider.NewRecords(records), c.now
	}
	d, err := provider.NewDirectory(o)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// The hint page tells nothing of a license: neither by what it says nor by what
// comes with it.
func TestHintPageTellsNothingOfLicenses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	known := r.loan(t)
	page := r.mustPublic(t, http.StatusOK, "GET", "/hint/"+known)
	page.header.Del("Date")
	page.header.Del("X-Request-Id")
	if !strings.Contains(page.body, "First Books") || !strings.Contains(page.body, "In your account.") || strings.Contains(page.body, known) {
		t.Errorf("page is\n%s", page.body)
	}
	for _, id := range []string{
		"5f0cda1e-0000-4000-8000-000000000000", "x", strings.Repeat("x", 5000), known + "/", "..%2f..%2fetc", "%00", url.PathEscape("<b>'"),
		strings.ToUpper(known), known + "?lang=de&token=x", "default/" + known,
	} {
		other := r.mustPublic(t, http.StatusOK, "GET", "/hint/"+id)
		other.header.Del("Date")
		other.header.Del("X-Request-Id")
		if diff := cmp.Diff(page, other, cmp.AllowUnexported(answer{})); diff != "" {
			t.Errorf("/hint/%.60s (-known +other):\n%s", id, diff)
		}
	}
	french := r.send(t, call{method: "GET", path: "/hint/" + known, header: http.Header{"Accept-Language": {"fr"}}})
	if !strings.Contains(french.body, "Dans votre compte.") || french.header.Get("Content-Language") != "fr" {
		t.Errorf("page in French is\n%s", french.body)
	}
	if cookie := page.header.Get("Set-Cookie"); cookie != "" {
		t.Errorf("page sets the cookie %q", cookie)
	}
}

// Each provider has a page of its own, and one that is gone a page of nobody.
func TestHintPageOfProviders(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for at, want := range map[string]string{
		"/hint/1": "First Books", "/hint/default/1": "First Books", "/hint/second/1": "Second Books", "/hint/third/1": "",
	} {
		page := r.mustPublic(t, http.StatusOK, "GET", at)
		for _, name := range []string{"First Books", "Second Books"} {
			if has := strings.Contains(page.body, name); has != (name == want) {
				t.Errorf("%s: names %s: %v", at, name, has)
			}
		}
	}
	r.mustPublic(t, http.StatusNotFound, "GET", "/hint")
	r.mustPublic(t, http.StatusMethodNotAllowed, "POST", "/hint/1")
}

// The page is asked for by whoever has a link, and cannot be asked for without
// end.
func TestHintPageIsLimited(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *server.Options) { o.Limits.PublicPerSecond = 1 })
	for range 5 {
		r.mustPublic(t, http.StatusOK, "GET", "/hint/1")
	}
	r.mustPublic(t, http.StatusTooManyRequests, "GET", "/hint/1")
}
