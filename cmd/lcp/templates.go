package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newTemplatesCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "templates",
		Short: "Manage rights templates, which tokens refer to",
		Long: `Manage the rights templates of a provider, Customer Rights Tokens that others name in
their ref: in the local store, or with --server (or LCP_SERVER) on a license server.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(newTemplatesListCommand(a), newTemplatesGetCommand(a), newTemplatesPutCommand(a), newTemplatesDeleteCommand(a))
	return cmd
}

func newTemplatesListCommand(a *app) *cobra.Command {
	return atDeskOf(a, &cobra.Command{
		Use:   "list",
		Short: "Print the names of the templates",
		Args:  cobra.NoArgs,
	}, func(ctx context.Context, d desk, provider string, _ []string) error {
		names, err := d.Templates(ctx, provider)
		for _, name := range names {
			fmt.Fprintln(a.out, plain(name))
		}
		return err
	})
}

func newTemplatesGetCommand(a *app) *cobra.Command {
	return atDeskOf(a, &cobra.Command{
		Use:   "get NAME",
		Short: "Print a template, as JSON",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, d desk, provider string, args []string) error {
		document, err := d.Template(ctx, provider, args[0])
		if err != nil {
			return err
		}
		return a.printDocument(document)
	})
}

func newTemplatesPutCommand(a *app) *cobra.Command {
	var b backOffice
	cmd := &cobra.Command{
		Use:     "put NAME JSON|FILE|-",
		Short:   "Add or replace a template",
		Example: `  lcp templates put loan '{"profile":{"type":"rental","relativeExpiration":"P14D"},"lcp":{"print":10}}'`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			document, err := a.readDocument(args[1])
			if err != nil {
				return fmt.Errorf("read the template: %w", err)
			}
			d, closeAll, err := a.openDesk(cmd.Context(), &b.server)
			if err != nil {
				return err
			}
			defer closeAll()
			if err := d.SaveTemplate(cmd.Context(), b.provider, args[0], document); err != nil {
				return err
			}
			a.notef("template %s is saved", plain(args[0]))
			return nil
		},
	}
	b.addFlags(cmd.Flags())
	return cmd
}

func newTemplatesDeleteCommand(a *app) *cobra.Command {
	return atDeskOf(a, &cobra.Command{
		Use:   "delete NAME",
		Short: "Remove a template",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, d desk, provider string, args []string) error {
		if err := d.DeleteTemplate(ctx, provider, args[0]); err != nil {
			return err
		}
		a.notef("template %s is removed", plain(args[0]))
		return nil
	})
}
