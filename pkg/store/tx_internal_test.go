package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"testing"
)

// A badPool gives out connections of which so many are bad.
type badPool struct {
	bad       int // further transactions that do not begin
	committed int
}

func (p *badPool) Connect(context.Context) (driver.Conn, error) { return &badConn{p}, nil }
func (p *badPool) Driver() driver.Driver                        { return nil }

type badConn struct{ *badPool }

func (c *badConn) Prepare(string) (driver.Stmt, error) { return noStatement{}, nil }
func (c *badConn) Close() error                        { return nil }
func (c *badConn) Commit() error                       { c.committed++; return nil }
func (c *badConn) Rollback() error                     { return nil }

func (c *badConn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

func (c *badConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	if c.bad > 0 {
		c.bad--
		return nil, driver.ErrBadConn
	}
	return c, nil
}

type noStatement struct{ driver.Stmt }

func (noStatement) Close() error { return nil }

// A transaction does not fail for connections that others have left behind, unless
// there is no end to them.
func TestBadConnectionsInThePool(t *testing.T) {
	t.Parallel()
	dialect, err := postgresDialect()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		bad, runs int
		err       error
	}{
		{bad: 0, runs: 1},
		{bad: 4, runs: 1},
		{bad: 1000, err: ErrUnavailable},
	} {
		pool := &badPool{bad: c.bad}
		s := &Store{dialect: dialect, writer: sql.OpenDB(pool), patience: patience}
		runs := 0
		err := s.write(t.Context(), func(tx) error { runs++; return nil })
		if !errors.Is(err, c.err) || runs != c.runs || pool.committed != c.runs {
			t.Errorf("with %d bad connections: %v after %d runs, %d committed, want %v after %d", c.bad, err, runs, pool.committed, c.err, c.runs)
		}
		s.writer.Close()
	}
}
