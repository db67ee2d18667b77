package legacy

import (
	"context"
	"iter"
	"slices"

	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
	"github.com/lcp-tools/lcp/pkg/wire"
)

// v2 is the LCP Server v2. Its tables have a column deleted_at for what was
// deleted, and updated_at, which every change of a row sets. Copy and print are -1
// for no limit. Publications were once found at a location, now href, and had a
// provider_uri.
type v2 struct {
	db                    *store.Foreign
	books, loans, happens query // publications, licenses, events
	hasEvents             bool
}

func openV2(db *store.Foreign, have map[string]table) (*Source, error) {
	books, loans, events := have["publications"], have["license_infos"], have["events"]
	if err := books.require("publications", "id", "uuid", "encryption_key"); err != nil {
		return nil, err
	}
	if err := loans.require("license_infos", "id", "uuid", "publication_id", "status"); err != nil {
		return nil, err
	}
	v := &v2{db: db, hasEvents: events.has("license_id")}
	v.books = query{db: db, from: "publications p", key: 1, columns: slices.Concat(
		books.columns("p", "id", "uuid", "created_at", "updated_at", "deleted_at", "alt_id", "content_type", "title", "description",
			"authors", "publishers", "cover_url", "encryption_key", "size", "checksum"),
		[]column{books.column("p", "href", "location"), books.column("p", "provider", "provider_uri"), {"alt_id_of", "NULL"}},
	)}
	if books.has("alt_id") && books.has("deleted_at") {
		// Several may have one alternative identifier: the newest is found by it.
		v.books.columns[len(v.books.columns)-1].text = "CASE WHEN p.alt_id <> '' THEN (SELECT MAX(n.id) FROM publications n " +
			"WHERE n.alt_id = p.alt_id AND n.deleted_at IS NULL) END"
	}
	v.loans = query{db: db, from: "license_infos l", key: 1, columns: loans.columns("l", "id", "uuid", "created_at", "updated_at", "deleted_at", "updated",
		"provider", "user_id", "start", "end", "max_end", "copy", "print", "status", "status_updated", "device_count", "publication_id")}
	v.happens = query{db: db, from: "events e", columns: events.columns("e", "id", "license_id", "timestamp", "type", "device_name", "device_id")}
	return &Source{schema: v, name: "LCP Server v2"}, nil
}

func (v *v2) count(ctx context.Context) (publications, licenses int64, err error) {
	if publications, err = count(ctx, v.db, "publications"); err != nil {
		return 0, 0, err
	}
	licenses, err = count(ctx, v.db, "license_infos")
	return publications, licenses, err
}

func (v *v2) publications(ctx context.Context) iter.Seq2[Publication, error] {
	return func(yield func(Publication, error) bool) {
		for page, err := range v.books.pages(ctx) {
			if err != nil {
				yield(Publication{}, err)
				return
			}
			for i := range page {
				if !yield(v.publication(&page[i]), nil) {
					return
				}
			}
		}
	}
}

func (v *v2) publication(r *row) Publication {
	size, _ := r.number("size")
	p := Publication{Publication: store.Publication{
		UUID: r.id("uuid"), AltID: r.text("alt_id"), Provider: r.text("provider"), Title: r.text("title"),
		Authors: wire.SplitNames(r.text("authors")), Publishers: wire.SplitNames(r.text("publishers")), Description: r.text("description"),
		ContentType: r.text("content_type"), Href: address(r.text("href")), Size: size, Checksum: r.checksum("checksum"),
		CoverURL: address(r.text("cover_url")), ContentKey: r.contentKey("encryption_key"),
		CreatedAt: r.date("created_at"), UpdatedAt: r.date("updated_at"), DeletedAt: r.date("deleted_at"),
	}}
	if newest := r.text("alt_id_of"); newest != "" && newest != r.text("id") && p.DeletedAt.IsZero() {
		p.AltID = ""
	}
	p.Fault = r.err()
	return p
}

func (v *v2) licenses(ctx context.Context) iter.Seq2[License, error] {
	return func(yield func(License, error) bool) {
		for page, err := range v.loans.pages(ctx) {
			var events map[string][]row
			if err == nil {
				events, err = v.events(ctx, page)
			}
			if err != nil {
				yield(License{}, err)
				return
			}
			for i := range page {
				if !yield(v.license(&page[i], events[page[i].text("uuid")]), nil) {
					return
				}
			}
		}
	}
}

// events returns what happened to the licenses of a page, by their identifiers.
func (v *v2) events(ctx context.Context, page []row) (map[string][]row, error) {
	if !v.hasEvents {
		return nil, nil
	}
	ids := make([]any, len(page))
	for i := range page {
		ids[i] = page[i].text("uuid")
	}
	rows, err := v.happens.lookup(ctx, "license_id", ids, " ORDER BY e.id")
	return grouped(rows, "license_id"), err
}

func (v *v2) license(r *row, events []row) License {
	l := License{ForeignLicense: store.ForeignLicense{
		License: store.License{
			UUID: r.id("uuid"), PublicationUUID: r.id("publication_id"), UserID: r.text("user_id"), Provider: r.text("provider"),
			Start: r.date("start"), End: r.date("end"), MaxEnd: r.date("max_end"), Copy: r.limit("copy"), Print: r.limit("print"),
			Status: r.text("status"), StatusUpdated: r.date("status_updated"), Issued: r.date("created_at"), Updated: r.date("updated"),
		},
		Changed: r.date("updated_at"),
	}}
	if deleted := r.date("deleted_at"); !deleted.IsZero() {
		l.Deleted, l.Changed = true, deleted
	}
	l.Devices, _ = r.number("device_count")
	if _, err := status.ParseState(l.Status); err != nil {
		r.fault("status", "%q is not known", l.Status)
	}
	for i := range events {
		kind := events[i].text("type")
		switch kind {
		case "renewed":
			kind = status.EventRenew
		case status.EventRegister, status.EventRenew, status.EventReturn, status.EventRevoke, status.EventCancel:
		default:
			kind = ""
		}
		l.add(&events[i], kind)
	}
	l.settle()
	l.Fault = r.err()
	return l
}
