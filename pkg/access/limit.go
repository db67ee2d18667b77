package access

import (
	"strings"
	"sync"
	"time"
)

// A Limiter bounds how often each of many callers may do something, each known
// by a name such as an address: every caller has a bucket of tokens that fills
// at a steady rate. It is safe for concurrent use, and its memory is bounded:
// who comes seldom is forgotten first, and starts anew with a full bucket. A nil
// Limiter allows everything.
type Limiter struct {
	perSecond float64
	burst     float64
	now       func() time.Time

	mu     sync.Mutex
	recent map[string]bucket // seen since the last turn; guarded by mu
	before map[string]bucket // seen in the turn before; guarded by mu
}

// A bucket is what a caller has left.
type bucket struct {
	tokens float64
	at     time.Time // when it held them
}

const (
	maxCallers    = 50_000
	maxCallerName = 64 // bytes; what is longer counts as what it begins with
)

// NewLimiter returns a limiter that allows so many a second, and burst at once.
// Zero a second is no limit, and gives nil.
func NewLimiter(perSecond float64, burst int, now func() time.Time) *Limiter {
	if perSecond <= 0 {
		return nil
	}
	return &Limiter{
		perSecond: perSecond, burst: float64(burst), now: now,
		recent: map[string]bucket{}, before: map[string]bucket{},
	}
}

// Allow reports whether the caller may go on, and counts it if so.
func (l *Limiter) Allow(caller string) bool {
	if l == nil {
		return true
	}
	caller = clip(caller)
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(caller)
	allowed := b.tokens >= 1
	if allowed {
		b.tokens--
	}
	l.keep(caller, b)
	return allowed
}

// Refund takes back that an allowed call was counted.
func (l *Limiter) Refund(caller string) {
	if l == nil {
		return
	}
	caller = clip(caller)
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(caller)
	b.tokens = min(b.tokens+1, l.burst)
	l.keep(caller, b)
}

func clip(caller string) string { return caller[:min(len(caller), maxCallerName)] }

// bucket returns what the caller has left now. A clock that was set back adds
// nothing.
func (l *Limiter) bucket(caller string) bucket {
	now := l.now()
	b, known := l.recent[caller]
	if !known {
		b, known = l.before[caller]
	}
	if !known {
		return bucket{l.burst, now}
	}
	if elapsed := now.Sub(b.at); elapsed > 0 {
		b.tokens = min(b.tokens+elapsed.Seconds()*l.perSecond, l.burst)
	}
	b.at = now
	return b
}

func (l *Limiter) keep(caller string, b bucket) {
	if _, known := l.recent[caller]; !known {
		if len(l.recent) >= maxCallers/2 {
			l.before, l.recent = l.recent, make(map[string]bucket)
		}
		caller = strings.Clone(caller) // which may be part of a long header
	}
	l.recent[caller] = b
}
