package jobqueue

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// A Worker does tasks.
type Worker struct {
	// Do does a task. What it returns is kept with the job, as JSON, whether or
	// not there is an error, unless it is nil. After an error the task is tried
	// again later, unless it is one that Final made. progress tells how far it is.
	// When ctx is done, Do is to return soon; what it did may be done again.
	Do func(ctx context.Context, job Job, progress func(done, total int64)) (output any, err error)

	Jobs    int           // tasks at once
	Drain   bool          // end once no job is left that is neither done nor given up
	Grace   time.Duration // how long Work, when it is to end, lets tasks in hand go on; zero for not at all
	Timeout time.Duration // of an attempt; zero for 12 hours
	// Silence is how long a worker may not be heard of until its tasks go to
	// others; zero for a minute. It should be the same for all.
	Silence time.Duration
}

const (
	defaultTimeout = 12 * time.Hour
	defaultSilence = time.Minute
)

// How long jobs are remembered that have ended.
const (
	keepDone   = 7 * 24 * time.Hour
	keepFailed = 30 * 24 * time.Hour
)

// Final makes an error that ends a task for good: doing it again would bring the
// same.
func Final(err error) error { return &finalError{err} }

type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

var (
	errLost = errors.New("the queue cannot be reached, and another worker may do the task")
	errLate = errors.New("it took longer than an attempt may")
)

// Work does tasks until ctx is done or, with Drain, none are left. It takes no
// more then; tasks in hand that do not end within the time of grace go back to
// the queue, to be done as if nobody had begun. When it returns, no work is in
// hand. That ctx is done is no error.
func (q *Queue) Work(ctx context.Context, w Worker) error {
	w.Timeout, w.Silence = cmp.Or(w.Timeout, defaultTimeout), cmp.Or(w.Silence, defaultSilence)
	r := &run{queue: q, worker: w, inHand: map[int64]*attempt{}}
	workers := river.NewWorkers()
	river.AddWorker(workers, &taskWorker{run: r})
	client, err := river.NewClient(riverpgxv5.New(q.pool), &river.Config{
		Logger: q.log, Workers: workers, Queues: map[string]river.QueueConfig{queueName: {MaxWorkers: w.Jobs}},
		// River would take from a worker what takes longer than this, and does so
		// where nobody else looks after it any more.
		JobTimeout: w.Timeout, RescueStuckJobsAfter: w.Timeout + time.Hour,
		SoftStopTimeout:             max(w.Grace, time.Millisecond),
		CompletedJobRetentionPeriod: keepDone, CancelledJobRetentionPeriod: keepFailed, DiscardedJobRetentionPeriod: keepFailed,
	})
	if err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	if err := client.Start(working); err != nil {
		return err
	}
	stopped := client.Stopped()
	var watching sync.WaitGroup
	ended := make(chan struct{})
	watching.Go(func() { r.keepInTouch(context.WithoutCancel(ctx), ended) })
	if w.Drain {
		watching.Go(func() { r.drain(ctx, stop, ended) })
	}
	<-stopped
	close(ended)
	watching.Wait()
	return nil
}

// A run is one run of a worker.
type run struct {
	queue  *Queue
	worker Worker

	mu     sync.Mutex
	inHand map[int64]*attempt
}

// An attempt is a job in hand.
type attempt struct {
	giveUp      context.CancelCauseFunc
	done, total atomic.Int64
}

// taskWorker is the run as River wants it.
type taskWorker struct {
	river.WorkerDefaults[taskArgs]
	run *run
}

// Work makes an attempt at a job.
func (t *taskWorker) Work(ctx context.Context, row *river.Job[taskArgs]) error {
	job, err := jobOf(row.JobRow)
	if err != nil {
		return river.JobCancel(err)
	}
	doing, a := t.run.begin(ctx, job.ID)
	defer t.run.end(job.ID)
	output, err := t.run.worker.Do(doing, job, func(done, total int64) {
		a.done.Store(done)
		a.total.Store(total)
	})
	if err != nil && doing.Err() != nil {
		return interrupted(ctx, doing)
	}
	if output != nil {
		if err := river.RecordOutput(ctx, output); err != nil {
			return river.JobCancel(err)
		}
	}
	if final := (*finalError)(nil); errors.As(err, &final) {
		return river.JobCancel(final.error)
	}
	return err
}

