package client_test

import (
	"net/http"
	"testing"

	"github.com/lcp-tools/lcp/pkg/client"
)

// A v1 server says 404 in two ways: for a publication that it does not know, and
// for an address at which it has nothing. Only the first is an answer.
func TestNotFoundByV1(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body string
		want bool
	}{
		"unknown publication": {`{"type":"about:blank","title":"Not Found","status":404,"detail":"Index:Content not found","instance":"x"}`, true},
		"unknown path":        {`{"type":"about:blank","title":"Not Found","status":404,"detail":"/lcp/contents/x/info"}`, false},
		"someone else":        {"404 page not found", false},
		"LCP Server v2":       {`{"type":"about:blank","title":"Endpoint not found."}`, false},
		"lcp serve":           {`{"type":"about:blank","title":"Not Found","status":404,"detail":"there is nothing at /contents/x/info"}`, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 404, problemType, tt.body) })
			if _, err := c.ContentV1(t.Context(), pubID); client.IsNotFound(err) != tt.want || err == nil {
				t.Errorf("IsNotFound is not %t for %v", tt.want, err)
			}
		})
	}
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	if created, err := c.PutContentV1(t.Context(), client.ContentV1{ID: pubID}, ""); created || err != nil {
		t.Errorf("replaced: %t, %v", created, err)
	}
	if _, err := c.ContentV1(t.Context(), pubID); err == nil {
		t.Error("nothing is an answer")
	}
}
