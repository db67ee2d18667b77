package server

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"time"
)

// openAPIDocument describes the routes of this package (OpenAPI 3.1). Tests hold
// it against the routes, the roles that may call them, and the types of package
// api.
//
//go:embed openapi.json
var openAPIDocument []byte

// openAPI answers with the description of the API.
func (s *server) openAPI(w http.ResponseWriter, r *http.Request) error {
	serveDocument(w, r, "application/json", openAPIDocument)
	return nil
}

// docs answers with the description of the API for people.
func (s *server) docs(w http.ResponseWriter, r *http.Request) error {
	page, err := docsPage()
	if err != nil {
		return err
	}
	// Nothing comes from elsewhere, and nothing runs.
	w.Header().Set("Content-Security-Policy",
		"default-src 'none'; style-src '"+page.styleHash+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	w.Header().Set("Referrer-Policy", "no-referrer")
	serveDocument(w, r, "text/html; charset=utf-8", page.html)
	return nil
}

// serveDocument answers with a document that is the same for all, or with 304 to
// those who have it.
func serveDocument(w http.ResponseWriter, r *http.Request, mediaType string, data []byte) {
	sum := sha256.Sum256(data)
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Cache-Control", "no-cache") // ask whether it is still the same
	h.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}
