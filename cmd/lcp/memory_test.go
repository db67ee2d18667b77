package main

import "testing"

func TestGCPercent(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{
		0:                1000, // before the first collection
		heapRoom / 100:   1000,
		heapRoom / 4:     300,
		heapRoom / 2:     100,
		heapRoom/2 + 1e6: 100,
		10 * heapRoom:    100,
	} {
		if got := gcPercent(live); got != want {
			t.Errorf("gcPercent(%d) = %d, want %d", live, got, want)
		}
	}
}
