package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/rights"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
	"github.com/lcp-tools/lcp/pkg/store"
)

func newTokenCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Sign and check tokens that authorize license deliveries",
		Long: `Sign and check the tokens with which a provider's backend authorizes the delivery of
licenses, for trying things out and for backends written in shell.
docs/delivery-authorization.md tells what is in a token.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(newTokenMintCommand(a), newTokenVerifyCommand(a))
	return cmd
}

// secretFlags say with which secret a command works: one in a file, or one of the
// local store.
type secretFlags struct {
	provider  string
	file      string
	algorithm string
}

func (s *secretFlags) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&s.provider, "provider", provider.DefaultID, "use a secret of the provider `ID`")
	fs.StringVar(&s.file, "secret-file", "", "use the secret in `FILE`, hexadecimal digits (default: that of the local store)")
	fs.StringVar(&s.algorithm, "alg", string(sharedsecret.HS256), "sign with `ALG` (with --secret-file): HS256, HS384 or HS512")
}

// fromFile reads the secret of a file, as an active one.
func (s *secretFlags) fromFile() (sharedsecret.Secret, error) {
	algorithm, err := sharedsecret.ParseAlgorithm(s.algorithm)
	if err != nil {
		return sharedsecret.Secret{}, usagef("--alg: %w", err)
	}
	text, err := readSecretFile(s.file)
	if err != nil {
		return sharedsecret.Secret{}, fmt.Errorf("read the secret: %w", err)
	}
	value, err := sharedsecret.ParseValue(strings.TrimSpace(text))
	if err != nil {
		return sharedsecret.Secret{}, fmt.Errorf("%s: %w", s.file, err)
	}
	return sharedsecret.Secret{Provider: s.provider, Algorithm: algorithm, State: sharedsecret.Active, Value: value}, nil
}

func newTokenMintCommand(a *app) *cobra.Command {
	var s secretFlags
	var kid, crt, merchant, user, session string
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "mint",
		Short: "Sign a token for one license",
		Long: `Sign a token for one license, and print it. --crt is the Customer Rights Token: a
file, - for standard input, or JSON as it is. Other users of the machine see what is on
a command line, so leave the passHash to the first two. The secret is that of the local
store, or in a file.`,
		Example: `  lcp token mint --kid first --user u1 --crt crt.json
  lcp token mint --kid shop-2030 --secret-file shop.secret --crt crt.json --ttl 5m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if kid == "" || crt == "" {
				return usagef("--kid and --crt are needed")
			}
			if ttl < 0 || ttl > 365*24*time.Hour {
				return usagef("--ttl is to be a year at most")
			}
			document, err := a.readDocument(crt)
			if err != nil {
				return fmt.Errorf("read the Customer Rights Token: %w", err)
			}
			if _, err := rights.Parse(document); err != nil {
				return fmt.Errorf("Customer Rights Token: %w", err) //nolint:staticcheck // a name
			}
			secret, err := a.mintingSecret(cmd.Context(), &s, kid)
			if err != nil {
				return err
			}
			claims := delivery.Claims{
				ID: uuid.NewString(), IssuedAt: time.Now(), OptData: delivery.OptData{Merchant: merchant, UserID: user, SessionID: session},
			}
			if ttl > 0 {
				claims.ExpiresAt = claims.IssuedAt.Add(ttl)
			}
			token, err := delivery.Mint(secret, claims, document)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, token)
			return err
		},
	}
	cmd.Flags().StringVar(&kid, "kid", "", "sign with the secret of the name `KID`")
	cmd.Flags().StringVar(&crt, "crt", "", "Customer Rights Token: `JSON`, a file, or - for standard input")
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "let the token expire after `TIME`, as in 5m (default: ten minutes, and no exp)")
	cmd.Flags().StringVar(&merchant, "merchant", "", "name the provider as `NAME` in optData")
	cmd.Flags().StringVar(&user, "user", "", "name the user as `ID` in optData")
	cmd.Flags().StringVar(&session, "session", "", "name the session as `ID` in optData")
	s.addFlags(cmd.Flags())
	return cmd
}

// maxDocument bounds JSON that is read from a file.
const maxDocument = 1 << 20

// readDocument returns JSON that a flag or an argument holds, or names the file of.
func (a *app) readDocument(text string) ([]byte, error) {
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
		return []byte(trimmed), nil
	}
	in := a.in
	if text != "-" {
		f, err := os.Open(text)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxDocument+1))
	if err == nil && len(data) > maxDocument {
		err = errors.New("it is too large")
	}
	return []byte(strings.TrimSpace(string(data))), err
}

// mintingSecret returns the secret to sign with.
func (a *app) mintingSecret(ctx context.Context, s *secretFlags, kid string) (secret sharedsecret.Secret, err error) {
	if err := sharedsecret.CheckKeyID(kid); err != nil {
		return secret, usagef("--kid: %w", err)
	}
	if s.file != "" {
		secret, err = s.fromFile()
		secret.KeyID = kid
		return secret, err
	}
	err = a.withStore(ctx, func(records *store.Store) error {
		secret, err = records.Secret(ctx, s.provider, kid)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return secret, &hinted{err, "lcp secrets list shows those that there are; --secret-file takes one from a file"}
	case err == nil && secret.State == sharedsecret.Pending:
		return secret, &hinted{fmt.Errorf("secret %q is pending", kid), "lcp secrets activate " + kid + " puts it in force"}
	}
	return secret, err
}

func newTokenVerifyCommand(a *app) *cobra.Command {
	var s secretFlags
	var merchant string
	cmd := &cobra.Command{
		Use:   "verify TOKEN|-",
		Short: "Check a token, and print what it says",
		Long: `Check a token as the gateway would, and print what it says as JSON: its form, its
signature under the secrets of the local store or the one in a file, its times, the
merchant, and the rights, templates of the local store included. It is not spent by
that, and whether it was used before is not looked up.`,
		Example: `  lcp token verify eyJhbGciOiJIUzI1NiIsImtpZCI6…
  lcp token verify - --secret-file shop.secret < token`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			token := args[0]
			if token == "-" {
				data, err := io.ReadAll(io.LimitReader(a.in, delivery.MaxToken+2))
				if err != nil {
					return err
				}
				token = string(data)
			}
			return a.verifyToken(cmd.Context(), &s, merchant, strings.TrimSpace(token))
		},
	}
	cmd.Flags().StringVar(&merchant, "merchant", "", "what the provider is called in tokens (with --secret-file)")
	s.addFlags(cmd.Flags())
	return cmd
}

