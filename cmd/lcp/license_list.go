package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/client"
)

func newLicenseListCommand(a *app) *cobra.Command {
	var server serverFlags
	o := newListOptions()
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List all licenses",
		Long:    `List the records of all licenses, newest first.`,
		Example: `  lcp license list --limit 20 --format table`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.listLicenses(cmd.Context(), &server, o, client.LicenseQuery{})
		},
	}
	o.addFlags(cmd.Flags())
	server.addFlags(cmd.Flags())
	return cmd
}

// listLicenses prints the records of the licenses that are asked for.
func (a *app) listLicenses(ctx context.Context, server *serverFlags, o listOptions, q client.LicenseQuery) error {
	d, closeAll, err := a.openDesk(ctx, server)
	if err != nil {
		return err
	}
	defer closeAll()
	header := []string{"LICENSE", "STATUS", "USER", "PUBLICATION", "END", "DEVICES"}
	return printList(a, o, d.Licenses(ctx, q), header, func(info api.LicenseInfo) []string {
		return []string{
			plain(info.UUID), plain(info.Status), plain(info.UserID), plain(info.PublicationID),
			dateText(info.End), strconv.Itoa(info.DeviceCount),
		}
	})
}
