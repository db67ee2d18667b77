package delivery

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Reasons not to ask a provider's service at all.
var (
	errBusy = errors.New("too many callbacks to this provider wait already")
	errDown = errors.New("callbacks to this provider failed lately, and are held back for a while")
)

const (
	defaultConcurrency = 32
	waitersPerSlot     = 4 // how many may wait for each callback under way

	failuresToOpen = 5 // in a row
	firstPause     = 5 * time.Second
	longestPause   = 2 * time.Minute
)

// A verdict is what a callback tells about the service behind it.
type verdict int

const (
	noVerdict verdict = iota // the client went away before there was one
	alive
	dead
)

// A line is the way to one provider's service. It bounds how many callbacks are
// under way and how many wait, and closes for a while after several failures in
// a row, so that a dead service costs its own users a quick refusal, and other
// providers nothing. It is safe for concurrent use.
type line struct {
	target string        // what the line leads to; another one gets a new line
	slots  chan struct{} // holds one item for each callback under way
	queue  chan struct{} // the same, with those that wait
	now    func() time.Time

	mu       sync.Mutex
	failures int           // in a row
	pause    time.Duration // how long the line is closed for
	until    time.Time     // when the line may be tried again; zero: it is open
	probing  bool          // one callback is trying whether the service is back
}

func newLine(target string, concurrency int, now func() time.Time) *line {
	if concurrency <= 0 {
		concurrency = defaultConcurrency
	}
	return &line{
		target: target, now: now,
		slots: make(chan struct{}, concurrency), queue: make(chan struct{}, concurrency*(1+waitersPerSlot)),
	}
}

// enter waits for a free slot until the context is done. It fails with errBusy or
// errDown. The caller must leave when it is done.
func (l *line) enter(ctx context.Context) (leave func(verdict), err error) {
	if l.closed() { // no reason to wait
		return nil, errDown
	}
	select {
	case l.queue <- struct{}{}:
	default:
		return nil, errBusy
	}
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		<-l.queue
		return nil, errBusy
	}
	probe, ok := l.pass()
	if !ok { // it was closed meanwhile
		<-l.slots
		<-l.queue
		return nil, errDown
	}
	return func(v verdict) {
		l.note(v, probe)
		<-l.slots
		<-l.queue
	}, nil
}

// closed reports whether a callback now would not be let through.
func (l *line) closed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shut()
}

// shut is closed, for those who hold the lock.
func (l *line) shut() bool {
	return !l.until.IsZero() && (l.probing || l.now().Before(l.until))
}

// pass reports whether a callback may be made, and whether it is the one that
// tries a line that was closed.
func (l *line) pass() (probe, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut() {
		return false, false
	}
	l.probing = !l.until.IsZero()
	return l.probing, true
}

// note draws the consequences of a callback. Of those that were under way when
// the line closed, only a probe can open it again.
func (l *line) note(v verdict, probe bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if probe {
		l.probing = false
	}
	closed := !l.until.IsZero()
	switch {
	case v == noVerdict, closed && !probe:
	case v == alive:
		l.failures, l.pause, l.until = 0, 0, time.Time{}
	default:
		l.failures++
		if l.failures >= failuresToOpen {
			l.pause = min(max(2*l.pause, firstPause), longestPause)
			l.until = l.now().Add(l.pause)
		}
	}
}

// wait returns how long the line is still closed.
func (l *line) wait() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(l.until.Sub(l.now()), time.Second).Round(time.Second)
}
