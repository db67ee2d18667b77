package inflate_test

import (
	"bytes"
	stdflate "compress/flate"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"

	"github.com/lcp-tools/lcp/pkg/inflate"
)

// Damaged streams are those of zlib's infcover.c, or like them; the comment is
// what zlib says of each.
var streams = map[string]struct {
	hex  string
	want string
	err  error
}{
	"fixed block without data":            {hex: "0300"},
	"stored block without data":           {hex: "010000ffff"},
	"stored block of one byte":            {hex: "010100feff00", want: "\x00"},
	"stored, then fixed":                  {hex: "000100feff410300", want: "A"},
	"fixed, literals":                     {hex: "4b4c4a0600", want: "abc"},
	"fixed, match of 258 at 1":            {hex: "4b1c0500", want: strings.Repeat("a", 259)},
	"nothing":                             {hex: "", err: inflate.ErrTruncated},
	"no end of block":                     {hex: "4b4c4a", want: "ab", err: inflate.ErrTruncated},
	"stored block cut in its length":      {hex: "010100fe", err: inflate.ErrTruncated},
	"stored block cut in its data":        {hex: "010200fdff41", want: "A", err: inflate.ErrTruncated},
	"stored block with other length":      {hex: "0000000000", err: inflate.ErrCorrupt},                   // invalid stored block lengths
	"block of reserved type":              {hex: "06", err: inflate.ErrCorrupt},                           // invalid block type
	"too many symbols":                    {hex: "fc0000", err: inflate.ErrCorrupt},                       // too many length or distance symbols
	"code of lengths incomplete":          {hex: "0400feff", err: inflate.ErrCorrupt},                     // invalid code lengths set
	"repeat before any length":            {hex: "0400244900", err: inflate.ErrCorrupt},                   // invalid bit length repeat
	"repeat beyond the last length":       {hex: "040024e9ffff", err: inflate.ErrCorrupt},                 // invalid bit length repeat
	"no code for the end of block":        {hex: "040024e9ff6d", err: inflate.ErrCorrupt},                 // invalid code -- missing end-of-block
	"code of literals over-subscribed":    {hex: "048049922449922471ffff931100", err: inflate.ErrCorrupt}, // invalid literal/lengths set
	"code of distances over-subscribed":   {hex: "04804992244992240fb4ffffc384", err: inflate.ErrCorrupt}, // invalid distances set
	"literal without a code":              {hex: "04c0810800000000207feb0b0000", err: inflate.ErrCorrupt}, // invalid literal/length code
	"distance symbol 30":                  {hex: "027effff", err: inflate.ErrCorrupt},                     // invalid distance code
	"length symbol 286":                   {hex: "1b03000000", err: inflate.ErrCorrupt},                   // invalid literal/length code
	"distance before the beginning":       {hex: "0cc081000000000090ff6b0400", err: inflate.ErrCorrupt},   // invalid distance too far back
	"distance before the beginning, long": {hex: "0cc081000000000090ff6b0400" + strings.Repeat("00", 64), err: inflate.ErrCorrupt},
}

func TestInflate(t *testing.T) {
	t.Parallel()
	for name, test := range streams {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, err := hex.DecodeString(test.hex)
			if err != nil {
				t.Fatal(err)
			}
			dst := make([]byte, len(test.want)+inflate.Slack)
			var d inflate.Decoder
			n, used, err := d.Inflate(dst, src)
			if !errors.Is(err, test.err) {
				t.Fatalf("error is %v, want %v", err, test.err)
			}
			if got := string(dst[:n]); got != test.want {
				t.Errorf("data are %q, want %q", got, test.want)
			}
			if err == nil && used != len(src) {
				t.Errorf("used %d bytes of %d", used, len(src))
			}
		})
	}
}

// reference inflates with the standard library and gives what it read of src.
func reference(src []byte, limit int) (data []byte, used int, err error) {
	in := bytes.NewReader(src)
	data, err = io.ReadAll(io.LimitReader(stdflate.NewReader(in), int64(limit)+1))
	return data, len(src) - in.Len(), err
}

