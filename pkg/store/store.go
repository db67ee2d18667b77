// Package store keeps the records that licenses are made from: publications
// with their content keys, licenses, and what happened to each license.
//
// Records are plain values. The package knows what must hold between them (one
// content key per publication, one live publication per alternative
// identifier, devices that agree with their count) and keeps it in one
// transaction, against any number of goroutines and processes. It does not know
// what makes a license valid, which moves its status may take, or how any
// document looks.
//
// Content keys are sealed before they reach the database and bound to the
// publication they belong to, so that neither the file nor a backup of it
// opens a book.
//
// Databases are SQLite, which needs nothing beside this program, PostgreSQL, and
// MySQL or MariaDB. Statements are written once, with ? as placeholder and in
// words that all of them know; a dialect holds what differs.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// A Keyring seals content keys for the database. *keyring.Keyring is one.
type Keyring interface {
	// Seal encrypts plaintext so that it opens only with associatedData.
	Seal(plaintext, associatedData []byte) []byte
	// Open returns what was given to Seal.
	Open(sealed, associatedData []byte) ([]byte, error)
	// Stale reports whether sealed should be opened and sealed again.
	Stale(sealed []byte) bool
	// DeriveAll returns a key for another purpose from each master key, the
	// primary one first.
	DeriveAll(label string) [][]byte
}

// Options say which database to open and with what. DSN, Keyring and Now are
// required.
type Options struct {
	// DSN names the database: a path, file:…, sqlite://… or sqlite3://… for
	// SQLite, where :memory: is a database that is gone when it is closed;
	// postgres://user:password@host:5432/database for PostgreSQL;
	// mysql://user:password@tcp(host:3306)/database, or as a URL, for MySQL
	// and MariaDB.
	DSN     string
	Keyring Keyring
	Now     func() time.Time
	Migrate bool // make the schema in an empty database, bring an older one up to date
	Bulk    bool // take the memory that it takes to write a great many records quickly

	// Observe is told how long each Read and each Write took.
	Observe func(op string, took time.Duration)
}

// What Options.Observe is told of: a query outside any transaction, and a
// transaction, attempts that failed included.
const (
	Read  = "read"
	Write = "write"
)

// A Store is an open database. It is safe for concurrent use. The caller must
// Close it.
type Store struct {
	keyring  Keyring
	meter    *Meter
	now      func() time.Time
	observe  func(op string, took time.Duration) // nil for nobody
	patience time.Duration                       // with a server that does not answer
	bulk     bool
	dialect  *dialect
	writer   *sql.DB
	reader   *sql.DB // may be the writer

	group  *group  // nil if each operation has a transaction of its own
	points *points // nil if there is nothing faster than reader

	swept  atomic.Int64 // when old claims were last removed, in milliseconds
	spends atomic.Int64 // tokens that were spent
	spent  recent       // the last of them, and of those that somebody tried again

	preparing singleflight.Group // of statements that are about to be in writes or reads
	mu        sync.RWMutex
	writes    map[string]*sql.Stmt // by query; nil before the first transaction
	reads     map[string]*sql.Stmt // by query
}

// Open opens the database, and makes it first if it is a file that does not
// exist, in a folder that does. It fails with ErrDSN, with ErrSchema, or with
// the keyring's error if the database was sealed under other master keys.
func Open(ctx context.Context, o Options) (*Store, error) {
	name, err := parseDSN(o.DSN)
	if err != nil {
		return nil, err
	}
	d, err := name.dialect()
	if err != nil {
		return nil, err
	}
	s := &Store{keyring: o.Keyring, now: o.Now, observe: o.Observe, patience: patience, bulk: o.Bulk, dialect: d, reads: make(map[string]*sql.Stmt)}
	s.meter = newMeter(s)
	if s.writer, s.reader, err = d.open(ctx, name.source); err != nil {
		return nil, fmt.Errorf("open database %q: %w", name.shown, err)
	}
	if d.grouped && s.writer != s.reader {
		uri, err := sqliteURI(name.source)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.group, s.points = newGroup(s, uri), newPoints(s, uri)
	}
	if err := s.failure(ctx, s.start(ctx, o.Migrate)); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %q: %w", name.shown, err), s.Close())
	}
	return s, nil
}

// start makes sure that the database can be worked with.
func (s *Store) start(ctx context.Context, migrate bool) error {
	if err := s.Ping(ctx); err != nil {
		return err
	}
	if err := s.migrate(ctx, migrate); err != nil {
		return err
	}
	return s.checkKeyring(ctx)
}

// Close closes the database. Calls that are under way may fail.
func (s *Store) Close() error {
	var errs [4]error
	if s.group != nil {
		errs[0], errs[1] = s.group.close(), s.points.close()
	}
	if s.reader != s.writer {
		errs[2] = s.reader.Close()
	}
	errs[3] = s.writer.Close() // the last: it brings the log of SQLite into the file
	return errors.Join(errs[:]...)
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.failure(ctx, s.reader.QueryRowContext(ctx, "SELECT 1").Scan(&one))
}

// patience bounds how long one query or transaction may take. A server that is
// gone without a word would keep callers waiting otherwise.
const patience = 20 * time.Second

// bound bounds what a server is asked for. A file answers, and to interrupt what
// others do in the same transaction would do harm.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.dialect.grouped {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.patience)
}

// begin returns when something began that observed is to tell of.
func (s *Store) begin() time.Time {
	if s.observe == nil {
		return time.Time{}
	}
	return s.now()
}

func (s *Store) observed(op string, begin time.Time) {
	if s.observe != nil {
		s.observe(op, s.now().Sub(begin))
	}
}

// time returns the present instant as the database keeps it.
func (s *Store) time() time.Time { return s.now().UTC().Truncate(time.Millisecond) }
