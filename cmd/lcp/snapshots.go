package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newSnapshotsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "snapshots",
		Short: "Remove what is kept of users for fresh licenses",
		Long: `Where snapshot_users is switched on, what a license says of its user is kept,
sealed with the master key, so that the gateway can deliver the license again:
name, e-mail address, hint and the hash of the passphrase. These commands remove it.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(newSnapshotsDeleteCommand(a))
	return cmd
}

func newSnapshotsDeleteCommand(a *app) *cobra.Command {
	var server serverFlags
	var all bool
	var provider string
	cmd := &cobra.Command{
		Use:   "delete USER-ID | --all",
		Short: "Remove what is kept of a user, or of all",
		Long: `Remove what is kept of a user, or of all, in the local store or with --server (or
LCP_SERVER) on a license server. Licenses stay as they are; for a fresh one the
user's data has to come from somewhere else then.`,
		Example: `  lcp snapshots delete u-4711
  lcp snapshots delete --all --provider library`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) == 1) || !all && args[0] == "" {
				return usagef("name a user, or say --all")
			}
			d, closeAll, err := a.openDesk(cmd.Context(), &server)
			if err != nil {
				return err
			}
			defer closeAll()
			user := ""
			if !all {
				user = args[0]
			}
			n, err := d.DeleteSnapshots(cmd.Context(), user, provider)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, n)
			a.notef("data of users of %d licenses is removed", n)
			return err
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "remove what is kept of all users")
	cmd.Flags().StringVar(&provider, "provider", "", "mean the licenses of the provider `ID` alone")
	server.addFlags(cmd.Flags())
	return cmd
}
