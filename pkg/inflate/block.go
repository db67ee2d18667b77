package inflate

const (
	maxMatch = 258
	wordRoom = 38 // what two literals and a copy in words may write beyond a match

	// A turn of the fast loop begins with at least 56 bits. Three literals of
	// the first level take 33 at most. Two and a length, with its extra bits,
	// take 42; for a distance there may have to be more.
	distMost = maxCodeLength + 13
)

// decodeFast decodes while there is plenty of input and of room, looking for
// either once a turn: up to three literals, or two and a match. It reports
// whether the block ended. It is one function, and the state is in variables,
// because this loop is where the time goes.
func (t *tables) decodeFast(s *stream) (ended bool, err error) {
	src, dst := s.src, s.dst
	in, out := s.in, s.out
	b, n := s.bits, s.count // of n only the lowest six bits count
	lastIn, lastOut := len(src)-16, len(dst)-Slack
	for in <= lastIn && out <= lastOut {
		b |= le.Uint64(src[in:]) << (n & 63)
		in += int((n>>3)&7 ^ 7)
		n |= 56

		e := t.lit[b&(1<<litBits-1)]
		if e&literal != 0 { // unrolled: most turns end after one, two or three
			b >>= e & consume
			n -= uint(e)
			dst[out] = byte(e >> 16)
			out++
			e = t.lit[b&(1<<litBits-1)]
			if e&literal != 0 {
				b >>= e & consume
				n -= uint(e)
				dst[out] = byte(e >> 16)
				out++
				e = t.lit[b&(1<<litBits-1)]
				if e&literal != 0 {
					b >>= e & consume
					n -= uint(e)
					dst[out] = byte(e >> 16)
					out++
					continue
				}
			}
		}
		if e&special != 0 {
			if e&link != 0 {
				b >>= litBits
				n -= litBits
				e = t.lit[(e>>16+uint32(b)&(1<<(e>>8&31)-1))&(litSize-1)]
				if e&literal != 0 {
					b >>= e & consume
					n -= uint(e)
					dst[out] = byte(e >> 16)
					out++
					continue
				}
			}
			if e&special != 0 {
				b >>= e & consume
				n -= uint(e)
				ended = e&end != 0
				if !ended {
					err = ErrCorrupt
				}
				break
			}
		}
		length := int(e>>16 + extra(b, e))
		b >>= e & consume
		n -= uint(e)

		if n&63 < distMost {
			b |= le.Uint64(src[in:]) << (n & 63)
			in += int((n>>3)&7 ^ 7)
			n |= 56
		}
		e = t.dist[b&(1<<distBits-1)]
		if e&special != 0 {
			if e&link == 0 {
				err = ErrCorrupt
				break
			}
			b >>= distBits
			n -= distBits
			e = t.dist[(e>>16+uint32(b)&(1<<(e>>8&31)-1))&(distSize-1)]
			if e&special != 0 {
				err = ErrCorrupt
				break
			}
		}
		dist := int(e>>16 + extra(b, e))
		b >>= e & consume
		n -= uint(e)
		if dist > out {
			err = ErrCorrupt
			break
		}
		copyMatch(dst, out, dist, length)
		out += length
	}
	s.in, s.out = in, out
	s.bits, s.count = b, n&63
	return ended, err
}

// copyMatch copies length bytes from dist bytes before dst[out:] to there, where
// the two may overlap and then repeat (RFC 1951 §3.2.3). It writes in words and
// overwrites up to wordRoom bytes that follow. The caller has checked dist.
func copyMatch(dst []byte, out, dist, length int) {
	from := out - dist
	switch {
	case dist >= 32:
		copy32(dst[out:], dst[from:])
		for length > 32 {
			out += 32
			from += 32
			length -= 32
			copy32(dst[out:], dst[from:])
		}
	case length > 32:
		copyRepeated(dst, out, dist, length)
	case dist >= 8:
		copy8(dst, out, from, length)
	case dist == 1:
		word := uint64(dst[from]) * 0x0101010101010101
		for i := 0; i < length; i += 8 {
			le.PutUint64(dst[out+i:], word)
		}
	default:
		// Eight bytes one by one: after them the pattern repeats at a
		// multiple of dist that is at least a word away.
		for i := range 8 {
			dst[out+i] = dst[from+i]
		}
		if length > 8 {
			copy8(dst, out+8, out+8-(7/dist+1)*dist, length-8)
		}
	}
}

// copyRepeated copies a long match that overlaps, doubling what there is of it.
func copyRepeated(dst []byte, out, dist, length int) {
	from, end := out-dist, out+length
	for out < end {
		out += copy(dst[out:end], dst[from:out])
	}
}

// copy32 copies 32 bytes that do not overlap.
func copy32(dst, src []byte) {
	src, dst = src[:32], dst[:32]
	w0, w1, w2, w3 := le.Uint64(src), le.Uint64(src[8:]), le.Uint64(src[16:]), le.Uint64(src[24:])
	le.PutUint64(dst, w0)
	le.PutUint64(dst[8:], w1)
	le.PutUint64(dst[16:], w2)
	le.PutUint64(dst[24:], w3)
}

// copy8 copies length bytes, rounded up to whole words, from at least a word
// before.
func copy8(dst []byte, out, from, length int) {
	for i := 0; i < length; i += 8 {
		le.PutUint64(dst[out+i:], le.Uint64(dst[from+i:]))
	}
}

// decodeTail decodes the rest of a block, where input or room run short, and
// looks for both at every step.
func (t *tables) decodeTail(s *stream) error {
	for {
		e, err := s.next(t.lit[:], litBits)
		switch {
		case err != nil:
			return err
		case e&literal != 0:
			if s.out == len(s.dst) {
				return ErrFull
			}
			s.dst[s.out] = byte(e >> 16)
			s.out++
			continue
		case e&end != 0:
			return nil
		}
		length := int(e>>16 + s.extra)
		if e, err = s.next(t.dist[:], distBits); err != nil {
			return err
		}
		dist := int(e>>16 + s.extra)
		if dist > s.out {
			return ErrCorrupt
		}
		if s.out <= len(s.dst)-Slack {
			copyMatch(s.dst, s.out, dist, length)
			s.out += length
			continue
		}
		room := min(length, len(s.dst)-s.out)
		copyRepeated(s.dst, s.out, dist, room)
		if s.out += room; room < length {
			return ErrFull
		}
	}
}

// next takes a code and its extra bits and returns the entry, which is not an
// invalid one, with its extra bits in s.extra.
func (s *stream) next(table []uint32, root uint) (uint32, error) {
	s.refill()
	e := table[s.bits&(1<<root-1)]
	if e&link != 0 {
		if s.count < root {
			return 0, ErrTruncated
		}
		s.drop(root)
		e = table[e>>16+uint32(s.bits)&(1<<(e>>8&31)-1)]
	}
	switch {
	case uint(e&consume) > s.count:
		return 0, ErrTruncated
	case e&(special|end) == special:
		return 0, ErrCorrupt
	}
	s.extra = extra(s.bits, e)
	s.drop(uint(e & consume))
	return e, nil
}
