package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/pkg/inbox"
	"github.com/lcp-tools/lcp/pkg/protect"
)

// watchFlags say which folder to watch.
type watchFlags struct {
	dir     string
	settle  time.Duration
	marked  bool
	poll    time.Duration
	metrics string
}

func (w *watchFlags) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&w.dir, "watch", "", "take what is in the folder `DIR`, and what arrives there, until stopped; sources go to DIR/done or DIR/failed")
	fs.DurationVar(&w.settle, "settle", 5*time.Second, "a file in DIR is whole when it has not changed for `DURATION`")
	fs.BoolVar(&w.marked, "done-marker", false, "a file in DIR is whole when NAME.done lies beside it, and not before")
	fs.DurationVar(&w.poll, "poll", 30*time.Second, "look through DIR every `DURATION`, for what the system does not tell of")
	fs.StringVar(&w.metrics, "metrics-address", "", "show counters for Prometheus at http://`ADDRESS`/metrics")
}

// watchJournal is in the watched folder, unless another is named.
const watchJournal = ".lcp-journal"

// checkWatch refuses flags that mean nothing in a watch, and settles the journal.
func (o *encryptOptions) checkWatch() error {
	w := &o.watch
	if w.dir == "" {
		for _, flag := range []string{"settle", "done-marker", "poll", "metrics-address"} {
			if o.flags.Changed(flag) {
				return usagef("--%s is for --watch", flag)
			}
		}
		return nil
	}
	for flag, set := range map[string]bool{
		"--from": o.from != "", "--uuid": o.uuid != "", "--key-file": o.keyFile != "", "--filename": o.fileName != "",
		"--dry-run": o.dryRun, "--no-register": o.noRegister, "--report": o.reportFile != "",
		"--fail-fast": o.failFast, "--max-failures": o.failures != 0,
	} {
		if set {
			return usagef("%s and --watch exclude one another", flag)
		}
	}
	switch {
	case len(o.inputs) > 0:
		return usagef("--watch takes what is in its folder, and no other inputs")
	case w.settle < 0 || w.poll <= 0:
		return usagef("--settle and --poll must not be negative, nor --poll zero")
	case o.format.value == formatTable || o.format.value == formatJSON:
		return usagef("--format %s has an end, a watch has none: give ndjson or text", o.format.value)
	}
	if o.journal == "" {
		o.journal = filepath.Join(w.dir, watchJournal)
	}
	if info, err := os.Stat(w.dir); err != nil || !info.IsDir() {
		return fmt.Errorf("watch %q: not a folder: make it first", w.dir)
	}
	return o.checkOutputApart()
}

// checkOutputApart refuses to watch the folder that output goes to.
func (o *encryptOptions) checkOutputApart() error {
	out, err := os.Stat(o.storage.folder())
	if o.storage.folder() == "" || err != nil {
		return nil //nolint:nilerr // what is not there yet is not watched
	}
	if dir, err := os.Stat(o.watch.dir); err == nil && os.SameFile(dir, out) {
		return usagef("publications must not be written into the watched folder: name another with --out")
	}
	return nil
}

// A watch brings in what arrives in a folder.
type watch struct {
	app     *app
	o       *encryptOptions
	inbox   *inbox.Inbox
	worker  catalogue.Worker
	metrics *watchMetrics
	out     *recordWriter

	mu     sync.Mutex
	items  map[string]catalogue.Item // in hand, by input
	outErr error
	stop   context.CancelFunc
}

// runWatch brings in what arrives until ctx is done. To be stopped so is how a
// watch ends: that is no error.
func (a *app) runWatch(ctx context.Context, o *encryptOptions, worker catalogue.Worker) error {
	w := &watch{app: a, o: o, worker: worker, metrics: newWatchMetrics(), items: map[string]catalogue.Item{}}
	box, err := inbox.Open(inbox.Options{
		Dir: o.watch.dir, Takes: func(path string) bool { return o.find.Takes(o.watch.dir, path) },
		Skips: func(dir string) bool { return o.find.Skips(o.watch.dir, dir) },
		Key:   w.key, Settle: o.watch.settle, Marked: o.watch.marked, Poll: o.watch.poll, Delete: o.deleteSource,
		Now: time.Now, Trouble: func(path string, err error) { a.complainf("%s: %v", path, err) },
	})
	if err != nil {
		return err
	}
	defer box.Close()
	w.inbox = box
	jobs := o.batchJobs(1 << 20)
	debug.SetMemoryLimit(int64(memoryBase+jobs*memoryPerJob) << 20)
	w.out = recordsOut(a.out, o.format.value)
	outer := ctx
	ctx, w.stop = context.WithCancel(ctx)
	defer w.stop()
	var side sync.WaitGroup
	defer side.Wait()
	defer w.stop()
	if err := w.serveMetrics(ctx, &side); err != nil {
		return err
	}
	if worker.Notifier != nil {
		side.Go(func() { w.tellOwed(ctx) })
	}
	a.notef("watching %s", o.watch.dir)
	batch := catalogue.Batch{Worker: worker, Jobs: jobs}
	sum, err := batch.Run(ctx, w.arrivals(ctx), catalogue.Watcher{Begin: w.begin, End: w.end})
	a.notef("stopped watching: %d done, %d were done before, %d attempts failed", sum.Done, sum.Kept, sum.Failed)
	if w.outErr != nil {
		return fmt.Errorf("print the records: %w", w.outErr)
	}
	if outer.Err() != nil {
		return nil
	}
	return err
}

