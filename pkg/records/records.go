// Package records does with the local store what a client does with a license
// server: it lists and changes publications and licenses in the words of the
// License API, so that a program need not care which of the two it works on.
//
// The rules are those of the packages below: licensing issues, status moves,
// store keeps.
package records

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/client"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/licensing"
	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
	"github.com/lcp-tools/lcp/pkg/wire"
)

// Local has the methods of client.Client, on the local store. All fields are
// required.
type Local struct {
	Store     *store.Store
	Licensing *licensing.Services
	Now       func() time.Time
}

// fileURLs is a scheme that a local record may point to, unlike a server's: it is
// what lcp encrypt makes without a public address.
const fileURLs = "file"

// pageSize is how many records are read at once.
const pageSize = 200

// CreatePublication adds the record of a publication, with its content key.
// Faults of fields are *license.FieldError, several joined.
func (l *Local) CreatePublication(ctx context.Context, in api.Publication) (api.Publication, error) {
	p, err := wire.PublicationIn(&in, fileURLs)
	if err != nil {
		return api.Publication{}, err
	}
	if p, err = l.Store.CreatePublication(ctx, p); err != nil {
		return api.Publication{}, err
	}
	if err := l.audit(ctx, "publication created", p.UUID); err != nil {
		return api.Publication{}, err
	}
	return wire.PublicationOut(&p), nil
}

// Publication returns a publication, without its content key.
func (l *Local) Publication(ctx context.Context, id string) (api.Publication, error) {
	p, err := l.Store.Publication(ctx, strings.ToLower(id))
	if err != nil {
		return api.Publication{}, err
	}
	return wire.PublicationOut(&p), nil
}

// PublicationByAltID is Publication by the alternative identifier.
func (l *Local) PublicationByAltID(ctx context.Context, altID string) (api.Publication, error) {
	p, err := l.Store.PublicationByAltID(ctx, altID)
	if err != nil {
		return api.Publication{}, err
	}
	return wire.PublicationOut(&p), nil
}

// UpdatePublication replaces the record with the UUID of in. The content key
// stays: licenses are made of it.
func (l *Local) UpdatePublication(ctx context.Context, in api.Publication) (api.Publication, error) {
	p, err := l.Store.UpdatePublication(ctx, strings.ToLower(in.UUID), func(old store.Publication) (store.Publication, error) {
		if len(in.EncryptionKey) == 0 {
			in.EncryptionKey = old.ContentKey[:]
		}
		next, err := wire.PublicationIn(&in, fileURLs)
		if err != nil {
			return old, err
		}
		if next.ContentKey != old.ContentKey {
			return old, store.ErrKeyChanged
		}
		next.Languages, next.Published = old.Languages, old.Published
		return next, nil
	})
	if err != nil {
		return api.Publication{}, err
	}
	if err := l.audit(ctx, "publication updated", p.UUID); err != nil {
		return api.Publication{}, err
	}
	return wire.PublicationOut(&p), nil
}

// DeletePublication deletes a publication: no license can be made for it any
// more, and those that there are live on.
func (l *Local) DeletePublication(ctx context.Context, id string) error {
	id = strings.ToLower(id)
	if err := l.Store.DeletePublication(ctx, id); err != nil {
		return err
	}
	return l.audit(ctx, "publication deleted", id)
}

// Publications lists publications, newest first, without their content keys.
func (l *Local) Publications(ctx context.Context, q client.PublicationQuery) iter.Seq2[api.Publication, error] {
	var f store.PublicationFilter
	if q.Format != "" {
		var err error
		if f.ContentType, err = wire.FormatType(q.Format); err != nil {
			return failing[api.Publication](fmt.Errorf("format %w", err))
		}
	}
	return list(func(after store.Cursor) ([]store.Publication, store.Cursor, error) {
		return l.Store.Publications(ctx, f, store.Page{After: after, Limit: pageSize})
	}, wire.PublicationOut)
}

// GenerateLicense issues a new license. Requests under the same key lead to one
// license: the identifier of the license comes from the key. With an empty key
// there is a new license each time.
func (l *Local) GenerateLicense(ctx context.Context, r api.LicenseRequest, key string) (*license.Document, error) {
	if key == "" {
		return l.Licensing.Generate(ctx, r)
	}
	id := uuid.NewSHA1(keyNamespace, []byte(key))
	return l.Licensing.GenerateAs(ctx, id.String(), r)
}

// keyNamespace sets identifiers that come from keys apart from all others
// (RFC 9562 §5.5).
var keyNamespace = uuid.MustParse("9a3f6d1e-5c0b-4f0e-8a57-3d1f2b6c7e84")

// FreshLicense issues a license again, as it stands now.
func (l *Local) FreshLicense(ctx context.Context, id string, r api.LicenseRequest) (*license.Document, error) {
	return l.Licensing.Fresh(ctx, id, r)
}

