package catalogue_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/blob/fileblob"
	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/pkg/journal"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/store"
)

// A memory is a registry that remembers, as servers do; it reserves nothing.
type memory struct {
	publications map[string]store.Publication // by UUID
	saves        int
	saveErr      error // after the publication is saved
}

func newMemory() *memory { return &memory{publications: map[string]store.Publication{}} }

func (m *memory) Reserve(_ context.Context, want store.Identity) (store.Identity, bool, error) {
	for _, p := range m.publications {
		if want.AltID != "" && p.AltID == want.AltID {
			if want.UUID != "" && want.UUID != p.UUID {
				return want, false, &store.ExistsError{Field: "alt_id", Value: p.AltID, UUID: p.UUID}
			}
			return store.Identity{UUID: p.UUID, AltID: p.AltID, Key: p.ContentKey}, true, nil
		}
	}
	if p, ok := m.publications[want.UUID]; ok {
		return store.Identity{UUID: p.UUID, AltID: p.AltID, Key: p.ContentKey}, true, nil
	}
	if want.UUID == "" {
		want.UUID = fmt.Sprintf("%08d-2222-4333-8444-%012d", m.saves, time.Now().Nanosecond())
	}
	if want.Key == (lcpcrypto.ContentKey{}) {
		want.Key = lcpcrypto.NewContentKey()
	}
	return want, false, nil
}

func (m *memory) SavePublication(_ context.Context, p store.Publication) (store.Publication, bool, error) {
	m.saves++
	m.publications[p.UUID] = p
	return p, true, m.saveErr
}

// A shelf is a worker that works with a journal, run after run.
type shelf struct {
	*catalogue.Worker
	registry *memory
	journal  string
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	m := newMemory()
	return &shelf{newWorker(t, m), m, filepath.Join(t.TempDir(), "journal")}
}

// run brings in an item in a run of its own.
func (s *shelf) run(t *testing.T, item catalogue.Item) (catalogue.Record, error) {
	t.Helper()
	j, err := catalogue.OpenJournal(s.journal)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	s.Journal = j
	return s.Process(t.Context(), item, catalogue.Progress{})
}

