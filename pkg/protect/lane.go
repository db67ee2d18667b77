package protect

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/publication"
)

const (
	chunkSize  = 256 << 10 // bytes; whole cipher blocks
	laneChunks = 5         // buffers of a lane
	// heldChunks is how much of an entry is kept back before its header is
	// written: an entry that ends by then has its sizes in the header, as every
	// reader understands. Longer ones have them in a data descriptor, since the
	// output is never rewound. One buffer is left for the lane to go on.
	heldChunks = laneChunks - 1

	readSize = 64 << 10
	// largeSize is where an entry of unknown compressed size may reach 4 GiB.
	largeSize = 1<<32 - 64<<20
)

// A lane prepares parts, one at a time, as chunks of ZIP entries.
type lane struct {
	buffers [][]byte
	free    chan []byte
	out     chan chunk

	loader   *loader // nil until it is needed
	input    *bufio.Reader
	inflater io.ReadCloser
	deflater *flate.Writer
}

// A chunk is a piece of an entry, ready to be written.
type chunk struct {
	header archive.Header // the entry's
	data   []byte
	last   bool
	sum    archive.Sum // of the whole entry, in its last chunk
	err    error       // ends everything
}

func newLane() *lane {
	return &lane{input: bufio.NewReaderSize(nil, readSize)}
}

// reset makes all buffers available, whatever became of them in an earlier run.
func (l *lane) reset() {
	if l.buffers == nil {
		l.buffers = make([][]byte, laneChunks)
		for i := range l.buffers {
			l.buffers[i] = make([]byte, chunkSize)
		}
	}
	l.free = make(chan []byte, laneChunks)
	l.out = make(chan chunk, laneChunks)
	for _, b := range l.buffers {
		l.free <- b
	}
}

// run prepares one part and reports whether the next one is wanted.
func (l *lane) run(ctx context.Context, part *publication.Part, key lcpcrypto.ContentKey) bool {
	e := &emitter{ctx: ctx, lane: l, header: l.header(part)}
	err := l.prepare(e, part, key)
	if err == nil {
		err = e.close()
	}
	if err != nil {
		select {
		case l.out <- chunk{err: partError(part, err)}:
		case <-ctx.Done():
		}
		return false
	}
	return true
}

// partError names the part, unless the error names an entry already.
func partError(part *publication.Part, err error) error {
	if _, named := errors.AsType[*archive.EntryError](err); named {
		return err
	}
	return &archive.EntryError{Entry: part.Name, Err: err}
}

// header announces the part's entry. Only a copy knows its sums beforehand.
func (l *lane) header(part *publication.Part) archive.Header {
	if part.Entry != nil && !part.Encrypt() {
		h := archive.HeaderOf(part.Entry)
		h.Name = part.Name
		return h
	}
	h := archive.Header{Name: part.Name, Method: archive.Store, Streamed: true, Large: part.Size() >= largeSize}
	if part.Entry != nil {
		h.Modified = part.Entry.Modified
	}
	if !part.Encrypt() && part.Compress() {
		h.Method = archive.Deflate
	}
	return h
}

// prepare sends the part's bytes through the emitter in the form in which they
// go into the package.
func (l *lane) prepare(e *emitter, part *publication.Part, key lcpcrypto.ContentKey) error {
	encrypt, compress := part.Encrypt(), part.Compress()
	if encrypt {
		if err := e.encryptWith(key); err != nil {
			return err
		}
	}
	switch {
	case part.Entry == nil:
		return l.pump(e, part, nil, compress)
	case loadable(part.Entry):
		asItIs := !encrypt || compress
		return l.send(e, part.Entry, asItIs)
	case !encrypt, part.Entry.Method == archive.Deflate && compress:
		// The bytes are wanted as they lie in the source.
		return l.passThrough(e, part.Entry)
	default:
		return l.pump(e, part, part.Entry.Check(), compress)
	}
}

// send loads a small deflated entry and sends its deflate stream as it is or,
// for a codec resource, what that holds.
func (l *lane) send(e *emitter, entry *archive.Entry, asItIs bool) error {
	if l.loader == nil {
		l.loader = new(loader)
	}
	raw, data, err := l.loader.load(entry)
	if err != nil {
		return err
	}
	if asItIs {
		data = raw
	}
	_, err = e.Write(data)
	return err
}

