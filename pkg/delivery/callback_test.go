package delivery_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// backend starts a shop's service over https, and sets the bench up to ask it.
func (b *bench) backend(t testing.TB, timeout time.Duration, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	b.trust(t, timeout, server)
	b.shop.Mode = delivery.ByCallback
	b.shop.Callback = delivery.Callback{URL: server.URL + "/lcp", Allow: loopback}
	return server
}

// trust makes callbacks accept the certificates of test servers.
func (b *bench) trust(t testing.TB, timeout time.Duration, server *httptest.Server) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	b.Callbacks = delivery.NewCallbacks(delivery.CallbackOptions{Now: b.Now, Timeout: timeout, RootCAs: roots})
	t.Cleanup(b.Callbacks.Close)
}

// patient is a timeout that no test waits for.
const patient = 20 * time.Second

func answer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// TestCallback looks at what is asked, and checks the signature with the
// standard library alone.
func TestCallback(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var got map[string]any
	b.backend(t, patient, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mac := hmac.New(sha256.New, b.secret.Value.Bytes())
		mac.Write([]byte("v1:" + strconv.FormatInt(now.Unix(), 10) + ":" + string(body)))
		for name, want := range map[string]string{
			"X-LCP-Key-Id": "k1", "X-LCP-Timestamp": strconv.FormatInt(now.Unix(), 10),
			"X-LCP-Signature": "v1=" + hex.EncodeToString(mac.Sum(nil)), "Content-Type": "application/json",
			"Accept-Encoding": "", // what is read is to be what was sent
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		if r.Method != http.MethodPost || r.URL.Path != "/lcp" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		fmt.Fprint(w, `{"profile":{"type":"rental","relativeExpiration":"P1D"},"message":"enjoy","passHash":"`+passHash+`"}`)
	})
	r := fresh
	r.Session, r.Client = "s1", "device-1"
	r.ClientInfo = map[string]string{"userAgent": "Thorium"}
	r.Metadata = map[string]string{"remoteAddr": "192.0.2.1"}
	g, err := b.Authorize(t.Context(), b.shop, r)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"requestId": "req-1", "operation": "fresh", "asset": book, "altId": "isbn-1", "user": "u1", "session": "s1", "client": "device-1",
		"licenseId": loanID, "drmScheme": "LCP",
		"clientInfo": map[string]any{"userAgent": "Thorium"}, "requestMetadata": map[string]any{"remoteAddr": "192.0.2.1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("question (-want +got):\n%s", diff)
	}
	if g.Source != delivery.ByCallback || g.Terms.AssetID != book || g.Terms.User.ID != "u1" || !g.Terms.End.Equal(now.AddDate(0, 0, 1)) {
		t.Errorf("grant by %s of %q to %q until %s", g.Source, g.Terms.AssetID, g.Terms.User.ID, g.Terms.End)
	}
}