func (s *shelf) must(t *testing.T, item catalogue.Item) catalogue.Record {
	t.Helper()
	rec, err := s.run(t, item)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// Registries have identifiers of any form.
func TestJournalKeepsIdentifiers(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	input := sampleFile(t, "sample.epub")
	ids := []string{
		"e6dd4c9e-70f2-4a1a-8d3b-0d2cf6a7d1f5", "{e6dd4c9e-70f2-4a1a-8d3b-0d2cf6a7d1f6}", "urn:isbn:9780000000001",
		"00000000-0000-0000-0000-000000000000",
	}
	for _, kept := range []bool{false, true} {
		for _, id := range ids {
			if rec := s.must(t, catalogue.Item{Input: input, UUID: id}); rec.UUID != id || rec.Kept != kept {
				t.Errorf("UUID %s came out as %s, kept: %t", id, rec.UUID, rec.Kept)
			}
		}
	}
}

// What is done is done again only if something has changed, and then under the
// same identifier.
func TestJournalKeeps(t *testing.T) {
	t.Parallel()
	later := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	rewrite := func(t *testing.T, file, other string) {
		t.Helper()
		if err := os.WriteFile(file, sample(t, other), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		sample string
		change func(t *testing.T, s *shelf, item *catalogue.Item)
		kept   bool
	}{
		"nothing": {change: func(*testing.T, *shelf, *catalogue.Item) {}, kept: true},
		"time alone": {change: func(t *testing.T, _ *shelf, i *catalogue.Item) {
			t.Helper()
			if err := os.Chtimes(i.Input, later, later); err != nil {
				t.Fatal(err)
			}
		}, kept: true},
		"time alone, PDF": {sample: "sample.pdf", change: func(t *testing.T, _ *shelf, i *catalogue.Item) {
			t.Helper()
			if err := os.Chtimes(i.Input, later, later); err != nil {
				t.Fatal(err)
			}
		}, kept: true},
		"contents": {change: func(t *testing.T, _ *shelf, i *catalogue.Item) { t.Helper(); rewrite(t, i.Input, "sample.cbz") }},
		"one byte of a PDF": {sample: "sample.pdf", change: func(t *testing.T, _ *shelf, i *catalogue.Item) {
			t.Helper()
			data := []byte(strings.Replace(string(sample(t, "sample.pdf")), "%PDF-1.", "%PDF-2.", 1))
			if err := errors.Join(os.WriteFile(i.Input, data, 0o600), os.Chtimes(i.Input, later, later)); err != nil {
				t.Fatal(err)
			}
		}},
		"title":    {change: func(_ *testing.T, _ *shelf, i *catalogue.Item) { i.Title = "Other" }},
		"provider": {change: func(_ *testing.T, _ *shelf, i *catalogue.Item) { i.Provider = "https://other.example" }},
		"cover":    {change: func(_ *testing.T, s *shelf, _ *catalogue.Item) { s.Cover = true }},
		"storage":  {change: func(t *testing.T, s *shelf, _ *catalogue.Item) { t.Helper(); s.Store = newFolder(t, "") }},
		"published": {change: func(t *testing.T, s *shelf, _ *catalogue.Item) {
			t.Helper()
			s.Store = newFolder(t, "https://x.example")
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.sample == "" {
				tt.sample = "sample.epub"
			}
			s := newShelf(t)
			item := catalogue.Item{Input: sampleFile(t, tt.sample)}
			first := s.must(t, item)
			tt.change(t, s, &item)
			second := s.must(t, item)
			if second.Kept != tt.kept || second.UUID != first.UUID || second.Source != item.Input || len(s.registry.publications) != 1 {
				t.Errorf("first %+v, second %+v, %d publications", first, second, len(s.registry.publications))
			}
			if third := s.must(t, item); !third.Kept {
				t.Errorf("done once more: %+v", third)
			}
			s.Recall = true
			if rec := s.must(t, item); tt.kept && (rec.Checksum != first.Checksum || rec.Title != first.Title || rec.Href != first.Href) {
				t.Errorf("recalled %+v, want %+v", rec, first)
			}
		})
	}
}

// Whatever a run was killed after, the next one registers nothing twice, and the
// file opens with the registered key.
func TestJournalResumes(t *testing.T) {
	t.Parallel()
	for _, altID := range []string{"", "poems"} {
		s := newShelf(t)
		item := catalogue.Item{Input: sampleFile(t, "sample.epub"), AltID: altID}

		// Killed before it registered.
		folder := s.Store.(folder)
		s.registry.saveErr = errRegistry
		s.Store = &moodyStore{folder: folder, putErr: map[string]error{".epub": errStore}}
		first, err := s.run(t, item)
		if !errors.Is(err, errStore) || first.UUID == "" {
			t.Fatalf("%+v, %v", first, err)
		}
		// Killed after it registered, before it wrote that down.
		s.Store = folder
		if rec, err := s.run(t, item); !errors.Is(err, errRegistry) || rec.UUID != first.UUID {
			t.Errorf("begun as %s, then %+v, %v", first.UUID, rec, err)
		}
		s.registry.saveErr = nil
		rec := s.must(t, item)
		if rec.UUID != first.UUID || rec.Kept || len(s.registry.publications) != 1 {
			t.Errorf("begun as %s, then %+v, %d publications", first.UUID, rec, len(s.registry.publications))
		}
		wantFiles(t, folder.dir, first.UUID+".epub")
		opens(t, rec.File, s.registry.publications[rec.UUID].ContentKey)
		if text, err := os.ReadFile(s.journal); err != nil || strings.Contains(string(text), s.registry.publications[rec.UUID].ContentKey.Base64()) {
			t.Errorf("the journal has the key, or none of it: %v", err)
		}
	}
}

// What somebody else has registered meanwhile has the say.
func TestJournalYieldsToTheRegistry(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	item := catalogue.Item{Input: sampleFile(t, "sample.epub"), AltID: "poems"}
	s.Store = &moodyStore{folder: s.Store.(folder), putErr: map[string]error{".epub": errStore}}
	if _, err := s.run(t, item); !errors.Is(err, errStore) {
		t.Fatal(err)
	}
	s.registry.publications[someID] = store.Publication{UUID: someID, AltID: "poems", ContentKey: lcpcrypto.NewContentKey()}
	s.Store = newFolder(t, "")
	if rec := s.must(t, item); rec.UUID != someID {
		t.Errorf("record %+v", rec)
	}
}

// A change that was under way when its run was killed is finished, even if the
// source is as it was before.
func TestJournalForgetsWhatIsBegunAgain(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	item := catalogue.Item{Input: sampleFile(t, "sample.epub")}
	s.must(t, item)
	changed := item
	changed.Title = "Other"
	s.registry.saveErr = errRegistry
	if _, err := s.run(t, changed); !errors.Is(err, errRegistry) {
		t.Fatal(err)
	}
	s.registry.saveErr = nil
	if rec := s.must(t, item); rec.Kept {
		t.Errorf("kept %+v", rec)
	}
}

// A download is made again, but what came is not encrypted again if it is the
// same.
func TestJournalOfDownloads(t *testing.T) {
	t.Parallel()
	name := "sample.epub"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(sample(t, name)) }))
	defer server.Close()
	s := newShelf(t)
	item := catalogue.Item{Input: server.URL + "/book"}
	s.must(t, item)
	if rec := s.must(t, item); !rec.Kept {
		t.Errorf("record %+v", rec)
	}
	name = "sample.pdf"
	if rec := s.must(t, item); rec.Kept || len(s.registry.publications) != 1 {
		t.Errorf("record %+v, %d publications", rec, len(s.registry.publications))
	}
}

