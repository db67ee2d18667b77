// Package jobqueue keeps tasks in a PostgreSQL database until a worker, on
// whatever machine, has done them. What a task is, it does not know: to it, tasks
// and what comes of them are JSON.
//
// The queue is that of River (https://riverqueue.com), whose tables are made in
// the database on first use. What River leaves to its users is here: a worker
// tells every few seconds which tasks it has in hand and how far they are, so
// that the tasks of one that was killed go to others soon, however long a task may
// take; and a failure that no repetition would mend ends a task at once.
package jobqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
)

var (
	// ErrUnknown is returned for a job that is not there (any more).
	ErrUnknown = errors.New("there is no such job")
	// ErrRunning is returned for a job that cannot be tried again because a
	// worker is at it.
	ErrRunning = errors.New("a worker is at it")
	// ErrEnded is returned for a job that cannot be cancelled because it is done, or
	// was given up.
	ErrEnded = errors.New("it has ended")
	// ErrQueued is returned for a job that cannot be tried again because the same
	// task is in the queue again already.
	ErrQueued = errors.New("the same is in the queue again already")
)

// queueName sets our jobs apart where others use River in the same database.
const queueName = "lcp"

// maxAttempts is how often a job is tried. River waits for the fourth power of
// the number of failures in seconds: the last attempt is an hour and a quarter
// after the first.
const maxAttempts = 8

// A Queue is tasks in a database. It is safe for concurrent use.
type Queue struct {
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]
	log    *slog.Logger
}

// Open opens the queue in a PostgreSQL database, given as a URL, whose tables it
// makes or brings up to date. A password may come from where libpq looks, too
// (PGPASSWORD, PGPASSFILE, ~/.pgpass). No error shows it. The caller closes the
// queue.
func Open(ctx context.Context, dsn string, log *slog.Logger) (*Queue, error) {
	if !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") {
		return nil, errors.New("queue: give the URL of a PostgreSQL database, such as postgres://user@host/database")
	}
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	if err := migrate(ctx, pool, log); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open the queue: %w", err)
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Logger: log})
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("open the queue: %w", err)
	}
	return &Queue{pool: pool, client: client, log: log}, nil
}

// Close closes the connections.
func (q *Queue) Close() { q.pool.Close() }

// migrationLock is held while tables are made (the number means nothing).
const migrationLock = 0x6c63702d6a6f6273

// migrate brings the tables up to date, one process at a time.
func migrate(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		return err
	}
	defer conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(migrationLock)) //nolint:errcheck // it ends with the connection at the latest
	m, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: log})
	if err != nil {
		return err
	}
	_, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

// A Task is something to do.
type Task struct {
	Key  string          // tasks with the same key are the same
	Data json.RawMessage // for who does it; everyone who may read the database sees it
}

// taskArgs is a task as River keeps it.
type taskArgs struct {
	Key  string          `json:"key" river:"unique"`
	Data json.RawMessage `json:"data"`
}

// Kind names the kind of job to River.
func (taskArgs) Kind() string { return "lcp_task" }

// Add puts tasks into the queue, all or none, and returns how many: a task that
// is there already, and neither done nor given up, is not added again.
func (q *Queue) Add(ctx context.Context, tasks []Task) (added int, err error) {
	if len(tasks) == 0 {
		return 0, nil
	}
	params := make([]river.InsertManyParams, len(tasks))
	for i, t := range tasks {
		params[i] = river.InsertManyParams{Args: taskArgs(t), InsertOpts: &river.InsertOpts{
			Queue: queueName, MaxAttempts: maxAttempts,
			UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
				rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
				rivertype.JobStateRunning, rivertype.JobStateScheduled,
			}},
		}}
	}
	results, err := q.client.InsertMany(ctx, params)
	if err != nil {
		return 0, fmt.Errorf("put tasks into the queue: %w", err)
	}
	for _, r := range results {
		if !r.UniqueSkippedAsDuplicate {
			added++
		}
	}
	return added, nil
}

// A State is how far a job is.
type State string

// States of jobs.
const (
	Waiting   State = "waiting"
	Running   State = "running"
	Retrying  State = "retrying" // it has failed, and is to be tried again
	Done      State = "done"
	Failed    State = "failed" // it has failed, and is not tried again
	Cancelled State = "cancelled"
)

// States are all states, in the order in which jobs go through them.
func States() []State { return []State{Waiting, Running, Retrying, Done, Failed, Cancelled} }

// A Job is a task in the queue.
type Job struct {
	ID       int64
	State    State
	Task     Task
	Attempt  int    // the last one, from 1; 0 if there was none
	Attempts int    // there will be at most
	Worker   string // that made the last attempt
	Done     int64  // of Total, in units of who does it; 0 if not known
	Total    int64
	Output   json.RawMessage // what came of the last attempt that ended; nil for nothing
	Error    string          // of the last attempt that failed
	Created  time.Time
	Begun    time.Time // the last attempt; zero if there was none
	Next     time.Time // the next attempt, where State is Retrying
	Ended    time.Time // zero while it is not Done, Failed or Cancelled
}

