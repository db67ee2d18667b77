package store

import (
	"os"
	"sync"
	"testing"
	"time"
)

// moved returns how many bytes the database file has, without the log.
func moved(t *testing.T, s *Store) int64 {
	t.Helper()
	info, err := os.Stat(s.group.log.file[:len(s.group.log.file)-len(logSuffix)])
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// writeMany writes so many operations, some at a time.
func writeMany(t *testing.T, s *Store, operations int) {
	t.Helper()
	const atOnce = 50
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for range operations / atOnce {
				if err := s.Audit(t.Context(), AuditEntry{Action: "test", Target: "something that takes some room"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// The log gets into the database while the store is in use, long before it is so
// long that somebody who writes has to wait for it.
func TestCheckpointBesideWriters(t *testing.T) {
	t.Parallel()
	s := openFile(t)
	writeMany(t, s, 100)
	before := moved(t, s)
	writeMany(t, s, 2*checkpointEvery)
	s.group.checkpoints.pause()() // until it is done
	if after := moved(t, s); after < before+checkpointEvery*50 {
		t.Errorf("the database has grown from %d to %d bytes by %d entries", before, after, 2*checkpointEvery)
	}
	if n := entries(t, s); n != 100+2*checkpointEvery {
		t.Errorf("%d entries, want %d", n, 100+2*checkpointEvery)
	}
	// Closing waits for it, and closes its connection.
	s.group.checkpoints.operations.Store(checkpointEvery)
	writeMany(t, s, 50)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.group.checkpoints.conn != nil {
		t.Error("a connection stays open")
	}
}

// A checkpoint that fails is made another time, and nobody who writes notices.
func TestCheckpointFails(t *testing.T) {
	t.Parallel()
	s := openFile(t)
	writeMany(t, s, 50)
	c := s.group.checkpoints
	uri := c.uri
	c.uri = "file:/nowhere/at/all?mode=rw"
	c.operations.Store(checkpointEvery)
	writeMany(t, s, 50)
	c.pause()()
	before := moved(t, s)
	c.uri = uri
	writeMany(t, s, checkpointEvery)
	deadline := time.Now().Add(time.Minute)
	for moved(t, s) <= before {
		if time.Now().After(deadline) {
			t.Fatal("the log does not get into the database any more")
		}
		c.operations.Store(checkpointEvery)
		writeMany(t, s, 50)
		c.pause()()
	}
}
