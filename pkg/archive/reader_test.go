package archive_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/archive"
)

var hello = []byte("hello")

func deflated(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
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

// zip64Record is a ZIP64 end record for one entry and its locator, as writers put them
// before the plain end record.
func zip64Record(at, size, offset int) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0x06064b50)
	b = le.AppendUint64(b, 44)
	b = append(b, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint64(le.AppendUint64(b, 1), 1)
	b = le.AppendUint64(le.AppendUint64(b, uint64(size)), uint64(offset))
	b = le.AppendUint32(b, 0x07064b50)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, uint64(at))
	return le.AppendUint32(b, 1)
}

func TestReaderAccepts(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("call me Ishmael ", 100))
	one := rawEntry{name: "a.txt", data: hello}
	const dirLen = 46 + len("a.txt")
	const dirAt = 30 + len("a.txt") + len("hello")
	for name, tt := range map[string]struct {
		archive rawArchive
		entry   string // as the reader names it
		want    []byte
	}{
		"stored entry": {rawArchive{entries: []rawEntry{one}}, "a.txt", hello},
		"deflated entry": {
			rawArchive{entries: []rawEntry{{
				name: "a.txt", method: 8, data: deflated(t, text), size: new(uint32(len(text))), crc: new(crc32.ChecksumIEEE(text)),
			}}},
			"a.txt", text,
		},
		"data descriptor": {rawArchive{entries: []rawEntry{{name: "a.txt", data: hello, descriptor: true}, {name: "b"}}}, "a.txt", hello},
		"comment":         {rawArchive{entries: []rawEntry{one}, comment: []byte("PK are two letters")}, "a.txt", hello},
		"prefix that offsets do not count": {
			rawArchive{entries: []rawEntry{one}, prefix: []byte("#!/bin/sh\n")}, "a.txt", hello,
		},
		"prefix that offsets count": {
			rawArchive{entries: []rawEntry{one}, prefix: []byte("#!/bin/sh\n"), absolute: true}, "a.txt", hello,
		},
		"ZIP64 record that nothing needs": {
			rawArchive{entries: []rawEntry{one}, beforeEnd: zip64Record(dirAt+dirLen, dirLen, dirAt)}, "a.txt", hello,
		},
		"ZIP64 record that is needed": {
			rawArchive{entries: []rawEntry{one}, beforeEnd: zip64Record(dirAt+dirLen, dirLen, dirAt), dirOffset: new(uint32(0xffffffff))},
			"a.txt", hello,
		},
		"ZIP64 record after a prefix that offsets do not count": {
			rawArchive{
				prefix: []byte("#!/bin/sh\n"), entries: []rawEntry{one},
				beforeEnd: zip64Record(dirAt+dirLen, dirLen, dirAt), dirOffset: new(uint32(0xffffffff)),
			},
			"a.txt", hello,
		},
		"ZIP64 sizes in the directory": {
			rawArchive{entries: []rawEntry{{
				name: "a.txt", data: hello, size: new(uint32(0xffffffff)), compressed: new(uint32(0xffffffff)),
				extra: []byte{9, 9, 1, 0, 7, 1, 0, 16, 0, 5, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0},
			}}},
			"a.txt", hello,
		},
		"UTF-8 name with its flag":    {rawArchive{entries: []rawEntry{{name: "é.txt", flags: 1 << 11, data: hello}}}, "é.txt", hello},
		"UTF-8 name without its flag": {rawArchive{entries: []rawEntry{{name: "草枕.txt", data: hello}}}, "草枕.txt", hello},
		"code page 437 name":          {rawArchive{entries: []rawEntry{{name: "caf\x82.txt", data: hello}}}, "café.txt", hello},
		"folder":                      {rawArchive{entries: []rawEntry{{name: "a/"}, {name: "a/b", data: hello}}}, "a/b", hello},
		"dots within a name":          {rawArchive{entries: []rawEntry{{name: "a..b/...", data: hello}}}, "a..b/...", hello},
		"empty entry":                 {rawArchive{entries: []rawEntry{{name: "empty"}}}, "empty", nil},
		"local header filled in beside a descriptor": {
			rawArchive{entries: []rawEntry{{name: "a.txt", data: hello, localFlags: new(uint16(8)), localSize: new(uint32(4))}}}, "a.txt", hello,
		},
		"local header never filled in": {
			rawArchive{entries: []rawEntry{{name: "a.txt", data: hello, localSize: new(uint32(0))}}}, "a.txt", hello,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := mustOpen(t, tt.archive.bytes())
			got, err := a.ReadFile(tt.entry, 1<<20)
			if err != nil {
				t.Fatalf("ReadFile(%q): %v", tt.entry, err)
			}
			if !bytes.Equal(got, tt.want) {
				t.Errorf("ReadFile(%q) = %q, want %q", tt.entry, got, tt.want)
			}
		})
	}
}

