package store_test

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/keyring"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/store"
	"github.com/lcp-tools/lcp/pkg/store/storetest"
)

// fillPragmas make SQLite fast and careless.
const fillPragmas = "?_pragma=journal_mode(wal)&_pragma=synchronous(off)&_pragma=temp_store(memory)&_pragma=cache_size(-300000)"

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Implementation{
		New: func(t *testing.T) storetest.Database {
			dsn := filepath.Join(t.TempDir(), "lcp.db")
			return storetest.Database{DSN: dsn, Files: func() []string {
				files, err := filepath.Glob(dsn + "*")
				if err != nil {
					t.Fatal(err)
				}
				return files
			}}
		},
		Process: process,
		Fill: func(t *testing.T, o store.Options, f storetest.Filling) {
			if err := storetest.Fill(t.Context(), o, "sqlite", o.DSN+fillPragmas, f); err != nil {
				t.Fatal(err)
			}
		},
	})
}

func testOptions(t *testing.T, dsn string) store.Options {
	t.Helper()
	k, err := keyring.New(keyring.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC) }
	return store.Options{DSN: dsn, Keyring: k, Now: now, Migrate: true}
}

func somePublication(uuid string) store.Publication {
	return store.Publication{UUID: uuid, ContentKey: lcpcrypto.NewContentKey()}
}

// The names of databases that the configuration of the LCP Server documents,
// and those that SQLite itself knows.
func TestDSN(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	slash := filepath.ToSlash(dir)
	escaped := (&url.URL{Path: slash}).EscapedPath()
	for dsn, file := range map[string]string{
		filepath.Join(dir, "path.db"):                                "path.db",
		filepath.Join(dir, "a b%20c#d?e.db"):                         "a b%20c#d?e.db",
		"sqlite://" + slash + "/sqlite.db":                           "sqlite.db",
		"sqlite3://" + slash + "/sqlite3.db":                         "sqlite3.db",
		"sqlite3://" + slash + "/sq.db?cache=shared&_busy_timeout=5": "sq.db",
		"sqlite3://file:" + escaped + "/nested.db?cache=shared":      "nested.db",
		"file:" + escaped + "/file.db?mode=rwc":                      "file.db",
		"file://" + escaped + "/file%202.db":                         "file 2.db",
		"file://localhost" + escaped + "/file3.db":                   "file3.db",
		":memory:":                             "",
		"file::memory:":                        "",
		"sqlite3://:memory:":                   "",
		"sqlite3://file::memory:?cache=shared": "",
		"file:name?mode=memory":                "",
	} {
		s, err := store.Open(t.Context(), testOptions(t, dsn))
		if err != nil {
			t.Errorf("Open(%q): %v", dsn, err)
			continue
		}
		if _, err := s.CreatePublication(t.Context(), somePublication("p")); err != nil {
			t.Errorf("%q: %v", dsn, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%q: %v", dsn, err)
		}
		if file == "" {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil {
			t.Errorf("%q: %v", dsn, err)
		} else if info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("%q: mode %v, want 0600", dsn, info.Mode())
		}
	}
}

func TestDSNRefused(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"":                                      "empty",
		"postgres://lcp:hunter2%@db/lcp":        "percent-encoded",
		"postgres://lcp:hunter2@db:port/lcp":    "percent-encoded",
		"postgres://lcp:hunter2@db/lcp?port=x":  "must look like postgres://",
		"mysql://lcp:hunter2@tcp(db:3306)":      "must look like mysql://",
		"mysql://lcp:hunter2@tcp(db:3306/lcp":   "must look like mysql://",
		"mysql://lcp:hunter2@db:3306/":          "must look like mysql://",
		"mysql://lcp:hunter2%@db:3306/lcp":      "must look like mysql://",
		"mysql://lcp:hunter2@db/lcp?tls=maybe":  "must look like mysql://",
		"lcp:hunter2@tcp(db:3306)":              "must look like mysql://",
		"oracle://lcp:hunter2@db":               `"oracle" is not known`,
		"sqlite://":                             "names no file",
		"file:":                                 "names no file",
		"file://elsewhere/lcp.db":               `"elsewhere"`,
		"file:lcp.db?mode=ro":                   "mode=ro is not supported",
		"sqlite3://lcp.db?journal=wal":          "journal=wal is not supported",
		"file:%zz":                              "%zz",
		"sqlite:///nowhere/at/all/lcp.db":       "nowhere",
		"file:lcp.db%00.txt":                    "names no file",
		"sqlite3://lcp.db?cache=shared;mode=ro": "",
	} {
		s, err := store.Open(t.Context(), testOptions(t, dsn))
		if err == nil {
			s.Close()
			t.Errorf("Open(%q) succeeded", dsn)
			continue
		}
		if !errors.Is(err, store.ErrDSN) && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open(%q): error = %v, want ErrDSN", dsn, err)
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q): error = %v, want %q", dsn, err, want)
		}
	}
}

