package catalogue_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lcp-tools/lcp/pkg/blob/fileblob"
	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/protect"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/store"
	"github.com/lcp-tools/lcp/testdata"
)

const someID = "11111111-2222-4333-8444-555555555555"

var errRegistry = errors.New("the registry is away")

// A fakeRegistry gives what it is told and notes what it is asked.
type fakeRegistry struct {
	identity    store.Identity // that Reserve gives
	reserveErr  error
	saveErr     error
	wanted      []store.Identity
	saved       []store.Publication
	whenSaving  func(store.Publication)
	savingKnown bool
}

func (r *fakeRegistry) Reserve(_ context.Context, want store.Identity) (store.Identity, bool, error) {
	r.wanted = append(r.wanted, want)
	return r.identity, r.savingKnown, r.reserveErr
}

func (r *fakeRegistry) SavePublication(_ context.Context, p store.Publication) (store.Publication, bool, error) {
	if r.whenSaving != nil {
		r.whenSaving(p)
	}
	r.saved = append(r.saved, p)
	return p, !r.savingKnown, r.saveErr
}

// newWorker is a worker that puts out into an empty folder, by a clock that goes
// one second further whenever it is read.
func newWorker(t *testing.T, registry catalogue.Registry) *catalogue.Worker {
	t.Helper()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	return &catalogue.Worker{
		Pipeline: protect.NewPipeline(1), Registry: registry, Store: newFolder(t, ""), HTTP: http.DefaultClient,
		Now:   func() time.Time { now = now.Add(time.Second); return now },
		Pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

// A folder is a store in a folder, which tells where.
type folder struct {
	*fileblob.Store
	dir string
}

func newFolder(t *testing.T, base string) folder {
	t.Helper()
	dir := t.TempDir()
	s, err := fileblob.Open(dir, base)
	if err != nil {
		t.Fatal(err)
	}
	return folder{s, dir}
}

func outOf(w *catalogue.Worker) string { return w.Store.(folder).dir }

func sample(t *testing.T, name string) []byte {
	t.Helper()
	data, err := testdata.Samples.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sampleFile(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, sample(t, name), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func process(t *testing.T, w *catalogue.Worker, item catalogue.Item) catalogue.Record {
	t.Helper()
	rec, err := w.Process(t.Context(), item, catalogue.Progress{})
	if err != nil {
		t.Fatalf("Process: %v", err)
	}
	return rec
}

func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range found {
		names = append(names, f.Name())
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// opens fails unless the file decrypts with the key.
func opens(t *testing.T, file string, key lcpcrypto.ContentKey) {
	t.Helper()
	pkg, err := protect.OpenPackage(file)
	if err != nil {
		t.Fatal(err)
	}
	defer pkg.Close()
	if err := pkg.Decrypt(t.Context(), key, filepath.Join(t.TempDir(), "clear")); err != nil {
		t.Errorf("the file does not open with the key: %v", err)
	}
}

// What can be known beforehand is asked for, and the file is encrypted with the
// identity that the registry gives; the record is made when the file is there.
func TestProcessAsksTheRegistry(t *testing.T) {
	t.Parallel()
	identity := store.Identity{UUID: someID, AltID: "poems", Key: lcpcrypto.NewContentKey()}
	given := lcpcrypto.NewContentKey()
	tests := map[string]struct {
		item   catalogue.Item
		wanted []store.Identity
	}{
		"alternative identifier": {catalogue.Item{AltID: "poems"}, []store.Identity{{AltID: "poems"}}},
		"uuid, in lower case":    {catalogue.Item{UUID: strings.ToUpper(someID)}, []store.Identity{{UUID: someID}}},
		"everything":             {catalogue.Item{UUID: someID, AltID: "poems", KeyFile: "given.key"}, []store.Identity{{UUID: someID, AltID: "poems", Key: given}}},
		"nothing known":          {catalogue.Item{}, nil},
		"a key only":             {catalogue.Item{KeyFile: "given.key"}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry := &fakeRegistry{identity: identity}
			w := newWorker(t, registry)
			w.ReadKey = func(string) (lcpcrypto.ContentKey, error) { return given, nil }
			registry.whenSaving = func(p store.Publication) {
				if _, err := os.Stat(filepath.Join(outOf(w), p.UUID+".epub")); err != nil {
					t.Errorf("the record is saved before the file is there: %v", err)
				}
			}
			tt.item.Input, tt.item.Provider = sampleFile(t, "sample.epub"), "https://publisher.example"
			rec := process(t, w, tt.item)
			if len(registry.wanted) != len(tt.wanted) || len(tt.wanted) > 0 && registry.wanted[0] != tt.wanted[0] {
				t.Errorf("Reserve was asked %d times, or for something else", len(registry.wanted))
			}
			if len(registry.saved) != 1 {
				t.Fatalf("SavePublication was called %d times", len(registry.saved))
			}
			p := registry.saved[0]
			if len(tt.wanted) > 0 && (p.UUID != identity.UUID || p.AltID != identity.AltID || p.ContentKey != identity.Key) {
				t.Error("another identity is saved than the registry gave")
			}
			if tt.item.KeyFile != "" && len(tt.wanted) == 0 && p.ContentKey != given {
				t.Error("another key is saved than was given")
			}
			wantFiles(t, outOf(w), p.UUID+".epub")
			opens(t, rec.File, p.ContentKey)
			if p.Size != rec.Size || p.Checksum != rec.Checksum || p.Href != rec.Href || p.ContentType != "application/epub+zip" ||
				p.Title != rec.Title || p.Provider != tt.item.Provider || len(p.Authors) != 4 {
				t.Errorf("%+v is saved for the record %+v", p, rec)
			}
			if rec.EncryptionKey != "" {
				t.Error("the record has the key")
			}
		})
	}
}

// A registry that fails leaves no file that nobody has the key of; a file that
// takes the place of another stays, for its key is known.
func TestProcessWhenTheRegistryFails(t *testing.T) {
	t.Parallel()
	registry := &fakeRegistry{identity: store.Identity{UUID: someID, Key: lcpcrypto.NewContentKey()}}
	w := newWorker(t, registry)
	w.Cover = true
	item := catalogue.Item{Input: sampleFile(t, "sample.epub"), UUID: someID}

	registry.saveErr = errRegistry
	rec, err := w.Process(t.Context(), item, catalogue.Progress{})
	if !errors.Is(err, errRegistry) || rec.Error != err.Error() || strings.Contains(rec.Error, "encrypt it again") {
		t.Errorf("Process = %v, record %+v", err, rec)
	}
	want := catalogue.Record{UUID: someID, Source: item.Input, Seconds: 1, Error: rec.Error}
	if diff := cmp.Diff(want, rec, cmpopts.IgnoreFields(rec, "Title", "Authors", "ContentType", "Format", "Encrypted")); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	wantFiles(t, outOf(w))

	registry.saveErr = nil
	process(t, w, item)
	registry.saveErr = errRegistry
	if _, err := w.Process(t.Context(), item, catalogue.Progress{}); !errors.Is(err, errRegistry) || !strings.HasSuffix(err.Error(), "its record is not: encrypt it again") {
		t.Errorf("Process = %v", err)
	}
	wantFiles(t, outOf(w), someID+".epub", someID+".epub.cover.jpg")
	opens(t, filepath.Join(outOf(w), someID+".epub"), registry.identity.Key)

	registry.reserveErr = errRegistry
	w.Store = newFolder(t, "")
	if _, err := w.Process(t.Context(), item, catalogue.Progress{}); !errors.Is(err, errRegistry) {
		t.Errorf("Process = %v", err)
	}
	wantFiles(t, outOf(w))
}

func TestProcessWithoutRegistry(t *testing.T) {
	t.Parallel()
	w := newWorker(t, nil)
	rec := process(t, w, catalogue.Item{Input: sampleFile(t, "sample.epub"), UUID: someID})
	key, err := lcpcrypto.ParseContentKey(rec.EncryptionKey)
	if err != nil || rec.UUID != someID {
		t.Fatalf("record %+v: %v", rec, err)
	}
	opens(t, rec.File, key)
}

func TestProcessDryRun(t *testing.T) {
	t.Parallel()
	registry := &fakeRegistry{}
	w := newWorker(t, registry)
	w.DryRun = true
	rec := process(t, w, catalogue.Item{Input: sampleFile(t, "sample.epub"), AltID: "poems"})
	if rec.File != "" || rec.Encrypted != 7 || rec.Format != "EPUB 3" || len(registry.wanted)+len(registry.saved) > 0 {
		t.Errorf("record %+v, %d calls of the registry", rec, len(registry.wanted)+len(registry.saved))
	}
	wantFiles(t, outOf(w))
}

func TestProcessTellsProgress(t *testing.T) {
	t.Parallel()
	w := newWorker(t, nil)
	file := sampleFile(t, "sample.pdf")
	var total, done int64
	_, err := w.Process(t.Context(), catalogue.Item{Input: file}, catalogue.Progress{
		Total: func(n int64) { total = n }, Add: func(n int64) { done += n },
	})
	if want := int64(len(sample(t, "sample.pdf"))); err != nil || total != want || done < want {
		t.Errorf("total %d, done %d, %v; want %d and at least as much", total, done, err, want)
	}
}

// The link of a license is a URL, whatever the file is called.
func TestHref(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ base, name, file, want string }{
		"plain":                   {"https://cdn.example.com/shelf", "a.epub", "a.epub", "https://cdn.example.com/shelf/a.epub"},
		"base ends in a slash":    {"https://cdn.example.com/shelf/", "a.epub", "a.epub", "https://cdn.example.com/shelf/a.epub"},
		"extension is added":      {"https://cdn.example.com", "a", "a.epub", "https://cdn.example.com/a.epub"},
		"space, query, fragment":  {"https://cdn.example.com", "a b?c#d%41.epub", "a b?c#d%41.epub", "https://cdn.example.com/a%20b%3Fc%23d%2541.epub"},
		"letters beyond ASCII":    {"https://cdn.example.com", "草枕.epub", "草枕.epub", "https://cdn.example.com/%E8%8D%89%E6%9E%95.epub"},
		"nowhere but this system": {"", "a b#c.epub", "a b#c.epub", "file://OUT/a%20b%23c.epub"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorker(t, nil)
			w.Store = newFolder(t, tt.base)
			rec := process(t, w, catalogue.Item{Input: sampleFile(t, "sample.epub"), FileName: tt.name})
			wantFiles(t, outOf(w), tt.file)
			if want := strings.Replace(tt.want, "OUT", filepath.ToSlash(outOf(w)), 1); rec.Href != want {
				t.Errorf("href is %q, want %q", rec.Href, want)
			}
			u, err := url.Parse(rec.Href)
			if err != nil || filepath.Base(filepath.FromSlash(u.Path)) != tt.file {
				t.Errorf("href %q leads to %q, %v", rec.Href, u.Path, err)
			}
		})
	}
}

func TestInputName(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		"shelf/my book.epub":                         "my book.epub",
		"https://example.com/shelf/my%20book.epub":   "my book.epub",
		"https://example.com/book.epub?token=x/y#z":  "book.epub",
		"http://example.com/a/..%2Fb.epub":           "b.epub",
		"https://example.com/%E8%8D%89%E6%9E%95.pdf": "草枕.pdf",
	} {
		if got := catalogue.InputName(input); got != want {
			t.Errorf("InputName(%q) = %q, want %q", input, got, want)
		}
	}
}

// newShop serves a book, and answers that go wrong; one hangs, and tells.
func newShop(t *testing.T, hangs func()) *httptest.Server {
	t.Helper()
	book := sample(t, "sample.epub")
	mux := http.NewServeMux()
	mux.HandleFunc("/my%20book.epub", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(book) })
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(book) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/my%20book.epub", http.StatusFound) })
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>please log in</html>")) })
	mux.HandleFunc("/half", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(book[:5000])
	})
	mux.HandleFunc("/hangs", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(book[:5000])
		_ = http.NewResponseController(w).Flush()
		hangs()
		<-r.Context().Done()
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// What is fetched goes through like a file, and whatever happens, the download
// is gone afterwards. It is not parallel, for it looks at all temporary files.
func TestFetch(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	hanging, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := newShop(t, cancel)
	tests := map[string]struct {
		path string
		want string // in the error; "" for none
	}{
		"book":             {path: "/my%20book.epub"},
		"no name":          {path: "/"},
		"redirected":       {path: "/moved"},
		"not there":        {"/gone.epub", "download: the server answered 404 Not Found"},
		"cut off":          {"/half", "download: "},
		"no publication":   {"/page", publication.ErrUnknownFormat.Error()},
		"cancelled":        {"/hangs", "context"},
		"not even a host":  {"//", "download: "},
		"no valid address": {"/%zz", "invalid URL escape"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if name == "cancelled" {
				ctx = hanging
			}
			address := server.URL + tt.path
			if name == "not even a host" {
				address = "http:///book.epub"
			}
			w := newWorker(t, nil)
			rec, err := w.Process(ctx, catalogue.Item{Input: address}, catalogue.Progress{})
			switch {
			case tt.want == "" && (err != nil || rec.Source != address || rec.Encrypted != 7):
				t.Errorf("Process = %+v, %v", rec, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("Process = %v, want %q in it", err, tt.want)
			case tt.want != "":
				wantFiles(t, outOf(w))
			}
			if left, err := filepath.Glob(filepath.Join(temp, "lcp-download-*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %q, %v", left, err)
			}
		})
	}
}

func TestProcessRefusesNothingToEncrypt(t *testing.T) {
	t.Parallel()
	w := newWorker(t, nil)
	file := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(file, []byte("notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	rec, err := w.Process(t.Context(), catalogue.Item{Input: file}, catalogue.Progress{})
	if !errors.Is(err, publication.ErrUnknownFormat) || rec.Error == "" || rec.Source != file {
		t.Errorf("Process = %+v, %v", rec, err)
	}
	wantFiles(t, outOf(w))
}

// A download is tried again where trying may help, and no other work is.
func TestFetchAgain(t *testing.T) {
	t.Parallel()
	book := sample(t, "sample.epub")
	cut := func(w http.ResponseWriter) { w.Header().Set("Content-Length", "100000"); _, _ = w.Write(book[:500]) }
	answer := func(code int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(code) }
	}
	tests := map[string]struct {
		fails    func(http.ResponseWriter)
		times    int
		attempts int
		ok       bool
	}{
		"busy":           {answer(503), 2, 3, true},
		"too many calls": {answer(429), 1, 2, true},
		"cut off":        {cut, 3, 4, true},
		"away for good":  {answer(500), 9, 4, false},
		"forbidden":      {answer(403), 1, 1, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attempts := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if attempts++; attempts <= tt.times {
					tt.fails(w)
					return
				}
				_, _ = w.Write(book)
			}))
			defer server.Close()
			w := newWorker(t, nil)
			var waited time.Duration
			w.Pause = func(_ context.Context, d time.Duration) error { waited += d; return nil }
			_, err := w.Process(t.Context(), catalogue.Item{Input: server.URL + "/book.epub"}, catalogue.Progress{})
			if (err == nil) != tt.ok || attempts != tt.attempts {
				t.Errorf("Process = %v in %d attempts, want %d", err, attempts, tt.attempts)
			}
			if want := 250 * time.Millisecond * (1<<(tt.attempts-1) - 1); waited != want {
				t.Errorf("waited %s, want %s", waited, want)
			}
		})
	}
}

// Half of one file and half of another would make a publication that opens and
// is neither.
func TestProcessRefusesAFileThatChanges(t *testing.T) {
	t.Parallel()
	registry := &fakeRegistry{}
	w := newWorker(t, registry)
	file := sampleFile(t, "sample.pdf")
	_, err := w.Process(t.Context(), catalogue.Item{Input: file}, catalogue.Progress{
		Add: func(int64) { _ = os.Truncate(file, 1<<20) },
	})
	if !errors.Is(err, protect.ErrChanged) {
		t.Errorf("Process = %v, want %v", err, protect.ErrChanged)
	}
	wantFiles(t, outOf(w))
	if len(registry.saved) > 0 {
		t.Errorf("registered %v", registry.saved)
	}
}
