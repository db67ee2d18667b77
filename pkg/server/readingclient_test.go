package server_test

import (
	"net/http"
	"testing"

	"github.com/lcp-tools/lcp/pkg/readingclient"
	"github.com/lcp-tools/lcp/pkg/server"
)

// Pages of any site load the module, those that may call with credentials, too.
func TestReadingClient(t *testing.T) {
	t.Parallel()
	options, _, _ := withoutStore(t)
	options.CORSOrigins = []string{"https://dashboard.example.org"}
	h := server.Handler(options)
	for origin, want := range map[string]string{
		"": "*", "https://reader.example.com": "*", "null": "*", "https://dashboard.example.org": "https://dashboard.example.org",
	} {
		a := fetch(t, h, "/reading-sessions.js", "Origin", origin)
		if got := a.Header().Get("Access-Control-Allow-Origin"); a.Code != http.StatusOK || got != want {
			t.Errorf("for %q: %d, Access-Control-Allow-Origin %q, want %q", origin, a.Code, got, want)
		}
		if a.Body.String() != string(readingclient.Module()) || a.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("for %q: %d bytes of %s", origin, a.Body.Len(), a.Header().Get("Content-Type"))
		}
		if again := fetch(t, h, "/reading-sessions.js", "If-None-Match", a.Header().Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("%d for those who have it", again.Code)
		}
	}
}
