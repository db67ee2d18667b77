package archive_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lcp-tools/lcp/pkg/archive"
)

func sumOf(stored, plain []byte) archive.Sum {
	return archive.Sum{CRC32: crc32.ChecksumIEEE(plain), CompressedSize: int64(len(stored)), Size: int64(len(plain))}
}

func add(t testing.TB, w *archive.Writer, h archive.Header, stored, plain []byte) {
	t.Helper()
	sum := sumOf(stored, plain)
	if !h.Streamed {
		h.Sum = sum
	}
	if err := w.Begin(h); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(stored); err != nil {
		t.Fatal(err)
	}
	if err := w.End(sum); err != nil {
		t.Fatal(err)
	}
}

func TestWriter(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("call me Ishmael ", 100))
	var b bytes.Buffer
	w := archive.NewWriter(&b)
	if err := w.Add("mimetype", 0, []byte("application/epub+zip")); err != nil {
		t.Fatal(err)
	}
	add(t, w, archive.Header{Name: "dir/"}, nil, nil)
	add(t, w, archive.Header{Name: "草枕 & co.xhtml", Method: archive.Deflate}, deflated(t, text), text)
	add(t, w, archive.Header{Name: "streamed", Streamed: true}, text, text)
	add(t, w, archive.Header{Name: "large", Method: archive.Deflate, Streamed: true, Large: true}, deflated(t, text), text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sameAsZip(t, mustOpen(t, b.Bytes()), b.Bytes())

	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil { // checks the CRC-32
			t.Errorf("archive/zip: %q: %v", f.Name, err)
		}
	}
	if want := []string{"mimetype", "dir/", "草枕 & co.xhtml", "streamed", "large"}; !slices.Equal(names, want) {
		t.Errorf("names = %q, want %q", names, want)
	}
	if first := z.File[0]; first.Method != zip.Store || first.Flags != 0 || len(first.Extra) != 0 || !first.Modified.Equal(first.Modified.UTC()) {
		t.Errorf("mimetype has method %d, flags %d, extra %v", first.Method, first.Flags, first.Extra)
	}
	// OCF 3.3 §4.2.7: readers look for the media type at offset 38.
	if got := string(b.Bytes()[30:58]); got != "mimetypeapplication/epub+zip" {
		t.Errorf("the file begins %q", got)
	}
}

func TestHeaderOfCopiesRaw(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("call me Ishmael ", 100))
	source := mustOpen(t, rawArchive{entries: []rawEntry{
		{name: "a", method: 8, data: deflated(t, text), size: new(uint32(len(text))), crc: new(crc32.ChecksumIEEE(text)), descriptor: true},
		{name: "b", data: hello},
	}}.bytes())
	var b bytes.Buffer
	w := archive.NewWriter(&b)
	for _, e := range source.Entries {
		raw, err := e.Raw()
		if err != nil {
			t.Fatal(err)
		}
		h := archive.HeaderOf(e)
		if err := w.Begin(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, raw); err != nil {
			t.Fatal(err)
		}
		if err := w.End(h.Sum); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sameAsZip(t, mustOpen(t, b.Bytes()), b.Bytes())
	if got, err := mustOpen(t, b.Bytes()).ReadFile("a", 1<<20); err != nil || !bytes.Equal(got, text) {
		t.Errorf("the copy of a is %q, %v", got, err)
	}
}

func TestWriterRefusesMisuse(t *testing.T) {
	t.Parallel()
	begin := func(h archive.Header) func(*archive.Writer) error {
		return func(w *archive.Writer) error { return w.Begin(h) }
	}
	write := func(w *archive.Writer) error { _, err := w.Write(hello); return err }
	end := func(n int64) func(*archive.Writer) error {
		return func(w *archive.Writer) error { return w.End(archive.Sum{CompressedSize: n, Size: n}) }
	}
	for name, calls := range map[string][]func(*archive.Writer) error{
		"end outside an entry":   {end(0)},
		"data outside an entry":  {write},
		"entry within an entry":  {begin(archive.Header{Name: "a"}), begin(archive.Header{Name: "b"})},
		"closed within an entry": {begin(archive.Header{Name: "a"}), (*archive.Writer).Close},
		"more data than told":    {begin(archive.Header{Name: "a"}), write, end(0)},
		"other figures at end":   {begin(archive.Header{Name: "a"}), write, end(5)},
		"too long a name":        {begin(archive.Header{Name: strings.Repeat("x", 1<<16)})},
		"not announced as large": {begin(archive.Header{Name: "a", Streamed: true}), func(w *archive.Writer) error { return w.End(archive.Sum{Size: 1 << 32}) }},
		"used after Close":       {(*archive.Writer).Close, begin(archive.Header{Name: "a"})},
		"closed twice":           {(*archive.Writer).Close, (*archive.Writer).Close},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := archive.NewWriter(io.Discard)
			var err error
			for i, call := range calls {
				if err = call(w); (err != nil) != (i == len(calls)-1) {
					t.Fatalf("call %d = %v", i, err)
				}
			}
			if again := write(w); !errors.Is(again, err) {
				t.Errorf("later call = %v, want %v again", again, err)
			}
			if again := w.Close(); !errors.Is(again, err) {
				t.Errorf("Close = %v, want %v again", again, err)
			}
		})
	}
}

type failingWriter struct{ after int }

