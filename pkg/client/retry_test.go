package client_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/client"
)

// cut ends a connection in the middle of an answer.
func cut(w http.ResponseWriter) {
	conn, buf, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = buf.WriteString("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
	_ = buf.Flush()
	_ = conn.Close()
}

func unavailable(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		answer(w, code, problemType, `{"title":"try later"}`)
	}
}

func TestRepeats(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	get := func(c *client.Client) error { _, err := c.Publication(ctx, pubID); return err }
	put := func(c *client.Client) error { _, err := c.RevokeLicense(ctx, licenseID); return err }
	remove := func(c *client.Client) error { return c.DeletePublication(ctx, pubID) }
	generate := func(c *client.Client) error {
		_, err := c.GenerateLicense(ctx, api.LicenseRequest{}, "")
		return err
	}
	once := func(o *client.Options) { o.PostOnce = true }
	same := func(*client.Options) {}
	cutOff := func(w http.ResponseWriter, _ *http.Request) { cut(w) }
	tests := map[string]struct {
		call     func(*client.Client) error
		fails    http.HandlerFunc
		times    int // how often it fails; 0: always
		options  func(*client.Options)
		requests int
		ok       bool
	}{
		"get, unavailable":             {get, unavailable(503), 2, same, 3, true},
		"get, never available":         {get, unavailable(503), 0, same, 5, false},
		"get, too many requests":       {get, unavailable(429), 1, same, 2, true},
		"get, bad gateway":             {get, unavailable(502), 1, same, 2, true},
		"get, gateway timeout":         {get, unavailable(504), 1, same, 2, true},
		"get, cut connection":          {get, cutOff, 1, same, 2, true},
		"put, cut connection":          {put, cutOff, 1, same, 2, true},
		"delete, cut connection":       {remove, cutOff, 1, same, 2, true},
		"generate, cut connection":     {generate, cutOff, 1, same, 2, true},
		"generate, under way":          {generate, unavailable(409, "Retry-After", "1"), 2, same, 3, true},
		"generate, conflict":           {generate, unavailable(409), 0, same, 1, false},
		"generate once, cut":           {generate, cutOff, 0, once, 1, false},
		"generate once, bad gateway":   {generate, unavailable(502), 0, once, 1, false},
		"generate once, unavailable":   {generate, unavailable(503), 0, once, 1, false},
		"generate once, too many":      {generate, unavailable(429), 1, once, 2, true},
		"get once, cut connection":     {get, cutOff, 1, once, 2, true},
		"get, server error":            {get, unavailable(500), 0, same, 1, false},
		"get, unauthorized":            {get, unavailable(401), 0, same, 1, false},
		"get, asked to wait for hours": {get, unavailable(503, "Retry-After", "7200"), 0, same, 1, false},
		"get, asked to wait for ever":  {get, unavailable(503, "Retry-After", "99999999999"), 0, same, 1, false},
		"get, one attempt":             {get, unavailable(503), 0, func(o *client.Options) { o.Attempts = 1 }, 1, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			var mu sync.Mutex
			keys := map[string]bool{}
			c, p := serve(t, func(w http.ResponseWriter, r *http.Request) {
				n := int(requests.Add(1))
				mu.Lock()
				keys[r.Header.Get("Idempotency-Key")] = true
				mu.Unlock()
				if body, _ := io.ReadAll(r.Body); r.Method == http.MethodPost && len(body) < 2 {
					t.Errorf("request %d has the body %q", n, body)
				}
				if tt.times == 0 || n <= tt.times {
					tt.fails(w, r)
					return
				}
				switch {
				case r.Method == http.MethodPost:
					answer(w, 201, jsonType, licenseDocument(t))
				case strings.HasPrefix(r.URL.Path, "/revoke/"):
					answer(w, 200, jsonType, `{"id":"x","status":"revoked"}`)
				default:
					answer(w, 200, jsonType, publication)
				}
			}, tt.options)
			err := tt.call(c)
			if (err == nil) != tt.ok {
				t.Errorf("error is %v", err)
			}
			if got := int(requests.Load()); got != tt.requests || len(p.list) != tt.requests-1 {
				t.Errorf("%d requests and %d pauses, want %d requests", got, len(p.list), tt.requests)
			}
			if len(keys) != 1 {
				t.Errorf("the attempts have %d different keys", len(keys))
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("error tells the password: %v", err)
			}
		})
	}
}

