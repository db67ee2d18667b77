package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/blob/s3blob"
	"github.com/lcp-tools/lcp/pkg/blob/target"
)

// storageFlags say where publications are stored and under which address.
type storageFlags struct {
	where   string
	baseURL string
	s3      s3blob.Options
	sources bool // may be in buckets, too
}

func (s *storageFlags) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&s.where, "storage", "", "store publications in `TARGET`, a folder or s3://bucket/prefix")
	fs.StringVar(&s.baseURL, "url", "", "licenses will point to `BASE`/FILE, where TARGET is published")
	fs.StringVar(&s.s3.Endpoint, "s3-endpoint", "", "reach S3 at `URL` (default: Amazon)")
	fs.StringVar(&s.s3.Region, "s3-region", "", "the bucket is in `REGION` (default: that of the environment)")
	fs.BoolVar(&s.s3.PathStyle, "s3-path-style", false, "put the bucket in the path, not in the host name")
	fs.StringVar(&s.s3.Encryption, "s3-sse", "", "have S3 encrypt objects at rest with `METHOD` AES256, aws:kms or aws:kms:dsse")
	fs.StringVar(&s.s3.KMSKeyID, "s3-kms-key", "", "have it use the KMS key of this `ID`")
	fs.StringVar(&s.s3.StorageClass, "s3-storage-class", "", "keep objects in the storage `CLASS`")
	fs.StringVar(&s.s3.ACL, "s3-acl", "", "give objects the canned `ACL`, such as public-read")
	fs.StringVar(&s.s3.CacheControl, "s3-cache-control", "", "send objects with the `VALUE` of the header Cache-Control")
}

// check refuses flags that mean nothing together.
func (s *storageFlags) check() error {
	if s.baseURL != "" {
		if _, err := blob.ParseBase(s.baseURL); err != nil {
			return usagef("--url: %w", err)
		}
	}
	reach := s3blob.Options{Endpoint: s.s3.Endpoint, Region: s.s3.Region, PathStyle: s.s3.PathStyle}
	if !s.inS3() && s.s3 != (s3blob.Options{}) && (!s.sources || s.s3 != reach) {
		return usagef("the flags --s3-… need --storage s3://bucket/prefix")
	}
	if err := target.Check(s.where, target.Options{BaseURL: s.baseURL, S3: s.s3}); err != nil {
		return &usageError{err}
	}
	return nil
}

// openBuckets returns what opens buckets that sources are in, each once, with the
// credentials and at the address of the storage.
func openBuckets(o s3blob.Options) func(ctx context.Context, name string) (*s3blob.Store, error) {
	var mu sync.Mutex
	open := map[string]*s3blob.Store{}
	return func(ctx context.Context, name string) (*s3blob.Store, error) {
		mu.Lock()
		defer mu.Unlock()
		if b := open[name]; b != nil {
			return b, nil
		}
		b, err := s3blob.Open(ctx, s3blob.Options{Bucket: name, Endpoint: o.Endpoint, Region: o.Region, PathStyle: o.PathStyle})
		if err != nil {
			return nil, fmt.Errorf("bucket %s: %w", name, err)
		}
		open[name] = b
		return b, nil
	}
}

func (s *storageFlags) inS3() bool { return strings.HasPrefix(s.where, "s3://") }

// folder is the folder of the storage, or "".
func (s *storageFlags) folder() string {
	if strings.Contains(s.where, "://") {
		return ""
	}
	return filepath.Clean(s.where)
}

// checkStorage makes sure that the bucket is there to put something into, if it is one.
func checkStorage(ctx context.Context, store blob.Store) error {
	bucket, ok := store.(*s3blob.Store)
	if !ok {
		return nil
	}
	return bucket.Check(ctx)
}

// open opens the storage for so many uploads at once, and makes its folder if need
// be. Each upload may have a part on its way, and one of them two.
func (s *storageFlags) open(ctx context.Context, jobs int) (blob.Store, error) {
	s3 := s.s3
	s3.Parallel = jobs + 1
	if dir := s.folder(); dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make the output folder: %w", err)
		}
	}
	return target.Open(ctx, s.where, target.Options{BaseURL: s.baseURL, S3: s3})
}
