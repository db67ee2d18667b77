package fastrsa

import (
	"math/bits"
	"slices"
)

// mulWords is mul of a modulus for processors with ADX and BMI2, which add two
// products at a time by two chains of carries. Each number has 16 words a block, of
// which there are one or two. z may be x or y.
//
//go:noescape
func mulWords(z, x, y, n *uint64, inverse uint64, blocks int)

// wordPowers raises one number at a time.
type wordPowers struct {
	primes   *[2]prime
	exponent uint // public
}

func (*wordPowers) batch() int { return 1 }

func (w *wordPowers) private(residues [][2]words) { w.raise(residues, (*prime).private) }

func (w *wordPowers) public(residues [][2]words) {
	w.raise(residues, func(p *prime, x words) { p.public(x, w.exponent) })
}

func (w *wordPowers) raise(residues [][2]words, raise func(*prime, words)) {
	for i := range residues {
		for j := range w.primes {
			raise(&w.primes[j], residues[i][j])
		}
	}
}

// times is mul in the fast way.
func (p *prime) times(z, x, y words) {
	mulWords(&z[0], &x[0], &y[0], &p.n[0], p.inverse, len(p.n)/blockWords)
}

// private replaces x by its power to the private exponent.
func (p *prime) private(x words) {
	n := len(x)
	table := make(words, tableSize*n)
	entry := func(i int) words { return table[i*n : (i+1)*n] }
	one := make(words, n)
	one[0] = 1
	p.times(entry(0), one, p.square)
	p.times(entry(1), x, p.square)
	for i := 2; i < tableSize; i++ {
		p.times(entry(i), entry(i-1), entry(1))
	}
	factor, place := make(words, n), p.exponent.digits()-1
	choose(x, table, p.exponent.digit(place))
	for place--; place >= 0; place-- {
		for range digitBits {
			p.times(x, x, x)
		}
		choose(factor, table, p.exponent.digit(place))
		p.times(x, x, factor)
	}
	p.times(x, x, one)
}

// public replaces x by its power to the public exponent.
func (p *prime) public(x words, exponent uint) {
	one := make(words, len(x))
	one[0] = 1
	p.times(x, x, p.square)
	base := slices.Clone(x)
	for place := bits.Len(exponent) - 2; place >= 0; place-- {
		p.times(x, x, x)
		if exponent>>place&1 != 0 {
			p.times(x, x, base)
		}
	}
	p.times(x, x, one)
}

// choose sets z to an entry of table. It reads all entries.
func choose(z, table words, index uint64) {
	clear(z)
	for i := range tableSize {
		different := uint64(i) ^ index
		mask := (different - 1) >> 63 * ^uint64(0) // all ones for 0
		for j, w := range table[i*len(z) : (i+1)*len(z)] {
			z[j] |= w & mask
		}
	}
}
