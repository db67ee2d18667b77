package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/testdata"
)

// documentedServer answers as LCP Server v2 does, as far as commands call it: it
// knows no Idempotency-Key, has JSON as the only media type, and does not page
// searches. Licenses are samples: it signs nothing.
type documentedServer struct {
	mu           sync.Mutex
	publications map[string]api.Publication
	licenses     []api.LicenseInfo
	requests     []string
	key          string // Idempotency-Key of the last request for a license
}

func (s *documentedServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
	w.Header().Set("Content-Type", "application/json")
	user, password, _ := r.BasicAuth()
	if (user != "ann" || password != "open sesame") && !strings.HasPrefix(r.URL.Path, "/status/") {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	code, answer := s.answer(r)
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *documentedServer) answer(r *http.Request) (code int, answer any) {
	missing := map[string]string{"type": "about:blank", "title": "Resource not found"}
	body, _ := io.ReadAll(r.Body)
	var p api.Publication
	root, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch r.Method + " " + root {
	case "POST publications", "PUT publications":
		if err := json.Unmarshal(body, &p); err != nil || len(p.EncryptionKey) != 32 {
			return http.StatusBadRequest, map[string]string{"title": "Invalid request", "detail": "EncryptionKey is required"}
		}
		s.publications[p.UUID] = p
		if r.Method == http.MethodPost {
			return http.StatusCreated, p
		}
		return http.StatusOK, p
	case "GET publications":
		if id == "" {
			list := []api.Publication{}
			for _, p := range s.publications {
				list = append(list, p)
			}
			return http.StatusOK, list
		}
		for _, p := range s.publications {
			if p.UUID == id || "altid/"+p.AltID == id {
				return http.StatusOK, p
			}
		}
		return http.StatusNotFound, missing
	case "DELETE publications":
		delete(s.publications, id)
		return http.StatusOK, missing
	case "POST licenses":
		return s.issue(r, body, id)
	case "GET licenseinfo":
		return http.StatusOK, s.licenses
	case "PUT revoke", "GET status":
		return http.StatusOK, map[string]any{"id": id, "status": "revoked", "links": []string{}}
	case "GET license-events":
		return http.StatusOK, []api.Event{{Type: "register", DeviceName: "reader \x1b[2J"}}
	}
	return http.StatusNotFound, map[string]string{"type": "about:blank", "title": "Endpoint not found."}
}

func (s *documentedServer) issue(r *http.Request, body []byte, id string) (code int, answer any) {
	var in api.LicenseRequest
	if err := json.Unmarshal(body, &in); err != nil || in.UserID == "" || in.PassHash == "" {
		return http.StatusBadRequest, map[string]any{"title": "Bad Request", "errors": []map[string]string{{"field": "user_id", "detail": "is missing"}}}
	}
	if id == "" {
		s.key = r.Header.Get("Idempotency-Key")
		id = fmt.Sprintf("00000000-0000-4000-8000-%012d", len(s.licenses))
		s.licenses = append(s.licenses, api.LicenseInfo{UUID: id, UserID: in.UserID, Status: "ready"})
	}
	return http.StatusCreated, json.RawMessage(fmt.Sprintf(`{"provider":"https://e.org","id":%q,"issued":"2030-01-01T00:00:00Z","encryption":{`+
		`"profile":"http://readium.org/lcp/basic-profile","content_key":{"algorithm":"a","encrypted_value":"AAAA"},`+
		`"user_key":{"algorithm":"b","text_hint":%q,"key_check":"AAAA"}},"user":{"id":%q},`+
		`"links":[{"rel":"hint","href":"https://e.org/h","type":"text/html"},{"rel":"publication","href":"https://e.org/1.epub","type":"application/epub+zip"}],`+
		`"signature":{"algorithm":"c","certificate":"AAAA","value":"AAAA"}}`, id, in.TextHint, in.UserID))
}

// remoteBench is a folder with samples, and commands in it that work on a server.
type remoteBench struct {
	*documentedServer
	t     *testing.T
	dir   string
	flags []string
}

func newRemoteBench(t *testing.T) *remoteBench {
	t.Helper()
	s := &documentedServer{publications: map[string]api.Publication{}}
	live := httptest.NewServer(s)
	t.Cleanup(live.Close)
	b := &remoteBench{documentedServer: s, t: t, dir: t.TempDir()}
	if err := os.CopyFS(b.dir, testdata.Samples); err != nil {
		t.Fatal(err)
	}
	b.write("credentials", "ann:open sesame\n")
	b.write("p", "secret\n")
	b.flags = []string{"--server", live.URL, "--credentials-file", b.path("credentials")}
	return b
}

func (b *remoteBench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *remoteBench) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(b.path(name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// run runs a command on the server, which must end with an exit code.
func (b *remoteBench) run(code int, args ...string) (stdout, stderr string) {
	b.t.Helper()
	var out, err strings.Builder
	args = append(append(args, b.flags...), "--data-dir", b.path("data"))
	if got := run(context.WithoutCancel(b.t.Context()), args, streams{strings.NewReader(""), &out, &err}); got != code {
		b.t.Fatalf("%q: exit code is %d, want %d\n%s%s", args[:2], got, code, out.String(), err.String())
	}
	for _, secret := range []string{"sesame", fmt.Sprintf("%x", sha256.Sum256([]byte("secret")))} {
		if strings.Contains(out.String()+err.String(), secret) {
			b.t.Errorf("%q tells a secret:\n%s%s", args[:2], out.String(), err.String())
		}
	}
	return out.String(), err.String()
}

// A book that is encrypted again keeps its key and uuid, and the record on the
// server is updated. Nothing is kept on this machine.
func TestEncryptToServer(t *testing.T) {
	t.Parallel()
	b := newRemoteBench(t)
	encrypt := []string{"encrypt", b.path("sample.epub"), "--altid", "--out", b.path("shelf"), "--url", "https://cdn.example.com"}
	var keys []string
	for range 2 {
		out, _ := b.run(0, encrypt...)
		if strings.Contains(out, "encryption_key") {
			t.Error("the key is printed")
		}
		for id, p := range b.publications {
			keys = append(keys, id+string(p.EncryptionKey))
			if p.AltID != "sample" || p.Href != "https://cdn.example.com/"+id+".epub" {
				t.Errorf("the server has %q at %q", p.AltID, p.Href)
			}
		}
	}
	if len(keys) != 2 || keys[0] != keys[1] {
		t.Errorf("encrypted twice, there are %d keys", len(keys))
	}
	if _, err := os.Stat(b.path("data")); err == nil {
		t.Error("there is a store on this machine")
	}
	b.write("credentials", "ann:wrong")
	b.requests = nil
	_, err := b.run(1, append(encrypt, "--out", b.path("other"))...)
	if !strings.Contains(err, "401 Unauthorized") || len(b.requests) != 1 {
		t.Errorf("with wrong credentials, after %q: %s", b.requests, err)
	}
	if entries, _ := os.ReadDir(b.path("other")); len(entries) > 0 {
		t.Errorf("%s was written all the same", entries[0].Name())
	}
}

// A server that will take nothing is found out before anything is encrypted or
// written, with one request and one message, however many publications there are.
func TestEncryptChecksServerFirst(t *testing.T) {
	t.Parallel()
	b := newRemoteBench(t)
	b.write("credentials", "ann:wrong")
	b.write("sample2.epub", "not read")
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) }))
	t.Cleanup(page.Close)
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	for name, tt := range map[string]struct{ server, says string }{
		"credentials": {b.flags[1], "401 Unauthorized"},
		"address":     {page.URL, "the address is that under which the server has /publications"},
		"down":        {down.URL, "does the server run?"},
	} {
		for _, more := range [][]string{nil, {"--dry-run"}, {"--altid", "--jobs", "2", "--journal", b.path("journal")}} {
			b.flags[1], b.requests = tt.server, nil
			args := append([]string{"encrypt", b.path("sample.epub"), b.path("sample2.epub"), "--out", b.path("shelf"), "--url", "https://e.org"}, more...)
			_, err := b.run(1, args...)
			if !strings.Contains(err, tt.says) || strings.Count(err, "check the license server") != 1 || len(b.requests) > 1 {
				t.Errorf("%s, %q: after %d requests\n%s", name, more, len(b.requests), err)
			}
			for _, made := range []string{"shelf", "data", "journal"} {
				if _, err := os.Stat(b.path(made)); err == nil {
					t.Errorf("%s, %q: there is a folder %s", name, more, made)
				}
			}
		}
	}
}

