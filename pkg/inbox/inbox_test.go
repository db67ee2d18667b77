package inbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/inbox"
)

func open(t *testing.T, o inbox.Options) (*inbox.Inbox, string) {
	t.Helper()
	o.Dir, o.Now = t.TempDir(), time.Now
	o.Takes = func(path string) bool { return filepath.Ext(path) == ".epub" }
	b, err := inbox.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b, o.Dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tree lists the files in a folder and below, with what they hold.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		if !strings.HasSuffix(rel, ".json") {
			rel += "=" + string(data)
		}
		list = append(list, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// take takes the next arrival.
func take(t *testing.T, b *inbox.Inbox) string {
	t.Helper()
	for a := range b.Arrivals(t.Context()) {
		// Breaking off releases it: what is looked at here is only that it comes.
		return a.Path
	}
	t.Fatal("nothing comes")
	return ""
}

// What is there comes, and what arrives while somebody waits: in folders that are
// new, too, and by renaming.
func TestArrivals(t *testing.T) {
	t.Parallel()
	b, dir := open(t, inbox.Options{Settle: 10 * time.Millisecond, Poll: time.Minute})
	write(t, filepath.Join(dir, "there.epub"), "1")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var came []string
	for a := range b.Arrivals(ctx) {
		rel, _ := filepath.Rel(dir, a.Path)
		came = append(came, filepath.ToSlash(rel))
		if err := b.Done(a.Path); err != nil {
			t.Fatal(err)
		}
		switch len(came) {
		case 1:
			write(t, filepath.Join(dir, "sub", "deep", "new.epub"), "2")
		case 2:
			write(t, filepath.Join(dir, "sub", "half.epub.part"), "3")
			if err := os.Rename(filepath.Join(dir, "sub", "half.epub.part"), filepath.Join(dir, "sub", "whole.epub")); err != nil {
				t.Fatal(err)
			}
		case 3:
			cancel()
		}
	}
	if diff := cmp.Diff([]string{"there.epub", "sub/deep/new.epub", "sub/whole.epub"}, came); diff != "" {
		t.Errorf("arrivals (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"done/sub/deep/new.epub=2", "done/sub/whole.epub=3", "done/there.epub=1"}, tree(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// What is put away keeps its path, overwrites nothing, and has its reason beside
// it if it failed.
func TestPutAway(t *testing.T) {
	t.Parallel()
	b, dir := open(t, inbox.Options{})
	path := filepath.Join(dir, "sub", "a.epub")
	note := inbox.Note{Kind: "damaged", Reason: "it is torn", Code: 1, Time: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	for i, put := range []func() error{
		func() error { return b.Done(path) }, func() error { return b.Done(path) },
		func() error { return b.Failed(path, note) }, func() error { return b.Failed(path, note) },
	} {
		write(t, path, string(rune('1'+i)))
		for a := range b.Arrivals(t.Context()) {
			if a.Path != path {
				t.Fatalf("%s comes", a.Path)
			}
			if err := put(); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	want := []string{
		"done/sub/a.2.epub=2", "done/sub/a.epub=1",
		"failed/sub/a.2.epub.error.json", "failed/sub/a.2.epub=4", "failed/sub/a.epub.error.json", "failed/sub/a.epub=3",
	}
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	var got inbox.Note
	data, err := os.ReadFile(filepath.Join(dir, "failed", "sub", "a.2.epub.error.json"))
	if err := errors.Join(err, json.Unmarshal(data, &got)); err != nil {
		t.Fatal(err)
	}
	note.Source = "sub/a.epub"
	if diff := cmp.Diff(note, got); diff != "" {
		t.Errorf("note (-want +got):\n%s", diff)
	}
}

// What was replaced while it was in hand is not put away in the place of what was
// handed out, nor deleted.
func TestReplacedInHand(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]inbox.Options{"moving": {}, "deleting": {Delete: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, dir := open(t, o)
			path := filepath.Join(dir, "a.epub")
			write(t, path, "first")
			for range b.Arrivals(t.Context()) {
				write(t, path, "second one")
				if err := b.Done(path); !errors.Is(err, inbox.ErrChanged) {
					t.Errorf("Done = %v", err)
				}
				break
			}
			if got := take(t, b); got != path {
				t.Errorf("%s comes", got)
			}
			for range b.Arrivals(t.Context()) {
				if err := b.Done(path); err != nil {
					t.Error(err)
				}
				break
			}
			want := []string{"done/a.epub=second one"}
			if o.Delete {
				want = nil
			}
			if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

// A file that vanishes in hand is forgotten.
func TestVanishesInHand(t *testing.T) {
	t.Parallel()
	b, dir := open(t, inbox.Options{})
	path := filepath.Join(dir, "a.epub")
	write(t, path, "x")
	for range b.Arrivals(t.Context()) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := b.Failed(path, inbox.Note{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Failed = %v", err)
		}
		break
	}
	if got := tree(t, dir); len(got) > 0 || b.Stats() != (inbox.Stats{}) {
		t.Errorf("%q are left, %+v", got, b.Stats())
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "x")
	for _, dir := range []string{file, filepath.Join(file, "missing")} {
		if _, err := inbox.Open(inbox.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "watch "+dir) {
			t.Errorf("Open = %v", err)
		}
	}
}
