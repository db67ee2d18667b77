package store

import (
	"context"
	"errors"
	"testing"
	"time"
)

// Where operations come several at a time, the next ones share a transaction too.
// One that comes alone waits for nobody.
func TestOperationsGather(t *testing.T) {
	t.Parallel()
	s := openFile(t)
	g := s.group
	g.company = time.Hour // only company ends the wait
	write := func(ctx context.Context) error { return s.Audit(ctx, AuditEntry{Action: "test"}) }
	for range 2 {
		if err := write(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	const together = 5
	g.last, g.ended = together, time.Now()
	before := g.log.committed.Load()
	done := make(chan error, together)
	for range together {
		go func() { done <- write(t.Context()) }()
	}
	for range together {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := g.log.committed.Load() - before; n != 1 {
		t.Errorf("%d operations took %d transactions, want 1", together, n)
	}

	// Who gives up waiting for company has written nothing, and keeps nobody.
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- write(ctx) }()
	for waits := false; !waits; {
		g.mu.Lock()
		waits = g.enough != nil && len(g.queue) == 0
		g.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error of one who gave up = %v", err)
	}
	if n := entries(t, s); n != 2+together {
		t.Errorf("%d entries, want %d", n, 2+together)
	}
}
