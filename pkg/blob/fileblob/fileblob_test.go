package fileblob_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/blob/blobtest"
	"github.com/lcp-tools/lcp/pkg/blob/fileblob"
)

func TestContract(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, t.TempDir()) })
}

func open(t *testing.T, dir string) *fileblob.Store {
	t.Helper()
	s, err := fileblob.Open(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// files lists what is in a folder, hidden files included.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestFailuresLeaveNothing(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	tests := map[string]func(s *fileblob.Store, dir string) error{
		"write fails": func(s *fileblob.Store, _ string) error {
			_, err := s.Put(t.Context(), "new/a.epub", blob.Meta{}, func(w io.Writer) error {
				_, _ = w.Write([]byte("half"))
				return boom
			})
			return err
		},
		"folder has the name": func(s *fileblob.Store, dir string) error {
			if err := os.MkdirAll(filepath.Join(dir, "a.epub", "x"), 0o755); err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(filepath.Join(dir, "a.epub"))
			_, err := s.Put(t.Context(), "a.epub", blob.Meta{}, func(w io.Writer) error {
				_, err := w.Write([]byte("whole"))
				return err
			})
			return err
		},
	}
	for name, fail := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := fail(open(t, dir), dir); err == nil {
				t.Error("no error")
			}
			if left := files(t, dir); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestPanicLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	func() {
		defer func() { _ = recover() }()
		_, _ = s.Put(t.Context(), "a.epub", blob.Meta{}, func(io.Writer) error { panic("a defect") })
	}()
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestPutCanBeReadBackBeforeItShows(t *testing.T) {
	t.Parallel()
	_, err := open(t, t.TempDir()).Put(t.Context(), "a.epub", blob.Meta{}, func(w io.Writer) error {
		if _, err := w.Write([]byte("content")); err != nil {
			return err
		}
		got := make([]byte, 4)
		if _, err := w.(io.ReaderAt).ReadAt(got, 3); err != nil || string(got) != "tent" {
			t.Errorf("ReadAt = %q, %v", got, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestURL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := fileblob.Open(dir, "https://cdn.example.org/books/")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.URL("a b+c.epub"), "https://cdn.example.org/books/a%20b%2Bc.epub"; got != want {
		t.Errorf("URL = %q, want %q", got, want)
	}
	if got, want := s.Location("x/a b.epub"), filepath.Join(dir, "x", "a b.epub"); got != want {
		t.Errorf("Location = %q, want %q", got, want)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if got, want := open(t, dir).URL("a b.epub"), "file://"+dir+"/a%20b.epub"; got != want {
		t.Errorf("URL = %q, want %q", got, want)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := fileblob.Open(filepath.Join(dir, "missing"), ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
	if _, err := fileblob.Open(file, ""); err == nil {
		t.Error("a file was taken for a folder")
	}
	if _, err := fileblob.Open(dir, "books"); err == nil {
		t.Error(`base URL "books" was accepted`)
	}
}

func TestWriteFileReplacesWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	for _, content := range []string{"first, longer", "second"} {
		err := fileblob.WriteFile(path, func(f *os.File) error {
			_, err := f.WriteString(content)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("file has %q, %v, want %q", got, err, content)
		}
	}
	if left := files(t, dir); len(left) != 1 {
		t.Errorf("folder has %q", left)
	}
}

// What a killed run left is removed by the next; what a living process is
// writing is not, nor what others called similarly.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{".lcp-LEFT.part", ".lcp-other", "lcp-mine.part", ".other.part", "a.epub"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, ".lcp-FOLDER.part"), 0o700); err != nil {
		t.Fatal(err)
	}
	release := writeElsewhere(t, dir, ".lcp-LIVE.part")
	open(t, dir)
	if got := files(t, dir); len(got) != 6 {
		t.Errorf("folder has %q, want all but .lcp-LEFT.part", got)
	}
	release()
	open(t, dir)
	if got := files(t, dir); len(got) != 5 {
		t.Errorf("folder has %q, want .lcp-LIVE.part gone too", got)
	}
}

// writeElsewhere starts a process that has locked a temporary file as its own,
// and returns how to kill it.
func writeElsewhere(t *testing.T, dir, name string) (kill func()) {
	t.Helper()
	if _, err := exec.LookPath("flock"); err != nil {
		t.Skip("needs the command flock")
	}
	cmd := exec.Command("flock", "--no-fork", filepath.Join(dir, name), "sh", "-c", "echo locked; exec cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(stop)
	if _, err := io.ReadFull(out, make([]byte, len("locked\n"))); err != nil {
		t.Fatal(err)
	}
	return stop
}
