package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/protect"
)

func newLicenseEmbedCommand(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "embed LICENSE PUBLICATION",
		Short: "Put a license into its protected publication",
		Long: `Put a license into the protected publication that it is for, so that the one file
is all a user needs. A license that is there already is replaced.`,
		Example: `  lcp license embed book.lcpl shelf/ID.epub --out book.epub`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return usagef("--out is missing")
			}
			return a.embed(cmd.Context(), args[0], args[1], out)
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "write the publication to `FILE`, which may be PUBLICATION itself")
	return cmd
}

func (a *app) embed(ctx context.Context, licenseFile, publicationFile, out string) error {
	doc, err := readLicense(licenseFile)
	if err != nil {
		return err
	}
	pkg, err := protect.OpenPackage(publicationFile)
	if err != nil {
		return fmt.Errorf("%s: %w", publicationFile, err)
	}
	defer pkg.Close()
	if link, ok := doc.Link(license.RelPublication); ok && link.Type != pkg.Format.MediaType {
		return fmt.Errorf("%s is for a publication of type %s, and %s is one of type %s", licenseFile, link.Type, publicationFile, pkg.Format.MediaType)
	}
	if err := pkg.Embed(ctx, doc.JSON(), out); err != nil {
		return fmt.Errorf("embed the license in %s: %w", publicationFile, err)
	}
	a.notef("%s with license %s -> %s", publicationFile, doc.ID, out)
	return nil
}

// readLicense reads a license document from a file.
func readLicense(name string) (*license.Document, error) {
	data, err := readLicenseFile(name)
	if err != nil {
		return nil, err
	}
	doc, err := license.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return doc, nil
}

// readLicenseFile reads no more of a file than a license may have, and a byte to
// tell that it has more.
func readLicenseFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, license.MaxSize+1))
}
