package sheet_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/sheet"
)

// read returns the columns and the rows up to the first error, which is nil at the
// end.
func read(text string) (rows [][]string, err error) {
	const maxRow = 1 << 10
	r, err := sheet.NewReader(strings.NewReader(text), maxRow)
	if err != nil {
		return nil, err
	}
	rows = append(rows, r.Columns)
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows = append(rows, cells)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want [][]string
	}{
		"commas":           {"a, b\r\n1,\"2,\n\"\"3\"\"\"\r\n", [][]string{{"a", "b"}, {"1", "2,\n\"3\""}}},
		"mark, semicolons": {"\xef\xbb\xbfa;b\n1,5;2\n", [][]string{{"a", "b"}, {"1,5", "2"}}},
		"one column":       {"a\n1;2\n", [][]string{{"a"}, {"1;2"}}},
		"only columns":     {"a,b\n", [][]string{{"a", "b"}}},
		"many rows":        {"a\n" + strings.Repeat("1\n", 4<<10), append([][]string{{"a"}}, repeat([]string{"1"}, 4<<10)...)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := read(tt.text)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("error %v; rows (-want +got):\n%s", err, diff)
			}
		})
	}
}

func repeat(row []string, times int) (rows [][]string) {
	for range times {
		rows = append(rows, row)
	}
	return rows
}

func TestReadFails(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"nothing":         {"", "EOF"},
		"open quotes":     {"a\nu\n\"sesame\nv\n", `line 3: extraneous or missing " in quoted-field`},
		"quotes in names": {"a\"sesame\n", `line 1: bare " in non-quoted-field`},
		"no end":          {"a\n\"" + strings.Repeat("x", 1<<20), "a row of more than 1024 bytes"},
		"cells missing":   {"a,b\n\"sesame\n\"\n", "line 2: wrong number of cells: 1 under 2 columns"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := read(tt.text); err == nil || err.Error() != tt.want {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
}

// A row with too few cells, or too many, is not the end.
func TestReadOn(t *testing.T) {
	t.Parallel()
	r, err := sheet.NewReader(strings.NewReader("a,b\n\n1,\"2\n\"\n3\n4,5\n"), 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	faults := 0
	for {
		_, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, sheet.ErrCells) {
			faults++
		} else if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, r.Line())
	}
	if diff := cmp.Diff([]int{3, 5, 6}, lines); diff != "" || faults != 1 {
		t.Errorf("%d faults; lines (-want +got):\n%s", faults, diff)
	}
}
