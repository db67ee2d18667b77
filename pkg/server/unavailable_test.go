package server_test

import (
	"database/sql"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/server"

	_ "modernc.org/sqlite"
)

// raw opens the database of a rig past the store.
func (r *rig) raw(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", r.file+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

// forgetAnswers makes the database look as if the process had died before it
// kept any answer.
func (r *rig) forgetAnswers(t *testing.T) {
	t.Helper()
	if _, err := r.raw(t).ExecContext(t.Context(), "UPDATE claims SET answer = NULL"); err != nil {
		t.Fatal(err)
	}
}

// Without its database the server answers 503 to whatever needs it, and leaves
// nothing half-made. Once the database is back so is the server.
func TestDatabaseGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := r.addPublication(t)
	id := r.addLicense(t, pub)
	before := r.everything(t)

	gone := *r
	gone.options.Store = openStore(t, filepath.Join(t.TempDir(), "gone.db"), r.clock)
	if err := gone.options.Store.Close(); err != nil {
		t.Fatal(err)
	}
	gone.options.Licensing = newServices(t, gone.options.Store, r.clock)
	gone.start(t)
	for _, c := range []call{
		{method: "GET", path: "/status/" + id},
		{method: "POST", path: "/register/" + id + device("d")},
		{method: "PUT", path: "/return/" + id},
		{method: "PUT", path: "/renew/" + id},
		{method: "GET", path: "/publications"},
		{method: "GET", path: "/licenses/search?user=x"},
		{method: "GET", path: "/licenseinfo/" + id},
		{method: "POST", path: "/licenses", body: licenseRequest(pub)},
		{method: "POST", path: "/licenses/" + id, body: freshRequest()},
		{method: "POST", path: "/publications", body: publication(id)},
		{method: "PUT", path: "/revoke/" + id},
		{method: "DELETE", path: "/publications/" + pub},
		keyed("k", "/licenses", licenseRequest(pub)),
	} {
		c.role = "admin"
		a := gone.send(t, c)
		if p := decode[server.Problem](t, a); a.code != http.StatusServiceUnavailable || p.Type != failure+"server" || strings.Contains(a.body, "closed") {
			t.Errorf("%s %s: %d %s", c.method, c.path, a.code, a.body)
		}
	}
	if r.everything(t) != before {
		t.Error("something was written")
	}
}

// While another process keeps the database locked writers are told so, in time,
// and can go on afterwards without a restart.
func TestDatabaseLocked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := r.addPublication(t)
	id := r.addLicense(t, pub)
	db := r.raw(t)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	r.mustPublic(t, http.StatusOK, "GET", "/status/"+id) // readers go on
	done := make(chan answer, 1)
	go func() {
		done <- r.send(t, call{method: "POST", path: "/licenses", body: licenseRequest(pub), role: "admin"})
	}()
	select {
	case a := <-done:
		t.Errorf("answered while the database was locked: %d %s", a.code, a.body)
	case <-time.After(50 * time.Millisecond):
	}
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if a := <-done; a.code != http.StatusCreated {
		t.Errorf("afterwards: %d %s", a.code, a.body)
	}
	if n := r.total(t, "/licenses"); n != "2" {
		t.Errorf("there are %s licenses, want 2", n)
	}
}

// Tables that are gone, and back: what a failing disk or a database that is
// restored looks like.
func TestDatabaseRecovers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := r.addPublication(t)
	id := r.addLicense(t, pub)
	db := r.raw(t)
	exec := func(query string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	exec("ALTER TABLE license_events RENAME TO kept")
	for _, c := range []call{{method: "POST", path: "/register/" + id + device("d")}, {method: "PUT", path: "/revoke/" + id, role: "admin"}} {
		if a := r.send(t, c); a.code < 500 {
			t.Errorf("%s: %d %s", c.path, a.code, a.body)
		}
	}
	exec("ALTER TABLE kept RENAME TO license_events")
	if d := r.status(t, id); d.Status != "ready" || len(d.Events) > 0 {
		t.Errorf("half a registration stayed: %+v", d)
	}
	r.register(t, id, deviceID)
	if info := r.info(t, id); info["device_count"] != 1.0 {
		t.Errorf("record: %v", info)
	}
}
