package store

import (
	"fmt"
	"strings"
)

// MaxLimit is how long a page of a list may be.
const MaxLimit = 1000

// A Cursor is a place in a list, which stays what it is while entries are
// added. The zero value is the place before the newest entry.
type Cursor int64

// A Page says which part of a list to return: that after a place, or that after
// a number of entries.
type Page struct {
	After  Cursor
	Offset int // entries to leave out; slow where it is large
	Limit  int // 1 to MaxLimit
}

// check refuses a page that is none, with ErrInvalid.
func (p Page) check() error {
	if p.Limit < 1 || p.Limit > MaxLimit || p.Offset < 0 || p.After < 0 {
		return &InvalidError{"page", fmt.Sprintf("of %d entries after %d is none", p.Limit, p.Offset)}
	}
	return nil
}

// conditions collect what the rows of a list must meet. The text they make
// depends on which conditions there are, never on a value.
type conditions struct {
	texts []string
	args  []any
	tail  string // what follows them
}

// add puts one more condition, with one placeholder for value.
func (c *conditions) add(text string, value any) {
	c.texts = append(c.texts, text)
	c.args = append(c.args, value)
}

// where returns the conditions as a clause.
func (c *conditions) where() string {
	if len(c.texts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.texts, " AND ")
}

// page narrows the conditions to a page. Newest first is the order in which
// records came. One row more than the page tells whether another page follows.
func (c *conditions) page(p Page, seq string) *conditions {
	if p.After > 0 {
		c.add(seq+" < ?", int64(p.After))
	}
	c.tail = " ORDER BY " + seq + " DESC LIMIT ? OFFSET ?"
	c.args = append(c.args, p.Limit+1, p.Offset)
	return c
}

// numbered is a record of a list with its place.
type numbered[T any] struct {
	seq    int64
	record T
}

// cut returns the records of a page, and the place where the next page begins:
// 0 if there is none.
func cut[T any](rows []numbered[T], limit int) ([]T, Cursor) {
	var next Cursor
	if len(rows) > limit {
		rows = rows[:limit]
		next = Cursor(rows[limit-1].seq)
	}
	records := make([]T, len(rows))
	for i, r := range rows {
		records[i] = r.record
	}
	return records, next
}
