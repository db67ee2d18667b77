package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/licensing"
	"github.com/lcp-tools/lcp/pkg/protect"
)

func newLicenseCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "license", Short: "Issue licenses", Args: cobra.NoArgs}
	cmd.AddCommand(newLicenseGenerateCommand(a), newLicenseFreshCommand(a), newLicenseEmbedCommand(a))
	return cmd
}

// licenseOptions are the flags that describe a license.
type licenseOptions struct {
	request        api.LicenseRequest
	copy, print    int64
	start, end     string
	passphraseFile string
	passHashFile   string
	jsonFile       string
	out            string
}

// addUserFlags adds what a fresh license needs too.
func (o *licenseOptions) addUserFlags(fs *pflag.FlagSet) {
	r := &o.request
	fs.StringVar(&r.UserID, "user", "", "the `ID` of the user at the provider")
	fs.StringVar(&r.UserName, "user-name", "", "the `NAME` of the user")
	fs.StringVar(&r.UserEmail, "user-email", "", "the e-mail `ADDRESS` of the user")
	fs.StringSliceVar(&r.UserEncrypted, "encrypt", nil, "encrypt these `FIELDS` of the user: id, name, email")
	fs.StringVar(&r.Profile, "profile", "", "use the encryption profile `URI`")
	fs.StringVar(&r.TextHint, "hint", "", "the `TEXT` that reminds the user of the passphrase")
	fs.StringVar(&o.passphraseFile, "passphrase-file", "", "read the passphrase from `FILE` (else LCP_PASSPHRASE, or a prompt)")
	fs.StringVar(&o.passHashFile, "pass-hash-file", "", "read the SHA-256 of the passphrase, 64 hexadecimal digits, from `FILE`")
	fs.StringVar(&o.jsonFile, "json", "", "read the request from `FILE`, or - for standard input, as the License API takes it; flags go over it")
	fs.StringVarP(&o.out, "out", "o", "", "write the license to `FILE` (default: standard output)")
}

func (o *licenseOptions) addRightsFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.request.PublicationID, "publication", "", "the `ID` of the publication")
	fs.StringVar(&o.request.AltID, "alt-id", "", "the alternative `ID` of the publication")
	fs.StringVar(&o.start, "start", "", "rights begin at `DATE`, as in 2030-01-31 or 2030-01-31T12:00:00Z")
	fs.StringVar(&o.end, "end", "", "rights end at `DATE`")
	fs.Int64Var(&o.copy, "copy", 0, "at most `N` characters may be copied (default: no limit)")
	fs.Int64Var(&o.print, "print", 0, "at most `N` pages may be printed (default: no limit)")
}

func newLicenseGenerateCommand(a *app) *cobra.Command {
	var o licenseOptions
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Issue a new license",
		Long: `Issue a new license for a publication that was encrypted here, to a user with a
passphrase. The license opens the publication in any reading app that accepts the
provider's certificate.`,
		Example: `  lcp license generate --publication ID --user u1 --passphrase-file p --hint "Your library card" --out book.lcpl
  lcp license generate --json request.json --out book.lcpl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := o.merged(a, cmd.Flags())
			if err != nil {
				return err
			}
			return a.issue(cmd.Context(), o.out, func(ctx context.Context, s *licensing.Service) (*license.Document, error) {
				return s.Generate(ctx, r)
			})
		},
	}
	o.addUserFlags(cmd.Flags())
	o.addRightsFlags(cmd.Flags())
	return cmd
}

func newLicenseFreshCommand(a *app) *cobra.Command {
	var o licenseOptions
	cmd := &cobra.Command{
		Use:   "fresh LICENSE-ID",
		Short: "Issue a license again, as it stands now",
		Long: `Issue an existing license again, with its present rights and the publication as
it is now. The user's data and passphrase are not kept, so they are given again.`,
		Example: `  lcp license fresh ID --user u1 --passphrase-file p --hint "Your library card" --out book.lcpl`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := o.merged(a, cmd.Flags())
			if err != nil {
				return err
			}
			return a.issue(cmd.Context(), o.out, func(ctx context.Context, s *licensing.Service) (*license.Document, error) {
				return s.Fresh(ctx, args[0], r)
			})
		},
	}
	o.addUserFlags(cmd.Flags())
	return cmd
}

// merged is the request of --json with the flags that were given over it.
func (o *licenseOptions) merged(a *app, flags *pflag.FlagSet) (api.LicenseRequest, error) {
	r := o.request
	if o.jsonFile != "" {
		var err error
		if r, err = o.fromJSON(a); err != nil {
			return r, err
		}
		o.override(&r, flags)
	}
	if flags.Changed("copy") {
		r.Copy = &o.copy
	}
	if flags.Changed("print") {
		r.Print = &o.print
	}
	for _, d := range []struct {
		flag, text string
		target     **time.Time
	}{{"start", o.start, &r.Start}, {"end", o.end, &r.End}} {
		if d.text == "" {
			continue
		}
		t, err := parseDate(d.text)
		if err != nil {
			return r, usagef("--%s %q is not a date, as in 2030-01-31 or 2030-01-31T12:00:00Z", d.flag, d.text)
		}
		*d.target = &t
	}
	return r, o.readPassphrase(a, &r)
}