func TestCallbackAnswers(t *testing.T) {
	t.Parallel()
	const (
		js    = "application/json"
		grant = `{"profile":{"type":"purchase"}}`
	)
	tests := map[string]struct {
		status      int
		contentType string
		body        string
		want        delivery.Reason
	}{
		"a grant":                             {200, js, grant, ""},
		"a grant in a list":                   {200, js, "[" + grant + "]", ""},
		"a grant with a link":                 {200, js, `{"profile":{"type":"purchase"},"redirectUrl":"https://x.org/"}`, ""},
		"a grant by a template":               {200, js, `{"ref":["loan"]}`, ""},
		"a grant, another JSON type":          {200, "application/vnd.shop+json", grant, ""},
		"a grant for the alternative id":      {200, js, `{"assetId":"isbn-1","profile":{"type":"purchase"}}`, ""},
		"a grant for the user":                {200, js, `{"user":{"id":"u1"},"profile":{"type":"purchase"}}`, ""},
		"a grant for another asset":           {200, js, `{"assetId":"isbn-2","profile":{"type":"purchase"}}`, delivery.WrongAsset},
		"a grant for another user":            {200, js, `{"user":{"id":"u2"},"profile":{"type":"purchase"}}`, delivery.Denied},
		"a grant with a template that is not": {200, js, `{"ref":["nope"]}`, delivery.InvalidTemplate},
		"a grant with a template in a circle": {200, js, `{"ref":["self"]}`, delivery.InvalidTemplate},
		"rights that are wrong":               {200, js, `{"profile":{"type":"rental","relativeExpiration":"-P1D"}}`, delivery.InvalidRights},
		"rights with a misspelled member":     {200, js, `{"profile":{"type":"purchase"},"pasHash":""}`, delivery.InvalidRights},
		"two grants":                          {200, js, "[" + grant + "," + grant + "]", delivery.InvalidRights},
		"no profile":                          {200, js, `{}`, delivery.Denied},
		"a profile that is null":              {200, js, `{"profile":null,"message":"no"}`, delivery.Denied},
		"a template without a profile":        {200, js, `{"ref":[]}`, delivery.Denied},
		"null":                                {200, js, `null`, delivery.Denied},
		"a list of nothing":                   {200, js, `[]`, delivery.InvalidRights},
		"401":                                 {401, js, `{}`, delivery.Denied},
		"403":                                 {403, js, `{"message":"no"}`, delivery.Denied},
		"403 with a grant":                    {403, js, grant, delivery.Denied},
		"404 in HTML":                         {404, "text/html", "<html>", delivery.Denied},
		"201":                                 {201, js, grant, delivery.CallbackInvalid},
		"204":                                 {204, "", "", delivery.CallbackInvalid},
		"206":                                 {206, js, grant, delivery.CallbackInvalid},
		"400":                                 {400, js, grant, delivery.CallbackInvalid},
		"402":                                 {402, js, grant, delivery.CallbackInvalid},
		"429":                                 {429, js, grant, delivery.CallbackInvalid},
		"500":                                 {500, js, grant, delivery.CallbackInvalid},
		"502":                                 {502, js, grant, delivery.CallbackInvalid},
		"503":                                 {503, js, grant, delivery.CallbackInvalid},
		"504":                                 {504, js, grant, delivery.CallbackInvalid},
		"600":                                 {600, js, grant, delivery.CallbackInvalid},
		"HTML":                                {200, "text/html", grant, delivery.CallbackInvalid},
		"plain text":                          {200, "text/plain", grant, delivery.CallbackInvalid},
		"no content type":                     {200, " ", grant, delivery.CallbackInvalid},
		"another character set":               {200, js + "; charset=iso-8859-1", grant, delivery.CallbackInvalid},
		"nothing at all":                      {200, js, "", delivery.CallbackInvalid},
		"what is not JSON":                    {200, js, "<html>", delivery.CallbackInvalid},
		"JSON cut off":                        {200, js, grant[:20], delivery.CallbackInvalid},
		"two members of one name":             {200, js, `{"profile":{"type":"purchase"},"profile":null}`, delivery.CallbackInvalid},
		"64 KiB of spaces":                    {200, js, strings.Repeat(" ", 64<<10-len(grant)) + grant, ""},
		"a byte more":                         {200, js, strings.Repeat(" ", 64<<10-len(grant)+1) + grant, delivery.CallbackInvalid},
		"a denial of 10 MB":                   {403, js, strings.Repeat(" ", 10<<20), delivery.CallbackInvalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.backend(t, patient, answer(tt.status, tt.contentType, tt.body))
			g, err := b.Authorize(t.Context(), b.shop, fresh)
			if got := delivery.ReasonOf(err); got != tt.want || err != nil && got == "" {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
			if (g.Source == delivery.ByCallback) != (tt.want == "") {
				t.Errorf("granted by %q", g.Source)
			}
		})
	}
}

