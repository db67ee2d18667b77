package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/relocation"
)

// relocateOptions are the flags of lcp storage relocate.
type relocateOptions struct {
	from, to string
	check    bool
	apply    bool
	jobs     int
	server   serverFlags
	format   formatFlag
}

func newStorageCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "storage",
		Short: "See to where publications are stored",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newRelocateCommand(a))
	return cmd
}

func newRelocateCommand(a *app) *cobra.Command {
	o := relocateOptions{format: formatFlag{allowed: []string{formatText, formatTable, formatJSON, formatNDJSON}}}
	cmd := &cobra.Command{
		Use:   "relocate OLD NEW",
		Short: "Have records follow publications that have moved",
		Long: `Rewrite the addresses of registered publications, and of their covers, that are under
OLD: they will be under NEW, with the same rest. The files themselves you move before.
Works on the local store or, with --server (or LCP_SERVER), on a license server.

Without --apply nothing is changed, and each record that would be is printed. What has
moved already is left alone, so that a run that was interrupted is simply started again.
If NEW is below OLD, what is registered there counts as moved.

Licenses for a publication that moves count as updated, so that reading apps fetch them
again; until they do, they go to OLD. Keep that for as long as your licenses live, or
have it lead to NEW.`,
		Example: `  lcp storage relocate https://old.example.com/books https://cdn.example.com/books --check
  lcp storage relocate https://old.example.com/books https://cdn.example.com/books --apply`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.from, o.to = args[0], args[1]
			return a.relocate(cmd.Context(), o)
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&o.apply, "apply", false, "change the records")
	fs.BoolVar(&o.check, "check", false, "leave a record alone unless what is registered is at the new address, in the right size")
	fs.IntVar(&o.jobs, "jobs", 4, "work on `N` records at once")
	o.server.addFlags(fs)
	fs.Var(&o.format, "format", "print moves as text, table, json or ndjson (default: text on a terminal, else ndjson)")
	return cmd
}

// checkTimeout is how long a server may take to say whether it has a file.
const checkTimeout = 30 * time.Second

func (a *app) relocate(ctx context.Context, o relocateOptions) error {
	r := relocation.Relocation{From: o.from, To: o.to, Apply: o.apply, Jobs: o.jobs}
	if err := r.Validate(); err != nil {
		return &usageError{err}
	}
	if o.jobs < 1 {
		return usagef("--jobs %d is less than one", o.jobs)
	}
	if o.check {
		r.Check = &http.Client{Timeout: checkTimeout}
	}
	d, closeAll, err := a.openDesk(ctx, &o.server)
	if err != nil {
		return err
	}
	defer closeAll()
	r.Records = d
	return a.runRelocation(ctx, &o, &r)
}

// runRelocation prints each move.
func (a *app) runRelocation(ctx context.Context, o *relocateOptions, r *relocation.Relocation) error {
	out := &recordWriter{
		out: a.out, format: a.recordFormat(o.format.value), header: []string{"UUID", "FROM", "TO"},
		row: func(m any) []string {
			move := m.(relocation.Move)
			if move.From == "" {
				return []string{move.UUID, plain(move.CoverFrom), plain(move.CoverTo)}
			}
			return []string{move.UUID, plain(move.From), plain(move.To)}
		},
	}
	var mu sync.Mutex
	var outErr error
	moves, failed := 0, 0
	err := r.Run(ctx, func(m relocation.Move) {
		mu.Lock()
		defer mu.Unlock()
		if moves++; m.Error != "" {
			failed++
			fmt.Fprintf(a.err, "lcp: %s: %s\n", m.UUID, plain(m.Error))
		}
		if outErr == nil {
			outErr = out.write(m)
		}
	})
	if outErr = errors.Join(outErr, out.close()); outErr != nil {
		return fmt.Errorf("print the moves: %w", outErr)
	}
	if err != nil {
		return err
	}
	if o.apply {
		a.notef("%d moved", moves-failed)
	} else {
		a.notef("%d would move: nothing is changed without --apply", moves-failed)
	}
	return a.ending(moves, moves, failed)
}
