package main

import (
	"bytes"
	"encoding/binary"
	"math"
)

// sampleRate is low: the samples are to be small, not beautiful.
const sampleRate = 8000

// Melodies, as semitones above middle C, one note after the other.
var (
	frereJacques = []int{0, 2, 4, 0, 0, 2, 4, 0}
	odeToJoy     = []int{4, 4, 5, 7, 7, 5, 4, 2}
)

// A track is one melody as WAV: 8 bits, one channel.
type track struct {
	title string
	notes []int
	beat  float64 // seconds a note
}

func (t track) seconds() float64 { return float64(len(t.notes)*t.samples()) / sampleRate }

func (t track) samples() int { return int(t.beat * sampleRate) }

// wav returns a RIFF file with one fmt and one data chunk.
func (t track) wav() []byte {
	var pcm []byte
	for _, note := range t.notes {
		pcm = t.appendNote(pcm, 261.63*math.Pow(2, float64(note)/12))
	}
	var buf bytes.Buffer
	put := func(v any) { _ = binary.Write(&buf, binary.LittleEndian, v) } // a buffer takes everything
	buf.WriteString("RIFF")
	put(uint32(36 + len(pcm)))
	buf.WriteString("WAVEfmt ")
	put(struct {
		Size             uint32
		Format, Channels uint16
		Rate, ByteRate   uint32
		Align, Bits      uint16
	}{16, 1, 1, sampleRate, sampleRate, 1, 8})
	buf.WriteString("data")
	put(uint32(len(pcm)))
	buf.Write(pcm)
	return buf.Bytes()
}

// appendNote appends a decaying sine of that frequency in Hz.
func (t track) appendNote(pcm []byte, frequency float64) []byte {
	for i := range t.samples() {
		at := float64(i) / sampleRate
		level := math.Exp(-3 * at / t.beat)
		pcm = append(pcm, byte(128+100*level*math.Sin(2*math.Pi*frequency*at)))
	}
	return pcm
}
