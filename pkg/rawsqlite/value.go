package rawsqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// bind gives the statement its arguments, all of them anew.
func (s *statement) bind(args []any) error {
	if len(args) != s.parameters {
		return fmt.Errorf("statement has %d parameters, not %d", s.parameters, len(args))
	}
	args, err := plain(args)
	if err != nil {
		return err
	}
	n := 0
	for _, arg := range args {
		n += length(arg)
	}
	if err := s.room(max(1, n)); err != nil {
		return err
	}
	used := 0
	for i, arg := range args {
		if rc := s.bindOne(int32(i+1), arg, used); rc != sqlite3.SQLITE_OK {
			return s.c.failure(rc)
		}
		used += length(arg)
	}
	return nil
}

// plain returns arguments of the types that bindOne knows. Those of other types
// with the same kind, such as names for texts, become them.
func plain(args []any) ([]any, error) {
	own := false
	for i, arg := range args {
		switch arg.(type) {
		case nil, string, []byte, int, int64, *int64, sql.NullInt64, sql.NullString:
			continue
		}
		if !own {
			args, own = slices.Clone(args), true
		}
		v := reflect.ValueOf(arg)
		switch {
		case v.Kind() == reflect.String:
			args[i] = v.String()
		case v.CanInt():
			args[i] = v.Int()
		case v.Kind() == reflect.Bool && v.Bool():
			args[i] = 1
		case v.Kind() == reflect.Bool:
			args[i] = 0
		default:
			return nil, fmt.Errorf("argument %d has the type %T, which cannot be bound", i+1, arg)
		}
	}
	return args, nil
}

// length is how many bytes an argument takes in the memory of the statement.
func length(arg any) int {
	switch v := arg.(type) {
	case string:
		return len(v)
	case []byte:
		return len(v)
	case sql.NullString:
		return len(v.String)
	default:
		return 0
	}
}

// bindOne binds the argument of that number, its bytes at an offset.
func (s *statement) bindOne(number int32, arg any, offset int) int32 {
	tls, handle := s.c.tls, s.handle
	switch v := arg.(type) {
	case string:
		return s.bindText(number, v, offset)
	case sql.NullString:
		if v.Valid {
			return s.bindText(number, v.String, offset)
		}
	case []byte:
		if v != nil {
			copy(s.bytes(offset, len(v)), v)
			return sqlite3.Xsqlite3_bind_blob(tls, handle, number, s.at(offset), int32(len(v)), static)
		}
	case int:
		return sqlite3.Xsqlite3_bind_int64(tls, handle, number, int64(v))
	case int64:
		return sqlite3.Xsqlite3_bind_int64(tls, handle, number, v)
	case sql.NullInt64:
		if v.Valid {
			return sqlite3.Xsqlite3_bind_int64(tls, handle, number, v.Int64)
		}
	case *int64:
		if v != nil {
			return sqlite3.Xsqlite3_bind_int64(tls, handle, number, *v)
		}
	}
	return sqlite3.Xsqlite3_bind_null(tls, handle, number)
}

// static tells SQLite that what is bound stays where it is until the next is
// bound (SQLITE_STATIC).
const static = 0

func (s *statement) bindText(number int32, text string, offset int) int32 {
	copy(s.bytes(offset, len(text)), text)
	return sqlite3.Xsqlite3_bind_text(s.c.tls, s.handle, number, s.at(offset), int32(len(text)), static)
}

// at is where in the memory of the statement an offset is. It is never a null
// pointer, which would be bound as NULL.
func (s *statement) at(offset int) uintptr { return s.memory + uintptr(offset) }

func (s *statement) bytes(offset, n int) []byte { return libc.GoBytes(s.at(offset), n) }

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
	switch rc := sqlite3.Xsqlite3_step(r.s.c.tls, r.s.handle); rc {
	case sqlite3.SQLITE_ROW:
		r.onRow = true
	case sqlite3.SQLITE_DONE:
		_ = r.Close()
	default:
		r.err = r.s.c.failure(rc)
		_ = r.Close()
	}
	return r.s != nil
}

// Err returns what ended the rows, if it was not their end.
func (r *Rows) Err() error { return r.err }

