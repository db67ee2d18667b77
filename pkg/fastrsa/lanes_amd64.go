package fastrsa

import (
	"math/bits"
	"sync"
)

// Vectors of AVX-512 have room for eight numbers: those of four signatures
// modulo both primes. Their limbs have 52 bits, of which IFMA, the instructions
// for integer fused multiply-add, make products of 104.
const (
	laneCount = 8
	limbBits  = 52
	limbMask  = 1<<limbBits - 1
	limbCount = 20
)

// lanes is one word of each of eight numbers.
type lanes [laneCount]uint64

// A number is eight numbers of 1040 bits in limbs, the lowest limb first. 1040
// bits leave 16 beyond a modulus of 1024, so that products need no subtraction:
// of factors below 2^8 times the modulus they are below twice the modulus.
type number [limbCount]lanes

// mulLanes sets z to x·y/2^1040 modulo n, given -1/n modulo 2^52. All limbs must
// be below 2^52, those of z are. z may be x or y.
//
//go:noescape
func mulLanes(z, x, y, n *number, inverse *lanes)

// selectLanes sets each lane of z to that of the entry of table that the lane of
// index names. It reads all entries.
//
//go:noescape
func selectLanes(z *number, table *[tableSize]number, index *lanes)

// lanePowers raises four numbers at a time.
type lanePowers struct {
	n         number
	inverse   lanes
	one       number    // 2^1040 modulo n
	square    number    // 2^2080 modulo n
	exponents [2]words  // private
	exponent  uint      // public
	scratch   sync.Pool // of *laneScratch
}

type laneScratch struct {
	table         [tableSize]number
	power, factor number
}

func newLanePowers(primes *[2]prime, exponent uint) *lanePowers {
	l := &lanePowers{exponent: exponent}
	l.scratch.New = func() any { return new(laneScratch) }
	for i := range primes {
		p := &primes[i]
		one, square := p.shifted(limbBits*limbCount), p.shifted(2*limbBits*limbCount)
		l.exponents[i] = p.exponent
		for lane := i; lane < laneCount; lane += len(primes) {
			l.n.set(lane, &p.n)
			l.inverse[lane] = p.inverse & limbMask
			l.one.set(lane, &one)
			l.square.set(lane, &square)
		}
	}
	return l
}

func (l *lanePowers) batch() int { return laneCount / 2 }

func (l *lanePowers) private(residues [][2]words) {
	s := l.load(residues)
	defer l.scratch.Put(s)
	l.fillTable(&s.table, &s.factor)
	l.choose(&s.power, &s.table, digitCount-1)
	for place := digitCount - 2; place >= 0; place-- {
		for range digitBits {
			l.mul(&s.power, &s.power, &s.power)
		}
		l.choose(&s.factor, &s.table, place)
		l.mul(&s.power, &s.power, &s.factor)
	}
	l.store(residues, &s.power)
}

func (l *lanePowers) public(residues [][2]words) {
	s := l.load(residues)
	defer l.scratch.Put(s)
	l.mul(&s.factor, &s.factor, &l.square)
	s.power = s.factor
	for place := bits.Len(l.exponent) - 2; place >= 0; place-- {
		l.mul(&s.power, &s.power, &s.power)
		if l.exponent>>place&1 != 0 {
			l.mul(&s.power, &s.power, &s.factor)
		}
	}
	l.store(residues, &s.power)
}

func (l *lanePowers) mul(z, x, y *number) { mulLanes(z, x, y, &l.n, &l.inverse) }

// load returns scratch whose factor is the numbers with the given residues.
func (l *lanePowers) load(residues [][2]words) *laneScratch {
	s := l.scratch.Get().(*laneScratch)
	for lane := range laneCount {
		// Lanes for which there is no number do the work of another again.
		s.factor.set(lane, &residues[lane/2%len(residues)][lane%2])
	}
	return s
}

// store sets residues to those of numbers times 2^1040.
func (l *lanePowers) store(residues [][2]words, x *number) {
	l.mul(x, x, &number{{1, 1, 1, 1, 1, 1, 1, 1}})
	for lane := range 2 * len(residues) {
		x.get(&residues[lane/2][lane%2], lane)
	}
}

// fillTable sets the entries of table to the powers 0, 1, 2 and so on of base.
func (l *lanePowers) fillTable(table *[tableSize]number, base *number) {
	table[0] = l.one
	l.mul(&table[1], base, &l.square)
	for i := 2; i < len(table); i++ {
		l.mul(&table[i], &table[i-1], &table[1])
	}
}

// choose sets z to the entries that the exponents have at a place.
func (l *lanePowers) choose(z *number, table *[tableSize]number, place int) {
	var index lanes
	for lane := range index {
		index[lane] = l.exponents[lane%2].digit(place)
	}
	selectLanes(z, table, &index)
}

// set sets one lane to x.
func (z *number) set(lane int, x *words) {
	for i := range z {
		bit := i * limbBits
		w := x[bit/64] >> (bit % 64)
		if next := bit/64 + 1; next < wordCount && bit%64 > 64-limbBits {
			w |= x[next] << (64 - bit%64)
		}
		z[i][lane] = w & limbMask
	}
}

// get sets x to one lane, which is below 2^1024.
func (z *number) get(x *words, lane int) {
	*x = words{}
	for i := range z {
		bit := i * limbBits
		high, low := bits.Mul64(z[i][lane], 1<<(bit%64))
		x[bit/64] |= low
		if next := bit/64 + 1; next < wordCount {
			x[next] |= high
		}
	}
}
