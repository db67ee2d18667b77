package protect_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/protect"
	"github.com/lcp-tools/lcp/pkg/publication"
)

var key = func() (k lcpcrypto.ContentKey) {
	for i := range k {
		k[i] = byte(i)
	}
	return k
}()

// text returns n bytes that compress about as text does.
func text(n int, seed uint64) []byte {
	words := strings.Fields("call me ishmael some years ago never mind how long precisely having little or no money")
	r := rand.New(rand.NewPCG(seed, 0))
	var b bytes.Buffer
	for b.Len() < n {
		b.WriteString(words[r.IntN(len(words))])
		b.WriteByte(' ')
	}
	return b.Bytes()[:n]
}

// A sourcePart is a part of a plan that a test makes, and what it holds.
type sourcePart struct {
	name, mediaType string
	clear           bool
	from            string // stored or deflated entry, file or data
	data            []byte
}

// source makes an archive of the parts that are entries.
func source(t testing.TB, parts []sourcePart) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, p := range parts {
		method := zip.Store
		switch p.from {
		case "file", "data":
			continue
		case "deflated":
			method = zip.Deflate
		}
		f, err := w.CreateHeader(&zip.FileHeader{Name: p.name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(p.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// plan makes the plan for the parts, with a declaration as the third.
func plan(t testing.TB, r io.ReaderAt, size int64, parts []sourcePart) *publication.Plan {
	t.Helper()
	a, err := archive.NewReader(r, size)
	if err != nil {
		t.Fatal(err)
	}
	p := &publication.Plan{Declare: func(list []publication.Encrypted) ([]byte, error) { return json.Marshal(list) }}
	for i, s := range parts {
		if i == 2 {
			p.Parts = append(p.Parts, publication.Part{Name: "declaration.json", Declaration: true})
		}
		part := publication.Part{Name: s.name, MediaType: s.mediaType, Clear: s.clear}
		switch s.from {
		case "file":
			part.File = io.NewSectionReader(bytes.NewReader(s.data), 0, int64(len(s.data)))
		case "data":
			part.Data = s.data
		default:
			part.Entry = a.Lookup(s.name)
		}
		p.Parts = append(p.Parts, part)
	}
	return p
}

func planOf(t testing.TB, parts []sourcePart) *publication.Plan {
	t.Helper()
	data := source(t, parts)
	return plan(t, bytes.NewReader(data), int64(len(data)), parts)
}

// everyKind gives parts of every kind that the pipeline treats in a way of its
// own, in sizes around those of blocks and buffers.
func everyKind() []sourcePart {
	const chunk = 256 << 10
	sizes := []int{0, 1, 15, 16, 17, chunk - 17, chunk - 16, chunk - 1, chunk, chunk + 1}
	if !testing.Short() {
		sizes = append(sizes, 3*chunk+5, 1<<20-1, 1<<20, 1<<20+1, 5<<20)
	}
	content := text(sizes[len(sizes)-1], 1)
	var parts []sourcePart
	for _, size := range sizes {
		for _, from := range []string{"stored", "deflated", "file", "data"} {
			for _, mediaType := range []string{"image/jpeg", "application/xhtml+xml"} {
				for _, clear := range []bool{false, true} {
					parts = append(parts, sourcePart{
						name:      fmt.Sprintf("%s %s %d %t", from, mediaType[:5], size, clear),
						mediaType: mediaType, clear: clear, from: from, data: content[:size],
					})
				}
			}
		}
	}
	return parts
}

// someKinds gives parts of every kind in few sizes: large ones take long.
func someKinds() []sourcePart {
	return slices.DeleteFunc(everyKind(), func(p sourcePart) bool {
		return len(p.data) > 300<<10 || len(p.data)%16 == 1 || len(p.data) == 256<<10-17
	})
}

func encrypt(t testing.TB, p *protect.Pipeline, plan *publication.Plan) ([]byte, protect.Result) {
	t.Helper()
	var out bytes.Buffer
	result, err := p.Encrypt(t.Context(), plan, key, &out, nil)
	if err != nil {
		t.Fatalf("Encrypt: %v", err)
	}
	return out.Bytes(), result
}

// What digests itself what it is given is asked for the digest, and is given all
// that another writer is.
func TestDigester(t *testing.T) {
	t.Parallel()
	p := protect.NewPipeline(2)
	out := &digester{sum: blob.Digest{1, 2, 3}}
	result, err := p.Encrypt(t.Context(), planOf(t, someKinds()), key, out, nil)
	if err != nil || result.SHA256 != out.sum || result.Size != int64(out.Len()) {
		t.Errorf("Encrypt = %d bytes, %x, %v; want %d, %x", result.Size, result.SHA256, err, out.Len(), out.sum)
	}
	openZIP(t, out.Bytes())
	// The next one computes its own again.
	data, result := encrypt(t, p, planOf(t, someKinds()))
	if result.SHA256 != sha256.Sum256(data) {
		t.Errorf("SHA-256 = %x", result.SHA256)
	}
}

type digester struct {
	bytes.Buffer
	sum blob.Digest
}

func (d *digester) SHA256() blob.Digest { return d.sum }

// decryptCBC is AES-256-CBC as XML Encryption 1.1 §5.2 has it.
func decryptCBC(t testing.TB, data []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	if len(data) < 32 || len(data)%16 != 0 {
		t.Fatalf("%d bytes are no ciphertext", len(data))
	}
	plain := make([]byte, len(data)-16)
	cipher.NewCBCDecrypter(block, data[:16]).CryptBlocks(plain, data[16:])
	n := int(plain[len(plain)-1])
	if n < 1 || n > 16 {
		t.Fatalf("%d bytes of padding", n)
	}
	return plain[:len(plain)-n]
}

// read gives the bytes of an entry and as they lie in the archive.
func read(t testing.TB, f *zip.File) (data, raw []byte) {
	t.Helper()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(r); err != nil {
		t.Fatalf("entry %q: %v", f.Name, err)
	}
	rr, err := f.OpenRaw()
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = io.ReadAll(rr); err != nil {
		t.Fatal(err)
	}
	return data, raw
}

func openZIP(t testing.TB, data []byte) *zip.Reader {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// Every kind of part comes out as it must, read by the standard library.
func TestEncryptEveryKindOfPart(t *testing.T) {
	t.Parallel()
	parts := everyKind()
	data := source(t, parts)
	out, result := encrypt(t, protect.NewPipeline(2), plan(t, bytes.NewReader(data), int64(len(data)), parts))
	if result.Size != int64(len(out)) || result.SHA256 != sha256.Sum256(out) {
		t.Errorf("result tells %d bytes, %x; they are %d, %x", result.Size, result.SHA256, len(out), sha256.Sum256(out))
	}
	originals := map[string]*zip.File{}
	for _, f := range openZIP(t, data).File {
		originals[f.Name] = f
	}
	declared := map[string]publication.Encrypted{}
	for _, e := range result.Encrypted {
		declared[e.Name] = e
	}
	files := openZIP(t, out).File
	if f := files[2]; f.Name != "declaration.json" {
		t.Errorf("the third entry is %q", f.Name)
	} else if got, _ := read(t, f); !bytes.Contains(got, []byte(`"deflated image 16 false"`)) {
		t.Errorf("the declaration is %.200s", got)
	}
	files = append(files[:2:2], files[3:]...)
	if len(files) != len(parts) {
		t.Fatalf("%d entries, want %d", len(files), len(parts))
	}
	for i, p := range parts {
		checkPart(t, files[i], p, declared, originals[p.name])
	}
}

func checkPart(t *testing.T, f *zip.File, p sourcePart, declared map[string]publication.Encrypted, original *zip.File) {
	t.Helper()
	if f.Name != p.name {
		t.Fatalf("entry %q stands where %q should", f.Name, p.name)
	}
	got, raw := read(t, f)
	e, encrypted := declared[p.name]
	if want := !p.clear && len(p.data) > 0; encrypted != want {
		t.Errorf("%s: encrypted is %t, want %t", p.name, encrypted, want)
	}
	deflate := p.mediaType == "application/xhtml+xml"
	switch {
	case encrypted:
		if f.Method != zip.Store || e.Deflated != deflate || e.OriginalLength != int64(len(p.data)) ||
			e.Scheme != publication.Scheme || e.Algorithm != publication.Algorithm {
			t.Errorf("%s: method %d, declared %+v", p.name, f.Method, e)
		}
		if got = decryptCBC(t, got); deflate {
			if p.from == "deflated" {
				if _, want := read(t, original); !bytes.Equal(got, want) {
					t.Errorf("%s: the deflate stream is not the source's", p.name)
				}
			}
			r := bytes.NewReader(got)
			got, _ = io.ReadAll(flate.NewReader(r))
			if r.Len() > 0 {
				t.Errorf("%s: %d bytes follow the deflate stream", p.name, r.Len())
			}
		}
	case original != nil:
		if _, want := read(t, original); f.Method != original.Method || !bytes.Equal(raw, want) {
			t.Errorf("%s: clear, and not copied as it was", p.name)
		}
	case deflate != (f.Method == zip.Deflate):
		t.Errorf("%s: method %d", p.name, f.Method)
	}
	if !bytes.Equal(got, p.data) {
		t.Errorf("%s: %d bytes, not the %d of the source", p.name, len(got), len(p.data))
	}
	// Sizes stand in front of the data where they can be known by then: not
	// every reader takes stored entries without.
	const descriptor = 1 << 3
	if small := f.CompressedSize64 < 700<<10; small && f.Flags&descriptor != 0 {
		t.Errorf("%s: has a data descriptor", p.name)
	}
}

// However many lanes there are, the package has the same structure.
func TestEncryptDoesNotDependOnLanes(t *testing.T) {
	t.Parallel()
	type entry struct {
		Name       string
		Method     uint16
		Flags      uint16
		Size, Full uint64
		Extra      int
	}
	parts := someKinds()
	var want []entry
	for _, cores := range []int{1, 3, 100} {
		out, _ := encrypt(t, protect.NewPipeline(cores), planOf(t, parts))
		var got []entry
		for _, f := range openZIP(t, out).File {
			got = append(got, entry{f.Name, f.Method, f.Flags, f.CompressedSize64, f.UncompressedSize64, len(f.Extra)})
		}
		if want == nil {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("for %d cores (-want +got):\n%s", cores, diff)
		}
	}
}

// The same publication encrypted twice has no block in common: vectors are new.
func TestEncryptUsesNewVectors(t *testing.T) {
	t.Parallel()
	parts := []sourcePart{{name: "a", from: "data", data: text(100, 1)}, {name: "b", from: "data", data: text(100, 1)}}
	p := protect.NewPipeline(1)
	seen := map[string]bool{}
	for range 2 {
		out, _ := encrypt(t, p, planOf(t, parts))
		for _, f := range openZIP(t, out).File {
			_, raw := read(t, f)
			if iv := string(raw[:16]); seen[iv] {
				t.Errorf("entry %q has a vector that was used", f.Name)
			} else {
				seen[iv] = true
			}
		}
	}
}

func TestEncryptReportsProgress(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var sum int64
	_, err := protect.NewPipeline(2).Encrypt(t.Context(), planOf(t, someKinds()), key, &out, func(n int64) {
		if n < 0 {
			t.Errorf("progress of %d bytes", n)
		}
		sum += n
	})
	if err != nil {
		t.Fatal(err)
	}
	var want int64
	for _, f := range openZIP(t, out.Bytes()).File {
		want += int64(f.CompressedSize64)
	}
	if sum != want {
		t.Errorf("progress adds up to %d, the entries to %d", sum, want)
	}
}

func TestEncryptRefusesNothing(t *testing.T) {
	t.Parallel()
	parts := []sourcePart{{name: "a", from: "data"}, {name: "b", from: "data", data: []byte("b"), clear: true}}
	_, err := protect.NewPipeline(1).Encrypt(t.Context(), planOf(t, parts), key, io.Discard, nil)
	if !errors.Is(err, publication.ErrNothing) {
		t.Errorf("Encrypt = %v, want ErrNothing", err)
	}
}

// A failing reader and writer.
var errDisk = errors.New("the disk failed")

type brokenReaderAt struct {
	io.ReaderAt
	from int64
}

func (r brokenReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > r.from {
		return 0, errDisk
	}
	return r.ReaderAt.ReadAt(p, off)
}

type brokenWriter struct{ room int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.room -= len(p); w.room < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

// A failure anywhere ends Encrypt with its reason, leaves no goroutine (the
// bubble would not end), and leaves the pipeline as good as new.
func TestEncryptFailsCleanly(t *testing.T) {
	t.Parallel()
	const size = 300 << 10
	var parts []sourcePart
	for i := range 12 {
		kind := []string{"stored", "deflated", "file", "data"}[i%4]
		p := sourcePart{name: fmt.Sprint("part ", i), mediaType: "audio/mpeg", from: kind, data: text(size, uint64(i))}
		if i/4 == 1 {
			p.mediaType, p.data = "text/html", p.data[:20<<10] // deflating takes long
		}
		p.clear = i == 8 || i == 9
		parts = append(parts, p)
	}
	// Too large to be loaded whole.
	large := bytes.Repeat(text(4<<10, 1), 300)
	parts = append(parts,
		sourcePart{name: "large text", mediaType: "text/html", from: "deflated", data: large},
		sourcePart{name: "large clear", mediaType: "text/html", from: "deflated", data: large, clear: true},
		sourcePart{name: "large codec", mediaType: "audio/mpeg", from: "deflated", data: large})
	data := source(t, parts)
	good, _ := encrypt(t, protect.NewPipeline(1), plan(t, bytes.NewReader(data), int64(len(data)), parts))
	flip := func(name string) func(*publication.Plan) {
		return func(p *publication.Plan) {
			e := entryOf(t, p, name)
			raw, err := e.Raw()
			if err != nil {
				t.Fatal(err)
			}
			damaged := bytes.Clone(data)
			_, offset, _ := raw.Outer()
			damaged[offset+e.CompressedSize/2] ^= 0x10
			*p = *plan(t, bytes.NewReader(damaged), int64(len(damaged)), parts)
		}
	}
	otherChecksum := func(name string) func(*publication.Plan) {
		return func(p *publication.Plan) {
			damaged := bytes.Clone(data)
			damaged[bytes.LastIndex(damaged, []byte(name))-46+16] ^= 1 // CRC-32 in the directory
			*p = *plan(t, bytes.NewReader(damaged), int64(len(damaged)), parts)
		}
	}
	failingFrom := func(part int) func(*publication.Plan) {
		return func(p *publication.Plan) {
			file := p.Parts[part].File
			p.Parts[part].File = io.NewSectionReader(brokenReaderAt{file, 200 << 10}, 0, file.Size())
		}
	}
	tests := map[string]struct {
		plan  func(*publication.Plan)
		short int // how much room the writer lacks
		calls int // of progress until the context is cancelled; 0 for never
		done  bool
		want  error
		name  string // of the entry at fault
	}{
		"stored entry is damaged":         {plan: flip("part 4"), want: archive.ErrChecksum, name: `"part 4"`},
		"first entry is damaged":          {plan: flip("part 0"), want: archive.ErrChecksum, name: `"part 0"`},
		"deflated entry is damaged":       {plan: flip("part 5"), name: `"part 5"`},
		"deflated entry's checksum":       {plan: otherChecksum("part 5"), want: archive.ErrChecksum, name: `"part 5"`},
		"clear deflated entry's checksum": {plan: otherChecksum("part 9"), want: archive.ErrChecksum, name: `"part 9"`},
		"large deflated checksum":         {plan: otherChecksum("large text"), want: archive.ErrChecksum, name: `"large text"`},
		"large clear checksum":            {plan: otherChecksum("large clear"), want: archive.ErrChecksum, name: `"large clear"`},
		"large codec checksum":            {plan: otherChecksum("large codec"), want: archive.ErrChecksum, name: `"large codec"`},
		"large deflated entry is damaged": {plan: flip("large text"), name: `"large text"`},
		"clear stored entry is damaged":   {plan: flip("part 8"), want: archive.ErrChecksum, name: `"part 8"`},
		"clear deflated entry is damaged": {plan: flip("part 9"), name: `"part 9"`},
		"deflated codec entry is damaged": {plan: flip("part 1"), name: `"part 1"`},
		"file cannot be read":             {plan: failingFrom(3), want: errDisk, name: `"part 2"`},
		"last file cannot be read":        {plan: failingFrom(11), want: errDisk, name: `"part 10"`},
		"file is shorter than it was": {plan: func(p *publication.Plan) {
			p.Parts[3].File = io.NewSectionReader(bytes.NewReader(make([]byte, 100)), 0, size)
		}, name: `"part 2"`},
		"archive cannot be read": {plan: func(p *publication.Plan) {
			broken := &switchedReaderAt{ReaderAt: bytes.NewReader(data)}
			*p = *plan(t, broken, int64(len(data)), parts)
			broken.from = 2 * size
		}, want: errDisk},
		"declaration cannot be made": {plan: func(p *publication.Plan) {
			p.Declare = func([]publication.Encrypted) ([]byte, error) { return nil, errDisk }
		}, want: errDisk},
		"nothing can be written":      {short: len(good), want: errDisk},
		"output is full half way":     {short: len(good) / 2, want: errDisk},
		"output is full near the end": {short: 1, want: errDisk},
		"cancelled before":            {done: true, want: context.Canceled},
		"cancelled at first":          {calls: 1, want: context.Canceled},
		"cancelled half way":          {calls: 9, want: context.Canceled},
	}
	for name, tt := range tests {
		for _, cores := range []int{1, 4} {
			t.Run(fmt.Sprint(name, " with ", cores), func(t *testing.T) {
				t.Parallel()
				p := plan(t, bytes.NewReader(data), int64(len(data)), parts)
				if tt.plan != nil {
					tt.plan(p)
				}
				synctest.Test(t, func(t *testing.T) {
					pipeline := protect.NewPipeline(cores)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if tt.done {
						cancel()
					}
					calls := 0
					_, err := pipeline.Encrypt(ctx, p, key, &brokenWriter{len(good) - tt.short}, func(int64) {
						if calls++; calls == tt.calls {
							cancel()
						}
					})
					if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.name) {
						t.Errorf("Encrypt = %v, want %v about %s", err, tt.want, tt.name)
					}
					if errors.Is(err, errDisk) && strings.Count(err.Error(), errDisk.Error()) != 1 {
						t.Errorf("Encrypt = %v, which says it more than once", err)
					}
					out, _ := encrypt(t, pipeline, plan(t, bytes.NewReader(data), int64(len(data)), parts))
					if n := len(openZIP(t, out).File); n != len(parts)+1 {
						t.Errorf("%d entries afterwards", n)
					}
				})
			})
		}
	}
}

type switchedReaderAt struct {
	io.ReaderAt
	from int64 // 0 for never
}

func (r *switchedReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if r.from > 0 && off >= r.from {
		return 0, errDisk
	}
	return r.ReaderAt.ReadAt(p, off)
}

func entryOf(t *testing.T, p *publication.Plan, name string) *archive.Entry {
	t.Helper()
	for _, part := range p.Parts {
		if part.Name == name && part.Entry != nil {
			return part.Entry
		}
	}
	t.Fatalf("no entry %q", name)
	return nil
}

// A virtualFile has bytes at every offset and none in memory.
type virtualFile struct{}

func (virtualFile) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		p[i] = byte(off) + byte(i)
	}
	return len(p), nil
}

// Memory does not grow with the publication. It is not parallel, for it counts
// what the whole process allocates.
func TestEncryptMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("encrypts 256 MiB")
	}
	const size, limit = 256 << 20, 16 << 20
	p := &publication.Plan{Declare: func([]publication.Encrypted) ([]byte, error) { return nil, nil }}
	for i := range 2 {
		p.Parts = append(p.Parts, publication.Part{
			Name: strconv.Itoa(i), MediaType: "audio/mpeg", File: io.NewSectionReader(virtualFile{}, 0, size/2),
		})
	}
	pipeline := protect.NewPipeline(2)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	result, err := pipeline.Encrypt(t.Context(), p, key, io.Discard, nil)
	runtime.ReadMemStats(&after)
	if err != nil || result.Size < size {
		t.Fatalf("Encrypt = %d bytes, %v", result.Size, err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > limit {
		t.Errorf("allocated %d bytes for %d, want at most %d", n, size, limit)
	}
}

// Benchmarks of the pipeline alone, in bytes of source.
func BenchmarkEncrypt(b *testing.B) {
	media := make([]byte, 4<<20)
	for i := range media {
		media[i] = byte(i * i >> 3)
	}
	repeat := func(n int, mediaType, from string, data []byte) []sourcePart {
		parts := make([]sourcePart, n)
		for i := range parts {
			parts[i] = sourcePart{name: fmt.Sprint("part ", i), mediaType: mediaType, from: from, data: data}
		}
		return parts
	}
	for name, parts := range map[string][]sourcePart{
		"stored media":       repeat(32, "audio/mpeg", "stored", media),
		"deflated text":      repeat(200, "application/xhtml+xml", "deflated", text(80<<10, 1)),
		"text to deflate":    repeat(50, "application/xhtml+xml", "stored", text(80<<10, 1)),
		"8000 small entries": repeat(8000, "application/xhtml+xml", "deflated", text(1500, 1)),
	} {
		b.Run(name, func(b *testing.B) {
			p := planOf(b, parts)
			pipeline := protect.NewPipeline(0)
			var size int64
			for _, s := range parts {
				size += int64(len(s.data))
			}
			b.SetBytes(size)
			for b.Loop() {
				if _, err := pipeline.Encrypt(b.Context(), p, key, io.Discard, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
