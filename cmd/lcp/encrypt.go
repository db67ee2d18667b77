package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lcp-tools/lcp/pkg/blob/s3blob"
	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/pkg/client"
	"github.com/lcp-tools/lcp/pkg/protect"
	"github.com/lcp-tools/lcp/pkg/store"
)

// encryptOptions are the flags and arguments of lcp encrypt.
type encryptOptions struct {
	inputs     []string
	from       string
	out        string
	storage    storageFlags
	altID      bool
	uuid       string
	keyFile    string
	fileName   string
	provider   string
	cover      bool
	jobs       int
	failFast   bool
	failures   int // after which to give up; zero for never
	find       catalogue.Finder
	verify     bool
	dryRun     bool
	noRegister bool
	server     serverFlags
	notify     notifyFlags
	apiVersion int // of the server
	journal    string
	reportFile string
	queue      queueFlags
	format     formatFlag
	watch      watchFlags
	onix       []string
	flags      *pflag.FlagSet

	deleteSource bool
}

func (o *encryptOptions) addFlags(fs *pflag.FlagSet) {
	o.flags = fs
	fs.StringVarP(&o.out, "out", "o", "", "write protected publications into `DIR`, which is made if need be (default: here); --storage DIR is the same")
	o.storage.addFlags(fs)
	fs.BoolVar(&o.altID, "altid", false, "make the file name, without extension, the alternative identifier; a known one keeps its uuid and key")
	fs.StringVar(&o.uuid, "uuid", "", "identify the publication as `ID`; a known one keeps its key")
	fs.StringVar(&o.keyFile, "key-file", "", "encrypt under the content key in `FILE`, 32 bytes in base64")
	fs.StringVar(&o.fileName, "filename", "", "write the publication under `NAME` instead of its uuid")
	fs.StringVar(&o.provider, "provider", "", "record `URI` as the provider of the publications")
	fs.BoolVar(&o.cover, "cover", false, "also write cover images")
	fs.IntVar(&o.jobs, "jobs", 0, "work on `N` publications at once (default: one per core)")
	fs.BoolVarP(&o.find.Recursive, "recursive", "r", false, "take the publications in folders below a folder, too")
	fs.StringArrayVar(&o.find.Include, "include", nil, "of a folder, take the files that match `PATTERN`, whatever their extension; may be repeated")
	fs.StringArrayVar(&o.find.Exclude, "exclude", nil, "of a folder, leave out the files and folders that match `PATTERN`; may be repeated")
	fs.StringVar(&o.from, "from", "", "take the publications listed in `FILE` (CSV or NDJSON, - for standard input), each with uuid, alt_id and more of its own")
	fs.StringArrayVar(&o.onix, "onix", nil, "take titles, contributors, descriptions and more from the ONIX 3 message in `FILE`, by ISBN; may be repeated")
	fs.BoolVar(&o.failFast, "fail-fast", false, "begin no more publications once one has failed")
	fs.IntVar(&o.failures, "max-failures", 0, "begin no more once `N` have failed")
	fs.BoolVar(&o.verify, "verify", false, "read every output back and compare it with its source")
	fs.BoolVar(&o.dryRun, "dry-run", false, "say what would be done, write nothing")
	fs.BoolVar(&o.noRegister, "no-register", false, "do not keep the content key, print it (encryption_key)")
	o.server.addFlags(fs)
	fs.IntVar(&o.apiVersion, "server-version", 2, "the API of the license server is that of `VERSION` 1 or 2 of the LCP Server; lcp serve has 2")
	o.notify.addFlags(fs)
	fs.StringVar(&o.journal, "journal", "", "remember in `FILE` what is done, and do it again only where something changed; a run that was killed goes on where it was")
	fs.StringVar(&o.reportFile, "report", "", "write one row per input to `FILE` (.csv or .json)")
	o.queue.addFlags(fs, "enqueue", "leave the work to lcp worker, by way of the queue in the PostgreSQL database at `URL` (empty: that of LCP_QUEUE)")
	fs.BoolVar(&o.deleteSource, "delete-source", false, "delete the files of publications once they are stored and registered")
	o.watch.addFlags(fs)
	fs.Var(&o.format, "format", "print records as text, table, json or ndjson (default: text on a terminal, else ndjson)")
}

