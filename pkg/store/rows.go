package store

import (
	"context"
	"slices"
	"strings"
)

// A rowWriter writes rows of a table, several with one statement.
type rowWriter struct {
	table   string
	key     string   // columns
	values  []string // the other columns
	adds    bool     // values are added to those of a row that is there, and do not replace them
	inserts bool     // there is no such row
	// unlessThere says that a row which is there stays as it is.
	unlessThere bool
}

// rowSizes are how many rows a statement writes, so that there are few of them.
var rowSizes = []int{50, 10, 4, 1}

// write writes rows, each of the columns of the key and then the values.
func (w *rowWriter) write(ctx context.Context, t tx, rows [][]any) error {
	_, err := w.writeCount(ctx, t, rows)
	return err
}

// writeCount is write, and returns how many rows were changed or inserted.
func (w *rowWriter) writeCount(ctx context.Context, t tx, rows [][]any) (changed int64, err error) {
	for len(rows) > 0 {
		i := slices.IndexFunc(rowSizes, func(size int) bool { return size <= len(rows) })
		n := rowSizes[i]
		some, err := t.execCount(ctx, w.statement(t.s.dialect, n), slices.Concat(rows[:n]...)...)
		if err != nil {
			return changed, err
		}
		changed, rows = changed+some, rows[n:]
	}
	return changed, nil
}

// statement returns the one that writes n rows.
func (w *rowWriter) statement(d *dialect, n int) string {
	columns := append(strings.Split(w.key, ", "), w.values...)
	row := placeholders(len(columns))
	query := "INSERT INTO " + w.table + " (" + strings.Join(columns, ", ") + ") VALUES " + row + strings.Repeat(", "+row, n-1)
	switch {
	case w.unlessThere:
		return d.unlessThere(query)
	case w.inserts:
		return query
	}
	clause, fresh := d.upsert(w.key)
	changes := make([]string, len(w.values))
	for i, v := range w.values {
		changes[i] = v + " = " + fresh(v)
		if w.adds {
			changes[i] = v + " = " + w.table + "." + v + " + " + fresh(v)
		}
	}
	return query + clause + strings.Join(changes, ", ")
}
