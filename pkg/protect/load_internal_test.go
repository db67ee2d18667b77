package protect

import (
	"bytes"
	"compress/flate"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/lcp-tools/lcp/pkg/archive"
)

func deflated(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 6)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// entryOf makes an archive of one deflated entry, of which it says what sum says.
func entryOf(t *testing.T, raw []byte, sum archive.Sum) *archive.Entry {
	t.Helper()
	var b bytes.Buffer
	zw := archive.NewWriter(&b)
	sum.CompressedSize = int64(len(raw))
	if err := zw.Begin(archive.Header{Name: "a.xhtml", Method: archive.Deflate, Sum: sum}); err != nil {
		t.Fatal(err)
	}
	if _, err := zw.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := zw.End(sum); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := archive.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return a.Entries[0]
}

func sumOf(data []byte) archive.Sum {
	return archive.Sum{CRC32: crc32.ChecksumIEEE(data), Size: int64(len(data))}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	var l loader
	for _, size := range []int{0, 1, 300, 70_000, maxLoad, 10} {
		data := bytes.Repeat([]byte("It was a dark and stormy night. "), size/32+1)[:size]
		want := deflated(t, data)
		e := entryOf(t, want, sumOf(data))
		if !loadable(e) {
			t.Fatalf("%d bytes are not loadable", size)
		}
		raw, got, err := l.load(e)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if !bytes.Equal(raw, want) || !bytes.Equal(got, data) {
			t.Errorf("%d bytes: %d raw bytes and %d others are not those of the entry", size, len(raw), len(got))
		}
	}
	if n := cap(l.raw) + cap(l.data); n > 2*maxLoad+64<<10 {
		t.Errorf("the buffers hold %d bytes", n)
	}
	if e := entryOf(t, []byte{3, 0}, archive.Sum{Size: maxLoad + 1}); loadable(e) {
		t.Errorf("%d bytes are loadable", e.Size)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("Call me Ishmael. "), 50)
	raw, right := deflated(t, data), sumOf(data)
	sum := func(change func(*archive.Sum)) archive.Sum {
		s := right
		change(&s)
		return s
	}
	for name, test := range map[string]struct {
		raw  []byte
		sum  archive.Sum
		want error
	}{
		"another checksum":        {raw, sum(func(s *archive.Sum) { s.CRC32++ }), archive.ErrChecksum},
		"more data than declared": {raw, sum(func(s *archive.Sum) { s.Size-- }), archive.ErrLength},
		"much more than declared": {raw, sum(func(s *archive.Sum) { s.Size = 1 }), archive.ErrLength},
		"less data than declared": {raw, sum(func(s *archive.Sum) { s.Size++ }), archive.ErrLength},
		"a stream cut short":      {raw[:len(raw)-1], right, archive.ErrDamaged},
		"bytes after the stream":  {append(bytes.Clone(raw), 0), right, archive.ErrDamaged},
		"no deflate stream":       {bytes.Repeat([]byte{0xff}, 40), right, archive.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l loader
			if _, _, err := l.load(entryOf(t, test.raw, test.sum)); !errors.Is(err, test.want) {
				t.Errorf("error is %v, want %v", err, test.want)
			}
		})
	}
}
