package signature

import (
	"crypto/sha256"
	"sync"
	"testing"
)

// One who is alone is signed for at once, one more waits for company as long as
// half of the processors sign, and a full batch has them all.
func TestFullBatchesHaveAllProcessors(t *testing.T) {
	t.Parallel()
	const batch, most = 4, 2
	begun, goOn := make(chan int, 100), make(chan struct{})
	q := newQueue(batch, func(digests [][sha256.Size]byte) ([][]byte, error) {
		begun <- len(digests)
		<-goOn
		return make([][]byte, len(digests)), nil
	})
	q.most = most
	var wg sync.WaitGroup
	ask := func(n int) {
		for range n {
			wg.Go(func() {
				if _, err := q.signature(t.Context(), [sha256.Size]byte{}); err != nil {
					t.Error(err)
				}
			})
		}
	}
	waiting := func(n int) {
		t.Helper()
		for {
			q.mu.Lock()
			there := len(q.waiting)
			q.mu.Unlock()
			if there == n {
				break
			}
		}
		select {
		case n := <-begun:
			t.Errorf("%d more are signed for", n)
		default:
		}
	}
	ask(1)
	if n := <-begun; n != 1 {
		t.Errorf("%d are signed for at once, want 1", n)
	}
	ask(batch - 1)
	waiting(batch - 1)
	ask(1)
	if n := <-begun; n != batch {
		t.Errorf("%d are signed for in a batch, want %d", n, batch)
	}
	ask(3 * batch)
	waiting(3 * batch)
	for range 2 {
		goOn <- struct{}{}
		if n := <-begun; n != batch {
			t.Errorf("%d are signed for in a batch, want %d", n, batch)
		}
	}
	// The queue is down to a third: one of the two is done, and the other goes on.
	goOn <- struct{}{}
	waiting(batch)
	goOn <- struct{}{}
	if n := <-begun; n != batch {
		t.Errorf("%d are signed for in the last batch, want %d", n, batch)
	}
	close(goOn)
	wg.Wait()
	if q.signing != 0 {
		t.Errorf("%d still sign", q.signing)
	}
}

// Of batches that are full as many are signed as there are processors, but for the
// last of them once the queue is shorter than it was.
func TestLastProcessorSignsInNeed(t *testing.T) {
	t.Parallel()
	q := &queue{batch: 4, most: 3, longest: 30}
	for _, c := range []struct {
		others, wanted int
		want           bool
	}{
		{0, 1, true},
		{1, 3, false},
		{1, 4, true},
		{2, 19, false},
		{2, 20, true},
		{3, 60, false},
	} {
		if got := q.hasRoom(c.others, c.wanted); got != c.want {
			t.Errorf("beside %d, with %d who wait: %t, want %t", c.others, c.wanted, got, c.want)
		}
	}
	for range 400 {
		q.take(4)
	}
	if !q.hasRoom(2, 5) {
		t.Error("a long queue is not forgotten")
	}
	if one := (&queue{batch: 4, most: 1}); !one.hasRoom(0, 4) {
		t.Error("the only processor does not sign")
	}
}
