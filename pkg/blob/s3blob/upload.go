package s3blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/sync/errgroup"

	"github.com/lcp-tools/lcp/pkg/blob"
)

// Put uploads an object while write writes it.
func (s *Store) Put(ctx context.Context, name string, meta blob.Meta, write func(io.Writer) error) (info blob.Info, err error) {
	key, err := s.key(name)
	if err != nil {
		return blob.Info{}, err
	}
	if meta.CacheControl == "" {
		meta.CacheControl = s.options.CacheControl
	}
	// The group's context ends with the first part that fails, and with cancel
	// when write did, so that parts still on their way are given up.
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	group, ctx := errgroup.WithContext(ctx)
	u := &upload{store: s, key: key, meta: meta, sending: group, whole: sha256.New()}
	whole := false
	defer func() {
		if !whole {
			cancel(context.Canceled)
			_ = group.Wait()
			err = u.abort(outer, err)
		}
		cancel(nil)
	}()
	if err := write(&writer{ctx, u}); err != nil {
		return blob.Info{}, err
	}
	if info, err = u.commit(ctx, outer); err != nil {
		return blob.Info{}, err
	}
	whole = true
	s.giveBack(u.buf)
	return info, nil
}

// A writer takes the bytes of an upload.
type writer struct {
	ctx context.Context //nolint:containedctx // lives as long as one call of Put
	u   *upload
}

var _ blob.Digester = (*writer)(nil)

func (w *writer) Write(p []byte) (int, error) { return w.u.write(w.ctx, p) }
func (w *writer) SHA256() blob.Digest         { return w.u.sum() }

// An upload is one object on its way. Its first part is held back until there
// is a second, since an object of one part takes a single request.
type upload struct {
	store *Store
	key   string
	meta  blob.Meta

	buf      []byte    // the part being filled, of the capacity it is to have
	whole    hash.Hash // of what was digested
	part     hash.Hash // of what was digested of buf; nil for the first, which is the whole so far
	digested int       // bytes of buf
	size     int64

	id      string  // of the multipart upload; "" before there is one
	parts   []*part // sent or being sent
	sending *errgroup.Group
}

type part struct {
	number int32
	sum    blob.Digest
	etag   *string
}

func (u *upload) write(ctx context.Context, p []byte) (int, error) {
	n := len(p)
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	u.size += int64(n)
	for len(p) > 0 {
		if u.buf == nil {
			u.buf = u.store.buffer(partSize(u.store.options.PartSize, len(u.parts)))
		}
		if len(u.buf) == cap(u.buf) {
			if err := u.send(ctx); err != nil {
				return 0, err
			}
			continue
		}
		m := min(len(p), cap(u.buf)-len(u.buf))
		u.buf = append(u.buf, p[:m]...)
		if len(u.buf)-u.digested >= digestRun {
			u.digest(digestRun * ((len(u.buf) - u.digested) / digestRun))
		}
		p = p[m:]
	}
	return n, nil
}

// send has the part in hand uploaded, waiting for its turn first.
func (u *upload) send(ctx context.Context) error {
	if u.id == "" {
		if err := u.create(ctx); err != nil {
			return err
		}
	}
	if len(u.parts) == maxParts {
		return fmt.Errorf("upload %s: more than %d parts; make them larger", u.location(), maxParts)
	}
	share := u.store.share(cap(u.buf))
	if err := u.store.sending.Acquire(ctx, share); err != nil {
		return context.Cause(ctx)
	}
	p := &part{number: int32(len(u.parts) + 1), sum: u.endPart()}
	u.parts = append(u.parts, p)
	data := u.buf
	u.buf = nil
	u.sending.Go(func() error {
		defer u.store.sending.Release(share)
		if err := u.sendPart(ctx, p, data); err != nil {
			return err // a request that was given up may still be reading data
		}
		u.store.giveBack(data)
		return nil
	})
	return nil
}

func (u *upload) location() string { return "s3://" + u.store.options.Bucket + "/" + u.key }

