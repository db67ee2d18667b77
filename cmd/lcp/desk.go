package main

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/client"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/records"
)

// A desk is where commands work on publications, licenses and providers: a license
// server, or the local store.
type desk interface {
	CreatePublication(ctx context.Context, p api.Publication) (api.Publication, error)
	Publication(ctx context.Context, uuid string) (api.Publication, error)
	PublicationByAltID(ctx context.Context, altID string) (api.Publication, error)
	UpdatePublication(ctx context.Context, p api.Publication) (api.Publication, error)
	DeletePublication(ctx context.Context, uuid string) error
	Publications(ctx context.Context, q client.PublicationQuery) iter.Seq2[api.Publication, error]

	GenerateLicense(ctx context.Context, r api.LicenseRequest, key string) (*license.Document, error)
	FreshLicense(ctx context.Context, id string, r api.LicenseRequest) (*license.Document, error)
	LicenseInfo(ctx context.Context, id string) (api.LicenseInfo, error)
	Licenses(ctx context.Context, q client.LicenseQuery) iter.Seq2[api.LicenseInfo, error]
	Events(ctx context.Context, id string) ([]api.Event, error)
	RevokeLicense(ctx context.Context, id string) (*client.StatusDocument, error)
	Status(ctx context.Context, id string) (*client.StatusDocument, error)

	Providers(ctx context.Context) ([]json.RawMessage, error)
	Provider(ctx context.Context, id string) (json.RawMessage, error)
	CreateProvider(ctx context.Context, document json.RawMessage) (json.RawMessage, error)
	UpdateProvider(ctx context.Context, id string, document json.RawMessage) (json.RawMessage, error)
	DeleteProvider(ctx context.Context, id string) error
	Secrets(ctx context.Context, provider string) ([]api.Secret, error)
	AddSecret(ctx context.Context, provider string, r api.SecretRequest) (api.Secret, error)
	MoveSecret(ctx context.Context, provider, keyID, state string) (api.Secret, error)
	Templates(ctx context.Context, provider string) ([]string, error)
	Template(ctx context.Context, provider, name string) (json.RawMessage, error)
	SaveTemplate(ctx context.Context, provider, name string, document json.RawMessage) error
	DeleteTemplate(ctx context.Context, provider, name string) error
	DeleteSnapshots(ctx context.Context, user, provider string) (int64, error)
}

// openDesk opens what a command works on. The caller calls close.
func (a *app) openDesk(ctx context.Context, s *serverFlags) (d desk, closeAll func(), err error) {
	if s.address() != "" {
		c, err := s.client()
		return c, func() {}, err
	}
	if err := s.check(); err != nil {
		return nil, nil, err
	}
	c, err := a.config()
	if err != nil {
		return nil, nil, err
	}
	i, err := a.licensingFor(ctx, c, issuingOptions{})
	if err != nil {
		return nil, nil, err
	}
	return &records.Local{Store: i.store, Licensing: i.Services, Now: time.Now}, i.close, nil
}

// openIssuingDesk is openDesk for commands that issue licenses, for which the
// local store needs a certificate as well.
func (a *app) openIssuingDesk(ctx context.Context, s *serverFlags) (d desk, closeAll func(), err error) {
	if s.address() != "" {
		return a.openDesk(ctx, s)
	}
	if err := s.check(); err != nil {
		return nil, nil, err
	}
	c, err := a.config()
	if err != nil {
		return nil, nil, err
	}
	i, err := a.licensing(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	return &records.Local{Store: i.store, Licensing: i.Services, Now: time.Now}, i.close, nil
}

// atDesk completes a command that works at a desk, and gives it the flags that say
// at which.
func atDesk(a *app, cmd *cobra.Command, work func(ctx context.Context, d desk, args []string) error) *cobra.Command {
	var server serverFlags
	server.addFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		d, closeAll, err := a.openDesk(cmd.Context(), &server)
		if err != nil {
			return err
		}
		defer closeAll()
		return work(cmd.Context(), d, args)
	}
	return cmd
}

// atDeskOf is atDesk for commands that work for one provider, whose ID work is given.
func atDeskOf(a *app, cmd *cobra.Command, work func(ctx context.Context, d desk, provider string, args []string) error) *cobra.Command {
	var id string
	addWorkForFlag(cmd.Flags(), &id)
	return atDesk(a, cmd, func(ctx context.Context, d desk, args []string) error { return work(ctx, d, id, args) })
}

// showing completes a command that prints the one record that its argument names.
func showing(a *app, cmd *cobra.Command, get func(ctx context.Context, d desk, id string) (any, error)) *cobra.Command {
	format := newRecordFormat()
	addRecordFormat(cmd.Flags(), &format)
	cmd.Args = cobra.ExactArgs(1)
	return atDesk(a, cmd, func(ctx context.Context, d desk, args []string) error {
		record, err := get(ctx, d, args[0])
		if err != nil {
			return err
		}
		return a.printRecord(format, record)
	})
}