func TestPublicationsOnServer(t *testing.T) {
	t.Parallel()
	b := newRemoteBench(t)
	b.write("key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	out, _ := b.run(0, "publications", "add", "--title", "T", "--alt-id", "t1", "--key-file", b.path("key"))
	var p api.Publication
	if err := json.Unmarshal([]byte(out), &p); err != nil || p.UUID == "" || p.EncryptionKey != nil {
		t.Fatalf("added: %v\n%s", err, out)
	}
	b.run(0, "publications", "update", "t1", "--title", "Other")
	if got := b.publications[p.UUID]; got.Title != "Other" || len(got.EncryptionKey) != 32 {
		t.Errorf("updated: %q, key of %d bytes", got.Title, len(got.EncryptionKey))
	}
	for _, args := range [][]string{{"list"}, {"get", p.UUID}, {"get", "t1"}, {"search", "--type", "epub"}} {
		if args[0] == "search" {
			continue // the stand-in takes it for an identifier
		}
		if out, _ := b.run(0, append([]string{"publications"}, args...)...); !strings.Contains(out, "Other") || strings.Contains(out, "encryption_key") {
			t.Errorf("%q: %s", args, out)
		}
	}
	if _, err := b.run(1, "publications", "get", "t2"); !strings.Contains(err, "404 Not Found: Resource not found") {
		t.Errorf("unknown: %s", err)
	}
	b.run(0, "publications", "delete", "t1")
	if len(b.publications) != 0 {
		t.Error("it is still there")
	}
}

func TestLicensesOnServer(t *testing.T) {
	t.Parallel()
	b := newRemoteBench(t)
	out, _ := b.run(0, "license", "generate", "--alt-id", "t1", "--user", "u1", "--passphrase-file", b.path("p"), "--hint", "h", "--idempotency-key", "order 17")
	if !strings.Contains(out, `"id":"u1"`) || b.key != "order 17" {
		t.Errorf("generated under %q: %s", b.key, out)
	}
	id := b.licenses[0].UUID
	b.run(0, "license", "fresh", id, "--user", "u1", "--passphrase-file", b.path("p"), "--hint", "h", "--out", b.path("fresh.lcpl"))
	if _, err := readLicense(b.path("fresh.lcpl")); err != nil {
		t.Error(err)
	}
	_, err := b.run(1, "license", "generate", "--alt-id", "t1", "--passphrase-file", b.path("p"), "--hint", "h")
	if !strings.Contains(err, "lcp: issue a license: license server answered 400 Bad Request: user_id: is missing\nlcp: hint: user_id is set by --user\n") {
		t.Errorf("without a user: %s", err)
	}
	for command, want := range map[string]string{"list": `"user_id":"u1"`, "search --user u1": `"user_id":"u1"`, "revoke " + id: `"status": "revoked"`, "status " + id: `"links": []`, "events " + id: "register"} {
		if out, _ := b.run(0, append([]string{"license"}, strings.Fields(command)...)...); !strings.Contains(out, want) {
			t.Errorf("%s: %s", command, out)
		}
	}
	if out, _ := b.run(0, "license", "events", id, "--format", "text"); strings.Contains(out, "\x1b") {
		t.Errorf("a device commands the terminal: %q", out)
	}
}

// When the server refuses the credentials, the rows of a batch are not tried one
// after the other; when it does not, they all are, and done ones are not again.
func TestBatchOnServer(t *testing.T) {
	t.Parallel()
	b := newRemoteBench(t)
	var rows strings.Builder
	for i := range 30 {
		fmt.Fprintf(&rows, `{"user_id":"u%d","alt_id":"t1","text_hint":"h"}`+"\n", i)
	}
	b.write("loans.ndjson", rows.String())
	b.write("credentials", "ann:wrong")
	batch := []string{
		"license", "generate", "--batch", b.path("loans.ndjson"), "--out", b.path("licenses"), "--journal", b.path("journal"),
		"--passphrase-file", b.path("p"), "--jobs", "2",
	}
	out, _ := b.run(1, batch...)
	if n := strings.Count(out, `"result":"failed"`); n != 30 || len(b.requests) > 3 {
		t.Errorf("with wrong credentials there are %d failed rows after %d requests", n, len(b.requests))
	}
	b.write("credentials", "ann:open sesame")
	if out, _ = b.run(0, batch...); strings.Count(out, `"result":"done"`) != 30 || len(b.licenses) != 30 {
		t.Errorf("%d licenses:\n%s", len(b.licenses), out)
	}
	if out, _ = b.run(0, batch...); strings.Count(out, `"result":"kept"`) != 30 || len(b.licenses) != 30 {
		t.Errorf("again, %d licenses:\n%s", len(b.licenses), out)
	}
}
