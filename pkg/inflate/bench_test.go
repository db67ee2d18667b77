package inflate_test

import (
	"bytes"
	stdflate "compress/flate"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"

	"github.com/lcp-tools/lcp/pkg/inflate"
)

// xhtml makes a chapter of about n bytes: sentences of words that are as
// unevenly frequent as those of a language, in paragraphs with markup.
func xhtml(n int) []byte {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	words := make([]string, 4000)
	for i := range words {
		var w strings.Builder
		for range 1 + rng.IntN(4) {
			w.WriteByte("bcdfghlmnprstvw"[rng.IntN(15)])
			w.WriteByte("aeiou"[rng.IntN(5)])
		}
		words[i] = w.String()
	}
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>1</title></head><body>`)
	for b.Len() < n {
		fmt.Fprintf(&b, "<p class=\"c%d\">", rng.IntN(9))
		for range 20 + rng.IntN(80) {
			u := rng.Float64()
			b.WriteString(words[int(u*u*u*float64(len(words)))])
			b.WriteByte(' ')
		}
		b.WriteString("</p>\n")
	}
	return b.Bytes()[:n]
}

func noise(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(b)
	return b
}

func numbers(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		fmt.Fprintf(&b, "%d,%x;", i*7919, sum[:5])
	}
	return b.Bytes()[:n]
}

func compress(tb testing.TB, data []byte, level int) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := stdflate.NewWriter(&b, level)
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

// BenchmarkInflate compares with readers that stream, reused from one call to
// the next, on what publications hold.
func BenchmarkInflate(b *testing.B) {
	for _, data := range []struct {
		name  string
		plain []byte
		level int
	}{
		{"xhtml-75K", xhtml(75_000), 6},
		{"xhtml-1M", xhtml(1 << 20), 9},
		{"xhtml-2K", xhtml(2_000), 6},
		{"xhtml-200", xhtml(200), 6},
		{"numbers-100K", numbers(100_000), 6},
		{"random-100K", noise(100_000), 6},
		{"huffman-100K", xhtml(100_000), stdflate.HuffmanOnly},
		{"zeros-100K", make([]byte, 100_000), 6},
	} {
		src := compress(b, data.plain, data.level)
		b.Run(data.name+"/lcp", func(b *testing.B) {
			b.SetBytes(int64(len(data.plain)))
			var d inflate.Decoder
			dst := make([]byte, len(data.plain)+inflate.Slack)
			for b.Loop() {
				if n, _, err := d.Inflate(dst, src); err != nil || n != len(data.plain) {
					b.Fatal(n, err)
				}
			}
		})
		b.Run(data.name+"/klauspost", func(b *testing.B) {
			benchmarkReader(b, src, len(data.plain), flate.NewReader(nil))
		})
		b.Run(data.name+"/standard", func(b *testing.B) {
			benchmarkReader(b, src, len(data.plain), stdflate.NewReader(nil))
		})
	}
}

func benchmarkReader(b *testing.B, src []byte, size int, r io.Reader) {
	b.SetBytes(int64(size))
	in := bytes.NewReader(nil)
	for b.Loop() {
		in.Reset(src)
		if err := r.(stdflate.Resetter).Reset(in, nil); err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); err != nil || n != int64(size) {
			b.Fatal(n, err)
		}
	}
}
