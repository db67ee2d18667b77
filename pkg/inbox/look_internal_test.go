package inbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A bench is an inbox whose clock a test moves by hand, and which nothing tells of
// changes.
type bench struct {
	*Inbox
	now time.Time
}

func newBench(t *testing.T, o Options) *bench {
	t.Helper()
	b := &bench{now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	o.Dir, o.Now = t.TempDir(), func() time.Time { return b.now }
	if o.Takes == nil {
		o.Takes = func(string) bool { return true }
	}
	var err error
	if b.Inbox, err = Open(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func (b *bench) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(b.o.Dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// after lets time pass and returns the names of the files that come then.
func (b *bench) after(d time.Duration) []string {
	b.now = b.now.Add(d)
	b.look()
	var names []string
	for {
		a, ok := b.take()
		if !ok {
			return names
		}
		rel, _ := filepath.Rel(b.o.Dir, a.Path)
		names = append(names, filepath.ToSlash(rel))
	}
}

func (b *bench) path(name string) string { return filepath.Join(b.o.Dir, name) }

func want(t *testing.T, got []string, names ...string) {
	t.Helper()
	if !slices.Equal(got, names) {
		t.Fatalf("%q come, want %q", got, names)
	}
}

// A file comes when its size and time have not changed for a while, by our own
// clock, whatever its time is.
func TestSettles(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Settle: 5 * time.Second})
	path := b.write(t, "a", "1")
	if err := os.Chtimes(path, b.now.AddDate(-1, 0, 0), b.now.AddDate(-1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	want(t, b.after(0))
	want(t, b.after(4*time.Second))
	b.write(t, "a", "12") // it grows
	want(t, b.after(time.Second))
	want(t, b.after(4*time.Second))
	if err := os.Chtimes(path, b.now, b.now); err != nil { // it is written to
		t.Fatal(err)
	}
	want(t, b.after(time.Second))
	want(t, b.after(5*time.Second), "a")
	want(t, b.after(time.Hour)) // it is in hand
}

// What changes between being found whole and being handed out waits again.
func TestChangesAtTheLastMoment(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Settle: time.Second})
	b.write(t, "a", "1")
	want(t, b.after(0))
	b.now = b.now.Add(time.Second)
	b.look()
	b.write(t, "a", "12")
	if a, ok := b.take(); ok {
		t.Errorf("%s comes while it is written", a.Path)
	}
	want(t, b.after(time.Second), "a")
}

// Temporary names, the inbox's own folders, and what is not wanted do not come.
func TestPassesOver(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{
		Takes: func(path string) bool { return filepath.Ext(path) != ".txt" },
		Skips: func(dir string) bool { return filepath.Base(dir) == "skipped" },
	})
	for _, name := range []string{
		".hidden", "a.part", "b.TMP", "c~", "d.filepart", "notes.txt", ".dir/x", "done/x", "failed/x", "skipped/x", "a.crdownload",
		"whole", "sub/done/x", "sub/deep/y.epub",
	} {
		b.write(t, name, "x")
	}
	if err := os.Symlink(b.path("nowhere"), b.path("dangling")); err != nil {
		t.Logf("no links here: %v", err)
	}
	want(t, b.after(0), "sub/deep/y.epub", "sub/done/x", "whole")
	if err := os.Rename(b.path("a.part"), b.path("a")); err != nil {
		t.Fatal(err)
	}
	want(t, b.after(0), "a")
}

// A marker makes a file whole at once; where markers are asked for, nothing else
// does. The marker goes with the file.
func TestMarker(t *testing.T) {
	t.Parallel()
	for _, marked := range []bool{false, true} {
		t.Run(strconv.FormatBool(marked), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, Options{Settle: time.Minute, Marked: marked, Takes: func(p string) bool { return filepath.Ext(p) == ".epub" }})
			path := b.write(t, "a.epub", "x")
			want(t, b.after(0))
			b.write(t, "a.epub.done", "")
			want(t, b.after(0), "a.epub")
			if err := b.Done(path); err != nil {
				t.Fatal(err)
			}
			if left, _ := filepath.Glob(b.path("*.*")); left != nil {
				t.Errorf("%q are left", left)
			}
			b.write(t, "b.epub", "x")
			b.after(0)
			if got := b.after(time.Hour); (len(got) == 0) != marked {
				t.Errorf("without a marker %q come", got)
			}
		})
	}
}