func TestDenial(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 400)
	tests := map[string]struct {
		status              int
		body                string
		message, redirectTo string
	}{
		"message and link":             {403, `{"message":"buy it first","redirectUrl":"https://shop.example.org/buy?x=1#y"}`, "buy it first", "https://shop.example.org/buy?x=1#y"},
		"200 without a profile":        {200, `{"message":"buy it first","redirectUrl":"http://shop.example.org/"}`, "buy it first", "http://shop.example.org/"},
		"lines become one":             {401, `{"message":"a\r\n\u0000\u2028 b"}`, "a b", ""},
		"a message of bounded length":  {404, `{"message":"` + long + `"}`, long[:500], ""},
		"a message that is a number":   {403, `{"message":1,"redirectUrl":2}`, "", ""},
		"a script":                     {403, `{"redirectUrl":"javascript:alert(1)"}`, "", ""},
		"a path":                       {403, `{"redirectUrl":"/buy"}`, "", ""},
		"another host without scheme":  {403, `{"redirectUrl":"//evil.example"}`, "", ""},
		"no host":                      {403, `{"redirectUrl":"https:///x"}`, "", ""},
		"a password":                   {403, `{"redirectUrl":"https://u:p@shop.example.org/"}`, "", ""},
		"a line break":                 {403, `{"redirectUrl":"https://shop.example.org/\r\nSet-Cookie: x"}`, "", ""},
		"a link of 3000 bytes":         {403, `{"redirectUrl":"https://shop.example.org/` + strings.Repeat("x", 3000) + `"}`, "", ""},
		"not JSON, which is no matter": {403, `<html>`, "", ""},
		"a list":                       {403, `["x"]`, "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.backend(t, patient, answer(tt.status, "application/json", tt.body))
			_, err := b.Authorize(t.Context(), b.shop, fresh)
			r, ok := errors.AsType[*delivery.Refusal](err)
			if !ok || r.Reason != delivery.Denied {
				t.Fatalf("error = %v, want a denial", err)
			}
			if r.Message != tt.message || r.RedirectURL != tt.redirectTo {
				t.Errorf("%q, go to %q; want %q, %q", r.Message, r.RedirectURL, tt.message, tt.redirectTo)
			}
			if text := fmt.Sprint(err, r.LogValue()); tt.message != "" && strings.Contains(text, tt.message) {
				t.Errorf("the message is in %s", text)
			}
		})
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	good := answer(200, "application/json", `{"profile":{"type":"purchase"}}`)
	hangUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	tests := map[string]struct {
		answers []http.HandlerFunc
		want    delivery.Reason
		asked   int
	}{
		"502, then good":                {[]http.HandlerFunc{answer(502, "", ""), good}, "", 2},
		"503, then good":                {[]http.HandlerFunc{answer(503, "", ""), good}, "", 2},
		"a lost connection, then good":  {[]http.HandlerFunc{hangUp, good}, "", 2},
		"502 twice":                     {[]http.HandlerFunc{answer(502, "", ""), answer(502, "", ""), good}, delivery.CallbackInvalid, 2},
		"a lost connection twice":       {[]http.HandlerFunc{hangUp, hangUp, good}, delivery.CallbackInvalid, 2},
		"500 is not tried again":        {[]http.HandlerFunc{answer(500, "", ""), good}, delivery.CallbackInvalid, 1},
		"504 is not tried again":        {[]http.HandlerFunc{answer(504, "", ""), good}, delivery.CallbackInvalid, 1},
		"a denial is not tried again":   {[]http.HandlerFunc{answer(403, "", ""), good}, delivery.Denied, 1},
		"HTML is not tried again":       {[]http.HandlerFunc{answer(200, "text/html", ""), good}, delivery.CallbackInvalid, 1},
		"502, then a denial":            {[]http.HandlerFunc{answer(502, "", ""), answer(403, "", "")}, delivery.Denied, 2},
		"a lost connection, then a 500": {[]http.HandlerFunc{hangUp, answer(500, "", "")}, delivery.CallbackInvalid, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var mu sync.Mutex
			var ids []string
			b.backend(t, patient, func(w http.ResponseWriter, r *http.Request) {
				var q struct{ RequestID string }
				if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
					t.Error(err)
				}
				mu.Lock()
				ids = append(ids, q.RequestID)
				next := tt.answers[len(ids)-1]
				mu.Unlock()
				next(w, r)
			})
			_, err := b.Authorize(t.Context(), b.shop, fresh)
			if got := delivery.ReasonOf(err); got != tt.want || err != nil && got == "" {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
			if want := slices.Repeat([]string{"req-1"}, tt.asked); !slices.Equal(ids, want) {
				t.Errorf("asked as %q, want %q", ids, want)
			}
		})
	}
}

