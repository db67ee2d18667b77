package legacy

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
	"github.com/lcp-tools/lcp/pkg/wire"
)

const (
	// pageSize is how many rows are in memory at a time.
	pageSize = 2000
	// lookupSize is how many values a query looks for.
	lookupSize = 500
)

// A column is one of a query.
type column struct {
	name string // that the row has it under
	text string // SQL
}

// A query reads rows of a database.
type query struct {
	db      *store.Foreign
	columns []column
	key     int // how many of the first columns, which no two rows have the same, order them in pages
	from    string
}

func (q *query) text() string {
	texts := make([]string, len(q.columns))
	for i, c := range q.columns {
		texts[i] = c.text
	}
	return "SELECT " + strings.Join(texts, ", ") + " FROM " + q.from
}

// rows runs the query with what follows its FROM clause.
func (q *query) rows(ctx context.Context, tail string, args ...any) ([]row, error) {
	found, err := q.db.Query(ctx, q.text()+tail, args...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var all []row
	for found.Next() {
		r := row{query: q, cells: make([]any, len(q.columns))}
		dest := make([]any, len(r.cells))
		for i := range dest {
			dest[i] = &r.cells[i]
		}
		if err := found.Scan(dest...); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, found.Err()
}

// pages yields all rows in the order of the key. Each page is a query of its own.
func (q *query) pages(ctx context.Context) iter.Seq2[[]row, error] {
	return func(yield func([]row, error) bool) {
		names := make([]string, q.key)
		for i, c := range q.columns[:q.key] {
			names[i] = c.text
		}
		order := " ORDER BY " + strings.Join(names, ", ") + " LIMIT " + strconv.Itoa(pageSize)
		after := " WHERE (" + strings.Join(names, ", ") + ") > (?" + strings.Repeat(", ?", q.key-1) + ")"
		page, err := q.rows(ctx, order)
		for {
			if err != nil {
				yield(nil, fmt.Errorf("read database %s: %w", q.db, err))
				return
			}
			if len(page) == 0 || !yield(page, nil) || len(page) < pageSize {
				return
			}
			page, err = q.rows(ctx, after+order, page[len(page)-1].cells[:q.key]...)
		}
	}
}

// lookup returns the rows in which a column has one of some values, in the order
// of the tail.
func (q *query) lookup(ctx context.Context, name string, values []any, order string) ([]row, error) {
	i := slices.IndexFunc(q.columns, func(c column) bool { return c.name == name })
	var all []row
	for part := range slices.Chunk(values, lookupSize) {
		found, err := q.rows(ctx, " WHERE "+q.columns[i].text+" IN (?"+strings.Repeat(", ?", len(part)-1)+")"+order, part...)
		if err != nil {
			return nil, fmt.Errorf("read database %s: %w", q.db, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// grouped returns rows by what they have in a column, in their order.
func grouped(rows []row, name string) map[string][]row {
	groups := make(map[string][]row)
	for _, r := range rows {
		groups[r.text(name)] = append(groups[r.text(name)], r)
	}
	return groups
}

// count returns how many rows a table has.
func count(ctx context.Context, db *store.Foreign, name string) (n int64, err error) {
	q := query{db: db, columns: []column{{"n", "COUNT(*)"}}, from: name}
	rows, err := q.rows(ctx, "")
	if err != nil {
		return 0, fmt.Errorf("read database %s: %w", db, err)
	}
	n, _ = rows[0].number("n")
	return n, nil
}

// A row is one that was read. What is wrong with it gathers in faults.
type row struct {
	query  *query
	cells  []any
	faults []error
}

func (r *row) cell(name string) any {
	return r.cells[slices.IndexFunc(r.query.columns, func(c column) bool { return c.name == name })]
}

// fault notes that a column has a value that means nothing.
func (r *row) fault(name, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%s "+format, append([]any{name}, args...)...))
}

func (r *row) err() error { return errors.Join(r.faults...) }

// text returns a column as it is; NULL is empty.
func (r *row) text(name string) string {
	switch v := r.cell(name).(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return string(v)
	default:
		return fmt.Sprint(v)
	}
}

// id returns an identifier, as this program knows them: in lower case.
func (r *row) id(name string) string { return strings.ToLower(r.text(name)) }

// number returns a column, and whether there is something in it.
func (r *row) number(name string) (n int64, ok bool) {
	switch v := r.cell(name).(type) {
	case nil:
		return 0, false
	case int64:
		return v, true
	default:
		text := r.text(name)
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			r.fault(name, "%q is no number", text)
		}
		return n, err == nil
	}
}

// limit returns a number of pages or characters, or nil for no limit, which is
// NULL or -1.
func (r *row) limit(name string) *int64 {
	n, ok := r.number(name)
	if !ok || n < 0 {
		return nil
	}
	return &n
}

// dateForms are how SQLite has dates that drivers of Go and people wrote. What
// names no zone is in UTC.
var dateForms = []string{
	"2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999-07:00",
	"2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999 -0700 MST",
	"2006-01-02 15:04", "2006-01-02",
}

// date returns a column, or a zero time for none, which is NULL or the first day
// of all.
func (r *row) date(name string) time.Time {
	t, ok := r.cell(name).(time.Time)
	if text := r.text(name); !ok && text != "" {
		for _, form := range dateForms {
			var err error
			if t, err = time.Parse(form, text); err == nil {
				ok = true
				break
			}
		}
		if !ok {
			r.fault(name, "%q is no date", text)
		}
	}
	if t.Year() <= 1 {
		return time.Time{}
	}
	return t.UTC()
}

// contentKey returns a column of 32 bytes.
func (r *row) contentKey(name string) lcpcrypto.ContentKey {
	key, err := lcpcrypto.ContentKeyFromBytes([]byte(r.text(name)))
	if err != nil || key == (lcpcrypto.ContentKey{}) {
		r.fault(name, "is not a content key of 32 bytes")
	}
	return key
}

// address returns a URL, or "" for what is none.
func address(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), " ", "%20")
	if !wire.IsURL(text) {
		return ""
	}
	return text
}

// checksum returns a SHA-256 in hexadecimal digits. The LCP Server v2 lets it be
// given in base64, too. What is neither is left out.
func (r *row) checksum(name string) string {
	text := strings.TrimSpace(r.text(name))
	if wire.IsSHA256(text) {
		return strings.ToLower(text)
	}
	if sum, err := base64.StdEncoding.DecodeString(text); err == nil && len(sum) == 32 {
		return hex.EncodeToString(sum)
	}
	return ""
}

// maxName is how long the name of a device may be, in characters.
const maxName = 255

// shortened cuts what is beyond maxName off a name.
func shortened(name string) string {
	if r := []rune(name); len(r) > maxName {
		return string(r[:maxName])
	}
	return name
}

// event returns what happened to a license, or why it cannot be told.
func (r *row) event(kind string) (store.Event, error) {
	e := store.Event{Type: kind, DeviceID: r.text("device_id"), DeviceName: shortened(r.text("device_name")), At: r.date("timestamp")}
	switch {
	case e.At.IsZero():
		r.fault("timestamp", "is missing")
	case kind == "":
		r.fault("type", "%q is not known", r.text("type"))
	case kind == status.EventRegister && e.DeviceID == "":
		r.fault("device_id", "is missing: a registration names a device")
	case len([]rune(e.DeviceID)) > maxName:
		r.fault("device_id", "is longer than %d characters", maxName)
	}
	if err := r.err(); err != nil {
		return e, fmt.Errorf("event %s: %w", r.text("id"), err)
	}
	return e, nil
}
