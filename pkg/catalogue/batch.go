package catalogue

import (
	"context"
	"iter"
	"runtime"
	"sync"
	"time"

	"github.com/lcp-tools/lcp/pkg/protect"
)

// A Batch brings in many items, several at once.
type Batch struct {
	Worker      Worker // every job works with a copy that has a Pipeline of its own
	Jobs        int    // items at once; zero for one per core
	MaxFailures int    // once so many have failed, no more are begun; zero for no limit

	// Gone reports whether an error says that a server is gone. Once that has
	// been so for patience, and nothing was done meanwhile, no more are begun:
	// they would fail one after the other, after several tries each. It may be nil.
	Gone func(error) bool
}

// patience is how long a batch goes on without a server: one that is started anew
// is back by then.
const patience = time.Minute

// A Watcher is told of the work on a batch.
type Watcher struct {
	// Begin is called when a job, numbered from 0, begins an item; by several
	// jobs at once. It may be nil.
	Begin func(job int, item Item) Progress
	// End is called with what Worker.Process returned; one call at a time.
	End func(job int, rec Record, err error)
}

// A Summary counts what became of the items of a batch.
type Summary struct {
	Done   int
	Kept   int // done by an earlier run, and unchanged
	Failed int
	Untold int // of those done or kept, the Notifier could not be told

	GaveUp bool // no more were begun, as Batch says
}

// Total is the number of items that something became of.
func (s Summary) Total() int { return s.Done + s.Kept + s.Failed }

// Run brings in the items. Failures of items are told to the watcher and
// counted; the error is that of the sequence, or the cause of ctx. When it
// returns, no work is in hand.
func (b *Batch) Run(ctx context.Context, items iter.Seq2[Item, error], watch Watcher) (Summary, error) {
	jobs := b.Jobs
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	r := &batchRun{Batch: b, watch: watch, stop: make(chan struct{})}
	queue := make(chan Item, queued)
	var running sync.WaitGroup
	for job := range jobs {
		running.Go(func() { r.work(ctx, job, jobs, queue) })
	}
	err := r.feed(ctx, items, queue)
	close(queue)
	running.Wait()
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return r.sum, err
}

// queued is how many items lie ready for the jobs. Where a journal lets most be
// passed over, to hand over one at a time took longer than what it was for.
const queued = 64

// A batchRun is one run of a batch.
type batchRun struct {
	*Batch
	watch Watcher
	stop  chan struct{} // closed once too many have failed

	mu   sync.Mutex
	sum  Summary
	gone time.Time // since when a server is, with nothing done; zero if none is
}

// feed hands out the items until they end, or no more are wanted.
func (r *batchRun) feed(ctx context.Context, items iter.Seq2[Item, error], queue chan<- Item) error {
	for item, err := range items {
		if err != nil {
			return err
		}
		select {
		case queue <- item:
		case <-r.stop:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// work is one of so many jobs. It makes its pipeline when there is work for it.
func (r *batchRun) work(ctx context.Context, job, jobs int, queue <-chan Item) {
	w := r.Worker
	w.Pipeline = nil
	for item := range queue {
		if r.over(ctx) {
			continue
		}
		if w.Pipeline == nil {
			w.Pipeline = protect.NewPipeline(CoresPerJob(jobs))
		}
		var progress Progress
		if r.watch.Begin != nil {
			progress = r.watch.Begin(job, item)
		}
		rec, err := w.Process(ctx, item, progress)
		r.end(job, rec, err)
	}
}

// over reports whether no more items are to be begun.
func (r *batchRun) over(ctx context.Context) bool {
	select {
	case <-r.stop:
		return true
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// end counts an item and tells about it.
func (r *batchRun) end(job int, rec Record, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rec.Untold != "" {
		r.sum.Untold++
	}
	switch {
	case err == nil && rec.Kept:
		r.sum.Kept++
	case err == nil:
		r.sum.Done++
		r.gone = time.Time{}
	default:
		r.sum.Failed++
		if !r.sum.GaveUp && (r.sum.Failed == r.MaxFailures || r.goneTooLong(err)) {
			r.sum.GaveUp = true
			close(r.stop)
		}
	}
	r.watch.End(job, rec, err)
}

// goneTooLong notes whether an error says that a server is gone, and reports
// whether it has been for patience.
func (r *batchRun) goneTooLong(err error) bool {
	if r.Gone == nil || !r.Gone(err) {
		return false
	}
	now := r.Worker.Now()
	if r.gone.IsZero() {
		r.gone = now
	}
	return now.Sub(r.gone) >= patience
}

// CoresPerJob shares the cores among so many jobs, and lets each overlap its
// stages: it is for whom to make pipelines for workers that run at once.
func CoresPerJob(jobs int) int {
	return max(1, (runtime.GOMAXPROCS(0)+jobs-1)/jobs)
}
