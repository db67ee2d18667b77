package browser_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/readingclient"
)

// A meter stands for lcp serve: it starts a session for the first use at the
// origin that it knows, continues it for the rest, and blocks all others.
type meter struct {
	*httptest.Server
	known string // origin

	mu     sync.Mutex
	events []event // guarded by mu
}

// An event is what a reader reports.
type event struct {
	LicenseKey       string    `json:"licenseKey"`
	UserToken        string    `json:"userToken"`
	PublicationToken string    `json:"publicationToken"`
	DeviceToken      string    `json:"deviceToken"`
	OccurredAt       time.Time `json:"occurredAt"`
	ActiveSeconds    int       `json:"activeSeconds"`
	EventID          string    `json:"eventId"`
	Offline          bool      `json:"offline"`
}

func newMeter(t *testing.T) *meter {
	t.Helper()
	m := &meter{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /reading-sessions.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Content-Type", readingclient.MediaType)
		_, _ = w.Write(readingclient.Module())
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			t.Errorf("%s %s", r.Method, r.URL) // no preflight is needed
		}
		if origin := r.Header.Get("Origin"); origin == m.known {
			w.Header().Set("Access-Control-Allow-Origin", origin)
		}
		m.report(t, w, r)
	})
	m.Server = httptest.NewServer(mux)
	t.Cleanup(m.Close)
	return m
}

// report answers one event, or several.
func (m *meter) report(t *testing.T, w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	var single event
	batch := struct {
		LicenseKey string  `json:"licenseKey"`
		Events     []event `json:"events"`
	}{}
	if strings.HasSuffix(r.URL.Path, ":batch") {
		err = json.Unmarshal(text, &batch)
	} else {
		err = json.Unmarshal(text, &single)
		batch.Events = []event{single}
	}
	if err != nil {
		t.Errorf("%s: %v in %s", r.URL, err, text)
	}
	var outcomes []map[string]any
	for _, e := range batch.Events {
		outcomes = append(outcomes, m.outcome(r.Header.Get("Origin"), e))
	}
	var answer any = outcomes[0]
	if batch.LicenseKey != "" {
		answer = map[string]any{"results": outcomes}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (m *meter) outcome(origin string, e event) map[string]any {
	m.mu.Lock()
	defer m.mu.Unlock()
	if origin != m.known {
		return map[string]any{"eventId": e.EventID, "status": "blocked", "reason": "origin_unknown"}
	}
	m.events = append(m.events, e)
	status := "continued"
	if len(m.events) == 1 {
		status = "started"
	}
	now := time.Now().UTC()
	return map[string]any{
		"eventId": e.EventID, "status": status, "sessionId": "s-1",
		"validUntil": now.Add(time.Hour).Format(time.RFC3339), "offlineUntil": now.AddDate(0, 0, 30).Format(time.RFC3339),
	}
}

// demo serves the demo page of the documentation for a license server, as somebody
// would who put its address in.
func demo(t *testing.T, server string) *httptest.Server {
	t.Helper()
	folder := filepath.Join("..", "..", "docs", "examples", "reading-sessions")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := os.ReadFile(filepath.Join(folder, filepath.Base(r.URL.Path)))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", map[string]string{
			".html": "text/html; charset=utf-8", ".js": readingclient.MediaType, ".css": "text/css",
		}[filepath.Ext(r.URL.Path)])
		_, _ = w.Write(bytes.ReplaceAll(text, []byte("https://lcp.example.com"), []byte(server)))
	}))
	t.Cleanup(s.Close)
	return s
}

// A step is what a page was told until then.
type step struct {
	Step       string   `json:"step"`
	Told       []string `json:"told"`
	State      string   `json:"state"`
	Complaints []string `json:"complaints"`
	Barriers   []string `json:"barriers"`
}

// read reads on two pages, and returns the steps by their names.
func (l *lab) read(t *testing.T, key, known, unknown, expect string) map[string]step {
	t.Helper()
	query := "/index.html?" + url.Values{"key": {key}, "threshold": {"1"}, "interval": {"1"}, "user": {"reader-1"}}.Encode()
	out, err := l.run(t, "sessions.mjs", map[string]any{
		"chromium": l.chromium, "known": known + query, "unknown": unknown + query, "expect": expect, "shots": l.shots,
	})
	if err != nil {
		t.Fatal(err)
	}
	steps := map[string]step{}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var s step
		if err := d.Decode(&s); err != nil {
			t.Fatalf("%v in\n%s", err, out)
		}
		steps[s.Step] = s
	}
	if len(steps) != 4 {
		t.Fatalf("%d steps:\n%s", len(steps), out)
	}
	return steps
}

// Two sites with the demo page, of which the license server knows one.
func TestReadingSessions(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	m := newMeter(t)
	known, unknown := demo(t, m.URL), demo(t, m.URL)
	m.known = known.URL
	steps := l.read(t, "rs_TEST", known.URL, strings.Replace(unknown.URL, "127.0.0.1", "localhost", 1), "blocked")

	s := steps["known origin"]
	if s.Told[0] != "started" || len(s.Complaints) > 0 || len(s.Barriers) > 0 {
		t.Errorf("known origin: %+v", s)
	}
	if s := steps["unknown origin"]; slices.Contains(s.Told, "started") || !strings.Contains(s.State, "not_allowed_here") {
		t.Errorf("unknown origin: %+v", s)
	}
	if s := steps["offline"]; !slices.Contains(s.Told, "offline") || slices.Contains(s.Told, "blocked") || !strings.Contains(s.State, "go on until") {
		t.Errorf("offline: %+v", s)
	}
	if s := steps["online again"]; slices.Contains(s.Told, "started") || len(s.Complaints) > 0 {
		t.Errorf("online again: %+v", s)
	}
	m.check(t)
}

// check looks at all that was reported from the origin that is known.
func (m *meter) check(t *testing.T) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	seen, offline, seconds := map[string]bool{}, 0, 0
	for i, e := range m.events {
		if e.UserToken != "reader-1" || e.PublicationToken != "moby-dick" || e.ActiveSeconds < 1 {
			t.Errorf("event %+v", e)
		}
		if seen[e.EventID] || e.DeviceToken == "" || e.DeviceToken != m.events[0].DeviceToken {
			t.Errorf("event %s of device %q, before %v", e.EventID, e.DeviceToken, seen)
		}
		if i > 0 && e.OccurredAt.Before(m.events[i-1].OccurredAt) {
			t.Errorf("event of %s came after one of %s", e.OccurredAt, m.events[i-1].OccurredAt)
		}
		seen[e.EventID] = true
		seconds += e.ActiveSeconds
		if e.Offline {
			offline++
		}
	}
	if offline == 0 || seconds > 90 {
		t.Errorf("%d events of %d s, %d of them offline", len(m.events), seconds, offline)
	}
}
