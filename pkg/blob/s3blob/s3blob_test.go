package s3blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/blob/blobtest"
	"github.com/lcp-tools/lcp/pkg/blob/s3blob"
)

const always = 1 << 30

var (
	small = blobtest.Data(1, 1000)
	large = blobtest.Data(2, 12<<20) // three parts of 5 MiB
)

func put(ctx context.Context, s *s3blob.Store, data []byte) (blob.Info, error) {
	return s.Put(ctx, "a.epub", blob.Meta{}, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(data))
		return err
	})
}

func smallParts(o s3blob.Options) s3blob.Options {
	o.PartSize = 5 << 20
	return o
}

// hangUp closes the connection in the middle of a request.
func hangUp(r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, 1000)
	panic(http.ErrAbortHandler)
}

// A server that fails for good: one try or all that are allowed, an error that
// says where and why, and nothing left there.
func TestFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		data     []byte
		fault    func(http.ResponseWriter, *http.Request, string, int) bool
		after    func(http.ResponseWriter, *http.Request, string, int)
		op       string // counted
		attempts int
		is       error    // nil for any
		says     []string // besides bucket and key
	}{
		"connection dropped in part 3": {
			data: large, op: "part 3", attempts: 2, says: []string{"no answer", "2 attempts"},
			fault: func(_ http.ResponseWriter, r *http.Request, op string, _ int) bool {
				if op == "part 3" {
					hangUp(r)
				}
				return false
			},
		},
		"access denied to small object": {
			data: small, op: "put", attempts: 1, says: []string{"AccessDenied", "s3:PutObject"},
			fault: failing(always, 403, "AccessDenied", "put"),
		},
		"access denied to large object": {
			data: large, op: "create", attempts: 1, says: []string{"AccessDenied", "s3:PutObject"},
			fault: failing(always, 403, "AccessDenied", "create"),
		},
		"no such bucket": {
			data: small, op: "put", attempts: 1, says: []string{"NoSuchBucket", "create the bucket"},
			fault: failing(always, 404, "NoSuchBucket", "put"),
		},
		"bucket in another region": {
			data: small, op: "put", attempts: 1, says: []string{"another region (eu-west-3)"},
			fault: func(w http.ResponseWriter, _ *http.Request, _ string, _ int) bool {
				w.Header().Set("X-Amz-Bucket-Region", "eu-west-3")
				fail(w, 301, "PermanentRedirect")
				return true
			},
		},
		"server finds bytes changed": {
			data: large, op: "part 2", attempts: 1, is: blob.ErrChecksum,
			fault: failing(always, 400, "BadDigest", "part 2"),
		},
		"server got another part": {
			data: large, op: "part 2", attempts: 1, is: blob.ErrChecksum, says: []string{"part 2"},
			after: wrongChecksum("part 2"),
		},
		"server got another small object": {
			data: small, op: "delete", attempts: 1, is: blob.ErrChecksum, says: []string{"removed"},
			after: wrongChecksum("put"),
		},
		"server is broken": {
			data: small, op: "put", attempts: 2, says: []string{"InternalError", "2 attempts"},
			fault: failing(always, 500, "InternalError", "put"),
		},
		"parts cannot be put together": {
			data: large, op: "complete", attempts: 1, says: []string{"InvalidPart"},
			fault: failing(always, 400, "InvalidPart", "complete"),
		},
		"something else answers": {
			data: small, op: "put", attempts: 1, says: []string{"endpoint"},
			fault: func(w http.ResponseWriter, _ *http.Request, _ string, _ int) bool {
				_, _ = io.WriteString(w, "<html>Please log in</html>")
				return true
			},
		},
		"something else answers large object": {
			data: large, op: "create", attempts: 1,
			fault: func(w http.ResponseWriter, _ *http.Request, _ string, _ int) bool {
				_, _ = io.WriteString(w, "<html>Please log in</html>")
				return true
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.fault, f.after = tt.fault, tt.after
			_, err := put(t.Context(), f.open(t, smallParts(s3blob.Options{Prefix: "shelf"})), tt.data)
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) {
				t.Fatalf("Put = %v, want an error that is %v", err, tt.is)
			}
			for _, want := range append(tt.says, "s3://books/shelf/a.epub") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "operation error") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is for programmers: %q", err)
			}
			if n := f.count(tt.op); n != tt.attempts {
				t.Errorf("%s was called %d times, want %d", tt.op, n, tt.attempts)
			}
			f.checkEmpty(t)
		})
	}
}

