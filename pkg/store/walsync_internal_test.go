package store

import (
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/keyring"
)

func openFile(t *testing.T) *Store {
	t.Helper()
	k, err := keyring.New(keyring.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	o := Options{DSN: filepath.Join(t.TempDir(), "lcp.db"), Keyring: k, Now: time.Now, Migrate: true}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// entries returns how many entries the audit log has.
func entries(t *testing.T, s *Store) int64 {
	t.Helper()
	n, err := selectOne(t.Context(), s.keyed(), scanCount, "SELECT COUNT(*) FROM audit")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Whoever writes hears of it when it is on the disk, and no sooner.
func TestWriteWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	s := openFile(t)
	begun, goOn := make(chan struct{}, 100), make(chan struct{})
	s.group.log.flush = func(name string) error {
		begun <- struct{}{}
		<-goOn
		return flushFile(name)
	}
	const others = 20
	done := make(chan error, 1+others)
	write := func() { done <- s.Audit(t.Context(), AuditEntry{Action: "test"}) }
	go write()
	<-begun
	if n := entries(t, s); n != 1 {
		t.Errorf("%d entries are committed, want 1", n)
	}
	for range others {
		go write()
	}
	select {
	case err := <-done:
		t.Fatalf("somebody heard %v before it was on the disk", err)
	default:
	}
	close(goOn)
	for range 1 + others {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := entries(t, s); n != 1+others {
		t.Errorf("%d entries, want %d", n, 1+others)
	}
}

// What could not be brought to the disk is not acknowledged. The next who writes
// makes it good, and nobody loses anything.
func TestWriteAfterTheDiskFailed(t *testing.T) {
	t.Parallel()
	s := openFile(t)
	broken := errors.New("broken")
	var fail atomic.Bool
	s.group.log.flush = func(name string) error {
		if fail.Load() {
			return broken
		}
		return flushFile(name)
	}
	audit := func() error { return s.Audit(t.Context(), AuditEntry{Action: "test"}) }
	if err := audit(); err != nil {
		t.Fatal(err)
	}
	fail.Store(true)
	for range 2 {
		if err := audit(); !errors.Is(err, ErrUnavailable) || !errors.Is(err, broken) {
			t.Errorf("error = %v, want %v", err, broken)
		}
	}
	fail.Store(false)
	if err := audit(); err != nil {
		t.Error(err)
	}
	if s.group.log.damaged.Load() {
		t.Error("the log is still taken for damaged")
	}
	if n := entries(t, s); n != 4 {
		t.Errorf("%d entries, want 4: what was not acknowledged may be there, and is here", n)
	}
}

// After many reads whoever writes gets room again, once.
func TestWriterMakesRoom(t *testing.T) {
	t.Parallel()
	s := openFile(t)
	for _, reads := range []int64{readsForRoom - 1, readsForRoom, 2 * readsForRoom} {
		s.points.reads.Store(reads)
		if err := s.Audit(t.Context(), AuditEntry{Action: "test"}); err != nil {
			t.Fatal(err)
		}
		if left := s.points.reads.Load(); (left == 0) != (reads >= readsForRoom) {
			t.Errorf("%d reads: %d are counted after a write", reads, left)
		}
	}
	if n := entries(t, s); n != 3 {
		t.Errorf("%d entries, want 3", n)
	}
}
