package access

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A Limiter bounds how often each of many callers may do something, each known
// by a name such as an address. It is safe for concurrent use, and its memory is
// bounded: who comes seldom is forgotten first.
type Limiter struct {
	limit rate.Limit
	burst int
	now   func() time.Time

	mu     sync.Mutex
	recent map[string]*rate.Limiter // seen since the last turn; guarded by mu
	before map[string]*rate.Limiter // seen in the turn before
}

const maxCallers = 50_000

// NewLimiter returns a limiter that allows so many a second, and burst at once.
func NewLimiter(perSecond float64, burst int, now func() time.Time) *Limiter {
	return &Limiter{
		limit: rate.Limit(perSecond), burst: burst, now: now,
		recent: map[string]*rate.Limiter{}, before: map[string]*rate.Limiter{},
	}
}

// Allow reports whether the caller may go on, and counts it.
func (l *Limiter) Allow(caller string) bool {
	return l.of(caller).AllowN(l.now(), 1)
}

func (l *Limiter) of(caller string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.recent[caller]; r != nil {
		return r
	}
	r := l.before[caller]
	if r == nil {
		r = rate.NewLimiter(l.limit, l.burst)
	}
	if len(l.recent) >= maxCallers/2 {
		l.before, l.recent = l.recent, map[string]*rate.Limiter{}
	}
	l.recent[caller] = r
	return r
}
