package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newLicenseGetCommand(a *app) *cobra.Command {
	return showing(a, &cobra.Command{
		Use:     "get LICENSE-ID",
		Short:   "Print the record of a license",
		Example: `  lcp license get ID --format text`,
	}, func(ctx context.Context, d desk, id string) (any, error) {
		return d.LicenseInfo(ctx, id)
	})
}
