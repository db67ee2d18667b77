package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/protect"
	"github.com/lcp-tools/lcp/pkg/publication"
)

// encryptOptions are the flags and arguments of lcp encrypt.
type encryptOptions struct {
	inputs     []string
	out        string
	storage    storageFlags
	altID      bool
	uuid       string
	keyFile    string
	fileName   string
	provider   string
	cover      bool
	jobs       int
	recursive  bool
	verify     bool
	dryRun     bool
	noRegister bool
	server     serverFlags
	apiVersion int // of the server
	reportFile string
	format     formatFlag
}

func (o *encryptOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&o.out, "out", "o", "", "write protected publications into `DIR`, which is made if need be (default: here); --storage DIR is the same")
	o.storage.addFlags(fs)
	fs.BoolVar(&o.altID, "altid", false, "make the file name, without extension, the alternative identifier; a known one keeps its uuid and key")
	fs.StringVar(&o.uuid, "uuid", "", "identify the publication as `ID`; a known one keeps its key")
	fs.StringVar(&o.keyFile, "key-file", "", "encrypt under the content key in `FILE`, 32 bytes in base64")
	fs.StringVar(&o.fileName, "filename", "", "write the publication under `NAME` instead of its uuid")
	fs.StringVar(&o.provider, "provider", "", "record `URI` as the provider of the publications")
	fs.BoolVar(&o.cover, "cover", false, "also write cover images")
	fs.IntVar(&o.jobs, "jobs", 0, "work on `N` publications at once (default: one per core)")
	fs.BoolVarP(&o.recursive, "recursive", "r", false, "take the publications in folders below a folder, too")
	fs.BoolVar(&o.verify, "verify", false, "read every output back and compare it with its source")
	fs.BoolVar(&o.dryRun, "dry-run", false, "say what would be done, write nothing")
	fs.BoolVar(&o.noRegister, "no-register", false, "do not keep the content key, print it (encryption_key)")
	o.server.addFlags(fs)
	fs.IntVar(&o.apiVersion, "server-version", 2, "the API of the license server is that of `VERSION` 1 or 2 of the LCP Server; lcp serve has 2")
	fs.StringVar(&o.reportFile, "report", "", "write one row per input to `FILE` (.csv or .json)")
	fs.Var(&o.format, "format", "print records as text, table, json or ndjson (default: text on a terminal, else ndjson)")
}