func TestPauses(t *testing.T) {
	t.Parallel()
	c, p := serve(t, unavailable(503), func(o *client.Options) { o.Attempts = 12 })
	_, err := c.Publication(t.Context(), pubID)
	if err == nil || !strings.Contains(err.Error(), "tried 12 times") {
		t.Errorf("error is %v", err)
	}
	longest := 250 * time.Millisecond
	for i, d := range p.list {
		if d < longest/2 || d > longest {
			t.Errorf("pause %d is %s, want %s to %s", i, d, longest/2, longest)
		}
		longest = min(2*longest, 15*time.Second)
	}
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		header []string
		least  time.Duration
	}{
		"seconds":             {[]string{"Retry-After", "7"}, 7 * time.Second},
		"date":                {[]string{"Retry-After", now.Add(9 * time.Second).Format(http.TimeFormat), "Date", now.Format(http.TimeFormat)}, 9 * time.Second},
		"date that is past":   {[]string{"Retry-After", now.Add(-time.Hour).Format(http.TimeFormat), "Date", now.Format(http.TimeFormat)}, 0},
		"negative":            {[]string{"Retry-After", "-5"}, 0},
		"nothing that counts": {[]string{"Retry-After", "soon"}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, p := serve(t, unavailable(503, tt.header...), func(o *client.Options) { o.Attempts = 2 })
			_, err := c.Publication(t.Context(), pubID)
			if len(p.list) != 1 || p.list[0] < tt.least || p.list[0] > tt.least+time.Second {
				t.Errorf("pauses are %v, want %s", p.list, tt.least)
			}
			var refused *client.Error
			if !errors.As(err, &refused) || refused.RetryAfter != tt.least {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// A deletion whose answer was lost finds nothing to delete, and that is what was
// wanted; the first time it is not.
func TestDeletedByTheFirstAttempt(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{true, false} {
		first := atomic.Bool{}
		first.Store(lost)
		c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if first.Swap(false) {
				cut(w)
				return
			}
			answer(w, 404, problemType, `{"title":"Not Found"}`)
		})
		if err := c.DeletePublication(t.Context(), pubID); client.IsNotFound(err) == lost {
			t.Errorf("first answer lost: %t, error: %v", lost, err)
		}
	}
}

func TestServerThatNeverAnswers(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	release := make(chan struct{})
	c, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}, func(o *client.Options) { o.Timeout, o.Attempts = 20*time.Millisecond, 2 })
	t.Cleanup(func() { close(release) })
	_, err := c.Publication(t.Context(), pubID)
	if !errors.Is(err, client.ErrUnreachable) || !strings.Contains(err.Error(), "no answer within 20ms") || requests.Load() != 2 {
		t.Errorf("after %d requests: %v", requests.Load(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Publication(ctx, pubID); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A body that comes a byte at a time ends with the attempt.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "{")
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}, func(o *client.Options) { o.Timeout, o.Attempts = 20*time.Millisecond, 1 })
	t.Cleanup(func() { close(release) })
	if _, err := c.Publication(t.Context(), pubID); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("error is %v", err)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	c, p := newClient(t, "http://"+address, func(o *client.Options) { o.PostOnce = true })
	_, err = c.GenerateLicense(t.Context(), api.LicenseRequest{UserID: "ann"}, "")
	if !errors.Is(err, client.ErrUnreachable) || !strings.Contains(err.Error(), address) || len(p.list) != 4 {
		t.Errorf("after %d pauses: %v", len(p.list), err)
	}
	if strings.Contains(err.Error(), "/licenses") {
		t.Errorf("error tells the path: %v", err)
	}
}

// A certificate that nobody vouches for does not get better by trying.
func TestUnknownCertificate(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	c, p := newClient(t, server.URL)
	_, err := c.Publication(t.Context(), pubID)
	if err == nil || !strings.Contains(err.Error(), "certificate") || len(p.list) != 0 {
		t.Errorf("after %d pauses: %v", len(p.list), err)
	}
}
