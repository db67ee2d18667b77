package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/upload"
)

// uploadOptions are the flags of lcp upload.
type uploadOptions struct {
	storage storageFlags
	jobs    int
	format  formatFlag
}

func newUploadCommand(a *app) *cobra.Command {
	o := uploadOptions{format: formatFlag{allowed: []string{formatText, formatTable, formatJSON, formatNDJSON}}}
	cmd := &cobra.Command{
		Use:   "upload FILE...",
		Short: "Put files that are ready into a folder or bucket",
		Long: `Put files that are ready, such as publications encrypted before, into a folder or
bucket. Each keeps its name, and shows there only when it is whole. A file that is
there already, with the same checksum, is not sent again.

When some of several files fail, the others are done and the exit code is 3.`,
		Example: `  lcp upload shelf/*.epub --storage s3://books/shelf --url https://cdn.example.com/shelf`,
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.upload(cmd.Context(), o, args) },
	}
	fs := cmd.Flags()
	o.storage.addFlags(fs)
	fs.IntVar(&o.jobs, "jobs", 0, "send `N` files at once (default: one per core)")
	fs.Var(&o.format, "format", "print records as text, table, json or ndjson (default: text on a terminal, else ndjson)")
	return cmd
}

// upload puts the files into the storage.
func (a *app) upload(ctx context.Context, o uploadOptions, files []string) error {
	switch {
	case o.storage.where == "":
		return usagef("say where to with --storage: a folder, or s3://bucket/prefix")
	case o.jobs < 0:
		return usagef("--jobs %d is negative", o.jobs)
	}
	if err := o.storage.check(); err != nil {
		return err
	}
	items, err := upload.Plan(files)
	if err != nil {
		return &usageError{err}
	}
	store, err := o.storage.open(ctx, o.uploadJobs(len(items)))
	if err != nil {
		return err
	}
	if err := checkStorage(ctx, store); err != nil {
		return fmt.Errorf("check the storage: %w", err)
	}
	o.format.value = a.recordFormat(o.format.value)
	return a.runUpload(ctx, o, store, items)
}

// uploadJobs is how many files to send at once.
func (o *uploadOptions) uploadJobs(items int) int {
	return max(1, min(cmp.Or(o.jobs, runtime.GOMAXPROCS(0)), items))
}

// recordFormat is how to print records unless the user said so.
func (a *app) recordFormat(wanted string) string {
	if wanted == "" && isTerminal(a.out) {
		return formatText
	}
	return cmp.Or(wanted, formatNDJSON)
}

// An uploaded item, or the reason why it is not.
type uploaded struct {
	rec upload.Record
	err error
}

// runUpload uploads several at once and prints what becomes of each.
func (a *app) runUpload(ctx context.Context, o uploadOptions, store blob.Store, items []upload.Item) error {
	jobs := o.uploadJobs(len(items))
	var total int64
	for _, item := range items {
		total += fileSize(item.Path)
	}
	show := newProgress(a.err, isTerminal(a.err) && !a.quiet, len(items), total, jobs)
	queue, results := make(chan int), make(chan uploaded)
	var running errgroup.Group
	for job := range jobs {
		running.Go(func() error {
			for i := range queue {
				add := show.start(job, items[i].Name, fileSize(items[i].Path))
				rec, err := upload.File(ctx, store, items[i], add)
				show.done(job, a.uploadLine(items[i], rec, err))
				results <- uploaded{rec, err}
			}
			return nil
		})
	}
	go func() {
		defer close(results)
		defer running.Wait() //nolint:errcheck // they return none
		defer close(queue)
		for i := range items {
			select {
			case queue <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	err := a.collectUploads(o, show.above(a.out), results, len(items))
	show.close()
	return err
}

// uploadLine says of a file what people want to see.
func (a *app) uploadLine(item upload.Item, rec upload.Record, err error) string {
	switch {
	case err != nil:
		return plain(fmt.Sprintf("lcp: %s: %s", item.Path, oneLine(err)))
	case a.quiet:
		return ""
	case rec.Unchanged:
		return plain(fmt.Sprintf("lcp: %s is at %s already", rec.File, rec.Location))
	default:
		return plain(fmt.Sprintf("lcp: %s -> %s (%s)", rec.File, rec.Location, bytesText(rec.Size)))
	}
}

// collectUploads prints the records as they come.
func (a *app) collectUploads(o uploadOptions, data io.Writer, results <-chan uploaded, items int) error {
	out := &recordWriter{
		out: data, format: o.format.value,
		header: []string{"FILE", "HREF", "SIZE"},
		row: func(r any) []string {
			rec := r.(upload.Record)
			return []string{plain(rec.File), plain(rec.Href), bytesText(rec.Size)}
		},
	}
	failed, done := 0, 0
	var outErr error
	for r := range results {
		done++
		if r.err != nil {
			failed++
			continue
		}
		if outErr == nil {
			outErr = out.write(r.rec)
		}
	}
	if err := errors.Join(outErr, out.close()); err != nil {
		return fmt.Errorf("print the records: %w", err)
	}
	return a.ending(items, done, failed)
}

// ending tells how a run of several items went, and makes its exit code.
func (a *app) ending(items, done, failed int) error {
	switch {
	case failed == 0 && done == items:
		return nil
	case done < items:
		return errInterrupted
	case items == 1 || failed == items:
		return errReported
	default:
		a.notef("%d of %d failed, the others are done", failed, items)
		return errSomeFailed
	}
}
