package main

import (
	"github.com/spf13/cobra"
)

func newLicenseRevokeCommand(a *app) *cobra.Command {
	var server serverFlags
	format := newRecordFormat()
	cmd := &cobra.Command{
		Use:   "revoke LICENSE-ID",
		Short: "Revoke a license",
		Long: `End a license at once, and print its status document. A license that no device has
used is cancelled, any other revoked. Reading apps learn it when they next ask for
the status of the license. There is no way back.`,
		Example: `  lcp license revoke ID`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, closeAll, err := a.openDesk(cmd.Context(), &server)
			if err != nil {
				return err
			}
			defer closeAll()
			doc, err := d.RevokeLicense(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			a.notef("license %s is %s", plain(doc.ID), plain(doc.Status))
			return a.printRecord(format, doc)
		},
	}
	addRecordFormat(cmd.Flags(), &format)
	server.addFlags(cmd.Flags())
	return cmd
}
