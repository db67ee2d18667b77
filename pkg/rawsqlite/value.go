package rawsqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"reflect"

	"zombiezen.com/go/sqlite"
)

// bind gives the statement its arguments. An error of SQLite comes with the first
// step.
func (s *statement) bind(args []any) error {
	for i, arg := range args {
		if !s.bindOne(i+1, arg) {
			return fmt.Errorf("argument %d has the type %T, which cannot be bound", i+1, arg)
		}
	}
	return nil
}

// bindOne binds the argument of that number, and reports whether it can be.
func (s *statement) bindOne(number int, arg any) bool {
	switch v := arg.(type) {
	case string:
		s.BindText(number, v)
		return true
	case int:
		s.BindInt64(number, int64(v))
		return true
	case int64:
		s.BindInt64(number, v)
		return true
	case sql.NullInt64:
		if v.Valid {
			s.BindInt64(number, v.Int64)
			return true
		}
	case sql.NullString:
		if v.Valid {
			s.BindText(number, v.String)
			return true
		}
	case []byte:
		if v != nil {
			s.BindBytes(number, v)
			return true
		}
	case *int64:
		if v != nil {
			s.BindInt64(number, *v)
			return true
		}
	case nil:
	default:
		return s.bindKind(number, reflect.ValueOf(arg))
	}
	s.BindNull(number)
	return true
}

// bindKind binds what has the kind of a known type, such as a name for texts.
func (s *statement) bindKind(number int, v reflect.Value) bool {
	switch {
	case v.Kind() == reflect.String:
		s.BindText(number, v.String())
	case v.CanInt():
		s.BindInt64(number, v.Int())
	case v.Kind() == reflect.Bool:
		s.BindBool(number, v.Bool())
	default:
		return false
	}
	return true
}

// column copies a column into what dest points to.
func (s *statement) column(i int, dest any) error {
	kind := s.ColumnType(i)
	null := kind == sqlite.TypeNull
	switch d := dest.(type) {
	case *[]byte:
		*d = nil
		if !null {
			*d = make([]byte, s.ColumnLen(i))
			s.ColumnBytes(i, *d)
		}
		return nil
	case *sql.NullString:
		*d = sql.NullString{Valid: !null}
		if !null {
			d.String = s.ColumnText(i)
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
		return s.columnKind(i, kind, dest)
	}
}

// columnKind copies a column into what has the kind of a known type.
func (s *statement) columnKind(i int, kind sqlite.ColumnType, dest any) error {
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
func (s *statement) columnText(i int) string {
	const maxKept = 256
	n := s.ColumnLen(i)
	if n > maxKept {
		return s.ColumnText(i)
	}
	if s.buffer == nil {
		s.buffer = make([]byte, maxKept)
	}
	s.ColumnBytes(i, s.buffer[:n])
	if s.texts[i] != string(s.buffer[:n]) { // compared without a copy
		s.texts[i] = string(s.buffer[:n])
	}
	return s.texts[i]
}

// columnInt reads a column that must be an integer, or NULL where that is
// allowed.
func (s *statement) columnInt(i int, kind sqlite.ColumnType, n *int64) error {
	switch kind {
	case sqlite.TypeNull:
		return nil
	case sqlite.TypeInteger:
		*n = s.ColumnInt64(i)
		return nil
	default:
		return errors.New("is not an integer")
	}
}
