package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/legacy"
	"github.com/lcp-tools/lcp/pkg/store"
)

// importOptions are the flags of lcp import.
type importOptions struct {
	from       string // DSN
	statusFrom string // DSN
	baseURL    string
	dryRun     bool
	format     formatFlag
}

func newImportCommand(a *app) *cobra.Command {
	o := importOptions{format: formatFlag{allowed: []string{formatText, formatTable, formatJSON, formatNDJSON}}}
	cmd := &cobra.Command{
		Use:   "import [DSN]",
		Short: "Bring the records of another license server over",
		Long: `Bring publications with their content keys, licenses with their status, and their
events over from the database of another license server to the local store: the one
that lcp serve works on with the same configuration. It can be that of

  the LCP Server v2,
  the Readium LCP Server v1, whose status server may have a database of its own,

in SQLite (a file that is there, sqlite3://…), PostgreSQL (postgres://…) or MySQL and
MariaDB (mysql://…). It is only read, and the other server can be at work meanwhile.
DSN, which may have a password in it, can be given as LCP_IMPORT_FROM instead, and that
of --status-from as LCP_IMPORT_STATUS_FROM.

Run it beforehand, and again when the other server has been stopped: records that are
here already are left alone unless the other server has changed them since. A record
that was changed last here stays as it is. Each record that could not be brought over,
or not all of it, is printed with the reason.

The encryption profile is not in those databases: licenses get license.profile of the
configuration.`,
		Example: `  lcp import sqlite3:///var/lib/lcpserver/lcp.sqlite --dry-run
  # with LCP_IMPORT_FROM and LCP_IMPORT_STATUS_FROM, which may have passwords in them
  lcp import --url https://lcp.example.com/contents`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.from = strings.Join(args, "")
			return a.importRecords(cmd.Context(), o)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&o.statusFrom, "status-from", "", "the status server of a Readium LCP Server v1 has the database `DSN` (default: the same)")
	fs.StringVar(&o.baseURL, "url", "", "licenses will point to `BASE`/ID for publications that a Readium LCP Server v1 stored itself")
	fs.BoolVar(&o.dryRun, "dry-run", false, "bring nothing over, only say what would be")
	fs.Var(&o.format, "format", "print records as text, table, json or ndjson (default: text on a terminal, else ndjson)")
	return cmd
}

func (a *app) importRecords(ctx context.Context, o importOptions) error {
	o.from = cmp.Or(o.from, os.Getenv("LCP_IMPORT_FROM"))
	o.statusFrom = cmp.Or(o.statusFrom, os.Getenv("LCP_IMPORT_STATUS_FROM"))
	if o.from == "" {
		return usagef("the database to import from is missing: name it, or set LCP_IMPORT_FROM")
	}
	if o.baseURL != "" {
		if _, err := blob.ParseBase(o.baseURL); err != nil {
			return usagef("--url: %w", err)
		}
	}
	source, closeSource, err := openImport(ctx, o)
	if err != nil {
		return err
	}
	defer closeSource()
	publications, licenses, err := source.Count(ctx)
	if err != nil {
		return err
	}
	c, err := a.config()
	if err != nil {
		return err
	}
	profiles, closeHelper, err := a.profiles(c)
	if err != nil {
		return err
	}
	defer closeHelper()
	records, err := a.openStoreWith(ctx, c, store.Options{Migrate: true, Bulk: true})
	if err != nil {
		return err
	}
	defer records.Close()
	a.notef("%s: %d publications, %d licenses", source, publications, licenses)
	show := importProgress{out: a.err, bar: isTerminal(a.err), quiet: a.quiet, total: publications + licenses, began: time.Now()}
	return a.runImport(&o, &show, func(each func(legacy.Record) error) (legacy.Summary, error) {
		im := legacy.Import{
			Source: source, Store: records, BaseURL: o.baseURL, DryRun: o.dryRun, Each: each, Progress: show.update,
			Profile: func() (string, error) { return profiles.Choose(c.License.Profile) },
		}
		return im.Run(ctx)
	})
}