// passThrough copies the entry's raw bytes, a deflate stream or stored ones, and
// verifies what they hold on the way.
func (l *lane) passThrough(e *emitter, entry *archive.Entry) error {
	raw, err := entry.Raw()
	if err != nil {
		return err
	}
	check := entry.Check()
	if entry.Method == archive.Store {
		if err := e.readFrom(raw, check); err != nil {
			return err
		}
		return check.Err()
	}
	l.input.Reset(io.TeeReader(raw, e))
	if _, err := io.Copy(check, l.inflate(l.input)); err != nil {
		return archive.Damaged(err)
	}
	if err := l.inputEnds(); err != nil {
		return err
	}
	return check.Err()
}

// inputEnds refuses an entry that goes on after the deflate stream it held.
func (l *lane) inputEnds() error {
	n, err := io.Copy(io.Discard, l.input)
	if err != nil {
		return err
	}
	return nothingFollows(n)
}

// pump sends the part's uncompressed bytes, deflated or not.
func (l *lane) pump(e *emitter, part *publication.Part, check *archive.Check, compress bool) error {
	src, err := l.open(part)
	if err != nil {
		return err
	}
	if !compress {
		if err := e.readFrom(src, check); err != nil {
			return archive.Damaged(err)
		}
	} else {
		dst := l.deflate(e)
		if _, err := io.Copy(io.MultiWriter(dst, plain{e, check}), src); err != nil {
			return archive.Damaged(err)
		}
		if err := dst.Close(); err != nil {
			return err
		}
	}
	if part.Entry != nil && part.Entry.Method == archive.Deflate {
		if err := l.inputEnds(); err != nil {
			return err
		}
	}
	if check != nil {
		return check.Err()
	}
	if n := e.size; n != part.Size() {
		return fmt.Errorf("%w: %d bytes, not %d", archive.ErrLength, n, part.Size())
	}
	return nil
}

// open gives the uncompressed bytes, not verified yet.
func (l *lane) open(part *publication.Part) (io.Reader, error) {
	switch {
	case part.Entry != nil:
		raw, err := part.Entry.Raw()
		if err != nil || part.Entry.Method == archive.Store {
			return raw, err
		}
		l.input.Reset(raw)
		return l.inflate(l.input), nil
	case part.File != nil:
		return io.NewSectionReader(part.File, 0, part.File.Size()), nil
	default:
		return bytes.NewReader(part.Data), nil
	}
}

func (l *lane) inflate(r io.Reader) io.Reader {
	if l.inflater == nil {
		l.inflater = flate.NewReader(r)
		return l.inflater
	}
	_ = l.inflater.(flate.Resetter).Reset(r, nil) // never fails
	return l.inflater
}

func (l *lane) deflate(w io.Writer) *flate.Writer {
	if l.deflater == nil {
		l.deflater, _ = flate.NewWriter(w, flate.DefaultCompression) // fails for unknown levels only
		return l.deflater
	}
	l.deflater.Reset(w)
	return l.deflater
}

