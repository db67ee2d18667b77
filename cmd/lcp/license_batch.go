package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/client"
	"github.com/lcp-tools/lcp/pkg/licensebatch"
)

// batchOptions are the flags about batches of licenses.
type batchOptions struct {
	file       string
	jobs       int
	journal    string
	report     string
	nameColumn string
	format     formatFlag
}

func (b *batchOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&b.file, "batch", "", "issue a license for each row of `FILE` (.csv, .ndjson, or - for NDJSON from standard input)")
	fs.IntVar(&b.jobs, "jobs", 0, "issue `N` licenses of a batch at once (default: one per core, 8 with --server)")
	fs.StringVar(&b.journal, "journal", "", "remember in `FILE` which rows of a batch are done")
	fs.StringVar(&b.report, "report", "", "write the results of a batch to `FILE` (.csv or .ndjson), not to standard output")
	fs.StringVar(&b.nameColumn, "name-column", "", "name the files of a batch after the values in `COLUMN` (default: after the licenses)")
	fs.Var(&b.format, "format", "print the results of a batch as ndjson or csv")
}

// serverJobs is how many licenses a server is asked for at once.
const serverJobs = 8

// generateBatch issues a license for each row of a file.
func (a *app) generateBatch(ctx context.Context, o *licenseOptions, defaults api.LicenseRequest) error {
	b := &o.batch
	if o.out == "" {
		return usagef("--batch needs --out, the folder for the licenses")
	}
	if b.jobs < 0 {
		return usagef("--jobs %d is negative", b.jobs)
	}
	if err := o.readBatchPassphrase(a, &defaults); err != nil {
		return err
	}
	rows, closeRows, err := b.rows(a, licensebatch.Reading{Defaults: defaults, NameColumn: b.nameColumn})
	if err != nil {
		return err
	}
	defer closeRows()
	results, err := b.results(a)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return errors.Join(fmt.Errorf("make the output folder: %w", err), results.close())
	}
	sum, err := a.runLicenseBatch(ctx, o, rows, results)
	return errors.Join(err, results.close(), a.batchEnd(sum, err))
}

// runLicenseBatch puts together what a batch needs, and runs it.
func (a *app) runLicenseBatch(ctx context.Context, o *licenseOptions, rows iter.Seq2[licensebatch.Row, error], results *resultWriter) (licensebatch.Summary, error) {
	var none licensebatch.Summary
	d, closeAll, err := a.openIssuingDesk(ctx, &o.server)
	if err != nil {
		return none, err
	}
	defer closeAll()
	batch := licensebatch.Batch{Issuer: d, Out: o.out, Jobs: o.batch.jobs, Fatal: endsBatch}
	if batch.Jobs == 0 {
		batch.Jobs = runtime.GOMAXPROCS(0)
		if o.server.address() != "" {
			batch.Jobs = serverJobs
		}
	}
	if o.batch.journal != "" {
		if batch.Journal, err = licensebatch.OpenJournal(o.batch.journal); err != nil {
			return none, err
		}
		defer batch.Journal.Close()
	}
	return batch.Run(ctx, rows, func(r licensebatch.Result) error {
		if r.Result == licensebatch.Failed {
			fmt.Fprintf(a.err, "lcp: row %d: %s\n", r.Row, r.Error)
		}
		return results.write(r)
	})
}

// endsBatch reports whether after an error of one row all others would fail, too.
func endsBatch(err error) bool {
	var refused *client.Error
	return errors.Is(err, client.ErrUnreachable) ||
		errors.As(err, &refused) && (refused.Status == 401 || refused.Status == 403)
}

// batchEnd tells how it went, and makes the exit code of it.
func (a *app) batchEnd(sum licensebatch.Summary, err error) error {
	if err == nil || sum != (licensebatch.Summary{}) {
		a.notef("%d licenses issued, %d kept from an earlier run, %d rows failed", sum.Done, sum.Kept, sum.Failed)
	}
	switch {
	case err != nil || sum.Failed == 0:
		return nil // the error, if any, decides
	case sum.Done+sum.Kept == 0:
		return errReported
	default:
		return errSomeFailed
	}
}

// readBatchPassphrase takes a passphrase for all rows that have none. Nobody is
// asked for it at a prompt: rows may have their own.
func (o *licenseOptions) readBatchPassphrase(a *app, r *api.LicenseRequest) error {
	_, inEnvironment := os.LookupEnv("LCP_PASSPHRASE")
	if o.passphraseFile == "" && o.passHashFile == "" && !inEnvironment {
		return nil
	}
	return o.readPassphrase(a, r)
}

// rows opens the file of the batch. The caller calls closeFile.
func (b *batchOptions) rows(a *app, reading licensebatch.Reading) (rows iter.Seq2[licensebatch.Row, error], closeFile func(), err error) {
	read := reading.NDJSON
	switch filepath.Ext(b.file) {
	case ".csv":
		read = reading.CSV
	case ".ndjson", ".jsonl":
	default:
		if b.file == "-" {
			return read(a.in), func() {}, nil
		}
		return nil, nil, usagef("--batch %q must end in .csv or .ndjson", b.file)
	}
	f, err := os.Open(b.file)
	if err != nil {
		return nil, nil, err
	}
	return b.named(read(f)), func() { f.Close() }, nil
}

// named puts the name of the file before errors of reading it.
func (b *batchOptions) named(rows iter.Seq2[licensebatch.Row, error]) iter.Seq2[licensebatch.Row, error] {
	return func(yield func(licensebatch.Row, error) bool) {
		for row, err := range rows {
			if err != nil {
				err = fmt.Errorf("%s: %w", b.file, err)
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// results opens what the results are written to.
func (b *batchOptions) results(a *app) (*resultWriter, error) {
	if b.report == "" {
		return newResultWriter(a.out, io.NopCloser(nil), b.format.value), nil
	}
	format := formatNDJSON
	switch filepath.Ext(b.report) {
	case ".csv":
		format = formatCSV
	case ".ndjson", ".jsonl":
	default:
		return nil, usagef("--report %q must end in .csv or .ndjson", b.report)
	}
	f, err := os.Create(b.report)
	if err != nil {
		return nil, fmt.Errorf("write the report: %w", err)
	}
	return newResultWriter(f, f, format), nil
}

// A resultWriter prints the results of a batch as they come.
type resultWriter struct {
	out    io.Writer
	closer io.Closer
	csv    *csv.Writer // nil for NDJSON
}

func newResultWriter(out io.Writer, closer io.Closer, format string) *resultWriter {
	w := &resultWriter{out: out, closer: closer}
	if format == formatCSV {
		w.csv = csv.NewWriter(out)
		_ = w.csv.Write([]string{"row", "result", "license_id", "file", "error"}) // Flush tells
	}
	return w
}

func (w *resultWriter) write(r licensebatch.Result) error {
	if w.csv == nil {
		return encodeJSON(w.out, r, "")
	}
	_ = w.csv.Write([]string{strconv.Itoa(r.Row), r.Result, r.LicenseID, r.File, r.Error}) // Flush tells
	w.csv.Flush()
	return w.csv.Error()
}

func (w *resultWriter) close() error {
	if w.csv != nil {
		w.csv.Flush()
		if err := w.csv.Error(); err != nil {
			return errors.Join(err, w.closer.Close())
		}
	}
	return w.closer.Close()
}
