package licensing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
	"github.com/lcp-tools/lcp/pkg/wire"
)

// A Draft is a new license that is yet to be issued, once. It does not print.
type Draft struct {
	service *Service
	asked   api.LicenseRequest
	record  store.License
	request license.Request
}

// Draft returns a new license under an identifier, a UUID, for a publication that
// the caller has found; what the request says of publications does not matter.
// Faults are *license.FieldError, several joined; those of the document itself Issue
// finds, before it records anything.
func (s *Service) Draft(id string, pub store.Publication, r api.LicenseRequest) (*Draft, error) {
	uri, err := s.choose(r.Profile)
	if err != nil {
		return nil, err
	}
	play, err := playDuration(r.PlayDuration)
	if err != nil {
		return nil, err
	}
	now := s.Now().UTC().Truncate(time.Second)
	rec := store.License{
		UUID: id, PublicationUUID: pub.UUID, UserID: r.UserID,
		Provider: s.Provider, Profile: uri,
		Start: instant(r.Start), End: instant(r.End), Copy: wire.LimitIn(r.Copy), Print: wire.LimitIn(r.Print), PlayDuration: play,
		Status: string(status.Ready), StatusUpdated: now, Issued: now,
	}
	rec.MaxEnd = s.Policy.MaxEnd(status.Record{End: rec.End})
	d := &Draft{s, r, rec, newRequest(rec, pub, r)}
	if err := checkUserID(r.UserID); err != nil {
		return nil, errors.Join(err, d.request.Validate())
	}
	return d, nil
}

// Issue makes the license and records it, and with it that the token was spent
// which it is for, if that is not nil. The error is store.ErrSpent if it was
// before. After an error there is no license, and nothing is spent.
//
// If the license is there already, under the identifier of the draft and for the
// same token, it is issued once more, see GenerateAs.
func (d *Draft) Issue(ctx context.Context, token *store.Spending) (*license.Document, error) {
	doc, err := d.issue(ctx, token)
	if errors.Is(err, store.ErrSpent) {
		return d.again(ctx, err)
	}
	return doc, err
}

func (d *Draft) issue(ctx context.Context, token *store.Spending) (*license.Document, error) {
	if token != nil && d.service.Store.KnownSpent(*token) { // or a replay would have a license signed for nothing
		return nil, store.ErrSpent
	}
	doc, err := d.service.sign(ctx, d.request)
	if err != nil {
		return nil, err
	}
	if err := d.service.create(ctx, d.record, d.asked, token); err != nil {
		return nil, fmt.Errorf("record the license: %w", err)
	}
	return doc, nil
}

// again issues the license that an earlier request has spent the token for, or
// fails as that one does that is not the same request.
func (d *Draft) again(ctx context.Context, spent error) (*license.Document, error) {
	known, err := d.service.Store.License(ctx, d.record.UUID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && known.PublicationUUID != d.record.PublicationUUID:
		return nil, spent
	case err != nil:
		return nil, err
	}
	r := d.asked
	r.Profile = "" // as it was chosen then
	return d.service.Fresh(ctx, known.UUID, r)
}

// String keeps what is known of the user out of logs and error messages.
func (d *Draft) String() string { return "licensing.Draft(" + d.record.UUID + ")" }
