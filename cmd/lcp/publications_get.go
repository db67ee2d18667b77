package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newPublicationsGetCommand(a *app) *cobra.Command {
	return showing(a, &cobra.Command{
		Use:   "get ID",
		Short: "Print the record of a publication",
		Long:  `Print the record of a publication, by its uuid or its alternative identifier.`,
		Example: `  lcp publications get 9788026874256
  lcp publications get ID --server https://lcp.example.com`,
	}, func(ctx context.Context, d desk, id string) (any, error) {
		p, err := publicationBy(ctx, d, id)
		return withoutKey(p), err
	})
}
