package catalogue_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/pkg/pdf"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/store"
)

// A kind says in one word what is wrong.
func TestKind(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"protected": publication.ErrProtectedLCP, "unknown": publication.ErrUnknownFormat, "damaged": pdf.ErrDamaged,
		"hostile": archive.ErrBomb, "invalid": &publication.MissingError{}, "conflict": &store.ExistsError{}, "failed": errors.New("x"),
	} {
		if got := catalogue.Kind(fmt.Errorf("do: %w", err)); got != want {
			t.Errorf("Kind(%v) = %q, want %q", err, got, want)
		}
	}
}

// Sources are deleted when all is done, and only those that are what was read.
func TestDeleteSource(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		save    error
		replace bool // the source, while it is registered
		stays   bool
	}{
		"done":         {},
		"unregistered": {save: errRegistry, stays: true},
		"replaced":     {replace: true, stays: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry := &fakeRegistry{saveErr: tt.save}
			w := newWorker(t, registry)
			w.DeleteSource = true
			input := sampleFile(t, "sample.epub")
			registry.whenSaving = func(store.Publication) {
				if tt.replace {
					if err := os.WriteFile(input, []byte("the next edition"), 0o600); err != nil {
						t.Error(err)
					}
				}
			}
			rec, err := w.Process(t.Context(), catalogue.Item{Input: input}, catalogue.Progress{})
			if !errors.Is(err, tt.save) || tt.replace != strings.Contains(rec.Undeleted, "changed") {
				t.Errorf("Process = %+v, %v", rec, err)
			}
			if _, err := os.Stat(input); (err == nil) != tt.stays {
				t.Errorf("the source: %v", err)
			}
		})
	}
}

// What comes under a name that was forgotten is another publication; what a killed
// run left there is the one it was.
func TestForget(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	input := sampleFile(t, "sample.epub")
	first := catalogue.Item{Input: input, Edition: "1"}
	a, err := s.run(t, first)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.run(t, first); err != nil || !again.Kept || again.UUID != a.UUID {
		t.Errorf("before it is forgotten: %+v, %v", again, err)
	}
	if b, err := s.run(t, catalogue.Item{Input: input, Edition: "2"}); err != nil || b.Kept || b.UUID == a.UUID {
		t.Errorf("another edition: %+v, %v", b, err)
	}
	forget(t, s.journal, first)
	if c, err := s.run(t, first); err != nil || c.Kept || c.UUID == a.UUID {
		t.Errorf("forgotten: %+v, %v", c, err)
	}
}

func forget(t *testing.T, journal string, items ...catalogue.Item) {
	t.Helper()
	j, err := catalogue.OpenJournal(journal)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for _, item := range items {
		if err := j.Forget(&item); err != nil {
			t.Fatal(err)
		}
	}
}

// A journal in which all is forgotten does not grow without end.
func TestForgottenJournalBeginsAnew(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	dir := t.TempDir()
	var items []catalogue.Item
	for i := range 2000 {
		name := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		items = append(items, catalogue.Item{Input: name})
	}
	if err := catalogue.FillJournal(s.journal, s.Worker, sequence(nil, items...)); err != nil {
		t.Fatal(err)
	}
	bind(t, s.journal, "here", nil)
	before, _ := os.Stat(s.journal)
	if before.Size() < 1<<20 {
		t.Fatalf("the journal has %d bytes only", before.Size())
	}
	forget(t, s.journal, items...)
	if after, err := os.Stat(s.journal); err != nil || after.Size() > 4096 {
		t.Errorf("the journal has %d bytes, %v", after.Size(), err)
	}
	bind(t, s.journal, "elsewhere", catalogue.ErrRegistry)
	if rec, err := s.run(t, catalogue.Item{Input: sampleFile(t, "sample.epub")}); err != nil || rec.Kept {
		t.Errorf("run = %+v, %v", rec, err)
	}
}

// What is owed outlives forgetting, and is told once.
func TestTellOwed(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	cms := &fakeCMS{err: errors.New("away")}
	s.Notifier = cms
	item := catalogue.Item{Input: sampleFile(t, "sample.epub")}
	rec, err := s.run(t, item)
	if err != nil || rec.Untold == "" {
		t.Fatalf("run = %+v, %v", rec, err)
	}
	forget(t, s.journal, item)
	for _, away := range []bool{true, false, false} {
		cms.told = nil
		if cms.err = nil; away {
			cms.err = errors.New("away")
		}
		j, err := catalogue.OpenJournal(s.journal)
		if err != nil {
			t.Fatal(err)
		}
		s.Journal = j
		owed, err := s.TellOwed(t.Context())
		if (owed == 1) != away || (err != nil) != away {
			t.Errorf("away %v: TellOwed = %d, %v", away, owed, err)
		}
		j.Close()
	}
	if len(cms.told) > 0 {
		t.Errorf("it is told again")
	}
}