func TestMemoryDatabasesAreApart(t *testing.T) {
	t.Parallel()
	const dsn = "sqlite3://file::memory:?cache=shared"
	for range 2 {
		s, err := store.Open(t.Context(), testOptions(t, dsn))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.CreatePublication(t.Context(), somePublication("p")); err != nil {
			t.Error(err)
		}
	}
}

// Whoever copies the file of a closed database has all of it.
func TestClosedDatabaseIsOneFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lcp.db")
	s, err := store.Open(t.Context(), testOptions(t, path))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreatePublication(t.Context(), somePublication("p")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if files, err := filepath.Glob(path + "*"); err != nil || len(files) != 1 {
		t.Errorf("files = %v, %v, want one", files, err)
	}
}

// firstSchema fills a database as the first release had it.
const firstSchema = `
INSERT INTO publications VALUES (1, 'p', 'alt', 'alt', '', 'Title', '[]', '[]', '', '[]', '', 'application/epub+zip', '', 1, 'c', '', X'00', 5, 5, 0);
INSERT INTO licenses VALUES (1, 'used', 'p', 'jane', '', '', NULL, NULL, NULL, NULL, NULL, 'active', 1, 86400000, NULL, 1);
INSERT INTO licenses VALUES (2, 'new', 'p', 'jane', '', '', NULL, 100000000, NULL, NULL, NULL, 'ready', 1, 86400001, NULL, 0);
INSERT INTO licenses VALUES (3, 'odd', 'p', '', '', '', NULL, NULL, NULL, NULL, NULL, 'cancelled', 1, NULL, NULL, 0);
INSERT INTO devices VALUES ('used', 'd', 'Phone', 7);
INSERT INTO events VALUES (1, 'odd', 'cancel', '', '', 6);
INSERT INTO events VALUES (2, 'used', 'register', 'd', 'Phone', 7);
INSERT INTO events VALUES (3, 'used', 'renew', 'd', 'Phone', 8);`

