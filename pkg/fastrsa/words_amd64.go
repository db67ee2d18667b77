package fastrsa

// mulWords is mul of a modulus for processors with ADX and BMI2, which add two
// products at a time by two chains of carries.
//
//go:noescape
func mulWords(z, x, y, n *words, inverse uint64)

// wordPowers raises one number at a time.
type wordPowers struct {
	primes *[2]prime
}

func (*wordPowers) batch() int { return 1 }

func (w *wordPowers) raise(residues [][2]words) {
	for i := range residues {
		for j := range w.primes {
			w.primes[j].raise(&residues[i][j])
		}
	}
}

// raise replaces x by its power.
func (p *prime) raise(x *words) {
	mul := func(z, x, y *words) { mulWords(z, x, y, &p.n, p.inverse) }
	one := words{1}
	var table [tableSize]words
	mul(&table[0], &one, &p.square)
	mul(&table[1], x, &p.square)
	for i := 2; i < len(table); i++ {
		mul(&table[i], &table[i-1], &table[1])
	}
	var power, factor words
	choose(&power, &table, p.exponent.digit(digitCount-1))
	for place := digitCount - 2; place >= 0; place-- {
		for range digitBits {
			mul(&power, &power, &power)
		}
		choose(&factor, &table, p.exponent.digit(place))
		mul(&power, &power, &factor)
	}
	mul(x, &power, &one)
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
