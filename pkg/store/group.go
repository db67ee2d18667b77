package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/lcp-tools/lcp/pkg/rawsqlite"
)

// maxGroup bounds how many operations share a transaction, and so how long one
// of them waits for the others.
const maxGroup = 128

// A group lets operations that come at the same time share a transaction, and
// with it the wait for the disk: SQLite has one writer, and brings every commit
// of it to the disk. Whoever finds nobody at work does the work of all who wait,
// on its own goroutine, so that there is none in the background. Operations that
// come one at a time do not wait for company, those that come several at a time do,
// for a moment: a transaction costs nearly the same for many as for one.
//
// While the disk is at work the next transaction runs already: it is committed,
// and then it is brought to the disk, once for all who came meanwhile. Nobody
// learns of the success of an operation that is not on the disk; that somebody
// else sees its effect a moment earlier does no harm.
type group struct {
	s           *Store
	uri         string        // of the database
	turn        chan struct{} // holds one value while somebody is at work
	log         *walSync
	checkpoints *checkpointer
	company     time.Duration // for how long after a transaction the next one waits for others

	// Of whoever has the turn.
	conn   *rawsqlite.Conn // the one that writes; nil before the first transaction and after a fault
	closed bool
	last   int       // how many operations the last transaction had
	ended  time.Time // when it was over

	mu     sync.Mutex
	queue  []*operation  // guarded by mu
	wanted int           // guarded by mu; how many of them
	enough chan struct{} // guarded by mu; nil unless somebody waits for it to be closed once they are there
}

// An operation is one call of Store.write.
type operation struct {
	ctx      context.Context //nolint:containedctx // travels with the call it belongs to
	work     func(tx) error
	err      error         // how it ended; once done is closed
	panicked any           // what work panicked with, if it did
	done     chan struct{} // closed at the end
}

func newGroup(s *Store, uri string) *group {
	return &group{
		s: s, uri: uri, turn: make(chan struct{}, 1),
		log: newWALSync(), checkpoints: newCheckpointer(uri), company: company,
	}
}

// write runs an operation, or has it run. It returns once that is over: when
// the context ends meanwhile, an operation that waits is taken back, but one
// that has begun comes to its end, with nothing written.
func (g *group) write(ctx context.Context, work func(tx) error) error {
	op := &operation{ctx: ctx, work: work, done: make(chan struct{})}
	g.join(op)
	select {
	case <-op.done:
	case g.turn <- struct{}{}:
		batch := g.lead(op)
		committed := g.log.committed.Load()
		<-g.turn
		g.finish(batch, committed)
		<-op.done // which may be up to somebody else
	case <-ctx.Done():
		if g.withdraw(op) {
			return ctx.Err()
		}
		<-op.done
	}
	if op.panicked != nil {
		panic(op.panicked)
	}
	return op.err
}

// join puts an operation into the queue.
func (g *group) join(op *operation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue = append(g.queue, op)
	if g.enough != nil && len(g.queue) >= g.wanted {
		close(g.enough)
		g.enough = nil
	}
}

// await returns a channel that is closed once so many operations are in the queue,
// or nil if they are.
func (g *group) await(n int) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) >= n {
		return nil
	}
	g.wanted, g.enough = n, make(chan struct{})
	return g.enough
}

// company is long enough that some come, and short beside what a license takes
// where many are asked for.
const company = 3 * time.Millisecond

// gather waits for operations that share a transaction with the one that leads: for
// as many as the last one had, if that was more than one. Each transaction, and each
// time that it is brought to the disk, costs what some ten operations do, which
// those who prepare operations can do without.
func (g *group) gather(ctx context.Context) {
	left := time.Until(g.ended.Add(g.company))
	if g.last < 2 || left <= 0 {
		return
	}
	enough := g.await(g.last - 1)
	if enough == nil {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-enough:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// withdraw takes an operation back that has not begun, and reports whether it
// had not.
func (g *group) withdraw(op *operation) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.queue, op)
	if i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
	}
	return i >= 0
}

