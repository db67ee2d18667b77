package relocation_test

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/client"
	"github.com/lcp-tools/lcp/pkg/relocation"
)

var errAway = errors.New("the server is away")

// memory keeps records, and fails where it is told to.
type memory struct {
	mu      sync.Mutex
	list    []api.Publication
	listErr error
	failing string // UUID of what cannot be updated
	updates int
}

func (m *memory) Publications(context.Context, client.PublicationQuery) iter.Seq2[api.Publication, error] {
	m.mu.Lock()
	list := slices.Clone(m.list)
	m.mu.Unlock()
	return func(yield func(api.Publication, error) bool) {
		for _, p := range list {
			if !yield(p, nil) {
				return
			}
		}
		if m.listErr != nil {
			yield(api.Publication{}, m.listErr)
		}
	}
}

func (m *memory) at(uuid string) int {
	return slices.IndexFunc(m.list, func(p api.Publication) bool { return p.UUID == uuid })
}

func (m *memory) Publication(_ context.Context, uuid string) (api.Publication, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list[m.at(uuid)], nil
}

func (m *memory) UpdatePublication(_ context.Context, p api.Publication) (api.Publication, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.updates++; p.UUID == m.failing {
		return p, errAway
	}
	m.list[m.at(p.UUID)] = p
	return p, nil
}

func run(t *testing.T, r relocation.Relocation) []relocation.Move {
	t.Helper()
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var moves []relocation.Move
	err := r.Run(t.Context(), func(m relocation.Move) {
		mu.Lock()
		defer mu.Unlock()
		moves = append(moves, m)
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(moves, func(a, b relocation.Move) int { return strings.Compare(a.UUID, b.UUID) })
	return moves
}

const (
	from = "https://old.example.com/books"
	to   = "https://new.example.com/shelf/"
)

func TestMoves(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		from, to, href, cover string
		wantHref, wantCover   string // after the move
		moves                 bool
	}{
		"file":                     {href: from + "/a.epub", wantHref: to + "a.epub", moves: true},
		"file and cover":           {href: from + "/x/a.epub", cover: from + "/a.jpg", wantHref: to + "x/a.epub", wantCover: to + "a.jpg", moves: true},
		"cover alone":              {href: "https://else.example.com/a", cover: from + "/a.jpg", wantHref: "https://else.example.com/a", wantCover: to + "a.jpg", moves: true},
		"escapes stay":             {href: from + "/a%20b+c.epub?v=1", wantHref: to + "a%20b+c.epub?v=1", moves: true},
		"elsewhere":                {href: "https://else.example.com/books/a.epub", wantHref: "https://else.example.com/books/a.epub"},
		"a name that begins alike": {href: from + "-2/a.epub", wantHref: from + "-2/a.epub"},
		"moved already":            {href: to + "a.epub", wantHref: to + "a.epub"},
		"the base itself":          {href: from + "/", wantHref: from + "/"},
		"no file yet":              {},
		"to a folder below": {
			from: from, to: from + "/2030", href: from + "/a.epub", wantHref: from + "/2030/a.epub", moves: true,
		},
		"to a folder below, again": {from: from, to: from + "/2030", href: from + "/2030/a.epub", wantHref: from + "/2030/a.epub"},
		"to a folder above":        {from: from + "/2030", to: from, href: from + "/2030/a.epub", wantHref: from + "/a.epub", moves: true},
		"from this machine":        {from: "file:///srv/shelf", to: to, href: "file:///srv/shelf/a.epub", wantHref: to + "a.epub", moves: true},
		"slashes at the end":       {from: from + "//", to: to + "/", href: from + "/a.epub", wantHref: to + "a.epub", moves: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := make([]byte, 32)
			before := api.Publication{UUID: "1", AltID: "a", Title: "T", Href: tt.href, CoverURL: tt.cover, Size: 3, EncryptionKey: key}
			m := &memory{list: []api.Publication{before}}
			r := relocation.Relocation{From: from, To: to, Records: m}
			if tt.from != "" {
				r.From, r.To = tt.from, tt.to
			}
			if dry := run(t, r); len(dry) == 1 != tt.moves || m.updates != 0 || tt.moves && (dry[0].Applied || dry[0].Error != "") {
				t.Errorf("without Apply: %+v, %d changes", dry, m.updates)
			}
			r.Apply = true
			if moves := run(t, r); len(moves) == 1 != tt.moves || tt.moves && (!moves[0].Applied || moves[0].UUID != "1" || moves[0].AltID != "a") {
				t.Errorf("moves %+v", moves)
			}
			want := before
			want.Href, want.CoverURL = tt.wantHref, tt.wantCover
			if diff := cmp.Diff(want, m.list[0]); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
			if again := run(t, r); len(again) != 0 {
				t.Errorf("running again moves %+v", again)
			}
		})
	}
}

