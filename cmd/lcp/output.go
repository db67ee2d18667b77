package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/lcp-tools/lcp/pkg/blob/fileblob"
)

// Formats of data on standard output.
const (
	formatText   = "text"
	formatTable  = "table"
	formatJSON   = "json"
	formatNDJSON = "ndjson"
	formatCSV    = "csv"
)

// A formatFlag is the value of --format.
type formatFlag struct {
	value   string
	allowed []string
}

func (f *formatFlag) String() string { return f.value }

// Type names the value in help.
func (f *formatFlag) Type() string { return "FORMAT" }

// Set checks the value.
func (f *formatFlag) Set(s string) error {
	if !slices.Contains(f.allowed, s) {
		return fmt.Errorf("must be one of %s", strings.Join(f.allowed, ", "))
	}
	f.value = s
	return nil
}

// isTerminal reports whether w is a terminal.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// A recordWriter prints records of one kind as they come.
type recordWriter struct {
	out    io.Writer
	format string
	header []string
	row    func(record any) []string // for text and table
	table  *tabwriter.Writer
	count  int
}

// write prints one record, or keeps it for the table.
func (w *recordWriter) write(record any) error {
	w.count++
	switch w.format {
	case formatNDJSON:
		return encodeJSON(w.out, record, "")
	case formatJSON:
		lead := ",\n"
		if w.count == 1 {
			lead = "[\n"
		}
		if _, err := io.WriteString(w.out, lead); err != nil {
			return err
		}
		data, err := marshalJSON(record, "  ")
		if err != nil {
			return err
		}
		_, err = w.out.Write([]byte("  " + strings.TrimSuffix(strings.ReplaceAll(string(data), "\n", "\n  "), "\n  ")))
		return err
	case formatTable:
		if w.table == nil {
			w.table = tabwriter.NewWriter(w.out, 0, 4, 2, ' ', 0)
			fmt.Fprintln(w.table, strings.Join(w.header, "\t"))
		}
		_, err := fmt.Fprintln(w.table, strings.Join(w.row(record), "\t"))
		return err
	default:
		_, err := fmt.Fprintln(w.out, strings.Join(w.row(record), "  "))
		return err
	}
}

// close ends the list.
func (w *recordWriter) close() error {
	switch {
	case w.table != nil:
		return w.table.Flush()
	case w.format == formatJSON && w.count == 0:
		_, err := io.WriteString(w.out, "[]\n")
		return err
	case w.format == formatJSON:
		_, err := io.WriteString(w.out, "\n]\n")
		return err
	default:
		return nil
	}
}

// encodeJSON prints a value on one line, or indented, with characters such as &
// as they are.
func encodeJSON(w io.Writer, v any, indent string) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	return enc.Encode(v)
}

func marshalJSON(v any, indent string) ([]byte, error) {
	var b strings.Builder
	err := encodeJSON(&b, v, indent)
	return []byte(b.String()), err
}

// bytesText writes a size for people.
func bytesText(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, prefix := float64(n)/unit, 0
	for value >= unit && prefix < 3 {
		value, prefix = value/unit, prefix+1
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGT"[prefix])
}

// writeWhole writes data to the named file, whole or not at all.
func writeWhole(name string, data []byte) error {
	return fileblob.WriteFile(name, func(f *os.File) error {
		_, err := f.Write(data)
		return err
	})
}