func newEncryptCommand(a *app) *cobra.Command {
	o := encryptOptions{format: formatFlag{allowed: []string{formatText, formatTable, formatJSON, formatNDJSON}}}
	cmd := &cobra.Command{
		Use:   "encrypt PATH|DIR|GLOB|URL|s3://BUCKET/KEY...",
		Short: "Encrypt publications",
		Long: `Encrypt publications, each under a key of its own, and keep the keys for the
licenses to come.

Input is recognized by its content: EPUB, PDF, audiobooks, Divina and CBZ comics,
other Readium packages, and W3C packages (LPF). Of a folder, the files with an
extension of one of these are taken, and so of s3://bucket/prefix/. A list (--from)
says more of each: its columns, or members, are input, uuid, alt_id, title,
provider, key_file and file_name. Input is never changed, nor deleted without
--delete-source.

Each publication ends up as UUID.EXTENSION in the output folder or bucket, and as
a record on standard output. When some of several inputs fail, the others are done
and the exit code is 3.`,
		Example: `  lcp encrypt moby-dick.epub --out shelf
  lcp encrypt incoming --recursive --out shelf --altid --url https://cdn.example.com/shelf
  lcp encrypt s3://incoming/new/ --storage s3://books/shelf --url https://cdn.example.com/shelf
  lcp encrypt book.pdf --out shelf --verify --format json
  lcp encrypt --watch incoming --out shelf --altid`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 && o.from == "" && o.watch.dir == "" {
				return errors.New("say what to encrypt: files, folders, patterns, addresses, or a list with --from")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.inputs = args
			if err := o.queue.checkEnqueue(&o, cmd.Flags()); err != nil {
				return err
			}
			return a.encrypt(cmd.Context(), o)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

// encrypt brings in all inputs.
func (a *app) encrypt(ctx context.Context, o encryptOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	o.format.value = a.recordFormat(o.format.value)
	if o.watch.dir != "" {
		worker, closeAll, err := a.openEncryptWorker(ctx, &o, math.MaxInt)
		if err != nil {
			return err
		}
		defer closeAll()
		return a.runWatch(ctx, &o, worker)
	}
	plan, err := catalogue.NewPlan(o.items(ctx, a.in))
	if err != nil {
		return planError(err)
	}
	defer plan.Close()
	if plan.Len() == 0 {
		return errors.New("no publications found")
	}
	if o.keyFile != "" {
		if _, err := readContentKey(o.keyFile); err != nil {
			return err
		}
	}
	if o.queue.wanted() {
		return a.enqueue(ctx, &o, plan)
	}
	worker, closeAll, err := a.openEncryptWorker(ctx, &o, plan.Len())
	if err != nil {
		return err
	}
	defer closeAll()
	return o.reporting(func(report *reportWriter) error {
		return a.runBatch(ctx, o, worker, plan, report)
	})
}

// openEncryptWorker opens all that a worker of so many items works with. The caller
// calls close.
func (a *app) openEncryptWorker(ctx context.Context, o *encryptOptions, items int) (worker catalogue.Worker, closeAll func(), err error) {
	var closers []func()
	release := func() {
		for _, c := range slices.Backward(closers) {
			c()
		}
	}
	defer func() {
		if err != nil {
			release()
		}
	}()
	worker = catalogue.Worker{
		Recognition: protect.Recognition{Renderer: findRenderer()},
		Cover:       o.cover, Verify: o.verify, DryRun: o.dryRun,
		// In a watch, the inbox deletes.
		DeleteSource: o.deleteSource && o.watch.dir == "",
		Bucket:       o.find.Bucket,
		HTTP:         &http.Client{Timeout: time.Hour}, Now: time.Now, ReadKey: readContentKey,
	}
	if len(o.onix) > 0 {
		if worker.Products, err = readONIX(o.onix); err != nil {
			return worker, nil, err
		}
		closers = append(closers, func() { worker.Products.Close() })
	}
	if worker.Notifier, err = o.notify.notifier(); err != nil {
		return worker, nil, err
	}
	openJournal := func() error {
		j, err := o.openJournal()
		if err != nil {
			return err
		}
		worker.Journal = j
		closers = append(closers, func() { j.Close() })
		return nil
	}
	// One that is there may belong to another server than the one to be asked; a new
	// one is not made for a server that does not answer.
	if fileSize(o.journal) > 0 {
		if err := openJournal(); err != nil {
			return worker, nil, err
		}
	}
	if err := a.openRemote(ctx, o, &worker, items); err != nil || o.dryRun {
		return worker, release, err
	}
	if worker.Store == nil {
		if worker.Store, err = o.storage.open(ctx, o.batchJobs(items)); err != nil {
			return worker, nil, err
		}
	}
	if worker.Registry == nil && !o.noRegister {
		records, err := a.openLocal(ctx, o)
		if err != nil {
			return worker, nil, err
		}
		worker.Registry = records
		closers = append(closers, func() { records.Close() })
	}
	if o.journal != "" && worker.Journal == nil {
		if err := openJournal(); err != nil {
			return worker, nil, err
		}
	}
	worker.Recall = o.reportFile != ""
	return worker, release, nil
}

// openRemote opens the license server and the bucket, where they are asked for, and
// asks them whether they would take publications: better now than after the first of
// many is encrypted.
func (a *app) openRemote(ctx context.Context, o *encryptOptions, worker *catalogue.Worker, items int) error {
	if o.server.address() != "" && !o.noRegister {
		server, err := o.server.registry(o.apiVersion)
		if err != nil {
			return err
		}
		if err := a.present(o, server.Check(ctx)); err != nil {
			return addressHint(fmt.Errorf("check the license server %s: %w", o.server.address(), err))
		}
		worker.Registry = server
	}
	if o.storage.inS3() {
		bucket, err := o.storage.open(ctx, o.batchJobs(items))
		if err != nil {
			return err
		}
		if err := a.present(o, checkStorage(ctx, bucket)); err != nil {
			return fmt.Errorf("check the storage: %w", err)
		}
		worker.Store = bucket
	}
	return nil
}

// addressHint says what to do about a server that has not what it is asked for.
func addressHint(err error) error {
	var refused *client.Error
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return &hinted{err, "the address is that under which the server has /publications, or /contents with --server-version 1"}
	}
	return err
}

// present is the error of a check. A watch outlives servers that are away for a
// while, also at its beginning.
func (a *app) present(o *encryptOptions, err error) error {
	var refused *client.Error
	away := isGone(err) ||
		errors.As(err, &refused) && (refused.Status == http.StatusTooManyRequests || refused.Status/100 == 5)
	if away && o.watch.dir != "" {
		a.complainf("%s: files stay until it is back", oneLine(err))
		return nil
	}
	return err
}

// isGone reports whether no answer came from a server.
func isGone(err error) bool {
	return errors.Is(err, client.ErrUnreachable) || errors.Is(err, s3blob.ErrUnreachable)
}

// openLocal opens the local store to register publications with. The caller closes
// it.
func (a *app) openLocal(ctx context.Context, o *encryptOptions) (*store.Store, error) {
	c, err := a.config()
	if err != nil {
		return nil, err
	}
	local, err := a.openStore(ctx, c)
	if err != nil {
		return nil, err
	}
	if o.storage.baseURL == "" && !o.storage.inS3() {
		a.notef("note: without --url, licenses point to files on this machine")
	}
	return local, nil
}

// openJournal opens the journal for this run. The caller closes it.
func (o *encryptOptions) openJournal() (*catalogue.Journal, error) {
	j, err := catalogue.OpenJournal(o.journal)
	if err != nil {
		return nil, err
	}
	if err := o.bindJournal(j); err != nil {
		j.Close()
		return nil, err
	}
	return j, nil
}

// bindJournal has the journal know where publications are registered, which is the
// same for all runs with it.
func (o *encryptOptions) bindJournal(j *catalogue.Journal) error {
	err := j.Bind(cmp.Or(strings.TrimSuffix(o.server.address(), "/"), "the local store"))
	if errors.Is(err, catalogue.ErrRegistry) {
		hint := "give the same --server, or another --journal; if the server only has a new address, write that into the journal's line \"registry\""
		return &hinted{fmt.Errorf("journal %s: %w", o.journal, err), hint}
	}
	return err
}

// findRenderer looks for the program that draws covers of PDFs.
func findRenderer() string {
	path, err := exec.LookPath("pdftoppm")
	if err != nil {
		return ""
	}
	return path
}

func (o *encryptOptions) check() error {
	if o.out != "" && o.storage.where != "" {
		return usagef("--out and --storage exclude one another")
	}
	o.storage.where = cmp.Or(o.storage.where, o.out, ".")
	o.storage.sources = o.from != "" || slices.ContainsFunc(o.inputs, catalogue.IsObject)
	if err := o.storage.check(); err != nil {
		return err
	}
	if o.uuid != "" {
		if _, err := uuid.Parse(o.uuid); err != nil {
			return usagef("--uuid %q is not a UUID", o.uuid)
		}
	}
	if o.fileName != "" && o.fileName != filepath.Base(o.fileName) {
		return usagef("--filename %q must not contain a folder: use --out", o.fileName)
	}
	if o.fileName != "" {
		if err := catalogue.CheckFileName(o.fileName); err != nil {
			return usagef("--filename: %w", err)
		}
	}
	if err := o.notify.check(); err != nil {
		return err
	}
	if o.deleteSource && (o.noRegister || o.dryRun) {
		return usagef("--delete-source deletes what is stored and registered: it excludes --no-register and --dry-run")
	}
	if err := o.checkWatch(); err != nil {
		return err
	}
	if o.journal != "" && (o.noRegister || o.dryRun) {
		return usagef("--journal remembers what is registered: it excludes --no-register and --dry-run")
	}
	if err := o.find.Check(); err != nil {
		return &usageError{err}
	}
	if o.failures < 0 {
		return usagef("--max-failures %d is negative", o.failures)
	}
	if o.failFast {
		o.failures = 1
	}
	o.find.Out, o.find.Bucket = o.storage.folder(), openBuckets(o.storage.s3)
	if o.storage.inS3() {
		o.find.Out = o.storage.where
	}
	if o.jobs < 0 {
		return usagef("--jobs %d is negative", o.jobs)
	}
	if o.apiVersion != 1 && o.apiVersion != 2 {
		return usagef("--server-version %d is neither 1 nor 2", o.apiVersion)
	}
	if err := o.server.check(); err != nil {
		return err
	}
	if o.server.address() != "" && o.storage.baseURL == "" && !o.storage.inS3() && !o.noRegister {
		return usagef("a license server needs --url, where reading apps will find the publications")
	}
	if ext := filepath.Ext(o.reportFile); o.reportFile != "" && ext != ".csv" && ext != ".json" {
		return usagef("--report %q must end in .csv or .json", o.reportFile)
	}
	return nil
}

// Memory in MiB that collecting garbage aims at.
const (
	memoryBase   = 24
	memoryPerJob = 12
)

// batchJobs is how many publications to work on at once.
func (o *encryptOptions) batchJobs(items int) int {
	jobs := o.jobs
	if jobs == 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	return max(1, min(jobs, items))
}

// runBatch works through the plan and prints what becomes of each item.
func (a *app) runBatch(ctx context.Context, o encryptOptions, worker catalogue.Worker, plan *catalogue.Plan, report *reportWriter) error {
	jobs := o.batchJobs(plan.Len())
	bars := isTerminal(a.err) && !a.quiet
	var total int64
	if bars {
		total = sizeOf(plan)
	}
	// What a run needs does not grow with the publications; without a limit the
	// garbage of thousands of small entries would.
	debug.SetMemoryLimit(int64(memoryBase+jobs*memoryPerJob) << 20)
	show := newProgress(a.err, bars, plan.Len(), total, jobs)
	out := recordsOut(show.above(a.out), o.format.value)
	var outErr, reportErr error
	batch := catalogue.Batch{Worker: worker, Jobs: jobs, MaxFailures: o.failures, Gone: isGone}
	sum, err := batch.Run(ctx, plan.Items(), catalogue.Watcher{
		Begin: show.watch,
		End: func(job int, rec catalogue.Record, err error) {
			show.done(job, a.lineOf(rec, err))
			if err == nil && !rec.Kept && outErr == nil {
				outErr = out.write(rec)
			}
			if report != nil && reportErr == nil {
				reportErr = report.write(rec)
			}
		},
	})
	outErr = errors.Join(outErr, out.close())
	show.close()
	if outErr != nil {
		return fmt.Errorf("print the records: %w", outErr)
	}
	if reportErr != nil {
		return fmt.Errorf("write the report %s: %w", o.reportFile, reportErr)
	}
	if err == nil && worker.Products != nil {
		if err := a.noteUnused(worker.Products); err != nil {
			return err
		}
	}
	if sum.Kept > 0 {
		a.notef("%d of %d are unchanged since an earlier run", sum.Kept, plan.Len())
	}
	if err != nil {
		a.notef("stopped: %d of %d are done", sum.Done+sum.Kept, plan.Len())
		return err
	}
	return a.batchEnding(o, plan.Len(), sum)
}

// recordsOut prints records of publications.
func recordsOut(w io.Writer, format string) *recordWriter {
	return &recordWriter{
		out: w, format: format,
		header: []string{"UUID", "FILE", "SIZE", "TITLE"},
		row: func(r any) []string {
			rec := r.(catalogue.Record)
			return []string{rec.UUID, plain(rec.File), bytesText(rec.Size), plain(rec.Title)}
		},
	}
}

// batchEnding tells how a batch went, and makes its exit code.
func (a *app) batchEnding(o encryptOptions, items int, sum catalogue.Summary) error {
	if left := items - sum.Total(); left > 0 && sum.GaveUp {
		a.notef("gave up after failures (%d): %d of %d were not begun", sum.Failed, left, items)
		if sum.Failed == sum.Total() {
			return errReported
		}
		return errSomeFailed
	}
	if sum.Untold > 0 {
		next := "a journal (--journal) would have the next run tell it"
		if o.journal != "" {
			next = "the next run with this journal tells it"
		}
		a.notef("the CMS could not be told of %d: %s", sum.Untold, next)
	}
	err := a.ending(items, sum.Total(), sum.Failed)
	if err == nil && sum.Untold > 0 {
		return errSomeFailed
	}
	return err
}

// watch shows the work of a job on an item.
func (p *progress) watch(job int, item catalogue.Item) catalogue.Progress {
	add := func(int64) {}
	return catalogue.Progress{
		Total: func(size int64) {
			if f := p.start(job, plain(catalogue.InputName(item.Input)), size); f != nil {
				add = f
			}
		},
		Add: func(n int64) { add(n) },
	}
}

// lineOf says of a record what people want to see: with --quiet, only what is
// wrong or odd.
func (a *app) lineOf(rec catalogue.Record, err error) string {
	var lines []string
	add := func(format string, args ...any) {
		lines = append(lines, plain("lcp: "+rec.Source+fmt.Sprintf(format, args...)))
	}
	if err != nil {
		add(": %s", oneLine(err))
		return lines[0]
	}
	if rec.Untold != "" {
		add(": the CMS could not be told: %s", rec.Untold)
	}
	if rec.Undeleted != "" {
		add(": warning: it is done, but could not be deleted: %s", rec.Undeleted)
	}
	if !rec.Kept {
		for _, w := range rec.Warnings {
			add(": warning: %s", w)
		}
	}
	switch {
	case a.quiet || rec.Kept:
	case rec.File == "":
		add(": %s, %d resources would be encrypted", rec.Format, rec.Encrypted)
	default:
		add(" -> %s (%s, %.2f s)", rec.File, bytesText(rec.Size), rec.Seconds)
	}
	return strings.Join(lines, "\n")
}

// sizeOf adds up the sizes of the files, as far as they are known.
func sizeOf(plan *catalogue.Plan) int64 {
	var total int64
	for item, err := range plan.Items() {
		if err != nil {
			break // the run meets it, too
		}
		total += fileSize(item.Input)
	}
	return total
}

// fileSize is the size in bytes of a file, or 0.
func fileSize(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}