// compare checks an Inflate of src into room bytes against the reference.
func compare(t *testing.T, d *inflate.Decoder, src []byte, room int) {
	t.Helper()
	const guard = 64
	buf := bytes.Repeat([]byte{0xa5}, room+guard)
	n, used, err := d.Inflate(buf[:room], src)
	if n < 0 || n > room || used < 0 || used > len(src) {
		t.Fatalf("wrote %d bytes into %d, read %d of %d: %x", n, room, used, len(src), src)
	}
	if !bytes.Equal(buf[room:], bytes.Repeat([]byte{0xa5}, guard)) {
		t.Fatalf("wrote behind the %d bytes: %x", room, src)
	}
	want, wantUsed, wantErr := reference(src, room)
	switch {
	case errors.Is(err, inflate.ErrCorrupt) && len(want) > room:
		// A block without an end is refused before it is too long.
		if _, _, wantErr = reference(src, 64<<20); wantErr == nil {
			t.Fatalf("%v, which the standard library takes: %x", err, src)
		}
	case len(want) > room:
		if !errors.Is(err, inflate.ErrFull) || n != room || !bytes.Equal(buf[:n], want[:n]) {
			t.Fatalf("%d bytes, error %v; want %d bytes, %v, and the same data: %x", n, err, room, inflate.ErrFull, src)
		}
	case (err == nil) != (wantErr == nil):
		t.Fatalf("error is %v, the standard library's %v: %x", err, wantErr, src)
	case errors.Is(err, inflate.ErrFull):
		t.Fatalf("%v, with %d bytes of %d", err, len(want), room)
	case err == nil && (!bytes.Equal(buf[:n], want) || used != wantUsed):
		t.Fatalf("%d bytes from %d, want %d from %d: %x", n, used, len(want), wantUsed, src)
	}
}

