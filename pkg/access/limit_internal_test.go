package access

import (
	"strconv"
	"testing"
	"time"
)

func TestLimiterMemoryIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	l := NewLimiter(1, 3, func() time.Time { return now })
	for i := range 10 * maxCallers {
		l.Allow(strconv.Itoa(i))
		if len(l.recent)+len(l.before) > maxCallers {
			t.Fatalf("after %d callers %d are remembered, want at most %d", i, len(l.recent)+len(l.before), maxCallers)
		}
	}
	if len(l.before) == 0 {
		t.Error("all callers are forgotten at a time")
	}
}