// LicenseInfo returns the record of a license.
func (l *Local) LicenseInfo(ctx context.Context, id string) (api.LicenseInfo, error) {
	rec, err := l.Store.License(ctx, strings.ToLower(id))
	if err != nil {
		return api.LicenseInfo{}, err
	}
	return wire.LicenseOut(&rec, l.Now()), nil
}

// Licenses lists records of licenses, newest first.
func (l *Local) Licenses(ctx context.Context, q client.LicenseQuery) iter.Seq2[api.LicenseInfo, error] {
	if q.Status != "" {
		if _, err := status.ParseState(q.Status); err != nil {
			return failing[api.LicenseInfo](err)
		}
	}
	f := store.LicenseFilter{
		UserID: q.User, PublicationUUID: strings.ToLower(q.Publication), Status: q.Status, DeviceID: q.Device,
	}
	if q.Devices != nil {
		f.CountDevices, f.MinDevices, f.MaxDevices = true, q.Devices.Min, q.Devices.Max
	}
	return list(func(after store.Cursor) ([]store.License, store.Cursor, error) {
		return l.Store.Licenses(ctx, f, store.Page{After: after, Limit: pageSize})
	}, func(rec *store.License) api.LicenseInfo { return wire.LicenseOut(rec, l.Now()) })
}

// Events returns what happened to a license, oldest first.
func (l *Local) Events(ctx context.Context, id string) ([]api.Event, error) {
	_, events, err := l.Store.LicenseHistory(ctx, strings.ToLower(id))
	if err != nil {
		return nil, err
	}
	return wire.EventsOut(events), nil
}

// RevokeLicense ends a license, or cancels it if no device has used it, and
// returns how it then stands.
func (l *Local) RevokeLicense(ctx context.Context, id string) (*client.StatusDocument, error) {
	rec, events, err := l.Store.ChangeLicense(ctx, strings.ToLower(id), "",
		func(rec store.License, _ bool) (store.License, []store.Event, error) {
			next, events := status.Revoke(rec.Standing(), l.Now())
			return rec.Moved(next), events, nil
		})
	if err != nil {
		return nil, err
	}
	if err := l.audit(ctx, "license revoked", rec.UUID); err != nil {
		return nil, err
	}
	return l.document(ctx, &rec, events)
}

// DeleteSnapshots removes what is kept of a user for fresh licenses, or of all
// users if user is empty, and returns of how many licenses that was. provider is
// the identifier of the one whose licenses are meant; if it is empty, all are.
func (l *Local) DeleteSnapshots(ctx context.Context, user, provider string) (int64, error) {
	f := store.SnapshotFilter{UserID: user}
	if provider != "" {
		p, err := l.Licensing.Providers().ByID(ctx, provider)
		if err != nil {
			return 0, err
		}
		f.Provider = p.URI
	}
	n, err := l.Store.DeleteSnapshots(ctx, f)
	if err != nil {
		return 0, err
	}
	return n, l.audit(ctx, "user data removed", user)
}

// Status returns the status document of a license as reading apps would see it.
func (l *Local) Status(ctx context.Context, id string) (*client.StatusDocument, error) {
	rec, events, err := l.Store.LicenseHistory(ctx, strings.ToLower(id))
	if err != nil {
		return nil, err
	}
	return l.document(ctx, &rec, events)
}

func (l *Local) document(ctx context.Context, rec *store.License, events []store.Event) (*client.StatusDocument, error) {
	service, err := l.Licensing.ByURI(ctx, rec.Provider)
	if err != nil {
		return nil, err
	}
	doc, err := service.Documents.Append(nil, rec.Standing(), events, status.Match(""), l.Now())
	if err != nil {
		return nil, fmt.Errorf("status document of license %q: %w", rec.UUID, err)
	}
	return client.ParseStatusDocument(doc)
}

// audit writes down an administrative act.
func (l *Local) audit(ctx context.Context, action, target string) error {
	return l.Store.Audit(ctx, store.AuditEntry{Actor: localActor, Action: action, Target: target})
}

// localActor is who acts, to the audit log: someone on this machine, who needs no
// account.
const localActor = "(local)"

// list reads records, a page at a time.
func list[T, O any](read func(after store.Cursor) ([]T, store.Cursor, error), out func(*T) O) iter.Seq2[O, error] {
	return func(yield func(O, error) bool) {
		var after store.Cursor
		for {
			page, next, err := read(after)
			if err != nil {
				var zero O
				yield(zero, err)
				return
			}
			for i := range page {
				if !yield(out(&page[i]), nil) {
					return
				}
			}
			if next == 0 {
				return
			}
			after = next
		}
	}
}

// failing is a list that begins and ends with an error.
func failing[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		yield(zero, err)
	}
}
