package rawsqlite_test

import (
	"database/sql"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite" // makes the databases of the tests
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/lcp-tools/lcp/pkg/rawsqlite"
)

// create makes a database with a table of every type, and returns its URI.
func create(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "test.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	for _, text := range []string{
		"PRAGMA journal_mode = wal",
		"CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT UNIQUE, bytes BLOB, n INTEGER, other TEXT)",
	} {
		if _, err := db.Exec(text); err != nil {
			tb.Fatal(err)
		}
	}
	return "file://" + filepath.ToSlash(path)
}

func open(tb testing.TB, uri string) *rawsqlite.Conn {
	tb.Helper()
	c, err := rawsqlite.Open(uri, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// A record is a row of the table.
type record struct {
	ID    int
	Text  string
	Bytes []byte
	N     *int64
	Null  sql.NullInt64
	Other sql.NullString
}

const (
	insert = "INSERT INTO t (id, text, bytes, n, other) VALUES (?, ?, ?, ?, ?)"
	find   = "SELECT id, text, bytes, n, n, other FROM t WHERE id = ?"
)

func get(tb testing.TB, c *rawsqlite.Conn, id int) record {
	tb.Helper()
	rows, err := c.Query(find, id)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	var r record
	if !rows.Next() {
		tb.Fatalf("no row %d: %v", id, rows.Err())
	}
	if err := rows.Scan(&r.ID, &r.Text, &r.Bytes, &r.N, &r.Null, &r.Other); err != nil {
		tb.Fatal(err)
	}
	if rows.Next() {
		tb.Errorf("row %d is there twice", id)
	}
	if err := rows.Close(); err != nil {
		tb.Fatal(err)
	}
	return r
}

// What goes in comes out, and stays what it is when the same statements run with
// other values.
func TestValues(t *testing.T) {
	t.Parallel()
	c := open(t, create(t))
	n := int64(math.MinInt64)
	long := strings.Repeat("0123456789abcdef", 10_000)
	want := []record{
		{1, "", []byte{}, nil, sql.NullInt64{}, sql.NullString{}},
		{2, "J\u00fcrgen \U0001F4DA", []byte{0, 1, 0}, &n, sql.NullInt64{Int64: n, Valid: true}, sql.NullString{Valid: true}},
		{3, long, []byte(long + long), new(int64), sql.NullInt64{Valid: true}, sql.NullString{String: long, Valid: true}},
		{4, "short again", nil, nil, sql.NullInt64{}, sql.NullString{String: "x", Valid: true}},
		{5, "a\x00b", nil, nil, sql.NullInt64{}, sql.NullString{}},
	}
	for _, r := range want {
		if changed, err := c.Exec(insert, r.ID, r.Text, r.Bytes, r.N, r.Other); err != nil || changed != 1 {
			t.Fatalf("insert %d: %d, %v", r.ID, changed, err)
		}
	}
	var all []record
	for _, r := range want {
		all = append(all, get(t, c, r.ID))
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// Types of the caller's go by their kind.
func TestKinds(t *testing.T) {
	t.Parallel()
	type name string
	type number int32
	c := open(t, create(t))
	if _, err := c.Exec(insert, number(7), name("seven"), nil, true, false); err != nil {
		t.Fatal(err)
	}
	rows, err := c.Query("SELECT id, text, n, n = 1 FROM t")
	if err != nil || !rows.Next() {
		t.Fatal(err, rows.Err())
	}
	defer rows.Close()
	var id number
	var text name
	var yes, no bool
	if err := rows.Scan(&id, &text, &yes, &no); err != nil {
		t.Fatal(err)
	}
	if id != 7 || text != "seven" || !yes || !no {
		t.Errorf("got %d %q %t %t", id, text, yes, no)
	}
}

func TestExecCounts(t *testing.T) {
	t.Parallel()
	c := open(t, create(t))
	for id := range 3 {
		if _, err := c.Exec(insert, id, string(rune('a'+id)), nil, int64(id), nil); err != nil {
			t.Fatal(err)
		}
	}
	const update = "UPDATE t SET n = ? WHERE n >= ?"
	for _, tt := range []struct{ least, want int64 }{{9, 0}, {2, 1}, {0, 3}} {
		if changed, err := c.Exec(update, tt.least, tt.least); err != nil || changed != tt.want {
			t.Errorf("update from %d changed %d, %v, want %d", tt.least, changed, err, tt.want)
		}
	}
}

// An error tells its code, and leaves the statement as good as new.
func TestErrors(t *testing.T) {
	t.Parallel()
	c := open(t, create(t))
	if _, err := c.Exec(insert, 1, "same", nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := c.Exec(insert, 2, "same", nil, nil, nil)
		e, ok := err.(*rawsqlite.Error) //nolint:errorlint // that type itself
		if !ok || e.Code() != sqlite3.SQLITE_CONSTRAINT_UNIQUE || !strings.Contains(e.Error(), "t.text") {
			t.Fatalf("error = %v", err)
		}
	}
	if _, err := c.Exec(insert, 2, "other", nil, nil, nil); err != nil {
		t.Error(err)
	}
	for name, run := range map[string]func() error{
		"no SQL":             func() error { _, err := c.Exec("nonsense"); return err },
		"nothing":            func() error { _, err := c.Exec(" -- nothing"); return err },
		"too few arguments":  func() error { _, err := c.Query(find); return err },
		"too many arguments": func() error { _, err := c.Query(find, 1, 2); return err },
		"unknown type":       func() error { _, err := c.Query(find, 1.5); return err },
	} {
		if err := run(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := rawsqlite.Open("file:///nowhere/at/all.db", 0); err == nil {
		t.Error("opened a database that does not exist")
	}
}

func TestScanRefuses(t *testing.T) {
	t.Parallel()
	c := open(t, create(t))
	if _, err := c.Exec(insert, 1, "text", nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	rows, err := c.Query("SELECT text, n FROM t")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var text string
	var n int64
	var f float64
	if err := rows.Scan(&text, &n); err == nil {
		t.Error("scanned before the first row")
	}
	if !rows.Next() {
		t.Fatal(rows.Err())
	}
	for name, dest := range map[string][]any{
		"few columns":        {&text},
		"NULL in a number":   {&text, &n},
		"text in a number":   {&n, new(*int64)},
		"type it cannot set": {&f, new(*int64)},
	} {
		if err := rows.Scan(dest...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A lock of another connection is an error at once, or after the time to wait.
func TestBusy(t *testing.T) {
	t.Parallel()
	uri := create(t)
	first, second := open(t, uri), open(t, uri)
	if _, err := first.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	_, err := second.Exec("BEGIN IMMEDIATE")
	if e, ok := err.(*rawsqlite.Error); !ok || e.Code() != sqlite3.SQLITE_BUSY { //nolint:errorlint // that type itself
		t.Fatalf("error = %v, want busy", err)
	}
	patient, err := rawsqlite.Open(uri, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := patient.Exec("BEGIN IMMEDIATE")
		done <- err
	}()
	if _, err := first.Exec("COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := patient.Close(); err != nil { // in the middle of a transaction
		t.Error(err)
	}
	if _, err := second.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Errorf("after the other connection was closed: %v", err)
	}
}
