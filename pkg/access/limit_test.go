package access_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/access"
)

// clock is a time that tests move.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func newClock() *clock { return &clock{time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)} }

// allowed counts how many of n calls may go on.
func allowed(l *access.Limiter, caller string, n int) int {
	count := 0
	for range n {
		if l.Allow(caller) {
			count++
		}
	}
	return count
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := access.NewLimiter(2, 5, c.now)
	check := func(when, caller string, want int) {
		t.Helper()
		if got := allowed(l, caller, 100); got != want {
			t.Errorf("%s: %d calls of %s are allowed, want %d", when, got, caller, want)
		}
	}
	check("at first", "a", 5)
	check("at once again", "a", 0)
	check("at first", "b", 5)
	c.Time = c.Add(500 * time.Millisecond)
	check("after half a second", "a", 1)
	for range 10 {
		c.Time = c.Add(50 * time.Millisecond) // fractions add up
		l.Allow("b")
	}
	c.Time = c.Add(10 * time.Hour)
	check("after long", "a", 5)
	c.Time = c.Add(-20 * time.Hour)
	check("with the clock set back", "a", 0)
	c.Time = c.Add(time.Second)
	check("a second after that", "a", 2)
}

func TestLimiterWithoutLimit(t *testing.T) {
	t.Parallel()
	for _, perSecond := range []float64{0, -1} {
		l := access.NewLimiter(perSecond, 1, newClock().now)
		l.Refund("a")
		if got := allowed(l, "a", 1000); got != 1000 {
			t.Errorf("with %v a second, %d of 1000 calls are allowed, want all", perSecond, got)
		}
	}
}

func TestLimiterKeepsFractions(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := access.NewLimiter(1, 1, c.now)
	l.Allow("a")
	count := 0
	for range 100 { // refused calls cost nothing
		c.Time = c.Add(100 * time.Millisecond)
		if l.Allow("a") {
			count++
		}
	}
	if count < 9 || count > 10 { // sums of tenths are not exact
		t.Errorf("in ten seconds %d calls are allowed, want one a second", count)
	}
}

func TestLimiterRefund(t *testing.T) {
	t.Parallel()
	l := access.NewLimiter(1, 3, newClock().now)
	for range 10 {
		if !l.Allow("a") {
			t.Fatal("a call is refused though the ones before were taken back")
		}
		l.Refund("a")
	}
	l.Refund("a")
	l.Refund("stranger")
	for _, caller := range []string{"a", "stranger"} {
		if got := allowed(l, caller, 100); got != 3 {
			t.Errorf("%d calls of %s are allowed, want 3: nothing is saved up beyond", got, caller)
		}
	}
}

// A caller that comes often is not forgotten in a flood of others, and so gets
// nothing from the flood.
func TestLimiterIsFairInAFlood(t *testing.T) {
	t.Parallel()
	l := access.NewLimiter(1, 3, newClock().now)
	count := 0
	for i := range 500_000 {
		l.Allow(fmt.Sprint("flood ", i))
		if i%1000 == 0 && l.Allow("busy") {
			count++
		}
	}
	if count != 3 {
		t.Errorf("%d calls are allowed, want 3", count)
	}
	if !l.Allow("newcomer") {
		t.Error("a newcomer is refused for what others do")
	}
}

func TestLimiterLongNames(t *testing.T) {
	t.Parallel()
	l := access.NewLimiter(1, 1, newClock().now)
	long := strings.Repeat("x", 1<<20)
	if !l.Allow(long) || l.Allow(long) {
		t.Error("a caller with a long name is not told from others")
	}
	if l.Allow(long + "y") {
		t.Error("a caller gets more by adding to a long name")
	}
}

func TestLimiterAtOnce(t *testing.T) {
	t.Parallel()
	l := access.NewLimiter(1, 100, newClock().now)
	var count atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { count.Add(int64(allowed(l, "a", 50))) })
	}
	wg.Wait()
	if got := count.Load(); got != 100 {
		t.Errorf("%d of 800 calls at once are allowed, want 100", got)
	}
}

func BenchmarkLimiter(b *testing.B) {
	l := access.NewLimiter(1e9, 1e9, time.Now)
	for b.Loop() {
		if !l.Allow("10.0.0.1") {
			b.Fatal("refused")
		}
	}
}
