package client_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/client"
)

// library is a server with so many licenses.
type library struct {
	licenses []api.LicenseInfo
	paging   bool // knows pages
	links    bool // tells how many there are, and which pages follow
	grows    bool // gets a license with every request
	requests int
}

func (l *library) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.requests++
	number, _ := strconv.Atoi(r.URL.Query().Get("page"))
	size, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
	list := l.licenses
	if l.paging {
		list = list[min(len(list), (number-1)*size):min(len(list), number*size)]
	}
	if l.links {
		w.Header().Set("X-Total-Count", strconv.Itoa(len(l.licenses)))
		if number*size < len(l.licenses) {
			w.Header().Set("Link", fmt.Sprintf(`</licenseinfo?page=%d>; rel="next"`, number+1))
		}
	}
	body, _ := json.Marshal(list)
	answer(w, 200, jsonType, string(body))
	if l.grows {
		l.licenses = slices.Insert(l.licenses, 0, api.LicenseInfo{UUID: fmt.Sprint("new", l.requests)})
	}
}

func licensesNamed(n int) []api.LicenseInfo {
	list := make([]api.LicenseInfo, n)
	for i := range list {
		list[i].UUID = strconv.Itoa(i)
	}
	return list
}

func TestPages(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		shelf    library
		want     int
		requests int
	}{
		"none":                         {library{paging: true, links: true}, 0, 1},
		"one page":                     {library{licenses: licensesNamed(3), paging: true, links: true}, 3, 1},
		"full page":                    {library{licenses: licensesNamed(100), paging: true, links: true}, 100, 1},
		"several pages":                {library{licenses: licensesNamed(250), paging: true, links: true}, 250, 3},
		"several, without links":       {library{licenses: licensesNamed(250), paging: true}, 250, 3},
		"full page, without links":     {library{licenses: licensesNamed(100), paging: true}, 100, 2},
		"no paging":                    {library{licenses: licensesNamed(250)}, 250, 1},
		"no paging, as long as a page": {library{licenses: licensesNamed(100)}, 100, 2},
		"it grows meanwhile":           {library{licenses: licensesNamed(250), paging: true, links: true, grows: true}, 250, 3},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := serve(t, tt.shelf.ServeHTTP)
			got := 0
			for info, err := range c.Licenses(t.Context(), client.LicenseQuery{}) {
				if err != nil {
					t.Fatal(err)
				}
				if info.UUID != strconv.Itoa(got) {
					t.Fatalf("license %d is %q", got, info.UUID)
				}
				got++
			}
			if got != tt.want || tt.shelf.requests != tt.requests {
				t.Errorf("%d licenses in %d requests, want %d in %d", got, tt.shelf.requests, tt.want, tt.requests)
			}
		})
	}
	t.Run("only as many as are wanted", func(t *testing.T) {
		t.Parallel()
		l := library{licenses: licensesNamed(250), paging: true, links: true}
		c, _ := serve(t, l.ServeHTTP)
		for range c.Licenses(t.Context(), client.LicenseQuery{}) {
			break
		}
		if l.requests != 1 {
			t.Errorf("%d requests", l.requests)
		}
	})
	t.Run("an error ends the list", func(t *testing.T) {
		t.Parallel()
		c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 500, jsonType, "") })
		n := 0
		for _, err := range c.Publications(t.Context(), client.PublicationQuery{}) {
			if n++; err == nil {
				t.Error("no error")
			}
		}
		if n != 1 {
			t.Errorf("%d steps", n)
		}
	})
}

func TestSearches(t *testing.T) {
	t.Parallel()
	minus, ten := int64(-1), int64(10)
	all := []api.LicenseInfo{
		{UUID: "1", UserID: "u1", PublicationID: pubID, Status: "ready", Copy: &minus, Print: &ten},
		{UUID: "2", UserID: "u1", PublicationID: pubID, Status: "active", DeviceCount: 3},
		{UUID: "3", UserID: "u2", PublicationID: "x", Status: "active", DeviceCount: 6},
	}
	tests := map[string]struct {
		query client.LicenseQuery
		uri   string
		want  []string
	}{
		"all":         {client.LicenseQuery{}, "/licenseinfo?page=1&per_page=100", []string{"1", "2", "3"}},
		"user":        {client.LicenseQuery{User: "u1"}, "/licenseinfo/search?page=1&per_page=100&user=u1", []string{"1", "2"}},
		"publication": {client.LicenseQuery{Publication: pubID}, "/licenseinfo/search?page=1&per_page=100&pub=" + pubID, []string{"1", "2"}},
		"status":      {client.LicenseQuery{Status: "active"}, "/licenseinfo/search?page=1&per_page=100&status=active", []string{"2", "3"}},
		"devices":     {client.LicenseQuery{Devices: &client.Range{Min: 0, Max: 3}}, "/licenseinfo/search?count=0%3A3&page=1&per_page=100", []string{"1", "2"}},
		"two at once": {client.LicenseQuery{User: "u1", Status: "active"}, "/licenseinfo/search?page=1&per_page=100&status=active&user=u1", []string{"2"}},
		"device":      {client.LicenseQuery{Device: "d & e"}, "/licenseinfo/search?device=d+%26+e&page=1&per_page=100", []string{"1", "2", "3"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			uri := ""
			c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { // as a server that forgets parameters
				uri = r.URL.RequestURI()
				body, _ := json.Marshal(all)
				answer(w, 200, jsonType, string(body))
			})
			var got []string
			for info, err := range c.Licenses(t.Context(), tt.query) {
				if err != nil {
					t.Fatal(err)
				}
				if info.Copy != nil || info.UUID == "1" && *info.Print != 10 {
					t.Errorf("license %s has the limits %v and %v", info.UUID, info.Copy, info.Print)
				}
				got = append(got, info.UUID)
			}
			if uri != tt.uri || !slices.Equal(got, tt.want) {
				t.Errorf("%s gives %v; want %s, %v", uri, got, tt.uri, tt.want)
			}
		})
	}
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if want := "/publications/search?format=epub&page=1&per_page=100"; r.URL.RequestURI() != want {
			t.Errorf("asked for %s, want %s", r.URL.RequestURI(), want)
		}
		answer(w, 200, jsonType, "null")
	})
	for range c.Publications(t.Context(), client.PublicationQuery{Format: "epub"}) {
		t.Error("a publication of nowhere")
	}
}
