package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newPublicationsDeleteCommand(a *app) *cobra.Command {
	return atDesk(a, &cobra.Command{
		Use:   "delete ID",
		Short: "Delete the record of a publication",
		Long: `Delete the record of a publication, named by its uuid or its alternative identifier.
No license can be made for it any more; those that there are live on. The protected
file is left where it is.`,
		Example: `  lcp publications delete ID`,
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, d desk, args []string) error {
		p, err := publicationBy(ctx, d, args[0])
		if err != nil {
			return err
		}
		if err := d.DeletePublication(ctx, p.UUID); err != nil {
			return err
		}
		a.notef("publication %s is deleted", plain(p.UUID))
		return nil
	})
}
