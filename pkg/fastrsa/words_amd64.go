package fastrsa

import "math/bits"

// mulWords is mul of a modulus for processors with ADX and BMI2, which add two
// products at a time by two chains of carries.
//
//go:noescape
func mulWords(z, x, y, n *words, inverse uint64)

// wordPowers raises one number at a time.
type wordPowers struct {
	primes   *[2]prime
	exponent uint // public
}

func (*wordPowers) batch() int { return 1 }

func (w *wordPowers) private(residues [][2]words) { w.raise(residues, (*prime).private) }

func (w *wordPowers) public(residues [][2]words) {
	w.raise(residues, func(p *prime, x *words) { p.public(x, w.exponent) })
}

func (w *wordPowers) raise(residues [][2]words, raise func(*prime, *words)) {
	for i := range residues {
		for j := range w.primes {
			raise(&w.primes[j], &residues[i][j])
		}
	}
}

// times is mul in the fast way.
func (p *prime) times(z, x, y *words) { mulWords(z, x, y, &p.n, p.inverse) }

// private replaces x by its power to the private exponent.
func (p *prime) private(x *words) {
	var table [tableSize]words
	p.times(&table[0], &words{1}, &p.square)
	p.times(&table[1], x, &p.square)
	for i := 2; i < len(table); i++ {
		p.times(&table[i], &table[i-1], &table[1])
	}
	var power, factor words
	choose(&power, &table, p.exponent.digit(digitCount-1))
	for place := digitCount - 2; place >= 0; place-- {
		for range digitBits {
			p.times(&power, &power, &power)
		}
		choose(&factor, &table, p.exponent.digit(place))
		p.times(&power, &power, &factor)
	}
	p.times(x, &power, &words{1})
}

// public replaces x by its power to the public exponent.
func (p *prime) public(x *words, exponent uint) {
	var base, power words
	p.times(&base, x, &p.square)
	power = base
	for place := bits.Len(exponent) - 2; place >= 0; place-- {
		p.times(&power, &power, &power)
		if exponent>>place&1 != 0 {
			p.times(&power, &power, &base)
		}
	}
	p.times(x, &power, &words{1})
}

// choose sets z to an entry of table. It reads all entries.
func choose(z *words, table *[tableSize]words, index uint64) {
	*z = words{}
	for i := range table {
		different := uint64(i) ^ index
		mask := (different - 1) >> 63 * ^uint64(0) // all ones for 0
		for j := range z {
			z[j] |= table[i][j] & mask
		}
	}
}