// openImport opens what to import from. The caller calls closeAll.
func openImport(ctx context.Context, o importOptions) (s *legacy.Source, closeAll func(), err error) {
	records, err := store.OpenForeign(ctx, o.from)
	if err != nil {
		return nil, nil, err
	}
	var status *store.Foreign
	closeAll = func() {
		records.Close()
		if status != nil {
			status.Close()
		}
	}
	if o.statusFrom != "" {
		if status, err = store.OpenForeign(ctx, o.statusFrom); err != nil {
			closeAll()
			return nil, nil, fmt.Errorf("--status-from: %w", err)
		}
	}
	if s, err = legacy.Open(ctx, records, status); err != nil {
		closeAll()
		return nil, nil, err
	}
	return s, closeAll, nil
}

// runImport prints the records that are told of, and how it went.
func (a *app) runImport(o *importOptions, show *importProgress, run func(each func(legacy.Record) error) (legacy.Summary, error)) error {
	out := &recordWriter{
		out: a.out, format: a.recordFormat(o.format.value), header: []string{"TYPE", "ID", "RESULT", "REASON"},
		row: func(r any) []string {
			record := r.(legacy.Record)
			return []string{record.Type, plain(record.ID), record.Result, plain(cmp.Or(record.Error, strings.Join(record.Lost, "; ")))}
		},
	}
	sum, err := run(func(r legacy.Record) error {
		show.clear()
		return out.write(r)
	})
	show.clear()
	if outErr := out.close(); outErr != nil {
		return errors.Join(fmt.Errorf("print the records: %w", outErr), err)
	}
	a.importEnd(o, sum)
	if err != nil {
		return err
	}
	failed := sum.Publications.Failed + sum.Licenses.Failed
	switch {
	case failed > 0 && sum.Publications.Done()+sum.Licenses.Done() == 0:
		return errReported
	case failed+sum.Licenses.Incomplete > 0:
		return errSomeFailed
	default:
		return nil
	}
}

// importEnd tells how it went, and what is left to do.
func (a *app) importEnd(o *importOptions, sum legacy.Summary) {
	a.notef("publications: %s", tallyText(sum.Publications))
	a.notef("licenses: %s", tallyText(sum.Licenses))
	for _, note := range []struct {
		n    int64
		text string
	}{
		{sum.Unaddressed, "publications have no address, so that no license can be issued for them: tell where they are with --url, or lcp publications update ID --href"},
		{sum.Unmeasured, "publications have no size or no checksum, so that no license can be issued for them: lcp publications update ID --size --checksum"},
		{sum.Untitled, "publications have no title, which their licenses do not need: lcp publications update ID --title"},
		{sum.Unseen, "licenses are not known to the status server, and count as ready"},
		{sum.Recounted, "licenses had another number of devices than were registered: those that were registered count here"},
	} {
		if note.n > 0 {
			a.notef("%d %s", note.n, note.text)
		}
	}
	if o.dryRun {
		a.notef("nothing was brought over: it was a dry run")
	}
}

// tallyText tells how many records became what.
func tallyText(t legacy.Tally) string {
	var parts []string
	for _, p := range []struct {
		n    int64
		text string
	}{
		{t.Created, "new"},
		{t.Updated, "updated"},
		{t.Unchanged, "unchanged"},
		{t.Kept, "kept as changed here"},
		{t.Gone, "left out as deleted there"},
		{t.Failed, "failed"},
		{t.Incomplete, "of them not whole"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.text))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// importProgress shows how far an import has come: on a terminal in one line that
// changes, elsewhere in a line now and then.
type importProgress struct {
	out   io.Writer
	bar   bool
	quiet bool
	total int64
	began time.Time
	told  time.Time
	shown bool // there is a line on the terminal
}

// progressEvery is how often a line is printed, and a line on a terminal changed.
const (
	progressEvery = 10 * time.Second
	repaintEvery  = 200 * time.Millisecond
)

func (p *importProgress) update(sum legacy.Summary) {
	every := progressEvery
	if p.bar {
		every = repaintEvery
	}
	now := time.Now()
	if p.quiet || now.Sub(p.told) < every || p.told.IsZero() && now.Sub(p.began) < every {
		return
	}
	p.told = now
	done := sum.Publications.All() + sum.Licenses.All()
	text := fmt.Sprintf("%d of %d records, %.0f a second", done, p.total, float64(done)/now.Sub(p.began).Seconds())
	if p.bar {
		fmt.Fprint(p.out, "\r\x1b[K"+text)
		p.shown = true
		return
	}
	fmt.Fprintln(p.out, "lcp:", text)
}

// clear takes the line off the terminal.
func (p *importProgress) clear() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}
