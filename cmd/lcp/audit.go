package main

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/store"
)

// auditPage is how many entries are read at a time.
const auditPage = 500

// listedAct is an entry of the audit log as lcp audit prints it.
type listedAct struct {
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	Action string    `json:"action"`
	Target string    `json:"target,omitempty"`
	Detail string    `json:"detail,omitempty"`
}

func newAuditCommand(a *app) *cobra.Command {
	options := newListOptions()
	var filter store.AuditFilter
	var since, before dateFlag
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List what administrators have done",
		Long: `List what administrators have done, at the command line or over HTTP, newest first:
when, who, what, and to which publication, license, user, provider or key.`,
		Example: `  lcp audit --limit 20
  lcp audit --actor shop --since 2031-01-01 --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			filter.From, filter.Before = since.Time, before.Time
			return a.withStore(ctx, func(s *store.Store) error {
				return printList(a, options, acts(ctx, s, filter), []string{"AT", "ACTOR", "ACTION", "TARGET", "DETAIL"},
					func(e listedAct) []string {
						return []string{e.At.Format(time.RFC3339), e.Actor, e.Action, cmp.Or(e.Target, "-"), e.Detail}
					})
			})
		},
	}
	cmd.Flags().StringVar(&filter.Actor, "actor", "", "list what the user or key `NAME` did")
	cmd.Flags().StringVar(&filter.Target, "target", "", "list what was done to `ID`")
	cmd.Flags().Var(&since, "since", "list what was done on this `DATE` (2031-12-31, or RFC 3339) or later")
	cmd.Flags().Var(&before, "before", "list what was done before this `DATE`")
	options.addFlags(cmd.Flags())
	return cmd
}

// A dateFlag is a day or an instant; none if it is not given.
type dateFlag struct{ time.Time }

// Set implements pflag.Value.
func (f *dateFlag) Set(text string) error {
	t, err := parseDate(text)
	if err != nil {
		return errors.New("not a date, as in 2030-01-31 or 2030-01-31T12:00:00Z")
	}
	f.Time = t
	return nil
}

// Type implements pflag.Value.
func (*dateFlag) Type() string { return "date" }

// String implements pflag.Value.
func (f *dateFlag) String() string {
	if f.IsZero() {
		return ""
	}
	return f.Format(time.RFC3339)
}

// acts reads the audit log page by page.
func acts(ctx context.Context, s *store.Store, f store.AuditFilter) iter.Seq2[listedAct, error] {
	return func(yield func(listedAct, error) bool) {
		page := store.Page{Limit: auditPage}
		for {
			entries, next, err := s.AuditLog(ctx, f, page)
			if err != nil {
				yield(listedAct{}, err)
				return
			}
			for _, e := range entries {
				if !yield(listedAct(e), nil) {
					return
				}
			}
			if next == 0 {
				return
			}
			page.After = next
		}
	}
}
