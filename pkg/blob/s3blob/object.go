package s3blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// An ObjectInfo is what a bucket tells of an object that anybody may have put
// there. Keys are those of the bucket: the store's prefix plays no part.
type ObjectInfo struct {
	Key      string
	Size     int64     // bytes
	ETag     string    // another for other bytes
	Modified time.Time // to the second
}

// List gives the objects whose keys begin with a prefix, in the order of their
// keys. Unless it is recursive, those with a slash after the prefix are left out.
// The first error ends the list.
func (s *Store) List(ctx context.Context, prefix string, recursive bool) iter.Seq2[ObjectInfo, error] {
	return func(yield func(ObjectInfo, error) bool) {
		in := &s3.ListObjectsV2Input{Bucket: &s.options.Bucket, Prefix: &prefix}
		if !recursive {
			in.Delimiter = aws.String("/")
		}
		pages := s3.NewListObjectsV2Paginator(s.client, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(ObjectInfo{}, s.failed(ctx, "list", prefix, err))
				return
			}
			for _, o := range page.Contents {
				info := ObjectInfo{aws.ToString(o.Key), aws.ToInt64(o.Size), aws.ToString(o.ETag), aws.ToTime(o.LastModified)}
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}

// Look tells of the object under a key. It returns blob.ErrNotFound if there is
// none.
func (s *Store) Look(ctx context.Context, key string) (ObjectInfo, error) {
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.options.Bucket, Key: &key})
	if err != nil {
		return ObjectInfo{}, s.failed(ctx, "look up", key, err)
	}
	return ObjectInfo{key, aws.ToInt64(head.ContentLength), aws.ToString(head.ETag), aws.ToTime(head.LastModified)}, nil
}

// How much of an object is read by one request, and ahead of its readers.
const (
	blockSize  = 1 << 20
	readAhead  = 3 // blocks
	firstBlock = 0
)

// An Object is an object that is read at any offset, as it was when it was opened:
// once another takes its place, reading fails with ErrReplaced. What is read is
// kept in blocks, of which only so many are in memory, and who reads on finds the
// next ones there. Its methods may be called by several goroutines at once.
type Object struct {
	info  ObjectInfo
	fetch func(offset int64, p []byte) error
	stop  context.CancelFunc

	mu      sync.Mutex
	blocks  map[int64]*block
	spare   [][]byte
	most    int // blocks in memory: for every reader its own and the next ones, and the two ends of an archive
	clock   int64
	running sync.WaitGroup
}

// ErrReplaced is returned when another object has taken the place of one that is
// being read.
var ErrReplaced = errors.New("another object took its place while it was read")

// A block is a part of an object.
type block struct {
	data   []byte
	err    error
	ready  chan struct{} // closed when data or err is there
	users  int
	recent int64 // the higher, the later it was used
}

// OpenObject opens an object that so many read at once. It returns
// blob.ErrNotFound if there is none. The caller closes it.
func (s *Store) OpenObject(ctx context.Context, key string, readers int) (*Object, error) {
	info, err := s.Look(ctx, key)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	o := &Object{info: info, stop: stop, blocks: map[int64]*block{}, most: max(1, readers)*(1+readAhead) + 2}
	o.fetch = func(offset int64, p []byte) error { return s.fetchRange(ctx, info, offset, p) }
	return o, nil
}

// fetchRange reads a part of an object, anew from where a connection breaks.
func (s *Store) fetchRange(ctx context.Context, info ObjectInfo, offset int64, p []byte) error {
	broken := 0
	for len(p) > 0 {
		out, err := s.client.GetObject(ctx, &s3.GetObjectInput{
			Bucket: &s.options.Bucket, Key: &info.Key, IfMatch: &info.ETag,
			Range: aws.String("bytes=" + strconv.FormatInt(offset, 10) + "-" + strconv.FormatInt(offset+int64(len(p))-1, 10)),
		})
		if code(err) == "PreconditionFailed" {
			return fmt.Errorf("read s3://%s/%s: %w", s.options.Bucket, info.Key, ErrReplaced)
		}
		if err != nil {
			return s.failed(ctx, "read", info.Key, err)
		}
		if aws.ToString(out.ETag) != info.ETag || aws.ToInt64(out.ContentLength) != int64(len(p)) {
			out.Body.Close()
			return s.failed(ctx, "read", info.Key, errNotS3)
		}
		n, err := io.ReadFull(out.Body, p)
		out.Body.Close()
		offset, p = offset+int64(n), p[n:]
		if err == nil {
			return nil
		}
		if broken++; n > 0 {
			broken = 0
		}
		if ctx.Err() != nil || broken >= s.options.Attempts {
			return s.failed(ctx, "read", info.Key, err)
		}
	}
	return nil
}

// Info tells of the object.
func (o *Object) Info() ObjectInfo { return o.info }

// Name is the key.
func (o *Object) Name() string { return o.info.Key }

// Size is the length in bytes.
func (o *Object) Size() int64 { return o.info.Size }

// Close gives up what is being read, and waits for it to end.
func (o *Object) Close() error {
	o.stop()
	o.running.Wait()
	return nil
}

// ReadAt reads from the object. See io.ReaderAt.
func (o *Object) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, fmt.Errorf("read %s: negative offset %d", o.info.Key, offset)
	}
	read := 0
	for read < len(p) {
		if offset >= o.info.Size {
			return read, io.EOF
		}
		b := o.take(offset / blockSize)
		<-b.ready
		n, err := 0, b.err
		if err == nil {
			n = copy(p[read:], b.data[offset%blockSize:])
		}
		o.give(b)
		if err != nil {
			return read, err
		}
		read, offset = read+n, offset+int64(n)
	}
	return read, nil
}

// take returns the block of a number, which is being fetched if it was not there,
// and has the next ones fetched for who reads on.
func (o *Object) take(number int64) *block {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, follows := o.blocks[number-1]
	b := o.get(number)
	b.users++
	if follows || number == firstBlock {
		for next := number + 1; next <= number+readAhead && next*blockSize < o.info.Size; next++ {
			o.get(next)
		}
	}
	return b
}

// get returns a block, which it has fetched if need be.
func (o *Object) get(number int64) *block {
	o.clock++
	if b := o.blocks[number]; b != nil {
		b.recent = o.clock
		return b
	}
	o.makeRoom()
	b := &block{ready: make(chan struct{}), recent: o.clock}
	o.blocks[number] = b
	var data []byte
	if n := len(o.spare); n > 0 {
		data, o.spare = o.spare[n-1], o.spare[:n-1]
	} else {
		data = make([]byte, blockSize)
	}
	data = data[:min(blockSize, o.info.Size-number*blockSize)]
	o.running.Go(func() {
		b.err = o.fetch(number*blockSize, data)
		b.data = data
		close(b.ready)
		if b.err != nil {
			o.mu.Lock()
			delete(o.blocks, number) // for the next one to try again
			o.mu.Unlock()
		}
	})
	return b
}

// makeRoom drops the blocks that were not used for the longest time.
func (o *Object) makeRoom() {
	for len(o.blocks) >= o.most {
		oldest := int64(-1)
		for number, b := range o.blocks {
			if b.users > 0 || !isClosed(b.ready) || oldest >= 0 && b.recent > o.blocks[oldest].recent {
				continue
			}
			oldest = number
		}
		if oldest < 0 {
			return // all are in use: there are no more of those than readers
		}
		o.spare = append(o.spare, o.blocks[oldest].data[:blockSize])
		delete(o.blocks, oldest)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// give says that a block is not read from any more.
func (o *Object) give(b *block) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b.users--
}

var _ io.ReaderAt = (*Object)(nil)