func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	two := rawArchive{entries: []rawEntry{{name: "a.txt", data: hello}, {name: "b.txt", data: hello}}}
	whole := two.bytes()
	named := func(name string) []byte { return rawArchive{entries: []rawEntry{{name: name, data: hello}}}.bytes() }
	for name, tt := range map[string]struct {
		data  []byte
		want  error
		entry string // the one at fault, or ""
	}{
		"empty file":         {nil, archive.ErrEmpty, ""},
		"something else":     {[]byte("%PDF-1.7 and so on, long enough for an end record"), archive.ErrNotZIP, ""},
		"tiny file":          {[]byte("P"), archive.ErrNotZIP, ""},
		"cut in the data":    {whole[:40], archive.ErrTruncated, ""},
		"cut in the end":     {whole[:len(whole)-4], archive.ErrTruncated, ""},
		"front cut off":      {whole[20:], archive.ErrTruncated, ""},
		"parent folder":      {named("../a"), archive.ErrUnsafeName, "../a"},
		"parent further in":  {named("a/../../b"), archive.ErrUnsafeName, "a/../../b"},
		"folder itself":      {named("a/./b"), archive.ErrUnsafeName, "a/./b"},
		"parent, Windows":    {named(`a\..\b`), archive.ErrUnsafeName, `a\..\b`},
		"absolute":           {named("/etc/passwd"), archive.ErrUnsafeName, "/etc/passwd"},
		"absolute, Windows":  {named(`C:\boot.ini`), archive.ErrUnsafeName, `C:\boot.ini`},
		"network path":       {named(`\\host\share`), archive.ErrUnsafeName, `\\host\share`},
		"NUL in a name":      {named("a\x00.txt"), archive.ErrUnsafeName, "a\x00.txt"},
		"empty name":         {named(""), archive.ErrUnsafeName, ""},
		"symbolic link":      {rawArchive{entries: []rawEntry{{name: "l", data: hello, madeBy: 3, attributes: 0o120777 << 16}}}.bytes(), archive.ErrUnsafeName, "l"},
		"encrypted":          {rawArchive{entries: []rawEntry{{name: "a", data: hello, flags: 1}}}.bytes(), archive.ErrEncrypted, "a"},
		"strongly encrypted": {rawArchive{entries: []rawEntry{{name: "a", data: hello, flags: 1 << 6}}}.bytes(), archive.ErrEncrypted, "a"},
		"bzip2":              {rawArchive{entries: []rawEntry{{name: "a", data: hello, method: 12}}}.bytes(), archive.ErrMethod, "a"},
		"duplicate":          {rawArchive{entries: []rawEntry{{name: "a", data: hello}, {name: "a", data: hello}}}.bytes(), archive.ErrDuplicate, "a"},
		"stored, two lengths": {
			rawArchive{entries: []rawEntry{{name: "a", data: hello, size: new(uint32(9))}}}.bytes(), archive.ErrDamaged, "a",
		},
		"folder with data": {rawArchive{entries: []rawEntry{{name: "a/", data: hello}}}.bytes(), archive.ErrDamaged, "a/"},
		"overlapping entries": {
			rawArchive{entries: []rawEntry{{name: "a", data: hello}, {name: "b", data: hello, offset: new(uint32(1))}}}.bytes(), archive.ErrDamaged, "a",
		},
		"same data twice": {
			rawArchive{entries: []rawEntry{{name: "a", data: hello}, {name: "b", data: hello, offset: new(uint32(0))}}}.bytes(), archive.ErrDamaged, "a",
		},
		"data beyond the directory": {
			rawArchive{entries: []rawEntry{{name: "a", data: hello, size: new(uint32(500)), compressed: new(uint32(500))}}}.bytes(), archive.ErrDamaged, "a",
		},
		"offset beyond the file": {
			rawArchive{entries: []rawEntry{{name: "a", data: hello, offset: new(uint32(0xfffffff0))}}}.bytes(), archive.ErrDamaged, "a",
		},
		"offset beyond all files": {
			rawArchive{entries: []rawEntry{{
				name: "a", data: hello, offset: new(uint32(0xffffffff)),
				extra: []byte{1, 0, 8, 0, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
			}}}.bytes(), archive.ErrDamaged, "a",
		},
		"ZIP64 field cut short": {
			rawArchive{entries: []rawEntry{{name: "a", data: hello, size: new(uint32(0xffffffff)), extra: []byte{1, 0, 2, 0, 5, 0}}}}.bytes(), archive.ErrDamaged, "a",
		},
		"negative ZIP64 size": {
			rawArchive{entries: []rawEntry{{
				name: "a", data: hello, size: new(uint32(0xffffffff)), extra: []byte{1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0x80},
			}}}.bytes(), archive.ErrDamaged, "a",
		},
		"ZIP64 directory beyond all files": {
			rawArchive{entries: []rawEntry{{name: "a", data: hello}}, beforeEnd: zip64Record(83, 47, 1<<62), dirOffset: new(uint32(0xffffffff))}.bytes(),
			archive.ErrTruncated, "",
		},
		"ZIP64 directory whose end overflows": {
			rawArchive{entries: []rawEntry{{name: "a", data: hello}}, beforeEnd: zip64Record(83, 47, math.MaxInt64), dirOffset: new(uint32(0xffffffff))}.bytes(),
			archive.ErrTruncated, "",
		},
		"more entries than listed": {rawArchive{entries: two.entries, count: new(uint16(3))}.bytes(), archive.ErrDamaged, ""},
		"bomb": {
			rawArchive{entries: []rawEntry{{name: "a", method: 8, data: make([]byte, 20<<10), size: new(uint32(20 << 20))}}}.bytes(), archive.ErrBomb, "a",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(tt.data)
			if !errors.Is(err, tt.want) {
				t.Fatalf("NewReader = %v, want %v", err, tt.want)
			}
			if ee, ok := errors.AsType[*archive.EntryError](err); ok != (tt.entry != "" || name == "empty name") || ok && ee.Entry != tt.entry {
				t.Errorf("NewReader = %v, want entry %q at fault", err, tt.entry)
			}
		})
	}
}

