package readers_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/keyring"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
	"github.com/lcp-tools/lcp/pkg/store"
)

// The way of a loan, with a reading system on one side and lcp serve on the
// other.
func TestReadingSystemBorrows(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := l.serve(t)
	pub := l.protect(t, l.sample(t, "sample.epub"))
	now := time.Now().UTC().Truncate(time.Second)
	s.license(t, pub.UUID, now.AddDate(0, 0, 14))
	out, err := s.borrow(t, now.AddDate(0, 0, 30), now.AddDate(0, 0, 14+61))
	t.Logf("\n%s", out)
	if want := "registered\nregistered once for each device\nrenewed\nupdated\nreturned\n"; err != nil || out != want {
		t.Errorf("%v, want the steps\n%s", err, want)
	}
	// It is worth something only if it can fail: what was returned cannot be
	// borrowed.
	if out, err := s.borrow(t, now.AddDate(0, 0, 30), now.AddDate(1, 0, 0)); err == nil || !strings.Contains(out, "a license in place of the new one is") {
		t.Errorf("borrowing again: %v\n%s", err, out)
	}
}

// The same with the gateway of lcp serve, which asks the shop by a callback: all
// that a shop has to do is to answer it.
func TestReadingSystemBorrowsThroughGateway(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	b := &shopBackend{secret: l.addSecret(t)}
	shop := httptest.NewServer(b)
	t.Cleanup(shop.Close)
	s := l.start(t, "status: {renew_default_days: 7, renew_max_days: 60}\n"+
		"authorization: {mode: callback, callback: {url: '"+shop.URL+"/lcp', loopback: true}}\n")
	pub := l.protect(t, l.sample(t, "sample.epub"))
	now := time.Now().UTC().Truncate(time.Second)
	s.license(t, pub.UUID, now.AddDate(0, 0, 14))
	out, err := s.borrow(t, now.AddDate(0, 0, 30), now.AddDate(0, 0, 14+61))
	t.Logf("\n%s", out)
	if want := "registered\nregistered once for each device\nrenewed\nupdated\nreturned\n"; err != nil || out != want {
		t.Errorf("%v, want the steps\n%s", err, want)
	}
	if n := b.granted.Load(); n < 2 { // after the renewal and after the return
		t.Errorf("the shop granted %d licenses", n)
	}
	if err := b.fault.Load(); err != nil {
		t.Error(*err)
	}
}

// addSecret gives the default provider a secret that callbacks are signed with.
func (l *lab) addSecret(t *testing.T) sharedsecret.Secret {
	t.Helper()
	dir := filepath.Join(l.dir, "data")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	keys, _, err := keyring.LoadOrCreate(filepath.Join(dir, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{DSN: filepath.Join(dir, "lcp.db"), Keyring: keys, Now: time.Now, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	secret, err := sharedsecret.Generate(provider.DefaultID, sharedsecret.HS256, time.Now())
	if err == nil {
		err = s.AddSecret(t.Context(), secret)
	}
	if err == nil {
		secret, err = s.MoveSecret(t.Context(), provider.DefaultID, secret.KeyID, sharedsecret.Active)
	}
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// A shopBackend answers callbacks, as docs/delivery-authorization.md tells.
type shopBackend struct {
	secret  sharedsecret.Secret
	granted atomic.Int32
	fault   atomic.Pointer[error]
}

func (b *shopBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = b.verify(r.Header, body)
	}
	var question struct{ Operation, User, LicenseID string }
	if err == nil {
		err = json.Unmarshal(body, &question)
	}
	if err != nil {
		b.fault.Store(&err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if question.User != "reader-1" || question.Operation != "fresh" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	b.granted.Add(1)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"profile":  map[string]any{"type": "purchase"},
		"user":     map[string]any{"id": "reader-1", "name": "Zoë", "encrypted": []string{"name"}},
		"passHash": profile.HashPassphrase(passphrase).Hex(), "textHint": "Three animals",
	})
}

// verify checks who asks.
func (b *shopBackend) verify(h http.Header, body []byte) error {
	mac := hmac.New(sha256.New, b.secret.Value.Bytes())
	fmt.Fprintf(mac, "v1:%s:%s", h.Get("X-LCP-Timestamp"), body)
	if want := "v1=" + hex.EncodeToString(mac.Sum(nil)); h.Get("X-LCP-Key-Id") != b.secret.KeyID || !hmac.Equal([]byte(want), []byte(h.Get("X-LCP-Signature"))) {
		return errors.New("a callback is not signed")
	}
	return nil
}

const (
	apiUser     = "shop"
	apiPassword = "password-of-the-shop"
)

// A borrowing is a running lcp serve, and a shop with a license gateway.
type borrowing struct {
	base  string
	file  string // of the license
	users map[string]any
}

// serve starts lcp serve on the lab's data, and a gateway that knows the users.
func (l *lab) serve(t *testing.T) *borrowing {
	t.Helper()
	var s *borrowing
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.gateway(w, r) }))
	t.Cleanup(gateway.Close)
	s = l.start(t, "status: {fresh_license_link: '"+gateway.URL+"/fresh/{license_id}', renew_default_days: 7, renew_max_days: 60}\n")
	return s
}

// start starts lcp serve on the lab's data, with further settings.
func (l *lab) start(t *testing.T, settings string) *borrowing {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	s := &borrowing{base: "http://" + address, file: filepath.Join(t.TempDir(), "loan.lcpl"), users: map[string]any{
		"user_id": "reader-1", "user_name": "Zoë", "user_encrypted": []string{"name"}, "text_hint": "Three animals",
		"pass_hash": profile.HashPassphrase(passphrase).Hex(),
	}}
	config := filepath.Join(t.TempDir(), "lcp.yaml")
	text := fmt.Sprintf("public_base_url: %s\naddress: %s\nops_address: off\naccess: {username: %s, password: %s}\n%s",
		s.base, address, apiUser, apiPassword, settings)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(l.lcp, "serve", "--config", config, "--data-dir", filepath.Join(l.dir, "data"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("lcp serve: %s", stderr.Bytes())
		}
	})
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get(s.base + "/health")
		if err == nil {
			resp.Body.Close()
			return s
		}
		if time.Since(begin) > time.Minute {
			t.Fatalf("lcp serve does not answer: %v", err)
		}
	}
}

// gateway answers a plain GET with a fresh license: what a shop has to do, since
// a license server knows no users.
func (s *borrowing) gateway(w http.ResponseWriter, r *http.Request) {
	resp, err := s.post(r.URL.Path[len("/fresh"):], s.users)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

func (s *borrowing) post(path string, body any) (*http.Response, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodPost, s.base+"/licenses"+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(apiUser+":"+apiPassword)))
	return http.DefaultClient.Do(req)
}

// license has the server make a loan of a publication.
func (s *borrowing) license(t *testing.T, pub string, end time.Time) {
	t.Helper()
	request := map[string]any{"publication_id": pub, "end": end.Format(time.RFC3339)}
	maps.Copy(request, s.users)
	resp, err := s.post("", request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("license: %s %s, %v", resp.Status, text, err)
	}
	if err := os.WriteFile(s.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// borrow runs loan.mjs.
func (s *borrowing) borrow(t *testing.T, renewTo, beyond time.Time) (string, error) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"license": s.file, "renewTo": renewTo, "beyond": beyond})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "case.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("node", filepath.Join("_js", "loan.mjs"), file).CombinedOutput()
	return string(out), err
}
