package upload_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/blob/fileblob"
	"github.com/lcp-tools/lcp/pkg/upload"
)

// recorder is a store that notes what it is told, and may act during a Put.
type recorder struct {
	*fileblob.Store
	meta   []blob.Meta
	during func()
}

func (r *recorder) Put(ctx context.Context, name string, meta blob.Meta, write func(io.Writer) error) (blob.Info, error) {
	r.meta = append(r.meta, meta)
	return r.Store.Put(ctx, name, meta, func(w io.Writer) error {
		if r.during != nil {
			r.during()
		}
		return write(w)
	})
}

func newStore(t *testing.T) *recorder {
	t.Helper()
	s, err := fileblob.Open(t.TempDir(), "https://cdn.example.org/books")
	if err != nil {
		t.Fatal(err)
	}
	return &recorder{Store: s}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	path := filepath.Join(t.TempDir(), "a b.lcpdf")
	// The second round finds the file there; the third, another of the same size.
	for i, tt := range []struct {
		content   string
		unchanged bool
	}{{"abc", false}, {"abc", true}, {"abd", false}} {
		write(t, path, tt.content)
		var sent int64
		rec, err := upload.File(t.Context(), store, upload.Item{Path: path, Name: "a b.lcpdf"}, func(n int64) { sent += n })
		if err != nil {
			t.Fatal(err)
		}
		want := upload.Record{
			File: path, Location: store.Location("a b.lcpdf"), Href: "https://cdn.example.org/books/a%20b.lcpdf",
			ContentType: "application/pdf+lcp", Size: 3, Checksum: rec.Checksum, Unchanged: tt.unchanged,
		}
		if rec != want {
			t.Errorf("round %d: %+v, want %+v", i, rec, want)
		}
		if wantSent := map[bool]int64{true: 0, false: 3}[tt.unchanged]; sent != wantSent {
			t.Errorf("round %d: progress of %d bytes, want %d", i, sent, wantSent)
		}
		// FIPS 180-2, appendix B.1
		if abc := "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; i < 2 && rec.Checksum != abc {
			t.Errorf("checksum = %s, want %s", rec.Checksum, abc)
		}
		if got, err := os.ReadFile(store.Location("a b.lcpdf")); err != nil || string(got) != tt.content {
			t.Errorf("round %d: the store has %q, %v", i, got, err)
		}
	}
	if len(store.meta) != 2 || store.meta[0].ContentType != "application/pdf+lcp" || store.meta[0].SHA256 == nil {
		t.Errorf("the store was told %+v", store.meta)
	}
}

func TestFileThatChanges(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]string{"other bytes": "xyz", "cut short": "a"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newStore(t)
			path := filepath.Join(t.TempDir(), "a.epub")
			write(t, path, "abc")
			store.during = func() { write(t, path, after) }
			_, err := upload.File(t.Context(), store, upload.Item{Path: path, Name: "a.epub"}, nil)
			if !errors.Is(err, upload.ErrChanged) {
				t.Errorf("File = %v, want ErrChanged", err)
			}
			if _, err := store.Stat(t.Context(), "a.epub"); !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("Stat = %v, want ErrNotFound", err)
			}
		})
	}
}

func TestFileRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := upload.File(t.Context(), newStore(t), upload.Item{Path: dir, Name: "a"}, nil); err == nil {
		t.Error("a folder was accepted")
	}
	missing := filepath.Join(dir, "missing")
	if _, err := upload.File(t.Context(), newStore(t), upload.Item{Path: missing, Name: "a"}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	path := filepath.Join(dir, "a.epub")
	write(t, path, "abc")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := upload.File(ctx, newStore(t), upload.Item{Path: path, Name: "a.epub"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	items, err := upload.Plan([]string{"x/a.epub", "y/b.epub"})
	if err != nil || len(items) != 2 || items[0] != (upload.Item{Path: "x/a.epub", Name: "a.epub"}) {
		t.Errorf("Plan = %+v, %v", items, err)
	}
	_, err = upload.Plan([]string{"x/a.epub", "y/a.epub", "x/.hidden"})
	if err == nil || !errors.Is(err, blob.ErrName) || !strings.Contains(err.Error(), "y/a.epub: x/a.epub") {
		t.Errorf("Plan = %v, want both reasons", err)
	}
}

func TestContentType(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	for _, name := range []string{"a.epub", "A.EPUB", "a.lcpdf", "a.lcpa", "a.lcpau", "a.lcpdi", "a.webpub", "a.lcpl", "a.jpg", "a.html", "a.zip", "a"} {
		got.WriteString(name + " " + upload.ContentType(name) + "\n")
	}
	const want = `a.epub application/epub+zip
A.EPUB application/epub+zip
a.lcpdf application/pdf+lcp
a.lcpa application/audiobook+lcp
a.lcpau application/audiobook+lcp
a.lcpdi application/divina+lcp
a.webpub application/webpub+lcp
a.lcpl application/vnd.readium.lcp.license.v1.0+json
a.jpg image/jpeg
a.html text/html; charset=utf-8
a.zip application/octet-stream
a application/octet-stream
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}
