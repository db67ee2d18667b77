package s3blob_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/blob/s3blob"
)

// A fake is an S3 server that does the least there is to do, and fails on
// request.
type fake struct {
	url string

	mu      sync.Mutex
	fault   func(w http.ResponseWriter, r *http.Request, op string, n int) (done bool)
	after   func(w http.ResponseWriter, r *http.Request, op string, n int)
	calls   map[string]int
	headers map[string]http.Header // of the last request of each operation
	objects map[string]object
	uploads map[string]map[int][]byte
	heads   map[string]http.Header // of uploads
}

type object struct {
	data   []byte
	etag   string
	header http.Header
}

func newFake(t *testing.T) *fake {
	f := &fake{
		calls: map[string]int{}, headers: map[string]http.Header{}, objects: map[string]object{},
		uploads: map[string]map[int][]byte{}, heads: map[string]http.Header{},
	}
	srv := httptest.NewServer(f)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	f.url = srv.URL
	return f
}

// open returns a store in the fake, which gives up quickly.
func (f *fake) open(t *testing.T, o s3blob.Options) *s3blob.Store {
	t.Helper()
	o.Endpoint = f.url
	if o.Attempts == 0 {
		o.Attempts = 2
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	return open(t, o)
}

func operation(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case q.Has("uploads"):
		return "create"
	case q.Has("partNumber"):
		return "part " + q.Get("partNumber")
	case q.Has("uploadId") && r.Method == http.MethodPost:
		return "complete"
	case q.Has("uploadId"):
		return "abort"
	case q.Has("tagging"):
		return "tagging"
	default:
		return strings.ToLower(r.Method)
	}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := operation(r)
	f.mu.Lock()
	f.calls[op]++
	n := f.calls[op]
	f.headers[op] = r.Header.Clone()
	fault, after := f.fault, f.after
	f.mu.Unlock()
	if fault != nil && fault(w, r, op, n) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	sum := sha256.Sum256(body)
	if want := r.Header.Get("X-Amz-Content-Sha256"); want != hex.EncodeToString(sum[:]) {
		fail(w, http.StatusBadRequest, "XAmzContentSHA256Mismatch")
		return
	}
	if want := r.Header.Get("X-Amz-Checksum-Sha256"); want != "" && want != base64.StdEncoding.EncodeToString(sum[:]) {
		fail(w, http.StatusBadRequest, "BadDigest")
		return
	}
	answer := httptest.NewRecorder()
	f.mu.Lock()
	f.serve(answer, r, op, body)
	f.mu.Unlock()
	if after != nil {
		after(answer, r, op, n)
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request, op string, body []byte) {
	key, id := r.URL.Path, r.URL.Query().Get("uploadId")
	if id != "" && f.uploads[id] == nil {
		fail(w, http.StatusNotFound, "NoSuchUpload")
		return
	}
	switch op {
	case "create":
		id := strconv.Itoa(len(f.heads) + 1)
		f.uploads[id], f.heads[id] = map[int][]byte{}, r.Header.Clone()
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id)
	case "complete":
		f.complete(w, key, id, body)
	case "abort":
		delete(f.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	case "tagging":
		fail(w, http.StatusNotImplemented, "NotImplemented")
	case "put":
		w.Header().Set("ETag", f.store(key, body, "", r.Header.Clone()))
	case "delete":
		delete(f.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case "get", "head":
		f.get(w, r, key)
	default: // a part
		number, _ := strconv.Atoi(r.URL.Query().Get("partNumber"))
		f.uploads[id][number] = body
		w.Header().Set("ETag", fmt.Sprintf(`"part-%d"`, number))
	}
}

func (f *fake) store(key string, data []byte, suffix string, header http.Header) string {
	etag := fmt.Sprintf(`"%x%s"`, sha256.Sum256(data), suffix)
	f.objects[key] = object{data, etag, header}
	return etag
}

func (f *fake) complete(w http.ResponseWriter, key, id string, body []byte) {
	var request struct {
		Part []struct{ PartNumber int }
	}
	if err := xml.Unmarshal(body, &request); err != nil {
		fail(w, http.StatusBadRequest, "MalformedXML")
		return
	}
	var data []byte
	for i, p := range request.Part {
		part, ok := f.uploads[id][p.PartNumber]
		if !ok || p.PartNumber != i+1 || i+1 < len(request.Part) && len(part) < 5<<20 {
			fail(w, http.StatusBadRequest, "InvalidPart")
			return
		}
		data = append(data, part...)
	}
	etag := f.store(key, data, fmt.Sprintf("-%d", len(request.Part)), f.heads[id])
	delete(f.uploads, id)
	fmt.Fprintf(w, "<CompleteMultipartUploadResult><ETag>%s</ETag></CompleteMultipartUploadResult>", etag)
}

func (f *fake) get(w http.ResponseWriter, r *http.Request, key string) {
	o, ok := f.objects[key]
	switch match := r.Header.Get("If-Match"); {
	case !ok:
		fail(w, http.StatusNotFound, "NoSuchKey")
		return
	case match != "" && match != o.etag:
		fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	w.Header().Set("ETag", o.etag)
	if sum := o.header.Get("X-Amz-Meta-Sha256"); sum != "" {
		w.Header().Set("X-Amz-Meta-Sha256", sum)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(o.data))
}

func fail(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as asked for</Message></Error>", code)
}

// count is how often an operation was called.
func (f *fake) count(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

func (f *fake) header(op string) http.Header {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.headers[op]
}

// checkEmpty verifies that no object is there and no upload open.
func (f *fake) checkEmpty(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.objects) > 0 || len(f.uploads) > 0 {
		t.Errorf("the server has %d objects and %d unfinished uploads, want none", len(f.objects), len(f.uploads))
	}
}

// failing returns a fault of some operations, in the first times they are called.
func failing(times, status int, code string, ops ...string) func(http.ResponseWriter, *http.Request, string, int) bool {
	return func(w http.ResponseWriter, r *http.Request, op string, n int) bool {
		if !slices.Contains(ops, op) || n > times {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		fail(w, status, code)
		return true
	}
}
