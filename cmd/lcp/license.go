package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/client"
	"github.com/lcp-tools/lcp/pkg/license"
)

func newLicenseCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "license",
		Short: "Issue and manage licenses",
		Long: `Issue licenses, look at them and revoke them: on the local store, which lcp encrypt
and lcp serve use too, or with --server (or LCP_SERVER) on a license server.

Credentials for a server are read from --credentials-file, which holds
user:password or a key, else from LCP_SERVER_USER and LCP_SERVER_PASSWORD or
LCP_SERVER_KEY, else from netrc (NETRC, or .netrc at home).`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(
		newLicenseGenerateCommand(a),
		newLicenseFreshCommand(a),
		newLicenseGetCommand(a),
		newLicenseListCommand(a),
		newLicenseSearchCommand(a),
		newLicenseRevokeCommand(a),
		newLicenseEventsCommand(a),
		newLicenseStatusCommand(a),
		newLicenseEmbedCommand(a),
	)
	return cmd
}

// writeLicense puts a license where it is wanted.
func (a *app) writeLicense(doc *license.Document, out string) error {
	if out == "" {
		_, err := a.out.Write(append(doc.JSON(), '\n'))
		return err
	}
	if err := writeWhole(out, append(doc.JSON(), '\n')); err != nil {
		return fmt.Errorf("write the license: %w", err)
	}
	a.notef("license %s -> %s", doc.ID, out)
	return nil
}

// issueError says that a license was not issued, and of faults of the request
// which flag sets the field.
func issueError(err error) error {
	flags := map[string]string{
		"user_id": "--user", "text_hint": "--hint", "pass_hash": "--passphrase-file", "publication_id": "--publication",
		"user_encrypted": "--encrypt", "user_name": "--user-name", "user_email": "--user-email", "alt_id": "--alt-id",
	}
	var field *license.FieldError
	var refused *client.Error
	name := ""
	switch {
	case errors.As(err, &field):
		name = field.Field
	case errors.As(err, &refused) && len(refused.Fields) > 0:
		name = refused.Fields[0].Field
	}
	err = fmt.Errorf("issue a license: %w", err)
	if flags[name] == "" {
		return err
	}
	return &hinted{err, fmt.Sprintf("%s is set by %s", name, flags[name])}
}
