package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/lcp-tools/lcp/pkg/api"
)

// licenseOptions are the flags that describe a license.
type licenseOptions struct {
	request        api.LicenseRequest
	copy, print    int64
	start, end     string
	passphraseFile string
	passHashFile   string
	jsonFile       string
	out            string
	server         serverFlags
	batch          batchOptions // of lcp license generate
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
}

func (o *licenseOptions) addOutFlag(fs *pflag.FlagSet) {
	fs.StringVarP(&o.out, "out", "o", "", "write the license to `FILE` (default: standard output)")
}

func (o *licenseOptions) addRightsFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.request.PublicationID, "publication", "", "the `ID` of the publication")
	fs.StringVar(&o.request.AltID, "alt-id", "", "the alternative `ID` of the publication")
	fs.StringVar(&o.start, "start", "", "rights begin at `DATE`, as in 2030-01-31 or 2030-01-31T12:00:00Z")
	fs.StringVar(&o.end, "end", "", "rights end at `DATE`")
	fs.StringVar(&o.request.PlayDuration, "play-duration", "", "rights end a `DURATION`, as in PT48H or P14D, after the first device is registered, if not before")
	fs.Int64Var(&o.copy, "copy", 0, "at most `N` characters may be copied (default: no limit)")
	fs.Int64Var(&o.print, "print", 0, "at most `N` pages may be printed (default: no limit)")
}

// merged is the request of --json with the flags that were given over it. It
// has no passphrase yet.
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
	return r, nil
}

// override puts the flags that were given over the request.
func (o *licenseOptions) override(r *api.LicenseRequest, flags *pflag.FlagSet) {
	for flag, field := range map[string]struct{ to, from *string }{
		"user": {&r.UserID, &o.request.UserID}, "user-name": {&r.UserName, &o.request.UserName},
		"user-email": {&r.UserEmail, &o.request.UserEmail}, "profile": {&r.Profile, &o.request.Profile},
		"hint": {&r.TextHint, &o.request.TextHint}, "publication": {&r.PublicationID, &o.request.PublicationID},
		"alt-id": {&r.AltID, &o.request.AltID}, "play-duration": {&r.PlayDuration, &o.request.PlayDuration},
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
