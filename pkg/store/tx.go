package store

import (
	"context"
	"database/sql"
	"time"
)

// maxAttempts bounds how often a transaction runs that others keep in the way
// of.
const maxAttempts = 8

// A tx is a transaction that writes. Its statements are those of the dialect.
type tx struct {
	*sql.Tx
	s *Store
}

// write runs work in a transaction, and again from the start when another
// transaction was in its way, so work must be free of other effects. When work
// fails nothing is written and its error comes back as it is. Once write
// returns nil, what was written outlives a crash.
func (s *Store) write(ctx context.Context, work func(tx) error) error {
	for attempt := 1; ; attempt++ {
		err := s.writeOnce(ctx, work)
		if err == nil || attempt == maxAttempts || !s.dialect.raced(err) {
			return err
		}
	}
}

func (s *Store) writeOnce(ctx context.Context, work func(tx) error) error {
	if err := s.prepareWrites(ctx); err != nil {
		return err
	}
	t, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer t.Rollback()
	if err := work(tx{t, s}); err != nil {
		return err
	}
	return t.Commit()
}

// prepareWrites prepares the statements of the transactions that a server runs
// all day. It comes before the first of them and not within: a statement is
// prepared on a connection, and the transactions may hold all that there are.
func (s *Store) prepareWrites(ctx context.Context) error {
	s.mu.RLock()
	ready := s.writes != nil
	s.mu.RUnlock()
	if ready {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writes != nil {
		return nil
	}
	writes := make(map[string]*sql.Stmt)
	for _, query := range []string{
		isLivePublication, takenLicenses, insertLicense, selectLicense + s.dialect.forUpdate, updateLicense,
		selectDevice, insertDevice, insertEvent, selectEvents,
	} {
		stmt, err := s.writer.PrepareContext(ctx, s.dialect.text(query)) //nolint:sqlclosecheck // closed with the database
		if err != nil {
			return err
		}
		writes[query] = stmt
	}
	s.writes = writes
	return nil
}

// exec runs a statement that returns no rows.
func (t tx) exec(ctx context.Context, query string, args ...any) error {
	_, err := t.execCount(ctx, query, args...)
	return err
}

// execCount is exec, and returns how many rows were changed.
func (t tx) execCount(ctx context.Context, query string, args ...any) (int64, error) {
	var result sql.Result
	var err error
	if stmt := t.s.prepared(query); stmt != nil {
		result, err = t.StmtContext(ctx, stmt).ExecContext(ctx, args...) //nolint:sqlclosecheck // closed with the transaction
	} else {
		result, err = t.ExecContext(ctx, t.s.dialect.text(query), args...)
	}
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// query runs a statement that returns rows.
func (t tx) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if stmt := t.s.prepared(query); stmt != nil {
		return t.StmtContext(ctx, stmt).QueryContext(ctx, args...) //nolint:sqlclosecheck // closed with the transaction
	}
	return t.QueryContext(ctx, t.s.dialect.text(query), args...)
}

func (s *Store) prepared(query string) *sql.Stmt {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.writes[query]
}

// query runs a statement that returns rows outside any transaction. Statements
// are prepared once; there are only so many, since filters change values and
// not texts.
func (s *Store) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s.mu.RLock()
	stmt := s.reads[query]
	s.mu.RUnlock()
	if stmt != nil {
		return stmt.QueryContext(ctx, args...)
	}
	stmt, err := s.prepareRead(ctx, query) //nolint:sqlclosecheck // closed with the database
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

func (s *Store) prepareRead(ctx context.Context, query string) (*sql.Stmt, error) {
	stmt, err := s.reader.PrepareContext(ctx, s.dialect.text(query))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.reads[query]; other != nil { // prepared meanwhile
		return other, stmt.Close() //nolint:sqlclosecheck // one of the two is kept
	}
	s.reads[query] = stmt
	return stmt, nil
}

// A querier runs statements that return rows: a Store or a tx.
type querier interface {
	query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// A row is what a scan function reads.
type row interface{ Scan(dest ...any) error }

// selectAll returns the rows of a query.
func selectAll[T any](ctx context.Context, q querier, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// selectOne returns the first row of a query, or ErrNotFound.
func selectOne[T any](ctx context.Context, q querier, scan func(row) (T, error), query string, args ...any) (T, error) {
	var one T
	rows, err := q.query(ctx, query, args...)
	if err != nil {
		return one, err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return one, err
		}
		return one, ErrNotFound
	}
	if one, err = scan(rows); err != nil {
		return one, err
	}
	return one, rows.Close()
}

// scanCount reads a row of one number.
func scanCount(r row) (n int64, err error) {
	err = r.Scan(&n)
	return n, err
}

// millis returns t as columns keep it: NULL for the zero time.
func millis(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}

// fromMillis is the inverse of millis.
func fromMillis(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}