func (u *upload) create(ctx context.Context) error {
	o := &u.store.options
	out, err := u.store.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &o.Bucket, Key: &u.key,
		ChecksumAlgorithm:    types.ChecksumAlgorithmSha256,
		ContentType:          optional(u.meta.ContentType),
		ContentDisposition:   optional(u.meta.Disposition),
		CacheControl:         optional(u.meta.CacheControl),
		Metadata:             metadata(u.meta.SHA256),
		ServerSideEncryption: types.ServerSideEncryption(o.Encryption),
		SSEKMSKeyId:          optional(o.KMSKeyID),
		StorageClass:         types.StorageClass(o.StorageClass),
		ACL:                  types.ObjectCannedACL(o.ACL),
	})
	if err != nil {
		return u.failed(ctx, err)
	}
	if u.id = aws.ToString(out.UploadId); u.id == "" {
		return u.failed(ctx, errNotS3)
	}
	return nil
}

func (u *upload) failed(ctx context.Context, err error) error {
	return u.store.failed(ctx, "upload", u.key, err)
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (u *upload) sendPart(ctx context.Context, p *part, data []byte) error {
	ours := encoded(p.sum)
	out, err := u.store.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &u.store.options.Bucket, Key: &u.key, UploadId: &u.id, PartNumber: &p.number,
		Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))), ChecksumSHA256: &ours,
	}, signedOver(p.sum))
	if err != nil {
		return u.failed(ctx, err)
	}
	if out.ETag == nil {
		return u.failed(ctx, errNotS3)
	}
	if !sameChecksum(out.ChecksumSHA256, ours) {
		return fmt.Errorf("upload %s: part %d: %w: the server has %s, not %s; upload it again",
			u.location(), p.number, blob.ErrChecksum, *out.ChecksumSHA256, ours)
	}
	p.etag = out.ETag
	return nil
}

// signedOver has the digest of the body serve for the signature too, which would
// otherwise take another pass over the body, or leave it out under TLS.
func signedOver(sum blob.Digest) func(*s3.Options) {
	set := middleware.InitializeMiddlewareFunc("KnownPayloadHash",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
			middleware.InitializeOutput, middleware.Metadata, error,
		) {
			return next.HandleInitialize(v4.SetPayloadHash(ctx, hex.EncodeToString(sum[:])), in)
		})
	return s3.WithAPIOptions(func(stack *middleware.Stack) error {
		return stack.Initialize.Add(set, middleware.Before)
	})
}

// commit makes the object appear. The second context is the caller's, which
// outlives the group of parts.
func (u *upload) commit(ctx, outer context.Context) (blob.Info, error) {
	if ctx.Err() != nil { // write went on regardless
		return blob.Info{}, context.Cause(ctx)
	}
	sum := u.sum()
	if want := u.meta.SHA256; want != nil && *want != sum {
		return blob.Info{}, fmt.Errorf("upload %s: %w: the SHA-256 of what was written is %s, not %s",
			u.location(), blob.ErrChecksum, sum, *want)
	}
	info := blob.Info{Size: u.size, SHA256: &sum}
	if u.id == "" {
		return info, u.putWhole(ctx, sum)
	}
	if len(u.buf) > 0 {
		if err := u.send(ctx); err != nil {
			return blob.Info{}, err
		}
	}
	if err := u.sending.Wait(); err != nil {
		return blob.Info{}, err
	}
	return info, u.complete(outer, sum)
}

// putWhole uploads an object of one part.
func (u *upload) putWhole(ctx context.Context, sum blob.Digest) error {
	o := &u.store.options
	ours := encoded(sum)
	out, err := u.store.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &o.Bucket, Key: &u.key,
		Body: bytes.NewReader(u.buf), ContentLength: aws.Int64(u.size), ChecksumSHA256: &ours,
		ContentType:          optional(u.meta.ContentType),
		ContentDisposition:   optional(u.meta.Disposition),
		CacheControl:         optional(u.meta.CacheControl),
		Metadata:             metadata(&sum),
		ServerSideEncryption: types.ServerSideEncryption(o.Encryption),
		SSEKMSKeyId:          optional(o.KMSKeyID),
		StorageClass:         types.StorageClass(o.StorageClass),
		ACL:                  types.ObjectCannedACL(o.ACL),
	}, signedOver(sum))
	if err != nil {
		return u.failed(ctx, err)
	}
	if out.ETag == nil {
		return u.failed(ctx, errNotS3)
	}
	return u.verify(ctx, out.ChecksumSHA256, ours, out.VersionId)
}