// Keys of our own in the metadata of River's jobs.
const (
	seenKey  = "lcp:seen" // when its worker was last heard of, in seconds since 1970
	doneKey  = "lcp:done"
	totalKey = "lcp:total"
)

// cancelKey is what River marks jobs with that somebody cancels.
const cancelKey = "cancel_attempted_at"

// metadata is what matters to us in the metadata of River's jobs.
type metadata struct {
	Done      int64           `json:"lcp:done"`
	Total     int64           `json:"lcp:total"`
	Output    json.RawMessage `json:"output"`
	Cancelled json.RawMessage `json:"cancel_attempted_at"`
}

func jobOf(row *rivertype.JobRow) (Job, error) {
	var args taskArgs
	var meta metadata
	if err := errors.Join(json.Unmarshal(row.EncodedArgs, &args), json.Unmarshal(row.Metadata, &meta)); err != nil {
		return Job{}, fmt.Errorf("job %d: %w", row.ID, err)
	}
	j := Job{
		ID: row.ID, Task: Task(args), Attempt: row.Attempt, Attempts: row.MaxAttempts,
		Done: meta.Done, Total: meta.Total, Output: meta.Output,
		State: stateOf(row.State, meta.Cancelled != nil), Created: row.CreatedAt,
	}
	if n := len(row.AttemptedBy); n > 0 {
		j.Worker = row.AttemptedBy[n-1]
	}
	if n := len(row.Errors); n > 0 {
		j.Error = strings.TrimPrefix(row.Errors[n-1].Error, cancelPrefix)
	}
	if row.AttemptedAt != nil {
		j.Begun = *row.AttemptedAt
	}
	if row.FinalizedAt != nil {
		j.Ended = *row.FinalizedAt
	}
	if j.State == Retrying {
		j.Next = row.ScheduledAt
	}
	return j, nil
}

// cancelPrefix is what River puts before the reason why a job is not tried again.
const cancelPrefix = "JobCancelError: "

// stateOf is our word for a state of River's, which has one word for what somebody
// cancels and what fails for good.
func stateOf(s rivertype.JobState, byHand bool) State {
	switch s {
	case rivertype.JobStateRunning:
		return Running
	case rivertype.JobStateRetryable:
		return Retrying
	case rivertype.JobStateCompleted:
		return Done
	case rivertype.JobStateDiscarded:
		return Failed
	case rivertype.JobStateCancelled:
		if byHand {
			return Cancelled
		}
		return Failed
	default:
		return Waiting
	}
}

// where is the condition in SQL for jobs in a state.
func (s State) where() (string, error) {
	switch s {
	case Waiting:
		return "state IN ('available', 'pending', 'scheduled')", nil
	case Running:
		return "state = 'running'", nil
	case Retrying:
		return "state = 'retryable'", nil
	case Done:
		return "state = 'completed'", nil
	case Failed:
		return "(state = 'discarded' OR state = 'cancelled' AND NOT metadata ? '" + cancelKey + "')", nil
	case Cancelled:
		return "(state = 'cancelled' AND metadata ? '" + cancelKey + "')", nil
	default:
		return "", fmt.Errorf("%q is not a state: there are %q", string(s), States())
	}
}

// uniqueViolation is PostgreSQL's code for it.
const uniqueViolation = "23505"

// Retry has a job tried again now, whatever became of it. It fails with
// ErrUnknown, ErrRunning or ErrQueued.
func (q *Queue) Retry(ctx context.Context, id int64) error {
	row, err := q.client.JobRetry(ctx, id)
	var refused *pgconn.PgError
	switch {
	case errors.Is(err, rivertype.ErrNotFound):
		err = ErrUnknown
	case errors.As(err, &refused) && refused.Code == uniqueViolation:
		err = ErrQueued
	case err == nil && row.State == rivertype.JobStateRunning:
		err = ErrRunning
	}
	if err != nil {
		return fmt.Errorf("job %d: %w", id, err)
	}
	return nil
}

// Cancel takes a job out of the queue; its worker, if one is at it, gives it up.
// A job that is done or given up stays as it is. It fails with ErrUnknown or
// ErrEnded.
func (q *Queue) Cancel(ctx context.Context, id int64) error {
	row, err := q.client.JobCancel(ctx, id)
	var job Job
	if err == nil {
		job, err = jobOf(row)
	}
	switch {
	case errors.Is(err, rivertype.ErrNotFound):
		err = ErrUnknown
	case job.State == Done || job.State == Failed:
		err = ErrEnded
	}
	if err != nil {
		return fmt.Errorf("job %d: %w", id, err)
	}
	return nil
}
