package store

import (
	"sync/atomic"

	"github.com/lcp-tools/lcp/pkg/rawsqlite"
)

// checkpointEvery is after how many operations the log of SQLite is brought into
// the database: each writes four to ten pages, and more of them the larger the
// database is.
const checkpointEvery = 1000

// A checkpointer brings the write-ahead log of SQLite into the database beside
// those who write. SQLite itself does that within a commit, and has all others
// wait for some thousands of pages to get to the disk, all over the database. What
// is left for it are the pages of the last moments, and to start the log anew once
// it is as long as sqliteCheckpoint says.
type checkpointer struct {
	uri        string        // of the database
	operations atomic.Int64  // since the last time
	turn       chan struct{} // holds one value while somebody uses what is below
	conn       *rawsqlite.Conn
}

func newCheckpointer(uri string) *checkpointer {
	return &checkpointer{uri: uri, turn: make(chan struct{}, 1)}
}

// count adds operations that were committed, and every so often begins to bring
// them into the database. It does not wait for that.
func (c *checkpointer) count(operations int) {
	if c.operations.Add(int64(operations)) < checkpointEvery {
		return
	}
	select {
	case c.turn <- struct{}{}:
		c.operations.Store(0)
		go func() {
			defer func() { <-c.turn }()
			c.run()
		}()
	default: // it is being done
	}
}

// run brings into the database what no reader needs the log for. Where that
// fails nothing is lost: the log is as good a place, and SQLite does it later.
func (c *checkpointer) run() {
	if c.conn == nil {
		conn, err := openRawSQLite(c.uri, 0, "synchronous = normal", "cache_size = -64")
		if err != nil {
			return
		}
		c.conn = conn
	}
	if _, err := c.conn.Exec("PRAGMA wal_checkpoint(passive)"); err != nil {
		c.discard()
	}
}

// pause waits until nothing is under way, and has nothing begun until resume is
// called.
func (c *checkpointer) pause() (resume func()) {
	c.turn <- struct{}{}
	return func() { <-c.turn }
}

// close ends it for good.
func (c *checkpointer) close() {
	c.pause()
	c.discard()
}

// discard closes the connection, if there is one.
func (c *checkpointer) discard() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}
