// Package inflate decompresses deflate streams (RFC 1951) that lie in memory as
// a whole, into memory. Entries of a publication are small and their length is
// declared, so most of them can be verified this way, at about twice the speed
// of a reader that has to be ready to stop after any byte.
//
// It knows nothing of files, checksums or containers, and it does not stream:
// what is too large for memory is read with a flate reader instead. Streams come
// from strangers; every index is checked, and each step consumes input or fails.
package inflate

import (
	"encoding/binary"
	"errors"
)

// Slack is how many bytes longer than the expected data dst should be, so that
// Inflate can write in words up to their end. With less it is slower, not wrong.
const Slack = maxMatch + wordRoom

// Reasons to refuse a stream.
var (
	ErrCorrupt   = errors.New("deflate stream is corrupt")
	ErrTruncated = errors.New("deflate stream is cut short")
	ErrFull      = errors.New("deflate stream holds more data than there is room for")
)

// A Decoder inflates one stream after the other with the same tables. The zero
// Decoder is ready for use, by one goroutine at a time. It takes about 40 KiB.
type Decoder struct {
	precode [1 << preBits]uint32
	lengths [maxLitCodes + maxDistCodes]uint8
	dynamic tables
	fixed   *tables // of RFC 1951 §3.2.6; made when first needed
}

// tables are the codes of a block.
type tables struct {
	lit  [litSize]uint32
	dist [distSize]uint32
}

// Inflate decompresses the stream that src begins with into dst. It returns how
// many bytes it wrote and how long the stream is; what follows the stream in
// src is the caller's to judge. Any byte of dst may be overwritten, also beyond
// the data. Inflate keeps neither slice and does not allocate, save once in the
// life of a Decoder.
//
// The error is one of ErrCorrupt, ErrTruncated, and ErrFull if the data do not
// end within dst, which then is filled.
func (d *Decoder) Inflate(dst, src []byte) (n, used int, err error) {
	s := stream{dst: dst, src: src}
	for last := false; !last && err == nil; {
		last, err = d.block(&s)
	}
	return s.out, s.in - int(s.count>>3), err
}

// block inflates one block and reports whether it is the last one (RFC 1951
// §3.2.3).
func (d *Decoder) block(s *stream) (last bool, err error) {
	s.refill()
	if s.count < 3 {
		return false, ErrTruncated
	}
	last = s.bits&1 == 1
	kind := s.bits >> 1 & 3
	s.drop(3)
	switch kind {
	case 0:
		return last, s.stored()
	case 1:
		if d.fixed == nil {
			d.fixed = newFixed()
		}
		return last, d.fixed.inflate(s)
	case 2:
		if err := d.readCodes(s); err != nil {
			return false, err
		}
		return last, d.dynamic.inflate(s)
	default:
		return false, ErrCorrupt
	}
}

// inflate decodes a block with these tables up to its end.
func (t *tables) inflate(s *stream) error {
	if ended, err := t.decodeFast(s); ended || err != nil {
		return err
	}
	return t.decodeTail(s)
}

// A stream is the state of one Inflate.
type stream struct {
	dst, src []byte
	in, out  int // next byte to read, to write

	// The next count bits of the stream, the first one lowest. Bits above
	// those are zero or what follows in the stream, never something else.
	bits  uint64
	count uint   // 0 to 63
	extra uint32 // value of the extra bits that next took
}

var le = binary.LittleEndian

// refill makes count at least 56, or as many bits as src still has.
func (s *stream) refill() {
	if len(s.src)-s.in >= 8 {
		s.bits |= le.Uint64(s.src[s.in:]) << (s.count & 63)
		s.in += int((63 - s.count) >> 3)
		s.count |= 56
		return
	}
	for s.count < 56 && s.in < len(s.src) {
		s.bits |= uint64(s.src[s.in]) << (s.count & 63)
		s.in++
		s.count += 8
	}
}

// drop takes n bits, which must be there.
func (s *stream) drop(n uint) {
	s.bits >>= n & 63
	s.count -= n
}

// stored copies a block that is not compressed (RFC 1951 §3.2.4).
func (s *stream) stored() error {
	s.in -= int(s.count >> 3) // back to the first byte that is not begun
	s.bits, s.count = 0, 0
	rest := s.src[s.in:]
	if len(rest) < 4 {
		return ErrTruncated
	}
	size, check := le.Uint16(rest), le.Uint16(rest[2:])
	if size != ^check {
		return ErrCorrupt
	}
	data := rest[4:]
	if len(data) > int(size) {
		data = data[:size]
	}
	n := copy(s.dst[s.out:], data)
	s.in += 4 + n
	s.out += n
	switch {
	case n < len(data):
		return ErrFull
	case n < int(size):
		return ErrTruncated
	}
	return nil
}

// preOrder is the order in which the lengths of the code of lengths come.
var preOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// readCodes reads the codes of a dynamic block (RFC 1951 §3.2.7).
func (d *Decoder) readCodes(s *stream) error {
	s.refill()
	if s.count < 14 {
		return ErrTruncated
	}
	lits := int(s.bits&31) + 257
	dists := int(s.bits>>5&31) + 1
	pre := int(s.bits>>10&15) + 4
	s.drop(14)
	if lits > maxLitCodes || dists > maxDistCodes {
		return ErrCorrupt
	}
	var lengths [len(preOrder)]uint8
	for _, sym := range preOrder[:pre] {
		if s.count < 3 {
			if s.refill(); s.count < 3 {
				return ErrTruncated
			}
		}
		lengths[sym] = uint8(s.bits & 7)
		s.drop(3)
	}
	if !build(d.precode[:], preBits, lengths[:], preEntries[:]) {
		return ErrCorrupt
	}
	all := d.lengths[:lits+dists]
	if err := d.readLengths(s, all); err != nil {
		return err
	}
	if all[endOfBlock] == 0 || // such a block cannot end
		!build(d.dynamic.lit[:], litBits, all[:lits], litEntries[:]) ||
		!build(d.dynamic.dist[:], distBits, all[lits:], distEntries[:]) {
		return ErrCorrupt
	}
	return nil
}

// readLengths reads the lengths of both codes, which are one run-length encoded
// sequence.
func (d *Decoder) readLengths(s *stream, lengths []uint8) error {
	for i := 0; i < len(lengths); {
		if s.count < preBits+7 {
			s.refill()
		}
		e := d.precode[s.bits&(1<<preBits-1)]
		if e&special != 0 {
			return ErrCorrupt
		}
		if uint(e&consume) > s.count {
			return ErrTruncated
		}
		if e&literal != 0 {
			s.drop(uint(e & consume))
			lengths[i] = uint8(e >> 16)
			i++
			continue
		}
		repeat := e>>16&0xff + extra(s.bits, e)
		s.drop(uint(e & consume))
		var value uint8
		if e&repeatLast != 0 {
			if i == 0 {
				return ErrCorrupt
			}
			value = lengths[i-1]
		}
		if int(repeat) > len(lengths)-i {
			return ErrCorrupt
		}
		for range repeat {
			lengths[i] = value
			i++
		}
	}
	return nil
}