// A dead service closes its own line, and no other.
func TestDeadCallbackIsHeldOff(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var asked atomic.Int32
	var broken atomic.Bool
	broken.Store(true)
	b.backend(t, patient, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1); broken.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		answer(200, "application/json", `{"profile":{"type":"purchase"}}`)(w, r)
	})
	ask := func(p delivery.Provider) error {
		_, err := b.Authorize(t.Context(), p, fresh)
		return err
	}
	for range 5 {
		if err := ask(b.shop); delivery.ReasonOf(err) != delivery.CallbackInvalid {
			t.Fatalf("error = %v", err)
		}
	}
	before := asked.Load()
	err := ask(b.shop)
	r, ok := errors.AsType[*delivery.Refusal](err)
	if !ok || r.Reason != delivery.Unavailable || r.RetryAfter != 5*time.Second {
		t.Errorf("error = %v, want unavailable for 5 s", err)
	}
	if asked.Load() != before {
		t.Error("asked a service that is down")
	}
	other := b.shop
	other.ID = "other"
	b.add(t, "other", "k2", sharedsecret.HS256)
	broken.Store(false)
	if err := ask(other); err != nil {
		t.Errorf("another provider: %v", err)
	}
	moved := b.shop
	moved.Callback.URL += "/v2"
	if err := ask(moved); err != nil {
		t.Errorf("another URL: %v", err)
	}
	if err := ask(b.shop); err != nil {
		t.Errorf("and back: %v", err)
	}
}

// A provider whose service hangs keeps its own users waiting, and no others.
func TestHangingCallbackStarvesNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	held, release := make(chan struct{}, 64), make(chan struct{})
	b.backend(t, patient, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			held <- struct{}{}
			<-release
		}
		answer(200, "application/json", `{"profile":{"type":"purchase"}}`)(w, r)
	})
	quick := b.shop
	quick.ID = "quick"
	b.add(t, "quick", "k2", sharedsecret.HS256)
	b.shop.Callback.URL = strings.Replace(b.shop.Callback.URL, "/lcp", "/hang", 1)
	b.shop.Callback.Concurrency = 2
	errs := make(chan error, 40)
	for range cap(errs) { // 2 under way, 8 wait, the others are turned away at once
		go func() {
			_, err := b.Authorize(t.Context(), b.shop, fresh)
			errs <- err
		}()
	}
	<-held
	<-held
	for range 30 {
		if err := <-errs; delivery.ReasonOf(err) != delivery.Unavailable {
			t.Errorf("beyond the queue: %v", err)
		}
	}
	for range 50 {
		if _, err := b.Authorize(t.Context(), quick, fresh); err != nil {
			t.Errorf("the other provider: %v", err)
		}
	}
	close(release)
	for range 10 {
		if err := <-errs; err != nil {
			t.Errorf("a waiter: %v", err)
		}
	}
}

func TestConnectionsAreShared(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var opened atomic.Int32
	server := httptest.NewUnstartedServer(answer(200, "application/json", `{"profile":{"type":"purchase"}}`))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	b.trust(t, patient, server)
	b.shop.Mode, b.shop.Callback = delivery.ByCallback, delivery.Callback{URL: server.URL, Allow: loopback}
	for range 20 {
		if _, err := b.Authorize(t.Context(), b.shop, fresh); err != nil {
			t.Fatal(err)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections for 20 callbacks", n)
	}
	// A provider that is not allowed to come here does not come here by a
	// connection that another one has opened.
	strict := b.shop
	strict.Callback.Allow = nil
	if _, err := b.Authorize(t.Context(), strict, fresh); delivery.ReasonOf(err) != delivery.CallbackInvalid {
		t.Errorf("error = %v, want a refusal", err)
	}
}

// Clients that go away do not make a service look dead.
func TestClientGoesAway(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	arrived := make(chan struct{})
	var hurry atomic.Bool
	b.backend(t, patient, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if hurry.Load() {
			answer(200, "application/json", `{"profile":{"type":"purchase"}}`)(w, r)
			return
		}
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	for range 6 {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		_, err := b.Authorize(ctx, b.shop, fresh)
		if !errors.Is(err, context.Canceled) || delivery.ReasonOf(err) != "" {
			t.Errorf("error = %v, want that of the context", err)
		}
	}
	hurry.Store(true)
	if _, err := b.Authorize(t.Context(), b.shop, fresh); err != nil {
		t.Errorf("the next client: %v", err)
	}
}

// A client that goes away while its request tries a closed line has proved
// nothing.
func TestProbeGoesAway(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	var probed atomic.Bool
	b.backend(t, patient, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if probed.Load() {
			cancel()
			<-r.Context().Done()
		}
		panic(http.ErrAbortHandler)
	})
	for range 5 {
		_, _ = b.Authorize(t.Context(), b.shop, fresh)
	}
	b.at = b.at.Add(5 * time.Second)
	probed.Store(true)
	if _, err := b.Authorize(ctx, b.shop, fresh); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want that of the context", err)
	}
	probed.Store(false)
	if _, err := b.Authorize(t.Context(), b.shop, fresh); delivery.ReasonOf(err) != delivery.CallbackInvalid {
		t.Errorf("the next probe: %v", err)
	}
	if _, err := b.Authorize(t.Context(), b.shop, fresh); delivery.ReasonOf(err) != delivery.Unavailable {
		t.Errorf("after it failed: %v", err)
	}
}

