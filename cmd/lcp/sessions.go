package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/metering"
)

// formatTSV is that of COUNTER reports for people.
const formatTSV = "tsv"

func newSessionsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "Report reading sessions, and close what was billed",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newSessionsReportCommand(a), newSessionsCloseCommand(a), newSessionsEraseCommand(a))
	return cmd
}

// reportOptions are the flags of lcp sessions report.
type reportOptions struct {
	period  api.Period
	counter bool
	format  formatFlag
}

func newSessionsReportCommand(a *app) *cobra.Command {
	var server serverFlags
	o := reportOptions{format: formatFlag{value: formatTable, allowed: []string{formatTable, formatCSV, formatTSV, formatJSON}}}
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Report what is billed",
		Long: `Report what is billed, by license key and month, and by origin and publication if
that is asked for. A row that adjusts a month is billed now for a month that was
closed already. With --counter it is the report TR_B1 of COUNTER Release 5.1 for the
holder of a license key, from events, which are kept for a time.`,
		Example: `  lcp sessions report --from 2030-01 --to 2030-02 --group-by origin,publication --format csv
  lcp sessions report --from 2030-01 --to 2030-12 --license-key rs_… --counter --format tsv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withBilling(cmd.Context(), &server, func(d billingDesk) error { return a.reportSessions(cmd.Context(), d, o) })
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&o.period.From, "from", "", "first `MONTH`, as in 2030-01 (default: the present one)")
	fs.StringVar(&o.period.To, "to", "", "last `MONTH`")
	fs.StringVar(&o.period.GroupBy, "group-by", "", "origin, publication, month, or several of them")
	fs.StringVar(&o.period.LicenseKey, "license-key", "", "only this license key")
	fs.BoolVar(&o.counter, "counter", false, "report title use as COUNTER wants it")
	fs.Var(&o.format, "format", "print a table, csv, tsv (with --counter) or json")
	server.addFlags(fs)
	return cmd
}

func (a *app) reportSessions(ctx context.Context, d billingDesk, o reportOptions) error {
	if o.counter {
		return a.reportTitles(ctx, d, o)
	}
	if o.format.value == formatTSV {
		return usagef("--format tsv goes with --counter")
	}
	rows, err := d.Usage(ctx, o.period)
	if err != nil {
		return err
	}
	if o.format.value == formatCSV {
		return metering.WriteCSV(a.out, rows)
	}
	header := []string{
		"LICENSE KEY", "CUSTOMER", "MONTH", "ADJUSTS", "ORIGIN GROUP", "PUBLICATION", "CLOSED",
		"STARTED", "CONTINUED", "OFFLINE", "BLOCKED", "HELD", "UNBILLED", "USERS", "SECONDS", "BILLABLE",
	}
	return printAll(a, o.format.value, rows, header, func(r metering.Row) []string {
		cells := r.Cells()
		for i := range cells {
			if cells[i] = plain(cells[i]); cells[i] == "" {
				cells[i] = "-"
			}
		}
		return cells
	})
}

func (a *app) reportTitles(ctx context.Context, d billingDesk, o reportOptions) error {
	r, err := d.TitleReport(ctx, o.period)
	if err != nil {
		return err
	}
	switch o.format.value {
	case formatJSON:
		return encodeJSON(a.out, r, "  ")
	case formatCSV:
		return r.WriteTSV(a.out, ',')
	default:
		return r.WriteTSV(a.out, '\t')
	}
}

func newSessionsCloseCommand(a *app) *cobra.Command {
	var server serverFlags
	var key string
	cmd := &cobra.Command{
		Use:   "close MONTH",
		Short: "Close a month, and all before it",
		Long: `Close a month, and all before it: its figures stay as they are. What is reported
later is billed as an adjustment in the month in which it comes.`,
		Example: `  lcp sessions close 2030-01`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBilling(cmd.Context(), &server, func(d billingDesk) error {
				closed, err := d.CloseMonth(cmd.Context(), api.Closing{LicenseKey: key, Month: args[0]})
				if err != nil {
					return err
				}
				a.notef("%s is closed; it was still open for %d license keys", closed.Month, len(closed.Closed))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&key, "license-key", "", "only for this license key")
	server.addFlags(cmd.Flags())
	return cmd
}

func newSessionsEraseCommand(a *app) *cobra.Command {
	var server serverFlags
	var file string
	cmd := &cobra.Command{
		Use:   "erase KEY",
		Short: "Forget a reader",
		Long: `Forget a reader: the hash of the user token, and the reading sessions. Events lose
what could link them to the token; figures stay as they are.`,
		Example: `  lcp sessions erase rs_… --user-token-file token.txt`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return usagef("--user-token-file is needed")
			}
			token, err := readSecretFile(file)
			if err != nil {
				return fmt.Errorf("read the user token: %w", err)
			}
			return a.withBilling(cmd.Context(), &server, func(d billingDesk) error {
				e, err := d.EraseUser(cmd.Context(), args[0], api.Erasure{UserToken: token})
				if err == nil && !e.Erased {
					err = errors.New("there is no reader of that token")
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&file, "user-token-file", "", "read the user token from `FILE`")
	server.addFlags(cmd.Flags())
	return cmd
}
