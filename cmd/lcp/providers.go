package main

import (
	"bytes"
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
	var server serverFlags
	format := formatFlag{value: formatTable, allowed: []string{formatTable, formatJSON, formatNDJSON}}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List providers",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, closeAll, err := a.openDesk(cmd.Context(), &server)
			if err != nil {
				return err
			}
			defer closeAll()
			list, err := d.Providers(cmd.Context())
			if err != nil {
				return err
			}
			return a.printProviders(list, format.value)
		},
	}
	cmd.Flags().Var(&format, "format", "print a table, json or ndjson")
	server.addFlags(cmd.Flags())
	return cmd
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
	var server serverFlags
	cmd := &cobra.Command{
		Use:   "get ID",
		Short: "Print what is set for a provider, as JSON",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, closeAll, err := a.openDesk(cmd.Context(), &server)
			if err != nil {
				return err
			}
			defer closeAll()
			document, err := d.Provider(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.printDocument(document)
		},
	}
	server.addFlags(cmd.Flags())
	return cmd
}

func newProvidersAddCommand(a *app) *cobra.Command {
	var server serverFlags
	cmd := &cobra.Command{
		Use:   "add JSON|FILE|-",
		Short: "Add a provider",
		Long: `Add a provider: JSON as it is, a file of it, or - for standard input. id and uri are
required, and never change.`,
		Example: `  lcp providers add '{"id":"library","name":"City Library","uri":"https://library.example"}'
  lcp providers add library.json --server https://lcp.example.com`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			document, err := a.readDocument(args[0])
			if err != nil {
				return fmt.Errorf("read the provider: %w", err)
			}
			d, closeAll, err := a.openDesk(cmd.Context(), &server)
			if err != nil {
				return err
			}
			defer closeAll()
			saved, err := d.CreateProvider(cmd.Context(), document)
			if err != nil {
				return err
			}
			return a.printDocument(saved)
		},
	}
	server.addFlags(cmd.Flags())
	return cmd
}

func newProvidersUpdateCommand(a *app) *cobra.Command {
	var server serverFlags
	cmd := &cobra.Command{
		Use:   "update ID JSON|FILE|-",
		Short: "Replace what is set for a provider",
		Long: `Replace what is set for a provider by JSON as it is, in a file, or from standard
input (-). What is left out is not set any more, but id and uri.`,
		Example: `  lcp providers get library > library.json
  lcp providers update library library.json`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			document, err := a.readDocument(args[1])
			if err != nil {
				return fmt.Errorf("read the provider: %w", err)
			}
			d, closeAll, err := a.openDesk(cmd.Context(), &server)
			if err != nil {
				return err
			}
			defer closeAll()
			saved, err := d.UpdateProvider(cmd.Context(), args[0], document)
			if err != nil {
				return err
			}
			return a.printDocument(saved)
		},
	}
	server.addFlags(cmd.Flags())
	return cmd
}

func newProvidersDeleteCommand(a *app) *cobra.Command {
	var server serverFlags
	cmd := &cobra.Command{
		Use:   "delete ID",
		Short: "Remove a provider that nothing belongs to",
		Long: `Remove a provider with its secrets and templates. One that has licenses,
publications, users or keys stays: without an authorization mode, its gateway
delivers nothing any more.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, closeAll, err := a.openDesk(cmd.Context(), &server)
			if err != nil {
				return err
			}
			defer closeAll()
			if err := d.DeleteProvider(cmd.Context(), args[0]); err != nil {
				return err
			}
			a.notef("provider %s is removed", plain(args[0]))
			return nil
		},
	}
	server.addFlags(cmd.Flags())
	return cmd
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
