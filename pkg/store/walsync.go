package store

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/lcp-tools/lcp/pkg/rawsqlite"
)

// A walSync brings the write-ahead log of SQLite to the disk, after transactions
// have been committed to it. SQLite does the same within every commit where
// synchronous is full, but then nobody can write meanwhile.
type walSync struct {
	flush func(file string) error // flushFile, but for tests

	committed atomic.Int64 // how many transactions; whoever has the turn of the group adds
	damaged   atomic.Bool  // the disk may lack what was committed, and not get it any more

	turn   chan struct{} // holds one value while somebody uses what is below
	file   string        // name of the log
	synced int64         // how many transactions are on the disk
}

func newWALSync() *walSync {
	return &walSync{flush: flushFile, turn: make(chan struct{}, 1)}
}

// databaseFile finds the file of a connection's database, whichever name it was
// opened by. The log has that name and logSuffix (sqlite.org/wal.html §2).
const (
	databaseFile = "SELECT file FROM pragma_database_list WHERE name = 'main'"
	logSuffix    = "-wal"
)

// use says which connection commits from now on.
func (w *walSync) use(conn *rawsqlite.Conn) error {
	var name string
	if err := scanOnly(conn, databaseFile, &name); err != nil {
		return err
	}
	w.turn <- struct{}{}
	w.file = name + logSuffix
	<-w.turn
	return nil
}

// scanOnly reads the only row of a query.
func scanOnly(conn *rawsqlite.Conn, query string, dest ...any) error {
	rows, err := conn.Query(query)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		return errors.Join(ErrNotFound, rows.Err())
	}
	return rows.Scan(dest...)
}

// wait returns once no transaction is being brought to the disk.
func (w *walSync) wait() {
	w.turn <- struct{}{}
	<-w.turn
}

// sync returns once so many transactions are on the disk.
func (w *walSync) sync(transactions int64) error {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	switch {
	case w.synced >= transactions:
		return nil
	case w.damaged.Load():
		return fmt.Errorf("%w: the write-ahead log could not be brought to the disk", ErrUnavailable)
	}
	committed := w.committed.Load()
	if err := w.flush(w.file); err != nil {
		w.damaged.Store(true)
		return fmt.Errorf("%w: bring the write-ahead log to the disk: %w", ErrUnavailable, err)
	}
	w.synced = committed
	return nil
}

const (
	// checkpoint brings all of the log into the database, and both to the disk,
	// and starts the log anew.
	checkpoint = "PRAGMA wal_checkpoint(truncate)"
	// healTimeout is how long it waits for readers, in milliseconds.
	healTimeout = "PRAGMA busy_timeout = 1000"
	noTimeout   = "PRAGMA busy_timeout = 0"
)

// heal makes good a log that could not be brought to the disk. The system may
// have forgotten by then that it was not: to try again, or to write on in the same
// log, would not do, since what a log has after a gap is lost.
func (w *walSync) heal(conn *rawsqlite.Conn) error {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	if _, err := conn.Exec(healTimeout); err != nil {
		return err
	}
	var busy, frames, moved int
	err := scanOnly(conn, checkpoint, &busy, &frames, &moved)
	if err == nil && busy != 0 {
		err = fmt.Errorf("%w: the write-ahead log is in use and could not be started anew", ErrUnavailable)
	}
	if err != nil {
		return err
	}
	w.synced = w.committed.Load()
	w.damaged.Store(false)
	_, err = conn.Exec(noTimeout)
	return err
}
