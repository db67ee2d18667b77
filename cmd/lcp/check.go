package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/conformance"
)

// checkOptions are the flags of lcp check.
type checkOptions struct {
	licenseFile    string
	passphraseFile string
	rootFile       string
	offline        bool
	format         formatFlag
}

func newCheckCommand(a *app) *cobra.Command {
	o := checkOptions{format: formatFlag{value: formatText, allowed: []string{formatText, formatTable, formatJSON, formatNDJSON}}}
	cmd := &cobra.Command{
		Use:   "check LICENSE|PUBLICATION|URL...",
		Short: "Find out why a reading app refuses a license or a publication",
		Long: `Hold licenses, status documents and protected publications against the
specifications of Readium LCP, and tell of each fault where it is, what the
specification says and what to do.

The links of a license are followed as a reading app follows them: to its status
document, the fresh license, the hint page and the publication, which is
downloaded, held against the hash in the license and checked. They lead where the
author of the license wants: --offline follows none. With the passphrase, content
key and user data are decrypted, and every resource of the publication is. No
device is registered, and nothing is changed.

Errors make the exit code 1, or 3 where other targets have none.`,
		Example: `  lcp check book.lcpl --passphrase-file p
  lcp check shelf/ID.epub --license book.lcpl --passphrase-file p --offline
  lcp check https://lcp.example.com/status/ID --root edrlab-root.pem`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.check(cmd.Context(), args, o)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&o.licenseFile, "license", "", "check publications with the license in `FILE`, not the one within them")
	fs.StringVar(&o.passphraseFile, "passphrase-file", "", "read the licenses' passphrase from `FILE` (else LCP_PASSPHRASE; without, nothing is decrypted)")
	fs.StringVar(&o.rootFile, "root", "", "verify that certificates were issued under the root certificate in `FILE` (PEM)")
	fs.BoolVar(&o.offline, "offline", false, "follow no link")
	fs.Var(&o.format, "format", "print text, table, json or ndjson")
	return cmd
}

func (a *app) check(ctx context.Context, targets []string, o checkOptions) error {
	checker, closeProfiles, err := a.checker(o)
	if err != nil {
		return err
	}
	defer closeProfiles()
	for _, target := range targets {
		if o.offline && catalogue.IsURL(target) {
			return usagef("--offline fetches nothing, and %s is a URL", target)
		}
	}
	out := checksOut(a.out, o.format.value)
	done, failed := 0, 0
	for _, target := range targets {
		report := checker.Check(ctx, target)
		if ctx.Err() != nil {
			break
		}
		if done++; report.Errors > 0 {
			failed++
		}
		if err := out.write(report); err != nil {
			return fmt.Errorf("print the findings: %w", err)
		}
	}
	if err := out.close(); err != nil {
		return fmt.Errorf("print the findings: %w", err)
	}
	return a.ending(len(targets), done, failed)
}

// answerTimeout is how long a server may take to begin to answer.
const answerTimeout = 30 * time.Second

// checker puts together what the flags ask for. The caller calls closeProfiles.
func (a *app) checker(o checkOptions) (c *conformance.Checker, closeProfiles func(), err error) {
	c, closeProfiles = &conformance.Checker{Now: time.Now}, func() {}
	if !o.offline {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.ResponseHeaderTimeout = answerTimeout
		c.HTTP = &http.Client{Transport: transport}
	}
	if o.rootFile != "" {
		roots, err := certificate.Read(o.rootFile)
		if err != nil {
			return nil, nil, err
		}
		c.Roots = x509.NewCertPool()
		for _, root := range roots {
			c.Roots.AddCert(root)
		}
	}
	if o.licenseFile != "" {
		if c.License, err = readLicenseFile(o.licenseFile); err != nil {
			return nil, nil, err
		}
	}
	if o.passphraseFile == "" && os.Getenv("LCP_PASSPHRASE") == "" {
		return c, closeProfiles, nil
	}
	hash, err := a.passphrase(o.passphraseFile)
	if err != nil {
		return nil, nil, err
	}
	cfg, err := a.config()
	if err != nil {
		return nil, nil, err
	}
	c.Hash = &hash
	profiles, closeProfiles, err := a.profiles(cfg)
	c.Profiles = profiles
	return c, closeProfiles, err
}

// A checkWriter prints reports: as records, or for people.
type checkWriter struct{ recordWriter }

func checksOut(w io.Writer, format string) *checkWriter {
	return &checkWriter{recordWriter{
		out: w, format: format, header: []string{"TARGET", "SEVERITY", "SUBJECT", "PLACE", "FINDING", "CLAUSE"},
		row: func(r any) []string { return r.([]string) },
	}}
}

// write prints one report. A table has a row for each finding.
func (w *checkWriter) write(r conformance.Report) error {
	switch w.format {
	case formatText:
		_, err := io.WriteString(w.out, reportText(r))
		return err
	case formatTable:
		for _, f := range r.Findings {
			row := []string{r.Target, string(f.Severity), f.Subject, f.Place, f.Message, f.Clause}
			for i := range row {
				row[i] = plain(row[i])
			}
			if err := w.recordWriter.write(row); err != nil {
				return err
			}
		}
		return nil
	default:
		return w.recordWriter.write(r)
	}
}

// reportText writes a report for people: a line for the target, and below it one
// for each finding, with what to do under faults.
func reportText(r conformance.Report) string {
	var b strings.Builder
	kind := r.Kind
	if kind != "" {
		kind += ": "
	}
	fmt.Fprintf(&b, "%s: %s%s, %s\n", plain(r.Target), kind, counted(r.Errors, "error"), counted(r.Warnings, "warning"))
	for _, f := range r.Findings {
		where := f.Place
		if f.Subject != r.Kind {
			where = strings.Trim(f.Subject+" "+f.Place, " ")
		}
		if where != "" {
			where += ": "
		}
		clause := f.Clause
		if clause != "" {
			clause = " (" + clause + ")"
		}
		fmt.Fprintf(&b, "  %-7s  %s%s%s\n", f.Severity, plain(where), plain(f.Message), clause)
		if f.Remedy != "" && f.Severity != conformance.Info {
			fmt.Fprintf(&b, "           %s\n", plain(f.Remedy))
		}
	}
	return b.String()
}

func counted(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	default:
		return fmt.Sprintf("%d %ss", n, what)
	}
}
