package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
)

// A backOffice is where and for which provider a command works.
type backOffice struct {
	server   serverFlags
	provider string
}

func (b *backOffice) addFlags(fs *pflag.FlagSet) {
	addWorkForFlag(fs, &b.provider)
	b.server.addFlags(fs)
}

// addWorkForFlag adds the flag for the ID of the provider that a command works for.
func addWorkForFlag(fs *pflag.FlagSet, id *string) {
	fs.StringVar(id, "provider", provider.DefaultID, "work for the provider `ID`")
}

func newSecretsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secrets",
		Short: "Manage the secrets shared with a provider's backend",
		Long: `Manage the secrets with which a provider's backend signs the tokens that authorize
license deliveries, and with which this program signs its callbacks: in the local
store, or with --server (or LCP_SERVER) on a license server.

A secret is pending, then active, then verify-only, and in the end revoked, so that
one follows the other without a gap. docs/delivery-authorization.md tells how.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(
		newSecretsAddCommand(a), newSecretsListCommand(a),
		newSecretsMoveCommand(a, "activate", sharedsecret.Active, "Put a secret in force",
			`Put a pending secret in force. Tokens signed with it are good, and callbacks are
signed with the secret that was activated last.`),
		newSecretsMoveCommand(a, "retire", sharedsecret.VerifyOnly, "Use a secret for what it has signed alone",
			`Use an active secret for what it has signed alone: such tokens stay good. The only
active secret is not retired.`),
		newSecretsMoveCommand(a, "revoke", sharedsecret.Revoked, "Make a secret good for nothing",
			`Make a secret good for nothing, at once. Do so if it has leaked, or when the last
token that it signed has expired.`),
	)
	return cmd
}

func newSecretsAddCommand(a *app) *cobra.Command {
	var b backOffice
	var r api.SecretRequest
	var valueFile, out string
	var activate bool
	format := formatFlag{value: formatText, allowed: []string{formatText, formatJSON}}
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Make a secret and print it once, or import one",
		Long: `Make a secret, and print its value in hexadecimal: the only time that it is seen.
With --value-file import one that was made elsewhere. It is pending until lcp
secrets activate, so that the backend can get it first; --activate does that at
once, for the first one.`,
		Example: `  lcp secrets add --kid shop-2030 --out shop.secret
  lcp secrets add --kid first --activate > secret
  lcp secrets add --provider library --value-file secret --server https://lcp.example.com`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if valueFile != "" {
				value, err := readSecretFile(valueFile)
				if err != nil {
					return fmt.Errorf("read the secret: %w", err)
				}
				r.Value = value
			}
			if out != "" && valueFile != "" {
				return usagef("--out is for a new secret, and --value-file brings one")
			}
			ctx := cmd.Context()
			d, closeAll, err := a.openDesk(ctx, &b.server)
			if err != nil {
				return err
			}
			defer closeAll()
			file, err := createSecretFile(out)
			if err != nil {
				return err
			}
			secret, err := d.AddSecret(ctx, b.provider, r)
			if err != nil {
				return errors.Join(err, file.discard())
			}
			if err := a.tellSecret(file, format.value, secret); err != nil {
				return err
			}
			if !activate {
				a.notef("secret %s is pending: give it to the backend, then lcp secrets activate %[1]s", secret.KeyID)
				return nil
			}
			if _, err := d.MoveSecret(ctx, b.provider, secret.KeyID, string(sharedsecret.Active)); err != nil {
				return err
			}
			a.notef("secret %s is active", secret.KeyID)
			return nil
		},
	}
	cmd.Flags().StringVar(&r.KeyID, "kid", "", "name the secret `KID`, which tokens do as well (default: a random name)")
	cmd.Flags().StringVar(&r.Algorithm, "alg", "", "sign tokens with `ALG`: HS256 (the default), HS384 or HS512")
	cmd.Flags().StringVar(&valueFile, "value-file", "", "import the secret in `FILE`, hexadecimal digits")
	cmd.Flags().StringVar(&out, "out", "", "write the value to a new `FILE`, which nobody else can read, and do not print it")
	cmd.Flags().BoolVar(&activate, "activate", false, "put the secret in force at once")
	cmd.Flags().Var(&format, "format", "print the value as text, or all of it as json")
	b.addFlags(cmd.Flags())
	return cmd
}

// tellSecret prints what is to be known of a new secret, its value into the file
// if there is one.
func (a *app) tellSecret(file *secretFile, format string, secret api.Secret) error {
	if file.f != nil {
		if err := file.write(secret.Value + "\n"); err != nil {
			return err
		}
		secret.Value = ""
	}
	if format == formatJSON {
		return encodeJSON(a.out, secret, "  ")
	}
	if secret.Value == "" {
		return nil
	}
	_, err := fmt.Fprintln(a.out, secret.Value)
	return err
}

// A secretFile is a new file that nobody else can read, or none.
type secretFile struct{ f *os.File }

// createSecretFile makes the file before there is a secret: if that fails, no
// secret is lost.
func createSecretFile(name string) (*secretFile, error) {
	if name == "" {
		return &secretFile{}, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &secretFile{f}, nil
}

func (s *secretFile) write(text string) error {
	_, err := io.WriteString(s.f, text)
	return errors.Join(err, s.f.Sync(), s.f.Close())
}

func (s *secretFile) discard() error {
	if s.f == nil {
		return nil
	}
	return errors.Join(s.f.Close(), os.Remove(s.f.Name()))
}

func newSecretsListCommand(a *app) *cobra.Command {
	format := formatFlag{value: formatTable, allowed: []string{formatTable, formatJSON, formatNDJSON}}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List secrets, without their values",
		Args:  cobra.NoArgs,
	}
	cmd.Flags().Var(&format, "format", "print a table, json or ndjson")
	return atDeskOf(a, cmd, func(ctx context.Context, d desk, provider string, _ []string) error {
		list, err := d.Secrets(ctx, provider)
		if err != nil {
			return err
		}
		return printAll(a, format.value, list, []string{"KID", "ALG", "STATE", "SINCE", "CREATED"}, func(s api.Secret) []string {
			return []string{plain(s.KeyID), plain(s.Algorithm), plain(s.State), s.Changed.Format(time.RFC3339), s.Created.Format(time.RFC3339)}
		})
	})
}

func newSecretsMoveCommand(a *app, verb string, to sharedsecret.State, short, long string) *cobra.Command {
	return atDeskOf(a, &cobra.Command{
		Use: verb + " KID", Short: short, Long: long,
		Example: "  lcp secrets " + verb + " shop-2030",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, d desk, provider string, args []string) error {
		s, err := d.MoveSecret(ctx, provider, args[0], string(to))
		if err != nil {
			return err
		}
		a.notef("secret %s is %s", plain(s.KeyID), plain(s.State))
		return nil
	})
}
