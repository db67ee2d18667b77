package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/client"
)

func newLicenseSearchCommand(a *app) *cobra.Command {
	var server serverFlags
	var q client.LicenseQuery
	devices := ""
	o := newListOptions()
	cmd := &cobra.Command{
		Use:   "search",
		Short: "Search licenses",
		Long:  `List the records of the licenses that match all that is given, newest first.`,
		Example: `  lcp license search --user u1
  lcp license search --publication ID --status active --devices 6:100`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if q.Devices, err = parseRange(devices); err != nil {
				return err
			}
			if q == (client.LicenseQuery{}) {
				return usagef("one of --user, --publication, --status, --device or --devices is needed: lcp license list prints all")
			}
			return a.listLicenses(cmd.Context(), &server, o, q)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&q.User, "user", "", "of the user `ID`")
	fs.StringVar(&q.Publication, "publication", "", "for the publication `ID`")
	fs.StringVar(&q.Status, "status", "", "in a `STATUS`: ready, active, expired, returned, revoked or cancelled")
	fs.StringVar(&q.Device, "device", "", "that the device `ID` is registered with")
	fs.StringVar(&devices, "devices", "", "with so many devices, `MIN:MAX`")
	o.addFlags(fs)
	server.addFlags(fs)
	return cmd
}

// parseRange reads MIN:MAX; empty text is no range.
func parseRange(text string) (*client.Range, error) {
	if text == "" {
		return nil, nil
	}
	least, most, ok := strings.Cut(text, ":")
	low, err1 := strconv.Atoi(least)
	high, err2 := strconv.Atoi(most)
	if !ok || err1 != nil || err2 != nil || low < 0 || high < low {
		return nil, usagef("--devices %q is not a range, as in 3:10", text)
	}
	return &client.Range{Min: low, Max: high}, nil
}