func (a *app) verifyToken(ctx context.Context, s *secretFlags, merchant, token string) error {
	if s.file != "" {
		secret, err := s.fromFile()
		if err != nil {
			return err
		}
		return a.verifyUnder(ctx, oneSecret{secret}, delivery.Provider{ID: s.provider, Merchant: merchant}, token)
	}
	c, err := a.config()
	if err != nil {
		return err
	}
	records, err := a.openStore(ctx, c)
	if err != nil {
		return err
	}
	defer records.Close()
	providers, err := c.providers(records, nil)
	if err != nil {
		return err
	}
	p, err := providers.ByID(ctx, s.provider)
	if err != nil {
		return err
	}
	d, err := p.Delivery()
	if err != nil {
		return err
	}
	return a.verifyUnder(ctx, provider.NewRecords(records), d, token)
}

// verifyUnder checks a token under the secrets of a provider, and prints what it
// says.
func (a *app) verifyUnder(ctx context.Context, secrets delivery.Store, p delivery.Provider, token string) error {
	authorizer := &delivery.Authorizer{Store: secrets, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	claims, err := authorizer.Verify(ctx, p, delivery.ParseToken(token))
	if err != nil {
		return refusedToken(err)
	}
	if m := claims.OptData.Merchant; m != "" && m != cmp.Or(p.Merchant, m) {
		return fmt.Errorf("%s: the token is for %q, and the provider is called %q", delivery.UnknownMerchant, m, p.Merchant)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		return err
	}
	var said struct {
		ID      string          `json:"jti"`
		OptData json.RawMessage `json:"optData"`
		CRT     json.RawMessage `json:"crt"`
	}
	if err := json.Unmarshal(payload, &said); err != nil {
		return err
	}
	if err := a.checkRights(ctx, secrets, p, said.CRT); err != nil {
		return err
	}
	return encodeJSON(a.out, struct {
		KeyID    string          `json:"kid"`
		ID       string          `json:"jti"`
		IssuedAt time.Time       `json:"issued"`
		Expires  time.Time       `json:"expires"`
		OptData  json.RawMessage `json:"optData"`
		CRT      json.RawMessage `json:"crt"`
	}{claims.KeyID, said.ID, claims.IssuedAt.UTC(), claims.ExpiresAt.UTC(), said.OptData, said.CRT}, "  ")
}

// refusedToken says why a token is refused, by the name under which
// docs/errors.md explains it.
func refusedToken(err error) error {
	refusal, ok := errors.AsType[*delivery.Refusal](err)
	if !ok {
		return err
	}
	text := string(refusal.Reason) + ": " + refusal.Reason.Title()
	if refusal.Detail != "" {
		text += " " + refusal.Detail
	}
	if refusal.Err != nil {
		text += fmt.Sprintf(" (%v)", refusal.Err)
	}
	return &hinted{errors.New(text), "see " + refusal.Reason.Type()}
}

// checkRights reports what keeps rights from being made into a license.
func (a *app) checkRights(ctx context.Context, templates delivery.Store, p delivery.Provider, crt []byte) error {
	t, err := rights.Parse(crt)
	if _, alone := templates.(oneSecret); alone && len(t.Refs) > 0 {
		a.notef("warning: the templates %s are not looked at", plain(strings.Join(t.Refs, ", ")))
		return err
	}
	if err == nil {
		t, err = t.Merge(func(name string) ([]byte, error) {
			data, err := templates.Template(ctx, p.ID, name)
			if errors.Is(err, delivery.ErrNotFound) {
				err = fmt.Errorf("%w: there is none of the name %q", rights.ErrTemplate, name)
			}
			return data, err
		})
	}
	var terms rights.Terms
	if err == nil {
		terms, err = t.Terms(time.Now(), p.Strict)
	}
	for _, w := range terms.Warnings {
		a.notef("warning: %s", plain(w))
	}
	if field, ok := errors.AsType[*license.FieldError](err); ok {
		return fmt.Errorf("%s: crt.%s: %s", delivery.InvalidRights, field.Field, field.Reason)
	}
	return err
}

// oneSecret is a store with one secret, under whatever name, and nothing else.
type oneSecret struct{ secret sharedsecret.Secret }

// Secret implements delivery.Store. So do the others.
func (s oneSecret) Secret(_ context.Context, _, keyID string) (sharedsecret.Secret, error) {
	s.secret.KeyID = keyID
	return s.secret, nil
}

// SigningSecret implements delivery.Store.
func (s oneSecret) SigningSecret(context.Context, string) (sharedsecret.Secret, error) {
	return s.secret, nil
}

// Template implements delivery.Store.
func (oneSecret) Template(context.Context, string, string) ([]byte, error) {
	return nil, delivery.ErrNotFound
}