// Close ends the statement. It returns the same as Err.
func (r *Rows) Close() error {
	if r.s != nil {
		sqlite3.Xsqlite3_reset(r.s.c.tls, r.s.handle) // returns the error of the last step again
		r.s, r.onRow = nil, false
	}
	return r.err
}

// Scan copies the columns of the row into what dest points to: string, []byte,
// int, int64, *int64, sql.NullInt64 or sql.NullString, or another type whose kind is
// string, a signed integer or bool. NULL is an error where none of them stands for
// it. All are copies.
func (r *Rows) Scan(dest ...any) error {
	if !r.onRow {
		return errors.New("scan without a row")
	}
	if len(dest) != r.s.columns {
		return fmt.Errorf("row has %d columns, not %d", r.s.columns, len(dest))
	}
	for i, d := range dest {
		if err := r.s.column(int32(i), d); err != nil {
			return fmt.Errorf("column %d: %w", i, err)
		}
	}
	return nil
}

func (s *statement) column(i int32, dest any) error {
	kind := sqlite3.Xsqlite3_column_type(s.c.tls, s.handle, i)
	null := kind == sqlite3.SQLITE_NULL
	switch d := dest.(type) {
	case *[]byte:
		*d = nil
		if !null {
			*d = append([]byte{}, s.columnBytes(i)...)
		}
		return nil
	case *sql.NullString:
		*d = sql.NullString{Valid: !null}
		if !null {
			d.String = string(s.columnBytes(i))
		}
		return nil
	case *sql.NullInt64:
		*d = sql.NullInt64{Valid: !null}
		return s.columnInt(i, kind, &d.Int64)
	case **int64:
		*d = nil
		if null {
			return nil
		}
		*d = new(int64)
		return s.columnInt(i, kind, *d)
	}
	if null {
		return fmt.Errorf("NULL is no %T", dest)
	}
	switch d := dest.(type) {
	case *string:
		*d = s.columnText(i)
		return nil
	case *int64:
		return s.columnInt(i, kind, d)
	case *int:
		var n int64
		err := s.columnInt(i, kind, &n)
		*d = int(n)
		return err
	default:
		return s.columnOther(i, kind, dest)
	}
}

// columnOther copies a column into what has the kind of a known type.
func (s *statement) columnOther(i, kind int32, dest any) error {
	p := reflect.ValueOf(dest)
	if p.Kind() != reflect.Pointer {
		return fmt.Errorf("cannot be put into %T", dest)
	}
	var n int64
	switch v := p.Elem(); {
	case v.Kind() == reflect.String:
		v.SetString(s.columnText(i))
		return nil
	case v.CanInt():
		err := s.columnInt(i, kind, &n)
		v.SetInt(n)
		return err
	case v.Kind() == reflect.Bool:
		err := s.columnInt(i, kind, &n)
		v.SetBool(n != 0)
		return err
	default:
		return fmt.Errorf("cannot be put into %T", dest)
	}
}

// columnText returns the text of a column. Many columns say the same in most rows,
// so the last text of each is kept, to be given out again.
func (s *statement) columnText(i int32) string {
	const maxKept = 256
	text := s.columnBytes(i)
	if s.texts == nil {
		s.texts = make([]string, s.columns)
	}
	if s.texts[i] == string(text) { // compared without a copy
		return s.texts[i]
	}
	copied := string(text)
	if len(copied) <= maxKept {
		s.texts[i] = copied
	}
	return copied
}

// columnInt reads a column that must be an integer, or NULL where that is
// allowed.
func (s *statement) columnInt(i, kind int32, n *int64) error {
	switch kind {
	case sqlite3.SQLITE_NULL:
		return nil
	case sqlite3.SQLITE_INTEGER:
		*n = sqlite3.Xsqlite3_column_int64(s.c.tls, s.handle, i)
		return nil
	default:
		return errors.New("is not an integer")
	}
}

// columnBytes returns the bytes of a column, valid until the next step.
func (s *statement) columnBytes(i int32) []byte {
	p := sqlite3.Xsqlite3_column_blob(s.c.tls, s.handle, i)
	n := sqlite3.Xsqlite3_column_bytes(s.c.tls, s.handle, i)
	if p == 0 || n <= 0 {
		return nil
	}
	return libc.GoBytes(p, int(n))
}
