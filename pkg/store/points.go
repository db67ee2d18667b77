package store

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lcp-tools/lcp/pkg/rawsqlite"
)

// points read rows by their key, on connections of their own.
type points struct {
	s    *Store
	uri  string
	idle chan *rawsqlite.Conn // nil stands for one that is not open

	reads atomic.Int64 // since the group has made room

	closing sync.Once
	closed  chan struct{} // closed by close
}

// maxPoints is how many connections read rows by their key. They never wait for
// anything but the processor, so that more of them than it has cores, of those
// few that SQLite is for, would only take memory.
const maxPoints = 4

// sqlitePointCache is how much each of them keeps of the database, in KiB and
// negative as SQLite wants it.
const sqlitePointCache = "-2048"

func newPoints(s *Store, uri string) *points {
	p := &points{s: s, uri: uri, idle: make(chan *rawsqlite.Conn, min(maxPoints, runtime.GOMAXPROCS(0))), closed: make(chan struct{})}
	for range cap(p.idle) {
		p.idle <- nil
	}
	return p
}

// query runs a statement that returns rows. It has a connection until they are
// closed, so nobody may run another one meanwhile.
func (p *points) query(ctx context.Context, query string, args ...any) (rows, error) {
	p.reads.Add(1)
	conn, err := p.take(ctx)
	if err != nil {
		return nil, err
	}
	r, err := conn.Query(query, args...)
	if err != nil {
		p.discard(conn)
		return nil, err
	}
	return &pointRows{r, p, conn}, nil
}

func (p *points) failure(ctx context.Context, err error) error { return p.s.failure(ctx, err) }

func (p *points) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return p.s.bound(ctx)
}

func (p *points) begin() time.Time { return p.s.begin() }

func (p *points) observed(op string, begin time.Time) { p.s.observed(op, begin) }

// take returns a connection, which the caller gives back or discards.
func (p *points) take(ctx context.Context) (*rawsqlite.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case conn := <-p.idle: // much cheaper by itself than beside the others
		return p.opened(conn)
	default:
	}
	select {
	case conn := <-p.idle:
		return p.opened(conn)
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closed:
		return nil, sql.ErrConnDone
	}
}

// opened returns a connection that was idle, or a new one in its place.
func (p *points) opened(conn *rawsqlite.Conn) (*rawsqlite.Conn, error) {
	if conn != nil {
		return conn, nil
	}
	conn, err := openRawSQLite(p.uri, sqliteBusyTimeout, "cache_size = "+sqlitePointCache, "query_only = 1")
	if err != nil {
		p.idle <- nil
	}
	return conn, err
}

// discard closes a connection on which something failed.
func (p *points) discard(conn *rawsqlite.Conn) {
	_ = conn.Close()
	p.idle <- nil
}

// close closes the connections, once nobody reads.
func (p *points) close() (err error) {
	p.closing.Do(func() {
		close(p.closed)
		for range cap(p.idle) {
			if conn := <-p.idle; conn != nil {
				err = errors.Join(err, conn.Close())
			}
		}
	})
	return err
}

// pointRows are rows that have a connection to themselves.
type pointRows struct {
	*rawsqlite.Rows
	p    *points
	conn *rawsqlite.Conn // nil once it is given back
}

// Close gives the connection back.
func (r *pointRows) Close() error {
	err := r.Rows.Close()
	if r.conn == nil {
		return err
	}
	if err != nil {
		r.p.discard(r.conn)
	} else {
		r.p.idle <- r.conn
	}
	r.conn = nil
	return err
}
