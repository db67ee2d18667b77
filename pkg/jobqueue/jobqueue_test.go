package jobqueue_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lcp-tools/lcp/pkg/jobqueue"
	"github.com/lcp-tools/lcp/pkg/store/storetest"
)

// server is a real PostgreSQL, started by the first test that asks.
var server struct {
	once sync.Once
	*storetest.Server
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if server.Server != nil {
		if err := server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// database makes an empty database, or skips the test.
func database(t *testing.T) string {
	t.Helper()
	server.once.Do(func() { server.Server, server.err = storetest.Start(context.Background(), "postgres") })
	if errors.Is(server.err, storetest.ErrNoServer) {
		t.Skip(server.err)
	}
	if server.err != nil {
		t.Fatal(server.err)
	}
	return server.Database(t).DSN
}

func open(t *testing.T, dsn string) *jobqueue.Queue {
	t.Helper()
	q, err := jobqueue.Open(t.Context(), dsn, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}

func task(key string) jobqueue.Task {
	return jobqueue.Task{Key: key, Data: json.RawMessage(strconv.Quote(key))}
}

func add(t *testing.T, q *jobqueue.Queue, keys ...string) int {
	t.Helper()
	var tasks []jobqueue.Task
	for _, key := range keys {
		tasks = append(tasks, task(key))
	}
	n, err := q.Add(t.Context(), tasks)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// jobs lists jobs in the order in which they came.
func jobs(t *testing.T, q *jobqueue.Queue, states ...jobqueue.State) []jobqueue.Job {
	t.Helper()
	var list []jobqueue.Job
	for j, err := range q.Jobs(t.Context(), states...) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, j)
	}
	slices.Reverse(list)
	return list
}

// Every task is done once, whoever of several workers does it, and what came of
// it is with the job.
func TestWorkersShareTasks(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	var queues []*jobqueue.Queue
	var opening sync.WaitGroup
	var mu sync.Mutex
	for range 3 { // who come first at the same time make the tables
		opening.Go(func() {
			q := open(t, dsn)
			mu.Lock()
			queues = append(queues, q)
			mu.Unlock()
		})
	}
	opening.Wait()
	var keys []string
	for i := range 40 {
		keys = append(keys, strconv.Itoa(i))
	}
	if n := add(t, queues[0], keys...); n != 40 {
		t.Fatalf("%d tasks were added", n)
	}
	if n := add(t, queues[1], "7", "8", "new"); n != 1 {
		t.Errorf("%d tasks were added, want the one that was not there", n)
	}
	times := map[string]int{}
	var working sync.WaitGroup
	for _, q := range queues {
		working.Go(func() {
			err := q.Work(t.Context(), jobqueue.Worker{Jobs: 2, Drain: true, Do: func(_ context.Context, j jobqueue.Job, _ func(int64, int64)) (any, error) {
				mu.Lock()
				times[j.Task.Key]++
				mu.Unlock()
				return map[string]string{"did": j.Task.Key}, nil
			}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	working.Wait()
	list := jobs(t, queues[0])
	if len(list) != 41 || len(times) != 41 {
		t.Fatalf("%d jobs, of which %d were done", len(list), len(times))
	}
	for i, j := range list {
		if times[j.Task.Key] != 1 || j.State != jobqueue.Done || string(j.Output) != fmt.Sprintf(`{"did": %q}`, j.Task.Key) ||
			string(j.Task.Data) != strconv.Quote(j.Task.Key) || j.Worker == "" || j.Attempt != 1 || j.Ended.IsZero() {
			t.Errorf("job %d: %+v, done %d times", i, j, times[j.Task.Key])
		}
	}
	if n := add(t, queues[0], "7"); n != 1 {
		t.Error("what is done cannot be put into the queue again")
	}
}

// do works until the queue is empty.
func do(t *testing.T, q *jobqueue.Queue, work func(jobqueue.Job) (any, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := q.Work(ctx, jobqueue.Worker{Jobs: 1, Drain: true, Do: func(_ context.Context, j jobqueue.Job, _ func(int64, int64)) (any, error) {
		return work(j)
	}})
	if err != nil || ctx.Err() != nil {
		t.Fatal(err, ctx.Err())
	}
}

// A failure is tried again until it is none; one that is final is not, unless
// somebody says so.
func TestFailures(t *testing.T) {
	t.Parallel()
	q := open(t, database(t))
	add(t, q, "flaky", "broken")
	broken := true
	work := func(j jobqueue.Job) (any, error) {
		switch {
		case j.Task.Key == "flaky" && j.Attempt == 1:
			return "half", errors.New("the network is down")
		case j.Task.Key == "broken" && broken:
			return "reason", fmt.Errorf("it is %w", jobqueue.Final(errors.New("broken")))
		}
		return "whole", nil
	}
	do(t, q, work)
	failed := jobs(t, q, jobqueue.Failed)
	if len(failed) != 1 || failed[0].Task.Key != "broken" || failed[0].Attempt != 1 || failed[0].Error != "broken" || string(failed[0].Output) != `"reason"` {
		t.Fatalf("failed: %+v", failed)
	}
	if done := jobs(t, q, jobqueue.Done); len(done) != 1 || done[0].Attempt != 2 || string(done[0].Output) != `"whole"` || done[0].Error != "the network is down" {
		t.Errorf("done: %+v", done)
	}
	for _, j := range jobs(t, q) {
		if err := q.Cancel(t.Context(), j.ID); !errors.Is(err, jobqueue.ErrEnded) {
			t.Errorf("cancelling what is %s: %v", j.State, err)
		}
	}
	broken = false
	if err := q.Retry(t.Context(), failed[0].ID); err != nil {
		t.Fatal(err)
	}
	do(t, q, work)
	if list := jobs(t, q, jobqueue.Failed, jobqueue.Waiting); len(list) != 0 {
		t.Errorf("left: %+v", list)
	}
	if err := q.Retry(t.Context(), 1<<40); !errors.Is(err, jobqueue.ErrUnknown) {
		t.Errorf("an unknown job: %v", err)
	}
	if err := q.Cancel(t.Context(), 1<<40); !errors.Is(err, jobqueue.ErrUnknown) {
		t.Errorf("an unknown job: %v", err)
	}
	for _, err := range q.Jobs(t.Context(), "finished") {
		if err == nil || !strings.Contains(err.Error(), `"finished" is not a state`) {
			t.Errorf("an unknown state: %v", err)
		}
	}
}

// What is cancelled is not begun, and given up where it was.
func TestCancel(t *testing.T) {
	t.Parallel()
	q := open(t, database(t))
	add(t, q, "running", "waiting")
	list := jobs(t, q, jobqueue.Waiting)
	begun := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- q.Work(ctx, jobqueue.Worker{Jobs: 1, Drain: true, Do: func(ctx context.Context, j jobqueue.Job, _ func(int64, int64)) (any, error) {
			if j.Task.Key == "waiting" {
				return nil, errors.New("this was cancelled before it could begin")
			}
			close(begun)
			<-ctx.Done()
			return nil, ctx.Err()
		}})
	}()
	<-begun
	if err := q.Retry(t.Context(), list[0].ID); !errors.Is(err, jobqueue.ErrRunning) {
		t.Errorf("retrying what runs: %v", err)
	}
	for _, j := range []jobqueue.Job{list[1], list[0]} {
		if err := q.Cancel(t.Context(), j.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := jobs(t, q, jobqueue.Cancelled); len(got) != 2 {
		t.Errorf("cancelled: %+v; all: %+v", got, jobs(t, q))
	}
	if n := add(t, q, "waiting"); n != 1 {
		t.Fatal("what was cancelled cannot be put into the queue again")
	}
	if err := q.Retry(t.Context(), list[1].ID); !errors.Is(err, jobqueue.ErrQueued) {
		t.Errorf("retrying what is in the queue again: %v", err)
	}
}

// A worker that is told to end takes no more, gives the job in hand its time, and
// then back: it counts as not begun.
func TestStop(t *testing.T) {
	t.Parallel()
	for name, grace := range map[string]time.Duration{"within the time of grace": time.Minute, "after it": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := open(t, database(t))
			add(t, q, "first", "second")
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			err := q.Work(ctx, jobqueue.Worker{Jobs: 1, Grace: grace, Do: func(ctx context.Context, j jobqueue.Job, _ func(int64, int64)) (any, error) {
				stop()
				if grace < time.Second {
					<-ctx.Done()
				}
				return "done", ctx.Err()
			}})
			if err != nil {
				t.Fatal(err)
			}
			waiting, done := jobs(t, q, jobqueue.Waiting), jobs(t, q, jobqueue.Done)
			if grace < time.Second && (len(waiting) != 2 || waiting[0].Attempt != 0 || waiting[0].Error != "" || waiting[0].Output != nil) {
				t.Errorf("waiting: %+v", waiting)
			}
			if grace > time.Second && (len(waiting) != 1 || len(done) != 1 || done[0].Task.Key != "first") {
				t.Errorf("waiting: %+v; done: %+v", waiting, done)
			}
		})
	}
}

// The jobs of a worker that is not heard of any more go to others, and the worker
// itself, if it lives, gives them up: it may only have lost the database.
func TestLostWorker(t *testing.T) {
	t.Parallel()
	const silence = 2 * time.Second
	dsn := database(t)
	q := open(t, dsn)
	lost := open(t, dsn)
	add(t, q, "book")
	var progress jobqueue.Job
	gaveUp := make(chan error, 1)
	working, stop := context.WithCancel(t.Context())
	defer stop()
	var ending sync.WaitGroup
	ending.Go(func() {
		_ = lost.Work(working, jobqueue.Worker{Jobs: 1, Silence: silence, Do: func(ctx context.Context, j jobqueue.Job, progress func(int64, int64)) (any, error) {
			progress(70, 100)
			for list := jobs(t, q, jobqueue.Running); len(list) == 0 || list[0].Total == 0; list = jobs(t, q, jobqueue.Running) {
				time.Sleep(20 * time.Millisecond)
			}
			lost.Close()
			<-ctx.Done()
			gaveUp <- context.Cause(ctx)
			return nil, ctx.Err()
		}})
	})
	defer ending.Wait()
	defer stop()
	for len(jobs(t, q, jobqueue.Running)) == 0 {
		time.Sleep(20 * time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := q.Work(ctx, jobqueue.Worker{Jobs: 1, Silence: silence, Drain: true, Do: func(_ context.Context, j jobqueue.Job, _ func(int64, int64)) (any, error) {
		progress = j
		return "done", nil
	}})
	if err != nil || ctx.Err() != nil {
		t.Fatal(err, ctx.Err())
	}
	if progress.Attempt != 2 || progress.Done != 70 || progress.Total != 100 || !strings.Contains(progress.Error, "was not heard of any more") {
		t.Errorf("the second attempt was at %+v", progress)
	}
	if err := <-gaveUp; err == nil || !strings.Contains(err.Error(), "the queue cannot be reached") {
		t.Errorf("the lost worker gave up because %v", err)
	}
	if done := jobs(t, q, jobqueue.Done); len(done) != 1 {
		t.Errorf("done: %+v", done)
	}
}

// A job that takes long is not taken from a worker that is heard of.
func TestLongJob(t *testing.T) {
	t.Parallel()
	const silence = time.Second
	q := open(t, database(t))
	add(t, q, "book")
	times := 0
	err := q.Work(t.Context(), jobqueue.Worker{Jobs: 2, Silence: silence, Drain: true, Do: func(context.Context, jobqueue.Job, func(int64, int64)) (any, error) {
		times++
		time.Sleep(3 * silence)
		return nil, nil
	}})
	if list := jobs(t, q, jobqueue.Done); err != nil || times != 1 || len(list) != 1 || list[0].Attempt != 1 {
		t.Errorf("%v; %d attempts: %+v", err, times, list)
	}
}

// Whatever goes wrong with the database, its password is not told.
func TestPasswordIsNotTold(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]string{
		"nobody answers": "postgres://lcp:hidden%20word@127.0.0.1:1/lcp", "not a URL": "postgres://lcp:hidden%20word@127.0.0.1:x/lcp",
		"not PostgreSQL": "mysql://lcp:hidden%20word@127.0.0.1/lcp", "options": "postgres://lcp:hidden%20word@127.0.0.1/lcp?sslmode=maybe",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			_, err := jobqueue.Open(t.Context(), dsn, slog.New(slog.NewTextHandler(&log, nil)))
			if err == nil || strings.Contains(err.Error()+log.String(), "hidden") {
				t.Errorf("%v; log %s", err, log.String())
			}
		})
	}
	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		u, err := url.Parse(database(t))
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword("lcp", "hidden word")
		_, err = jobqueue.Open(t.Context(), u.String(), slog.New(slog.DiscardHandler))
		if err == nil || strings.Contains(err.Error(), "hidden") {
			t.Error(err)
		}
	})
}

// Where others use River in the same database, their jobs are none of ours.
func TestOthersJobs(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	q := open(t, dsn)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `INSERT INTO river_job (kind, args, max_attempts) VALUES ('other', '{}', 1)`); err != nil {
		t.Fatal(err)
	}
	do(t, q, func(j jobqueue.Job) (any, error) { return nil, errors.New("no job of ours") })
	if list := jobs(t, q); len(list) != 0 {
		t.Errorf("listed: %+v", list)
	}
}
