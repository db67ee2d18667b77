package main

import (
	"iter"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/api"
)

func newLicenseEventsCommand(a *app) *cobra.Command {
	var server serverFlags
	o := newListOptions()
	cmd := &cobra.Command{
		Use:     "events LICENSE-ID",
		Short:   "List what happened to a license",
		Long:    `List what happened to a license, oldest first: registrations, renewals, its end.`,
		Example: `  lcp license events ID --format table`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, closeAll, err := a.openDesk(cmd.Context(), &server)
			if err != nil {
				return err
			}
			defer closeAll()
			events, err := d.Events(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			header := []string{"TIME", "EVENT", "DEVICE", "NAME"}
			return printList(a, o, sequence(events), header, func(e api.Event) []string {
				return []string{dateText(&e.Timestamp), plain(e.Type), plain(e.DeviceID), plain(e.DeviceName)}
			})
		},
	}
	o.addFormatFlag(cmd.Flags())
	server.addFlags(cmd.Flags())
	return cmd
}

// sequence makes a list of what is there already.
func sequence[T any](list []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}
