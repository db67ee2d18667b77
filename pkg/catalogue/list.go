package catalogue

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/sheet"
)

// maxRow bounds a row of a list in bytes.
const maxRow = 1 << 20

// columns are the columns of a list, or members of its objects, and the field of
// an item that each is for.
var columns = []struct {
	name  string
	field func(*Item) *string
}{
	{"input", func(i *Item) *string { return &i.Input }},
	{"uuid", func(i *Item) *string { return &i.UUID }},
	{"alt_id", func(i *Item) *string { return &i.AltID }},
	{"title", func(i *Item) *string { return &i.Title }},
	{"provider", func(i *Item) *string { return &i.Provider }},
	{"key_file", func(i *Item) *string { return &i.KeyFile }},
	{"file_name", func(i *Item) *string { return &i.FileName }},
}

// ReadList reads items from a list: JSON, one object a line, or else values
// separated by commas or semicolons (RFC 4180) under a line with the names of the
// columns. Those are input, which every row has, uuid, alt_id, title, provider,
// key_file and file_name. The first error ends the items.
func ReadList(r io.Reader) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		in := bufio.NewReader(r)
		if mark, err := in.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
			_, _ = in.Discard(3) // some programs put it before UTF-8
		}
		read := readCSV
		if start, _ := in.Peek(4096); bytes.HasPrefix(bytes.TrimSpace(start), []byte("{")) {
			read = readNDJSON
		}
		for item, err := range read(in) {
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// checkItem refuses rows that cannot be carried out.
func checkItem(i *Item) error {
	if i.Input == "" {
		return errors.New("input is missing")
	}
	if i.UUID != "" {
		if _, err := uuid.Parse(i.UUID); err != nil {
			return fmt.Errorf("%s: uuid %q is not a UUID", i.Input, i.UUID)
		}
	}
	if i.FileName != "" {
		if err := CheckFileName(i.FileName); err != nil {
			return fmt.Errorf("%s: file_name: %w", i.Input, err)
		}
	}
	return nil
}

func readNDJSON(in *bufio.Reader) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, maxRow)
		number := 0
		for lines.Scan() {
			number++
			line := bytes.TrimSpace(lines.Bytes())
			if len(line) == 0 {
				continue
			}
			item, err := decodeItem(line)
			if err == nil {
				err = checkItem(&item)
			}
			err = onLine(number, err)
			if !yield(item, err) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(Item{}, onLine(number+1, err))
		}
	}
}

func decodeItem(line []byte) (Item, error) {
	var item Item
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&item); err != nil {
		return item, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return item, errors.New("more than one object on a line")
	}
	return item, nil
}

func readCSV(in *bufio.Reader) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		table, err := sheet.NewReader(in, maxRow)
		if errors.Is(err, io.EOF) {
			return
		}
		var fields []func(*Item) *string
		if err == nil {
			fields, err = fieldsOf(table.Columns)
		}
		if err != nil {
			yield(Item{}, fmt.Errorf("names of columns: %w", err))
			return
		}
		for {
			cells, err := table.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			var item Item
			for i, cell := range cells {
				*fields[i](&item) = cell
			}
			if err == nil {
				err = onLine(table.Line(), checkItem(&item))
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// onLine says on which line of a list something is wrong.
func onLine(number int, err error) error {
	if err != nil {
		err = fmt.Errorf("line %d: %w", number, err)
	}
	return err
}

// fieldsOf finds the fields of the columns.
func fieldsOf(names []string) ([]func(*Item) *string, error) {
	var known, seen []string
	for _, c := range columns {
		known = append(known, c.name)
	}
	fields := make([]func(*Item) *string, len(names))
	for i, name := range names {
		at := slices.Index(known, name)
		switch {
		case at < 0:
			return nil, fmt.Errorf("%q is not one: there are %s", name, strings.Join(known, ", "))
		case slices.Contains(seen, name):
			return nil, fmt.Errorf("%q is there twice", name)
		}
		seen = append(seen, name)
		fields[i] = columns[at].field
	}
	if !slices.Contains(seen, "input") {
		return nil, errors.New(`"input" is missing`)
	}
	return fields, nil
}
