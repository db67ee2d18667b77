package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/jobqueue"
)

func newJobsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "See to the jobs of lcp worker",
		Long: `List, try again and cancel the jobs that lcp encrypt --enqueue has put into a queue,
for lcp worker. Jobs that are done are remembered for a week, those that failed or
were cancelled for thirty days.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(newJobsListCommand(a), newJobsRetryCommand(a), newJobsCancelCommand(a))
	return cmd
}

// listedJob is a job as jobs list shows it.
type listedJob struct {
	ID       int64          `json:"id"`
	State    jobqueue.State `json:"state"`
	Source   string         `json:"source"`
	Attempt  int            `json:"attempt"`
	Attempts int            `json:"attempts"`           // there will be at most
	Progress float64        `json:"progress,omitempty"` // of the attempt in hand, up to 1
	Worker   string         `json:"worker,omitempty"`
	Created  time.Time      `json:"created"`
	Begun    *time.Time     `json:"begun,omitempty"` // the last attempt
	Next     *time.Time     `json:"next,omitempty"`  // the next attempt
	Ended    *time.Time     `json:"ended,omitempty"`
	Error    string         `json:"error,omitempty"`  // of the last attempt that failed
	Record   *jobOutcome    `json:"record,omitempty"` // as lcp encrypt prints it
}

func listed(q jobqueue.Job) listedJob {
	out := listedJob{
		ID: q.ID, State: q.State, Attempt: q.Attempt, Attempts: q.Attempts, Worker: q.Worker, Created: q.Created,
		Begun: timeOrNil(q.Begun), Next: timeOrNil(q.Next), Ended: timeOrNil(q.Ended),
	}
	if q.State != jobqueue.Done {
		out.Error = q.Error
	}
	if q.State == jobqueue.Running && q.Total > 0 {
		out.Progress = float64(q.Done*1000/q.Total) / 1000
	}
	var j job
	if json.Unmarshal(q.Task.Data, &j) == nil {
		out.Source = j.Item.Input
	}
	var outcome jobOutcome
	if json.Unmarshal(q.Output, &outcome) == nil {
		out.Record = &outcome
	}
	return out
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// remark is what people want to know of a job besides its state.
func (j *listedJob) remark() string {
	switch {
	case j.State == jobqueue.Running:
		return strconv.Itoa(int(j.Progress*100)) + " %"
	case j.State == jobqueue.Done && j.Record != nil:
		return j.Record.UUID
	case j.Next != nil:
		return "at " + dateText(j.Next) + ": " + j.Error
	default:
		return j.Error
	}
}

func newJobsListCommand(a *app) *cobra.Command {
	var queue queueFlags
	var states []string
	o := newListOptions()
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List jobs, newest first",
		Long: `List jobs, newest first: all, or those in a state. A job is waiting, running,
retrying (it failed, and is to be tried again), done, failed (for good) or cancelled.`,
		Example: `  lcp jobs list --state failed
  lcp jobs list --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted, err := parseStates(states)
			if err != nil {
				return err
			}
			q, err := a.openQueue(cmd.Context(), &queue)
			if err != nil {
				return err
			}
			defer q.Close()
			return printList(a, o, listedJobs(q.Jobs(cmd.Context(), wanted...)), []string{"ID", "STATE", "ATTEMPT", "SOURCE", "REMARK"},
				func(j listedJob) []string {
					return []string{
						strconv.FormatInt(j.ID, 10), string(j.State), fmt.Sprintf("%d/%d", j.Attempt, j.Attempts), plain(j.Source), plain(j.remark()),
					}
				})
		},
	}
	queue.addWorkFlags(cmd.Flags())
	cmd.Flags().StringSliceVar(&states, "state", nil, "only jobs in `STATE`; may be repeated")
	o.addFlags(cmd.Flags())
	return cmd
}

