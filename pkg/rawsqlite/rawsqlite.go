// Package rawsqlite runs statements on SQLite beside database/sql, for a server
// that does the same few of them all day. It leaves out what costs more than the
// statement itself when that finds one row by its key: the names and types of
// columns, a goroutine for the context, values in interfaces.
//
// It is for statements that are known, few and short. Each is prepared once for
// each connection and kept. None can be interrupted. It knows the types of Go
// that Conn.Query and Rows.Scan list, and no tables. SQLite itself, and the
// binding to it, is that of zombiezen.com/go/sqlite.
package rawsqlite

import (
	"errors"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
)

// An Error is what SQLite says of a statement that failed.
type Error struct{ err error }

func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns the error of the binding.
func (e *Error) Unwrap() error { return e.err }

// Code returns the extended result code (sqlite.org/rescode.html).
func (e *Error) Code() int { return int(sqlite.ErrCode(e.err)) }

// failure returns err as an *Error, or nil.
func failure(err error) error {
	if err == nil {
		return nil
	}
	return &Error{err}
}

// A Conn is a connection to a database. It serves one goroutine at a time. The
// caller must Close it.
type Conn struct {
	conn *sqlite.Conn
	kept map[*sqlite.Stmt]*statement
}

// A statement is what is known of a prepared one.
type statement struct {
	*sqlite.Stmt
	parameters, columns int
	texts               []string // of the columns, in the row before
	buffer              []byte   // for the bytes of a column
}

// Open opens the database that a file: URI names, which must exist. A statement
// that meets a lock of another connection waits for it at most so long.
func Open(uri string, wait time.Duration) (*Conn, error) {
	conn, err := sqlite.OpenConn(uri, sqlite.OpenReadWrite, sqlite.OpenURI)
	if err != nil {
		return nil, failure(err)
	}
	conn.SetBusyTimeout(wait)
	return &Conn{conn, make(map[*sqlite.Stmt]*statement)}, nil
}

// Close closes the connection and its statements. A transaction that has not
// ended is rolled back.
func (c *Conn) Close() error { return failure(c.conn.Close()) }

// Exec runs a statement to its end, and returns how many rows it has changed.
// Arguments are as those of Query.
func (c *Conn) Exec(query string, args ...any) (changed int64, err error) {
	s, err := c.prepare(query, args)
	if err != nil {
		return 0, err
	}
	for more := true; more && err == nil; {
		more, err = s.Step()
	}
	if err != nil {
		_ = s.Reset() // says the same again
		return 0, failure(err)
	}
	return int64(c.conn.Changes()), failure(s.Reset())
}

// Query runs a statement that returns rows. Arguments can be nil, string, []byte,
// int, int64, *int64, sql.NullInt64 and sql.NullString, and those of another type
// whose kind is string, an integer or bool. The caller closes the rows before it
// runs the same statement again.
func (c *Conn) Query(query string, args ...any) (*Rows, error) {
	s, err := c.prepare(query, args)
	if err != nil {
		return nil, err
	}
	return &Rows{s: s}, nil
}

// prepare returns the statement for a text, which is made at its first use, with
// its arguments.
func (c *Conn) prepare(query string, args []any) (*statement, error) {
	stmt, err := c.conn.Prepare(query) // keeps it
	if err != nil {
		return nil, failure(err)
	}
	s := c.kept[stmt]
	if s == nil {
		s = &statement{Stmt: stmt, parameters: stmt.BindParamCount(), columns: stmt.ColumnCount()}
		s.texts = make([]string, s.columns)
		c.kept[stmt] = s
	}
	if len(args) != s.parameters {
		return nil, fmt.Errorf("statement has %d parameters, not %d", s.parameters, len(args))
	}
	return s, s.bind(args)
}

// Rows are the rows that a statement returns. The caller closes them.
type Rows struct {
	s     *statement // nil once closed
	onRow bool
	err   error
}

// Next goes to the next row, and reports whether there is one.
func (r *Rows) Next() bool {
	if r.s == nil || r.err != nil {
		return false
	}
	r.onRow, r.err = r.s.Step()
	if !r.onRow {
		r.err = failure(r.err)
		_ = r.Close()
	}
	return r.onRow
}

// Err returns what ended the rows, if it was not their end.
func (r *Rows) Err() error { return r.err }

// Close ends the statement. It returns the same as Err.
func (r *Rows) Close() error {
	if r.s != nil {
		_ = r.s.Reset() // says once more what the last step said
		r.s, r.onRow = nil, false
	}
	return r.err
}

// Scan copies the columns of the row into what dest points to: string, []byte,
// int, int64, *int64, sql.NullInt64 or sql.NullString, or another type whose kind
// is string, an integer or bool. NULL is an error where it has no value, but an
// empty []byte. All are copies.
func (r *Rows) Scan(dest ...any) error {
	if !r.onRow {
		return errors.New("scan without a row")
	}
	if len(dest) != r.s.columns {
		return fmt.Errorf("row has %d columns, not %d", r.s.columns, len(dest))
	}
	for i, d := range dest {
		if err := r.s.column(i, d); err != nil {
			return fmt.Errorf("column %d: %w", i, err)
		}
	}
	return nil
}
