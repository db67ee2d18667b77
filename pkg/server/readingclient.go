package server

import (
	"net/http"

	"github.com/lcp-tools/lcp/pkg/readingclient"
)

// readingClient answers with the module that web readers of any site load.
func (s *server) readingClient(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	if h.Get("Access-Control-Allow-Origin") == "" {
		h.Set("Access-Control-Allow-Origin", "*")
	}
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	serveDocument(w, r, readingclient.MediaType, readingclient.Module())
	return nil
}