func newEncryptCommand(a *app) *cobra.Command {
	o := encryptOptions{format: formatFlag{allowed: []string{formatText, formatTable, formatJSON, formatNDJSON}}}
	cmd := &cobra.Command{
		Use:   "encrypt PATH|DIR|GLOB|URL...",
		Short: "Encrypt publications",
		Long: `Encrypt publications, each under a key of its own, and keep the keys for the
licenses to come.

Input is recognized by its content: EPUB, PDF, audiobooks, Divina and CBZ comics,
other Readium packages, and W3C packages (LPF). Of a folder, the files with an
extension of one of these are taken. Input is never changed.

Each publication ends up as UUID.EXTENSION in the output folder or bucket, and as
a record on standard output. When some of several inputs fail, the others are done and the
exit code is 3.`,
		Example: `  lcp encrypt moby-dick.epub --out shelf
  lcp encrypt incoming --recursive --out shelf --altid --url https://cdn.example.com/shelf
  lcp encrypt incoming --storage s3://books/shelf --url https://cdn.example.com/shelf
  lcp encrypt book.pdf --out shelf --verify --format json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.inputs = args
			return a.encrypt(cmd.Context(), o)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

// encrypt brings in all inputs.
func (a *app) encrypt(ctx context.Context, o encryptOptions) error {
	items, err := o.items()
	if err != nil {
		return err
	}
	o.format.value = a.recordFormat(o.format.value)
	worker := catalogue.Worker{
		Recognition: protect.Recognition{Renderer: findRenderer()},
		Cover:       o.cover, Verify: o.verify, DryRun: o.dryRun,
		HTTP: &http.Client{Timeout: time.Hour}, Now: time.Now,
	}
	if !o.dryRun {
		if worker.Store, err = o.storage.open(ctx); err != nil {
			return err
		}
		if !o.noRegister {
			var closeRegistry func()
			if worker.Registry, closeRegistry, err = a.openRegistry(ctx, &o); err != nil {
				return err
			}
			defer closeRegistry()
		}
	}
	return a.runBatch(ctx, o, worker, items)
}

// openRegistry opens what the publications are registered with: the license
// server if there is one, else the local store. The caller calls close.
func (a *app) openRegistry(ctx context.Context, o *encryptOptions) (r catalogue.Registry, closeAll func(), err error) {
	if o.server.address() != "" {
		r, err := o.server.registry(o.apiVersion)
		return r, func() {}, err
	}
	c, err := a.config()
	if err != nil {
		return nil, nil, err
	}
	records, err := a.openStore(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	if o.storage.baseURL == "" && !o.storage.inS3() {
		a.notef("note: without --url, licenses point to files on this machine")
	}
	return records, func() { records.Close() }, nil
}

// findRenderer looks for the program that draws covers of PDFs.
func findRenderer() string {
	path, err := exec.LookPath("pdftoppm")
	if err != nil {
		return ""
	}
	return path
}

// items lists what the command line asks for.
func (o *encryptOptions) items() ([]catalogue.Item, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	var paths []string
	for _, input := range o.inputs {
		found, err := o.expand(input)
		if err != nil {
			return nil, err
		}
		paths = append(paths, found...)
	}
	if len(paths) == 0 {
		return nil, errors.New("no publications found")
	}
	if len(paths) > 1 {
		for flag, set := range map[string]bool{"--uuid": o.uuid != "", "--key-file": o.keyFile != "", "--filename": o.fileName != ""} {
			if set {
				return nil, usagef("%s is for one publication, and there are %d", flag, len(paths))
			}
		}
	}
	key, err := o.key()
	if err != nil {
		return nil, err
	}
	return o.itemsOf(paths, key)
}

func (o *encryptOptions) check() error {
	if o.out != "" && o.storage.where != "" {
		return usagef("--out and --storage exclude one another")
	}
	o.storage.where = cmp.Or(o.storage.where, o.out, ".")
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
	if o.jobs < 0 {
		return usagef("--jobs %d is negative", o.jobs)
	}
	if o.apiVersion != 1 && o.apiVersion != 2 {
		return usagef("--server-version %d is neither 1 nor 2", o.apiVersion)
	}
	if o.server.address() != "" && o.storage.baseURL == "" && !o.storage.inS3() && !o.noRegister {
		return usagef("a license server needs --url, where reading apps will find the publications")
	}
	if ext := filepath.Ext(o.reportFile); o.reportFile != "" && ext != ".csv" && ext != ".json" {
		return usagef("--report %q must end in .csv or .json", o.reportFile)
	}
	return nil
}

// key reads the content key of --key-file.
func (o *encryptOptions) key() (*lcpcrypto.ContentKey, error) {
	if o.keyFile == "" {
		return nil, nil
	}
	text, err := readSecretFile(o.keyFile)
	if err != nil {
		return nil, err
	}
	key, err := lcpcrypto.ParseContentKey(text)
	if err != nil {
		return nil, fmt.Errorf("content key in %s: %w", o.keyFile, err)
	}
	return &key, nil
}

// itemsOf makes items of paths, and refuses two that would become one
// publication before anything is written.
func (o *encryptOptions) itemsOf(paths []string, key *lcpcrypto.ContentKey) ([]catalogue.Item, error) {
	items := make([]catalogue.Item, len(paths))
	inputs := map[string]string{}
	for i, path := range paths {
		items[i] = catalogue.Item{Input: path, UUID: o.uuid, Key: key, FileName: o.fileName, Provider: o.provider}
		if !o.altID {
			continue
		}
		name := catalogue.InputName(path)
		id := strings.TrimSuffix(name, filepath.Ext(name))
		if other, twice := inputs[id]; twice {
			return nil, usagef("%s and %s have the same alternative identifier %q", other, path, id)
		}
		inputs[id], items[i].AltID = path, id
	}
	return items, nil
}

// expand turns an argument into files: a folder into the publications in it, a
// pattern into what it matches.
func (o *encryptOptions) expand(input string) ([]string, error) {
	if catalogue.IsURL(input) {
		return []string{input}, nil
	}
	info, err := os.Stat(input)
	switch {
	case err == nil && info.IsDir():
		return o.folder(input)
	case err == nil:
		return []string{input}, nil
	case strings.ContainsAny(input, "*?["):
		return o.pattern(input)
	default:
		return []string{input}, nil // fails on its own, and the others go on
	}
}

// pattern lists what matches, as a shell does: what is hidden only where the
// pattern says so.
func (o *encryptOptions) pattern(pattern string) ([]string, error) {
	matches, err := filepath.Glob(pattern)
	if err != nil {
		return nil, usagef("pattern %q: %w", pattern, err)
	}
	var found []string
	for _, name := range matches {
		if isHidden(filepath.Base(name)) && !isHidden(filepath.Base(pattern)) {
			continue
		}
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			files, err := o.folder(name)
			if err != nil {
				return nil, err
			}
			found = append(found, files...)
			continue
		}
		found = append(found, name)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no file matches %q", pattern)
	}
	return found, nil
}

func isHidden(name string) bool { return strings.HasPrefix(name, ".") }

// folder lists the publications in a folder, by extension. It passes over what
// is hidden and, below the folder, what an earlier run put out.
func (o *encryptOptions) folder(dir string) ([]string, error) {
	var found []string
	dir += string(filepath.Separator) // a link to a folder is one, too
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir && (!o.recursive || isHidden(d.Name()) || same(path, o.storage.folder())):
			return fs.SkipDir
		case !d.IsDir() && !isHidden(d.Name()) && publication.IsInputName(d.Name()):
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	return found, nil
}

// batchJobs is how many publications to work on at once.
func (o *encryptOptions) batchJobs(items int) int {
	jobs := o.jobs
	if jobs == 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	return max(1, min(jobs, items))
}

// runBatch works through the items and prints what becomes of each.
func (a *app) runBatch(ctx context.Context, o encryptOptions, worker catalogue.Worker, items []catalogue.Item) error {
	jobs := o.batchJobs(len(items))
	show := newProgress(a.err, isTerminal(a.err) && !a.quiet, len(items), totalSize(items), jobs)
	records := make(chan catalogue.Record)
	queue := make(chan catalogue.Item)
	var running sync.WaitGroup
	for job := range jobs {
		running.Go(func() {
			w := worker
			w.Pipeline = protect.NewPipeline(coresPerJob(jobs))
			for item := range queue {
				records <- a.bring(ctx, &w, item, show, job)
			}
		})
	}
	go func() {
		defer close(records)
		defer running.Wait()
		defer close(queue)
		for _, item := range items {
			select {
			case queue <- item:
			case <-ctx.Done():
				return
			}
		}
	}()
	err := a.collect(o, records, len(items))
	show.close()
	return err
}

// coresPerJob shares the cores among jobs, and lets each overlap its stages.
func coresPerJob(jobs int) int {
	return max(1, (runtime.GOMAXPROCS(0)+jobs-1)/jobs)
}

// bring brings in one item and tells people about it.
func (a *app) bring(ctx context.Context, w *catalogue.Worker, item catalogue.Item, show *progress, job int) catalogue.Record {
	add := func(int64) {}
	rec, err := w.Process(ctx, item, catalogue.Progress{
		Total: func(size int64) {
			if f := show.start(job, catalogue.InputName(item.Input), size); f != nil {
				add = f
			}
		},
		Add: func(n int64) { add(n) },
	})
	show.done(job, a.lineOf(rec, err))
	return rec
}

// lineOf says of a record what people want to see: with --quiet, only what is
// wrong or odd.
func (a *app) lineOf(rec catalogue.Record, err error) string {
	var b strings.Builder
	if err != nil {
		fmt.Fprintf(&b, "lcp: %s: %s", rec.Source, strings.ReplaceAll(err.Error(), "\n", "; "))
		return b.String()
	}
	for _, w := range rec.Warnings {
		fmt.Fprintf(&b, "lcp: %s: warning: %s\n", rec.Source, w)
	}
	switch {
	case a.quiet:
		return strings.TrimSuffix(b.String(), "\n")
	case rec.File == "":
		fmt.Fprintf(&b, "lcp: %s: %s, %d resources would be encrypted", rec.Source, rec.Format, rec.Encrypted)
	default:
		fmt.Fprintf(&b, "lcp: %s -> %s (%s, %.2f s)", rec.Source, rec.File, bytesText(rec.Size), rec.Seconds)
	}
	return b.String()
}

// collect prints and reports the records as they come.
func (a *app) collect(o encryptOptions, records <-chan catalogue.Record, items int) error {
	out := &recordWriter{
		out: a.out, format: o.format.value,
		header: []string{"UUID", "FILE", "SIZE", "TITLE"},
		row: func(r any) []string {
			rec := r.(catalogue.Record)
			return []string{rec.UUID, rec.File, bytesText(rec.Size), rec.Title}
		},
	}
	var all []catalogue.Record
	failed, done := 0, 0
	var outErr error
	for rec := range records {
		done++
		if o.reportFile != "" {
			all = append(all, rec)
		}
		if rec.Error != "" {
			failed++
			continue
		}
		outErr = errors.Join(outErr, out.write(rec))
	}
	if err := errors.Join(outErr, out.close()); err != nil {
		return fmt.Errorf("print the records: %w", err)
	}
	if o.reportFile != "" {
		if err := writeReport(o.reportFile, all); err != nil {
			return err
		}
	}
	return a.ending(items, done, failed)
}

// totalSize adds up the sizes of the files, as far as they are known.
func totalSize(items []catalogue.Item) int64 {
	var total int64
	for _, item := range items {
		if info, err := os.Stat(item.Input); err == nil {
			total += info.Size()
		}
	}
	return total
}

// writeReport writes the records to a file, by its extension.
func writeReport(name string, records []catalogue.Record) error {
	var b strings.Builder
	var err error
	if filepath.Ext(name) == ".csv" {
		err = writeCSV(&b, records)
	} else {
		err = encodeJSON(&b, records, "  ")
	}
	if err == nil {
		err = protect.WriteFile(name, []byte(b.String()))
	}
	if err != nil {
		return fmt.Errorf("write the report %s: %w", name, err)
	}
	return nil
}

func writeCSV(w io.Writer, records []catalogue.Record) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{
		"source", "result", "uuid", "alt_id", "title", "authors", "content_type", "file", "href",
		"size", "checksum", "cover", "seconds", "warnings", "error",
	})
	for _, r := range records {
		result := "done"
		if r.Error != "" {
			result = "failed"
		}
		_ = out.Write([]string{
			r.Source, result, r.UUID, r.AltID, r.Title, strings.Join(r.Authors, "; "), r.ContentType, r.File, r.Href,
			fmt.Sprint(r.Size), r.Checksum, r.Cover, fmt.Sprintf("%.3f", r.Seconds), strings.Join(r.Warnings, "; "), r.Error,
		})
	}
	out.Flush()
	return out.Error()
}
