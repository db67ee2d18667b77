package signature

import (
	"context"
	"crypto/sha256"
	"runtime"
	"slices"
	"sync"
)

// A queue signs digests in the order of their arrival. A signature with RSA is
// most of the work of a license: without a queue dozens of them share the
// processors, all of them are late, and so is whatever else there is to do in
// between. Where a batch takes no longer than one, batches fill up meanwhile.
//
// Nothing runs in the background: those who wait take turns in signing for those
// who came after them.
type queue struct {
	batch int // how many digests are signed in the time of one
	most  int // can sign at a time
	sign  func(digests [][sha256.Size]byte) ([][]byte, error)

	mu      sync.Mutex
	signing int     // how many sign
	waiting []*turn // in the order of arrival
	longest float64 // how many waited at most, of late
}

// A turn is a digest that somebody waits for the signature of.
type turn struct {
	digest [sha256.Size]byte
	value  []byte
	err    error
	ready  chan bool // true: it is on the one who waits to sign; false: value or err is there
}

// newQueue returns a queue that signs on all processors. The scheduler may have
// been told of more than there are, which sign no faster.
func newQueue(batch int, sign func([][sha256.Size]byte) ([][]byte, error)) *queue {
	return &queue{batch: batch, most: min(runtime.GOMAXPROCS(0), runtime.NumCPU()), sign: sign}
}

// hasRoom says whether one more can sign beside others, for so many who want a
// signature. Of batches that would not be full half as many are signed at a time,
// since the more there are, the fewer are full. The last processor signs only while
// nearly as many wait as ever did: of those who do not, most have their signature
// and need that processor to be done with, and to ask for the next.
func (q *queue) hasRoom(others, wanted int) bool {
	switch {
	case wanted < q.batch:
		return others < max(q.most/2, 1)
	case q.batch > 1 && others > 0 && others == q.most-1:
		return float64(wanted) >= nearly*q.longest
	}
	return others < q.most
}

const (
	nearly = 2. / 3
	// forget is what remains of the longest queue with each batch: half of it after
	// some 180.
	forget = 1 - 1./256
)

// signature returns the signature of a digest. The error is that of signing, or
// the cause of ctx's end if that came first.
func (q *queue) signature(ctx context.Context, digest [sha256.Size]byte) ([]byte, error) {
	t := &turn{digest: digest, ready: make(chan bool, 1)}
	leads := q.join(t)
	if !leads {
		select {
		case leads = <-t.ready:
		case <-ctx.Done():
			if q.leave(t) {
				return nil, context.Cause(ctx)
			}
			leads = <-t.ready // somebody has begun to sign for t
		}
	}
	if leads {
		q.lead(t)
	}
	return t.value, t.err
}

// join says whether t can sign at once, and lets it wait otherwise.
func (q *queue) join(t *turn) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.hasRoom(q.signing, len(q.waiting)+1) {
		q.signing++
		return true
	}
	q.waiting = append(q.waiting, t)
	q.longest = max(q.longest, float64(len(q.waiting)))
	return false
}

// leave says whether t was still waiting, which it no longer does.
func (q *queue) leave(t *turn) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, t)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

// lead signs for t and for those who have waited longest.
func (q *queue) lead(t *turn) {
	defer q.handOver()
	if q.batch > 1 {
		// Whoever is about to ask for a signature comes first, and is signed for along.
		runtime.Gosched()
	}
	turns := append([]*turn{t}, q.take(q.batch-1)...)
	digests := make([][sha256.Size]byte, len(turns))
	for i, t := range turns {
		digests[i] = t.digest
	}
	values, err := q.sign(digests)
	for i, t := range turns {
		if t.err = err; err == nil {
			t.value = values[i]
		}
	}
	for _, t := range turns[1:] {
		t.ready <- false
	}
}

// take returns up to n of those who have waited longest, who then no longer wait.
// With each batch that is taken a little of how many waited is forgotten.
func (q *queue) take(n int) []*turn {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.longest *= forget
	n = min(n, len(q.waiting))
	first := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return first
}

// handOver lets the one who has waited longest sign next.
func (q *queue) handOver() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 || !q.hasRoom(q.signing-1, len(q.waiting)) {
		q.signing--
		return
	}
	q.waiting[0].ready <- true
	q.waiting = slices.Delete(q.waiting, 0, 1)
}