// oldDatabase makes a database with the first migrations, so many of them, and with
// what is in it.
func oldDatabase(t *testing.T, path string, migrations int, content ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	files, err := filepath.Glob("migrations/sqlite/*.sql")
	if err != nil || len(files) < migrations {
		t.Fatal(files, err)
	}
	statements := []string{`CREATE TABLE schema_versions (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')));
		INSERT INTO schema_versions (version_id, is_applied) VALUES (0, 1);`}
	for i, file := range files[:migrations] {
		schema, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(schema), "-- +goose Down")
		statements = append(statements, up, fmt.Sprintf("INSERT INTO schema_versions (version_id, is_applied) VALUES (%d, 1)", i+1))
	}
	for _, s := range append(statements, content...) {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

// Tokens that were spent before the table of them was made anew stay spent, until
// they expire.
func TestSpentBeforeMigration(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lcp.db")
	o := testOptions(t, path)
	oldDatabase(t, path, 5, fmt.Sprintf("INSERT INTO spent_tokens VALUES ('shop/a', %d), ('shop/b', 1)", o.Now().Add(time.Hour).UnixMilli()))
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for n := range 128 { // until the old one is swept away
		if err := s.Spend(t.Context(), store.Spending{Provider: "shop", Token: strconv.Itoa(n), Until: o.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	for token, want := range map[string]error{"a": store.ErrSpent, "b": nil, "127": store.ErrSpent} {
		if err := s.Spend(t.Context(), store.Spending{Provider: "shop", Token: token, Until: o.Now().Add(time.Hour)}); !errors.Is(err, want) {
			t.Errorf("token %s: %v, want %v", token, err, want)
		}
	}
}

// A database of the first release keeps its records, and its figures are right.
func TestFirstSchema(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lcp.db")
	o := testOptions(t, path)
	sealed := o.Keyring.Seal(make([]byte, 32), []byte("content key of publication p"))
	oldDatabase(t, path, 1, firstSchema, "UPDATE publications SET content_key = x'"+hex.EncodeToString(sealed)+"'")
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l, events, err := s.LicenseHistory(t.Context(), "used")
	if err != nil || l.DeviceCount != 1 || len(events) != 2 || events[1].Type != "renew" || events[0].DeviceID != "d" {
		t.Errorf("history = %v, %v, %v", l, events, err)
	}
	if _, events, err := s.ChangeLicense(t.Context(), "used", "d", func(l store.License, registered bool) (store.License, []store.Event, error) {
		if !registered {
			t.Error("device d is not registered any more")
		}
		return l, []store.Event{{Type: "return", At: o.Now()}}, nil
	}); err != nil || len(events) != 3 {
		t.Errorf("after a change: %v, %v", events, err)
	}
	f, err := s.Figures(t.Context(), o.Now(), store.LicenseFilter{CountDevices: true, MinDevices: 1})
	if err != nil || f.Licenses != 3 || f.Users != 1 || f.Publications != 1 || f.Overshared != 1 || f.Oldest.Unix() != 86400 {
		t.Errorf("figures = %+v, %v", f, err)
	}
	want := []store.Count{{Name: "active", Count: 1}, {Name: "cancelled", Count: 1}, {Name: "expired", Count: 1}}
	if !slices.Equal(f.Statuses, want) {
		t.Errorf("statuses = %v, want %v", f.Statuses, want)
	}
}

func TestNotADatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lcp.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), testOptions(t, path))
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "not a database") {
		t.Errorf("Open = %v, want that %s is not a database", err, path)
	}
}

func TestNewerSchema(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lcp.db")
	s, err := store.Open(t.Context(), testOptions(t, path))
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "INSERT INTO schema_versions (version_id, is_applied) VALUES (999, 1)"); err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), testOptions(t, path))
	if !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), "newer lcp") {
		t.Errorf("Open = %v, want ErrSchema", err)
	}
}

// A content key that is moved to another publication does not open there.
func TestSwappedKeys(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lcp.db")
	s, err := store.Open(t.Context(), testOptions(t, path))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, uuid := range []string{"mine", "theirs"} {
		if _, err := s.CreatePublication(t.Context(), somePublication(uuid)); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const swap = "UPDATE publications SET content_key = (SELECT content_key FROM publications WHERE uuid = 'theirs') WHERE uuid = 'mine'"
	if _, err := db.ExecContext(t.Context(), swap); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Publication(t.Context(), "mine"); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("Publication = %v, want ErrSealed", err)
	}
}

