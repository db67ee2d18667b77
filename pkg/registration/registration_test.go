package registration_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/pkg/client"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/registration"
	"github.com/lcp-tools/lcp/pkg/store"
)

var (
	_ catalogue.Registry = (*registration.Server)(nil)
	_ catalogue.Registry = (*registration.ServerV1)(nil)
)

const id, otherID = "c6abe80a-1681-4694-b6f4-80c165213780", "11111111-2222-4333-8444-555555555555"

var known, unknown = lcpcrypto.NewContentKey(), lcpcrypto.NewContentKey()

// licenseServer has a few publications, as LCP Server v2 has them; meddle, where
// there is one, may answer in its place.
type licenseServer struct {
	mu           sync.Mutex
	publications map[string]api.Publication
	writes       []string
	meddle       func(w http.ResponseWriter, r *http.Request) bool
}

func (s *licenseServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.meddle != nil && s.meddle(w, r) {
		return
	}
	if r.Method != http.MethodGet {
		s.writes = append(s.writes, r.Method+" "+r.URL.Path)
	}
	w.Header().Set("Content-Type", "application/json")
	altID, byAltID := strings.CutPrefix(r.URL.Path, "/publications/altid/")
	uuid := strings.TrimPrefix(r.URL.Path, "/publications/")
	var p api.Publication
	body, _ := io.ReadAll(r.Body)
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/publications":
		_, _ = io.WriteString(w, "[]")
		return
	case r.Method == http.MethodPost:
		_ = json.Unmarshal(body, &p)
		if _, taken := s.publications[p.UUID]; taken {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"title":"An unexpected error has occurred","detail":"UNIQUE constraint failed"}`)
			return
		}
		s.publications[p.UUID] = p
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodPut:
		_ = json.Unmarshal(body, &p)
		s.publications[uuid] = p
	case byAltID:
		for _, one := range s.publications {
			if one.AltID == altID {
				p = one
			}
		}
	default:
		p = s.publications[uuid]
	}
	if p.UUID == "" {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"type":"about:blank","title":"Resource not found"}`)
		return
	}
	_ = json.NewEncoder(w).Encode(p)
}

func newServer(t *testing.T) (*licenseServer, *client.Client) {
	t.Helper()
	s := &licenseServer{publications: map[string]api.Publication{
		id: {UUID: id, AltID: "moby", Title: "Moby-Dick", EncryptionKey: known[:]},
	}}
	live := httptest.NewServer(s)
	t.Cleanup(live.Close)
	c, err := client.New(client.Options{
		BaseURL: live.URL, Attempts: 2, Wait: func(context.Context, time.Duration) error { return nil }, Timeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func TestReserve(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		want  store.Identity
		known bool
		err   error
	}{
		"by alternative identifier":      {want: store.Identity{AltID: "moby"}, known: true},
		"by uuid":                        {want: store.Identity{UUID: id}, known: true},
		"by both":                        {want: store.Identity{UUID: id, AltID: "moby"}, known: true},
		"by uuid, new alternative":       {want: store.Identity{UUID: id, AltID: "dick"}, known: true},
		"with its key":                   {want: store.Identity{AltID: "moby", Key: known}, known: true},
		"with another key":               {want: store.Identity{AltID: "moby", Key: unknown}, err: store.ErrKeyChanged},
		"alternative of another":         {want: store.Identity{UUID: otherID, AltID: "moby"}, err: store.ErrExists},
		"unknown alternative identifier": {want: store.Identity{AltID: "dick"}},
		"unknown uuid":                   {want: store.Identity{UUID: otherID}},
		"unknown, with a key":            {want: store.Identity{UUID: otherID, Key: unknown}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := newServer(t)
			r := registration.Server{Client: c}
			got, isKnown, err := r.Reserve(t.Context(), tt.want)
			if !errors.Is(err, tt.err) || isKnown != tt.known {
				t.Fatalf("known: %t, error: %v; want %t, %v", isKnown, err, tt.known, tt.err)
			}
			if len(s.writes) > 0 {
				t.Errorf("it wrote: %v", s.writes)
			}
			switch {
			case err != nil:
			case tt.known && (got.UUID != id || got.Key != known || tt.want.AltID != "" && got.AltID != tt.want.AltID || got.AltID == ""):
				t.Errorf("got %+v", got)
			case !tt.known && (got.UUID == "" || got.UUID == id || got.Key == lcpcrypto.ContentKey{} || got.Key == known || got.AltID != tt.want.AltID ||
				tt.want.Key != lcpcrypto.ContentKey{} && got.Key != tt.want.Key):
				t.Errorf("got %+v", got)
			}
		})
	}
}

// Whatever a server says but a clear "not found", no key is made up.
func TestReserveNeverGuesses(t *testing.T) {
	t.Parallel()
	say := func(code int, contentType, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	tests := map[string]func(http.ResponseWriter, *http.Request) bool{
		"unauthorized":         say(401, "application/json", ""),
		"forbidden":            say(403, "application/problem+json", `{"title":"Forbidden"}`),
		"server error":         say(500, "application/problem+json", `{"title":"x"}`),
		"unavailable":          say(503, "text/html", "<h1>maintenance</h1>"),
		"not found, in HTML":   say(404, "text/html", "<h1>404</h1>"),
		"success, in HTML":     say(200, "text/html", "<h1>login</h1>"),
		"garbage":              say(200, "application/json", `{"uuid`),
		"nothing":              say(200, "application/json", ""),
		"empty object":         say(200, "application/json", "{}"),
		"short key":            say(200, "application/json", `{"uuid":"`+id+`","alt_id":"moby","encryption_key":"AAEC"}`),
		"hidden key":           say(200, "application/json", `{"uuid":"`+id+`","alt_id":"moby"}`),
		"key of zeros":         say(200, "application/json", `{"uuid":"`+id+`","alt_id":"moby","encryption_key":"`+strings.Repeat("A", 43)+`="}`),
		"everything not found": say(404, "application/problem+json", `{"title":"Not Found","detail":"nothing here"}`),
		"cut off": func(w http.ResponseWriter, _ *http.Request) bool {
			panic(http.ErrAbortHandler)
		},
	}
	for name, meddle := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := newServer(t)
			s.meddle = meddle
			r := registration.Server{Client: c}
			v1 := registration.ServerV1{Client: c}
			for _, want := range []store.Identity{{AltID: "moby"}, {UUID: id}, {UUID: id, AltID: "moby"}} {
				if got, known, err := r.Reserve(t.Context(), want); err == nil {
					t.Errorf("%+v: got %+v, %t", want, got, known)
				}
			}
			if name == "everything not found" {
				return // to v1 that is an answer
			}
			if got, known, err := v1.Reserve(t.Context(), store.Identity{UUID: id}); err == nil {
				t.Errorf("v1: got %+v, %t", got, known)
			}
		})
	}
}

