package store_test

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/store"
)

// foreignRows reads the number and the date of each row of the table t.
func foreignRows(t *testing.T, dsn string) (numbers []int64, dates []time.Time) {
	t.Helper()
	f, err := store.OpenForeign(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := f.Query(t.Context(), "SELECT x.n, x.at FROM t x WHERE x.n > ? ORDER BY x.n", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		var at time.Time
		if err := rows.Scan(&n, &at); err != nil {
			t.Fatal(err)
		}
		numbers, dates = append(numbers, n), append(dates, at)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if columns, err := f.Columns(t.Context(), "t"); err != nil || !slices.Equal(columns, []string{"n", "at"}) {
		t.Errorf("columns are %q, %v", columns, err)
	}
	if columns, err := f.Columns(t.Context(), "missing"); err != nil || columns != nil {
		t.Errorf("columns of no table are %q, %v", columns, err)
	}
	return numbers, dates
}

// A database of SQLite is read as it stands, with what is only in its log, beside
// who writes to it, and nothing is written.
func TestForeignSQLite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := sql.Open("sqlite", path+"?_pragma=journal_mode(wal)&_pragma=wal_autocheckpoint(0)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, statement := range []string{
		"CREATE TABLE t (n INTEGER, at DATETIME)", "INSERT INTO t VALUES (1, '2026-05-01 12:00:00.5+02:00')",
		"BEGIN IMMEDIATE", "INSERT INTO t VALUES (2, '2026-05-01 12:00:00')",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	numbers, dates := foreignRows(t, "sqlite3://"+filepath.ToSlash(path))
	if !slices.Equal(numbers, []int64{1}) || !dates[0].Equal(time.Date(2026, 5, 1, 10, 0, 0, 5e8, time.UTC)) {
		t.Errorf("rows %v of %v", numbers, dates)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file has changed, %v", err)
	}
	if _, err := store.OpenForeign(t.Context(), path+".missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenForeign of no file = %v", err)
	}
	if _, err := os.Stat(path + ".missing"); err == nil {
		t.Error("a file was made")
	}
}

// Where nothing can be written a database is read that is complete without its
// log, and one that is not is refused.
func TestForeignSQLiteReadOnly(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "other.db")
	db, err := sql.Open("sqlite", path+"?_pragma=journal_mode(wal)")
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"CREATE TABLE t (n INTEGER, at DATETIME)", "INSERT INTO t VALUES (1, '2026-05-01 12:00:00')"} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	lock := func(mode fs.FileMode) {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	lock(0o500)
	defer lock(0o700)
	if numbers, _ := foreignRows(t, path); !slices.Equal(numbers, []int64{1}) {
		t.Errorf("rows %v", numbers)
	}
	lock(0o700)
	if err := os.WriteFile(path+"-wal", log, 0o400); err != nil {
		t.Fatal(err)
	}
	lock(0o500)
	if _, err := store.OpenForeign(t.Context(), path); err == nil || !strings.Contains(err.Error(), "copy both files") {
		t.Errorf("OpenForeign beside a log = %v", err)
	}
}

// Dates without a zone are in that of the name, or in UTC.
func TestForeignServers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		server         *server
		driver         string
		create, inZone string
	}{
		"postgres": {server: postgres, driver: "pgx", create: "CREATE TABLE t (n BIGINT, at TIMESTAMP)"},
		"mariadb":  {server: mariadb, driver: "mysql", create: "CREATE TABLE t (n BIGINT, at DATETIME(3))", inZone: "loc=Europe%2FParis"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := test.server.database(t).DSN
			db, err := sql.Open(test.driver, strings.TrimPrefix(dsn, "mysql://"))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			for _, statement := range []string{test.create, "INSERT INTO t VALUES (7, '2026-05-01 12:00:00.5')"} {
				if _, err := db.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			noon := time.Date(2026, 5, 1, 12, 0, 0, 5e8, time.UTC)
			if numbers, dates := foreignRows(t, dsn); !slices.Equal(numbers, []int64{7}) || !dates[0].Equal(noon) {
				t.Errorf("rows %v of %v, want %v", numbers, dates, noon)
			}
			if test.inZone == "" {
				return
			}
			join := "?"
			if strings.Contains(dsn, "?") {
				join = "&"
			}
			if _, dates := foreignRows(t, dsn+join+test.inZone); !dates[0].Equal(noon.Add(-2 * time.Hour)) {
				t.Errorf("in Paris it is %v, want %v", dates, noon.Add(-2*time.Hour))
			}
		})
	}
}