// interrupted is why an attempt was given up: to River, an attempt that ends with
// the worker was none, and one that somebody cancelled ends the job.
func interrupted(ctx, doing context.Context) error {
	switch {
	case ctx.Err() == nil:
		return context.Cause(doing)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return errLate
	default:
		return ctx.Err()
	}
}

func (r *run) begin(ctx context.Context, id int64) (context.Context, *attempt) {
	ctx, giveUp := context.WithCancelCause(ctx)
	a := &attempt{giveUp: giveUp}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inHand[id] = a
	return ctx, a
}

func (r *run) end(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inHand[id].giveUp(nil)
	delete(r.inHand, id)
}

// beats is how many times a worker makes itself heard in the time that it may be
// silent.
const beats = 4

// keepInTouch tells, until the end, that the jobs in hand are being worked on, and
// has those tried again that nobody works on any more. Who cannot tell for so long
// that others may have taken its jobs gives them up.
func (r *run) keepInTouch(ctx context.Context, end <-chan struct{}) {
	tick := time.NewTicker(r.worker.Silence / beats)
	defer tick.Stop()
	silent := 0
	for {
		select {
		case <-end:
			return
		case <-tick.C:
		}
		err := r.beat(ctx)
		if err == nil {
			silent, err = 0, r.rescue(ctx)
		} else if silent++; silent == beats-1 {
			r.giveUpAll()
		}
		if err != nil {
			r.queue.log.WarnContext(ctx, "queue not reached", "error", err.Error())
		}
	}
}

const beatStatement = `UPDATE river_job SET metadata = metadata ||
	jsonb_build_object('` + seenKey + `', extract(epoch FROM now()), '` + doneKey + `', b.done, '` + totalKey + `', b.total)
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS b (id, done, total)
	WHERE river_job.id = b.id AND river_job.state = 'running'`

// beat tells which jobs are in hand and how far they are.
func (r *run) beat(ctx context.Context) error {
	var ids, done, total []int64
	r.mu.Lock()
	for id, a := range r.inHand {
		ids, done, total = append(ids, id), append(done, a.done.Load()), append(total, a.total.Load())
	}
	r.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.worker.Silence/beats)
	defer cancel()
	_, err := r.queue.pool.Exec(ctx, beatStatement, ids, done, total)
	return err
}

// rescueStatement takes jobs from workers that were not heard of for so many
// seconds. What killed a worker may have been the job: it counts as an attempt.
const rescueStatement = `WITH lost AS (
		SELECT id FROM river_job WHERE queue = $1 AND state = 'running'
		AND greatest(attempted_at, to_timestamp((metadata->>'` + seenKey + `')::float8)) < now() - make_interval(secs => $2)
		FOR UPDATE SKIP LOCKED
	), verdict AS (
		SELECT j.id, CASE WHEN j.metadata ? '` + cancelKey + `' THEN 'cancelled' WHEN j.attempt < j.max_attempts THEN 'available'
			ELSE 'discarded' END::river_job_state AS state
		FROM river_job j JOIN lost ON lost.id = j.id
	)
	UPDATE river_job SET state = verdict.state, scheduled_at = now(),
		finalized_at = CASE WHEN verdict.state = 'available' THEN NULL ELSE now() END,
		errors = array_append(errors, jsonb_build_object('at', now(), 'attempt', attempt, 'trace', '',
			'error', 'the worker ' || coalesce(attempted_by[array_upper(attempted_by, 1)], '') || ' was not heard of any more'))
	FROM verdict WHERE river_job.id = verdict.id RETURNING river_job.id`

// rescue has jobs tried again whose workers are gone.
func (r *run) rescue(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.worker.Silence/beats)
	defer cancel()
	tag, err := r.queue.pool.Exec(ctx, rescueStatement, queueName, r.worker.Silence.Seconds())
	if err == nil && tag.RowsAffected() > 0 {
		r.queue.log.WarnContext(ctx, "took jobs from workers that are gone", "jobs", tag.RowsAffected())
	}
	return err
}

func (r *run) giveUpAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.inHand {
		a.giveUp(errLost)
	}
}

// drain stops the run once nothing is left to do.
func (r *run) drain(ctx context.Context, stop func(), end <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if n, err := r.queue.left(ctx); err == nil && n == 0 {
			stop()
			return
		}
		select {
		case <-end:
			return
		case <-tick.C:
		}
	}
}

var _ river.Worker[taskArgs] = (*taskWorker)(nil)