func samples() map[string][]byte {
	return map[string][]byte{
		"empty":   nil,
		"byte":    {1},
		"text":    xhtml(150_000),
		"short":   xhtml(700),
		"numbers": numbers(20_000),
		"noise":   noise(140_000),
		"zeros":   make([]byte, 70_000),
		"pairs":   bytes.Repeat([]byte("ab"), 3000),
		"nine":    bytes.Repeat([]byte("abcdefghi"), 3000),
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	for name, data := range samples() {
		for level := stdflate.HuffmanOnly; level <= stdflate.BestCompression; level++ {
			t.Run(fmt.Sprintf("%s level %d", name, level), func(t *testing.T) {
				t.Parallel()
				var d inflate.Decoder
				for _, src := range [][]byte{compress(t, data, level), compressOther(t, data, level)} {
					for _, slack := range []int{0, 1, 100, inflate.Slack} {
						dst := make([]byte, len(data)+slack)
						n, used, err := d.Inflate(dst, append(src, "trailing bytes"...))
						if err != nil {
							t.Fatal(err)
						}
						if used != len(src) || !bytes.Equal(dst[:n], data) {
							t.Fatalf("%d bytes from %d, want %d from %d", n, used, len(data), len(src))
						}
					}
				}
			})
		}
	}
}

func compressOther(tb testing.TB, data []byte, level int) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func TestCutShort(t *testing.T) {
	t.Parallel()
	var d inflate.Decoder
	for _, size := range []int{40, 700, 6000} {
		data := xhtml(size)
		src := compress(t, data, 6)
		dst := make([]byte, size+inflate.Slack)
		for n := range src {
			if _, _, err := d.Inflate(dst, src[:n]); !errors.Is(err, inflate.ErrTruncated) {
				t.Fatalf("%d bytes of %d: %v, want %v", n, len(src), err, inflate.ErrTruncated)
			}
		}
	}
}

func TestTooLong(t *testing.T) {
	t.Parallel()
	var d inflate.Decoder
	for _, data := range [][]byte{xhtml(3000), make([]byte, 3000), noise(3000)} {
		src := compress(t, data, 6)
		for size := range data {
			dst := make([]byte, size)
			n, _, err := d.Inflate(dst, src)
			if !errors.Is(err, inflate.ErrFull) || n != size || !bytes.Equal(dst, data[:size]) {
				t.Fatalf("into %d bytes: %d bytes, %v, want the first of the data and %v", size, n, err, inflate.ErrFull)
			}
		}
	}
}

func TestStoredBlocks(t *testing.T) {
	t.Parallel()
	data := noise(65535)
	for _, size := range []int{0, 1, 65534, 65535} {
		src := []byte{1, byte(size), byte(size >> 8), ^byte(size), ^byte(size >> 8)}
		src = append(src, data[:size]...)
		compare(t, new(inflate.Decoder), src, size)
		compare(t, new(inflate.Decoder), src, size+inflate.Slack)
		if size > 0 {
			compare(t, new(inflate.Decoder), src, size-1)
			compare(t, new(inflate.Decoder), src[:len(src)-1], size)
		}
	}
}

// Every length at every kind of distance, and every distance.
func TestMatches(t *testing.T) {
	t.Parallel()
	const window = 32768
	var w bitWriter
	w.bits(0, 3)
	w.bits(0, 5) // to the next byte
	w.bits(window, 16)
	w.bits(^uint32(window)&0xffff, 16)
	want := noise(window)
	for _, b := range want {
		w.bits(uint32(b), 8)
	}
	lit, dist := fixedLengths()
	litCodes, distCodes := canonical(lit), canonical(dist)
	w.bits(1|1<<1, 3)
	match := func(length, distance int) {
		w.match(litCodes, distCodes, length, distance)
		for range length {
			want = append(want, want[len(want)-distance])
		}
	}
	distances := []int{window}
	for d := 1; d < window; d += 1 + d/16 {
		distances = append(distances, d)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, distance := range distances {
		for length := 3; length <= 258; length++ {
			match(length, distance)
		}
		b := rng.IntN(256) // keeps the data from becoming periodic
		w.code(litCodes, b)
		want = append(want, byte(b))
	}
	for distance := 1; distance <= window; distance++ {
		match(3+rng.IntN(40), distance)
	}
	w.code(litCodes, 256)
	src := w.done()
	var d inflate.Decoder
	for _, slack := range []int{0, inflate.Slack} {
		dst := make([]byte, len(want)+slack)
		n, used, err := d.Inflate(dst, src)
		if err != nil || used != len(src) || !bytes.Equal(dst[:n], want) {
			t.Fatalf("%d bytes from %d, %v; want %d from %d", n, used, err, len(want), len(src))
		}
	}
}

// Codes of any shape, up to the deepest, every symbol of which occurs.
func TestCodes(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	var d inflate.Decoder
	for range 400 {
		lit := randomCode(rng, 257+rng.IntN(30), rng.IntN(2) == 0)
		dist := randomCode(rng, 2+rng.IntN(29), rng.IntN(2) == 0)
		var w bitWriter
		w.dynamic(lit, dist)
		litCodes, distCodes := canonical(lit), canonical(dist)
		size := 0
		for range 3 {
			for _, b := range rng.Perm(256) {
				w.code(litCodes, b)
				size++
			}
			for _, sym := range rng.Perm(len(lit)) {
				if sym <= 256 {
					continue
				}
				for _, dsym := range rng.Perm(len(dist)) {
					base, extra := distanceOf(dsym)
					if base+1<<extra > size {
						continue
					}
					length, more := lengthOf(sym)
					w.code(litCodes, sym)
					n := rng.IntN(1 << more)
					w.bits(uint32(n), more)
					w.code(distCodes, dsym)
					w.bits(uint32(rng.IntN(1<<extra)), extra)
					size += length + n
					break
				}
			}
		}
		w.code(litCodes, 256)
		src := w.done()
		if _, _, err := d.Inflate(make([]byte, size), src); err != nil {
			t.Fatalf("%v: %d", err, lit)
		}
		compare(t, &d, src, size)
		compare(t, &d, src, size+inflate.Slack)
		compare(t, &d, src, size-1)
	}
}

// The codes that zlib takes although they are not complete.
func TestSparseCodes(t *testing.T) {
	t.Parallel()
	only := func(n, sym int, length uint8) []uint8 {
		list := make([]uint8, n)
		list[sym] = length
		return list
	}
	ends := only(258, 256, 1)
	ends['A'], ends[257] = 2, 2 // A, end of block, length 3
	for name, test := range map[string]struct {
		lit, dist []uint8
		body      []int // bit by bit
		want      string
		err       error
	}{
		"nothing but the end":             {only(257, 256, 1), only(1, 0, 0), []int{0}, "", nil},
		"other than the end":              {only(257, 256, 1), only(1, 0, 0), []int{1}, "", inflate.ErrCorrupt},
		"the end in two bits":             {only(257, 256, 2), only(1, 0, 0), []int{0, 0}, "", inflate.ErrCorrupt},
		"literals and no distance":        {ends, only(1, 0, 0), []int{1, 0, 0}, "A", nil},
		"a match and no distance":         {ends, only(1, 0, 0), []int{1, 0, 1, 1, 0, 0}, "A", inflate.ErrCorrupt},
		"a single distance":               {ends, only(1, 0, 1), []int{1, 0, 1, 1, 0, 0}, "AAAA", nil},
		"a single distance in two bits":   {ends, only(1, 0, 2), []int{1, 0, 1, 1, 0, 0, 0}, "", inflate.ErrCorrupt},
		"other than the single distance":  {ends, only(1, 0, 1), []int{1, 0, 1, 1, 1, 0}, "A", inflate.ErrCorrupt},
		"a single distance that is not 1": {ends, only(2, 1, 1), []int{1, 0, 1, 0, 1, 1, 0, 0}, "AAAAA", nil},
		"a single distance, too far back": {ends, only(2, 1, 1), []int{1, 0, 1, 1, 0, 0}, "A", inflate.ErrCorrupt},
	} {
		for _, padding := range []int{0, 64} {
			t.Run(fmt.Sprint(name, ", followed by ", padding, " bytes"), func(t *testing.T) {
				t.Parallel()
				var w bitWriter
				w.dynamic(test.lit, test.dist)
				for _, b := range test.body {
					w.bits(uint32(b), 1)
				}
				src := append(w.done(), make([]byte, padding)...)
				dst := make([]byte, 16+inflate.Slack)
				var d inflate.Decoder
				n, _, err := d.Inflate(dst, src)
				if !errors.Is(err, test.err) {
					t.Errorf("error is %v, want %v", err, test.err)
				}
				if got := string(dst[:n]); err == nil && got != test.want {
					t.Errorf("data are %q, want %q", got, test.want)
				}
				compare(t, &d, src, len(dst))
			})
		}
	}
}

// Damaged streams are refused, or not, as the standard library does.
func TestDamage(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	var d inflate.Decoder
	for _, data := range samples() {
		data = data[:min(len(data), 5000)]
		for level := stdflate.HuffmanOnly; level <= stdflate.BestCompression; level++ {
			src := compress(t, data, level)
			for range 60 {
				bad := bytes.Clone(src)
				for range 1 + rng.IntN(3) {
					bad[rng.IntN(min(len(bad), 1+rng.IntN(len(bad))))] ^= 1 << rng.IntN(8)
				}
				compare(t, &d, bad, len(data)+rng.IntN(2)*inflate.Slack)
			}
		}
	}
}

func TestNoAllocation(t *testing.T) {
	data := xhtml(30_000)
	dst := make([]byte, len(data)+inflate.Slack)
	var d inflate.Decoder
	for _, src := range [][]byte{compress(t, data, 6), compress(t, data[:20], 6), {6}} {
		if n := testing.AllocsPerRun(10, func() { _, _, _ = d.Inflate(dst, src) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

// Any bytes: the outcome is that of the standard library, and nothing is
// written or read outside.
func FuzzInflate(f *testing.F) {
	for _, test := range streams {
		src, _ := hex.DecodeString(test.hex)
		f.Add(src, uint16(300))
	}
	for _, data := range samples() {
		data = data[:min(len(data), 1000)]
		f.Add(compress(f, data, 6), uint16(len(data)))
		f.Add(compressOther(f, data, stdflate.HuffmanOnly), uint16(len(data)+inflate.Slack))
	}
	var d inflate.Decoder
	f.Fuzz(func(t *testing.T, src []byte, room uint16) { compare(t, &d, src, int(room)) })
}

// Any data: they come back, whatever compressed them.
func FuzzRoundTrip(f *testing.F) {
	for _, data := range samples() {
		f.Add(data[:min(len(data), 3000)], uint8(8), uint16(0))
	}
	var d inflate.Decoder
	f.Fuzz(func(t *testing.T, data []byte, level uint8, slack uint16) {
		n := stdflate.HuffmanOnly + int(level)%12
		for _, src := range [][]byte{compress(t, data, n), compressOther(t, data, n)} {
			dst := make([]byte, len(data)+int(slack)%(2*inflate.Slack))
			n, used, err := d.Inflate(dst, src)
			if err != nil || used != len(src) || !bytes.Equal(dst[:n], data) {
				t.Fatalf("%d bytes from %d, %v; want %d from %d", n, used, err, len(data), len(src))
			}
		}
	})
}

// A bitWriter makes deflate streams that no compressor would.
type bitWriter struct {
	buf   []byte
	acc   uint64
	count int
}

func (w *bitWriter) bits(v uint32, n int) {
	w.acc |= uint64(v) << w.count
	for w.count += n; w.count >= 8; w.count -= 8 {
		w.buf = append(w.buf, byte(w.acc))
		w.acc >>= 8
	}
}

func (w *bitWriter) done() []byte {
	if w.count > 0 {
		w.bits(0, 8-w.count)
	}
	return w.buf
}

// A code of a symbol, its first bit lowest.
type code struct {
	bits uint32
	n    int
}

func (w *bitWriter) code(codes []code, sym int) {
	w.bits(codes[sym].bits, codes[sym].n)
}

func (w *bitWriter) match(lit, dist []code, length, distance int) {
	sym := 285
	for length != 258 {
		sym--
		if base, _ := lengthOf(sym); base <= length {
			break
		}
	}
	base, extra := lengthOf(sym)
	w.code(lit, sym)
	w.bits(uint32(length-base), extra)
	sym = 29
	for {
		if base, extra = distanceOf(sym); base <= distance {
			break
		}
		sym--
	}
	w.code(dist, sym)
	w.bits(uint32(distance-base), extra)
}

// dynamic begins a last block with these codes, written without repeats: the
// code of lengths has four bits for each of 0 to 15.
func (w *bitWriter) dynamic(lit, dist []uint8) {
	w.bits(1|2<<1, 3)
	w.bits(uint32(len(lit)-257), 5)
	w.bits(uint32(len(dist)-1), 5)
	w.bits(19-4, 4)
	w.bits(0, 9)
	for range 16 {
		w.bits(4, 3)
	}
	for _, n := range append(bytes.Clone(lit), dist...) {
		w.bits(uint32(bits.Reverse8(n)>>4), 4)
	}
}

func fixedLengths() (lit, dist []uint8) {
	for sym := range 288 {
		n := uint8(8)
		switch {
		case sym >= 144 && sym < 256:
			n = 9
		case sym >= 256 && sym < 280:
			n = 7
		}
		lit = append(lit, n)
	}
	return lit, bytes.Repeat([]byte{5}, 32)
}

// canonical gives the codes for these lengths by the algorithm of RFC 1951
// §3.2.2.
func canonical(lengths []uint8) []code {
	var count, next [17]int
	for _, n := range lengths {
		count[n]++
	}
	count[0] = 0
	for n := 1; n <= 15; n++ {
		next[n] = (next[n-1] + count[n-1]) << 1
	}
	codes := make([]code, len(lengths))
	for sym, n := range lengths {
		if n > 0 {
			codes[sym] = code{uint32(bits.Reverse16(uint16(next[n])) >> (16 - n)), int(n)}
			next[n]++
		}
	}
	return codes
}

// randomCode makes a complete code, by splitting leaves of a tree; a deep one
// has as many long codes as it can.
func randomCode(rng *rand.Rand, symbols int, deep bool) []uint8 {
	list := []uint8{1, 1}
	for len(list) < symbols {
		i := rng.IntN(len(list))
		if deep && len(list) < 15 {
			i = len(list) - 1
		}
		if list[i] == 15 {
			continue
		}
		list[i]++
		list = append(list, list[i])
	}
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// The tables of RFC 1951 §3.2.5: base and number of extra bits.
func lengthOf(sym int) (base, extra int) {
	bases := [...]int{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	extras := [...]int{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	return bases[sym-257], extras[sym-257]
}

func distanceOf(sym int) (base, extra int) {
	bases := [...]int{
		1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073,
		4097, 6145, 8193, 12289, 16385, 24577,
	}
	return bases[sym], max(0, sym/2-1)
}
