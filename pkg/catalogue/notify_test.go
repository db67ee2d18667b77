package catalogue_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/catalogue"
)

var errCMS = errors.New("the CMS is away")

// A fakeCMS notes what it is told, unless it fails.
type fakeCMS struct {
	err  error
	told []catalogue.Message
}

func (c *fakeCMS) Notify(_ context.Context, m catalogue.Message) error {
	if c.err == nil {
		c.told = append(c.told, m)
	}
	return c.err
}

// A message that could not be sent is sent by the next run, once, even if nothing
// else is left to do; one about a publication that was changed again is replaced.
func TestNotifyLater(t *testing.T) {
	t.Parallel()
	s, cms := newShelf(t), &fakeCMS{err: errCMS}
	s.Notifier, s.Cover = cms, true
	item := catalogue.Item{Input: sampleFile(t, "sample.epub"), AltID: "poems"}
	first := s.must(t, item)
	if first.Untold != errCMS.Error() || len(s.registry.publications) != 1 {
		t.Errorf("record %+v, %d publications", first, len(s.registry.publications))
	}
	if rec := s.must(t, item); !rec.Kept || rec.Untold == "" {
		t.Errorf("record %+v", rec)
	}
	item.Title = "Better title"
	if rec := s.must(t, item); rec.Kept || rec.Untold == "" {
		t.Errorf("record %+v", rec)
	}
	cms.err = nil
	for range 3 {
		if rec := s.must(t, item); !rec.Kept || rec.Untold != "" {
			t.Errorf("record %+v", rec)
		}
	}
	if len(cms.told) != 1 {
		t.Fatalf("told %+v", cms.told)
	}
	m := cms.told[0]
	if m.UUID != first.UUID || m.Title != "Better title" || m.ContentType != "application/epub+zip" || m.CoverURL == "" ||
		len(m.Author) != 4 || m.Author[1].Name != "William Blake" || len(m.Language) == 0 {
		t.Errorf("told %+v", m)
	}
}

// What is not registered is not told, nor what is only tried.
func TestNotifyOnlyWhatIsRegistered(t *testing.T) {
	t.Parallel()
	cms := &fakeCMS{}
	w := newWorker(t, &fakeRegistry{saveErr: errRegistry})
	w.Notifier = cms
	item := catalogue.Item{Input: sampleFile(t, "sample.epub")}
	if _, err := w.Process(t.Context(), item, catalogue.Progress{}); !errors.Is(err, errRegistry) {
		t.Errorf("Process = %v", err)
	}
	w.DryRun = true
	process(t, w, item)
	if len(cms.told) > 0 {
		t.Errorf("told %+v", cms.told)
	}
	w.DryRun, w.Registry = false, nil
	process(t, w, item)
	if len(cms.told) != 1 {
		t.Errorf("told %+v", cms.told)
	}
}

func TestCMS(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answers  []int // the last one for good
		attempts int
		untold   string
	}{
		"done":          {[]int{200}, 1, ""},
		"found":         {[]int{302}, 1, ""},
		"busy at first": {[]int{503, 429, 201}, 3, ""},
		"broken":        {[]int{500}, 4, "it answered 500 Internal Server Error"},
		"refused":       {[]int{401}, 1, "it answered 401 Unauthorized"},
		"moved":         {[]int{301}, 1, "it answered 301 Moved Permanently"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var bodies []catalogue.Message
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var m catalogue.Message
				body, _ := io.ReadAll(r.Body)
				if err := json.Unmarshal(body, &m); err != nil || r.Method != http.MethodPost || r.Header.Get("X-Signed") == "" {
					t.Errorf("%s %s: %v", r.Method, body, err)
				}
				answer := tt.answers[min(len(bodies), len(tt.answers)-1)]
				bodies = append(bodies, m)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(answer)
			}))
			defer server.Close()
			w := newWorker(t, nil)
			w.Notifier = &catalogue.CMS{
				URL: server.URL, Sign: func(r *http.Request) { r.Header.Set("X-Signed", "yes") },
				HTTP: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
			}
			rec := process(t, w, catalogue.Item{Input: sampleFile(t, "sample.epub"), UUID: someID})
			if rec.Untold != tt.untold || len(bodies) != tt.attempts {
				t.Errorf("untold %q in %d attempts, want %q in %d", rec.Untold, len(bodies), tt.untold, tt.attempts)
			}
			if diff := cmp.Diff(bodies[0], bodies[len(bodies)-1]); diff != "" || bodies[0].UUID != someID {
				t.Errorf("first and last message differ, or are about another:\n%s", diff)
			}
		})
	}
}

// A CMS that is away is tried once for each further message, until it is back.
func TestCMSAway(t *testing.T) {
	t.Parallel()
	away, calls := true, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		if away {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer server.Close()
	w := newWorker(t, nil)
	w.Notifier = &catalogue.CMS{URL: server.URL, HTTP: server.Client()}
	for i, step := range []struct {
		away  bool
		calls int
	}{{true, 4}, {true, 1}, {true, 1}, {false, 1}, {true, 4}, {true, 1}} {
		away, calls = step.away, 0
		rec := process(t, w, catalogue.Item{Input: sampleFile(t, "sample.epub")})
		if calls != step.calls || (rec.Untold != "") != step.away {
			t.Errorf("message %d: %d calls, want %d; untold: %q", i+1, calls, step.calls, rec.Untold)
		}
	}
}
