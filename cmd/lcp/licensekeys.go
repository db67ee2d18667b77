package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/billing"
	"github.com/lcp-tools/lcp/pkg/metering"
)

// A billingDesk is where commands work on pay per use: a license server, or the
// local store.
type billingDesk interface {
	CreateLicenseKey(ctx context.Context, k api.LicenseKey) (api.LicenseKey, error)
	UpdateLicenseKey(ctx context.Context, key string, k api.LicenseKey) (api.LicenseKey, error)
	LicenseKeys(ctx context.Context) ([]api.LicenseKey, error)
	LicenseKey(ctx context.Context, key string) (api.LicenseKey, error)
	NewAPISecret(ctx context.Context, key string) (api.LicenseKey, error)
	NewWebhookSecret(ctx context.Context, key string) (api.LicenseKey, error)
	EraseUser(ctx context.Context, key string, e api.Erasure) (api.Erasure, error)
	Decide(ctx context.Context, o api.Origin) (api.Origin, error)
	Forget(ctx context.Context, key, origin string) error
	Origins(ctx context.Context, key, state string) ([]api.Origin, error)
	Usage(ctx context.Context, p api.Period) ([]metering.Row, error)
	TitleReport(ctx context.Context, p api.Period) (*metering.TitleReport, error)
	CloseMonth(ctx context.Context, m api.Closing) (api.Closing, error)
}

