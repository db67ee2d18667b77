package s3blob_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/blob/s3blob"
)

// put puts an object into the fake, behind the store's back.
func (f *fake) put(key string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.store("/"+testBucket+"/"+key, data, "", http.Header{})
}

func randomBytes(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	data := make([]byte, n)
	_, _ = r.Read(data)
	return data
}

func openObject(t *testing.T, s *s3blob.Store, key string) *s3blob.Object {
	t.Helper()
	o, err := s.OpenObject(t.Context(), key, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// An object is read at any offset, by several at once, as any reader is.
func TestObjectReadAt(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 1000, 1 << 20, 1<<20 + 1, 12<<20 + 345} {
		f := newFake(t)
		data := randomBytes(size)
		f.put("new/a book.epub", data)
		o := openObject(t, f.open(t, s3blob.Options{}), "new/a book.epub")
		if o.Size() != int64(size) || o.Name() != "new/a book.epub" || o.Info().ETag == "" {
			t.Errorf("size %d: %+v", size, o.Info())
		}
		if size <= 1000 {
			if err := iotest.TestReader(io.NewSectionReader(o, 0, o.Size()), data); err != nil {
				t.Errorf("size %d: %v", size, err)
			}
		}
		var readers sync.WaitGroup
		for i := range 4 {
			readers.Go(func() {
				from := size / 4 * i
				got, err := io.ReadAll(io.NewSectionReader(o, int64(from), int64(size)))
				if err != nil || !bytes.Equal(got, data[from:]) {
					t.Errorf("size %d from %d: %d bytes, %v", size, from, len(got), err)
				}
			})
		}
		readers.Wait()
		if n, err := o.ReadAt(make([]byte, 1), int64(size)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("size %d: at the end %d, %v", size, n, err)
		}
	}
}

// Reading on finds what comes next there, and asks for nothing twice.
func TestObjectReadsAhead(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.put("a", randomBytes(10<<20))
	o := openObject(t, f.open(t, s3blob.Options{}), "a")
	if _, err := io.Copy(io.Discard, io.NewSectionReader(o, 0, o.Size())); err != nil {
		t.Fatal(err)
	}
	if n := f.count("get"); n != 10 {
		t.Errorf("%d requests for 10 blocks", n)
	}
}

// What takes the place of an object while it is read is not mixed with it.
func TestObjectReplaced(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.put("a", randomBytes(8<<20))
	o := openObject(t, f.open(t, s3blob.Options{}), "a")
	if _, err := o.ReadAt(make([]byte, 10), 0); err != nil {
		t.Fatal(err)
	}
	f.put("a", bytes.Repeat([]byte("x"), 8<<20))
	if _, err := o.ReadAt(make([]byte, 10), 7<<20); !errors.Is(err, s3blob.ErrReplaced) {
		t.Errorf("ReadAt = %v", err)
	}
}

// A connection that breaks is made again; a server that fails for good is an
// error, which does not stick.
func TestObjectFaults(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	data := randomBytes(1 << 20)
	f.put("a", data)
	o := openObject(t, f.open(t, s3blob.Options{}), "a")
	f.mu.Lock()
	f.fault = failing(100, http.StatusForbidden, "AccessDenied", "get")
	f.mu.Unlock()
	if _, err := o.ReadAt(make([]byte, 10), 0); err == nil || !strings.Contains(err.Error(), "read s3://books/a: AccessDenied") {
		t.Errorf("ReadAt = %v", err)
	}
	broken := false
	f.mu.Lock()
	f.fault = func(w http.ResponseWriter, r *http.Request, op string, _ int) bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		if op != "get" || broken {
			return false
		}
		broken = true
		w.Header().Set("ETag", f.objects["/"+testBucket+"/a"].etag)
		w.Header().Set("Content-Length", "1048576")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(data[:1000])
		panic(http.ErrAbortHandler)
	}
	f.mu.Unlock()
	got, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
	if err != nil || !bytes.Equal(got, data) || !broken {
		t.Errorf("%d bytes, %v, broken %v", len(got), err, broken)
	}
	if _, err := f.open(t, s3blob.Options{}).OpenObject(t.Context(), "none", 1); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("OpenObject = %v", err)
	}
}

// A real server lists keys as they are, all the way down or not.
func TestList(t *testing.T) {
	t.Parallel()
	s := open(t, s3blob.Options{Endpoint: startServer(t), Prefix: "listed"})
	for _, name := range []string{"a b.epub", "sub/ü+.epub", "sub/deep/c.epub"} {
		_, err := s.Put(t.Context(), name, blob.Meta{}, func(w io.Writer) error { _, err := w.Write([]byte("x")); return err })
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		prefix    string
		recursive bool
		want      []string
	}{
		{"listed/", true, []string{"listed/a b.epub", "listed/sub/deep/c.epub", "listed/sub/ü+.epub"}},
		{"listed/", false, []string{"listed/a b.epub"}},
		{"listed/none/", true, nil},
	} {
		var got []string
		for o, err := range s.List(t.Context(), tt.prefix, tt.recursive) {
			if err != nil || o.Size != 1 || o.ETag == "" || o.Modified.IsZero() {
				t.Fatalf("%+v, %v", o, err)
			}
			if info, err := s.Look(t.Context(), o.Key); err != nil || info.ETag != o.ETag || info.Size != o.Size {
				t.Errorf("Look = %+v, %v, listed %+v", info, err, o)
			}
			got = append(got, o.Key)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt, diff)
		}
	}
	for _, err := range open(t, s3blob.Options{Endpoint: startServer(t), Bucket: "missing"}).List(t.Context(), "", true) {
		if err == nil || !strings.Contains(err.Error(), "list s3://missing/: NoSuchBucket") {
			t.Errorf("List = %v", err)
		}
	}
}
