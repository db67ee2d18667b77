package fastrsa

import (
	"encoding/binary"
	"math/big"
	"math/bits"
)

// wordCount is how many words a prime has.
const wordCount = 16

// words is a number of 1024 bits, its lowest word first.
type words [wordCount]uint64

// newWords returns x, which is below 2^1024.
func newWords(x *big.Int) words {
	var b [8 * wordCount]byte
	return wordsOf(x.FillBytes(b[:]))
}

// wordsOf reads 128 bytes, the highest first.
func wordsOf(b []byte) (x words) {
	for i := range x {
		x[i] = binary.BigEndian.Uint64(b[8*(wordCount-1-i):])
	}
	return x
}

// big returns x as the standard library has it.
func (x *words) big() *big.Int {
	var b [8 * wordCount]byte
	for i, w := range x {
		binary.BigEndian.PutUint64(b[8*(wordCount-1-i):], w)
	}
	return new(big.Int).SetBytes(b[:])
}

// digit returns the four bits of x at the given place, the lowest is 0.
func (x *words) digit(place int) uint64 {
	const perWord = 64 / digitBits
	return x[place/perWord] >> (place % perWord * digitBits) & (1<<digitBits - 1)
}

// Exponents are read four bits at a time.
const (
	digitBits  = 4
	digitCount = 64 * wordCount / digitBits
	tableSize  = 1 << digitBits
)

// A modulus is an odd number of exactly 1024 bits. Its methods take and give
// numbers below it, in constant time.
type modulus struct {
	n       words
	inverse uint64 // -1/n modulo 2^64
	square  words  // 2^2048 modulo n
}

func newModulus(n *big.Int) modulus {
	m := modulus{n: newWords(n)}
	m.inverse = negativeInverse(m.n[0])
	m.square = m.shifted(2 * 64 * wordCount)
	return m
}

// shifted returns 2^shift modulo n.
func (m *modulus) shifted(shift uint) words {
	x := new(big.Int).Lsh(big.NewInt(1), shift)
	return newWords(x.Mod(x, m.n.big()))
}

// negativeInverse returns -1/x modulo 2^64 of an odd number, by Newton's method:
// each round doubles the bits that are right, of which x·x = 1 mod 8 gives three.
func negativeInverse(x uint64) uint64 {
	y := x
	for range 5 {
		y *= 2 - x*y
	}
	return -y
}

// mul sets z to x·y/2^1024 (Montgomery, 1985). Of x and y only one has to be
// below the modulus.
func (m *modulus) mul(z, x, y *words) {
	var t [wordCount + 1]uint64
	for i := range y {
		top := addTimes(&t, x, y[i])
		// The multiple of n that makes the lowest word 0 is added, and the word dropped.
		top += addTimes(&t, &m.n, t[0]*m.inverse)
		copy(t[:], t[1:])
		t[wordCount] = top
	}
	*z = words(t[:wordCount])
	m.subtractOnce(z, t[wordCount])
}

// addTimes adds x·y to t and returns the carry.
func addTimes(t *[wordCount + 1]uint64, x *words, y uint64) uint64 {
	var carry uint64
	for i := range x {
		high, low := bits.Mul64(x[i], y)
		var c uint64
		low, c = bits.Add64(low, t[i], 0)
		high += c
		t[i], c = bits.Add64(low, carry, 0)
		carry = high + c
	}
	var c uint64
	t[wordCount], c = bits.Add64(t[wordCount], carry, 0)
	return c
}

// subtractOnce subtracts the modulus from a number below twice the modulus,
// whose bit 1024 is top, unless it is below the modulus already.
func (m *modulus) subtractOnce(z *words, top uint64) {
	var less words
	var borrow uint64
	for i := range z {
		less[i], borrow = bits.Sub64(z[i], m.n[i], borrow)
	}
	_, borrow = bits.Sub64(top, 0, borrow)
	keep := -borrow // all ones if z was below the modulus
	for i := range z {
		z[i] = z[i]&keep | less[i]&^keep
	}
}

// sub sets z to x - y.
func (m *modulus) sub(z, x, y *words) {
	var borrow uint64
	for i := range z {
		z[i], borrow = bits.Sub64(x[i], y[i], borrow)
	}
	m.addMasked(z, -borrow)
}

// addMasked adds the modulus, if mask is all ones.
func (m *modulus) addMasked(z *words, mask uint64) {
	var carry uint64
	for i := range z {
		z[i], carry = bits.Add64(z[i], m.n[i]&mask, carry)
	}
}

// reduce sets z to low + 2^1024·high modulo n, both of which may be any number
// of 1024 bits.
func (m *modulus) reduce(z, low, high *words) {
	m.mul(z, high, &m.square) // high·2^1024
	l := *low
	m.subtractOnce(&l, 0)
	var carry uint64
	for i := range z {
		z[i], carry = bits.Add64(z[i], l[i], carry)
	}
	m.subtractOnce(z, carry)
}

// addProduct returns a + x·y, which is below 2^2048, the highest byte first.
func addProduct(a, x, y *words) (b [16 * wordCount]byte) {
	var t [2 * wordCount]uint64
	copy(t[:], a[:])
	for i := range y {
		addTimes((*[wordCount + 1]uint64)(t[i:]), x, y[i])
	}
	for i, w := range t {
		binary.BigEndian.PutUint64(b[len(b)-8*(i+1):], w)
	}
	return b
}