var errFull = errors.New("no space left")

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.after -= len(p); w.after < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriterReportsFailureOfItsStream(t *testing.T) {
	t.Parallel()
	for after := range 140 {
		w := archive.NewWriter(&failingWriter{after})
		err := w.Add("name", 0, hello)
		if err == nil {
			err = w.Close()
		}
		if fits := after >= 30+4+5+46+4+22; fits != (err == nil) || !fits && !errors.Is(err, errFull) {
			t.Errorf("with room for %d bytes: %v", after, err)
		}
	}
}

// A sparseFile keeps what is written to it except the block named zeros.
type sparseFile struct {
	size   int64
	starts []int64
	blocks [][]byte
}

func (f *sparseFile) Write(p []byte) (int, error) {
	if &p[0] != &zeros[0] {
		f.starts = append(f.starts, f.size)
		f.blocks = append(f.blocks, bytes.Clone(p))
	}
	f.size += int64(len(p))
	return len(p), nil
}

func (f *sparseFile) ReadAt(p []byte, off int64) (int, error) {
	if off >= f.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), f.size-off))
	clear(p[:n])
	for i, start := range f.starts {
		if block := f.blocks[i]; start < off+int64(n) && start+int64(len(block)) > off {
			copy(p[max(0, start-off):n], block[max(0, off-start):])
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

var zeros = make([]byte, 1<<20)

// Sizes and offsets beyond 4 GiB, without the 4 GiB (APPNOTE §4.5.3).
func TestWriterZIP64Sizes(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("sums 8 GB of zeros")
	}
	const size = 4<<30 + 1<<20
	crc := uint32(0)
	for range size / len(zeros) {
		crc = crc32.Update(crc, crc32.IEEETable, zeros)
	}
	sum := archive.Sum{CRC32: crc, CompressedSize: size, Size: size}
	var f sparseFile
	w := archive.NewWriter(&f)
	for _, h := range []archive.Header{
		{Name: "known size", Sum: sum},
		{Name: "streamed", Streamed: true, Large: true},
	} {
		if err := w.Begin(h); err != nil {
			t.Fatal(err)
		}
		for range size / len(zeros) {
			if _, err := w.Write(zeros); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.End(sum); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Add("beyond", 0, hello); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	z, err := zip.NewReader(&f, f.size)
	if err != nil {
		t.Fatalf("archive/zip: %v", err)
	}
	a, err := archive.NewReader(&f, f.size)
	if err != nil {
		t.Fatalf("NewReader: %v", err)
	}
	for i, want := range []int64{size, size, int64(len(hello))} {
		if got := int64(z.File[i].UncompressedSize64); got != want {
			t.Errorf("archive/zip: %q has %d bytes, want %d", z.File[i].Name, got, want)
		}
		if got := a.Entries[i].Size; got != want {
			t.Errorf("%q has %d bytes, want %d", a.Entries[i].Name, got, want)
		}
	}
	offset, err := z.File[2].DataOffset()
	if err != nil || offset < 2*size {
		t.Errorf("archive/zip: data of the last entry at %d, %v", offset, err)
	}
	if got, err := a.ReadFile("beyond", 10); err != nil || !bytes.Equal(got, hello) {
		t.Errorf("the last entry is %q, %v", got, err)
	}
	r, err := z.File[1].Open()
	if err != nil {
		t.Fatal(err)
	}
	// The writer is wrapped to make use of the large buffer.
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 1<<20))
	if n != size || err != nil { // checks CRC-32 and descriptor
		t.Errorf("archive/zip: read %d bytes, %v", n, err)
	}
}

func TestWriterZIP64Count(t *testing.T) {
	t.Parallel()
	const count = 1<<16 + 5
	var b bytes.Buffer
	w := archive.NewWriter(&b)
	for i := range count {
		if err := w.Add(strconv.Itoa(i), 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || len(z.File) != count {
		t.Fatalf("archive/zip: %v, or not %d entries", err, count)
	}
	if a := mustOpen(t, b.Bytes()); len(a.Entries) != count {
		t.Errorf("%d entries, want %d", len(a.Entries), count)
	}
}

// Whatever is written, the standard library reads it back.
func FuzzWriter(f *testing.F) {
	f.Add("mimetype", "OEBPS/ch 1.xhtml", []byte("call me Ishmael"), false, false, true, uint32(0))
	f.Add("é", "草枕", []byte{}, true, true, false, uint32(0x5a215a21))
	f.Fuzz(func(t *testing.T, first, second string, data []byte, streamed, large, deflate bool, modified uint32) {
		if !utf8.ValidString(first) || !utf8.ValidString(second) || len(first) > 1000 || len(second) > 1000 ||
			strings.HasSuffix(first, "/") || strings.HasSuffix(second, "/") {
			return
		}
		h := archive.Header{Name: first, Modified: modified, Streamed: streamed, Large: large}
		stored := data
		if deflate {
			h.Method, stored = archive.Deflate, deflated(t, data)
		}
		var b bytes.Buffer
		w := archive.NewWriter(&b)
		add(t, w, h, stored, data)
		if err := w.Add(second, modified, data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
			t.Fatalf("archive/zip: %v", err)
		}
		for i, name := range []string{first, second} {
			r, err := z.File[i].Open()
			if err != nil {
				t.Fatalf("archive/zip: %v", err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, data) || z.File[i].Name != name {
				t.Errorf("archive/zip: entry %q = %q, %v; want %q, %q", z.File[i].Name, got, err, name, data)
			}
		}
	})
}