// After a setback all wait, longer each time, and then come one at a time until
// one succeeds. A file's own waits do not end the others'.
func TestLater(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{RetryFirst: time.Second, RetryMost: 5 * time.Second})
	for _, name := range []string{"a", "b", "c"} {
		b.write(t, name, name)
	}
	want(t, b.after(0), "a", "b", "c")
	var pauses []time.Duration
	pauses = append(pauses, b.Later(b.path("a")), b.Later(b.path("b"))) // the same setback
	b.Release(b.path("c"))
	want(t, b.after(500*time.Millisecond))
	for range 3 {
		got := b.after(4 * time.Second)
		if len(got) != 1 {
			t.Fatalf("%q come at once", got)
		}
		pauses = append(pauses, b.Later(b.path(got[0])))
		want(t, b.after(pauses[len(pauses)-1]/2))
		b.now = b.now.Add(time.Second)
	}
	if pauses[0] != time.Second || pauses[1] != time.Second || !slices.IsSorted(pauses) || slices.Max(pauses) > 5*time.Second || pauses[4] < 4*time.Second {
		t.Errorf("it waits %s", pauses)
	}
	got := b.after(10 * time.Second)
	if len(got) != 1 {
		t.Fatalf("%q come", got)
	}
	if err := b.Done(b.path(got[0])); err != nil {
		t.Fatal(err)
	}
	if rest := b.after(0); len(rest) != 2 {
		t.Errorf("%q come once one succeeds", rest)
	}
}

// Files with the same key are not in hand at the same time.
func TestKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Key: func(path string) string { return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) }})
	b.write(t, "one/a.epub", "x")
	b.write(t, "two/a.pdf", "x")
	b.write(t, "two/b.pdf", "x")
	want(t, b.after(0), "one/a.epub", "two/b.pdf")
	if err := b.Done(b.path("one/a.epub")); err != nil {
		t.Fatal(err)
	}
	want(t, b.after(0), "two/a.pdf")
}

// However many files there are, only so many are kept an eye on, and all come.
func TestManyFiles(t *testing.T) {
	t.Parallel()
	const count = maxWaiting + maxWaiting/2
	b := newBench(t, Options{Settle: time.Second})
	for i := range count {
		b.write(t, fmt.Sprintf("%d/%d", i%7, i), "")
	}
	seen := map[string]bool{}
	for range 20 {
		for _, name := range b.after(time.Second) {
			if seen[name] {
				t.Fatalf("%s comes again", name)
			}
			seen[name] = true
			if s := b.Stats(); s.Waiting+s.InHand > maxWaiting {
				t.Fatalf("%+v are kept an eye on", s)
			}
			if err := os.Remove(b.path(name)); err != nil {
				t.Fatal(err)
			}
			_ = b.Done(b.path(name))
		}
	}
	if len(seen) != count {
		t.Errorf("%d of %d come", len(seen), count)
	}
	if b.Stats() != (Stats{}) {
		t.Errorf("%+v are left", b.Stats())
	}
}

// What cannot be read is told of once, until it can be read again.
func TestTrouble(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Log("as root everything can be read: a folder that is gone has to do")
	}
	told := 0
	b := newBench(t, Options{Trouble: func(string, error) { told++ }})
	if err := os.Remove(b.o.Dir); err != nil {
		t.Fatal(err)
	}
	b.after(0)
	b.after(time.Minute)
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	b.write(t, "a", "x")
	want(t, b.after(0), "a")
	if err := os.RemoveAll(b.o.Dir); err != nil {
		t.Fatal(err)
	}
	if b.after(0); told != 2 {
		t.Errorf("told %d times", told)
	}
}

// A file that cannot be put away stays, and comes again after a while.
func TestCannotBePutAway(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	path := b.write(t, "a", "x")
	b.write(t, "done", "a file where the folder should be")
	want(t, b.after(0), "a", "done")
	if err := b.Done(path); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Fatalf("Done = %v", err)
	}
	want(t, b.after(0))
	if err := os.Remove(b.path("done")); err != nil {
		t.Fatal(err)
	}
	want(t, b.after(time.Minute), "a")
	if err := b.Done(path); err != nil {
		t.Fatal(err)
	}
}
