package main

import (
	"github.com/spf13/cobra"
)

func newLicenseStatusCommand(a *app) *cobra.Command {
	var server serverFlags
	format := newRecordFormat()
	cmd := &cobra.Command{
		Use:   "status LICENSE-ID",
		Short: "Print the status document of a license",
		Long: `Print the status document of a license, as reading apps see it. A server needs no
credentials for it.`,
		Example: `  lcp license status ID`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, closeAll, err := a.openDesk(cmd.Context(), &server)
			if err != nil {
				return err
			}
			defer closeAll()
			doc, err := d.Status(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.printRecord(format, doc)
		},
	}
	addRecordFormat(cmd.Flags(), &format)
	server.addFlags(cmd.Flags())
	return cmd
}