// Many entries, none of which is a bomb, can be one together.
func TestReaderRefusesBombOfManyEntries(t *testing.T) {
	t.Parallel()
	const size = 15 << 20
	data := make([]byte, size/1000) // as much as a deflate stream may need
	var a rawArchive
	for i := range 20 {
		a.entries = append(a.entries, rawEntry{name: strconv.Itoa(i), method: 8, data: data, size: new(uint32(size))})
	}
	if _, err := open(a.bytes()); !errors.Is(err, archive.ErrBomb) {
		t.Errorf("NewReader = %v, want ErrBomb", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	text := bytes.Repeat(hello, 100)
	packed := deflated(t, text)
	sum := new(crc32.ChecksumIEEE(text))
	for name, tt := range map[string]struct {
		entry rawEntry
		want  error
	}{
		"wrong checksum, stored":   {rawEntry{data: hello, crc: new(uint32(1))}, archive.ErrChecksum},
		"wrong checksum, deflated": {rawEntry{method: 8, data: packed, size: new(uint32(500)), crc: new(uint32(1))}, archive.ErrChecksum},
		"less than declared":       {rawEntry{method: 8, data: packed, size: new(uint32(501)), crc: sum}, archive.ErrLength},
		"more than declared":       {rawEntry{method: 8, data: packed, size: new(uint32(499)), crc: sum}, archive.ErrLength},
		"not deflate":              {rawEntry{method: 8, data: []byte{7, 7, 7}, size: new(uint32(500)), crc: sum}, archive.ErrDamaged},
		"deflate cut short":        {rawEntry{method: 8, data: packed[:len(packed)-2], size: new(uint32(500)), crc: sum}, archive.ErrDamaged},
		"other name in its header": {rawEntry{data: hello, localName: "b"}, archive.ErrDamaged},
		"other method":             {rawEntry{data: hello, localMethod: new(uint16(8))}, archive.ErrDamaged},
		"other length":             {rawEntry{data: hello, localSize: new(uint32(4))}, archive.ErrDamaged},
		"data moved into the next": {rawEntry{data: hello, localExtra: 10}, archive.ErrDamaged},
		"encrypted in its header":  {rawEntry{data: hello, localFlags: new(uint16(1))}, archive.ErrEncrypted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.entry.name = "a"
			a := mustOpen(t, rawArchive{entries: []rawEntry{tt.entry, {name: "next", data: hello}}}.bytes())
			_, err := a.ReadFile("a", 1<<20)
			if ee, ok := errors.AsType[*archive.EntryError](err); !errors.Is(err, tt.want) || !ok || ee.Entry != "a" {
				t.Errorf("ReadFile = %v, want %v of entry a", err, tt.want)
			}
		})
	}
}

func TestOpenGivesNoMoreThanDeclared(t *testing.T) {
	t.Parallel()
	data := deflated(t, make([]byte, 1<<20))
	a := mustOpen(t, rawArchive{entries: []rawEntry{{name: "a", method: 8, data: data, size: new(uint32(10))}}}.bytes())
	r, err := a.Entries[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); n > 10 || !errors.Is(err, archive.ErrLength) {
		t.Errorf("read %d bytes, %v; want at most 10 and ErrLength", n, err)
	}
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	a := mustOpen(t, rawArchive{entries: []rawEntry{{name: "a", data: hello}}}.bytes())
	if _, err := a.ReadFile("a", 4); !errors.Is(err, archive.ErrEntryTooBig) {
		t.Errorf("ReadFile within 4 bytes = %v, want ErrEntryTooBig", err)
	}
	if _, err := a.ReadFile("b", 4); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("ReadFile(b) = %v, want ErrNotFound", err)
	}
}

