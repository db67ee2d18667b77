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

// Open returns the store in a folder, which must exist, or under s3://bucket or
// s3://bucket/prefix.
func Open(ctx context.Context, where string, o Options) (blob.Store, error) {
	scheme, _, isURL := strings.Cut(where, "://")
	switch {
	case !isURL:
		return openFolder(where, o)
	case scheme == "s3":
		return openBucket(ctx, where, o)
	default:
		return nil, fmt.Errorf("storage %q: give a folder, or s3://bucket/prefix", where)
	}
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
	var err error
	s3 := o.S3
	s3.BaseURL = o.BaseURL
	if s3.Bucket, s3.Prefix, err = s3blob.ParseURL(where); err != nil {
		return nil, fmt.Errorf("storage %w", err)
	}
	s, err := s3blob.Open(ctx, s3)
	if err != nil {
		return nil, fmt.Errorf("storage %s: %w", where, err)
	}
	return s, nil
}
