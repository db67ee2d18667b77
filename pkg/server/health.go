package server

import (
	"net/http"
	"strings"
)

// health answers the check of the documented server.
func (s *server) health(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("The license server is running.\n"))
	return nil
}

// unknownRoute tells a path that nothing is at from a method that is not for it.
func (s *server) unknownRoute(mux *http.ServeMux) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
			other := &http.Request{Method: method, URL: r.URL, Host: r.Host}
			if _, pattern := mux.Handler(other); pattern != "/" {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) == 0 {
			return problem(http.StatusNotFound, "there is nothing at "+r.URL.Path)
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return problem(http.StatusMethodNotAllowed, r.Method+" is not for "+r.URL.Path)
	}
}