// A check fails for what every object would fail for, and for nothing else.
func TestCheck(t *testing.T) {
	t.Parallel()
	say := func(status int, body string) func(http.ResponseWriter, *http.Request, string, int) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ string, _ int) bool {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	tests := map[string]struct {
		fault func(http.ResponseWriter, *http.Request, string, int) bool
		says  string // "" for no error
		is    error
	}{
		"bucket":               {fault: say(200, "<ListBucketResult><Name>books</Name><KeyCount>0</KeyCount></ListBucketResult>")},
		"may not list":         {fault: failing(always, 403, "AccessDenied", "get")},
		"knows no lists":       {fault: failing(always, 501, "NotImplemented", "get")},
		"has none either":      {fault: say(404, "")},
		"broken for now":       {fault: failing(always, 500, "InternalError", "get")},
		"maintenance page":     {fault: say(503, "<h1>Back <br>soon</h1>")},
		"no such bucket":       {fault: failing(always, 404, "NoSuchBucket", "get"), says: "create the bucket"},
		"unknown key":          {fault: failing(always, 403, "InvalidAccessKeyId", "get"), says: "check the credentials"},
		"wrong secret":         {fault: failing(always, 403, "SignatureDoesNotMatch", "get"), says: "check the credentials"},
		"credentials are over": {fault: failing(always, 400, "ExpiredToken", "get"), says: "get new ones"},
		"another region":       {fault: failing(always, 301, "PermanentRedirect", "get"), says: "another region"},
		"page not found":       {fault: say(404, "<html><meta></html>"), says: "does not answer as S3 does"},
		"login page":           {fault: say(200, "<html><br>Please log in</html>"), says: "does not answer as S3 does"},
		"hangs up": {
			fault: func(http.ResponseWriter, *http.Request, string, int) bool { panic(http.ErrAbortHandler) },
			says:  "no answer from", is: s3blob.ErrUnreachable,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.fault = tt.fault
			err := f.open(t, s3blob.Options{Prefix: "shelf"}).Check(t.Context())
			switch {
			case tt.says == "" && err == nil:
			case tt.says == "" || err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "s3://books/shelf"):
				t.Errorf("Check = %v, want %q", err, tt.says)
			case tt.is != nil && !errors.Is(err, tt.is):
				t.Errorf("Check = %v, which is not %v", err, tt.is)
			}
		})
	}
}

