package main

import (
	"github.com/spf13/cobra"
)

func newLicenseGetCommand(a *app) *cobra.Command {
	var server serverFlags
	format := newRecordFormat()
	cmd := &cobra.Command{
		Use:     "get LICENSE-ID",
		Short:   "Print the record of a license",
		Example: `  lcp license get ID --format text`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, closeAll, err := a.openDesk(cmd.Context(), &server)
			if err != nil {
				return err
			}
			defer closeAll()
			info, err := d.LicenseInfo(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.printRecord(format, info)
		},
	}
	addRecordFormat(cmd.Flags(), &format)
	server.addFlags(cmd.Flags())
	return cmd
}
