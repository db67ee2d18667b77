package fastrsa

import (
	"encoding/binary"
	"math/big"
	"math/bits"
	"slices"
)

// Primes have one or two blocks of words: 1024 or 2048 bits.
const (
	blockWords = 16
	maxWords   = 2 * blockWords
)

// words is a number of as many words as the prime that it is about, its lowest
// word first.
type words []uint64

// newWords returns x in n words.
func newWords(x *big.Int, n int) words {
	return wordsOf(x.FillBytes(make([]byte, 8*n)))
}

// wordsOf reads bytes, the highest first.
func wordsOf(b []byte) words {
	x := make(words, len(b)/8)
	for i := range x {
		x[i] = binary.BigEndian.Uint64(b[8*(len(x)-1-i):])
	}
	return x
}

// bytes returns x with its highest byte first.
func (x words) bytes() []byte {
	b := make([]byte, 8*len(x))
	for i, w := range x {
		binary.BigEndian.PutUint64(b[8*(len(x)-1-i):], w)
	}
	return b
}

// big returns x as the standard library has it.
func (x words) big() *big.Int { return new(big.Int).SetBytes(x.bytes()) }

// Exponents are read four bits at a time.
const (
	digitBits = 4
	tableSize = 1 << digitBits
)

// digits is how many digits x has.
func (x words) digits() int { return 64 / digitBits * len(x) }

// digit returns the digit of x at the given place, the lowest is 0.
func (x words) digit(place int) uint64 {
	const perWord = 64 / digitBits
	return x[place/perWord] >> (place % perWord * digitBits) & (1<<digitBits - 1)
}

// A modulus is an odd number whose highest bit, of that of its highest word, is
// set. Its methods take and give numbers below it, in constant time.
type modulus struct {
	n       words
	inverse uint64 // -1/n modulo 2^64
	square  words  // 2 to the power of twice the bits of n, modulo n
}

func newModulus(n *big.Int) modulus {
	m := modulus{n: newWords(n, n.BitLen()/64)}
	m.inverse = negativeInverse(m.n[0])
	m.square = m.shifted(2 * m.bits())
	return m
}

// bits is how many bits the modulus has.
func (m *modulus) bits() uint { return uint(64 * len(m.n)) }

// shifted returns 2^shift modulo n.
func (m *modulus) shifted(shift uint) words {
	x := new(big.Int).Lsh(big.NewInt(1), shift)
	return newWords(x.Mod(x, m.n.big()), len(m.n))
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

// mul sets z to x·y, divided by 2 to the power of the bits of n (Montgomery,
// 1985). Of x and y only one has to be below the modulus.
func (m *modulus) mul(z, x, y words) {
	var room [maxWords + 1]uint64
	t := room[:len(m.n)+1]
	for _, w := range y {
		top := addTimes(t, x, w)
		// The multiple of n that makes the lowest word 0 is added, and the word dropped.
		top += addTimes(t, m.n, t[0]*m.inverse)
		copy(t, t[1:])
		t[len(m.n)] = top
	}
	copy(z, t[:len(m.n)])
	m.subtractOnce(z, t[len(m.n)])
}

// addTimes adds x·y to t, which has one word more than x, and returns the carry.
func addTimes(t []uint64, x words, y uint64) uint64 {
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
	t[len(x)], c = bits.Add64(t[len(x)], carry, 0)
	return c
}

// subtractOnce subtracts the modulus from a number below twice the modulus,
// whose bit beyond those of z is top, unless it is below the modulus already.
func (m *modulus) subtractOnce(z words, top uint64) {
	var room [maxWords]uint64
	less := room[:len(z)]
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
func (m *modulus) sub(z, x, y words) {
	var borrow uint64
	for i := range z {
		z[i], borrow = bits.Sub64(x[i], y[i], borrow)
	}
	m.addMasked(z, -borrow)
}

// addMasked adds the modulus, if mask is all ones.
func (m *modulus) addMasked(z words, mask uint64) {
	var carry uint64
	for i := range z {
		z[i], carry = bits.Add64(z[i], m.n[i]&mask, carry)
	}
}

// residue returns x, which has twice the bits of the modulus, modulo n.
func (m *modulus) residue(x words) words {
	z, low := make(words, len(m.n)), slices.Clone(x[:len(m.n)])
	m.mul(z, x[len(m.n):], m.square) // the upper half in its place
	m.subtractOnce(low, 0)
	var carry uint64
	for i := range z {
		z[i], carry = bits.Add64(z[i], low[i], carry)
	}
	m.subtractOnce(z, carry)
	return z
}

// addProduct returns a + x·y, which has twice the words of each of them.
func addProduct(a, x, y words) words {
	t := make(words, 2*len(a))
	copy(t, a)
	for i, w := range y {
		addTimes(t[i:i+len(x)+1], x, w)
	}
	return t
}