// After the pause a service is asked again.
func TestServiceComesBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var back atomic.Bool
	b.backend(t, patient, func(w http.ResponseWriter, r *http.Request) {
		if !back.Load() {
			panic(http.ErrAbortHandler)
		}
		answer(200, "application/json", `{"profile":{"type":"purchase"}}`)(w, r)
	})
	for range 5 {
		_, _ = b.Authorize(t.Context(), b.shop, fresh)
	}
	back.Store(true)
	if _, err := b.Authorize(t.Context(), b.shop, fresh); delivery.ReasonOf(err) != delivery.Unavailable {
		t.Errorf("during the pause: %v", err)
	}
	b.at = b.at.Add(5 * time.Second)
	if _, err := b.Authorize(t.Context(), b.shop, fresh); err != nil {
		t.Errorf("after the pause: %v", err)
	}
}

// Over http a callback goes to this machine alone, and only where that is allowed.
func TestDevelopment(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	server := httptest.NewServer(answer(200, "application/json", `{"profile":{"type":"purchase"}}`))
	t.Cleanup(server.Close)
	b.shop.Mode = delivery.ByCallback
	b.shop.Callback = delivery.Callback{URL: server.URL, Loopback: true}
	if _, err := b.Authorize(t.Context(), b.shop, fresh); err != nil {
		t.Error(err)
	}
	b.shop.Callback.Loopback, b.shop.Callback.Allow = false, loopback
	if _, err := b.Authorize(t.Context(), b.shop, fresh); delivery.ReasonOf(err) != delivery.CallbackInvalid {
		t.Errorf("http where it is not allowed: %v", err)
	}
	b.shop.Callback = delivery.Callback{URL: "http://192.0.2.1/", Loopback: true, Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}
	if _, err := b.Authorize(t.Context(), b.shop, fresh); delivery.ReasonOf(err) != delivery.CallbackInvalid {
		t.Errorf("http to another machine: %v", err)
	}
}

func TestCallbackWithoutSecret(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.backend(t, patient, func(http.ResponseWriter, *http.Request) { t.Error("asked without a signature") })
	b.secret.State = sharedsecret.VerifyOnly
	b.store.secrets["shop k1"] = b.secret
	if _, err := b.Authorize(t.Context(), b.shop, fresh); delivery.ReasonOf(err) != delivery.Unavailable {
		t.Errorf("error = %v, want %s", err, delivery.Unavailable)
	}
}

func TestOversizedQuestion(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.backend(t, patient, func(http.ResponseWriter, *http.Request) { t.Error("asked") })
	r := fresh
	r.ClientInfo = map[string]string{"x": strings.Repeat("x", 64<<10)}
	if _, err := b.Authorize(t.Context(), b.shop, r); delivery.ReasonOf(err) != delivery.MalformedRequest {
		t.Errorf("error = %v", err)
	}
}

// port returns the port of a server.
func port(t testing.TB, server *httptest.Server) uint16 {
	t.Helper()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(n)
}
