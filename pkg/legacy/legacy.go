// Package legacy brings the records of other license servers over: publications
// with their content keys, licenses with their status, and what happened to them.
//
// It reads the databases of the LCP Server v2 of EDRLab (tables publications,
// license_infos, events) and of the Readium LCP Server v1 (tables content and
// license, and of its status server license_status and event, which may be in a
// database of their own), as their versions of the years 2018 to 2026 left them.
// It writes nothing there, and reads page by page, so that the other server can
// be at work meanwhile.
//
// What a record means is settled here; what becomes of it beside one that is there
// already, the store decides.
package legacy

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/store"
)

// ErrSource says that a database is not one of a license server that this package
// knows, or not all of it.
var ErrSource = errors.New("cannot import from this database")

// A Publication is one of another server.
type Publication struct {
	store.Publication
	File  string // its name where the other server keeps the file itself, and tells no address of it
	Fault error  // why it cannot be brought over, if it cannot
}

// A License is one of another server.
type License struct {
	store.ForeignLicense
	Lost    []string // what of it cannot be brought over
	Devices int64    // how many there are by the other server's count
	Unseen  bool     // its status server does not know it
	Fault   error    // why it cannot be brought over at all, if it cannot
}

// settle corrects what the other server could not mean: it cut dates of changes to
// seconds, so that they can lie before the date of issue.
func (l *License) settle() {
	for _, changed := range []*time.Time{&l.Updated, &l.StatusUpdated} {
		if !changed.IsZero() && changed.Before(l.Issued) {
			*changed = l.Issued
		}
	}
}

// add adds an event of a type that may be "" for one that is not known.
func (l *License) add(r *row, kind string) {
	e, err := r.event(kind)
	if err != nil {
		l.Lost = append(l.Lost, err.Error())
		return
	}
	l.Events = append(l.Events, e)
}

// A Source is what another license server keeps.
type Source struct {
	schema schema
	name   string
}

// A schema is how a license server keeps its records.
type schema interface {
	count(ctx context.Context) (publications, licenses int64, err error)
	publications(ctx context.Context) iter.Seq2[Publication, error]
	licenses(ctx context.Context) iter.Seq2[License, error]
}

// Open finds out which license server the records are of. status is the database
// of the status server of a Readium LCP Server v1, nil if it is the same. It fails
// with ErrSource.
func Open(ctx context.Context, records, status *store.Foreign) (*Source, error) {
	have, err := tablesOf(ctx, records, "publications", "license_infos", "events", "content", "license", "license_status", "event")
	if err != nil {
		return nil, err
	}
	switch {
	case have["publications"].has("live_alt_id"):
		return nil, fmt.Errorf("%w: %s is one of lcp itself", ErrSource, records)
	case have["publications"].has("uuid") && have["license_infos"].has("uuid"):
		if status != nil {
			return nil, fmt.Errorf("%w: %s is of the LCP Server v2, which has no status server beside it", ErrSource, records)
		}
		return openV2(records, have)
	case have["content"].has("id") && have["license"].has("id"):
		return openV1(ctx, records, status, have)
	case have["license_status"].has("license_ref"):
		return nil, fmt.Errorf("%w: %s is of the status server of a Readium LCP Server v1: name that of its license server, and this one with --status-from", ErrSource, records)
	}
	return nil, fmt.Errorf("%w: %s has the tables neither of the LCP Server v2 (publications, license_infos) nor of the Readium LCP Server v1 (content, license)", ErrSource, records)
}

// String names the license server.
func (s *Source) String() string { return s.name }

// Count returns how many records there are, those that were deleted included.
func (s *Source) Count(ctx context.Context) (publications, licenses int64, err error) {
	return s.schema.count(ctx)
}

// Publications yields all publications, in the order in which they came where that
// is known. The error is that the database cannot be read.
func (s *Source) Publications(ctx context.Context) iter.Seq2[Publication, error] {
	return s.schema.publications(ctx)
}

// Licenses yields all licenses, in the order in which they came. The error is that
// the database cannot be read.
func (s *Source) Licenses(ctx context.Context) iter.Seq2[License, error] {
	return s.schema.licenses(ctx)
}

// A table is what is known of one: the names of its columns, none if it does not
// exist.
type table []string

func (t table) has(column string) bool { return slices.Contains(t, column) }

// require fails with ErrSource if columns are missing.
func (t table) require(name string, columns ...string) error {
	for _, c := range columns {
		if !t.has(c) {
			return fmt.Errorf("%w: its table %s has no column %s", ErrSource, name, c)
		}
	}
	return nil
}

// column returns the expression for a column of the table that an alias stands
// for, under a name. Versions called it differently: the first that is there and
// not empty counts, and where there is none it is NULL.
func (t table) column(alias, name string, others ...string) column {
	var there []string
	for _, n := range append([]string{name}, others...) {
		if t.has(n) {
			there = append(there, alias+"."+n)
		}
	}
	c := column{name: name, text: "NULL"}
	switch len(there) {
	case 0:
	case 1:
		c.text = there[0]
	default:
		for i, n := range there[:len(there)-1] {
			there[i] = "NULLIF(" + n + ", '')"
		}
		c.text = "COALESCE(" + strings.Join(there, ", ") + ")"
	}
	return c
}

// columns is column for several that always had the same name.
func (t table) columns(alias string, names ...string) []column {
	all := make([]column, len(names))
	for i, n := range names {
		all[i] = t.column(alias, n)
	}
	return all
}

func tablesOf(ctx context.Context, db *store.Foreign, names ...string) (map[string]table, error) {
	all := make(map[string]table, len(names))
	for _, n := range names {
		columns, err := db.Columns(ctx, n)
		if err != nil {
			return nil, fmt.Errorf("read database %s: %w", db, err)
		}
		all[n] = columns
	}
	return all, nil
}
