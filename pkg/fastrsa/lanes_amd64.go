package fastrsa

import (
	"math/bits"
	"sync"
)

// Vectors of AVX-512 have room for eight numbers: those of four signatures
// modulo both primes. Their limbs have 52 bits, of which IFMA, the instructions
// for integer fused multiply-add, make products of 104.
const (
	laneCount  = 8
	limbBits   = 52
	limbMask   = 1<<limbBits - 1
	blockLimbs = 20
)

// lanes is one word of each of eight numbers.
type lanes [laneCount]uint64

// A number is eight numbers in limbs, the lowest limb first. It has 1040 bits for
// each 1024 of a modulus. That leaves at least 16 beyond it, so that products need
// no subtraction: of factors below 2^8 times the modulus they are below twice the
// modulus.
type number []lanes

// mulLanes sets z to x·y modulo n, divided by 2^1040 once for each block, given
// -1/n modulo 2^52. All limbs must be below 2^52, those of z are. Each number has
// 20 limbs a block, of which there are one or two. z may be x or y. Where x and y
// are the same it takes a fifth less, as products of two limbs occur twice.
//
//go:noescape
func mulLanes(z, x, y, n, inverse *lanes, blocks int)

// selectLanes sets each lane of z to that of the entry of a table of tableSize
// numbers that the lane of index names. It reads all entries.
//
//go:noescape
func selectLanes(z, table, index *lanes, blocks int)

// lanePowers raises four numbers at a time.
type lanePowers struct {
	blocks    int
	n         number
	inverse   lanes
	unit      number    // 1
	one       number    // 2^1040 for each block, modulo n
	square    number    // the square of one
	exponents [2]words  // private
	exponent  uint      // public
	scratch   sync.Pool // of *laneScratch
}

type laneScratch struct {
	table         number // tableSize numbers, one after the other
	power, factor number
}

func newLanePowers(primes *[2]prime, exponent uint) *lanePowers {
	blocks := len(primes[0].n) / blockWords
	limbs := blockLimbs * blocks
	l := &lanePowers{
		blocks: blocks, exponent: exponent,
		n: make(number, limbs), unit: make(number, limbs), one: make(number, limbs), square: make(number, limbs),
	}
	l.scratch.New = func() any {
		return &laneScratch{table: make(number, tableSize*limbs), power: make(number, limbs), factor: make(number, limbs)}
	}
	for i := range primes {
		p := &primes[i]
		shift := uint(limbBits * limbs)
		one, square := p.shifted(shift), p.shifted(2*shift)
		l.exponents[i] = p.exponent
		for lane := i; lane < laneCount; lane += len(primes) {
			l.n.set(lane, p.n)
			l.inverse[lane] = p.inverse & limbMask
			l.unit[0][lane] = 1
			l.one.set(lane, one)
			l.square.set(lane, square)
		}
	}
	return l
}

func (l *lanePowers) batch() int { return laneCount / 2 }

func (l *lanePowers) private(residues [][2]words) {
	s := l.load(residues)
	defer l.scratch.Put(s)
	l.fillTable(s.table, s.factor)
	place := l.exponents[0].digits() - 1
	l.choose(s.power, s.table, place)
	for place--; place >= 0; place-- {
		for range digitBits {
			l.mul(s.power, s.power, s.power)
		}
		l.choose(s.factor, s.table, place)
		l.mul(s.power, s.power, s.factor)
	}
	l.store(residues, s.power)
}

func (l *lanePowers) public(residues [][2]words) {
	s := l.load(residues)
	defer l.scratch.Put(s)
	l.mul(s.factor, s.factor, l.square)
	copy(s.power, s.factor)
	for place := bits.Len(l.exponent) - 2; place >= 0; place-- {
		l.mul(s.power, s.power, s.power)
		if l.exponent>>place&1 != 0 {
			l.mul(s.power, s.power, s.factor)
		}
	}
	l.store(residues, s.power)
}

func (l *lanePowers) mul(z, x, y number) {
	mulLanes(&z[0], &x[0], &y[0], &l.n[0], &l.inverse, l.blocks)
}

// load returns scratch whose factor is the numbers with the given residues.
func (l *lanePowers) load(residues [][2]words) *laneScratch {
	s := l.scratch.Get().(*laneScratch)
	for lane := range laneCount {
		// Lanes for which there is no number do the work of another again.
		s.factor.set(lane, residues[lane/2%len(residues)][lane%2])
	}
	return s
}

// store sets residues to those of numbers times one.
func (l *lanePowers) store(residues [][2]words, x number) {
	l.mul(x, x, l.unit)
	for lane := range 2 * len(residues) {
		x.get(residues[lane/2][lane%2], lane)
	}
}

// fillTable sets the entries of table to the powers 0, 1, 2 and so on of base.
func (l *lanePowers) fillTable(table, base number) {
	entry := func(i int) number { return table[i*len(base) : (i+1)*len(base)] }
	copy(entry(0), l.one)
	l.mul(entry(1), base, l.square)
	for i := 2; i < tableSize; i++ {
		l.mul(entry(i), entry(i-1), entry(1))
	}
}

// choose sets z to the entries that the exponents have at a place.
func (l *lanePowers) choose(z, table number, place int) {
	var index lanes
	for lane := range index {
		index[lane] = l.exponents[lane%2].digit(place)
	}
	selectLanes(&z[0], &table[0], &index, l.blocks)
}

// set sets one lane to x.
func (z number) set(lane int, x words) {
	for i := range z {
		bit := i * limbBits
		var w uint64
		if bit/64 < len(x) {
			w = x[bit/64] >> (bit % 64)
		}
		if next := bit/64 + 1; next < len(x) && bit%64 > 64-limbBits {
			w |= x[next] << (64 - bit%64)
		}
		z[i][lane] = w & limbMask
	}
}

// get sets x to one lane, which has no more bits than x.
func (z number) get(x words, lane int) {
	clear(x)
	for i := range z {
		bit := i * limbBits
		high, low := bits.Mul64(z[i][lane], 1<<(bit%64))
		if bit/64 < len(x) {
			x[bit/64] |= low
		}
		if next := bit/64 + 1; next < len(x) {
			x[next] |= high
		}
	}
}
