// Package blob is the port to wherever objects are kept that readers download:
// protected publications and their covers. Folders (fileblob) and S3 buckets
// (s3blob) are behind it; blobtest states what every store promises.
//
// The one promise all else rests on: a name shows a whole object or none. What
// is being written shows nowhere, and an object that is written again is the old
// one until the new one is in its place.
//
// The package knows nothing of publications, licenses or configuration.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

var (
	// ErrNotFound is returned when there is no object of that name.
	ErrNotFound = errors.New("no such object")
	// ErrName is returned for names that no object can have.
	ErrName = errors.New("name cannot be stored")
	// ErrChecksum is returned when the bytes that arrived are not the bytes
	// that were meant.
	ErrChecksum = errors.New("checksum mismatch")
)

// A Store keeps objects under names, which are slash-separated relative paths
// that CheckName accepts. Every method that can fail returns ErrName for
// others. All methods may be called by several goroutines at once.
type Store interface {
	// Put stores what write writes, once write has returned nil; the object
	// then has the name, at once in the place of one that had it. If write
	// fails, or writing does, or ctx is done, nothing changes under the name
	// and nothing is left behind. An error of write comes back wrapped.
	//
	// A failure of the store shows in the next Write, so that write can stop
	// early; the writer is of no use once write has returned. Where it is an
	// io.ReaderAt too, what was written can be read back before it shows; where
	// it is a Digester, its SHA-256 need not be computed once more.
	Put(ctx context.Context, name string, meta Meta, write func(w io.Writer) error) (Info, error)

	// Stat tells what is known of an object without reading it. It returns
	// ErrNotFound if there is none.
	Stat(ctx context.Context, name string) (Info, error)

	// Open returns the bytes of an object, which the caller must close. It
	// returns ErrNotFound if there is none. What is read is one object from
	// beginning to end, even if another takes its place meanwhile; if that
	// cannot be held to, reading fails.
	Open(ctx context.Context, name string) (io.ReadCloser, Info, error)

	// Delete removes an object. That there is none is no error.
	Delete(ctx context.Context, name string) error

	// URL returns the address that readers download the object from, whether
	// or not there is one.
	URL(name string) string

	// Location tells people where the object is kept: a path, or an s3 URL.
	Location(name string) string
}

// Meta is what a store is told of an object besides its bytes. All fields are
// optional.
type Meta struct {
	ContentType  string  // media type
	Disposition  string  // value of the header Content-Disposition
	CacheControl string  // value of the header Cache-Control; "" for the store's own
	SHA256       *Digest // of the bytes, where known before: Put refuses others with ErrChecksum
}

// A Digester is a writer that digests what it is given.
type Digester interface {
	io.Writer
	// SHA256 returns the digest of all that was written so far.
	SHA256() Digest
}

// Info is what a store knows of an object.
type Info struct {
	Size   int64   // bytes
	SHA256 *Digest // nil if the store does not know it without reading the object
}

// A Digest is the SHA-256 of an object.
type Digest [sha256.Size]byte

// String returns the digest as 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest reads 64 hexadecimal digits.
func ParseDigest(s string) (Digest, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != sha256.Size {
		return Digest{}, fmt.Errorf("%q is not a SHA-256 in hexadecimal", s)
	}
	return Digest(b), nil
}

// Holds reports whether the store has, under the name, an object of exactly
// those bytes. It reads the object where the size is right and the store does
// not know the digest.
func Holds(ctx context.Context, s Store, name string, size int64, sum Digest) (bool, error) {
	info, err := s.Stat(ctx, name)
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case info.Size != size:
		return false, nil
	case info.SHA256 != nil:
		return *info.SHA256 == sum, nil
	}
	r, _, err := s.Open(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return false, fmt.Errorf("read %s: %w", name, err)
	}
	return Digest(h.Sum(nil)) == sum, nil
}
