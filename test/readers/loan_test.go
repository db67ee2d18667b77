package readers_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
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
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/profile"
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
	gateway := httptest.NewServer(http.HandlerFunc(s.gateway))
	t.Cleanup(gateway.Close)
	config := filepath.Join(t.TempDir(), "lcp.yaml")
	text := fmt.Sprintf("public_base_url: %[1]s\naddress: %[2]s\nops_address: off\naccess: {username: %[3]s, password: %[4]s}\n"+
		"status: {fresh_license_link: '%[5]s/fresh/{license_id}', renew_default_days: 7, renew_max_days: 60}\n",
		s.base, address, apiUser, apiPassword, gateway.URL)
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
