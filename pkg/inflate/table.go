package inflate

import "math/bits"

const (
	maxCodeLength = 15
	maxLitCodes   = 286 // literals, end of block, lengths
	maxDistCodes  = 30
	endOfBlock    = 256

	preBits  = 7 // the longest code of the code of lengths
	litBits  = 11
	distBits = 9

	// Tables have room for their first level, 1<<litBits entries, and for the
	// second levels. A second level of k bits holds a complete code, thus at
	// least k+1 symbols: 1<<k/(k+1) entries a symbol, 3.2 at most for literals
	// (k ≤ 4) and 9.2 for distances (k ≤ 6). That is less than 920 and 280
	// entries more. A power of two lets an index be masked instead of checked.
	litSize  = 1 << 12
	distSize = 1 << 10
)

// An entry of a table tells what the next bits stand for:
//
//	bits  0–5   how many bits to consume: those of the code, and extra ones
//	bits  8–12  how many of them are the code's, the extra ones follow
//	bits 13–15  flags
//	bits 16–30  a literal byte, or a length or distance without its extra bits
//	bit  31     flag: a literal
//
// An entry for codes longer than the first level leads to a second level: bits
// 16–30 tell where it begins, bits 8–12 how many bits are its index.
const (
	consume    = 63
	end        = 1 << 13 // end of block
	link       = 1 << 14 // second level
	special    = 1 << 15 // end, link, or no code at all
	literal    = 1 << 31
	repeatLast = 1 << 30 // of the code of lengths: repeat the last one

	invalid = special
	oneBit  = 1<<8 | 1 // makes an entry's code one bit longer
)

// extra returns the extra bits of the entry e, where b begins with its code.
func extra(b uint64, e uint32) uint32 {
	return uint32(b&(1<<(e&consume)-1)) >> (e >> 8 & 31)
}

// What the symbols stand for (RFC 1951 §3.2.5, §3.2.7), as entries whose code
// has no length yet. Symbols that must not occur are in the fixed codes only.
var (
	preEntries  = newPreEntries()
	litEntries  = newLitEntries()
	distEntries = newDistEntries()
)

func newPreEntries() (list [19]uint32) {
	for length := range uint32(16) {
		list[length] = literal | length<<16
	}
	list[16] = repeatLast | 3<<16 | 2
	list[17] = 3<<16 | 3
	list[18] = 11<<16 | 7
	return list
}

func newLitEntries() (list [288]uint32) {
	for b := range uint32(endOfBlock) {
		list[b] = literal | b<<16
	}
	list[endOfBlock] = special | end
	base := uint32(3)
	for i := range uint32(28) {
		more := max(i/4, 1) - 1 // extra bits: none for eight symbols, then one more every four
		list[257+i] = base<<16 | more
		base += 1 << more
	}
	list[285] = maxMatch << 16
	list[286], list[287] = invalid, invalid
	return list
}

func newDistEntries() (list [32]uint32) {
	base := uint32(1)
	for i := range uint32(maxDistCodes) {
		more := max(i/2, 1) - 1
		list[i] = base<<16 | more
		base += 1 << more
	}
	list[30], list[31] = invalid, invalid
	return list
}

func newFixed() *tables {
	var lengths [288]uint8
	for sym := range lengths {
		switch {
		case sym < 144:
			lengths[sym] = 8
		case sym < 256:
			lengths[sym] = 9
		case sym < 280:
			lengths[sym] = 7
		default:
			lengths[sym] = 8
		}
	}
	t := new(tables)
	build(t.lit[:], litBits, lengths[:], litEntries[:])
	for sym := range 32 {
		lengths[sym] = 5
	}
	build(t.dist[:], distBits, lengths[:32], distEntries[:])
	return t
}

// build fills the table for the canonical code with these lengths, one for each
// symbol and none above maxCodeLength (RFC 1951 §3.2.2). Root is the number of
// bits that index the first level. It reports whether the code is one that may
// be used: complete, or a single code of one bit, or no code, as for a block
// without matches.
func build(table []uint32, root int, lengths []uint8, entries []uint32) bool {
	var count [maxCodeLength + 1]int
	for _, n := range lengths {
		count[n&maxCodeLength]++
	}
	var first [maxCodeLength + 2]int // index of the first symbol of a length
	left := 1                        // codes of the length that are free
	for n := 1; n <= maxCodeLength; n++ {
		if left = left<<1 - count[n]; left < 0 {
			return false
		}
		first[n+1] = first[n] + count[n]
	}
	symbols := first[maxCodeLength+1]
	if left > 0 {
		if symbols > 1 || symbols != count[1] {
			return false
		}
		for i := range 1 << root {
			table[i] = invalid
		}
	}
	var sorted [288]uint16 // symbols by length of their code
	for sym, n := range lengths {
		if n != 0 {
			sorted[first[n&maxCodeLength]] = uint16(sym)
			first[n&maxCodeLength]++
		}
	}
	if left > 0 {
		if symbols == 1 {
			for i := 0; i < 1<<root; i += 2 {
				table[i] = entries[sorted[0]] + oneBit
			}
		}
		return true
	}
	b := builder{table: table, root: root, count: &count, sorted: sorted[:symbols], entries: entries}
	b.firstLevel()
	b.secondLevels()
	return true
}

// A builder fills a table, code after code in canonical order. Codes are read
// from their highest bit on, so indexes are codes with the bits reversed.
type builder struct {
	table   []uint32
	root    int
	count   *[maxCodeLength + 1]int // of symbols, by length of their code
	sorted  []uint16                // symbols that are still to come
	entries []uint32                // by symbol
	code    uint16                  // the next one
}

// firstLevel enters the codes of up to root bits. The table grows with their
// length: what it holds for n-1 bits holds for either value of bit n.
func (b *builder) firstLevel() {
	size := 1
	for n := 1; n <= b.root; n++ {
		copy(b.table[size:2*size], b.table[:size])
		size *= 2
		b.code <<= 1
		symbols := b.sorted[:b.count[n]]
		b.sorted = b.sorted[len(symbols):]
		for _, sym := range symbols {
			b.table[bits.Reverse16(b.code)>>(16-n)] = b.entries[sym] + uint32(n)*oneBit
			b.code++
		}
	}
}

// secondLevels enters the longer codes.
func (b *builder) secondLevels() {
	next := 1 << b.root
	begin, size, prefix := 0, 0, -1
	for n := b.root + 1; n <= maxCodeLength; n++ {
		b.code <<= 1
		for left := b.count[n]; left > 0; left-- {
			at := int(bits.Reverse16(b.code) >> (16 - n))
			b.code++
			if low := at & (1<<b.root - 1); low != prefix {
				k := b.depth(n, left)
				begin, size, prefix = next, 1<<k, low
				next += size
				b.table[low] = special | link | uint32(begin)<<16 | uint32(k)<<8 | uint32(b.root)
			}
			e := b.entries[b.sorted[0]] + uint32(n-b.root)*oneBit
			b.sorted = b.sorted[1:]
			for i := at >> b.root; i < size; i += 1 << (n - b.root) {
				b.table[begin+i] = e
			}
		}
	}
}

// depth returns the number of index bits of a second level that begins with the
// first of the last left codes of n bits.
func (b *builder) depth(n, left int) int {
	k := n - b.root
	for used := left; used < 1<<k; k++ {
		used = used<<1 + b.count[b.root+k+1]
	}
	return k
}
