// Package sheet reads the tables that spreadsheets and scripts write: values
// separated by commas (RFC 4180), or by semicolons as in some countries, under a
// line with the names of the columns.
package sheet

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrCells says that a row has not as many cells as there are columns. The rows
// after it can be read.
var ErrCells = errors.New("wrong number of cells")

// A Reader reads the rows of a table.
type Reader struct {
	Columns []string // their names, without space around them

	rows    *csv.Reader
	bounded *boundedReader
}

// NewReader reads the names of the columns. No row may take more than maxRow
// bytes. The error is io.EOF if there is nothing at all.
func NewReader(r io.Reader, maxRow int) (*Reader, error) {
	bounded := &boundedReader{r: r, most: maxRow, left: maxRow}
	in := bufio.NewReader(bounded)
	if mark, err := in.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		_, _ = in.Discard(3) // some programs put it before UTF-8
	}
	rows := csv.NewReader(in)
	rows.Comma = separator(in)
	columns, err := rows.Read()
	if err != nil {
		return nil, silent(err)
	}
	for i, name := range columns {
		columns[i] = strings.TrimSpace(name)
	}
	return &Reader{Columns: columns, rows: rows, bounded: bounded}, nil
}

// Read returns the cells of the next row, and io.EOF after the last. Errors tell
// the line, and repeat nothing of what is in it: that may be a secret.
func (r *Reader) Read() ([]string, error) {
	r.bounded.left = r.bounded.most
	cells, err := r.rows.Read()
	if errors.Is(err, csv.ErrFieldCount) {
		return nil, fmt.Errorf("line %d: %w: %d under %d columns", r.Line(), ErrCells, len(cells), len(r.Columns))
	}
	return cells, silent(err)
}

// Line is the number, from 1, of the line on which the row begins that was read
// last.
func (r *Reader) Line() int {
	line, _ := r.rows.FieldPos(0)
	return line
}

// silent is an error without what was read.
func silent(err error) error {
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		return fmt.Errorf("line %d: %w", parse.StartLine, parse.Err)
	}
	return err
}

// separator finds out what separates the names of the columns.
func separator(in *bufio.Reader) rune {
	start, _ := in.Peek(4096) // or what there is
	line, _, _ := bytes.Cut(start, []byte("\n"))
	if bytes.ContainsRune(line, ';') && !bytes.ContainsRune(line, ',') {
		return ';'
	}
	return ','
}

// A boundedReader fails when one row takes more than is left.
type boundedReader struct {
	r    io.Reader
	most int
	left int
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("a row of more than %d bytes", b.most)
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}
