package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/pkg/jobqueue"
	"github.com/lcp-tools/lcp/pkg/protect"
)

// workerOptions are the flags of lcp worker.
type workerOptions struct {
	queue   queueFlags
	server  serverFlags
	notify  notifyFlags
	jobs    int
	drain   bool
	grace   time.Duration
	timeout time.Duration
	silence time.Duration
	format  formatFlag
}

func newWorkerCommand(a *app) *cobra.Command {
	o := workerOptions{format: formatFlag{allowed: []string{formatText, formatTable, formatJSON, formatNDJSON}}}
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Encrypt what lcp encrypt --enqueue has put into a queue",
		Long: `Take publications from a queue, where lcp encrypt --enqueue puts them, and bring
them in as lcp encrypt itself would. Any number of workers, on any number of
machines, share a queue; they need the same view of what the jobs name: buckets,
addresses, or folders that are mounted at the same place.

Secrets are not in the queue. Each worker has its own credentials for the database,
the license server, S3 and the CMS. Without --server it registers in the store of
its own configuration: for several machines, a database that they share.

A damaged publication fails at once; what may be the fault of a network or a server
is tried again, later each time. What a worker had in hand that was killed is taken
by others after --silence. A worker that is asked to stop (SIGTERM, Ctrl-C) takes no
more, ends what it has in hand within --grace, and puts back what takes longer.`,
		Example: `  lcp worker --queue postgres://lcp@db.example.com/jobs --server https://licenses.example.com`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.work(cmd.Context(), o) },
	}
	fs := cmd.Flags()
	o.queue.addWorkFlags(fs)
	o.server.addFlags(fs)
	o.notify.addFlags(fs)
	fs.Lookup("notify").Usage = "send the credentials to the CMS at `URL`, and to no other that a job names"
	fs.IntVar(&o.jobs, "jobs", 0, "work on `N` publications at once (default: one per core)")
	fs.BoolVar(&o.drain, "drain", false, "end once no job is left that is neither done nor given up")
	fs.DurationVar(&o.grace, "grace", 25*time.Second, "end what is in hand within `TIME` when asked to stop")
	fs.DurationVar(&o.timeout, "timeout", 12*time.Hour, "give an attempt up after `TIME`")
	fs.DurationVar(&o.silence, "silence", time.Minute, "take the jobs of a worker that was not heard of for `TIME`; the same for all workers")
	fs.Var(&o.format, "format", "print records as text, table, json or ndjson (default: text on a terminal, else ndjson)")
	return cmd
}

// minSilence leaves time for a database that is slow now and then.
const minSilence = 4 * time.Second

func (o *workerOptions) check() error {
	switch {
	case o.jobs < 0:
		return usagef("--jobs %d is negative", o.jobs)
	case o.grace < 0:
		return usagef("--grace %s is negative", o.grace)
	case o.timeout <= 0:
		return usagef("--timeout %s is not more than nothing", o.timeout)
	case o.silence < minSilence:
		return usagef("--silence %s is less than %s", o.silence, minSilence)
	}
	return errors.Join(o.server.check(), o.notify.check())
}

// work takes jobs from the queue until it is told to stop.
func (a *app) work(ctx context.Context, o workerOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	q, err := a.openQueue(ctx, &o.queue)
	if err != nil {
		return err
	}
	defer q.Close()
	if o.jobs == 0 {
		o.jobs = runtime.GOMAXPROCS(0)
	}
	o.format.value = a.recordFormat(o.format.value)
	w, closeAll, err := a.newQueueWorker(ctx, &o)
	if err != nil {
		return err
	}
	defer closeAll()
	debug.SetMemoryLimit(int64(memoryBase+o.jobs*memoryPerJob) << 20)
	a.notef("taking jobs from the queue, %d at once", o.jobs)
	err = q.Work(ctx, jobqueue.Worker{
		Do: w.do, Jobs: o.jobs, Drain: o.drain, Grace: o.grace, Timeout: o.timeout, Silence: o.silence,
	})
	if err := errors.Join(err, w.outErr, w.out.close()); err != nil {
		return err
	}
	if o.drain && ctx.Err() == nil {
		return a.ending(w.done+w.failed, w.done+w.failed, w.failed)
	}
	return nil
}

// A queueWorker brings in the publications of jobs.
type queueWorker struct {
	app       *app
	server    string // that publications are registered with; "" for the local store
	registry  func(version int) (catalogue.Registry, error)
	notify    notifyFlags
	pipelines chan *protect.Pipeline
	renderer  string
	jobs      int // at once

	mu     sync.Mutex
	stores map[string]blob.Store // by what the jobs say of them
	out    *recordWriter
	outErr error
	done   int
	failed int // for good
}

