package main

import (
	"bytes"
	"compress/flate"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
)

// A writer writes chapters that compress as those of novels do, to somewhat
// more than a third: words of a vocabulary of which few are frequent, some
// phrases that come again, and little markup.
type writer struct {
	words   []string
	phrases []string
	rng     *rand.Rand
	zipf    *rand.Zipf
}

func newWriter() *writer {
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same for every run
	w := &writer{rng: rng, zipf: rand.NewZipf(rng, 1.06, 6, 11_999)}
	for range 12_000 {
		w.words = append(w.words, newWord(rng))
	}
	for range 3_000 {
		w.phrases = append(w.phrases, w.word()+" "+w.word()+" "+w.word())
	}
	return w
}

func newWord(rng *rand.Rand) string {
	onsets := []string{"b", "br", "c", "ch", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "st", "t", "th", "tr", "w", ""}
	rhymes := []string{"a", "e", "i", "o", "u", "ea", "ou", "an", "en", "in", "on", "ar", "er", "or", "est", "ing", "ight", "all", "ed", "y"}
	var b strings.Builder
	for range 1 + rng.IntN(3) {
		b.WriteString(onsets[rng.IntN(len(onsets))] + rhymes[rng.IntN(len(rhymes))])
	}
	return b.String()
}

func (w *writer) word() string { return w.words[w.zipf.Uint64()] }

// chapter returns an XHTML document of about size bytes.
func (w *writer) chapter(number, size int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<html xmlns=\"http://www.w3.org/1999/xhtml\">\n"+
		"<head><title>Chapter %d</title></head>\n<body>\n<h2>Chapter %d</h2>\n", number, number)
	for b.Len() < size-20 {
		b.WriteString("<p class=\"indent\">")
		for range 3 + w.rng.IntN(6) {
			w.sentence(&b)
		}
		b.WriteString("</p>\n")
	}
	b.WriteString("</body>\n</html>\n")
	return b.String()
}

func (w *writer) sentence(b *strings.Builder) {
	for i := range 5 + w.rng.IntN(15) {
		switch {
		case i == 0:
		case w.rng.IntN(9) == 0:
			b.WriteString(", ")
		default:
			b.WriteByte(' ')
		}
		if w.rng.IntN(12) == 0 {
			b.WriteString(w.phrases[w.rng.IntN(len(w.phrases))])
		} else {
			b.WriteString(w.word())
		}
	}
	b.WriteString(". ")
}

// deflated is an entry's data as a ZIP holds them.
type deflated struct {
	data []byte
	size int // bytes, before
	crc  uint32
}

// deflateText compresses as most tools do that make publications.
func deflateText(text string) (deflated, error) {
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, flate.DefaultCompression)
	if err != nil {
		return deflated{}, err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return deflated{}, err
	}
	err = w.Close()
	return deflated{buf.Bytes(), len(text), crc32.ChecksumIEEE([]byte(text))}, err
}
