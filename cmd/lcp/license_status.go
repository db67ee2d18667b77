package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newLicenseStatusCommand(a *app) *cobra.Command {
	return showing(a, &cobra.Command{
		Use:   "status LICENSE-ID",
		Short: "Print the status document of a license",
		Long: `Print the status document of a license, as reading apps see it. A server needs no
credentials for it.`,
		Example: `  lcp license status ID`,
	}, func(ctx context.Context, d desk, id string) (any, error) {
		return d.Status(ctx, id)
	})
}
