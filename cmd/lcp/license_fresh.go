package main

import (
	"github.com/spf13/cobra"
)

func newLicenseFreshCommand(a *app) *cobra.Command {
	var o licenseOptions
	cmd := &cobra.Command{
		Use:   "fresh LICENSE-ID",
		Short: "Issue a license again, as it stands now",
		Long: `Issue an existing license again, with its present rights and the publication as
it is now. The user's data and passphrase are not kept, so they are given again.`,
		Example: `  lcp license fresh ID --user u1 --passphrase-file p --hint "Your library card" --out book.lcpl`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := o.merged(a, cmd.Flags())
			if err != nil {
				return err
			}
			if err := o.readPassphrase(a, &r); err != nil {
				return err
			}
			d, closeAll, err := a.openIssuingDesk(cmd.Context(), &o.server)
			if err != nil {
				return err
			}
			defer closeAll()
			doc, err := d.FreshLicense(cmd.Context(), args[0], r)
			if err != nil {
				return issueError(err)
			}
			return a.writeLicense(doc, o.out)
		},
	}
	o.addUserFlags(cmd.Flags())
	o.addOutFlag(cmd.Flags())
	o.server.addFlags(cmd.Flags())
	return cmd
}