// withBilling runs a command on a license server or the local store.
func (a *app) withBilling(ctx context.Context, s *serverFlags, work func(billingDesk) error) error {
	if s.address() != "" {
		c, err := s.client()
		if err != nil {
			return err
		}
		return work(c)
	}
	if err := s.check(); err != nil {
		return err
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
	return work(&billing.Office{
		Store: records, Platform: c.ReadingSessions.platform(), Now: time.Now,
		Actor: func(context.Context) string { return localActor },
	})
}

func newLicenseKeysCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "license-keys",
		Short: "Say who is billed by use",
		Long: `Say who is billed by use. A license key stands for an agreement with a customer:
how much active use opens a reading session, for how long it is valid, and what
becomes of use at unknown origins. Web readers hold the key, which is no secret.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(
		newLicenseKeysAddCommand(a), newLicenseKeysListCommand(a), newLicenseKeysGetCommand(a), newLicenseKeysUpdateCommand(a),
		newLicenseKeySecretCommand(a, "api-secret", "Make a new secret for native apps and print it once", billingDesk.NewAPISecret),
		newLicenseKeySecretCommand(a, "webhook-secret", "Make a new secret that notifications are signed with and print it once", billingDesk.NewWebhookSecret),
	)
	return cmd
}

// agreementFlags say what was agreed.
type agreementFlags struct {
	flags                        *pflag.FlagSet
	name                         string
	threshold, validity, offline time.Duration
	policy, webhook              string
}

func (g *agreementFlags) addFlags(fs *pflag.FlagSet) {
	g.flags = fs
	d := metering.DefaultAgreement()
	fs.DurationVar(&g.threshold, "activation-threshold", d.Threshold, "active use after which a session starts")
	fs.DurationVar(&g.validity, "session-validity", d.Validity, "how long a session is valid")
	fs.DurationVar(&g.offline, "offline-validity", d.OfflineValidity, "for how long use may go unreported; 0 forbids it offline")
	fs.StringVar(&g.policy, "origin-policy", string(d.Policy), "what becomes of use at unknown origins: block or review")
	fs.StringVar(&g.webhook, "webhook", "", "tell `URL` of origins to decide about")
}

// request has what was given.
func (g *agreementFlags) request() (api.LicenseKey, error) {
	k := api.LicenseKey{Name: g.name}
	for _, d := range []struct {
		flag  string
		value time.Duration
		into  **int64
	}{
		{"activation-threshold", g.threshold, &k.ActivationThreshold},
		{"session-validity", g.validity, &k.SessionValidity},
		{"offline-validity", g.offline, &k.OfflineValidity},
	} {
		if !g.flags.Changed(d.flag) {
			continue
		}
		if d.value%time.Second != 0 {
			return k, usagef("--%s: %s is not in whole seconds", d.flag, d.value)
		}
		n := int64(d.value / time.Second)
		*d.into = &n
	}
	if g.flags.Changed("origin-policy") {
		if _, err := metering.ParsePolicy(g.policy); err != nil {
			return k, usagef("--origin-policy: %w", err)
		}
		k.OriginPolicy = g.policy
	}
	if g.flags.Changed("webhook") {
		k.Webhook = &g.webhook
	}
	return k, nil
}

func newLicenseKeysAddCommand(a *app) *cobra.Command {
	var server serverFlags
	var g agreementFlags
	var native bool
	format := newRecordFormat()
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a license key for a customer",
		Long: `Make a license key for a customer. It is printed with its secrets, which are not
shown again: that which notifications are signed with and, with --native-apps, that
which apps sign with that have no origin.`,
		Example: `  lcp license-keys add "Nevermore Academy" --origin-policy review`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g.name = args[0]
			in, err := g.request()
			if err != nil {
				return err
			}
			if native {
				in.NativeApps = &native
			}
			return a.withBilling(cmd.Context(), &server, func(d billingDesk) error {
				k, err := d.CreateLicenseKey(cmd.Context(), in)
				if err != nil {
					return err
				}
				return a.printRecord(format, k)
			})
		},
	}
	g.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&native, "native-apps", false, "make an API secret, so that native apps may use the key")
	addRecordFormat(cmd.Flags(), &format)
	server.addFlags(cmd.Flags())
	return cmd
}

func newLicenseKeysListCommand(a *app) *cobra.Command {
	var server serverFlags
	format := formatFlag{value: formatTable, allowed: []string{formatTable, formatJSON, formatNDJSON}}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List license keys",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withBilling(cmd.Context(), &server, func(d billingDesk) error {
				list, err := d.LicenseKeys(cmd.Context())
				if err != nil {
					return err
				}
				return printAll(a, format.value, list, []string{"LICENSE KEY", "NAME", "POLICY", "STATE", "OPEN MONTH"}, func(k api.LicenseKey) []string {
					return []string{plain(k.LicenseKey), plain(k.Name), plain(k.OriginPolicy), keyState(k), plain(k.OpenMonth)}
				})
			})
		},
	}
	cmd.Flags().Var(&format, "format", "print a table, json or ndjson")
	server.addFlags(cmd.Flags())
	return cmd
}

func keyState(k api.LicenseKey) string {
	switch {
	case k.Disabled != nil && *k.Disabled:
		return "disabled"
	case k.BlockedSince != nil:
		return "blocked since " + k.BlockedSince.Format(time.DateOnly)
	default:
		return "in use"
	}
}

// printAll prints a list that is all there.
func printAll[T any](a *app, format string, list []T, header []string, row func(T) []string) error {
	out := &recordWriter{out: a.out, format: format, header: header, row: func(r any) []string { return row(r.(T)) }}
	for _, one := range list {
		if err := out.write(one); err != nil {
			return err
		}
	}
	return out.close()
}

func newLicenseKeysGetCommand(a *app) *cobra.Command {
	var server serverFlags
	format := newRecordFormat()
	cmd := &cobra.Command{
		Use:   "get KEY",
		Short: "Show a license key",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBilling(cmd.Context(), &server, func(d billingDesk) error {
				k, err := d.LicenseKey(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return a.printRecord(format, k)
			})
		},
	}
	addRecordFormat(cmd.Flags(), &format)
	server.addFlags(cmd.Flags())
	return cmd
}

func newLicenseKeysUpdateCommand(a *app) *cobra.Command {
	var server serverFlags
	var g agreementFlags
	var disable, enable bool
	format := newRecordFormat()
	cmd := &cobra.Command{
		Use:   "update KEY",
		Short: "Change what was agreed for a license key",
		Long:  `Change what was agreed for a license key. What is not given stays as it is.`,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := g.request()
			if err != nil {
				return err
			}
			if disable || enable {
				in.Disabled = &disable
			}
			return a.withBilling(cmd.Context(), &server, func(d billingDesk) error {
				k, err := d.UpdateLicenseKey(cmd.Context(), args[0], in)
				if err != nil {
					return err
				}
				return a.printRecord(format, k)
			})
		},
	}
	g.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&g.name, "name", "", "name of the customer")
	cmd.Flags().BoolVar(&disable, "disable", false, "refuse all reports for the key")
	cmd.Flags().BoolVar(&enable, "enable", false, "accept reports again")
	cmd.MarkFlagsMutuallyExclusive("disable", "enable")
	addRecordFormat(cmd.Flags(), &format)
	server.addFlags(cmd.Flags())
	return cmd
}

func newLicenseKeySecretCommand(a *app, name, short string, renew func(billingDesk, context.Context, string) (api.LicenseKey, error)) *cobra.Command {
	var server serverFlags
	cmd := &cobra.Command{
		Use:   name + " KEY",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBilling(cmd.Context(), &server, func(d billingDesk) error {
				k, err := renew(d, cmd.Context(), args[0])
				if err == nil {
					_, err = fmt.Fprintln(a.out, k.APISecret+k.WebhookSecret) // one of the two
				}
				return err
			})
		},
	}
	server.addFlags(cmd.Flags())
	return cmd
}

// newOriginsCommand decides where use is allowed.
func newOriginsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "origins",
		Short: "Say where those may read who are billed by use",
		Long: `Say where those may read who are billed by use. An origin is a scheme, a host and
a port, as in https://reader.example.org; https://*.example.org is all origins whose
host is below example.org. The origin itself counts first, then the longest wildcard.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(
		newOriginsListCommand(a),
		newOriginsDecideCommand(a, "approve", metering.Approved, "Approve an origin, or all of a wildcard", "What was held there becomes billable."),
		newOriginsDecideCommand(a, "block", metering.Blocked, "Block an origin, or all of a wildcard", "What was held there is never billed."),
		newOriginsForgetCommand(a),
	)
	return cmd
}

