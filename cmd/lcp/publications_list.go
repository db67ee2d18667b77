package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/client"
)

func newPublicationsListCommand(a *app) *cobra.Command {
	var server serverFlags
	o := newListOptions()
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List all publications",
		Long:    `List the records of all publications, newest first. Deleted ones are not listed.`,
		Example: `  lcp publications list --format table`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.listPublications(cmd.Context(), &server, o, client.PublicationQuery{})
		},
	}
	o.addFlags(cmd.Flags())
	server.addFlags(cmd.Flags())
	return cmd
}

// listPublications prints the records of the publications that are asked for.
func (a *app) listPublications(ctx context.Context, server *serverFlags, o listOptions, q client.PublicationQuery) error {
	d, closeAll, err := a.openDesk(ctx, server)
	if err != nil {
		return err
	}
	defer closeAll()
	list := func(yield func(api.Publication, error) bool) {
		for p, err := range d.Publications(ctx, q) {
			if !yield(withoutKey(p), err) {
				return
			}
		}
	}
	return printList(a, o, list, []string{"UUID", "ALT ID", "TYPE", "SIZE", "TITLE"}, func(p api.Publication) []string {
		return []string{plain(p.UUID), plain(p.AltID), plain(p.ContentType), bytesText(p.Size), plain(p.Title)}
	})
}
