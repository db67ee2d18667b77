//go:build unix

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/store"
)

// Killed at 20 random moments and started again each time, a batch ends as an
// undisturbed one: every book once, under the identifier it was begun with, and
// open to the key that is registered.
func TestBatchSurvivesKills(t *testing.T) {
	t.Parallel()
	const kills, books = 20, 24
	m := newMachine(t)
	if err := os.Mkdir(m.path("in"), 0o700); err != nil {
		t.Fatal(err)
	}
	book := bigEPUB(t, 2<<20)
	for i := range books {
		m.write(t, fmt.Sprintf("in/%02d.epub", i), book)
	}
	args := []string{"-q", "encrypt", "in", "--journal", "journal", "--out", "shelf"}
	begin := time.Now()
	m.must(t, append(args, "--journal", "other", "--out", "other-shelf", "--data-dir", m.path("other-data"))...)
	full := time.Since(begin)
	for range kills {
		cmd := m.command(t.Context(), args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Once there is a journal: on a busy machine, starting takes long.
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if _, err := os.Stat(m.path("journal")); err == nil {
				break
			}
		}
		// Short enough for most of them to have work left.
		kill := time.AfterFunc(rand.N(full/6), func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
	}
	before := journalDone(t, m)
	last := m.must(t, args...)
	if printed := strings.Count(last.out, "\n"); printed != books-before {
		t.Errorf("%d of %d were done, and the last run did %d", before, books, printed)
	}
	if again := m.must(t, args...); again.out != "" || journalDone(t, m) != books {
		t.Errorf("running again printed %q, and the journal has %d done", again.out, journalDone(t, m))
	}
	checkShelf(t, m, books)
}

// journalDone counts the lines of the journal about what is done; a torn one does
// not count.
func journalDone(t *testing.T, m *machine) int {
	t.Helper()
	text, err := os.ReadFile(m.path("journal"))
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, `{"done":`) && strings.HasSuffix(line, "\n") {
			done++
		}
	}
	return done
}

// checkShelf fails unless the shelf has the files of the registered publications,
// so many, and they open.
func checkShelf(t *testing.T, m *machine, books int) {
	t.Helper()
	s, err := (&app{streams: streams{err: t.Output()}}).openStore(t.Context(), Config{DataDir: m.data})
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := s.Publications(t.Context(), store.PublicationFilter{}, store.Page{Limit: store.MaxLimit})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	var registered []string
	for _, p := range list {
		registered = append(registered, p.UUID+".epub")
	}
	slices.Sort(registered)
	files, err := filesIn(m.path("shelf"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(files, registered); diff != "" || len(files) != books {
		t.Errorf("%d files, want %d; files and registered publications (-files +registered):\n%s", len(files), books, diff)
	}
	for i, name := range files {
		if i%8 == 0 { // each takes a while
			m.must(t, "-q", "decrypt", filepath.Join("shelf", name), "--out", "clear.epub")
		}
	}
}