// A server is checked without a word to be written, and whatever would refuse
// publications is found.
func TestCheck(t *testing.T) {
	t.Parallel()
	say := func(code int, allow, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			if allow != "" {
				w.Header().Set("Allow", allow)
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	const unknownContent = `{"title":"Not Found","detail":"Index:Content not found"}`
	tests := map[string]struct {
		meddle func(http.ResponseWriter, *http.Request) bool
		v2, v1 string // what the error says; "" for none
	}{
		"list":               {say(200, "", "[]"), "", "cannot be understood"},
		"one publication":    {say(200, "", `[{"uuid":"`+id+`"}]`), "", "cannot be understood"},
		"list, may add":      {say(200, "GET, HEAD, POST", "[]"), "", "cannot be understood"},
		"list, may not add":  {say(200, "GET, HEAD", "[]"), "role", "cannot be understood"},
		"unknown content":    {say(404, "", unknownContent), "404", ""},
		"no credentials":     {say(401, "", ""), "401", "401"},
		"forbidden":          {say(403, "", ""), "403", "403"},
		"not found, in HTML": {say(404, "", "<h1>404</h1>"), "address", "address"},
		"login page":         {say(200, "", "<h1>login</h1>"), "cannot be understood", "cannot be understood"},
		"something else":     {say(200, "", "{}"), "cannot be understood", "answered with"},
		"down":               {func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, "tried 2 times", "tried 2 times"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := newServer(t)
			s.meddle = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet {
					t.Errorf("the check made a %s", r.Method)
				}
				return tt.meddle(w, r)
			}
			for version, try := range map[string]struct {
				check func(context.Context) error
				says  string
			}{
				"v2": {(&registration.Server{Client: c}).Check, tt.v2},
				"v1": {(&registration.ServerV1{Client: c}).Check, tt.v1},
			} {
				err := try.check(t.Context())
				if (err == nil) != (try.says == "") || err != nil && !strings.Contains(err.Error(), try.says) {
					t.Errorf("%s: %v, want %q", version, err, try.says)
				}
			}
		})
	}
}

