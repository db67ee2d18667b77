// Package target opens the store that a user names in one word: a folder, or
// s3://bucket/prefix. It is apart from the port so that those who only use a
// store do not depend on every kind there is.
package target

import (
	"context"
	"fmt"
	"strings"

	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/blob/fileblob"
	"github.com/lcp-tools/lcp/pkg/blob/s3blob"
)

// Options are for either kind of store.
type Options struct {
	BaseURL string         // under which objects are published; "" for the store's own address
	S3      s3blob.Options // its Bucket, Prefix and BaseURL are not used
}

// Check returns what is wrong with where, or with the options for it, as far as that
// shows without asking anybody.
func Check(where string, o Options) error {
	scheme, _, isURL := strings.Cut(where, "://")
	switch {
	case !isURL:
		return nil
	case scheme == "s3":
		s3, err := o.bucket(where)
		if err != nil {
			return err
		}
		return named(where, s3.Check())
	default:
		return fmt.Errorf("storage %q: give a folder, or s3://bucket/prefix", where)
	}
}

// Open returns the store in a folder, which must exist, or under s3://bucket or
// s3://bucket/prefix. It fails with what Check tells, before anything else.
func Open(ctx context.Context, where string, o Options) (blob.Store, error) {
	if err := Check(where, o); err != nil {
		return nil, err
	}
	if strings.Contains(where, "://") {
		return openBucket(ctx, where, o)
	}
	return openFolder(where, o)
}

// The functions below keep a nil pointer out of the interface.

func openFolder(dir string, o Options) (blob.Store, error) {
	s, err := fileblob.Open(dir, o.BaseURL)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func openBucket(ctx context.Context, where string, o Options) (blob.Store, error) {
	s3, err := o.bucket(where)
	if err != nil {
		return nil, err
	}
	s, err := s3blob.Open(ctx, s3)
	if err != nil {
		return nil, named(where, err)
	}
	return s, nil
}

// bucket are the options for what is under s3://bucket/prefix.
func (o Options) bucket(where string) (s3blob.Options, error) {
	s3 := o.S3
	s3.BaseURL = o.BaseURL
	bucket, prefix, err := s3blob.ParseURL(where)
	if err != nil {
		return s3, fmt.Errorf("storage %w", err)
	}
	s3.Bucket, s3.Prefix = bucket, strings.Trim(prefix, "/")
	return s3, nil
}

// named says which storage an error is about.
func named(where string, err error) error {
	if err != nil {
		err = fmt.Errorf("storage %s: %w", where, err)
	}
	return err
}
