package archive_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/lcp-tools/lcp/pkg/archive"
)

// A rawEntry is an entry of a hand-made archive, which may say one thing in its
// local header and another in the directory. The zero values say what is true.
type rawEntry struct {
	name, localName string
	data            []byte // as stored
	method          uint16
	localMethod     *uint16
	flags           uint16
	localFlags      *uint16
	crc             *uint32
	size, localSize *uint32
	compressed      *uint32
	attributes      uint32
	madeBy          uint16
	extra           []byte
	localExtra      uint16 // length claimed for what is not there
	descriptor      bool
	offset          *uint32 // of the local header, as the directory says
}

// A rawArchive is a hand-made archive.
type rawArchive struct {
	prefix, comment, beforeEnd []byte
	absolute                   bool // offsets count the prefix
	entries                    []rawEntry
	count                      *uint16
	dirOffset                  *uint32
}

func or[T any](p *T, v T) T {
	if p != nil {
		return *p
	}
	return v
}

func (a rawArchive) bytes() []byte {
	le := binary.LittleEndian
	body := bytes.Clone(a.prefix)
	base := len(a.prefix)
	if a.absolute {
		base = 0
	}
	var dir []byte
	for _, e := range a.entries {
		if e.localName == "" {
			e.localName = e.name
		}
		offset := uint32(len(body) - base)
		crc, n := or(e.crc, crc32.ChecksumIEEE(e.data)), uint32(len(e.data))
		flags := e.flags
		if e.descriptor {
			flags |= 1 << 3
		}
		body = le.AppendUint32(body, 0x04034b50)
		body = le.AppendUint16(body, 20)
		body = le.AppendUint16(body, or(e.localFlags, flags))
		body = le.AppendUint16(body, or(e.localMethod, e.method))
		body = le.AppendUint32(body, 1<<21|1<<16)
		if e.descriptor {
			body = append(body, make([]byte, 12)...)
		} else {
			body = le.AppendUint32(body, crc)
			body = le.AppendUint32(body, or(e.compressed, n))
			body = le.AppendUint32(body, or(e.localSize, or(e.size, n)))
		}
		body = le.AppendUint16(body, uint16(len(e.localName)))
		body = le.AppendUint16(body, e.localExtra)
		body = append(append(body, e.localName...), e.data...)
		if e.descriptor {
			body = le.AppendUint32(body, 0x08074b50)
			body = le.AppendUint32(le.AppendUint32(le.AppendUint32(body, crc), n), or(e.size, n))
		}
		dir = le.AppendUint32(dir, 0x02014b50)
		dir = le.AppendUint16(dir, 20|e.madeBy<<8)
		dir = le.AppendUint16(dir, 20)
		dir = le.AppendUint16(dir, flags)
		dir = le.AppendUint16(dir, e.method)
		dir = le.AppendUint32(dir, 1<<21|1<<16)
		dir = le.AppendUint32(dir, crc)
		dir = le.AppendUint32(dir, or(e.compressed, n))
		dir = le.AppendUint32(dir, or(e.size, n))
		dir = le.AppendUint16(dir, uint16(len(e.name)))
		dir = le.AppendUint16(dir, uint16(len(e.extra)))
		dir = append(dir, make([]byte, 6)...)
		dir = le.AppendUint32(dir, e.attributes)
		dir = le.AppendUint32(dir, or(e.offset, offset))
		dir = append(append(dir, e.name...), e.extra...)
	}
	start := uint32(len(body) - base)
	body = append(append(body, dir...), a.beforeEnd...)
	body = le.AppendUint32(body, 0x06054b50)
	body = le.AppendUint32(body, 0)
	count := or(a.count, uint16(len(a.entries)))
	body = le.AppendUint16(le.AppendUint16(body, count), count)
	body = le.AppendUint32(body, uint32(len(dir)))
	body = le.AppendUint32(body, or(a.dirOffset, start))
	body = le.AppendUint16(body, uint16(len(a.comment)))
	return append(body, a.comment...)
}

func open(data []byte) (*archive.Reader, error) {
	return archive.NewReader(bytes.NewReader(data), int64(len(data)))
}

func mustOpen(t *testing.T, data []byte) *archive.Reader {
	t.Helper()
	a, err := open(data)
	if err != nil {
		t.Fatalf("NewReader: %v", err)
	}
	return a
}
