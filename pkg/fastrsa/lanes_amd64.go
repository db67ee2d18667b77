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

// Products are first had in columns, one for each limb of the result, which are
// sums of halves of products: signed numbers of 64 bits, not yet carried. No column
// has more than 200 of them, so that they stay far below 2^62.

// multiplyBlocks sets 40 columns to the product of two blocks, or adds it to them:
// keep is replace or add.
//
//go:noescape
func multiplyBlocks(columns, x, y *lanes, keep uint64)

// A bit for each lane in which columns keep what they have.
const (
	replace = 0
	add     = 1<<laneCount - 1
)

// squareBlock sets 40 columns to the square of a block. It takes half the time of
// a product, in which the products of different limbs occur twice.
//
//go:noescape
func squareBlock(columns, x *lanes)

// subtractBlocks sets d to the difference of two blocks of which one follows the
// other: 20 limbs, and in a further one -1 where it is negative, which the limbs
// alone do not tell, or 0.
//
//go:noescape
func subtractBlocks(d, x *lanes)

// addMiddle makes of the products of the lower blocks of two numbers, in columns 0
// to 39, and of their higher blocks, in columns 40 to 79, that of the numbers. What
// is missing, the products of a lower and a higher block, is both of them without
// the product of the differences d and e (Karatsuba).
//
//go:noescape
func addMiddle(columns, product, d, e *lanes)

// clearBlock adds multiples of a block of n to 40 columns, so that the lower 20 are
// done with: they are multiples of what they carry, and that is carried. It sets 20
// limbs to the multiples. The inverse is -1/n modulo 2^52.
//
//go:noescape
func clearBlock(columns, multiples, n, inverse *lanes)

// settle sets z to the number in so many columns, which is not negative.
//
//go:noescape
func settle(z, columns *lanes, limbs int)

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

	columns   []lanes // 40 for each block
	multiples number  // of n, a block
	middle    []lanes // 40 columns, of the product of the differences
	d, e      number  // differences, each with its sign as one limb more
}

func newLanePowers(primes *[2]prime, exponent uint) *lanePowers {
	blocks := len(primes[0].n) / blockWords
	limbs := blockLimbs * blocks
	l := &lanePowers{
		blocks: blocks, exponent: exponent,
		n: make(number, limbs), unit: make(number, limbs), one: make(number, limbs), square: make(number, limbs),
	}
	l.scratch.New = func() any {
		return &laneScratch{
			table: make(number, tableSize*limbs), power: make(number, limbs), factor: make(number, limbs),
			columns: make([]lanes, 2*limbs), multiples: make(number, blockLimbs), middle: make([]lanes, 2*blockLimbs),
			d: make(number, blockLimbs+1), e: make(number, blockLimbs+1),
		}
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
	l.fillTable(s)
	place := l.exponents[0].digits() - 1
	l.choose(s.power, s.table, place)
	for place--; place >= 0; place-- {
		for range digitBits {
			l.sqr(s, s.power, s.power)
		}
		l.choose(s.factor, s.table, place)
		l.mul(s, s.power, s.power, s.factor)
	}
	l.store(s, residues)
}

func (l *lanePowers) public(residues [][2]words) {
	s := l.load(residues)
	defer l.scratch.Put(s)
	l.mul(s, s.factor, s.factor, l.square)
	copy(s.power, s.factor)
	for place := bits.Len(l.exponent) - 2; place >= 0; place-- {
		l.sqr(s, s.power, s.power)
		if l.exponent>>place&1 != 0 {
			l.mul(s, s.power, s.power, s.factor)
		}
	}
	l.store(s, residues)
}

// mul sets z to x·y modulo n, divided by 2^1040 once for each block. The limbs of z
// are below 2^52, as those of x and y must be. z may be x or y.
func (l *lanePowers) mul(s *laneScratch, z, x, y number) {
	multiplyBlocks(&s.columns[0], &x[0], &y[0], replace)
	if l.blocks == 2 {
		multiplyBlocks(&s.columns[2*blockLimbs], &x[blockLimbs], &y[blockLimbs], replace)
		subtractBlocks(&s.d[0], &x[0])
		subtractBlocks(&s.e[0], &y[0])
		multiplyBlocks(&s.middle[0], &s.d[0], &s.e[0], replace)
		addMiddle(&s.columns[0], &s.middle[0], &s.d[0], &s.e[0])
	}
	l.reduce(s, z)
}

// sqr is mul with x twice.
func (l *lanePowers) sqr(s *laneScratch, z, x number) {
	squareBlock(&s.columns[0], &x[0])
	if l.blocks == 2 {
		squareBlock(&s.columns[2*blockLimbs], &x[blockLimbs])
		subtractBlocks(&s.d[0], &x[0])
		squareBlock(&s.middle[0], &s.d[0])
		addMiddle(&s.columns[0], &s.middle[0], &s.d[0], &s.d[0])
	}
	l.reduce(s, z)
}

// reduce sets z to what is in the columns, modulo n, divided by 2^1040 once for
// each block.
func (l *lanePowers) reduce(s *laneScratch, z number) {
	columns := s.columns
	for range l.blocks {
		clearBlock(&columns[0], &s.multiples[0], &l.n[0], &l.inverse)
		columns = columns[blockLimbs:]
		if l.blocks == 2 {
			multiplyBlocks(&columns[0], &l.n[blockLimbs], &s.multiples[0], add)
		}
	}
	settle(&z[0], &columns[0], len(z))
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

// store sets residues to those of the powers, which are multiplied by one.
func (l *lanePowers) store(s *laneScratch, residues [][2]words) {
	l.mul(s, s.power, s.power, l.unit)
	for lane := range 2 * len(residues) {
		s.power.get(residues[lane/2][lane%2], lane)
	}
}

// fillTable sets the entries of the table to the powers 0, 1, 2 and so on of the
// factor.
func (l *lanePowers) fillTable(s *laneScratch) {
	entry := func(i int) number { return s.table[i*len(l.n) : (i+1)*len(l.n)] }
	copy(entry(0), l.one)
	l.mul(s, entry(1), s.factor, l.square)
	for i := 2; i < tableSize; i++ {
		l.mul(s, entry(i), entry(i-1), entry(1))
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
