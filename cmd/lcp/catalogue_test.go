package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A bucket is a server that speaks as much of S3 as small objects take.
type bucket struct {
	mu      sync.Mutex
	objects map[string][]byte // by path
	headers map[string]http.Header
	fault   func(w http.ResponseWriter, r *http.Request) bool // answers instead; nil for no fault
}

func newBucket(t *testing.T) (b *bucket, url string) {
	t.Helper()
	b = &bucket{objects: map[string][]byte{}, headers: map[string]http.Header{}}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	return b, server.URL
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fault != nil && b.fault(w, r) {
		return
	}
	data, found := b.objects[r.URL.Path]
	switch r.Method {
	case http.MethodPut:
		b.objects[r.URL.Path], b.headers[r.URL.Path] = body, r.Header.Clone()
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(body)))
	case http.MethodDelete:
		delete(b.objects, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodHead, http.MethodGet:
		if !found {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("X-Amz-Meta-Sha256", b.headers[r.URL.Path].Get("X-Amz-Meta-Sha256"))
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data)
	}
}

// A publication goes straight into a bucket, with its type and the headers that
// were asked for; what is stored there opens with the key that is registered.
func TestEncryptIntoS3(t *testing.T) {
	t.Parallel()
	b, url := newBucket(t)
	m := newMachine(t)
	m.env = append(m.env, "AWS_ACCESS_KEY_ID=k", "AWS_SECRET_ACCESS_KEY=s")
	m.write(t, "book.epub", sample(t, "sample.epub"))
	flags := []string{
		"--s3-endpoint", url, "--s3-path-style", "--s3-sse", "AES256",
		"--s3-acl", "public-read", "--s3-storage-class", "STANDARD_IA", "--s3-cache-control", "max-age=60",
	}
	storage := append([]string{"--storage", "s3://books/shelf", "--url", "https://cdn.example.com/shelf"}, flags...)
	rec := m.must(t, append([]string{"encrypt", "book.epub", "--cover", "--verify"}, storage...)...).record(t)
	path := "/books/shelf/" + rec.UUID + ".epub"
	if rec.File != "s3:/"+path || rec.Href != "https://cdn.example.com/shelf/"+rec.UUID+".epub" {
		t.Errorf("record %+v", rec)
	}
	if len(b.objects) != 2 || b.objects[path+".cover.jpg"] == nil || fmt.Sprintf("%x", sha256.Sum256(b.objects[path])) != rec.Checksum {
		t.Fatalf("the bucket has %d objects, or others than the record tells of", len(b.objects))
	}
	for header, want := range map[string]string{
		"Content-Type": "application/epub+zip", "Content-Disposition": "attachment; filename=" + rec.UUID + ".epub",
		"X-Amz-Server-Side-Encryption": "AES256", "X-Amz-Acl": "public-read",
		"X-Amz-Storage-Class": "STANDARD_IA", "Cache-Control": "max-age=60",
	} {
		if got := b.headers[path].Get(header); got != want {
			t.Errorf("header %s is %q, want %q", header, got, want)
		}
	}
	m.write(t, "stored.epub", b.objects[path])
	m.must(t, "decrypt", "stored.epub", "--out", "clear.epub")

	out := m.must(t, append([]string{"upload", "stored.epub", "book.epub", "--jobs", "1"}, storage...)...)
	if strings.Count(out.out, "\n") != 2 || len(b.objects) != 4 {
		t.Errorf("upload printed %q, and the bucket has %d objects", out.out, len(b.objects))
	}
	if out := m.must(t, append([]string{"upload", "book.epub"}, storage...)...); !strings.Contains(out.out, `"unchanged":true`) {
		t.Errorf("upload printed %q", out.out)
	}
}

