package licensebatch

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/sheet"
)

// A Row asks for one license.
type Row struct {
	Number  int // 1 for the first, a line with the names of columns not counted
	Request api.LicenseRequest
	Name    string // of the file to write, without extension; "" for the license's identifier
	Err     error  // why the row cannot be carried out
}

// String keeps personal data and hashes out of logs and error messages.
func (r Row) String() string { return "Row(" + strconv.Itoa(r.Number) + ")" }

// GoString keeps them out of %#v.
func (r Row) GoString() string { return r.String() }

// Format keeps them out of every formatting verb.
func (r Row) Format(f fmt.State, _ rune) { fmt.Fprint(f, r.String()) }

// Reading says what rows are made of.
type Reading struct {
	Defaults   api.LicenseRequest // for what a row does not say
	NameColumn string             // column, or member, with the name of the file; "" for none
}

// maxRow bounds a row in bytes.
const maxRow = api.MaxBody

// columnPassphrase is the column that the License API does not know: it is hashed
// as soon as it is read.
const columnPassphrase = "passphrase"

// CSV reads rows of comma-separated values (RFC 4180), or values separated by
// semicolons, as spreadsheets write them in some countries. The first line names
// the columns: the fields of a license request, passphrase, and the one of the
// names. An empty cell says nothing. An error, such as an unknown column, ends the
// rows; one row that cannot be carried out does not.
func (rd Reading) CSV(r io.Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		table, err := sheet.NewReader(r, maxRow)
		if err == nil {
			err = rd.checkColumns(table.Columns)
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			yield(Row{}, fmt.Errorf("names of columns: %w", err))
			return
		}
		for number := 1; ; number++ {
			cells, err := table.Read()
			row := Row{Number: number, Err: err}
			switch {
			case errors.Is(err, io.EOF):
				return
			case err == nil:
				row = rd.fromCells(number, table.Columns, cells)
			case !errors.Is(err, sheet.ErrCells):
				yield(Row{}, fmt.Errorf("row %d, and what follows: %w", number, err))
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// setters fill in a request from cells, by column.
var setters = map[string]func(r *api.LicenseRequest, cell string) error{
	"publication_id": func(r *api.LicenseRequest, cell string) error { r.PublicationID = cell; return nil },
	"alt_id":         func(r *api.LicenseRequest, cell string) error { r.AltID = cell; return nil },
	"user_id":        func(r *api.LicenseRequest, cell string) error { r.UserID = cell; return nil },
	"user_name":      func(r *api.LicenseRequest, cell string) error { r.UserName = cell; return nil },
	"user_email":     func(r *api.LicenseRequest, cell string) error { r.UserEmail = cell; return nil },
	"profile":        func(r *api.LicenseRequest, cell string) error { r.Profile = cell; return nil },
	"text_hint":      func(r *api.LicenseRequest, cell string) error { r.TextHint = cell; return nil },
	"pass_hash":      func(r *api.LicenseRequest, cell string) error { r.PassHash = cell; return nil },
	"user_encrypted": func(r *api.LicenseRequest, cell string) error {
		r.UserEncrypted = strings.FieldsFunc(cell, func(c rune) bool { return strings.ContainsRune(",; ", c) })
		return nil
	},
	"start":         func(r *api.LicenseRequest, cell string) error { return setDate(&r.Start, cell) },
	"end":           func(r *api.LicenseRequest, cell string) error { return setDate(&r.End, cell) },
	"copy":          func(r *api.LicenseRequest, cell string) error { return setNumber(&r.Copy, cell) },
	"print":         func(r *api.LicenseRequest, cell string) error { return setNumber(&r.Print, cell) },
	"play_duration": func(r *api.LicenseRequest, cell string) error { r.PlayDuration = cell; return nil },
}

func setDate(to **time.Time, cell string) error {
	t, err := time.Parse(time.DateOnly, cell)
	if err != nil {
		t, err = time.Parse(time.RFC3339, cell)
	}
	if err != nil {
		return errors.New("must be a date, as in 2030-01-31 or 2030-01-31T12:00:00Z")
	}
	*to = &t
	return nil
}

func setNumber(to **int64, cell string) error {
	n, err := strconv.ParseInt(cell, 10, 64)
	if err != nil {
		return errors.New("must be an integer")
	}
	*to = &n
	return nil
}

// checkColumns refuses columns that mean nothing, and such as are there twice.
func (rd Reading) checkColumns(columns []string) error {
	for i, column := range columns {
		_, known := setters[column]
		switch {
		case column == columnPassphrase, known, column != "" && column == rd.NameColumn:
		default:
			return fmt.Errorf("%q is not one: there are %s", column, strings.Join(rd.columns(), ", "))
		}
		if slices.Contains(columns[:i], column) {
			return fmt.Errorf("%q is there twice", column)
		}
	}
	if rd.NameColumn != "" && !slices.Contains(columns, rd.NameColumn) {
		return fmt.Errorf("%q, for the names of files, is missing", rd.NameColumn)
	}
	return nil
}

// columns lists the columns that there are.
func (rd Reading) columns() []string {
	all := []string{columnPassphrase}
	for name := range setters {
		all = append(all, name)
	}
	if rd.NameColumn != "" && !slices.Contains(all, rd.NameColumn) {
		all = append(all, rd.NameColumn)
	}
	slices.Sort(all)
	return all
}

// fromCells makes a row of cells.
func (rd Reading) fromCells(number int, columns, cells []string) Row {
	row := Row{Number: number}
	passphrase := ""
	for i, column := range columns {
		cell := cells[i]
		if column == rd.NameColumn {
			row.Name = cell
		}
		switch set := setters[column]; {
		case cell == "":
		case column == columnPassphrase:
			passphrase = cell
		case set != nil:
			if err := set(&row.Request, strings.TrimSpace(cell)); err != nil {
				row.Err = errors.Join(row.Err, fmt.Errorf("%s: %w", column, err))
			}
		}
	}
	return rd.finish(row, passphrase)
}

// NDJSON reads rows of JSON, one object a line: license requests as the License
// API takes them, with passphrase and the member of the names besides. Empty
// lines do not count.
func (rd Reading) NDJSON(r io.Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxRow)
		number := 0
		for lines.Scan() {
			line := bytes.TrimSpace(lines.Bytes())
			if len(line) == 0 {
				continue
			}
			number++
			if !yield(rd.fromJSON(number, line), nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(Row{}, fmt.Errorf("row %d, and what follows: %w", number+1, err))
		}
	}
}

// fromJSON makes a row of a JSON object. What the API does not know is taken out
// before the API's own rules are applied.
func (rd Reading) fromJSON(number int, line []byte) Row {
	row := Row{Number: number}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(line, &members); err != nil || members == nil {
		row.Err = errors.New("not a JSON object")
		return row
	}
	passphrase, err := takeText(members, columnPassphrase)
	row.Err = errors.Join(row.Err, err)
	if rd.NameColumn != "" {
		row.Name, err = nameIn(members, rd.NameColumn)
		row.Err = errors.Join(row.Err, err)
	}
	rest, err := json.Marshal(members)
	if err == nil {
		err = api.Decode(bytes.NewReader(rest), &row.Request)
	}
	row.Err = errors.Join(row.Err, err)
	return rd.finish(row, passphrase)
}

// takeText takes a text out of the members; one that is not there is empty.
func takeText(members map[string]json.RawMessage, name string) (string, error) {
	raw, ok := members[name]
	if !ok {
		return "", nil
	}
	delete(members, name)
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return "", fmt.Errorf("%s: must be a string", name)
	}
	return text, nil
}

// nameIn returns the member of the names, which is taken out unless it is one of
// the API's own.
func nameIn(members map[string]json.RawMessage, name string) (string, error) {
	raw := members[name]
	text, err := takeText(members, name)
	if setters[name] != nil && raw != nil {
		members[name] = raw
	}
	return text, err
}

// finish hashes the passphrase, applies the defaults and checks the name.
func (rd Reading) finish(row Row, passphrase string) Row {
	r, d := &row.Request, rd.Defaults
	if passphrase != "" {
		if r.PassHash != "" {
			row.Err = errors.Join(row.Err, errors.New("there is a passphrase and a pass_hash: one is enough"))
		}
		r.PassHash = profile.HashPassphrase(passphrase).Hex()
	}
	if r.PublicationID == "" && r.AltID == "" {
		r.PublicationID, r.AltID = d.PublicationID, d.AltID
	}
	for field, value := range map[*string]string{
		&r.UserID: d.UserID, &r.UserName: d.UserName, &r.UserEmail: d.UserEmail,
		&r.PlayDuration: d.PlayDuration, &r.Profile: d.Profile, &r.TextHint: d.TextHint, &r.PassHash: d.PassHash,
	} {
		if *field == "" {
			*field = value
		}
	}
	if r.UserEncrypted == nil {
		r.UserEncrypted = d.UserEncrypted
	}
	r.Start, r.End = either(r.Start, d.Start), either(r.End, d.End)
	r.Copy, r.Print = either(r.Copy, d.Copy), either(r.Print, d.Print)
	if rd.NameColumn != "" {
		if err := checkName(row.Name); err != nil {
			row.Err = errors.Join(row.Err, fmt.Errorf("%s: %w", rd.NameColumn, err))
		}
	}
	return row
}

func either[T any](value, fallback *T) *T {
	if value != nil {
		return value
	}
	return fallback
}

// checkName refuses what is not the name of a file on every system.
func checkName(name string) error {
	const most = 200
	switch {
	case name == "":
		return errors.New("the name of the file is missing")
	case len(name) > most:
		return fmt.Errorf("the name of the file is longer than %d bytes", most)
	case strings.HasPrefix(name, "."), strings.HasSuffix(name, " "),
		strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f || strings.ContainsRune(`/\:*?"<>|`, c) }):
		return fmt.Errorf("%q cannot be the name of a file", name)
	}
	return nil
}