// Every list and every search finds its rows by an index.
func TestPlans(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lcp.db")
	s, err := store.Open(t.Context(), testOptions(t, path))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for query, want := range map[string]string{
		"SELECT * FROM publications WHERE deleted_at = 0 AND seq < 9 ORDER BY seq DESC LIMIT 5":                 "publications_live",
		"SELECT * FROM publications WHERE deleted_at = 0 AND content_type = 'x' ORDER BY seq DESC LIMIT 5":      "publications_content_type",
		"SELECT * FROM publications WHERE checksum = 'x' AND deleted_at = 0 ORDER BY seq DESC LIMIT 1":          "publications_checksum",
		"SELECT * FROM publications WHERE live_alt_id = 'x'":                                                    "live_alt_id=?",
		"SELECT * FROM licenses WHERE user_id = 'x' AND seq < 9 ORDER BY seq DESC LIMIT 5":                      "licenses_user",
		"SELECT * FROM licenses WHERE publication_uuid = 'x' ORDER BY seq DESC LIMIT 5":                         "licenses_publication",
		"SELECT seq FROM licenses l INDEXED BY licenses_list WHERE status = 'x' ORDER BY seq DESC LIMIT 5":      "COVERING INDEX licenses_list",
		"SELECT seq FROM licenses l WHERE status NOT IN ('ready', 'active') AND status = 'x' ORDER BY seq DESC": "licenses_ended (status=?)",
		"SELECT seq FROM licenses l WHERE device_count > 2 AND device_count >= 7 AND issued > 5":                "licenses_shared",
		"SELECT MIN(seq), MAX(seq) FROM licenses l WHERE issued >= 5 AND issued < 9":                            "COVERING INDEX licenses_issued",
		"SELECT * FROM licenses WHERE seq IN (SELECT license_seq FROM license_events WHERE device_id = 'x')":    "license_events_device",
		"SELECT status, COUNT(*) FROM licenses WHERE rights_end >= 5 AND rights_end < 9 GROUP BY status":        "licenses_end",
		"SELECT * FROM license_events WHERE license_seq = 5 AND number > 0 AND number <= 5 ORDER BY number":     "PRIMARY KEY (license_seq=? AND number>? AND number<?)",
		"SELECT * FROM audit WHERE actor = 'x' ORDER BY seq DESC LIMIT 5":                                       "audit_actor",
		"DELETE FROM claims WHERE claimed_at < 5":                                                               "claims_claimed_at",
	} {
		if plan := queryPlan(t, db, query); !strings.Contains(plan, want) || strings.Contains(strings.ReplaceAll(plan, "SCAN l USING COVERING INDEX", ""), "SCAN") {
			t.Errorf("%s: plan is %s, want %s", query, plan, want)
		}
	}
}

func queryPlan(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "; ")
}

func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "lcp.db")
	k, err := keyring.New(keyring.NewKey())
	if err != nil {
		b.Fatal(err)
	}
	o := store.Options{DSN: path, Keyring: k, Now: time.Now, Migrate: true}
	for b.Loop() {
		s, err := store.Open(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreateLicense(b *testing.B) {
	k, err := keyring.New(keyring.NewKey())
	if err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(b.Context(), store.Options{DSN: filepath.Join(b.TempDir(), "lcp.db"), Keyring: k, Now: time.Now, Migrate: true})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if _, err := s.CreatePublication(b.Context(), somePublication("p")); err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++
		if _, err := s.CreateLicense(b.Context(), store.License{UUID: strconv.Itoa(n), PublicationUUID: "p", Status: "ready"}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	o := testOptions(t, filepath.Join(t.TempDir(), "lcp.db"))
	ops := []string{}
	o.Observe = func(op string, took time.Duration) {
		if took < 0 {
			t.Errorf("%s took %s", op, took)
		}
		ops = append(ops, op)
	}
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, tt := range map[string]struct {
		call func() error
		want []string
	}{
		"write, which reads": {func() error {
			_, err := s.CreatePublication(t.Context(), somePublication("p"))
			return err
		}, []string{store.Write}},
		"license": {func() error {
			_, err := s.License(t.Context(), "nothing")
			return err
		}, []string{store.Read}},
		"list": {func() error {
			_, _, err := s.Publications(t.Context(), store.PublicationFilter{}, store.Page{Limit: 1})
			return err
		}, []string{store.Read}},
	} {
		ops = ops[:0]
		if err := tt.call(); err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		if !slices.Equal(ops, tt.want) {
			t.Errorf("%s: observed %q, want %q", name, ops, tt.want)
		}
	}
}
