package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// listOptions are the flags about what a list looks like.
type listOptions struct {
	format formatFlag
	limit  int
}

func newListOptions() listOptions {
	return listOptions{format: formatFlag{allowed: []string{formatText, formatTable, formatJSON, formatNDJSON}}}
}

func (o *listOptions) addFormatFlag(fs *pflag.FlagSet) {
	fs.Var(&o.format, "format", "print records as text, table, json or ndjson (default: table on a terminal, else ndjson)")
}

func (o *listOptions) addFlags(fs *pflag.FlagSet) {
	o.addFormatFlag(fs)
	fs.IntVar(&o.limit, "limit", 0, "print at most `N` records, the newest ones (default: all)")
}

// printList prints records as they come.
func printList[T any](a *app, o listOptions, list iter.Seq2[T, error], header []string, row func(T) []string) error {
	if o.limit < 0 {
		return usagef("--limit %d is negative", o.limit)
	}
	if o.format.value == "" {
		o.format.value = formatNDJSON
		if isTerminal(a.out) {
			o.format.value = formatTable
		}
	}
	w := &recordWriter{out: a.out, format: o.format.value, header: header, row: func(r any) []string { return row(r.(T)) }}
	for record, err := range list {
		if err != nil {
			return err
		}
		if err := w.write(record); err != nil {
			return fmt.Errorf("print the records: %w", err)
		}
		if w.count == o.limit {
			break
		}
	}
	if err := w.close(); err != nil {
		return fmt.Errorf("print the records: %w", err)
	}
	return nil
}

// newRecordFormat is the --format of commands that print one record.
func newRecordFormat() formatFlag {
	return formatFlag{allowed: []string{formatText, formatJSON, formatNDJSON}}
}

func addRecordFormat(fs *pflag.FlagSet, f *formatFlag) {
	fs.Var(f, "format", "print the record as text, json or ndjson (default: text on a terminal, else json)")
}

// printRecord prints one record.
func (a *app) printRecord(f formatFlag, record any) error {
	if f.value == "" {
		f.value = formatJSON
		if isTerminal(a.out) {
			f.value = formatText
		}
	}
	switch f.value {
	case formatNDJSON:
		return encodeJSON(a.out, record, "")
	case formatJSON:
		return encodeJSON(a.out, record, "  ")
	default:
		return writeMembers(a.out, record)
	}
}

// writeMembers prints the members of a JSON object for people, one a line.
func writeMembers(w io.Writer, record any) error {
	data, err := marshalJSON(record, "")
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		text := string(value)
		if strings.HasPrefix(text, `"`) {
			if err := json.Unmarshal(value, &text); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintf(w, "%-18v %s\n", name, plain(text)); err != nil {
			return err
		}
	}
	return nil
}

// plain keeps text of others from commanding the terminal.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

// dateText writes a date for people; none is a dash.
func dateText(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
