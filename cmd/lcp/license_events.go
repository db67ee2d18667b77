package main

import (
	"context"
	"iter"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/api"
)

func newLicenseEventsCommand(a *app) *cobra.Command {
	o := newListOptions()
	cmd := &cobra.Command{
		Use:     "events LICENSE-ID",
		Short:   "List what happened to a license",
		Long:    `List what happened to a license, oldest first: registrations, renewals, its end.`,
		Example: `  lcp license events ID --format table`,
		Args:    cobra.ExactArgs(1),
	}
	o.addFormatFlag(cmd.Flags())
	return atDesk(a, cmd, func(ctx context.Context, d desk, args []string) error {
		events, err := d.Events(ctx, args[0])
		if err != nil {
			return err
		}
		header := []string{"TIME", "EVENT", "DEVICE", "NAME"}
		return printList(a, o, sequence(events), header, func(e api.Event) []string {
			return []string{dateText(&e.Timestamp), plain(e.Type), plain(e.DeviceID), plain(e.DeviceName)}
		})
	})
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
