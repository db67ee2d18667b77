package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	_ "modernc.org/sqlite" // the driver for database/sql
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/lcp-tools/lcp/pkg/rawsqlite"
)

//go:embed migrations/sqlite/*.sql
var sqliteMigrations embed.FS

const (
	// sqliteReaders is how many connections read lists at the same time. Each
	// has a page cache of its own, of half a MiB at most.
	sqliteReaders = 4
	// sqliteBusyTimeout is how long a transaction waits for that of another
	// process. Within this process nothing waits here, since there is one
	// connection that writes. A wait also ends with its context.
	sqliteBusyTimeout = 10 * time.Second
	// sqliteCache is how much the connection that writes keeps of the
	// database, in KiB and negative as SQLite wants it: of a large one, the
	// upper pages of all indexes. The system keeps the rest; what a connection
	// keeps counts against the memory of the process.
	sqliteCache = "-6144"
	// sqliteCheckpoint is how many pages the write-ahead log gathers before
	// whoever commits brings them to the database, as far as the checkpointer
	// has not, and the log starts anew: 128 MiB.
	sqliteCheckpoint = "32000"
	// sqliteBulkCache is sqliteCache where a great many records are to be written:
	// in transactions of thousands, each of which goes to another page of several
	// indexes. With less, the same pages are written over and over.
	sqliteBulkCache = "-131072"
	// sqliteRetry is the pause between two attempts at what does not wait by
	// itself.
	sqliteRetry = 10 * time.Millisecond
)

// sqliteDialect returns the dialect of SQLite 3.
func sqliteDialect() (*dialect, error) {
	migrations, err := fs.Sub(sqliteMigrations, "migrations/sqlite")
	if err != nil {
		return nil, err
	}
	return &dialect{
		goose:           goose.DialectSQLite3,
		migrations:      migrations,
		open:            openSQLite,
		openForeign:     openForeignSQLite,
		noTable:         isSQLiteNoTable,
		arrival:         "rowid",
		beforeMigration: createSQLiteVersionTable,
		through:         throughSQLite,
		upsert:          onConflict,
		unlessThere:     onConflictNothing,
		grouped:         true,
		shards:          1,
		raced:           isSQLiteUnique,
		unavailable:     isSQLiteUnavailable,
	}, nil
}

// openSQLite opens the database file at path, which it makes readable by its
// owner only. There is one connection that writes, so that the writers of this
// process stand in line instead of meeting "database is locked", and several
// that read beside it, which the write-ahead log allows.
//
// synchronous=FULL brings the log to the disk at every commit. NORMAL by itself
// would survive a killed process as well, but could lose the last commits with the
// power, and with them a license that somebody has already paid for and holds;
// where a group commits, walSync does the rest.
func openSQLite(ctx context.Context, path string) (writer, reader *sql.DB, err error) {
	if path == memory {
		return openSQLiteMemory()
	}
	if err := createFile(path); err != nil {
		return nil, nil, err
	}
	uri, err := sqliteURI(path)
	if err != nil {
		return nil, nil, err
	}
	pragmas := []string{"_pragma=busy_timeout(" + strconv.FormatInt(sqliteBusyTimeout.Milliseconds(), 10) + ")"}
	pragmas = append(pragmas, "_pragma=temp_store(memory)")
	write := append([]string{"_txlock=immediate", "_pragma=synchronous(full)", "_pragma=wal_autocheckpoint(" + sqliteCheckpoint + ")"}, pragmas...)
	read := append([]string{"_pragma=query_only(1)", "_pragma=cache_size(-512)"}, pragmas...)

	writer, err = sql.Open("sqlite", uri+"?"+strings.Join(write, "&"))
	if err != nil {
		return nil, nil, err
	}
	writer.SetMaxOpenConns(1)
	if err := enableWAL(ctx, writer); err != nil {
		return nil, nil, errors.Join(err, writer.Close())
	}
	reader, err = sql.Open("sqlite", uri+"?"+strings.Join(read, "&"))
	if err != nil {
		return nil, nil, errors.Join(err, writer.Close())
	}
	reader.SetMaxOpenConns(sqliteReaders)
	reader.SetMaxIdleConns(sqliteReaders)
	return writer, reader, nil
}

// sqliteURI names the database file at path, wherever the working folder is.
func sqliteURI(path string) (string, error) {
	path, err := filepath.Abs(path)
	return fileURI(path), err
}

// openSQLiteWriter opens the connection that the transactions of a server run
// on. Their commits leave the log to walSync.
func openSQLiteWriter(uri string, bulk bool) (*rawsqlite.Conn, error) {
	cache := sqliteCache
	if bulk {
		cache = sqliteBulkCache
	}
	return openRawSQLite(uri, 0, "synchronous = normal", "cache_size = "+cache, "wal_autocheckpoint = "+sqliteCheckpoint)
}

