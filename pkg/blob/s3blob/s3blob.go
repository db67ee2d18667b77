// Package s3blob keeps objects in a bucket of Amazon S3, or of a server that
// speaks its API.
//
// Objects are uploaded while they are written: small ones by one request, others
// in parts, several at once. Every request carries the SHA-256 of its bytes, for
// the server to check, and what the server says it got is compared with it. An
// upload that fails is aborted, so that no parts of it stay behind; only those
// of a process that was killed do, invisible but paid for, for which a bucket
// should have a lifecycle rule (AbortIncompleteMultipartUpload).
//
// Credentials, and whatever Options leave open, come from where all AWS tools
// look: environment, shared files, container or machine role.
package s3blob

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/logging"
	"golang.org/x/sync/semaphore"

	"github.com/lcp-tools/lcp/pkg/blob"
)

// Options say which bucket, where, and how objects are kept there. Only Bucket
// is required.
type Options struct {
	Bucket  string
	Prefix  string // of all keys, without slashes around it
	BaseURL string // under which the objects below the prefix are published; "" for the bucket's own address

	Region    string // "" for that of the environment
	Endpoint  string // URL of the server; "" for Amazon, or that of the environment
	PathStyle bool   // bucket in the path, not in the host name

	Encryption   string // at rest: AES256, aws:kms or aws:kms:dsse; "" for the bucket's default
	KMSKeyID     string // for aws:kms; "" for the account's
	StorageClass string
	ACL          string // canned, such as public-read; "" for none
	CacheControl string // for objects that have none of their own

	PartSize int64         // bytes; zero for 5 MiB. See partSize
	Parallel int           // parts of that size sent at once, by all uploads together; zero for 3
	Attempts int           // at each request; zero for 5
	Timeout  time.Duration // how long a server may neither send nor take a byte; zero for 2 minutes
}

// Defaults of Options. Uploads hold Parallel parts and one more each in memory.
const (
	defaultPartSize = minPartSize
	defaultParallel = 3
	defaultAttempts = 5
	defaultTimeout  = 2 * time.Minute
)

// Limits of S3: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const (
	minPartSize = 5 << 20
	maxPartSize = 5 << 30
	maxParts    = 10_000
	maxKey      = 1024 // bytes
)

// A Store is a bucket, or what is under a prefix there.
type Store struct {
	options Options
	client  *s3.Client
	base    *url.URL
	sending *semaphore.Weighted // counts parts of options.PartSize
	buffers chan []byte         // spare ones, of options.PartSize
}

var _ blob.Store = (*Store)(nil)

// Open returns the store in a bucket. It reads the environment, but asks the
// server nothing: Check does.
func Open(ctx context.Context, o Options) (*Store, error) {
	o.Prefix = strings.Trim(o.Prefix, "/")
	o.PartSize = orDefault(o.PartSize, defaultPartSize)
	o.Parallel = orDefault(o.Parallel, defaultParallel)
	o.Attempts = orDefault(o.Attempts, defaultAttempts)
	o.Timeout = orDefault(o.Timeout, defaultTimeout)
	if err := o.Check(); err != nil {
		return nil, err
	}
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithHTTPClient(newHTTPClient(o.Timeout)),
		config.WithLogger(logging.Nop{}),
		// Every upload gives its checksum; downloads are compared by those who ask for them.
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(r *retry.StandardOptions) { r.MaxAttempts = o.Attempts })
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("read the AWS configuration: %w", err)
	}
	if o.Region, err = region(o, cfg); err != nil {
		return nil, err
	}
	client := s3.NewFromConfig(cfg, func(c *s3.Options) {
		c.Region, c.UsePathStyle = o.Region, o.PathStyle
		if o.Endpoint != "" {
			c.BaseEndpoint = aws.String(o.Endpoint)
		}
	})
	base, err := o.base(ctx, client.Options())
	if err != nil {
		return nil, err
	}
	return &Store{
		options: o, client: client, base: base,
		sending: semaphore.NewWeighted(int64(o.Parallel)),
		buffers: make(chan []byte, 2*o.Parallel),
	}, nil
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Check returns all that is wrong with the options. It asks nobody.
func (o *Options) Check() error {
	var errs []error
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	add(o.Bucket == "" || strings.ContainsAny(o.Bucket, "/ ?#"), "bucket %q: not a bucket's name", o.Bucket)
	if o.Prefix != "" {
		if err := blob.CheckName(o.Prefix); err != nil {
			errs = append(errs, fmt.Errorf("prefix: %w", err))
		}
	}
	if o.Endpoint != "" {
		u, err := url.Parse(o.Endpoint)
		add(err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https",
			"endpoint %q: give a URL such as https://s3.example.org", o.Endpoint)
	}
	add(!slices.Contains([]string{"", "AES256", "aws:kms", "aws:kms:dsse"}, o.Encryption),
		"server-side encryption %q: give AES256, aws:kms or aws:kms:dsse", o.Encryption)
	add(o.KMSKeyID != "" && !strings.HasPrefix(o.Encryption, "aws:kms"),
		"a KMS key is given, but server-side encryption is %q: make it aws:kms", o.Encryption)
	acls := types.ObjectCannedACL("").Values()
	add(o.ACL != "" && !slices.Contains(acls, types.ObjectCannedACL(o.ACL)), "ACL %q: give one of %q", o.ACL, acls)
	add(o.PartSize != 0 && (o.PartSize < minPartSize || o.PartSize > maxPartSize),
		"part size %d: give 5 MiB (%d) to 5 GiB", o.PartSize, minPartSize)
	add(o.Parallel < 0, "parts sent at once: %d", o.Parallel)
	add(o.Attempts < 0, "attempts: %d", o.Attempts)
	add(o.Timeout < 0, "timeout: %s", o.Timeout)
	return errors.Join(errs...)
}