func TestSavePublication(t *testing.T) {
	t.Parallel()
	book := store.Publication{UUID: otherID, AltID: "new", Title: "T", Authors: []string{"A", "B"}, ContentKey: unknown, Size: 5}
	tests := map[string]struct {
		p       store.Publication
		meddle  func(s *licenseServer) func(http.ResponseWriter, *http.Request) bool
		created bool
		err     error
		writes  []string
	}{
		"new": {p: book, created: true, writes: []string{"POST /publications"}},
		"known": {
			p:      store.Publication{UUID: id, Title: "new edition", ContentKey: known},
			writes: []string{"PUT /publications/" + id},
		},
		"known with another key": {p: store.Publication{UUID: id, ContentKey: unknown}, err: store.ErrKeyChanged},
		"answer to the first attempt lost": {
			p: book,
			meddle: func(s *licenseServer) func(http.ResponseWriter, *http.Request) bool {
				return func(_ http.ResponseWriter, r *http.Request) bool {
					if _, there := s.publications[otherID]; r.Method == http.MethodPost && !there {
						s.publications[otherID] = api.Publication{UUID: otherID, AltID: "new", EncryptionKey: unknown[:]}
						panic(http.ErrAbortHandler)
					}
					return false
				}
			},
			writes: []string{"POST /publications", "PUT /publications/" + otherID},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := newServer(t)
			if tt.meddle != nil {
				s.meddle = tt.meddle(s)
			}
			r := registration.Server{Client: c}
			_, created, err := r.SavePublication(t.Context(), tt.p)
			if !errors.Is(err, tt.err) || created != tt.created {
				t.Fatalf("created: %t, error: %v; want %t, %v", created, err, tt.created, tt.err)
			}
			if strings.Join(s.writes, ", ") != strings.Join(tt.writes, ", ") {
				t.Errorf("wrote %v, want %v", s.writes, tt.writes)
			}
			if err != nil {
				return
			}
			got := s.publications[tt.p.UUID]
			if got.Title != tt.p.Title || string(got.EncryptionKey) != string(tt.p.ContentKey[:]) || got.AltID == "" {
				t.Errorf("the server has %q, alt_id %q", got.Title, got.AltID)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		s, c := newServer(t)
		s.meddle = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				w.WriteHeader(http.StatusConflict)
				_, _ = io.WriteString(w, `{"title":"Conflict","detail":"alt_id is taken"}`)
			}
			return r.Method == http.MethodPost
		}
		r := registration.Server{Client: c}
		if _, _, err := r.SavePublication(t.Context(), book); err == nil || !strings.Contains(err.Error(), "alt_id is taken") {
			t.Errorf("error is %v", err)
		}
	})
}

func TestServerV1(t *testing.T) {
	t.Parallel()
	s, c := newServer(t)
	contents := map[string]map[string]any{}
	s.meddle = func(w http.ResponseWriter, r *http.Request) bool {
		name := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/contents/"), "/info")
		content, known := contents[name]
		switch {
		case r.Method == http.MethodPut:
			var in map[string]any
			_ = json.NewDecoder(r.Body).Decode(&in)
			contents[name] = in
			if !known {
				w.WriteHeader(http.StatusCreated)
			}
		case !known:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"title":"Not Found","detail":"Index:Content not found"}`)
		default:
			_ = json.NewEncoder(w).Encode(map[string]any{"id": name, "key": content["content-encryption-key"]})
		}
		return true
	}
	ctx := t.Context()
	r := registration.ServerV1{Client: c}
	first, isKnown, err := r.Reserve(ctx, store.Identity{UUID: otherID})
	if err != nil || isKnown || first.Key == (lcpcrypto.ContentKey{}) {
		t.Fatalf("new: %+v, %t, %v", first, isKnown, err)
	}
	p := store.Publication{UUID: first.UUID, ContentKey: first.Key, Href: "https://e.org/shelf/1.epub", ContentType: "application/epub+zip", Size: 7, Checksum: "00"}
	if _, created, err := r.SavePublication(ctx, p); !created || err != nil {
		t.Fatalf("registered: %t, %v", created, err)
	}
	got := contents[otherID]
	if got["protected-content-disposition"] != "1.epub" || got["protected-content-location"] != p.Href || got["protected-content-length"] != 7.0 ||
		got["content-id"] != otherID || got["storage-mode"] == 0.0 || got["protected-content-type"] != p.ContentType {
		t.Errorf("the server was told %v", got)
	}
	again, isKnown, err := r.Reserve(ctx, store.Identity{UUID: otherID, AltID: "x"})
	if err != nil || !isKnown || again.Key != first.Key {
		t.Errorf("again: %+v, %t, %v", again, isKnown, err)
	}
	if _, created, err := r.SavePublication(ctx, p); created || err != nil {
		t.Errorf("updated: %t, %v", created, err)
	}
	p.ContentKey = unknown
	if _, _, err := r.SavePublication(ctx, p); !errors.Is(err, store.ErrKeyChanged) {
		t.Errorf("with another key: %v", err)
	}
	if _, _, err := r.Reserve(ctx, store.Identity{AltID: "x"}); !errors.Is(err, registration.ErrAltID) {
		t.Errorf("alternative identifier alone: %v", err)
	}
}
