package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/wire"
)

// decode reads the JSON body of a request into v.
func decode(r *http.Request, v any) error {
	if err := checkMediaType(r); err != nil {
		return err
	}
	err := api.Decode(r.Body, v)
	var field *license.FieldError
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil, errors.As(err, &field), errors.As(err, &tooLarge):
		return err
	default:
		return problem(http.StatusBadRequest, err.Error())
	}
}

// checkMediaType refuses a body that says to be something other than JSON.
func checkMediaType(r *http.Request) error {
	if t := r.Header.Get("Content-Type"); t != "" {
		mediaType, _, err := mime.ParseMediaType(t)
		if err != nil || mediaType != "application/json" && !strings.HasSuffix(mediaType, "+json") && mediaType != formType {
			return problem(http.StatusUnsupportedMediaType, fmt.Sprintf("the body must be application/json, not %q", t))
		}
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return problem(http.StatusUnsupportedMediaType, fmt.Sprintf("the body must not be compressed, and it is in %q", coding))
	}
	return nil
}

// formType is what curl -d says when nobody tells it better.
const formType = "application/x-www-form-urlencoded"

// pathID returns the identifier in the path, in the form in which it is stored.
// What is no UUID cannot be found.
func pathID(r *http.Request) (string, error) {
	text := r.PathValue("id")
	if !wire.IsUUID(text) {
		return "", problem(http.StatusNotFound, fmt.Sprintf("%q is not the identifier of anything", text))
	}
	return strings.ToLower(text), nil
}

// Pages of lists.
const (
	listPerPage   = 20         // unless the caller says otherwise
	searchPerPage = maxPerPage // the documented server answers searches with all there is, up to this
	maxPerPage    = 1000
	maxPage       = 1_000_000
)

// page is which part of a list is asked for.
type page struct {
	number, size int
}

func (p page) offset() int { return (p.number - 1) * p.size }

// pageOf reads page, and per_page if the caller does not leave that to us.
func pageOf(q url.Values, perPage int) (page, error) {
	p := page{1, perPage}
	var faults wire.Faults
	for _, v := range []struct {
		name  string
		value *int
		most  int
	}{{"page", &p.number, maxPage}, {"per_page", &p.size, maxPerPage}} {
		text := q.Get(v.name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > v.most {
			faults.Add(v.name, "must be an integer from 1 to %d", v.most)
		}
		*v.value = n
	}
	return p, faults.Err()
}

// writePage answers with one page of a list: a JSON array, the number of all in
// X-Total-Count, the neighbouring pages in Link (RFC 8288).
func writePage[T any](w http.ResponseWriter, r *http.Request, list []T, p page, total int64) error {
	var links []string
	link := func(rel string, number int) {
		q := r.URL.Query()
		q.Set("page", strconv.Itoa(number))
		q.Set("per_page", strconv.Itoa(p.size))
		links = append(links, fmt.Sprintf("<%s?%s>; rel=%q", r.URL.EscapedPath(), q.Encode(), rel))
	}
	if int64(p.offset()+p.size) < total {
		link("next", p.number+1)
	}
	if p.number > 1 {
		link("prev", p.number-1)
	}
	if len(links) > 0 {
		w.Header().Set("Link", strings.Join(links, ", "))
	}
	w.Header().Set("X-Total-Count", strconv.FormatInt(total, 10))
	if list == nil {
		list = []T{}
	}
	return writeJSON(w, http.StatusOK, list)
}

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, code int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body) // a client that went away is no failure of ours
	return nil
}
