// Package rawsqlite runs statements on SQLite through its C interface, as
// modernc.org/sqlite has it in Go, for a server that does the same few of them
// all day. Beside database/sql it leaves out what costs more than the statement
// itself when that finds one row by its key: the names and types of columns, a
// goroutine for the context, values in interfaces.
//
// It is for statements that are known, few and short. Each is prepared once for
// each connection and kept. None can be interrupted. It knows the types of Go
// that Conn.Query and Rows.Scan list, and no tables.
//
// Source: "C-language Interface Specification for SQLite", sqlite.org/c3ref.
package rawsqlite

import (
	"errors"
	"fmt"
	"time"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	_ "modernc.org/sqlite" // sets up the locks of the library
	sqlite3 "modernc.org/sqlite/lib"
)

// An Error is a result code of SQLite other than success.
type Error struct {
	code    int
	message string
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.message, e.code) }

// Code returns the extended result code (sqlite.org/rescode.html).
func (e *Error) Code() int { return e.code }

var errMemory = &Error{sqlite3.SQLITE_NOMEM, "out of memory"}

// A Conn is a connection to a database. It serves one goroutine at a time. The
// caller must Close it.
type Conn struct {
	tls        *libc.TLS
	db         uintptr // sqlite3*
	statements map[string]*statement
}

// Open opens the database that a file: URI names, which must exist. A statement
// that meets a lock of another connection waits for it at most so long.
func Open(uri string, wait time.Duration) (*Conn, error) {
	c := &Conn{tls: libc.NewTLS(), statements: make(map[string]*statement)}
	if err := c.open(uri, wait); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Conn) open(uri string, wait time.Duration) error {
	name, err := libc.CString(uri)
	if err != nil {
		return errMemory
	}
	defer libc.Xfree(c.tls, name)
	out, err := c.pointer()
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, out)
	const flags = sqlite3.SQLITE_OPEN_READWRITE | sqlite3.SQLITE_OPEN_URI | sqlite3.SQLITE_OPEN_NOMUTEX
	rc := sqlite3.Xsqlite3_open_v2(c.tls, name, out, flags, 0)
	c.db = libc.AtomicLoadPUintptr(out) // perhaps also after an error, and then to be closed
	if rc != sqlite3.SQLITE_OK {
		return c.failure(rc)
	}
	sqlite3.Xsqlite3_extended_result_codes(c.tls, c.db, 1)
	return c.failure(sqlite3.Xsqlite3_busy_timeout(c.tls, c.db, int32(wait.Milliseconds())))
}

// pointer returns memory for a pointer, which the caller frees.
func (c *Conn) pointer() (uintptr, error) {
	const size = 8 // enough on every system
	p := libc.Xcalloc(c.tls, 1, size)
	if p == 0 {
		return 0, errMemory
	}
	return p, nil
}

// Close closes the connection and its statements. A transaction that has not
// ended is rolled back.
func (c *Conn) Close() error {
	for _, s := range c.statements {
		s.finalize()
	}
	c.statements = nil
	var err error
	if c.db != 0 {
		err = c.failure(sqlite3.Xsqlite3_close_v2(c.tls, c.db))
		c.db = 0
	}
	if c.tls != nil {
		c.tls.Close()
		c.tls = nil
	}
	return err
}

// failure returns the error that a result code is, or nil.
func (c *Conn) failure(rc int32) error {
	if rc == sqlite3.SQLITE_OK {
		return nil
	}
	e := &Error{int(rc), libc.GoString(sqlite3.Xsqlite3_errstr(c.tls, rc))}
	if c.db == 0 {
		return e
	}
	e.code = int(sqlite3.Xsqlite3_extended_errcode(c.tls, c.db))
	if e.code&0xff != int(rc)&0xff { // of another call
		e.code = int(rc)
		return e
	}
	if text := libc.GoString(sqlite3.Xsqlite3_errmsg(c.tls, c.db)); text != e.message {
		e.message += ": " + text
	}
	return e
}

// Exec runs a statement to its end, and returns how many rows it has changed.
// Arguments are as those of Query.
func (c *Conn) Exec(query string, args ...any) (changed int64, err error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	if err := s.bind(args); err != nil {
		return 0, err
	}
	rc := int32(sqlite3.SQLITE_ROW)
	for rc == sqlite3.SQLITE_ROW {
		rc = sqlite3.Xsqlite3_step(c.tls, s.handle)
	}
	if rc != sqlite3.SQLITE_DONE {
		err = c.failure(rc)
	}
	sqlite3.Xsqlite3_reset(c.tls, s.handle) // returns the error of the last step again
	if err != nil {
		return 0, err
	}
	return sqlite3.Xsqlite3_changes64(c.tls, c.db), nil
}

// Query runs a statement that returns rows. Arguments can be nil, string, []byte,
// int, int64, *int64, sql.NullInt64 and sql.NullString, and those of another type
// whose kind is string, a signed integer or bool. The caller closes the rows before
// it runs the same statement again.
func (c *Conn) Query(query string, args ...any) (*Rows, error) {
	s, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	if err := s.bind(args); err != nil {
		return nil, err
	}
	return &Rows{s: s}, nil
}

// prepare returns the statement for a text, made at its first use.
func (c *Conn) prepare(query string) (*statement, error) {
	if s := c.statements[query]; s != nil {
		return s, nil
	}
	text, err := libc.CString(query)
	if err != nil {
		return nil, errMemory
	}
	defer libc.Xfree(c.tls, text)
	out, err := c.pointer()
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, out)
	rc := sqlite3.Xsqlite3_prepare_v3(c.tls, c.db, text, int32(len(query)+1), sqlite3.SQLITE_PREPARE_PERSISTENT, out, 0)
	if rc != sqlite3.SQLITE_OK {
		return nil, c.failure(rc)
	}
	handle := libc.AtomicLoadPUintptr(out)
	if handle == 0 {
		return nil, &Error{sqlite3.SQLITE_ERROR, "not a statement"}
	}
	s := &statement{c: c, handle: handle, parameters: int(sqlite3.Xsqlite3_bind_parameter_count(c.tls, handle))}
	s.columns = int(sqlite3.Xsqlite3_column_count(c.tls, handle))
	c.statements[query] = s
	return s, nil
}

// A statement is prepared on a connection.
type statement struct {
	c          *Conn
	handle     uintptr // sqlite3_stmt*
	parameters int
	columns    int
	texts      []string // of the columns, in the row before

	// Texts and blobs that are bound lie in memory of the statement, one after
	// the other, until the next are bound.
	memory uintptr
	size   int
}

func (s *statement) finalize() {
	sqlite3.Xsqlite3_finalize(s.c.tls, s.handle)
	libc.Xfree(s.c.tls, s.memory)
}

// Bytes of memory that a statement has at least, and keeps at most.
const (
	minRoom = 256
	maxKept = 64 << 10
)

// room makes sure that so many bytes can be bound.
func (s *statement) room(n int) error {
	if n <= s.size && s.size <= maxKept {
		return nil
	}
	n = max(n, minRoom)
	memory := libc.Xmalloc(s.c.tls, types.Size_t(n))
	if memory == 0 {
		return errMemory
	}
	libc.Xfree(s.c.tls, s.memory)
	s.memory, s.size = memory, n
	return nil
}
