package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lcp-tools/lcp/pkg/api"
)

func newLicenseGenerateCommand(a *app) *cobra.Command {
	o := licenseOptions{batch: batchOptions{format: formatFlag{value: formatNDJSON, allowed: []string{formatNDJSON, formatCSV}}}}
	link, key := false, ""
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Issue new licenses",
		Long: `Issue a new license for a publication, to a user with a passphrase. The license
opens the publication in any reading app that accepts the provider's certificate.

With --batch, issue one license for each row of a file: .csv, whose first line names
the columns, or .ndjson, one JSON object a line; - is NDJSON from standard input.
Columns and members are the fields of a license request (publication_id or alt_id,
user_id, user_name, user_email, user_encrypted, start, end, copy, print, profile,
text_hint, pass_hash) and passphrase, which is hashed as soon as it is read. What a
row does not say is taken from the flags. The licenses end up as ID.lcpl in the
folder --out, or under the names in --name-column; for every row there is a result
on standard output, or in --report. When some rows fail, the others are done and
the exit code is 3.

A run with --journal that ended early, even by a crash, goes on where it was when
it is started again: no row gets a second license.`,
		Example: `  lcp license generate --publication ID --user u1 --passphrase-file p --hint "Your library card" --out book.lcpl
  lcp license generate --json request.json --out book.lcpl
  lcp license generate --batch loans.csv --hint "Your library card" --journal loans.journal --out licenses`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.checkBatch(cmd.Flags()); err != nil {
				return err
			}
			r, err := o.merged(a, cmd.Flags())
			if err != nil {
				return err
			}
			if o.batch.file != "" {
				return a.generateBatch(cmd.Context(), &o, r)
			}
			if err := o.readPassphrase(a, &r); err != nil {
				return err
			}
			if link {
				return a.generateLink(cmd.Context(), &o, r, key)
			}
			return a.generate(cmd.Context(), &o, r, key)
		},
	}
	fs := cmd.Flags()
	o.addUserFlags(fs)
	o.addRightsFlags(fs)
	o.addOutFlag(fs)
	o.batch.addFlags(fs)
	fs.BoolVar(&link, "link", false, "print a link to the license, not the license (with --server)")
	fs.StringVar(&key, "idempotency-key", "", "issue one license for `KEY`, such as the number of an order, however often it is asked for")
	o.server.addIssueFlags(fs)
	return cmd
}

// checkBatch refuses flags that mean nothing without --batch, or with it.
func (o *licenseOptions) checkBatch(fs *pflag.FlagSet) error {
	names, reason := []string{"jobs", "journal", "report", "name-column", "format"}, "is for --batch"
	if o.batch.file != "" {
		names, reason = []string{"json", "link", "idempotency-key"}, "and --batch exclude one another"
	}
	for _, name := range names {
		if fs.Changed(name) {
			return usagef("--%s %s", name, reason)
		}
	}
	if fs.Changed("link") && fs.Changed("out") {
		return usagef("--link and --out exclude one another")
	}
	return nil
}

func (a *app) generate(ctx context.Context, o *licenseOptions, r api.LicenseRequest, key string) error {
	d, closeAll, err := a.openIssuingDesk(ctx, &o.server)
	if err != nil {
		return err
	}
	defer closeAll()
	doc, err := d.GenerateLicense(ctx, r, key)
	if err != nil {
		return issueError(err)
	}
	return a.writeLicense(doc, o.out)
}

// generateLink has a license server say where the license can be had.
func (a *app) generateLink(ctx context.Context, o *licenseOptions, r api.LicenseRequest, key string) error {
	if o.server.address() == "" {
		return usagef("--link is for --server: the local store serves nothing")
	}
	c, err := o.server.client()
	if err != nil {
		return err
	}
	link, err := c.GenerateLicenseLink(ctx, r, key)
	if err != nil {
		return issueError(err)
	}
	_, err = fmt.Fprintln(a.out, link)
	return err
}
