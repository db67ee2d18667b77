package main

import (
	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

func newPublicationsAddCommand(a *app) *cobra.Command {
	var server serverFlags
	var o recordOptions
	format := newRecordFormat()
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Add the record of a protected publication",
		Long: `Add the record of a publication that was protected elsewhere, so that licenses can
be made for it. lcp encrypt does this by itself. The content key is read from a
file, or is the encryption_key of --json.`,
		Example: `  lcp publications add --title "Moby-Dick" --href https://cdn.example.com/moby-dick.epub --size 769257 \
    --checksum edce32ca54c36aa73da9075098fc592fa29ff3e12406d1442544535d99dc1b87 \
    --content-type application/epub+zip --key-file moby-dick.key
  lcp publications add --json record.json --server https://lcp.example.com`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			record := o.record
			if err := o.apply(a, &record, cmd.Flags()); err != nil {
				return err
			}
			if record.UUID == "" {
				record.UUID = uuid.NewString()
			}
			d, closeAll, err := a.openDesk(cmd.Context(), &server)
			if err != nil {
				return err
			}
			defer closeAll()
			p, err := d.CreatePublication(cmd.Context(), record)
			if err != nil {
				return recordError(err)
			}
			return a.printRecord(format, withoutKey(p))
		},
	}
	cmd.Flags().StringVar(&o.record.UUID, "uuid", "", "identify the publication as `ID` (default: a new one)")
	cmd.Flags().StringVar(&o.keyFile, "key-file", "", "read the content key from `FILE`, 32 bytes in base64")
	o.addFlags(cmd.Flags())
	addRecordFormat(cmd.Flags(), &format)
	server.addFlags(cmd.Flags())
	return cmd
}
