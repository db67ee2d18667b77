package delivery_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
)

// A notification is signed and bounded as callbacks are, and only an answer of
// success is one.
func TestNotify(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	var got *http.Request
	var body []byte
	status := http.StatusNoContent
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(status)
	}))
	defer s.Close()
	callbacks := delivery.NewCallbacks(delivery.CallbackOptions{Now: func() time.Time { return now }})
	defer callbacks.Close()
	secret := sharedsecret.Secret{KeyID: "webhook", Value: sharedsecret.NewValue([]byte("key"))}
	to := delivery.Callback{URL: s.URL + "/hook", Loopback: true}
	if err := callbacks.Notify(t.Context(), to, secret, []byte("text")); err != nil {
		t.Fatal(err)
	}
	// printf 'v1:1903867200:text' | openssl dgst -sha256 -hmac key
	const want = "v1=d992da2a4e731548eff25cb2d9b215276fe4352c6171be226f5cccabead2e544"
	if string(body) != "text" || got.Header.Get(delivery.TimestampHeader) != "1903867200" ||
		got.Header.Get(delivery.SignatureHeader) != want {
		t.Errorf("request %v with %q, want the signature %s", got.Header, body, want)
	}
	status = http.StatusInternalServerError
	if err := callbacks.Notify(t.Context(), to, secret, nil); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("Notify = %v, want the status", err)
	}
	for name, bad := range map[string]delivery.Callback{
		"http":            {URL: s.URL},
		"private address": {URL: "https://10.0.0.1/"},
		"this machine":    {URL: "https://127.0.0.1:1/"},
		"no URL":          {URL: "hooks"},
	} {
		if err := callbacks.Notify(t.Context(), bad, secret, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
