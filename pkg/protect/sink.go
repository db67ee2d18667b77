package protect

import (
	"crypto/sha256"
	"io"
	"sync"

	"github.com/lcp-tools/lcp/pkg/blob"
)

const (
	sinkChunk  = 256 << 10
	sinkChunks = 4
)

// A WriteError is a failure of the writer that a publication is written to.
type WriteError struct{ Err error }

func (e *WriteError) Error() string { return e.Err.Error() }
func (e *WriteError) Unwrap() error { return e.Err }

// An output takes a stream of bytes.
type output interface {
	io.Writer
	// finish ends the stream, with all that was written or, after a failure, with
	// what has been by then. It gives the number of bytes and their SHA-256.
	finish(whole bool) (int64, [sha256.Size]byte, error)
}

// A direct output is what digests itself, and keeps what it is given for later.
type direct struct {
	to   blob.Digester
	size int64
	err  error
}

func (d *direct) Write(p []byte) (int, error) {
	n, err := d.to.Write(p)
	d.size += int64(n)
	if err != nil {
		d.err = &WriteError{err}
	}
	return n, d.err
}

func (d *direct) finish(bool) (int64, [sha256.Size]byte, error) {
	return d.size, d.to.SHA256(), d.err
}

// A sink hashes and writes a stream of bytes, each in a goroutine of its own, so
// that neither holds up the other nor the caller.
type sink struct {
	buffers [][]byte

	free, hash, write chan []byte
	running           sync.WaitGroup
	buf               []byte
	size              int64
	sum               [sha256.Size]byte

	mu  sync.Mutex
	err error // of the writer
}

func newSink() *sink { return &sink{} }

// start begins a stream to w.
func (s *sink) start(w io.Writer) {
	if s.buffers == nil {
		s.buffers = make([][]byte, sinkChunks)
		for i := range s.buffers {
			s.buffers[i] = make([]byte, 0, sinkChunk)
		}
	}
	s.free = make(chan []byte, sinkChunks)
	s.hash = make(chan []byte, sinkChunks)
	s.write = make(chan []byte, sinkChunks)
	for _, b := range s.buffers {
		s.free <- b
	}
	s.buf, s.size, s.err = <-s.free, 0, nil
	s.running.Go(s.hashAll)
	s.running.Go(func() { s.writeAll(w) })
}

func (s *sink) hashAll() {
	h := sha256.New()
	for b := range s.hash {
		h.Write(b)
		s.write <- b
	}
	h.Sum(s.sum[:0])
	close(s.write)
}

// writeAll goes on taking buffers after a failure, so that nobody waits forever.
func (s *sink) writeAll(w io.Writer) {
	for b := range s.write {
		if s.failure() == nil {
			if _, err := w.Write(b); err != nil {
				s.mu.Lock()
				s.err = &WriteError{err}
				s.mu.Unlock()
			}
		}
		s.free <- b[:0]
	}
}

func (s *sink) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Write takes the next bytes. It returns the error of an earlier write.
func (s *sink) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		m := min(len(p), cap(s.buf)-len(s.buf))
		s.buf = append(s.buf, p[:m]...)
		p = p[m:]
		if len(s.buf) == cap(s.buf) {
			s.hash <- s.buf
			s.buf = <-s.free
			if err := s.failure(); err != nil {
				return 0, err
			}
		}
	}
	s.size += int64(n)
	return n, nil
}

// finish waits for the goroutines.
func (s *sink) finish(whole bool) (int64, [sha256.Size]byte, error) {
	if whole {
		s.hash <- s.buf
	}
	close(s.hash)
	s.running.Wait()
	return s.size, s.sum, s.err
}