// Whatever a bucket does, each publication that is not stored fails with one line,
// and none is registered or seen.
func TestEncryptWhenS3Fails(t *testing.T) {
	t.Parallel()
	refuse := func(status int, code string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut {
				return false
			}
			w.WriteHeader(status)
			fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
			return true
		}
	}
	tests := map[string]struct {
		fault func(http.ResponseWriter, *http.Request) bool
		want  string
	}{
		"denies access":   {refuse(http.StatusForbidden, "AccessDenied"), "s3:PutObject"},
		"has no bucket":   {refuse(http.StatusNotFound, "NoSuchBucket"), "create the bucket"},
		"got other bytes": {refuse(http.StatusBadRequest, "BadDigest"), "checksum mismatch"},
		"says another sum": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				w.Header().Set("X-Amz-Checksum-Sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
			}
			return false
		}, "checksum mismatch"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, url := newBucket(t)
			b.fault = tt.fault
			m := newMachine(t)
			m.env = append(m.env, "AWS_ACCESS_KEY_ID=k", "AWS_SECRET_ACCESS_KEY=s")
			m.write(t, "one.epub", sample(t, "sample.epub"))
			m.write(t, "two.pdf", sample(t, "sample.pdf"))
			o := m.run(t, "encrypt", "one.epub", "two.pdf", "--storage", "s3://books", "--s3-endpoint", url, "--s3-path-style")
			lines := strings.Split(strings.TrimSpace(o.errors), "\n")
			failed := slices.DeleteFunc(lines, func(line string) bool { return !strings.Contains(line, tt.want) })
			if o.code != exitFailed || o.out != "" || len(failed) != 2 {
				t.Errorf("exit code %d, output %q: %s", o.code, o.out, o.errors)
			}
			if n := m.publications(t); n != 0 || len(b.objects) != 0 {
				t.Errorf("%d publications are registered, %d objects stored", n, len(b.objects))
			}
		})
	}
}

// A CMS is told of each publication once it is registered. If it cannot be, that
// undoes nothing, and the next run with the same journal makes up for it.
func TestEncryptNotifies(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	status := http.StatusForbidden
	var told []string
	cms := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		if user, password, _ := r.BasicAuth(); user != "lcp" || password != "pass:word" {
			t.Errorf("credentials %q, %q", user, password)
		}
		if status == http.StatusFound {
			told = append(told, string(body))
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	}))
	defer cms.Close()
	m := newMachine(t)
	m.write(t, "book.epub", sample(t, "sample.epub"))
	m.write(t, "secret", []byte("lcp:pass:word\n"))
	args := []string{"encrypt", "book.epub", "--journal", "journal", "--out", "shelf", "--notify", cms.URL, "--notify-credentials-file", "secret"}
	out := m.run(t, args...)
	if out.code != exitSomeFailed || !strings.Contains(out.errors, "lcp: book.epub: the CMS could not be told: it answered 403 Forbidden\n") || m.publications(t) != 1 {
		t.Errorf("exit code %d, %d publications: %s", out.code, m.publications(t), out.errors)
	}
	id := out.record(t).UUID
	if out := m.run(t, args...); out.code != exitSomeFailed || out.out != "" {
		t.Errorf("exit code %d: %s%s", out.code, out.out, out.errors)
	}
	mu.Lock()
	status = http.StatusFound
	mu.Unlock()
	for range 2 {
		if out := m.must(t, args...); out.out != "" {
			t.Errorf("done again: %s", out.out)
		}
	}
	if len(told) != 1 || !strings.HasPrefix(told[0], `{"uuid":"`+id+`","title":"Four Poems \u0026 Some Hills","content_type":"application/epub+zip","date_published":`) ||
		!strings.Contains(told[0], `"author":[{"name":"Lewis Carroll"}`) || !strings.Contains(told[0], `"language":[{"code":"en"}`) {
		t.Errorf("the CMS was told %q", told)
	}
	wantFiles(t, m.path("shelf"), id+".epub")
}

func isHidden(name string) bool { return strings.HasPrefix(name, ".") }

// What files are called does not command the terminal, nor make two lines of one.
func TestEncryptSaysItPlainly(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.write(t, "in\x1b[31m\nfo.epub", []byte("not a book"))
	m.write(t, "b\x1bk.epub", sample(t, "sample.epub"))
	out := m.run(t, "encrypt", ".", "--out", "shelf", "--format", "text")
	for _, want := range []string{"lcp: in [31m fo.epub: unknown publication format", "lcp: b k.epub -> shelf/"} {
		if !strings.Contains(out.errors, want) {
			t.Errorf("%q is missing in %q", want, out.errors)
		}
	}
	if out.code != exitSomeFailed || strings.ContainsRune(out.out+out.errors, '\x1b') {
		t.Errorf("exit code %d: %q, %q", out.code, out.out, out.errors)
	}
}
