package main

import (
	"context"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/api"
)

func newPublicationsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "publications",
		Short: "Manage the records of protected publications",
		Long: `List, look at, add, change and delete the records that licenses are made from: in
the local store, which lcp encrypt and lcp serve use too, or with --server (or
LCP_SERVER) on a license server. lcp license --help tells where credentials for a
server come from. Content keys are not printed.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(
		newPublicationsListCommand(a),
		newPublicationsGetCommand(a),
		newPublicationsSearchCommand(a),
		newPublicationsAddCommand(a),
		newPublicationsUpdateCommand(a),
		newPublicationsDeleteCommand(a),
	)
	return cmd
}

// withoutKey is the record as it is printed.
func withoutKey(p api.Publication) api.Publication {
	p.EncryptionKey = nil
	return p
}

// publicationBy looks for a publication by its UUID, or else by its alternative
// identifier.
func publicationBy(ctx context.Context, d desk, id string) (api.Publication, error) {
	if uuid.Validate(id) == nil {
		return d.Publication(ctx, id)
	}
	return d.PublicationByAltID(ctx, id)
}