// region settles the region. Servers other than Amazon's rarely care, but the
// signature needs one.
func region(o Options, cfg aws.Config) (string, error) {
	switch {
	case o.Region != "":
		return o.Region, nil
	case cfg.Region != "":
		return cfg.Region, nil
	case o.Endpoint != "" || cfg.BaseEndpoint != nil:
		return "us-east-1", nil
	default:
		return "", fmt.Errorf("no region is known for the bucket %s: give it, or set AWS_REGION", o.Bucket)
	}
}

// base is the address of the objects below the prefix.
func (o *Options) base(ctx context.Context, c s3.Options) (*url.URL, error) {
	if o.BaseURL != "" {
		return blob.ParseBase(o.BaseURL)
	}
	endpoint, err := c.EndpointResolverV2.ResolveEndpoint(ctx, s3.EndpointParameters{
		Bucket: aws.String(o.Bucket), Region: aws.String(o.Region),
		Endpoint: c.BaseEndpoint, ForcePathStyle: aws.Bool(o.PathStyle),
	})
	if err != nil {
		return nil, fmt.Errorf("address of the bucket %s: %w", o.Bucket, err)
	}
	u := endpoint.URI
	if o.Prefix == "" {
		return &u, nil
	}
	return url.Parse(blob.URL(&u, o.Prefix))
}

// Check makes sure that the server is there, knows the credentials and has the
// bucket, at the price of listing one key. That the credentials may not list is no
// error: whoever puts objects there need not be allowed to. Nor is anything else that
// need not hold for the next request. Among the errors is ErrUnreachable.
func (s *Store) Check(ctx context.Context) error {
	_, err := s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &s.options.Bucket, Prefix: &s.options.Prefix, MaxKeys: aws.Int32(1),
	}, func(o *s3.Options) {
		o.Retryer = retry.AddWithMaxBackoffDelay(o.Retryer, checkPause) // somebody waits
	})
	if code(err) != "" && !refusesAll(code(err)) || status(err) >= http.StatusInternalServerError {
		return nil
	}
	return s.failed(ctx, "list", s.options.Prefix, err)
}

// checkPause is the longest pause between attempts at a check.
const checkPause = time.Second

// ParseURL takes s3://bucket/key apart. The key may be empty.
func ParseURL(s string) (bucket, key string, err error) {
	rest, ok := strings.CutPrefix(s, "s3://")
	bucket, key, _ = strings.Cut(rest, "/")
	if !ok || bucket == "" {
		return "", "", fmt.Errorf("%q: give an address such as s3://bucket/prefix", s)
	}
	return bucket, key, nil
}

// URL returns the address under the base URL, or in the bucket.
func (s *Store) URL(name string) string { return blob.URL(s.base, name) }

// Location returns s3://bucket/key.
func (s *Store) Location(name string) string {
	return "s3://" + s.options.Bucket + "/" + s.options.key(name)
}

func (o *Options) key(name string) string {
	if o.Prefix == "" {
		return name
	}
	return o.Prefix + "/" + name
}

// key is the key of names that may be used.
func (s *Store) key(name string) (string, error) {
	if err := blob.CheckName(name); err != nil {
		return "", err
	}
	key := s.options.key(name)
	if len(key) > maxKey {
		return "", fmt.Errorf("%w: %q is longer than %d bytes with its prefix", blob.ErrName, name, maxKey)
	}
	return key, nil
}

// Stat asks for the head of an object.
func (s *Store) Stat(ctx context.Context, name string) (blob.Info, error) {
	key, err := s.key(name)
	if err != nil {
		return blob.Info{}, err
	}
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.options.Bucket, Key: &key})
	if err != nil {
		return blob.Info{}, s.failed(ctx, "look up", key, err)
	}
	info := blob.Info{Size: aws.ToInt64(head.ContentLength), SHA256: digestIn(head.Metadata)}
	if head.Metadata[digestKey] == inTag {
		info.SHA256 = s.digestInTags(ctx, key, aws.ToString(head.ETag))
	}
	return info, nil
}

// Delete removes an object. In a bucket with versions, older ones stay.
func (s *Store) Delete(ctx context.Context, name string) error {
	key, err := s.key(name)
	if err != nil {
		return err
	}
	_, err = s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.options.Bucket, Key: &key})
	if err = s.failed(ctx, "delete", key, err); errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	return err
}