func TestOpenJournalRefuses(t *testing.T) {
	t.Parallel()
	header := `{"journal":"lcp catalogue","version":1,"id":"X"}` + "\n"
	item := strings.Repeat("ab", 16)
	for name, line := range map[string]string{
		"no entry":         `[]`,
		"no item":          `{"uuid":"x"}`,
		"short item":       `{"begun":"ab","uuid":"x"}`,
		"no identifier":    `{"begun":"` + item + `"}`,
		"no record":        `{"done":"` + item + `","uuid":"x","content":"` + item + `","asked":"` + item + `"}`,
		"record for begun": `{"begun":"` + item + `","uuid":"x","content":"` + item + `","asked":"` + item + `","record":{}}`,
		"no source":        `{"done":"` + item + `","uuid":"x","asked":"` + item + `","record":{}}`,
	} {
		file := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(file, []byte(header+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := catalogue.OpenJournal(file); err == nil || !strings.Contains(err.Error(), "line 2: not an entry") {
			t.Errorf("%s: OpenJournal = %v", name, err)
		}
	}
	s := newShelf(t)
	s.must(t, catalogue.Item{Input: sampleFile(t, "sample.epub")})
	first, err := catalogue.OpenJournal(s.journal)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := catalogue.OpenJournal(s.journal); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("OpenJournal = %v, want ErrLocked", err)
	}
}

// A journal belongs to one registry.
func TestJournalOfOneRegistry(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	item := catalogue.Item{Input: sampleFile(t, "sample.epub")}
	s.must(t, item) // before anybody said where
	bind(t, s.journal, "https://a.example", nil)
	bind(t, s.journal, "https://a.example", nil)
	bind(t, s.journal, "the local store", catalogue.ErrRegistry)
	if rec := s.must(t, item); !rec.Kept {
		t.Errorf("record %+v", rec)
	}
}

func bind(t *testing.T, name, registry string, want error) {
	t.Helper()
	j, err := catalogue.OpenJournal(name)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Bind(registry); !errors.Is(err, want) {
		t.Errorf("Bind to %s = %v, want %v", registry, err, want)
	}
}

// Whatever the quick way of reading accepts that JSON is, means the same as JSON.
func FuzzEntry(f *testing.F) {
	f.Add(`{"registry":"https://a.example"}`)
	f.Add(`{"begun":"ab","uuid":"x"}`)
	f.Add(`{"done":"ab","uuid":"x","size":12,"mtime":-3,"content":"c","asked":"a"}`)
	f.Add(`{"uuid":"\u0041"}`)
	f.Add(`{"uuid":"<ä>","uuid":"y"}`)
	f.Fuzz(func(t *testing.T, head string) {
		quick, usual, ok := catalogue.ParseEntry([]byte(head))
		if _, failed := usual.(error); ok && !failed && !reflect.DeepEqual(quick, usual) {
			t.Errorf("%q is %+v, and as JSON %+v", head, quick, usual)
		}
	})
}

// BenchmarkResume opens the journal of 100 000 items, all done, and runs them.
func BenchmarkResume(b *testing.B) {
	const rows = 100_000
	dir := b.TempDir()
	input, name := filepath.Join(dir, "book.epub"), filepath.Join(dir, "journal")
	if err := os.WriteFile(input, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	items := func(yield func(catalogue.Item, error) bool) {
		for i := range rows {
			if !yield(catalogue.Item{Input: input, AltID: strconv.Itoa(i)}, nil) {
				return
			}
		}
	}
	s, err := fileblob.Open(dir, "")
	if err != nil {
		b.Fatal(err)
	}
	w := catalogue.Worker{Store: s, Registry: newMemory(), Now: time.Now}
	if err := catalogue.FillJournal(name, &w, items); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		plan, err := catalogue.NewPlan(items)
		if err != nil {
			b.Fatal(err)
		}
		if w.Journal, err = catalogue.OpenJournal(name); err != nil {
			b.Fatal(err)
		}
		batch := catalogue.Batch{Worker: w, Jobs: 2}
		sum, err := batch.Run(b.Context(), plan.Items(), catalogue.Watcher{End: func(int, catalogue.Record, error) {}})
		if err != nil || sum.Kept != rows {
			b.Fatalf("%+v, %v", sum, err)
		}
		w.Journal.Close()
		plan.Close()
	}
}