// openRawSQLite opens a connection that waits so long for locks.
func openRawSQLite(uri string, wait time.Duration, pragmas ...string) (*rawsqlite.Conn, error) {
	conn, err := rawsqlite.Open(uri, wait)
	if err != nil {
		return nil, err
	}
	for _, pragma := range append(pragmas, "temp_store = memory") {
		if _, err := conn.Exec("PRAGMA " + pragma); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// openSQLiteMemory opens a database that is gone when it is closed. Its only
// connection both writes and reads; a shared cache, as the names of such
// databases often ask for, has nothing to share then.
func openSQLiteMemory() (writer, reader *sql.DB, err error) {
	db, err := sql.Open("sqlite", memory+"?_txlock=immediate")
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	return db, db, nil
}

// openForeignSQLite opens a database file to read only. Where neither the file nor
// its folder can be written, SQLite cannot look at its log: it is told then that
// the file does not change, which is true only while it has no log.
func openForeignSQLite(ctx context.Context, path string) (*sql.DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	uri, err := sqliteURI(path)
	if err != nil {
		return nil, err
	}
	uri += "?mode=ro&_pragma=query_only(1)&_pragma=temp_store(memory)" +
		"&_pragma=busy_timeout(" + strconv.FormatInt(sqliteBusyTimeout.Milliseconds(), 10) + ")"
	db, err := openChecked(ctx, uri)
	if !isSQLite(err, sqlite3.SQLITE_CANTOPEN) && !isSQLite(err, sqlite3.SQLITE_READONLY) {
		return db, err
	}
	for _, log := range []string{path + "-wal", path + "-journal"} {
		if info, statErr := os.Stat(log); statErr == nil && info.Size() > 0 {
			return nil, fmt.Errorf("what is in %s cannot be read where nothing can be written: copy both files to another folder, and name that: %w", log, err)
		}
	}
	return openChecked(ctx, uri+"&immutable=1")
}

// openChecked opens a database, and looks whether it can be read.
func openChecked(ctx context.Context, uri string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", uri)
	if err != nil {
		return nil, err
	}
	var n int64
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM sqlite_schema").Scan(&n); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// isSQLiteNoTable goes by the words, since SQLite has no code for it.
func isSQLiteNoTable(err error) bool { return strings.Contains(err.Error(), "no such table") }

// createFile makes an empty file at path with mode 0600, which SQLite fills and
// whose mode its log takes over. A file that exists is not touched: to open
// and close it here would drop the locks that this process may hold on it.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// enableWAL turns on the write-ahead log, which is then a property of the file.
// While another process does the same SQLite says at once that the database is
// busy, whatever the busy timeout, so the waiting is done here.
func enableWAL(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithTimeoutCause(ctx, sqliteBusyTimeout, errors.New("another process keeps the database locked"))
	defer cancel()
	for {
		var mode string
		err := db.QueryRowContext(ctx, "PRAGMA journal_mode = wal").Scan(&mode)
		switch {
		case err == nil && mode == "wal":
			return nil
		case err == nil:
			return fmt.Errorf("the file system allows the journal mode %q only, not wal", mode)
		case !isSQLite(err, sqlite3.SQLITE_BUSY):
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(sqliteRetry):
		}
	}
}

// createSQLiteVersionTable makes the table in which goose counts, if there is
// none. goose looks and then makes it, and so would fail, and pause for a
// second, where two processes open a new database at the same time.
func createSQLiteVersionTable(ctx context.Context, writer *sql.DB) error {
	versions, err := database.NewStore(goose.DialectSQLite3, versionTable)
	if err != nil {
		return err
	}
	tx, err := writer.BeginTx(ctx, nil) // immediate: others wait here
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var exists bool
	const find = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?)"
	if err := tx.QueryRowContext(ctx, find, versionTable).Scan(&exists); err != nil || exists {
		return err
	}
	if err := versions.CreateVersionTable(ctx, tx); err != nil {
		return err
	}
	if err := versions.Insert(ctx, tx, database.InsertRequest{Version: 0}); err != nil {
		return err
	}
	return tx.Commit()
}

func throughSQLite(index string) string {
	if index == "" {
		return ""
	}
	return " INDEXED BY " + index
}

// isSQLiteUnique reports whether err says that a value must be unique and is
// not.
func isSQLiteUnique(err error) bool {
	return isSQLite(err, sqlite3.SQLITE_CONSTRAINT_UNIQUE) || isSQLite(err, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// isSQLiteUnavailable reports whether err tells of the disk or of the locks, and
// not of what was asked. After most of these SQLite has rolled back.
func isSQLiteUnavailable(err error) bool {
	for _, code := range []int{
		sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL,
	} {
		if isSQLite(err, code) {
			return true
		}
	}
	return false
}

// isSQLite reports whether err has the result code of SQLite, which may be a
// primary code such as SQLITE_BUSY or an extended one.
func isSQLite(err error, code int) bool {
	var e interface { // of the driver, or of rawsqlite
		error
		Code() int
	}
	return errors.As(err, &e) && (e.Code() == code || e.Code()&0xff == code)
}
