//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/certificate"
)

// A served machine is one on which lcp serve runs.
type served struct {
	*machine
	cmd      *exec.Cmd
	base     string // URL of the license server
	ops      string // URL of health and metrics
	user     string
	password string
	stderr   lockedText
	client   *http.Client
	exited   chan struct{} // closed once the process is over
}

// lockedText is what a process says while others look.
type lockedText struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (b *lockedText) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedText) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// serve starts lcp serve with a configuration besides the addresses, and waits
// until it answers. A user named admin has the password of the first start.
func (m *machine) serve(t *testing.T, config string) *served {
	t.Helper()
	s := &served{machine: m, user: "admin", client: &http.Client{Timeout: time.Minute}}
	address, ops := "127.0.0.1:"+freePort(t), "127.0.0.1:"+freePort(t)
	s.base, s.ops = "http://"+address, "http://"+ops
	m.write(t, "serve.yaml", []byte("address: "+address+"\nops_address: "+ops+"\n"+config))
	s.start(t, "--config", "serve.yaml")
	return s
}

// start runs lcp serve until the test ends.
func (s *served) start(t *testing.T, args ...string) {
	t.Helper()
	s.cmd = s.command(context.WithoutCancel(t.Context()), append([]string{"serve"}, args...)...)
	s.cmd.Stderr = &s.stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	s.exited = exited
	cmd := s.cmd
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
	})
	for begin := time.Now(); ; {
		resp, err := s.client.Get(s.base + "/health")
		if err == nil {
			resp.Body.Close()
			break
		}
		select {
		case <-exited:
			t.Fatalf("lcp serve ended: %s", s.stderr.String())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Since(begin) > time.Minute {
			t.Fatalf("lcp serve does not answer: %v: %s", err, s.stderr.String())
		}
	}
	if m := firstPassword.FindStringSubmatch(s.stderr.String()); m != nil {
		s.password = m[1]
	}
}

var firstPassword = regexp.MustCompile(`the user "admin" with the password (\S+?):`)

// call makes a request with the user's password and returns the answer.
func (s *served) call(ctx context.Context, method, path string, body any) (int, []byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	if body == nil {
		text = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	req.SetBasicAuth(s.user, s.password)
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// want is call, for a request that must end with that status code.
func (s *served) want(t *testing.T, code int, method, path string, body any) []byte {
	t.Helper()
	got, answer, err := s.call(t.Context(), method, path, body)
	if err != nil || got != code {
		t.Fatalf("%s %s = %d %s, %v, want %d", method, path, got, answer, err, code)
	}
	return answer
}

// addPublication registers a publication and returns its UUID.
func (s *served) addPublication(t *testing.T) string {
	t.Helper()
	id := uuid.NewString()
	s.want(t, http.StatusCreated, "POST", "/publications/", map[string]any{
		"uuid": id, "title": "Book", "encryption_key": base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)),
		"href": "https://books.example.com/" + id, "content_type": "application/epub+zip", "size": 9, "checksum": strings.Repeat("0a", 32),
	})
	return id
}

func licenseFor(publication, user string) map[string]any {
	return map[string]any{
		"publication_id": publication, "user_id": user, "end": time.Now().AddDate(0, 0, 14).Format(time.RFC3339),
		"text_hint": "hint", "pass_hash": strings.Repeat("0A", 32),
	}
}

// idOf reads the identifier of a license.
func idOf(t *testing.T, license []byte) string {
	t.Helper()
	var l struct{ ID string }
	if err := json.Unmarshal(license, &l); err != nil || l.ID == "" {
		t.Fatalf("license %s: %v", license, err)
	}
	return l.ID
}

// end asks the server to stop, and returns the exit code.
func (s *served) end(t *testing.T) int {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	select {
	case <-s.exited:
	case <-time.After(time.Minute):
		t.Fatal("the server does not end")
	}
	return s.cmd.ProcessState.ExitCode()
}