func parseStates(names []string) ([]jobqueue.State, error) {
	var states []jobqueue.State
next:
	for _, name := range names {
		for _, s := range jobqueue.States() {
			if string(s) == name {
				states = append(states, s)
				continue next
			}
		}
		return nil, usagef("--state %q: there are %q", name, jobqueue.States())
	}
	return states, nil
}

func listedJobs(jobs iter.Seq2[jobqueue.Job, error]) iter.Seq2[listedJob, error] {
	return func(yield func(listedJob, error) bool) {
		for j, err := range jobs {
			if !yield(listed(j), err) {
				return
			}
		}
	}
}

func newJobsRetryCommand(a *app) *cobra.Command {
	var queue queueFlags
	var all bool
	cmd := &cobra.Command{
		Use:   "retry ID...|--failed",
		Short: "Have jobs tried again now",
		Long: `Have jobs tried again now: those that failed or were cancelled, those that are to be
tried again later, even those that are done.`,
		Example: `  lcp jobs retry 17 18
  lcp jobs retry --failed`,
		Args: idsUnless(&all, "--failed"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.eachJob(cmd.Context(), &queue, args, []jobqueue.State{jobqueue.Failed}, "to be tried again", (*jobqueue.Queue).Retry)
		},
	}
	queue.addWorkFlags(cmd.Flags())
	cmd.Flags().BoolVar(&all, "failed", false, "all that failed for good")
	return cmd
}

func newJobsCancelCommand(a *app) *cobra.Command {
	var queue queueFlags
	var all bool
	cmd := &cobra.Command{
		Use:   "cancel ID...|--all",
		Short: "Take jobs out of the queue",
		Long: `Take jobs out of the queue. A worker that has one in hand gives it up and takes back
what it stored. Jobs that have ended stay as they are.`,
		Example: `  lcp jobs cancel 17
  lcp jobs cancel --all`,
		Args: idsUnless(&all, "--all"),
		RunE: func(cmd *cobra.Command, args []string) error {
			open := []jobqueue.State{jobqueue.Waiting, jobqueue.Running, jobqueue.Retrying}
			return a.eachJob(cmd.Context(), &queue, args, open, "cancelled", (*jobqueue.Queue).Cancel)
		},
	}
	queue.addWorkFlags(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", false, "all that have not ended")
	return cmd
}

// idsUnless wants numbers of jobs or else a flag.
func idsUnless(all *bool, flag string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if *all == (len(args) > 0) {
			return fmt.Errorf("give numbers of jobs, or %s", flag)
		}
		for _, arg := range args {
			if _, err := strconv.ParseInt(arg, 10, 64); err != nil {
				return fmt.Errorf("%q is not the number of a job: lcp jobs list shows them", arg)
			}
		}
		return nil
	}
}

// eachJob does something to the jobs of the given numbers or, without any, to all
// in some states.
func (a *app) eachJob(ctx context.Context, flags *queueFlags, args []string, states []jobqueue.State, done string,
	do func(*jobqueue.Queue, context.Context, int64) error,
) error {
	q, err := a.openQueue(ctx, flags)
	if err != nil {
		return err
	}
	defer q.Close()
	ids, err := numbers(ctx, q, args, states)
	if err != nil {
		return err
	}
	failed := 0
	for _, id := range ids {
		err := do(q, ctx, id)
		switch {
		case errors.Is(err, jobqueue.ErrUnknown), errors.Is(err, jobqueue.ErrRunning), errors.Is(err, jobqueue.ErrQueued),
			errors.Is(err, jobqueue.ErrEnded):
			failed++
			report(a.err, err)
		case err != nil:
			return err
		}
	}
	a.notef("%d %s", len(ids)-failed, done)
	return a.ending(len(ids), len(ids), failed)
}

// numbers are those given, or those of all jobs in some states.
func numbers(ctx context.Context, q *jobqueue.Queue, args []string, states []jobqueue.State) ([]int64, error) {
	var ids []int64
	for _, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	if len(args) > 0 {
		return ids, nil
	}
	for j, err := range q.Jobs(ctx, states...) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, j.ID)
	}
	return ids, nil
}
