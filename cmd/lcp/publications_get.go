package main

import (
	"github.com/spf13/cobra"
)

func newPublicationsGetCommand(a *app) *cobra.Command {
	var server serverFlags
	format := newRecordFormat()
	cmd := &cobra.Command{
		Use:   "get ID",
		Short: "Print the record of a publication",
		Long:  `Print the record of a publication, by its uuid or its alternative identifier.`,
		Example: `  lcp publications get 9788026874256
  lcp publications get ID --server https://lcp.example.com`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, closeAll, err := a.openDesk(cmd.Context(), &server)
			if err != nil {
				return err
			}
			defer closeAll()
			p, err := publicationBy(cmd.Context(), d, args[0])
			if err != nil {
				return err
			}
			return a.printRecord(format, withoutKey(p))
		},
	}
	addRecordFormat(cmd.Flags(), &format)
	server.addFlags(cmd.Flags())
	return cmd
}
