package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"
)

// maxAttempts bounds how often a transaction runs that others keep in the way
// of.
const maxAttempts = 8

// A tx is a transaction that writes, or the part of one that an operation has.
type tx struct {
	s      *Store
	runner runner
	tally  tally // what becomes of the counters
	wrote  *bool // set by the first statement that may have written; may be nil
}

// A runner runs the statements of a transaction, in the words of the database.
type runner interface {
	exec(ctx context.Context, query string, args ...any) (changed int64, err error)
	query(ctx context.Context, query string, args ...any) (rows, error)
}

// rows are what a query returns: *sql.Rows, or for SQLite *rawsqlite.Rows.
type rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close() error
}

// write runs work in a transaction, and again from the start when another
// transaction was in its way, so work must be free of other effects. The same goes
// for a connection that somebody else gave up and left in the pool: database/sql
// takes another one, but while the pool is full of them not for ever, and drivers
// say ErrBadConn only where the server has done nothing. When work
// fails nothing is written and its error comes back as it is. Once write
// returns nil, what was written outlives a crash. An ErrUnavailable leaves open
// whether it was written, if the database went away at the very end.
func (s *Store) write(ctx context.Context, work func(tx) error) error {
	defer s.observed(Write, s.begin())
	for attempt := 1; ; attempt++ {
		err := s.writeOnce(ctx, work)
		switch {
		case err == nil:
			return nil
		case attempt == maxAttempts || !s.dialect.raced(err) && !errors.Is(err, driver.ErrBadConn):
			return s.failure(ctx, err)
		}
		if err := pause(ctx, attempt); err != nil {
			return err
		}
	}
}

// pause waits before another attempt, longer each time, and not as long as
// others that wait.
func pause(ctx context.Context, attempt int) error {
	wait := time.Duration(rand.Int64N(int64(time.Millisecond) << attempt)) //nolint:gosec // not a secret
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

func (s *Store) writeOnce(ctx context.Context, work func(tx) error) error {
	if s.group != nil {
		return s.group.write(ctx, work)
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	if err := s.prepareWrites(ctx); err != nil {
		return err
	}
	sqlTx, err := s.writer.BeginTx(ctx, &sql.TxOptions{Isolation: s.dialect.isolation})
	if err != nil {
		return err
	}
	defer sqlTx.Rollback()
	t := tx{s: s, runner: &ownTx{sqlTx, s}, tally: tally{}}
	if err := work(t); err != nil {
		return err
	}
	if err := t.tally.write(ctx, t); err != nil {
		return err
	}
	return sqlTx.Commit()
}

// failure returns err, as an ErrUnavailable if it is one. The end of a context
// is never the database's fault.
func (s *Store) failure(ctx context.Context, err error) error {
	switch {
	case err == nil || errors.Is(err, ErrUnavailable):
		return err
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()): // as drivers tell it in their own words
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	case ctx.Err() != nil:
		return err
	case s.dialect.unavailable(err) || isClosed(err):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	default:
		return err
	}
}

// isClosed reports whether err is that of a connection that is gone.
func isClosed(err error) bool {
	var netErr net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) ||
		errors.Is(err, sql.ErrTxDone) || // it was given up, since the server did not answer
		errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &netErr) || err.Error() == "sql: database is closed"
}

// ownTx is a transaction of one operation.
type ownTx struct {
	tx *sql.Tx
	s  *Store
}