// complete puts the parts together.
func (u *upload) complete(ctx context.Context, sum blob.Digest) error {
	sums := make([]blob.Digest, len(u.parts))
	done := make([]types.CompletedPart, len(u.parts))
	for i, p := range u.parts {
		sums[i] = p.sum
		done[i] = types.CompletedPart{PartNumber: &p.number, ETag: p.etag, ChecksumSHA256: aws.String(encoded(p.sum))}
	}
	ours := composite(sums)
	out, err := u.store.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &u.store.options.Bucket, Key: &u.key, UploadId: &u.id, MpuObjectSize: &u.size,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
	})
	if err != nil {
		if u.isThere(ctx, ours) {
			return nil
		}
		return u.failed(ctx, err)
	}
	if out.ETag == nil {
		return u.failed(ctx, errNotS3)
	}
	if err := u.verify(ctx, out.ChecksumSHA256, ours, out.VersionId); err != nil {
		return err
	}
	if u.meta.SHA256 == nil {
		u.store.tag(ctx, u.key, out.VersionId, sum, aws.ToString(out.ETag))
	}
	return nil
}

// isThere reports whether the object is in place although completing it failed:
// the answer to an earlier attempt may have been lost.
func (u *upload) isThere(ctx context.Context, ours string) bool {
	head, err := u.store.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &u.store.options.Bucket, Key: &u.key, ChecksumMode: types.ChecksumModeEnabled,
	})
	return err == nil && aws.ToInt64(head.ContentLength) == u.size &&
		head.ChecksumSHA256 != nil && sameChecksum(head.ChecksumSHA256, ours)
}

// verify compares checksums once an object is in place, and removes it if the
// server has other bytes than it was sent: nobody could read them.
func (u *upload) verify(ctx context.Context, theirs *string, ours string, version *string) error {
	if sameChecksum(theirs, ours) {
		return nil
	}
	err := fmt.Errorf("upload %s: %w: the server has %s, not %s; it was removed, upload it again",
		u.location(), blob.ErrChecksum, *theirs, ours)
	ctx, cancel := afterwards(ctx)
	defer cancel()
	_, deleteErr := u.store.client.DeleteObject(ctx, &s3.DeleteObjectInput{
		Bucket: &u.store.options.Bucket, Key: &u.key, VersionId: version,
	})
	return errors.Join(err, u.store.failed(ctx, "delete", u.key, deleteErr))
}

// abort has the server forget the parts, even if ctx is done, and returns why the
// upload failed. Should aborting it fail, too, that tells so: of the same fault only
// once.
func (u *upload) abort(ctx context.Context, cause error) error {
	if u.id == "" {
		return cause
	}
	ctx, cancel := afterwards(ctx)
	defer cancel()
	err := u.forget(ctx)
	if err == nil {
		return cause
	}
	err = u.store.failed(ctx, "abort the upload of", u.key, err)
	if sameFault(cause, err) {
		return fmt.Errorf("%w; parts of the unfinished upload %s of %s may remain", cause, u.id, u.location())
	}
	return errors.Join(cause, fmt.Errorf("%w; parts of the unfinished upload %s may remain there", err, u.id))
}

// forget aborts the upload until the server no longer knows it. A part that was on
// its way may arrive after the first time, and stay (AWS, AbortMultipartUpload).
func (u *upload) forget(ctx context.Context) error {
	const tries, pause = 4, 50 * time.Millisecond
	for try := 1; ; try++ {
		_, err := u.store.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
			Bucket: &u.store.options.Bucket, Key: &u.key, UploadId: &u.id,
		})
		if code(err) == "NoSuchUpload" {
			return nil
		}
		if err != nil || try == tries {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// cleanupTime is how long it may take to clear up after a failure.
const cleanupTime = 30 * time.Second

func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(context.WithoutCancel(ctx), cleanupTime, errors.New("the server did not answer"))
}