// arrivals makes items of what arrives.
func (w *watch) arrivals(ctx context.Context) func(yield func(catalogue.Item, error) bool) {
	return func(yield func(catalogue.Item, error) bool) {
		for a := range w.inbox.Arrivals(ctx) {
			item := catalogue.Item{Input: a.Path, Edition: fmt.Sprintf("%d %d", a.Info.Size(), a.Info.ModTime().UnixNano())}
			if !yield(item, w.o.complete(&item, 1)) {
				return
			}
		}
	}
}

// key keeps files from being worked on at once that are the same publication.
func (w *watch) key(path string) string {
	if w.o.altID {
		return inputStem(path)
	}
	return path
}

func (w *watch) begin(_ int, item catalogue.Item) catalogue.Progress {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.items[item.Input] = item
	return catalogue.Progress{}
}

// end says what became of a file and has it put away.
func (w *watch) end(_ int, rec catalogue.Record, err error) {
	w.mu.Lock()
	item := w.items[rec.Source]
	delete(w.items, rec.Source)
	w.mu.Unlock()
	switch {
	case err == nil:
		w.done(&item, rec)
	case errors.Is(err, context.Canceled):
		w.inbox.Release(rec.Source)
	case errors.Is(err, protect.ErrChanged):
		w.metrics.count("changed")
		w.app.notef("%s: it changed while it was read: waiting until it is whole", rec.Source)
		w.inbox.Release(rec.Source)
	case !errors.As(err, new(*catalogue.InputError)):
		w.metrics.count("retried")
		pause := w.inbox.Later(rec.Source)
		w.app.complainf("%s: %s: it stays, to be tried again in %s", rec.Source, oneLine(err), pause)
	default:
		w.failed(&item, err)
	}
}

func (w *watch) done(item *catalogue.Item, rec catalogue.Record) {
	if line := w.app.lineOf(rec, nil); line != "" {
		fmt.Fprintln(w.app.err, line)
	}
	if rec.Kept {
		w.metrics.count("kept")
	} else {
		w.metrics.done(rec)
		if err := w.out.write(rec); err != nil && w.outErr == nil {
			w.outErr = err
			w.stop() // nobody takes our records any more
		}
	}
	w.putAway(item, w.inbox.Done(rec.Source))
}

func (w *watch) failed(item *catalogue.Item, err error) {
	w.metrics.count("failed")
	w.app.complainf("%s: %s", item.Input, oneLine(err))
	w.putAway(item, w.inbox.Failed(item.Input, inbox.Note{
		Kind: catalogue.Kind(err), Reason: oneLine(err), Code: exitFailed, Time: time.Now().UTC().Truncate(time.Second),
	}))
}

// putAway has the journal forget a file that is not there any more.
func (w *watch) putAway(item *catalogue.Item, err error) {
	if err != nil {
		w.app.complainf("%s: %v", item.Input, err)
	}
	if err != nil && !errors.Is(err, inbox.ErrChanged) && !errors.Is(err, os.ErrNotExist) {
		return
	}
	if err := w.worker.Journal.Forget(item); err != nil {
		w.app.complainf("%v", err)
	}
}

// tellOwed tells the CMS, from time to time, what it could not be told before.
func (w *watch) tellOwed(ctx context.Context) {
	for {
		owed, err := w.worker.TellOwed(ctx)
		w.metrics.owed.Set(float64(owed))
		if err != nil && ctx.Err() == nil {
			w.app.complainf("the CMS could not be told of %d: %v", owed, err)
		}
		timer := time.NewTimer(owedPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// owedPause is between attempts to tell the CMS.
const owedPause = time.Minute

// oneLine is an error on one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// complainf tells of something that is wrong, with --quiet, too.
func (a *app) complainf(format string, args ...any) {
	fmt.Fprintln(a.err, plain(fmt.Sprintf("lcp: "+format, args...)))
}