// take removes so many operations from the queue, the first ones, or all.
func (g *group) take(most int) []*operation {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.enough = nil // whoever waited takes what there is
	n := min(most, len(g.queue))
	batch := slices.Clone(g.queue[:n])
	g.queue = slices.Delete(g.queue, 0, n)
	return batch
}

// lead runs operations, among them first, unless somebody else just did, and
// returns them for finish. The others stay in the queue until the transaction has
// begun, since another process may keep it waiting.
func (g *group) lead(first *operation) []*operation {
	if !g.withdraw(first) {
		return nil
	}
	g.gather(first.ctx)
	if err := g.begin(first.ctx); err != nil {
		first.err = err
		close(first.done)
		return nil
	}
	batch := g.runAll(append([]*operation{first}, g.take(maxGroup-1)...))
	g.last, g.ended = len(batch), time.Now() //nolint:forbidigo // how long ago it was is all that is asked
	return batch
}

// finish brings what was committed so far to the disk, and ends operations.
func (g *group) finish(batch []*operation, committed int64) {
	if len(batch) == 0 {
		return
	}
	err := g.log.sync(committed)
	for _, op := range batch {
		if op.err == nil {
			op.err = err
		}
		close(op.done)
	}
	g.checkpoints.count(len(batch))
}

// errSpoiled says that an operation failed after it had written: what it left
// must not be committed.
var errSpoiled = errors.New("operation failed after it had written")

// runAll runs operations in the transaction that has begun, and ends it. A
// failed operation has written nothing, as a rule, and then the others go on.
// Only if it has is all rolled back and done again, with a savepoint around each
// operation: two more statements for each, that are seldom needed. It returns the
// operations, and those that came meanwhile and were run with them.
func (g *group) runAll(batch []*operation) []*operation {
	ctx := context.WithoutCancel(batch[0].ctx)
	batch, err := g.attempt(ctx, batch, false)
	if errors.Is(err, errSpoiled) {
		g.rollback()
		if err = g.begin(ctx); err == nil {
			batch, err = g.attempt(ctx, batch, true)
		}
	}
	if err == nil {
		g.log.committed.Add(1)
		g.makeRoom()
		return batch
	}
	if g.conn != nil {
		g.rollback()
	}
	for _, op := range batch {
		if op.err == nil {
			op.err = err
		}
	}
	return batch
}

// readsForRoom is after how many reads by key the pages that connections keep are
// forgotten, once somebody writes. SQLite as it is built here, with
// SQLITE_ENABLE_MEMORY_MANAGEMENT, has all connections of a process share the room
// that each was given: those that read take that of the one that writes, and keep
// it. Without this, once tens of thousands of status documents were read, every
// page would be read anew for each license that changes.
const readsForRoom = 50_000

// makeRoom lets the connection that writes keep pages again.
func (g *group) makeRoom() {
	if reads := &g.s.points.reads; reads.Load() >= readsForRoom {
		reads.Store(0)
		_, _ = g.conn.Exec("PRAGMA shrink_memory") // it cannot fail, and if it did nothing would be wrong
	}
}

// attempt runs operations and commits; with them it runs those that come until
// the transaction before is on the disk. An error says that nothing is written.
func (g *group) attempt(ctx context.Context, batch []*operation, savepoints bool) ([]*operation, error) {
	all := tally{}
	for waited, done := false, 0; done < len(batch); {
		for ; done < len(batch); done++ {
			if err := g.run(batch[done], all, savepoints); err != nil {
				return batch, err
			}
		}
		more := g.take(maxGroup - len(batch))
		if len(more) == 0 && !waited && len(batch) < maxGroup {
			g.log.wait()
			waited, more = true, g.take(maxGroup-len(batch))
		}
		batch = append(batch, more...)
	}
	if err := all.write(ctx, tx{s: g.s, runner: g}); err != nil {
		return batch, err
	}
	_, err := g.exec(ctx, "COMMIT")
	return batch, err
}

