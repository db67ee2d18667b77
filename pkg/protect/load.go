package protect

import (
	"fmt"
	"io"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/inflate"
)

// maxLoad is the largest entry, compressed or not, that is loaded: it bounds a
// lane's memory. Chapters and style sheets are smaller.
const maxLoad = 1 << 20

// A loader reads deflated entries into memory whole and verifies them there:
// twice as fast as reading them as a stream. It keeps its buffers, which grow to
// what the entries need and to 2 MiB together at most.
type loader struct {
	decoder   inflate.Decoder
	raw, data []byte
}

// loadable reports whether the entry is one for a loader.
func loadable(e *archive.Entry) bool {
	return e.Method == archive.Deflate && e.CompressedSize <= maxLoad && e.Size <= maxLoad
}

// load returns the data of a loadable entry as they lie in the source and as
// they are inflated, with length and CRC-32 verified. Both are valid up to the
// next call.
func (l *loader) load(e *archive.Entry) (raw, data []byte, err error) {
	src, err := e.Raw()
	if err != nil {
		return nil, nil, err
	}
	l.raw = room(l.raw, int(e.CompressedSize))
	if _, err := io.ReadFull(src, l.raw); err != nil {
		return nil, nil, archive.Damaged(err)
	}
	l.data = room(l.data, int(e.Size)+inflate.Slack)
	n, used, err := l.decoder.Inflate(l.data, l.raw)
	check := e.Check()
	if _, err := check.Write(l.data[:n]); err != nil {
		return nil, nil, err // longer than declared, whatever else it is
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: its compressed data are corrupt: %w", archive.ErrDamaged, err)
	}
	if err := nothingFollows(int64(len(l.raw) - used)); err != nil {
		return nil, nil, err
	}
	return l.raw, l.data[:n], check.Err()
}

// nothingFollows refuses n bytes behind the end of a deflate stream.
func nothingFollows(n int64) error {
	if n > 0 {
		return fmt.Errorf("%w: %d bytes follow its compressed data", archive.ErrDamaged, n)
	}
	return nil
}

// room returns a buffer of n bytes, which is b if that is large enough. What b
// held is lost.
func room(b []byte, n int) []byte {
	const least = 64 << 10
	if cap(b) < n {
		b = make([]byte, max(n, least, min(2*cap(b), maxLoad)))
	}
	return b[:n]
}
