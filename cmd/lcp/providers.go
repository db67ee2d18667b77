package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/provider"
)

func newProvidersCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "providers",
		Short: "Manage the providers that a license server works for",
		Long: `List, look at, add, change and remove the providers that a license server works for:
shops, libraries, imprints, each with its URI, certificate, hint, rules and secrets:
in the local store, or with --server (or LCP_SERVER) on a license server. Providers
of the configuration are changed there. docs/providers.md tells more.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(
		newProvidersListCommand(a), newProvidersGetCommand(a), newProvidersAddCommand(a), newProvidersUpdateCommand(a),
		newProvidersDeleteCommand(a), newProvidersCheckCommand(a),
	)
	return cmd
}

// listedProvider is what the list shows of a provider.
type listedProvider struct {
	provider.Listed
	raw json.RawMessage
}

// MarshalJSON writes all that there is.
func (p listedProvider) MarshalJSON() ([]byte, error) { return p.raw, nil } //nolint:unparam // as json.Marshaler has it

func newProvidersListCommand(a *app) *cobra.Command {
	format := formatFlag{value: formatTable, allowed: []string{formatTable, formatJSON, formatNDJSON}}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List providers",
		Args:  cobra.NoArgs,
	}
	cmd.Flags().Var(&format, "format", "print a table, json or ndjson")
	return atDesk(a, cmd, func(ctx context.Context, d desk, _ []string) error {
		list, err := d.Providers(ctx)
		if err != nil {
			return err
		}
		return a.printProviders(list, format.value)
	})
}

func (a *app) printProviders(list []json.RawMessage, format string) error {
	out := &recordWriter{
		out: a.out, format: format, header: []string{"ID", "NAME", "URI", "AUTHORIZATION", "SOURCE"},
		row: func(r any) []string {
			p := r.(listedProvider)
			return []string{plain(p.ID), plain(p.Name), plain(p.URI), plain(string(p.Authorization.Mode)), plain(p.Source)}
		},
	}
	for _, raw := range list {
		p := listedProvider{raw: raw}
		if err := json.Unmarshal(raw, &p.Listed); err != nil {
			return fmt.Errorf("read a provider: %w", err)
		}
		if err := out.write(p); err != nil {
			return err
		}
	}
	return out.close()
}

// printDocument prints JSON, indented.
func (a *app) printDocument(document json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, document, "", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.out, b.String())
	return err
}

func newProvidersGetCommand(a *app) *cobra.Command {
	return atDesk(a, &cobra.Command{
		Use:   "get ID",
		Short: "Print what is set for a provider, as JSON",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, d desk, args []string) error {
		document, err := d.Provider(ctx, args[0])
		if err != nil {
			return err
		}
		return a.printDocument(document)
	})
}

func newProvidersAddCommand(a *app) *cobra.Command {
	return newProvidersSaveCommand(a, &cobra.Command{
		Use:   "add JSON|FILE|-",
		Short: "Add a provider",
		Long: `Add a provider: JSON as it is, a file of it, or - for standard input. id and uri are
required, and never change.`,
		Example: `  lcp providers add '{"id":"library","name":"City Library","uri":"https://library.example"}'
  lcp providers add library.json --server https://lcp.example.com`,
		Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, d desk, _ []string, document json.RawMessage) (json.RawMessage, error) {
		return d.CreateProvider(ctx, document)
	})
}

func newProvidersUpdateCommand(a *app) *cobra.Command {
	return newProvidersSaveCommand(a, &cobra.Command{
		Use:   "update ID JSON|FILE|-",
		Short: "Replace what is set for a provider",
		Long: `Replace what is set for a provider by JSON as it is, in a file, or from standard
input (-). What is left out is not set any more, but id and uri.`,
		Example: `  lcp providers get library > library.json
  lcp providers update library library.json`,
		Args: cobra.ExactArgs(2),
	}, func(ctx context.Context, d desk, args []string, document json.RawMessage) (json.RawMessage, error) {
		return d.UpdateProvider(ctx, args[0], document)
	})
}

// newProvidersSaveCommand completes a command whose last argument is what is to be
// set for a provider, and prints what save returns. Nothing is opened before that
// argument is read.
func newProvidersSaveCommand(a *app, cmd *cobra.Command,
	save func(ctx context.Context, d desk, args []string, document json.RawMessage) (json.RawMessage, error),
) *cobra.Command {
	var document json.RawMessage
	atDesk(a, cmd, func(ctx context.Context, d desk, args []string) error {
		saved, err := save(ctx, d, args, document)
		if err != nil {
			return err
		}
		return a.printDocument(saved)
	})
	cmd.PreRunE = func(_ *cobra.Command, args []string) (err error) {
		if document, err = a.readDocument(args[len(args)-1]); err != nil {
			return fmt.Errorf("read the provider: %w", err)
		}
		return nil
	}
	return cmd
}

func newProvidersDeleteCommand(a *app) *cobra.Command {
	return atDesk(a, &cobra.Command{
		Use:   "delete ID",
		Short: "Remove a provider that nothing belongs to",
		Long: `Remove a provider with its secrets and templates. One that has licenses,
publications, users or keys stays: without an authorization mode, its gateway
delivers nothing any more.`,
		Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, d desk, args []string) error {
		if err := d.DeleteProvider(ctx, args[0]); err != nil {
			return err
		}
		a.notef("provider %s is removed", plain(args[0]))
		return nil
	})
}

func newProvidersCheckCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "check JSON|FILE|-",
		Short: "Report every fault of what is to be set for a provider",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			document, err := a.readDocument(args[0])
			if err != nil {
				return fmt.Errorf("read the provider: %w", err)
			}
			p, err := provider.ParseListed(document)
			if err == nil {
				err = p.Check()
			}
			if err == nil {
				a.notef("provider %s is in order", plain(p.ID))
			}
			return err
		},
	}
}
