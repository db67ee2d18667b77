package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newLicenseRevokeCommand(a *app) *cobra.Command {
	return showing(a, &cobra.Command{
		Use:   "revoke LICENSE-ID",
		Short: "Revoke a license",
		Long: `End a license at once, and print its status document. A license that no device has
used is cancelled, any other revoked. Reading apps learn it when they next ask for
the status of the license. There is no way back.`,
		Example: `  lcp license revoke ID`,
	}, func(ctx context.Context, d desk, id string) (any, error) {
		doc, err := d.RevokeLicense(ctx, id)
		if err != nil {
			return nil, err
		}
		a.notef("license %s is %s", plain(doc.ID), plain(doc.Status))
		return doc, nil
	})
}
