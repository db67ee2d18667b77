package s3blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lcp-tools/lcp/pkg/blob"
)

// Open downloads an object. A connection that breaks is resumed where it broke.
func (s *Store) Open(ctx context.Context, name string) (io.ReadCloser, blob.Info, error) {
	key, err := s.key(name)
	if err != nil {
		return nil, blob.Info{}, err
	}
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.options.Bucket, Key: &key})
	if err != nil {
		return nil, blob.Info{}, s.failed(ctx, "download", key, err)
	}
	r := &reader{body: out.Body, size: aws.ToInt64(out.ContentLength), attempts: s.options.Attempts}
	r.resume = func(offset int64) (io.ReadCloser, error) {
		out, err := s.client.GetObject(ctx, &s3.GetObjectInput{
			Bucket: &s.options.Bucket, Key: &key, IfMatch: out.ETag,
			Range: aws.String(fmt.Sprintf("bytes=%d-", offset)),
		})
		if err != nil {
			return nil, s.failed(ctx, "download", key, err)
		}
		return out.Body, nil
	}
	r.failed = func(err error) error {
		return s.failed(ctx, "download", key, err)
	}
	return r, blob.Info{Size: r.size, SHA256: digestIn(out.Metadata)}, nil
}

// A reader reads an object through as many connections as it takes.
type reader struct {
	body     io.ReadCloser
	offset   int64
	size     int64
	attempts int // to resume, in a row without a byte

	resume func(offset int64) (io.ReadCloser, error)
	failed func(error) error
	broken int // attempts that gave nothing
}

func (r *reader) Read(p []byte) (int, error) {
	for {
		n, err := r.body.Read(p)
		r.offset += int64(n)
		switch {
		case n > 0:
			r.broken = 0
			return n, nil // an error comes again
		case err == nil:
			return 0, nil
		case r.offset >= r.size:
			return 0, io.EOF
		case errors.Is(err, io.EOF):
			err = io.ErrUnexpectedEOF
		}
		if r.broken++; r.broken >= r.attempts {
			return 0, r.failed(fmt.Errorf("after %d of %d bytes: %w", r.offset, r.size, err))
		}
		r.body.Close()
		body, err := r.resume(r.offset)
		if err != nil {
			r.body = http.NoBody
			return 0, err
		}
		r.body = body
	}
}

// Close gives up what was not read.
func (r *reader) Close() error { return r.body.Close() }
