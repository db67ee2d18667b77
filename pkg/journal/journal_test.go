package journal_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/journal"
)

const kind = "test journal"

type line struct {
	N    int    `json:"n"`
	Text string `json:"text,omitempty"`
}

// open opens the journal and returns the lines that are in it.
func open(t *testing.T, name string) (*journal.File, []string) {
	t.Helper()
	var lines []string
	j, err := journal.Open(name, kind, func(_ int64, l []byte) error { lines = append(lines, string(l)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, lines
}

// Cut at any byte, a journal has the lines that are whole, and goes on.
func TestTornAnywhere(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "journal")
	j, lines := open(t, name)
	if len(lines) > 0 {
		t.Errorf("a new journal has %q", lines)
	}
	first, err := j.Append(line{N: 1, Text: "<&>"}, line{N: 2})
	if err != nil {
		t.Fatal(err)
	}
	second, err := j.Append(line{N: 3})
	if err != nil {
		t.Fatal(err)
	}
	for offset, want := range map[int64]string{first: `{"n":1,"text":"<&>"}`, second: `{"n":3}`} {
		if got, err := j.Line(offset); err != nil || string(got) != want {
			t.Errorf("Line(%d) = %q, %v, want %q", offset, got, err, want)
		}
	}
	id := j.ID()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	all := []string{`{"n":1,"text":"<&>"}`, `{"n":2}`, `{"n":3}`}
	for cut := range len(whole) + 1 {
		torn := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(torn, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j, got := open(t, torn)
		want := all[:max(0, strings.Count(string(whole[:cut]), "\n")-1)]
		if diff := cmp.Diff(append([]string(nil), want...), got); diff != "" {
			t.Fatalf("cut at %d (-want +got):\n%s", cut, diff)
		}
		if strings.Contains(string(whole[:cut]), "\n") && j.ID() != id {
			t.Fatalf("cut at %d: the identifier has changed", cut)
		}
		if _, err := j.Append(line{N: 4}); err != nil {
			t.Fatal(err)
		}
		j.Close()
		if _, got := open(t, torn); len(got) != len(want)+1 || got[len(want)] != `{"n":4}` {
			t.Fatalf("cut at %d, what was appended is not there: %q", cut, got)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	header := `{"journal":"test journal","version":1,"id":"X"}` + "\n"
	errLine := errors.New("a line that means nothing")
	tests := map[string]struct {
		text string
		is   error
		want string
	}{
		"another file":    {"a,b\n", journal.ErrKind, "line 1: not the journal of an test journal"},
		"another kind":    {`{"journal":"x","version":1,"id":"X"}` + "\n", journal.ErrKind, "line 1"},
		"a later version": {`{"journal":"test journal","version":2,"id":"X"}` + "\n", nil, "line 1: version 2 is from a later program"},
		"line":            {header + "{}\n", errLine, "line 2: "},
		"a long line":     {header + strings.Repeat(" ", journal.MaxLine+1) + "\n", nil, "line 2: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "journal")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := journal.Open(file, kind, func(int64, []byte) error { return errLine })
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), file+": "+tt.want) {
				t.Errorf("Open = %v, want %q", err, tt.want)
			}
			if left, err := os.ReadFile(file); err != nil || string(left) != tt.text {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
	if _, err := journal.Open(t.TempDir(), kind, nil); err == nil {
		t.Error("a folder was opened")
	}
}

// One run at a time, until it ends.
func TestLocked(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "journal")
	j, _ := open(t, name)
	if _, err := journal.Open(name, kind, nil); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("Open = %v, want ErrLocked", err)
	}
	j.Close()
	open(t, name)
}

// After a failure nothing more is appended: it could become part of half a line.
func TestAppendFails(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "journal")
	j, _ := open(t, name)
	if _, err := j.Append(line{Text: strings.Repeat("x", journal.MaxLine)}); err == nil {
		t.Error("a line that could not be read again was appended")
	}
	if _, err := j.Append(line{N: 1}); err != nil {
		t.Errorf("Append = %v after a line that was refused", err)
	}
	j.Close()
	for range 2 {
		if _, err := j.Append(line{N: 2}); err == nil {
			t.Error("a closed journal takes lines")
		}
	}
	if _, lines := open(t, name); len(lines) != 1 {
		t.Errorf("the journal has %q", lines)
	}
}
