package catalogue_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/protect"
	"github.com/lcp-tools/lcp/pkg/store"
)

var errStore = errors.New("the store is away")

// A moodyStore is a folder that fails where it is told to, and cannot read back
// what is being written.
type moodyStore struct {
	folder
	statErr, deleteErr error
	putErr             map[string]error // by extension of the name
	loses              bool             // one byte of every object
	metas              []blob.Meta
}

func (s *moodyStore) Stat(ctx context.Context, name string) (blob.Info, error) {
	if s.statErr != nil {
		return blob.Info{}, s.statErr
	}
	return s.folder.Stat(ctx, name)
}

func (s *moodyStore) Delete(ctx context.Context, name string) error {
	return errors.Join(s.deleteErr, ctx.Err(), s.folder.Delete(ctx, name))
}

func (s *moodyStore) Put(ctx context.Context, name string, meta blob.Meta, write func(io.Writer) error) (blob.Info, error) {
	s.metas = append(s.metas, meta)
	for end, err := range s.putErr {
		if len(name) > len(end) && name[len(name)-len(end):] == end {
			return blob.Info{}, err
		}
	}
	return s.folder.Put(ctx, name, meta, func(w io.Writer) error {
		return write(&forgetful{w, s.loses})
	})
}

// forgetful may lose the first byte.
type forgetful struct {
	w     io.Writer
	loses bool
}

func (f *forgetful) Write(p []byte) (int, error) {
	n := len(p)
	if f.loses && n > 0 {
		f.loses, p = false, p[1:]
	}
	_, err := f.w.Write(p)
	return n, err
}

// Whatever a store or registry does, a failure leaves nothing that was not there.
func TestProcessWhenTheStoreFails(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		store    moodyStore
		registry fakeRegistry
		want     []error
		left     []string
	}{
		"looking up":            {store: moodyStore{statErr: errStore}, want: []error{errStore}},
		"publication":           {store: moodyStore{putErr: map[string]error{".epub": errStore}}, want: []error{errStore}},
		"cover":                 {store: moodyStore{putErr: map[string]error{".jpg": errStore}}, want: []error{errStore}},
		"other bytes":           {store: moodyStore{loses: true}, want: []error{protect.ErrMismatch}},
		"registry":              {registry: fakeRegistry{saveErr: errRegistry}, want: []error{errRegistry}},
		"registry, no deletion": {store: moodyStore{deleteErr: errStore}, registry: fakeRegistry{saveErr: errRegistry}, want: []error{errRegistry, errStore}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.registry.identity = store.Identity{UUID: someID, Key: lcpcrypto.NewContentKey()}
			tt.store.folder = newFolder(t, "")
			w := newWorker(t, &tt.registry)
			w.Store, w.Cover, w.Verify = &tt.store, true, true
			rec, err := w.Process(t.Context(), catalogue.Item{Input: sampleFile(t, "sample.epub"), UUID: someID}, catalogue.Progress{})
			for _, want := range tt.want {
				if !errors.Is(err, want) {
					t.Errorf("Process = %v, want %v", err, want)
				}
			}
			if rec.File+rec.Href+rec.Cover+rec.Checksum != "" || rec.Error == "" {
				t.Errorf("record %+v", rec)
			}
			wantFiles(t, tt.store.dir, tt.left...)
		})
	}
}

// A run that is interrupted while it registers takes back what it stored.
func TestProcessInterruptedWhileRegistering(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	registry := &fakeRegistry{
		identity:   store.Identity{UUID: someID, Key: lcpcrypto.NewContentKey()},
		saveErr:    context.Canceled,
		whenSaving: func(store.Publication) { cancel() },
	}
	s := &moodyStore{folder: newFolder(t, "")}
	w := newWorker(t, registry)
	w.Store = s
	if _, err := w.Process(ctx, catalogue.Item{Input: sampleFile(t, "sample.epub"), UUID: someID}, catalogue.Progress{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Process = %v", err)
	}
	wantFiles(t, s.dir)
}

func TestProcessDescribesObjects(t *testing.T) {
	t.Parallel()
	s := &moodyStore{folder: newFolder(t, "")}
	w := newWorker(t, nil)
	w.Store, w.Cover, w.Verify = s, true, true
	process(t, w, catalogue.Item{Input: sampleFile(t, "sample.epub"), FileName: "草枕"})
	want := []blob.Meta{
		{ContentType: "application/epub+zip", Disposition: "attachment; filename*=utf-8''%E8%8D%89%E6%9E%95.epub"},
		{ContentType: "image/jpeg"},
	}
	if len(s.metas) != 2 || s.metas[0] != want[0] || s.metas[1] != want[1] {
		t.Errorf("the store was told %+v", s.metas)
	}
	wantFiles(t, s.dir, "草枕.epub", "草枕.epub.cover.jpg")
}

func TestCheckFileName(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"a": true, "a.epub": true, "shelf/a.epub": true, "cover.jpg": true, "a.cover.b.epub": true,
		"": false, "../a": false, "a.cover.jpg": false, "a.epub.cover.jpg": false, ".a": false, `a\b`: false,
	} {
		if err := catalogue.CheckFileName(name); ok != (err == nil) || !ok && !errors.Is(err, blob.ErrName) {
			t.Errorf("CheckFileName(%q) = %v", name, err)
		}
	}
}

// A knowingRegistry can tell what it knows of a publication.
type knowingRegistry struct {
	fakeRegistry
	known store.Publication
	err   error
}

func (r *knowingRegistry) Publication(context.Context, string) (store.Publication, error) {
	return r.known, r.err
}

// A publication that gets another name or format keeps its former file until the
// new one is registered, and then: licenses point to it.
func TestProcessKeepsTheFormerFile(t *testing.T) {
	t.Parallel()
	s := newFolder(t, "https://cdn.example.com/books")
	tests := map[string]struct {
		known store.Publication
		err   error
		want  string
	}{
		"under another name":    {known: store.Publication{Href: s.URL("old.epub")}, want: s.URL("old.epub")},
		"under the same name":   {known: store.Publication{Href: s.URL("new.epub")}},
		"without a file before": {},
		"deleted":               {err: store.ErrDeleted},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFolder(t, "https://cdn.example.com/books")
			r := &knowingRegistry{known: tt.known, err: tt.err}
			r.identity, r.savingKnown = store.Identity{UUID: someID, Key: lcpcrypto.NewContentKey()}, true
			w := newWorker(t, r)
			w.Store = s
			if err := os.WriteFile(filepath.Join(s.dir, "old.epub"), []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			rec := process(t, w, catalogue.Item{Input: sampleFile(t, "sample.epub"), UUID: someID, FileName: "new"})
			if rec.FormerHref != tt.want || strings.Contains(strings.Join(rec.Warnings, "\n"), "which is left there") != (tt.want != "") {
				t.Errorf("former href %q, want %q; warnings %q", rec.FormerHref, tt.want, rec.Warnings)
			}
			wantFiles(t, s.dir, "new.epub", "old.epub")
		})
	}
	t.Run("unless the registry cannot tell", func(t *testing.T) {
		t.Parallel()
		r := &knowingRegistry{err: errRegistry}
		r.identity, r.savingKnown = store.Identity{UUID: someID, Key: lcpcrypto.NewContentKey()}, true
		w := newWorker(t, r)
		if _, err := w.Process(t.Context(), catalogue.Item{Input: sampleFile(t, "sample.epub"), UUID: someID}, catalogue.Progress{}); !errors.Is(err, errRegistry) {
			t.Errorf("Process = %v", err)
		}
		wantFiles(t, outOf(w))
	})
}
