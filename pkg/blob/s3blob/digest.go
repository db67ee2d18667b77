package s3blob

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/lcp-tools/lcp/pkg/blob"
)

// S3 does not know the SHA-256 of an object that arrived in parts, only one
// computed from theirs. So ours is written beside it: into the metadata
// (x-amz-meta-sha256) where it is known when the upload begins; else the
// metadata says that it is in a tag, which can be written afterwards, while
// metadata cannot be changed without copying the object.
const (
	digestKey = "sha256"
	inTag     = "tagged"
)

func metadata(sum *blob.Digest) map[string]string {
	if sum == nil {
		return map[string]string{digestKey: inTag}
	}
	return map[string]string{digestKey: sum.String()}
}

func digestIn(metadata map[string]string) *blob.Digest {
	d, err := blob.ParseDigest(metadata[digestKey])
	if err != nil {
		return nil
	}
	return &d
}

// tagValue binds the digest to one state of the object, so that a tag that was
// written when another upload had just replaced it says nothing false.
func tagValue(sum blob.Digest, etag string) string {
	return sum.String() + ":" + strings.Trim(etag, `"`)
}

// tag notes the digest of an object that arrived in parts. Without the
// permission, or on a server without tags, the digest stays unknown.
func (s *Store) tag(ctx context.Context, key string, version *string, sum blob.Digest, etag string) {
	_, _ = s.client.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{
		Bucket: &s.options.Bucket, Key: &key, VersionId: version,
		Tagging: &types.Tagging{TagSet: []types.Tag{{
			Key: aws.String(digestKey), Value: aws.String(tagValue(sum, etag)),
		}}},
	})
}

// digestInTags returns the digest that tag noted, or nil.
func (s *Store) digestInTags(ctx context.Context, key, etag string) *blob.Digest {
	tags, err := s.client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &s.options.Bucket, Key: &key})
	if err != nil {
		return nil
	}
	for _, t := range tags.TagSet {
		value := aws.ToString(t.Value)
		if aws.ToString(t.Key) != digestKey || len(value) < 2*sha256.Size {
			continue
		}
		if d, err := blob.ParseDigest(value[:2*sha256.Size]); err == nil && value == tagValue(d, etag) {
			return &d
		}
	}
	return nil
}

// encoded is the form of checksums in S3.
func encoded(sum blob.Digest) string { return base64.StdEncoding.EncodeToString(sum[:]) }

// composite is the checksum of an object that arrived in parts: that of the
// checksums of the parts, and their number.
func composite(parts []blob.Digest) string {
	h := sha256.New()
	for _, sum := range parts {
		h.Write(sum[:])
	}
	return encoded(blob.Digest(h.Sum(nil))) + "-" + strconv.Itoa(len(parts))
}

// sameChecksum reports whether the server's checksum, if it gave one, is ours.
// Some leave out the number of parts.
func sameChecksum(theirs *string, ours string) bool {
	if theirs == nil || *theirs == "" || *theirs == ours {
		return true
	}
	bare, _, _ := strings.Cut(ours, "-")
	return *theirs == bare
}