func (o *ownTx) exec(ctx context.Context, query string, args ...any) (changed int64, err error) {
	var result sql.Result
	if stmt := o.s.prepared(query); stmt != nil {
		result, err = o.tx.StmtContext(ctx, stmt).ExecContext(ctx, args...) //nolint:sqlclosecheck // closed with the transaction
	} else {
		result, err = o.tx.ExecContext(ctx, o.s.dialect.text(query), args...)
	}
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (o *ownTx) query(ctx context.Context, query string, args ...any) (rows, error) {
	if stmt := o.s.prepared(query); stmt != nil {
		return rowsOf(o.tx.StmtContext(ctx, stmt).QueryContext(ctx, args...)) //nolint:sqlclosecheck // closed with the transaction
	}
	return rowsOf(o.tx.QueryContext(ctx, o.s.dialect.text(query), args...))
}

// rowsOf keeps a nil *sql.Rows from becoming rows that are not nil.
func rowsOf(r *sql.Rows, err error) (rows, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}

// prepareWrites prepares the statements of the transactions that a server runs
// all day. It comes before the first of them and not within: a statement is
// prepared on a connection, and the transactions may hold all that there are.
func (s *Store) prepareWrites(ctx context.Context) error {
	if s.prepared(isLivePublication) != nil {
		return nil
	}
	return s.prepareOnce(ctx, "writes", func(ctx context.Context) error {
		if s.prepared(isLivePublication) != nil {
			return nil
		}
		writes := make(map[string]*sql.Stmt)
		for _, query := range []string{
			s.dialect.unlessThere(insertSpent), isLivePublication, takenLicenses, insertLicense, selectLicense + s.dialect.forUpdate, updateLicense,
			updateStanding, selectDevice, insertEvent, selectEvents, addToCounter, addLicenseOfUser,
		} {
			stmt, err := s.writer.PrepareContext(ctx, s.dialect.text(query)) //nolint:sqlclosecheck // closed with the database
			if err != nil {
				return err
			}
			writes[query] = stmt
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.writes = writes
		return nil
	})
}

// prepareOnce prepares statements, once for all who want the same ones. Nobody may
// hold s.mu meanwhile, which transactions need to go on: it takes a connection, and
// those that there are can all wait for one of the transactions. To prepare a
// statement twice and close one of the two would be no better, since that waits
// for whoever uses the connection by then.
func (s *Store) prepareOnce(ctx context.Context, name string, prepare func(context.Context) error) error {
	_, err, _ := s.preparing.Do(name, func() (any, error) {
		ctx, cancel := s.bound(context.WithoutCancel(ctx)) // others wait for it, too
		defer cancel()
		return nil, prepare(ctx)
	})
	return err
}

func (s *Store) prepared(query string) *sql.Stmt {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.writes[query]
}

// exec runs a statement that returns no rows.
func (t tx) exec(ctx context.Context, query string, args ...any) error {
	_, err := t.execCount(ctx, query, args...)
	return err
}

// execCount is exec, and returns how many rows were changed.
func (t tx) execCount(ctx context.Context, query string, args ...any) (int64, error) {
	changed, err := t.runner.exec(ctx, query, args...)
	if t.wrote != nil && (changed > 0 || err != nil) {
		*t.wrote = true
	}
	return changed, err
}

// query runs a statement that returns rows.
func (t tx) query(ctx context.Context, query string, args ...any) (rows, error) {
	return t.runner.query(ctx, query, args...)
}

// failure leaves errors to Store.write, which is observed as a whole.
func (tx) failure(_ context.Context, err error) error { return err }

func (tx) bound(ctx context.Context) (context.Context, context.CancelFunc) { return ctx, func() {} }

func (tx) begin() time.Time { return time.Time{} }

func (tx) observed(string, time.Time) {}

// query runs a statement that returns rows outside any transaction. Statements
// are prepared once; there are only so many, since filters change values and
// not texts.
func (s *Store) query(ctx context.Context, query string, args ...any) (rows, error) {
	stmt := s.preparedRead(query) //nolint:sqlclosecheck // closed with the database
	if stmt == nil {
		if err := s.prepareRead(ctx, query); err != nil {
			return nil, err
		}
		stmt = s.preparedRead(query) //nolint:sqlclosecheck // as above
	}
	return rowsOf(stmt.QueryContext(ctx, args...))
}

func (s *Store) preparedRead(query string) *sql.Stmt {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.reads[query]
}

// keyed returns what finds rows by a key, a few at most. It does so faster than
// the Store itself where it can, but cannot be interrupted.
func (s *Store) keyed() querier {
	if s.points != nil {
		return s.points
	}
	return s
}

func (s *Store) prepareRead(ctx context.Context, query string) error {
	return s.prepareOnce(ctx, query, func(ctx context.Context) error {
		if s.preparedRead(query) != nil {
			return nil
		}
		stmt, err := s.reader.PrepareContext(ctx, s.dialect.text(query)) //nolint:sqlclosecheck // closed with the database
		if err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reads[query] = stmt
		return nil
	})
}

// A querier runs statements that return rows: a Store or a tx. failure says what
// an error of the database means to the caller, bound how long it may take; begin
// and observed frame what is told to Options.Observe.
type querier interface {
	query(ctx context.Context, query string, args ...any) (rows, error)
	failure(ctx context.Context, err error) error
	bound(ctx context.Context) (context.Context, context.CancelFunc)
	begin() time.Time
	observed(op string, begin time.Time)
}

// A row is what a scan function reads.
type row interface{ Scan(dest ...any) error }

// selectAll returns the rows of a query.
func selectAll[T any](ctx context.Context, q querier, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	defer q.observed(Read, q.begin())
	bounded, cancel := q.bound(ctx)
	defer cancel()
	rows, err := q.query(bounded, query, args...)
	if err != nil {
		return nil, q.failure(ctx, err)
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
	return all, q.failure(ctx, rows.Err())
}

// selectOne returns the first row of a query, or ErrNotFound.
func selectOne[T any](ctx context.Context, q querier, scan func(row) (T, error), query string, args ...any) (T, error) {
	defer q.observed(Read, q.begin())
	bounded, cancel := q.bound(ctx)
	defer cancel()
	var one T
	rows, err := q.query(bounded, query, args...)
	if err != nil {
		return one, q.failure(ctx, err)
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return one, q.failure(ctx, err)
		}
		return one, ErrNotFound
	}
	if one, err = scan(rows); err != nil {
		return one, err
	}
	return one, q.failure(ctx, rows.Close())
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