// run runs one operation, and adds to all what it counts. The operation's own
// error is no error of the transaction.
func (g *group) run(op *operation, all tally, savepoint bool) error {
	if op.err = op.ctx.Err(); op.err != nil || op.panicked != nil {
		return nil
	}
	wrote := false
	t := tx{s: g.s, runner: g, tally: tally{}, wrote: &wrote}
	if savepoint {
		if _, err := g.exec(op.ctx, "SAVEPOINT operation"); err != nil {
			return err
		}
	}
	op.call(t)
	switch {
	case op.err == nil:
		all.add(t.tally)
	case g.s.dialect.unavailable(op.err):
		return op.err // SQLite may have rolled back by itself
	case wrote && !savepoint:
		return errSpoiled
	case savepoint:
		if _, err := g.exec(op.ctx, "ROLLBACK TO operation"); err != nil {
			return err
		}
	}
	if savepoint {
		_, err := g.exec(op.ctx, "RELEASE operation")
		return err
	}
	return nil
}

// call runs the work of an operation. It keeps a panic for the goroutine that
// asked for the operation.
func (op *operation) call(t tx) {
	defer func() {
		if v := recover(); v != nil {
			op.panicked = fmt.Sprintf("%v\n%s", v, debug.Stack())
			op.err = errSpoiled
		}
	}()
	op.err = op.work(t)
	if err := op.ctx.Err(); op.err == nil && err != nil {
		op.err = err
	}
}

// begin starts a transaction, and waits for those of other processes. The wait
// is here and not in SQLite, where it would not end with the context.
func (g *group) begin(ctx context.Context) error {
	if err := g.connect(); err != nil {
		return err
	}
	deadline := time.NewTimer(sqliteBusyTimeout)
	defer deadline.Stop()
	for {
		_, err := g.conn.Exec("BEGIN IMMEDIATE")
		if err == nil {
			return nil
		}
		if !isSQLite(err, sqlite3.SQLITE_BUSY) {
			g.discard()
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return err
		case <-time.After(sqliteRetry):
		}
	}
}

// connect opens the connection that writes, unless there is one.
func (g *group) connect() (err error) {
	if g.closed {
		return sql.ErrConnDone
	}
	if g.conn == nil {
		if g.conn, err = openSQLiteWriter(g.uri, g.s.bulk); err != nil {
			return err
		}
		if err := g.log.use(g.conn); err != nil {
			g.discard()
			return err
		}
	}
	if !g.log.damaged.Load() {
		return nil
	}
	defer g.checkpoints.pause()()
	return g.log.heal(g.conn)
}

// rollback ends a transaction that failed.
func (g *group) rollback() {
	if _, err := g.conn.Exec("ROLLBACK"); err != nil {
		g.discard() // perhaps SQLite has rolled back by itself
	}
}

// discard closes the connection: what state it is in nobody knows.
func (g *group) discard() {
	_ = g.conn.Close()
	g.conn = nil
}

// close closes the connection, once nobody is at work, for good.
func (g *group) close() error {
	g.turn <- struct{}{}
	defer func() { <-g.turn }()
	if g.closed {
		return nil
	}
	g.closed = true
	g.checkpoints.close()
	if g.conn == nil {
		return nil
	}
	err := g.conn.Close()
	g.conn = nil
	return err
}

// exec and query take no heed of the end of a context: to interrupt SQLite would
// undo what others have in the transaction, and none of the statements takes
// long.
func (g *group) exec(_ context.Context, query string, args ...any) (changed int64, err error) {
	return g.conn.Exec(query, args...)
}

func (g *group) query(_ context.Context, query string, args ...any) (rows, error) {
	r, err := g.conn.Query(query, args...)
	if err != nil {
		return nil, err
	}
	return r, nil
}