// A record that cannot be changed keeps none of the others, and running again
// goes on with it.
func TestFailures(t *testing.T) {
	t.Parallel()
	m := &memory{failing: "07"}
	for i := range 20 {
		id := "0" + strconv.Itoa(i)
		m.list = append(m.list, api.Publication{UUID: id, Href: from + "/" + id})
	}
	r := relocation.Relocation{From: from, To: to, Records: m, Apply: true, Jobs: 4}
	moves := run(t, r)
	failed := slices.DeleteFunc(slices.Clone(moves), func(m relocation.Move) bool { return m.Applied })
	if len(moves) != 20 || len(failed) != 1 || failed[0].UUID != "07" || failed[0].Error != errAway.Error() {
		t.Errorf("%d moves, of which failed %+v", len(moves), failed)
	}
	m.failing = ""
	if moves := run(t, r); len(moves) != 1 || !moves[0].Applied {
		t.Errorf("running again: %+v", moves)
	}
	m.listErr = errAway
	if err := r.Run(t.Context(), func(relocation.Move) {}); !errors.Is(err, errAway) {
		t.Errorf("Run = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m.listErr = nil
	if err := r.Run(ctx, func(relocation.Move) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
}

// Nothing is pointed to that is not there.
func TestCheck(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/missing.epub", "/missing.jpg":
			w.WriteHeader(http.StatusNotFound)
		case "/streamed.epub":
			w.(http.Flusher).Flush()
		case "/short.epub":
			w.Header().Set("Content-Length", "2")
		default:
			w.Header().Set("Content-Length", "3")
		}
	}))
	defer server.Close()
	tests := map[string]struct{ href, cover, want string }{
		"there":            {href: "/a.epub", cover: "/a.jpg"},
		"not there":        {href: "/missing.epub", want: "the server answered 404 Not Found"},
		"another size":     {href: "/short.epub", want: "it has 2 bytes, but 3 are registered"},
		"no size":          {href: "/streamed.epub", want: "the server does not tell its size"},
		"cover, not there": {href: "/a.epub", cover: "/missing.jpg", want: server.URL + "/missing.jpg: the server answered 404 Not Found"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := &memory{list: []api.Publication{{UUID: "1", Href: from + tt.href, Size: 3}}}
			if tt.cover != "" {
				m.list[0].CoverURL = from + tt.cover
			}
			moves := run(t, relocation.Relocation{From: from, To: server.URL, Records: m, Apply: true, Check: server.Client()})
			if len(moves) != 1 || moves[0].Applied != (tt.want == "") || !strings.HasSuffix(moves[0].Error, tt.want) || m.updates != 0 != (tt.want == "") {
				t.Errorf("%+v, want %q", moves, tt.want)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]relocation.Relocation{
		"no address":     {From: "shelf", To: to},
		"no host":        {From: "https://", To: to},
		"no new one":     {From: from},
		"a query":        {From: from, To: to + "?x=1"},
		"the same":       {From: from, To: from + "/"},
		"not of a web":   {From: from, To: "s3://bucket"},
		"nothing at all": {},
	} {
		if err := r.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
