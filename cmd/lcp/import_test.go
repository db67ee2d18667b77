//go:build unix

package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/legacy/legacytest"
)

// The publications and licenses of the scripts that tests look at.
const (
	whale       = "aaaaaaaa-0000-4000-8000-000000000001"
	unopened    = "bbbbbbbb-0000-4000-8000-000000000001"
	lent        = "bbbbbbbb-0000-4000-8000-000000000002" // on two devices, renewed once
	returned    = "bbbbbbbb-0000-4000-8000-000000000003" // its publication was deleted in v2
	revoked     = "bbbbbbbb-0000-4000-8000-000000000004"
	withdrawn   = "bbbbbbbb-0000-4000-8000-000000000007" // deleted
	otherServer = "license:\n  provider: https://provider.example.org\nstatus:\n  renew_max_days: 60\n"
)

// otherDatabase makes the database of another server, and returns its DSN.
func (m *machine) otherDatabase(t *testing.T, name string, scripts ...string) string {
	t.Helper()
	for _, script := range scripts {
		if err := legacytest.Create(t.Context(), "sqlite", m.path(name), script); err != nil {
			t.Fatal(err)
		}
	}
	return "sqlite3://" + name
}

// A license that another server issued lives on: its status, its devices, and
// fresh licenses with the same content key. What happens here afterwards stays
// when the rest is imported.
func TestImportThenServe(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	old := m.otherDatabase(t, "old.db", legacytest.V2)
	o := m.run(t, "import", old)
	if o.code != exitSomeFailed || !strings.Contains(o.errors, "publications: 5 new, 1 failed\n") ||
		!strings.Contains(o.errors, "licenses: 6 new, 1 left out as deleted there, 3 failed, 1 of them not whole\n") {
		t.Fatalf("import ended with %d: %s", o.code, o.errors)
	}
	s := m.serve(t, otherServer)
	doc := s.status(t, strings.ToUpper(lent)) // as the license has it that the reader holds
	if doc.Status != "active" || doc.PotentialRights.End != "2031-05-01T00:00:00Z" || doc.Updated.License != "2026-02-03T10:00:00Z" {
		t.Errorf("status document: %+v", doc)
	}
	if len(doc.Events) != 3 || doc.Events[1].ID != "device-2" || doc.Events[2].Type != "renew" || doc.Events[2].Timestamp != "2026-02-03T10:00:00Z" {
		t.Errorf("events: %+v", doc.Events)
	}
	for id, want := range map[string]string{unopened: "ready", returned: "returned", revoked: "revoked"} {
		if doc := s.status(t, id); doc.Status != want {
			t.Errorf("license %s is %s, want %s", id, doc.Status, want)
		}
	}
	s.want(t, http.StatusNotFound, "GET", "/status/"+withdrawn, nil)

	s.wantContentKey(t, lent, legacytest.Key(1))
	s.wantContentKey(t, returned, legacytest.Key(2))

	// A device that was registered there need not register again, and may return.
	s.want(t, http.StatusOK, "POST", "/register/"+lent+"?id=device-1&name=Thorium", nil)
	if n := len(s.status(t, lent).Events); n != 3 {
		t.Errorf("%d events after a device registered again, want 3", n)
	}
	s.want(t, http.StatusOK, "POST", "/register/"+lent+"?id=device-new&name=App", nil)
	s.want(t, http.StatusBadRequest, "PUT", "/return/"+lent+"?id=stranger&name=App", nil)
	s.want(t, http.StatusOK, "PUT", "/renew/"+lent+"?id=device-2&name=App&end=2031-04-01T00:00:00Z", nil)
	s.want(t, http.StatusOK, "PUT", "/return/"+lent+"?id=device-1&name=Thorium", nil)
	s.want(t, http.StatusOK, "POST", "/register/"+unopened+"?id=device-9&name=App", nil)
	s.want(t, http.StatusBadRequest, "POST", "/register/"+revoked+"?id=device-9&name=App", nil)
	s.want(t, http.StatusCreated, "POST", "/licenses/", licenseFor(whale, "u"))

	again := m.run(t, "import", old)
	if again.code != exitSomeFailed || !strings.Contains(again.errors, "licenses: 4 unchanged, 2 kept as changed here") {
		t.Errorf("second import ended with %d: %s", again.code, again.errors)
	}
	if doc := s.status(t, lent); doc.Status != "returned" || len(doc.Events) != 6 {
		t.Errorf("after a second import: %+v", doc)
	}
}

// statusDocument is what tests look at of one.
type statusDocument struct {
	Status          string
	Updated         struct{ License, Status string }
	PotentialRights struct{ End string } `json:"potential_rights"`
	Events          []struct{ Type, ID, Name, Timestamp string }
}