func (a *app) newQueueWorker(ctx context.Context, o *workerOptions) (w *queueWorker, closeAll func(), err error) {
	w = &queueWorker{
		app: a, server: strings.TrimSuffix(o.server.address(), "/"), notify: o.notify,
		pipelines: make(chan *protect.Pipeline, o.jobs), renderer: findRenderer(), jobs: o.jobs, stores: map[string]blob.Store{},
		out: recordsOut(a.out, o.format.value),
	}
	for range o.jobs {
		w.pipelines <- protect.NewPipeline(catalogue.CoresPerJob(o.jobs))
	}
	if _, err := o.notify.notifier(); err != nil {
		return nil, nil, err
	}
	if w.server != "" {
		w.registry = func(version int) (catalogue.Registry, error) { return o.server.registry(version) }
		_, err := o.server.registry(2)
		return w, func() {}, err
	}
	c, err := a.config()
	if err != nil {
		return nil, nil, err
	}
	records, err := a.openStore(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	w.registry = func(int) (catalogue.Registry, error) { return records, nil }
	if c.DSN == "" {
		a.notef("note: without --server or a shared database, publications are registered on this machine")
	}
	return w, func() { records.Close() }, nil
}

// A jobOutcome is what the queue keeps of an attempt.
type jobOutcome struct {
	catalogue.Record
	Owed *catalogue.Message `json:"owed,omitempty"` // to the CMS; the publication itself is done
}

// do brings in the publication of a job.
func (w *queueWorker) do(ctx context.Context, queued jobqueue.Job, progress func(done, total int64)) (any, error) {
	var j job
	if err := json.Unmarshal(queued.Task.Data, &j); err != nil {
		return nil, jobqueue.Final(fmt.Errorf("what lcp encrypt --enqueue of another version made of the job: %w", err))
	}
	outcome, err := w.process(ctx, &j, queued.Output, progress)
	if ctx.Err() != nil && err != nil {
		return nil, err // the worker stops, or somebody has cancelled the job
	}
	if errors.As(err, new(*catalogue.InputError)) {
		err = jobqueue.Final(err)
	}
	w.tell(&outcome, owedBefore(queued.Output) != nil, err, errors.As(err, new(*catalogue.InputError)) || err != nil && queued.Attempt >= queued.Attempts)
	return outcome, err
}

// owedBefore is the outcome of an attempt that came as far as telling the CMS, or
// nil.
func owedBefore(output json.RawMessage) *jobOutcome {
	var before jobOutcome
	if json.Unmarshal(output, &before) != nil || before.Owed == nil {
		return nil
	}
	return &before
}

// process makes an attempt. Where the last one came as far as telling the CMS,
// only that is done.
func (w *queueWorker) process(ctx context.Context, j *job, last json.RawMessage, progress func(done, total int64)) (jobOutcome, error) {
	j.Item.Proposal = j.Proposal
	outcome := jobOutcome{Record: catalogue.Record{Source: j.Item.Input, AltID: j.Item.AltID, UUID: j.Item.UUID}}
	worker, cms, err := w.worker(ctx, j)
	if err == nil {
		if before := owedBefore(last); before != nil && cms != nil {
			outcome = *before
			outcome.Untold = ""
			if err := cms.Notify(ctx, *before.Owed); err != nil {
				outcome.Untold = err.Error()
			}
		} else {
			worker.Pipeline = <-w.pipelines
			outcome.Record, err = worker.Process(ctx, j.Item, progressOf(progress))
			w.pipelines <- worker.Pipeline
		}
	}
	switch {
	case err != nil:
		outcome.Error = err.Error()
	case outcome.Untold != "":
		outcome.Owed = cms.last
		err = fmt.Errorf("the CMS could not be told: %s", outcome.Untold)
	default:
		outcome.Owed = nil
	}
	return outcome, err
}

// progressOf adds up.
func progressOf(tell func(done, total int64)) catalogue.Progress {
	var done, total int64
	return catalogue.Progress{
		Total: func(size int64) { total = size; tell(0, size) },
		Add:   func(n int64) { done = min(done+n, total); tell(done, total) },
	}
}

// worker is who carries out a job, but for the pipeline.
func (w *queueWorker) worker(ctx context.Context, j *job) (*catalogue.Worker, *rememberingCMS, error) {
	if j.Server != "" && j.Server != w.server {
		return nil, nil, fmt.Errorf("the job is to be registered with %s, which is not the --server of this worker", j.Server)
	}
	registry, err := w.registry(j.ServerVersion)
	if err != nil {
		return nil, nil, err
	}
	store, err := w.store(ctx, j)
	if err != nil {
		return nil, nil, err
	}
	worker := &catalogue.Worker{
		Recognition: protect.Recognition{Renderer: w.renderer}, Registry: registry, Store: store,
		Cover: j.Cover, Verify: j.Verify, HTTP: &http.Client{Timeout: time.Hour}, Now: time.Now, ReadKey: readContentKey,
		Bucket: openBuckets(j.S3),
	}
	if j.Notify == "" {
		return worker, nil, nil
	}
	flags := notifyFlags{url: j.Notify}
	if w.notify.url == j.Notify {
		flags = w.notify
	}
	cms, err := flags.notifier()
	remembering := &rememberingCMS{Notifier: cms}
	worker.Notifier = remembering
	return worker, remembering, err
}

// store is where a job's publication goes. Jobs that go to the same place share
// what there is only one of, such as connections.
func (w *queueWorker) store(ctx context.Context, j *job) (blob.Store, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := fmt.Sprintf("%q %q %+v", j.Storage, j.URL, j.S3)
	if s := w.stores[key]; s != nil {
		return s, nil
	}
	flags := storageFlags{where: j.Storage, baseURL: j.URL, s3: j.S3}
	s, err := flags.open(context.WithoutCancel(ctx), w.jobs)
	if err == nil {
		w.stores[key] = s
	}
	return s, err
}

// tell prints what became of a job: its record once the publication is done.
func (w *queueWorker) tell(outcome *jobOutcome, printed bool, err error, final bool) {
	line := w.app.lineOf(outcome.Record, err)
	if err != nil && !final {
		line += " (to be tried again)"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if line != "" {
		fmt.Fprintln(w.app.err, line)
	}
	if !printed && (err == nil || outcome.Owed != nil) && w.outErr == nil {
		w.outErr = w.out.write(outcome.Record)
	}
	switch {
	case err == nil:
		w.done++
	case final:
		w.failed++
	}
}

// A rememberingCMS knows what it last had to tell.
type rememberingCMS struct {
	catalogue.Notifier
	last *catalogue.Message
}

// Notify implements catalogue.Notifier.
func (c *rememberingCMS) Notify(ctx context.Context, m catalogue.Message) error {
	c.last = &m
	return c.Notifier.Notify(ctx, m)
}
