package target_test

import (
	"path/filepath"
	"testing"

	"github.com/lcp-tools/lcp/pkg/blob/s3blob"
	"github.com/lcp-tools/lcp/pkg/blob/target"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for where, want := range map[string]string{
		dir:                 filepath.Join(dir, "a.epub"),
		"s3://books":        "s3://books/a.epub",
		"s3://books/shelf/": "s3://books/shelf/a.epub",
	} {
		s, err := target.Open(t.Context(), where, target.Options{
			BaseURL: "https://cdn.example.org", S3: s3blob.Options{Region: "eu-west-3"},
		})
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		if got := s.Location("a.epub"); got != want {
			t.Errorf("%s: Location = %s, want %s", where, got, want)
		}
		if got, want := s.URL("a.epub"), "https://cdn.example.org/a.epub"; got != want {
			t.Errorf("%s: URL = %s, want %s", where, got, want)
		}
	}
	for _, where := range []string{"", "missing", "s3://", "gs://books", "https://books"} {
		if s, err := target.Open(t.Context(), where, target.Options{S3: s3blob.Options{Region: "eu-west-3"}}); err == nil || s != nil {
			t.Errorf("%q was accepted as %v", where, s)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for where, options := range map[string]target.Options{
		"missing":      {},
		"s3://books":   {S3: s3blob.Options{Encryption: "aws:kms", KMSKeyID: "k"}},
		"s3://books/s": {S3: s3blob.Options{ACL: "public-read"}},
	} {
		if err := target.Check(where, options); err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
	for where, options := range map[string]target.Options{
		"s3://": {}, "gs://books": {}, "s3://books/../x": {},
		"s3://books":   {S3: s3blob.Options{ACL: "all"}},
		"s3://books/s": {S3: s3blob.Options{Endpoint: "localhost"}},
	} {
		if err := target.Check(where, options); err == nil {
			t.Errorf("%s with %+v was accepted", where, options)
		}
	}
}