func (s *served) status(t *testing.T, id string) (doc statusDocument) {
	t.Helper()
	if err := json.Unmarshal(s.want(t, http.StatusOK, "GET", "/status/"+id, nil), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// wantContentKey fails unless a fresh license opens with its passphrase to a
// content key.
func (s *served) wantContentKey(t *testing.T, id string, want lcpcrypto.ContentKey) {
	t.Helper()
	hash := strings.Repeat("0A", 32)
	text := s.want(t, http.StatusOK, "POST", "/licenses/"+id, map[string]string{"text_hint": "hint", "pass_hash": hash})
	var license struct {
		Provider   string
		Encryption struct {
			ContentKey struct {
				Value []byte `json:"encrypted_value"`
			} `json:"content_key"`
		}
	}
	if err := json.Unmarshal(text, &license); err != nil {
		t.Fatal(err)
	}
	var user lcpcrypto.UserKey
	for i := range user {
		user[i] = 0x0a
	}
	key, err := lcpcrypto.Decrypt(user, license.Encryption.ContentKey.Value)
	if err != nil || string(key) != string(want[:]) {
		t.Errorf("content key of %s is %x, %v, want %x", id, key, err, want)
	}
	if license.Provider != "https://provider.example.org" {
		t.Errorf("license is of %s", license.Provider)
	}
}

// Records that cannot be brought over are told on standard output, each with its
// reason, whether it is a dry run or not; that writes nothing.
func TestImportReports(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.otherDatabase(t, "old.db", legacytest.V2)
	m.env = append(m.env, "LCP_IMPORT_FROM=old.db")
	dry := m.run(t, "import", "--dry-run")
	if dry.code != exitSomeFailed || !strings.Contains(dry.errors, "it was a dry run") || m.publications(t) != 0 {
		t.Errorf("dry run ended with %d, %d publications: %s", dry.code, m.publications(t), dry.errors)
	}
	o := m.run(t, "import", "-q")
	if o.errors != "" || o.out != dry.out || strings.Count(o.out, "\n") != 5 {
		t.Errorf("import -q says %s%s, the dry run %s", o.errors, o.out, dry.out)
	}
	if want := `{"type":"license","id":"bbbbbbbb-0000-4000-8000-000000000008","result":"failed","error":"status \"asleep\" is not known"}` + "\n"; !strings.Contains(o.out, want) {
		t.Errorf("records %s have no %s", o.out, want)
	}
	if table := m.run(t, "import", "--format", "table").out; !strings.HasPrefix(table, "TYPE ") || !strings.Contains(table, "device_id is missing") {
		t.Errorf("table: %s", table)
	}
}

// The license server and the status server of a Readium LCP Server v1 have a
// database each. What they do not know is told.
func TestImportV1(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	lcp, lsd := m.otherDatabase(t, "lcp.sqlite", legacytest.V1LCP), m.otherDatabase(t, "lsd.sqlite", legacytest.V1LSD)
	if o := m.run(t, "import", lcp); o.code != exitFailed || !strings.Contains(o.errors, "--status-from") {
		t.Errorf("without its status server: %d %s", o.code, o.errors)
	}
	o := m.run(t, "import", lcp, "--status-from", lsd)
	for _, want := range []string{
		"Readium LCP Server v1: 3 publications, 7 licenses", "publications: 3 new", "licenses: 5 new, 2 failed",
		"1 publications have no address", "1 publications have no size", "3 publications have no title", "1 licenses are not known to the status server",
	} {
		if !strings.Contains(o.errors, want) {
			t.Errorf("import says nothing of %q: %s", want, o.errors)
		}
	}
	if o.code != exitSomeFailed {
		t.Errorf("exit code is %d", o.code)
	}
	if o := m.run(t, "import", lcp, "--status-from", lsd, "--url", "https://cdn.example.org/books"); !strings.Contains(o.errors, "publications: 1 updated, 2 unchanged") {
		t.Errorf("with --url afterwards: %s", o.errors)
	}
	s := m.serve(t, otherServer)
	s.wantContentKey(t, lent, legacytest.Key(2))
	s.want(t, http.StatusCreated, "POST", "/licenses/", licenseFor(whale, "u"))
	if doc := s.status(t, returned); doc.Status != "returned" || doc.Updated.License != "2020-02-04T10:00:00Z" {
		t.Errorf("status document: %+v", doc)
	}
}

// What is wrong with the names of databases is told, and what to do.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.otherDatabase(t, "old.db", legacytest.V2)
	m.must(t, "publications", "list")
	for _, test := range []struct {
		code int
		want string
		args []string
	}{
		{exitMisused, "LCP_IMPORT_FROM", nil},
		{exitMisused, "--url", []string{"old.db", "--url", "here"}},
		{exitFailed, "no such file", []string{"missing.db"}},
		{exitFailed, "scheme", []string{"oracle://secret@host/db"}},
		{exitFailed, "is one of lcp itself", []string{m.data + "/lcp.db"}},
		{exitFailed, "--status-from: ", []string{"old.db", "--status-from", "missing.db"}},
	} {
		o := m.run(t, append([]string{"import"}, test.args...)...)
		if o.code != test.code || !strings.Contains(o.errors, test.want) || strings.Contains(o.errors, "secret") {
			t.Errorf("import %q ended with %d: %s, want %d and %q", test.args, o.code, o.errors, test.code, test.want)
		}
	}
	if _, err := os.Stat(m.path("missing.db")); err == nil {
		t.Error("a database was made")
	}
	// A server that is pointed at the other one's database tells the way here.
	m.env = append(m.env, "LCPSERVER_DSN=sqlite3://old.db")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := m.command(ctx, "serve").CombinedOutput()
	if err == nil || !strings.Contains(string(out), `give lcp a database of its own, and bring the records over with "lcp import OLD-DSN"`) {
		t.Errorf("lcp serve: %v: %s", err, out)
	}
}
