package delivery

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A switchboard is a line with a clock that a test can turn.
type switchboard struct {
	*line
	at time.Time
}

func newSwitchboard(concurrency int) *switchboard {
	s := &switchboard{at: time.Unix(1e9, 0)}
	s.line = newLine("x", concurrency, func() time.Time { return s.at })
	return s
}

// call makes one callback with that outcome.
func (s *switchboard) call(t *testing.T, v verdict) error {
	t.Helper()
	leave, err := s.enter(t.Context())
	if err == nil {
		leave(v)
	}
	return err
}

func (s *switchboard) breakIt(t *testing.T) {
	t.Helper()
	for range failuresToOpen {
		if err := s.call(t, dead); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLineClosesAfterFailures(t *testing.T) {
	t.Parallel()
	s := newSwitchboard(4)
	for range failuresToOpen - 1 {
		_ = s.call(t, dead)
	}
	_ = s.call(t, alive)
	s.breakIt(t) // needs as many again, in a row
	if err := s.call(t, alive); !errors.Is(err, errDown) {
		t.Errorf("enter = %v, want errDown", err)
	}
	if got := s.wait(); got != firstPause {
		t.Errorf("wait = %s, want %s", got, firstPause)
	}
}

func TestClientsThatLeaveCloseNothing(t *testing.T) {
	t.Parallel()
	s := newSwitchboard(4)
	for range 10 * failuresToOpen {
		_ = s.call(t, noVerdict)
	}
	if err := s.call(t, alive); err != nil {
		t.Errorf("enter = %v", err)
	}
}

func TestOneProbeAfterThePause(t *testing.T) {
	t.Parallel()
	s := newSwitchboard(4)
	s.breakIt(t)
	s.at = s.at.Add(firstPause - 1)
	if err := s.call(t, alive); !errors.Is(err, errDown) {
		t.Errorf("before the pause is over: %v", err)
	}
	s.at = s.at.Add(1)
	leave, err := s.enter(t.Context())
	if err != nil {
		t.Fatalf("the probe: %v", err)
	}
	if err := s.call(t, alive); !errors.Is(err, errDown) {
		t.Errorf("beside the probe: %v", err)
	}
	leave(noVerdict) // its client has gone
	if err := s.call(t, dead); err != nil {
		t.Errorf("the next probe: %v", err)
	}
	if got := s.wait(); got != 2*firstPause {
		t.Errorf("wait = %s, want twice the first", got)
	}
	s.at = s.at.Add(2 * firstPause)
	if err := s.call(t, alive); err != nil {
		t.Errorf("the last probe: %v", err)
	}
	s.breakIt(t) // open again, and as patient as before
	if got := s.wait(); got != firstPause {
		t.Errorf("wait = %s, want %s", got, firstPause)
	}
}

// Who comes to a closed line is turned away, even if he would have to wait for a
// slot first.
func TestClosedLineKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	s := newSwitchboard(1)
	leave, err := s.enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer leave(noVerdict)
	for range failuresToOpen {
		s.note(dead, false)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.enter(ctx); !errors.Is(err, errDown) {
		t.Errorf("enter = %v, want errDown", err)
	}
}

func TestPauseIsBounded(t *testing.T) {
	t.Parallel()
	s := newSwitchboard(4)
	s.breakIt(t)
	for range 20 {
		s.at = s.at.Add(longestPause)
		if err := s.call(t, dead); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.wait(); got != longestPause {
		t.Errorf("wait = %s, want %s", got, longestPause)
	}
}

// Callbacks that were under way when the line closed neither open it again nor
// prolong the pause.
func TestLateVerdicts(t *testing.T) {
	t.Parallel()
	s := newSwitchboard(failuresToOpen + 2)
	var leaves []func(verdict)
	for range failuresToOpen + 2 {
		leave, err := s.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
	}
	for _, leave := range leaves[:failuresToOpen+1] {
		leave(dead)
	}
	leaves[failuresToOpen+1](alive)
	if err := s.call(t, alive); !errors.Is(err, errDown) || s.wait() != firstPause {
		t.Errorf("enter = %v, wait %s", err, s.wait())
	}
}

func TestQueue(t *testing.T) {
	t.Parallel()
	s := newSwitchboard(1)
	leave, err := s.enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, waitersPerSlot)
	for range waitersPerSlot {
		go func() {
			_, err := s.enter(ctx)
			results <- err
		}()
	}
	for len(s.queue) < cap(s.queue) { // until all of them wait
		time.Sleep(time.Millisecond)
	}
	if _, err := s.enter(t.Context()); !errors.Is(err, errBusy) {
		t.Errorf("beyond the queue: %v, want errBusy at once", err)
	}
	cancel()
	for range waitersPerSlot {
		if err := <-results; !errors.Is(err, errBusy) {
			t.Errorf("a waiter: %v, want errBusy", err)
		}
	}
	leave(alive)
	if len(s.queue) != 0 || len(s.slots) != 0 {
		t.Errorf("%d wait and %d are under way, at the end", len(s.queue), len(s.slots))
	}
	if err := s.call(t, alive); err != nil {
		t.Error(err)
	}
}
