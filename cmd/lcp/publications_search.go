package main

import (
	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/client"
)

func newPublicationsSearchCommand(a *app) *cobra.Command {
	var server serverFlags
	var q client.PublicationQuery
	o := newListOptions()
	cmd := &cobra.Command{
		Use:     "search --type TYPE",
		Short:   "Search publications",
		Long:    `List the records of the publications of a type, newest first.`,
		Example: `  lcp publications search --type lcpdf`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.Format == "" {
				return usagef("--type is needed: lcp publications list prints all")
			}
			return a.listPublications(cmd.Context(), &server, o, q)
		},
	}
	cmd.Flags().StringVar(&q.Format, "type", "", "of a `TYPE`: epub, lcpdf, lcpa, lcpdi, webpub or pdf")
	o.addFlags(cmd.Flags())
	server.addFlags(cmd.Flags())
	return cmd
}
