package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func newPublicationsUpdateCommand(a *app) *cobra.Command {
	var server serverFlags
	var o recordOptions
	format := newRecordFormat()
	cmd := &cobra.Command{
		Use:   "update ID",
		Short: "Change the record of a publication",
		Long: `Change what is given of the record of a publication, named by its uuid or its
alternative identifier, and leave the rest as it is. The content key cannot be
changed: licenses are made of it. Later licenses point to the file as the record
then has it.`,
		Example: `  lcp publications update ID --href https://cdn2.example.com/moby-dick.epub`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			d, closeAll, err := a.openDesk(ctx, &server)
			if err != nil {
				return err
			}
			defer closeAll()
			record, err := publicationBy(ctx, d, args[0])
			if err != nil {
				return err
			}
			id := record.UUID
			if err := o.apply(a, &record, cmd.Flags()); err != nil {
				return err
			}
			if !strings.EqualFold(record.UUID, id) {
				return usagef("--json is about publication %q, not %q", record.UUID, id)
			}
			p, err := d.UpdatePublication(ctx, record)
			if err != nil {
				return recordError(err)
			}
			return a.printRecord(format, withoutKey(p))
		},
	}
	o.addFlags(cmd.Flags())
	addRecordFormat(cmd.Flags(), &format)
	server.addFlags(cmd.Flags())
	return cmd
}