func TestLookupIgnoresNormalization(t *testing.T) {
	t.Parallel()
	const composed, decomposed = "\u00e9t\u00e9.xhtml", "e\u0301te\u0301.xhtml"
	for _, stored := range []string{composed, decomposed} {
		a := mustOpen(t, rawArchive{entries: []rawEntry{{name: stored, data: hello}}}.bytes())
		for _, asked := range []string{composed, decomposed} {
			if e := a.Lookup(asked); e == nil || e.Name != stored {
				t.Errorf("Lookup(%+q) in an archive with %+q = %v", asked, stored, e)
			}
		}
	}
	a := mustOpen(t, rawArchive{entries: []rawEntry{{name: decomposed, data: hello}, {name: composed}}}.bytes())
	if e := a.Lookup(composed); e.Name != composed {
		t.Errorf("Lookup(%+q) = %+q where both exist", composed, e.Name)
	}
}

func TestCorpus(t *testing.T) {
	t.Parallel()
	root := os.Getenv("LCP_CORPUS")
	if root == "" {
		t.Skip("LCP_CORPUS names no folder with sample publications")
	}
	for file, want := range map[string]error{
		"truncated.epub": archive.ErrTruncated, "zip-slip.epub": archive.ErrUnsafeName, "zip-bomb.epub": archive.ErrBomb,
		"duplicate-entry.epub": archive.ErrDuplicate, "empty.epub": archive.ErrEmpty, "bzip2-compression.epub": archive.ErrMethod,
		"user-password.pdf": archive.ErrNotZIP,
	} {
		data, err := os.ReadFile(filepath.Join(root, "broken", file))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := open(data); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", file, err, want)
		}
	}
	for _, folder := range []string{"epub", "audiobook", "divina", "webpub", "lpf"} {
		files, err := filepath.Glob(filepath.Join(root, folder, "*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s: %v", folder, err)
		}
		for _, file := range files {
			t.Run(filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				sameAsZip(t, mustOpen(t, data), data)
			})
		}
	}
}

// sameAsZip compares what the reader gives with what the standard library does.
func sameAsZip(t *testing.T, a *archive.Reader, data []byte) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatalf("archive/zip: %v", err)
	}
	if len(a.Entries) != len(z.File) {
		t.Fatalf("%d entries, archive/zip finds %d", len(a.Entries), len(z.File))
	}
	for i, f := range z.File {
		e := a.Entries[i]
		if e.Name != f.Name {
			t.Errorf("entry %q, archive/zip names it %q", e.Name, f.Name)
		}
		if got, err := e.ReadAll(1 << 30); err != nil || crc32.ChecksumIEEE(got) != f.CRC32 || uint64(len(got)) != f.UncompressedSize64 {
			t.Errorf("entry %q: %v, or data other than archive/zip expects", e.Name, err)
		}
	}
}

// Whatever the bytes, the reader neither panics nor gives unsafe names, and an
// entry never yields more bytes than it declares.
func FuzzReader(f *testing.F) {
	text := []byte(strings.Repeat("call me Ishmael ", 20))
	f.Add(rawArchive{entries: []rawEntry{{name: "a", data: hello}, {name: "b/", madeBy: 3}}}.bytes())
	f.Add(rawArchive{entries: []rawEntry{{name: "caf\x82", data: hello, descriptor: true}}, prefix: hello, comment: hello}.bytes())
	f.Add(rawArchive{entries: []rawEntry{{
		name: "a", method: 8, data: deflated(f, text), size: new(uint32(len(text))), crc: new(crc32.ChecksumIEEE(text)),
	}}}.bytes())
	f.Add(rawArchive{entries: []rawEntry{{name: "a", data: hello}}, beforeEnd: zip64Record(83, 47, 36), dirOffset: new(uint32(0xffffffff))}.bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := open(data)
		if err != nil {
			return
		}
		for _, e := range a.Entries {
			if !filepath.IsLocal(strings.ReplaceAll(e.Name, `\`, "/")) || strings.ContainsRune(e.Name, 0) {
				t.Errorf("unsafe name %q", e.Name)
			}
			if a.Lookup(e.Name) != e {
				t.Errorf("Lookup(%q) gives another entry", e.Name)
			}
			r, err := e.Open()
			if err != nil {
				continue
			}
			n, err := io.Copy(io.Discard, io.LimitReader(r, 1<<20))
			if n > e.Size || err == nil && n < min(e.Size, 1<<20) {
				t.Errorf("entry %q declares %d bytes and gives %d", e.Name, e.Size, n)
			}
			r.Close()
		}
	})
}