// Where nothing is set up a server starts, makes all that it needs, and tells
// the password of its first user: once.
func TestServeFirstStart(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	s := m.serve(t, "")
	if s.password == "" {
		t.Fatalf("no password was printed: %s", s.stderr.String())
	}
	pub := s.addPublication(t)
	id := idOf(t, s.want(t, http.StatusCreated, "POST", "/licenses/", licenseFor(pub, "u1")))
	for _, step := range []struct{ method, path, status string }{
		{"GET", "/status/" + id, "ready"},
		{"POST", "/register/" + id + "?id=d&name=n", "active"},
		{"PUT", "/revoke/" + id, "revoked"},
	} {
		if doc := s.want(t, http.StatusOK, step.method, step.path, nil); !bytes.Contains(doc, []byte(`"status":"`+step.status+`"`)) {
			t.Errorf("%s: %s", step.path, doc)
		}
	}
	if info, err := os.Stat(m.data); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data directory: %v, %v", info.Mode(), err)
	}
	if code := s.end(t); code != exitDone {
		t.Errorf("exit code %d: %s", code, s.stderr.String())
	}

	password := s.password
	again := m.serve(t, "")
	if again.password != "" || strings.Contains(again.stderr.String(), "password") {
		t.Errorf("the second start says: %s", again.stderr.String())
	}
	again.password = password
	again.want(t, http.StatusOK, "GET", "/licenseinfo/"+id, nil)
	again.password = "admin"
	again.want(t, http.StatusUnauthorized, "GET", "/licenses", nil)
	if strings.Contains(again.stderr.String()+s.stderr.String(), strings.Repeat("0a", 32)) {
		t.Error("a hash is in the log")
	}
}

// A configuration of the documented LCP Server starts this one unchanged, and
// its user and administrators may do what they could.
func TestServeDocumentedConfiguration(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if err := certificate.CreateTest(m.path("cert"), certificate.P256, time.Now()); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	m.write(t, "config.yaml", fmt.Appendf(nil, `log_level: "info"
public_base_url: "http://localhost:%[1]s"
port: %[1]s
dsn: "sqlite3://%[2]s?cache=shared&mode=rwc"
access:
  username: "login"
  password: "api-password"
certificate:
  cert: "%[3]s/provider.pem"
  private_key: "%[3]s/provider.key"
license:
  provider: "https://publisher.example.com"
  profile: "http://readium.org/lcp/basic-profile"
  hint_link: "https://publisher.example.com/hint"
status:
  fresh_license_link: "http://localhost:%[1]s/fresh/{license_id}"
  allow_renew_on_expired_licenses: true
  renew_default_days: 7
  renew_max_days: 40
dashboard:
  excessive_sharing_threshold: 5
  limit_to_last_12_months: true
jwt:
  secret_key: "your-super-secret-jwt-key-change-this-in-production-environment"
  admin:
    laurent: "dashboard-secret"
resources: "%[2]s.resources"
`, port, m.path("their.sqlite"), m.path("cert")))
	m.env = append(m.env, "LCPSERVER_CONFIG=config.yaml", "LCPSERVER_STATUS_RENEWMAXDAYS=10", "LCP_OPS_ADDRESS=off")
	s := &served{machine: m, base: "http://127.0.0.1:" + port, user: "login", client: &http.Client{Timeout: time.Minute}}
	s.start(t)
	if s.password != "" {
		t.Error("a user was made up beside the configured one")
	}
	s.password = "api-password"
	license := s.want(t, http.StatusCreated, "POST", "/licenses/", licenseFor(s.addPublication(t), "u"))
	if !bytes.Contains(license, []byte(`"provider":"https://publisher.example.com"`)) || !bytes.Contains(license, []byte(`"https://publisher.example.com/hint"`)) {
		t.Errorf("license: %s", license)
	}
	id := idOf(t, license)
	s.want(t, http.StatusOK, "POST", "/register/"+id+"?id=d&name=n", nil)
	beyond := time.Now().AddDate(0, 0, 14+20).UTC().Format("2006-01-02T15:04:05Z")
	s.want(t, http.StatusForbidden, "PUT", "/renew/"+id+"?end="+beyond, nil) // the variable beats the file
	in := s.want(t, http.StatusOK, "POST", "/dashdata/login", map[string]string{"username": "laurent", "password": "dashboard-secret"})
	if !bytes.Contains(in, []byte(`"token":"`)) {
		t.Errorf("login: %s", in)
	}
	s.user, s.password = "laurent", "dashboard-secret"
	s.want(t, http.StatusUnauthorized, "GET", "/licenses", nil) // of the dashboard, not of the API
}

