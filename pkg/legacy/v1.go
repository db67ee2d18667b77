package legacy

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
)

// v1 is the Readium LCP Server v1: a license server that keeps publications and
// licenses, and a status server beside it. Of a publication it knows no title; its
// location is a URL or, where the server itself stored the file, the name that the
// file had. Copy and print are NULL for no limit.
type v1 struct {
	records           *store.Foreign
	books, loans      query // content, license
	statuses, happens query // license_status, event, of the status server
}

// v1States are the states of license_status, one bit each.
var v1States = map[int64]status.State{
	1: status.Ready, 2: status.Active, 4: status.Revoked, 8: status.Returned, 16: status.Cancelled, 32: status.Expired,
}

// v1Events are the types of event.
var v1Events = map[int64]string{
	1: status.EventRegister, 2: status.EventRevoke, 3: status.EventReturn, 4: status.EventCancel, 6: status.EventRenew,
}

func openV1(ctx context.Context, records, statuses *store.Foreign, have map[string]table) (*Source, error) {
	states, events := have["license_status"], have["event"]
	if statuses == nil {
		if !states.has("license_ref") {
			return nil, fmt.Errorf("%w: %s has no table license_status, so that it does not tell which licenses were revoked or returned: "+
				"name the database of the status server with --status-from", ErrSource, records)
		}
		statuses = records
	} else {
		other, err := tablesOf(ctx, statuses, "license_status", "event")
		if err != nil {
			return nil, err
		}
		if states, events = other["license_status"], other["event"]; !states.has("license_ref") {
			return nil, fmt.Errorf("%w: %s has no table license_status, as that of the status server of a Readium LCP Server v1 has", ErrSource, statuses)
		}
	}
	books, loans := have["content"], have["license"]
	for _, needed := range []struct {
		table   table
		name    string
		columns []string
	}{
		{books, "content", []string{"id", "encryption_key"}},
		{loans, "license", []string{"id", "content_fk", "issued"}},
		{states, "license_status", []string{"id", "license_ref", "status"}},
		{events, "event", []string{"id", "license_status_fk", "type"}},
	} {
		if err := needed.table.require(needed.name, needed.columns...); err != nil {
			return nil, err
		}
	}
	v := &v1{records: records}
	// By their identifiers, of licenses within the dates of issue, where nothing
	// tells in which order they came.
	bookKey, loanKey, loanOrder := []column(nil), []column{{"issued", "l.issued"}}, 2
	if arrival := records.Arrival(); arrival != "" {
		bookKey, loanKey, loanOrder = []column{{"arrival", "c." + arrival}}, []column{{"arrival", "l." + arrival}}, 1
	}
	v.books = query{db: records, from: "content c", key: 1, columns: slices.Concat(bookKey,
		books.columns("c", "id", "encryption_key", "location", "length", "sha256", "type"))}
	v.loans = query{db: records, from: "license l", key: loanOrder, columns: slices.Concat(loanKey,
		loans.columns("l", "id", "user_id", "provider", "issued", "updated", "rights_print", "rights_copy", "rights_start", "rights_end", "content_fk"))}
	v.statuses = query{db: statuses, from: "license_status s", columns: states.columns("s", "id", "license_ref", "status", "license_updated",
		"status_updated", "device_count", "potential_rights_end")}
	v.happens = query{db: statuses, from: "event e", columns: events.columns("e", "id", "license_status_fk", "timestamp", "type", "device_name", "device_id")}
	return &Source{schema: v, name: "Readium LCP Server v1"}, nil
}

func (v *v1) count(ctx context.Context) (publications, licenses int64, err error) {
	if publications, err = count(ctx, v.records, "content"); err != nil {
		return 0, 0, err
	}
	licenses, err = count(ctx, v.records, "license")
	return publications, licenses, err
}

func (v *v1) publications(ctx context.Context) iter.Seq2[Publication, error] {
	return func(yield func(Publication, error) bool) {
		for page, err := range v.books.pages(ctx) {
			if err != nil {
				yield(Publication{}, err)
				return
			}
			for i := range page {
				r := &page[i]
				size, _ := r.number("length")
				p := Publication{Publication: store.Publication{
					UUID: r.id("id"), ContentType: r.text("type"), Href: address(r.text("location")), Size: size,
					Checksum: r.checksum("sha256"), ContentKey: r.contentKey("encryption_key"),
				}}
				if p.Href == "" {
					p.File = r.text("id")
				}
				p.Fault = r.err()
				if !yield(p, nil) {
					return
				}
			}
		}
	}
}

func (v *v1) licenses(ctx context.Context) iter.Seq2[License, error] {
	return func(yield func(License, error) bool) {
		for page, err := range v.loans.pages(ctx) {
			var states map[string]*row
			var events map[string][]row
			if err == nil {
				states, err = v.states(ctx, page)
			}
			if err == nil {
				events, err = v.events(ctx, states)
			}
			if err != nil {
				yield(License{}, err)
				return
			}
			for i := range page {
				state := states[page[i].text("id")]
				var happened []row
				if state != nil {
					happened = events[state.text("id")]
				}
				if !yield(v.license(&page[i], state, happened), nil) {
					return
				}
			}
		}
	}
}

// states returns the rows of license_status for a page, by license. Of several for
// one license the newest counts.
func (v *v1) states(ctx context.Context, page []row) (map[string]*row, error) {
	ids := make([]any, len(page))
	for i := range page {
		ids[i] = page[i].text("id")
	}
	rows, err := v.statuses.lookup(ctx, "license_ref", ids, " ORDER BY s.id")
	states := make(map[string]*row, len(rows))
	for i := range rows {
		states[rows[i].text("license_ref")] = &rows[i]
	}
	return states, err
}

// events returns what happened to licenses, by the identifiers of their states.
func (v *v1) events(ctx context.Context, states map[string]*row) (map[string][]row, error) {
	var ids []any
	for _, s := range states {
		ids = append(ids, s.cell("id"))
	}
	rows, err := v.happens.lookup(ctx, "license_status_fk", ids, " ORDER BY e.id")
	return grouped(rows, "license_status_fk"), err
}

// license returns a license with its state, nil if the status server was never
// told of it: to reading apps it is one that nobody has opened.
func (v *v1) license(r, state *row, events []row) License {
	l := License{ForeignLicense: store.ForeignLicense{License: store.License{
		UUID: r.id("id"), PublicationUUID: r.id("content_fk"), UserID: r.text("user_id"), Provider: r.text("provider"),
		Start: r.date("rights_start"), End: r.date("rights_end"), Copy: r.limit("rights_copy"), Print: r.limit("rights_print"),
		Status: string(status.Ready), Issued: r.date("issued"), Updated: r.date("updated"),
	}}}
	if state == nil {
		l.Unseen = true
		l.settle()
		l.Fault = r.err()
		return l
	}
	number, _ := state.number("status")
	known, ok := v1States[number]
	if !ok {
		state.fault("status", "%d is not known", number)
	}
	l.Status, l.StatusUpdated, l.MaxEnd = string(known), state.date("status_updated"), state.date("potential_rights_end")
	// It begins as the date of issue, and the license server may have been told
	// of the last change a moment later.
	if updated := state.date("license_updated"); updated.After(l.Issued) && updated.After(l.Updated) {
		l.Updated = updated
	}
	l.Devices, _ = state.number("device_count")
	for i := range events {
		kind, _ := events[i].number("type")
		l.add(&events[i], v1Events[kind])
	}
	l.settle()
	r.faults = append(r.faults, state.faults...)
	l.Fault = r.err()
	return l
}