// wrongChecksum has the server say that it got other bytes.
func wrongChecksum(of string) func(http.ResponseWriter, *http.Request, string, int) {
	return func(w http.ResponseWriter, _ *http.Request, op string, _ int) {
		if op == of {
			w.Header().Set("X-Amz-Checksum-Sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
		}
	}
}

func TestWrongComposite(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.fault = func(w http.ResponseWriter, _ *http.Request, op string, _ int) bool {
		if op == "complete" {
			_, _ = io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"x-3"</ETag>`+
				`<ChecksumSHA256>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=-3</ChecksumSHA256></CompleteMultipartUploadResult>`)
		}
		return op == "complete"
	}
	_, err := put(t.Context(), f.open(t, smallParts(s3blob.Options{})), large)
	if !errors.Is(err, blob.ErrChecksum) || !strings.Contains(err.Error(), "removed") {
		t.Errorf("Put = %v, want ErrChecksum", err)
	}
	if f.count("delete") != 1 {
		t.Error("the object was not removed")
	}
	f.checkEmpty(t)
}

// A server that fails for a while.
func TestRecoveries(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		data  []byte
		fault func(http.ResponseWriter, *http.Request, string, int) bool
	}{
		"500 for a small object":       {small, failing(1, 500, "InternalError", "put")},
		"500 for create and a part":    {large, failing(1, 500, "InternalError", "create", "part 2")},
		"503 for a part":               {large, failing(1, 503, "SlowDown", "part 2")},
		"500 for complete":             {large, failing(1, 500, "InternalError", "complete")},
		"error in complete's good 200": {large, failing(1, 200, "InternalError", "complete")},
		"connection dropped in part 3": {large, func(w http.ResponseWriter, r *http.Request, op string, n int) bool {
			if op == "part 3" && n == 1 {
				hangUp(r)
			}
			return false
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.fault = tt.fault
			s := f.open(t, smallParts(s3blob.Options{}))
			if _, err := put(t.Context(), s, tt.data); err != nil {
				t.Fatal(err)
			}
			checkObject(t, s, tt.data)
		})
	}
}

func checkObject(t *testing.T, s *s3blob.Store, data []byte) {
	t.Helper()
	held, err := blob.Holds(t.Context(), s, "a.epub", int64(len(data)), sha256.Sum256(data))
	if err != nil || !held {
		t.Errorf("the object is as it was put: %t, %v", held, err)
	}
}

// The answer to completing an upload is lost, and asked again the server knows
// of no such upload. The checksum tells that the object is there.
func TestLostAnswerToComplete(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	s := f.open(t, smallParts(s3blob.Options{}))
	if _, err := put(t.Context(), s, large); err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	for part := range slices.Chunk(large, 5<<20) {
		sum := sha256.Sum256(part)
		h.Write(sum[:])
	}
	f.after = func(w http.ResponseWriter, r *http.Request, op string, n int) {
		switch {
		case op == "complete" && n == 2:
			panic(http.ErrAbortHandler)
		case op == "head" && r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED":
			w.Header().Set("X-Amz-Checksum-Sha256", base64.StdEncoding.EncodeToString(h.Sum(nil))+"-3")
		}
	}
	if _, err := put(t.Context(), s, large); err != nil {
		t.Fatal(err)
	}
	if n := f.count("complete"); n != 3 {
		t.Errorf("complete was called %d times, want 3", n)
	}
	checkObject(t, s, large)
}

// The writer knows the digest of what it was given, at any time, and the parts
// have their own.
func TestWriterDigests(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{"nothing": nil, "small object": small, "large object": large} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFake(t).open(t, smallParts(s3blob.Options{}))
			info, err := s.Put(t.Context(), "a.epub", blob.Meta{}, func(w io.Writer) error {
				d := w.(blob.Digester)
				for begin := 0; begin < len(data); {
					end := min(len(data), begin+1_000_003)
					if _, err := w.Write(data[begin:end]); err != nil {
						return err
					}
					begin = end
					if d.SHA256() != sha256.Sum256(data[:end]) {
						t.Errorf("after %d bytes, SHA256 is another one", end)
					}
				}
				return nil
			})
			if err != nil || info.SHA256 == nil || *info.SHA256 != sha256.Sum256(data) {
				t.Fatalf("Put = %+v, %v", info, err)
			}
			checkObject(t, s, data)
		})
	}
}

func TestServerNeverAnswers(t *testing.T) {
	t.Parallel()
	for name, op := range map[string]string{"small object": "put", "large object": "part 2"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.fault = func(_ http.ResponseWriter, r *http.Request, got string, _ int) bool {
				if got == op {
					_, _ = io.Copy(io.Discard, r.Body)
					<-r.Context().Done()
				}
				return got == op
			}
			data := small
			if op != "put" {
				data = large
			}
			s := f.open(t, smallParts(s3blob.Options{Timeout: 2 * time.Second}))
			_, err := put(t.Context(), s, data)
			if err == nil || !strings.Contains(err.Error(), "timeout") || !strings.Contains(err.Error(), "no answer") {
				t.Errorf("Put = %v, want a timeout", err)
			}
			f.checkEmpty(t)
		})
	}
}

// An interrupted upload is aborted, although its context is done.
func TestInterruptedUploadIsAborted(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("interrupted by the user")
	f.fault = func(_ http.ResponseWriter, r *http.Request, op string, _ int) bool {
		if op == "part 2" {
			_, _ = io.Copy(io.Discard, r.Body)
			cancel(why)
			<-r.Context().Done()
		}
		return op == "part 2"
	}
	if _, err := put(ctx, f.open(t, smallParts(s3blob.Options{})), large); !errors.Is(err, why) {
		t.Errorf("Put = %v, want %v", err, why)
	}
	if f.count("abort") == 0 {
		t.Error("the upload was not aborted")
	}
	f.checkEmpty(t)
}

// A part that arrives after its upload was aborted does not stay.
func TestLatePartIsForgotten(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.after = func(_ http.ResponseWriter, r *http.Request, op string, n int) {
		if op == "abort" && n == 1 {
			f.mu.Lock()
			f.uploads[r.URL.Query().Get("uploadId")] = map[int][]byte{1: large}
			f.mu.Unlock()
		}
	}
	boom := errors.New("boom")
	_, err := f.open(t, smallParts(s3blob.Options{})).Put(t.Context(), "a.epub", blob.Meta{}, func(w io.Writer) error {
		_, err := w.Write(large)
		return errors.Join(err, boom)
	})
	if !errors.Is(err, boom) {
		t.Errorf("Put = %v, want %v", err, boom)
	}
	if f.count("abort") < 2 {
		t.Errorf("aborted %d times", f.count("abort"))
	}
	f.checkEmpty(t)
}

// What remains of an upload that cannot even be aborted is told, and a fault of the
// server that stopped the parts and the abortion only once.
func TestUploadThatCannotBeAborted(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault func(http.ResponseWriter, *http.Request, string, int) bool
		once  string
	}{
		"access denied": {failing(always, 403, "AccessDenied", "part 1", "part 2", "abort"), "AccessDenied"},
		"server gone": {func(_ http.ResponseWriter, r *http.Request, op string, _ int) bool {
			if op != "create" {
				hangUp(r)
			}
			return false
		}, "no answer"},
		"another fault": {func(w http.ResponseWriter, r *http.Request, op string, n int) bool {
			return failing(always, 400, "BadDigest", "part 1")(w, r, op, n) || failing(always, 403, "AccessDenied", "abort")(w, r, op, n)
		}, "AccessDenied"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.fault = tt.fault
			_, err := put(t.Context(), f.open(t, smallParts(s3blob.Options{})), large)
			if err == nil || !strings.Contains(err.Error(), "parts of the unfinished upload 1") || !strings.Contains(err.Error(), "upload s3://books/a.epub: ") {
				t.Fatalf("Put = %v, want a word on what remains", err)
			}
			if strings.Count(err.Error(), tt.once) != 1 {
				t.Errorf("Put = %v, which has %q not just once", err, tt.once)
			}
		})
	}
}

// However many uploads there are, no more parts are under way, and in memory,
// than allowed.
func TestPartsAtOnce(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var now, most atomic.Int32
	f.fault = func(_ http.ResponseWriter, _ *http.Request, op string, _ int) bool {
		if strings.HasPrefix(op, "part") {
			most.Store(max(most.Load(), now.Add(1)))
		}
		return false
	}
	f.after = func(_ http.ResponseWriter, _ *http.Request, op string, _ int) {
		if strings.HasPrefix(op, "part") {
			now.Add(-1)
		}
	}
	s := f.open(t, smallParts(s3blob.Options{Parallel: 2}))
	errs := make(chan error)
	for range 4 {
		go func() {
			_, err := put(t.Context(), s, large)
			errs <- err
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := most.Load(); n != 2 {
		t.Errorf("up to %d parts at once, want 2", n)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	s := f.open(t, smallParts(s3blob.Options{
		Encryption: "aws:kms", KMSKeyID: "key-1", StorageClass: "STANDARD_IA", ACL: "public-read", CacheControl: "max-age=3600",
	}))
	for op, data := range map[string][]byte{"put": small, "create": large} {
		meta := blob.Meta{ContentType: "application/epub+zip", Disposition: `attachment; filename="a.epub"`}
		_, err := s.Put(t.Context(), "a.epub", meta, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"Content-Type": meta.ContentType, "Content-Disposition": meta.Disposition, "Cache-Control": "max-age=3600",
			"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "key-1",
			"X-Amz-Storage-Class": "STANDARD_IA", "X-Amz-Acl": "public-read",
		} {
			if got := f.header(op).Get(name); got != want {
				t.Errorf("%s: %s = %q, want %q", op, name, got, want)
			}
		}
	}
	if f.header("put").Get("X-Amz-Checksum-Sha256") == "" || f.header("part 1").Get("X-Amz-Checksum-Sha256") == "" {
		t.Error("bytes were sent without their SHA-256")
	}
	if got := f.header("create").Get("X-Amz-Checksum-Algorithm"); got != "SHA256" {
		t.Errorf("X-Amz-Checksum-Algorithm = %q", got)
	}
}

func TestDownloadIsResumed(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	s := f.open(t, s3blob.Options{})
	if _, err := put(t.Context(), s, large); err != nil {
		t.Fatal(err)
	}
	f.fault = func(w http.ResponseWriter, _ *http.Request, op string, n int) bool {
		if op == "get" && n <= 2 { // the second breaks before a byte
			w.Header().Set("Content-Length", "12582912")
			w.Header().Set("ETag", f.objects["/books/a.epub"].etag)
			_, _ = w.Write(large[:(2-n)*1000])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		return false
	}
	s = f.open(t, s3blob.Options{Attempts: 3})
	r, _, err := s.Open(t.Context(), "a.epub")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, large) {
		t.Errorf("read %d bytes, %v, want %d", len(got), err, len(large))
	}
	if got := f.header("get").Get("Range"); got != "bytes=1000-" {
		t.Errorf("Range = %q, want to go on where it broke", got)
	}
}

func TestDownloadOfReplacedObjectFails(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	s := f.open(t, s3blob.Options{})
	if _, err := put(t.Context(), s, small); err != nil {
		t.Fatal(err)
	}
	f.fault = func(w http.ResponseWriter, _ *http.Request, op string, n int) bool {
		if op != "get" || n > 1 {
			return false
		}
		w.Header().Set("Content-Length", "1000")
		w.Header().Set("ETag", `"another"`)
		_, _ = w.Write(small[:10])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	r, _, err := s.Open(t.Context(), "a.epub")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); err == nil || !strings.Contains(err.Error(), "another object took its place") {
		t.Errorf("reading = %v, want an error that says why", err)
	}
}

// The digest of an object that arrived in parts is known without reading it, and
// not taken from a tag that was meant for another.
func TestDigestOfParts(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	s := open(t, smallParts(s3blob.Options{Endpoint: address, Prefix: "digest"}))
	if _, err := put(t.Context(), s, large); err != nil {
		t.Fatal(err)
	}
	info, err := s.Stat(t.Context(), "a.epub")
	if err != nil || info.SHA256 == nil || *info.SHA256 != blob.Digest(sha256.Sum256(large)) {
		t.Errorf("Stat = %+v, %v, want the SHA-256", info, err)
	}
	_, err = newClient(address).PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{
		Bucket: aws.String(testBucket), Key: aws.String("digest/a.epub"),
		Tagging: &types.Tagging{TagSet: []types.Tag{{
			Key: aws.String("sha256"), Value: aws.String(strings.Repeat("0", 64) + ":another-2"),
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := s.Stat(t.Context(), "a.epub"); err != nil || info.SHA256 != nil {
		t.Errorf("Stat = %+v, %v, want no SHA-256", info, err)
	}
}

// On a real server a failed upload leaves no parts, and headers arrive.
func TestRealServer(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	s := open(t, smallParts(s3blob.Options{Endpoint: address, Prefix: "real"}))
	boom := errors.New("boom")
	_, err := s.Put(t.Context(), "failed.epub", blob.Meta{}, func(w io.Writer) error {
		if _, err := w.Write(large); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("Put = %v, want %v", err, boom)
	}
	client := newClient(address)
	uploads, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{
		Bucket: aws.String(testBucket), Prefix: aws.String("real/"),
	})
	if err != nil || len(uploads.Uploads) > 0 {
		t.Errorf("unfinished uploads: %v, %v", uploads, err)
	}
	for name, data := range map[string][]byte{"small.epub": small, "large.epub": large} {
		meta := blob.Meta{ContentType: "application/epub+zip", Disposition: "attachment", CacheControl: "max-age=60"}
		_, err := s.Put(t.Context(), name, meta, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{
			Bucket: aws.String(testBucket), Key: aws.String("real/" + name), ChecksumMode: types.ChecksumModeEnabled,
		})
		if err != nil {
			t.Fatal(err)
		}
		got := blob.Meta{
			ContentType: aws.ToString(head.ContentType), Disposition: aws.ToString(head.ContentDisposition),
			CacheControl: aws.ToString(head.CacheControl),
		}
		if got != meta {
			t.Errorf("%s has %+v, want %+v", name, got, meta)
		}
		if aws.ToString(head.ChecksumSHA256) == "" {
			t.Errorf("%s: the server has no SHA-256", name)
		}
	}
	missing := open(t, s3blob.Options{Endpoint: address, Bucket: "missing"})
	if _, err := put(t.Context(), missing, small); err == nil || !strings.Contains(err.Error(), "create the bucket") {
		t.Errorf("Put into a missing bucket = %v", err)
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		options s3blob.Options
		want    string
	}{
		"Amazon": {
			s3blob.Options{Bucket: "my-books", Prefix: "/shelf/", Region: "eu-west-3"},
			"https://my-books.s3.eu-west-3.amazonaws.com/shelf/a%20b.epub",
		},
		"no prefix": {
			s3blob.Options{Bucket: "my-books", Region: "eu-west-3"},
			"https://my-books.s3.eu-west-3.amazonaws.com/a%20b.epub",
		},
		"path style": {
			s3blob.Options{Bucket: "my-books", Prefix: "x", Endpoint: "https://s3.example.org", PathStyle: true},
			"https://s3.example.org/my-books/x/a%20b.epub",
		},
		"base": {
			s3blob.Options{Bucket: "my-books", Prefix: "x", Region: "eu-west-3", BaseURL: "https://cdn.example.org/"},
			"https://cdn.example.org/a%20b.epub",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := s3blob.Open(t.Context(), tt.options)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.URL("a b.epub"); got != tt.want {
				t.Errorf("URL = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		options s3blob.Options
		says    []string
	}{
		"no bucket":       {s3blob.Options{Region: "x"}, []string{"bucket"}},
		"no region":       {s3blob.Options{Bucket: "books"}, []string{"AWS_REGION"}},
		"bad prefix":      {s3blob.Options{Bucket: "books", Prefix: "a/../b"}, []string{"prefix"}},
		"bad endpoint":    {s3blob.Options{Bucket: "books", Endpoint: "s3.example.org"}, []string{"endpoint"}},
		"all at once":     {s3blob.Options{Bucket: "a/b", Encryption: "aes", KMSKeyID: "k", ACL: "all", PartSize: 1}, []string{"bucket", "encryption", "KMS", "ACL", "part size"}},
		"relative base":   {s3blob.Options{Bucket: "books", Region: "x", BaseURL: "/books"}, []string{"base URL"}},
		"negative number": {s3blob.Options{Bucket: "books", Region: "x", Parallel: -1, Attempts: -1, Timeout: -1}, []string{"parts", "attempts", "timeout"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := s3blob.Open(t.Context(), tt.options)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not name %s", err, want)
				}
			}
		})
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		bucket, key string
		ok          bool
	}{
		"s3://books":             {"books", "", true},
		"s3://books/":            {"books", "", true},
		"s3://books/shelf/a.pdf": {"books", "shelf/a.pdf", true},
		"s3:///a.pdf":            {},
		"https://books/a.pdf":    {},
		"shelf":                  {},
	}
	for s, want := range tests {
		bucket, key, err := s3blob.ParseURL(s)
		if err == nil != want.ok || want.ok && (bucket != want.bucket || key != want.key) {
			t.Errorf("ParseURL(%q) = %q, %q, %v", s, bucket, key, err)
		}
	}
}