func TestServeUsers(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	password := strings.TrimSpace(m.must(t, "users", "add", "shop", "--role", "issuer").out)
	key := strings.TrimSpace(m.must(t, "users", "add-key", "nightly", "--role", "publisher").out)
	m.write(t, "p", []byte("a-password-of-mine\n"))
	if o := m.must(t, "users", "add", "viewer", "--role", "viewer", "--password-file", "p"); o.out != "" {
		t.Errorf("a given password was printed: %s", o.out)
	}
	list := m.must(t, "users", "list", "--format", "json").out
	for _, want := range []string{`"name":"shop"`, `"kind":"key"`, `"role":"publisher"`} {
		if !strings.Contains(strings.ReplaceAll(list, ": ", ":"), want) {
			t.Errorf("list has no %s: %s", want, list)
		}
	}
	if strings.Contains(list, password) || strings.Contains(list, key) || strings.Contains(list, "argon2") {
		t.Errorf("secrets are listed: %s", list)
	}
	s := m.serve(t, "")
	if s.password != "" {
		t.Error("a user was made up where there are some")
	}
	s.user, s.password = "shop", password
	s.want(t, http.StatusOK, "GET", "/licenses", nil)
	s.want(t, http.StatusForbidden, "DELETE", "/publications/"+uuid.NewString(), nil)
	s.user, s.password = "viewer", "a-password-of-mine"
	s.want(t, http.StatusForbidden, "PUT", "/revoke/"+uuid.NewString(), nil)
	if code := s.bearer(t, key); code != http.StatusOK {
		t.Errorf("with a key: %d", code)
	}
	// What is taken back while the server runs counts from then on.
	m.must(t, "users", "remove", "viewer")
	m.must(t, "users", "remove-key", "nightly")
	s.want(t, http.StatusUnauthorized, "GET", "/licenses", nil)
	if code := s.bearer(t, key); code != http.StatusUnauthorized {
		t.Errorf("with a removed key: %d", code)
	}
	for _, args := range [][]string{
		{"users", "remove", "nobody"}, {"users", "add", "x", "--role", "god"}, {"users", "add", "x"}, {"users", "add-key", "", "--role", "admin"},
	} {
		if o := m.run(t, args...); o.code == exitDone || o.errors == "" {
			t.Errorf("lcp %q: exit code %d, %s", args, o.code, o.errors)
		}
	}
	m.write(t, "short", []byte("short\n"))
	if o := m.run(t, "users", "add", "x", "--role", "admin", "--password-file", "short"); o.code != exitFailed {
		t.Errorf("a short password: %d %s", o.code, o.errors)
	}
}