func newOriginsListCommand(a *app) *cobra.Command {
	var server serverFlags
	var key, state string
	format := formatFlag{value: formatTable, allowed: []string{formatTable, formatJSON, formatNDJSON}}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List origins that were met, and what was decided",
		Example: `  lcp origins list --state pending`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withBilling(cmd.Context(), &server, func(d billingDesk) error {
				list, err := d.Origins(cmd.Context(), key, state)
				if err != nil {
					return err
				}
				return printAll(a, format.value, list, []string{"LICENSE KEY", "ORIGIN", "STATE", "GROUP", "REVIEW UNTIL"}, func(o api.Origin) []string {
					return []string{plain(o.LicenseKey), plain(o.Origin), plain(o.State), plain(o.Group), dateText(o.ReviewUntil)}
				})
			})
		},
	}
	cmd.Flags().StringVar(&key, "license-key", "", "only those of this license key")
	cmd.Flags().StringVar(&state, "state", "", "only those that are approved, blocked, pending or unknown")
	cmd.Flags().Var(&format, "format", "print a table, json or ndjson")
	server.addFlags(cmd.Flags())
	return cmd
}

func newOriginsDecideCommand(a *app, verb string, state metering.State, short, long string) *cobra.Command {
	var server serverFlags
	var group string
	cmd := &cobra.Command{
		Use:     verb + " KEY ORIGIN…",
		Short:   short,
		Long:    short + ". " + long,
		Example: "  lcp origins " + verb + " rs_… https://reader.example.org https://*.example.org",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBilling(cmd.Context(), &server, func(d billingDesk) error {
				for _, origin := range args[1:] {
					o, err := d.Decide(cmd.Context(), api.Origin{LicenseKey: args[0], Origin: origin, State: string(state), Group: group})
					if err != nil {
						return err
					}
					a.notef("%s is %s, and reported as %s", o.Origin, o.State, strconv.Quote(o.Group))
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&group, "group", "", "report use under this `NAME` (default: the origin)")
	server.addFlags(cmd.Flags())
	return cmd
}

func newOriginsForgetCommand(a *app) *cobra.Command {
	var server serverFlags
	cmd := &cobra.Command{
		Use:   "forget KEY ORIGIN",
		Short: "Remove what was decided about an origin or a wildcard",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBilling(cmd.Context(), &server, func(d billingDesk) error { return d.Forget(cmd.Context(), args[0], args[1]) })
		},
	}
	server.addFlags(cmd.Flags())
	return cmd
}