// writeTo writes the lane's next entry.
func (l *lane) writeTo(ctx context.Context, zw *archive.Writer, progress func(int64)) error {
	var held []chunk
	begun := false
	for {
		var c chunk
		select {
		case c = <-l.out:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if c.err != nil {
			return c.err
		}
		held = append(held, c)
		if !begun && !c.last && c.header.Streamed && len(held) < heldChunks {
			continue
		}
		if !begun {
			h := c.header
			if h.Streamed && c.last {
				h.Streamed, h.Sum = false, c.sum
			}
			if err := zw.Begin(h); err != nil {
				return err
			}
			begun = true
		}
		for _, h := range held {
			if _, err := zw.Write(h.data); err != nil {
				return err
			}
			progress(int64(len(h.data)))
			l.free <- h.data[:chunkSize]
		}
		held = held[:0]
		if c.last {
			return zw.End(c.sum)
		}
	}
}

// An emitter fills the lane's buffers with the bytes of one entry, encrypts them
// if it is told to, and sends them on.
type emitter struct {
	ctx    context.Context //nolint:containedctx // lives as long as one call of run
	lane   *lane
	header archive.Header

	cipher *lcpcrypto.Encrypter // nil if the entry stays clear
	buf    []byte               // filled so far, within a buffer of chunkSize
	begin  int                  // of what is still to be encrypted in buf
	crc    uint32               // of the bytes sent
	sent   int64

	size     int64  // of the uncompressed bytes
	plainCRC uint32 // of the uncompressed bytes, where nothing checks them
}

// plain sees an entry's bytes before compression and encryption.
type plain struct {
	*emitter
	check *archive.Check // nil where the source declares no checksum
}

func (p plain) Write(b []byte) (int, error) {
	p.size += int64(len(b))
	if p.check != nil {
		return p.check.Write(b)
	}
	p.plainCRC = crc32.Update(p.plainCRC, crc32.IEEETable, b)
	return len(b), nil
}

// encryptWith makes the entry one that is encrypted. It comes before any bytes.
func (e *emitter) encryptWith(key lcpcrypto.ContentKey) error {
	if err := e.room(); err != nil {
		return err
	}
	cipher, iv := lcpcrypto.NewEncrypter(key)
	e.cipher = cipher
	e.buf = append(e.buf, iv[:]...)
	e.begin = len(e.buf)
	return nil
}

// room sees to it that there is space in the buffer.
func (e *emitter) room() error {
	if len(e.buf) == chunkSize {
		if err := e.flush(false); err != nil {
			return err
		}
	}
	if e.buf == nil {
		select {
		case b := <-e.lane.free:
			e.buf, e.begin = b[:0], 0
		case <-e.ctx.Done():
			return context.Cause(e.ctx)
		}
	}
	return nil
}

// Write takes bytes of the entry.
func (e *emitter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if err := e.room(); err != nil {
			return 0, err
		}
		m := min(len(p), chunkSize-len(e.buf))
		e.buf = append(e.buf, p[:m]...)
		p = p[m:]
	}
	return n, nil
}

// readFrom takes bytes of the entry up to the end of r, without another copy.
func (e *emitter) readFrom(r io.Reader, check *archive.Check) error {
	for {
		if err := e.room(); err != nil {
			return err
		}
		from := len(e.buf)
		n, err := r.Read(e.buf[from:chunkSize])
		e.buf = e.buf[:from+n]
		if _, err := (plain{e, check}).Write(e.buf[from:]); err != nil {
			return err
		}
		switch {
		case err == io.EOF: // bare: a wrapped one is a failure
			return nil
		case err != nil:
			return err
		}
	}
}

// flush encrypts what the buffer holds and sends it. Only the last chunk of an
// entry is not full.
func (e *emitter) flush(last bool) error {
	if e.cipher != nil {
		whole := len(e.buf) - (len(e.buf)-e.begin)%lcpcrypto.BlockSize
		e.cipher.Encrypt(e.buf[e.begin:whole])
		if last {
			e.buf = append(e.buf[:whole], e.cipher.Final(e.buf[whole:])...)
		}
	}
	e.crc = crc32.Update(e.crc, crc32.IEEETable, e.buf)
	e.sent += int64(len(e.buf))
	c := chunk{header: e.header, data: e.buf, last: last}
	if last {
		c.sum = e.sum()
	}
	e.buf = nil
	select {
	case e.lane.out <- c:
		return nil
	case <-e.ctx.Done():
		return context.Cause(e.ctx)
	}
}

// close sends the last chunk.
func (e *emitter) close() error {
	if err := e.room(); err != nil {
		return err
	}
	return e.flush(true)
}

// sum is what the ZIP entry declares: of an encrypted entry, the stored bytes
// are all there is.
func (e *emitter) sum() archive.Sum {
	switch {
	case !e.header.Streamed:
		return e.header.Sum
	case e.header.Method == archive.Store:
		return archive.Sum{CRC32: e.crc, CompressedSize: e.sent, Size: e.sent}
	default:
		return archive.Sum{CRC32: e.plainCRC, CompressedSize: e.sent, Size: e.size}
	}
}