// bearer lists publications with a key.
func (s *served) bearer(t *testing.T, key string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.base+"/publications", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// Asked to end, a server finishes the requests in hand and takes no new ones.
func TestServeFinishesRequests(t *testing.T) {
	t.Parallel()
	s := newMachine(t).serve(t, "")
	body, err := json.Marshal(licenseFor(s.addPublication(t), "u"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	credentials := base64.StdEncoding.EncodeToString([]byte(s.user + ":" + s.password))
	head := fmt.Sprintf("POST /licenses HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", credentials, len(body))
	if _, err := conn.Write([]byte(head)); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") { // now it is in hand
		t.Fatalf("%q, %v", line, err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); ; {
		other, err := net.Dial("tcp", strings.TrimPrefix(s.base, "http://"))
		if err != nil {
			break // the listener is closed
		}
		other.Close()
		if time.Since(begin) > time.Minute {
			t.Fatal("new connections are still taken")
		}
	}
	if _, err := conn.Write(body); err != nil {
		t.Fatal(err)
	}
	_, _ = answers.ReadString('\n') // the empty line after 100 Continue
	resp, err := http.ReadResponse(answers, nil)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("the request in hand: %v, %v: %s", resp, err, s.stderr.String())
	}
	resp.Body.Close()
	if code := s.end(t); code != exitDone {
		t.Errorf("exit code %d: %s", code, s.stderr.String())
	}
}

func TestServeOperations(t *testing.T) {
	t.Parallel()
	s := newMachine(t).serve(t, "")
	get := func(url string) (int, string) {
		t.Helper()
		resp, err := s.client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	s.want(t, http.StatusCreated, "POST", "/licenses/", licenseFor(s.addPublication(t), "u"))
	for _, path := range []string{"/livez", "/readyz"} {
		if code, text := get(s.ops + path); code != http.StatusOK || text != "ok\n" {
			t.Errorf("%s: %d %s", path, code, text)
		}
		if code, _ := get(s.base + path); code != http.StatusNotFound {
			t.Errorf("%s is public: %d", path, code)
		}
	}
	_, metrics := get(s.ops + "/metrics")
	for _, want := range []string{
		`lcp_http_requests_total{code="201",route="POST /licenses"} 1`, "lcp_license_issue_duration_seconds_count",
		"\nlcp_license_sign_duration_seconds_count 1\n", `lcp_store_duration_seconds_count{op="read"} `, `lcp_store_duration_seconds_count{op="write"} `, "go_goroutines",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics have no %s", want)
		}
	}
	if code, _ := get(s.ops + "/licenses"); code != http.StatusNotFound {
		t.Errorf("the API is at the address of operations: %d", code)
	}
}

func TestServeTLS(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	cert, key, pool := m.tlsFiles(t)
	s := &served{machine: m, user: "admin", client: &http.Client{
		Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true},
	}}
	address := "127.0.0.1:" + freePort(t)
	s.base = "https://" + address
	m.write(t, "serve.yaml", fmt.Appendf(nil, "address: %s\nops_address: off\npublic_base_url: https://%[1]s\ntls: {cert: %s, key: %s}\n", address, cert, key))
	s.start(t, "--config", "serve.yaml")
	s.want(t, http.StatusCreated, "POST", "/licenses/", licenseFor(s.addPublication(t), "u"))
	plain, err := http.Get("http://" + address + "/health")
	if err == nil {
		plain.Body.Close()
	}
	if err == nil && plain.StatusCode == http.StatusOK {
		t.Error("without TLS the server answers as well")
	}
}

// Faults of the configuration stop the server at the start, all at once.
func TestServeRefusesToStart(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.write(t, "bad.yaml", []byte("port: 0x\npublic_base_url: ftp://x\nstatus: {fresh_license_link: 'https://x/y'}\ndns: x\n"))
	o := m.run(t, "serve", "--config", "bad.yaml")
	for _, key := range []string{"port", "public_base_url", "status.fresh_license_link", "dns"} {
		if !strings.Contains(o.errors, key) {
			t.Errorf("%s is not named: %s", key, o.errors)
		}
	}
	if o.code == exitDone {
		t.Error("exit code 0")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m.write(t, "taken.yaml", []byte("address: "+l.Addr().String()+"\n"))
	if o := m.run(t, "serve", "--config", "taken.yaml"); o.code != exitFailed || !strings.Contains(o.errors, l.Addr().String()) {
		t.Errorf("on a port that is taken: %d %s", o.code, o.errors)
	}
}

// Killed under load, a server has every license that it answered with 201 when
// it is back, and none twice.
func TestServeSurvivesKill(t *testing.T) {
	t.Parallel()
	const clients, kills = 16, 3
	m := newMachine(t)
	s := m.serve(t, "limits: {public_per_second: 0}\n")
	password, pub := s.password, s.addPublication(t)
	var mu sync.Mutex
	made := map[string]string{} // id by user; guarded by mu
	var n atomic.Int64
	for range kills {
		s.want(t, http.StatusOK, "GET", "/publications", nil) // the password is right: the rest need not be checked for long
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		enough := make(chan struct{}, 1)
		goal := n.Load() + 200
		for range clients {
			wg.Go(func() {
				for ctx.Err() == nil {
					user := fmt.Sprintf("user-%d", n.Add(1))
					code, body, err := s.call(ctx, "POST", "/licenses", licenseFor(pub, user))
					if err != nil {
						return // the server is gone
					}
					var l struct{ ID string }
					if code != http.StatusCreated || json.Unmarshal(body, &l) != nil {
						t.Errorf("%d %s", code, body)
						return
					}
					mu.Lock()
					made[user] = l.ID
					mu.Unlock()
					if n.Load() > goal {
						select {
						case enough <- struct{}{}:
						default:
						}
					}
				}
			})
		}
		<-enough
		if err := s.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		stop()
		s = m.serve(t, "limits: {public_per_second: 0}\n")
		s.password = password
	}
	s.checkLicenses(t, made)
}

// checkLicenses compares the licenses that there are with those that were
// answered, by user.
func (s *served) checkLicenses(t *testing.T, made map[string]string) {
	t.Helper()
	found := map[string]int{}
	for page := 1; ; page++ {
		var list []struct {
			UUID   string
			UserID string `json:"user_id"`
		}
		if err := json.Unmarshal(s.want(t, http.StatusOK, "GET", fmt.Sprintf("/licenses?per_page=1000&page=%d", page), nil), &list); err != nil {
			t.Fatal(err)
		}
		for _, l := range list {
			found[l.UserID]++
			if id, answered := made[l.UserID]; answered && id != l.UUID {
				t.Errorf("%s has the license %s, and was given %s", l.UserID, l.UUID, id)
			}
		}
		if len(list) < 1000 {
			break
		}
	}
	for user := range made {
		if found[user] != 1 {
			t.Errorf("%s has %d licenses, want 1", user, found[user])
		}
	}
	for user, n := range found {
		if n > 1 {
			t.Errorf("%s has %d licenses", user, n)
		}
	}
	t.Logf("%d licenses were answered, %d are there", len(made), len(found))
}

// tlsFiles makes a certificate for 127.0.0.1, and a pool that trusts it.
func (m *machine) tlsFiles(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	m.write(t, "tls.pem", certPEM)
	m.write(t, "tls.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	pool = x509.NewCertPool()
	if !pool.AppendCertsFromPEM(certPEM) {
		t.Fatal("the certificate cannot be read")
	}
	return m.path("tls.pem"), m.path("tls.key"), pool
}
