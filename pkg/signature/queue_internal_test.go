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
	for range 3 {
		goOn <- struct{}{}
		if n := <-begun; n != batch {
			t.Errorf("%d are signed for in a batch, want %d", n, batch)
		}
	}
	close(goOn)
	wg.Wait()
	if q.signing != 0 {
		t.Errorf("%d still sign", q.signing)
	}
}