// override puts the flags that were given over the request.
func (o *licenseOptions) override(r *api.LicenseRequest, flags *pflag.FlagSet) {
	for flag, field := range map[string]struct{ to, from *string }{
		"user": {&r.UserID, &o.request.UserID}, "user-name": {&r.UserName, &o.request.UserName},
		"user-email": {&r.UserEmail, &o.request.UserEmail}, "profile": {&r.Profile, &o.request.Profile},
		"hint": {&r.TextHint, &o.request.TextHint}, "publication": {&r.PublicationID, &o.request.PublicationID},
		"alt-id": {&r.AltID, &o.request.AltID},
	} {
		if flags.Changed(flag) {
			*field.to = *field.from
		}
	}
	if flags.Changed("encrypt") {
		r.UserEncrypted = o.request.UserEncrypted
	}
}

func (o *licenseOptions) fromJSON(a *app) (api.LicenseRequest, error) {
	var r api.LicenseRequest
	in, name := a.in, "standard input"
	if o.jsonFile != "-" {
		f, err := os.Open(o.jsonFile)
		if err != nil {
			return r, err
		}
		defer f.Close()
		in, name = f, o.jsonFile
	}
	if err := api.Decode(in, &r); err != nil {
		return r, fmt.Errorf("request in %s: %w", name, err)
	}
	return r, nil
}

// readPassphrase fills in the hash of the passphrase, unless the request has it.
func (o *licenseOptions) readPassphrase(a *app, r *api.LicenseRequest) error {
	switch {
	case o.passphraseFile != "" && o.passHashFile != "":
		return usagef("--passphrase-file and --pass-hash-file exclude one another")
	case o.passHashFile != "":
		text, err := readSecretFile(o.passHashFile)
		if err != nil {
			return fmt.Errorf("read the hash of the passphrase: %w", err)
		}
		r.PassHash = strings.TrimSpace(text)
		return nil
	case r.PassHash != "" && o.passphraseFile == "":
		return nil
	}
	hash, err := a.passphrase(o.passphraseFile)
	if err != nil {
		return err
	}
	r.PassHash = hash.Hex()
	return nil
}

// parseDate reads a day, which begins at midnight UTC, or an instant.
func parseDate(text string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, text)
}

// issue has a license made and puts it where it is wanted.
func (a *app) issue(ctx context.Context, out string, make func(context.Context, *licensing.Service) (*license.Document, error)) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	service, closeAll, err := a.licensing(ctx, c)
	if err != nil {
		return err
	}
	defer closeAll()
	doc, err := make(ctx, service)
	if err != nil {
		return fmt.Errorf("issue a license: %w", flagNames(err))
	}
	if out == "" {
		_, err := a.out.Write(append(doc.JSON(), '\n'))
		return err
	}
	if err := protect.WriteFile(out, append(doc.JSON(), '\n')); err != nil {
		return fmt.Errorf("write the license: %w", err)
	}
	a.notef("license %s -> %s", doc.ID, out)
	return nil
}

// flagNames adds to faults of a request which flag sets the field.
func flagNames(err error) error {
	flags := map[string]string{
		"user_id": "--user", "text_hint": "--hint", "pass_hash": "--passphrase-file", "publication_id": "--publication",
		"user_encrypted": "--encrypt", "user_name": "--user-name", "user_email": "--user-email", "alt_id": "--alt-id",
	}
	var field *license.FieldError
	if !errors.As(err, &field) || flags[field.Field] == "" {
		return err
	}
	return &hinted{err, fmt.Sprintf("%s is set by %s", field.Field, flags[field.Field])}
}

func newLicenseEmbedCommand(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "embed LICENSE PUBLICATION",
		Short: "Put a license into its protected publication",
		Long: `Put a license into the protected publication that it is for, so that the one file
is all a user needs. A license that is there already is replaced.`,
		Example: `  lcp license embed book.lcpl shelf/ID.epub --out book.epub`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return usagef("--out is missing")
			}
			return a.embed(cmd.Context(), args[0], args[1], out)
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "write the publication to `FILE`, which may be PUBLICATION itself")
	return cmd
}

func (a *app) embed(ctx context.Context, licenseFile, publicationFile, out string) error {
	doc, err := readLicense(licenseFile)
	if err != nil {
		return err
	}
	pkg, err := protect.OpenPackage(publicationFile)
	if err != nil {
		return fmt.Errorf("%s: %w", publicationFile, err)
	}
	defer pkg.Close()
	if link, ok := doc.Link(license.RelPublication); ok && link.Type != pkg.Format.MediaType {
		return fmt.Errorf("%s is for a publication of type %s, and %s is one of type %s", licenseFile, link.Type, publicationFile, pkg.Format.MediaType)
	}
	if err := pkg.Embed(ctx, doc.JSON(), out); err != nil {
		return fmt.Errorf("embed the license in %s: %w", publicationFile, err)
	}
	a.notef("%s with license %s -> %s", publicationFile, doc.ID, out)
	return nil
}

// readLicense reads a license document from a file.
func readLicense(name string) (*license.Document, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, license.MaxSize+1))
	if err != nil {
		return nil, err
	}
	doc, err := license.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return doc, nil
}
