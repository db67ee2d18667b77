package fastrsa

import (
	crand "crypto/rand"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/sys/cpu"
)

func needADX(t testing.TB) {
	t.Helper()
	if !cpu.X86.HasADX || !cpu.X86.HasBMI2 {
		t.Skip("this processor has no ADX")
	}
}

func needIFMA(t testing.TB) {
	t.Helper()
	if !cpu.X86.HasAVX512F || !cpu.X86.HasAVX512IFMA {
		t.Skip("this processor has no AVX-512 IFMA")
	}
}

func TestMulWords(t *testing.T) {
	t.Parallel()
	needADX(t)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 4000 {
		width := widths[i%len(widths)]
		m := randomModulus(r, width)
		x, y := random(r, width), randomBelow(r, m.n.big())
		got, want := make(words, width), make(words, width)
		m.mul(want, x, y)
		mulWords(&got[0], &x[0], &y[0], &m.n[0], m.inverse, width/blockWords)
		if !slices.Equal(got, want) {
			t.Fatalf("%x * %x mod %x = %x, want %x", x, y, m.n, got, want)
		}
		// The result may take the place of a factor.
		mulWords(&y[0], &x[0], &y[0], &m.n[0], m.inverse, width/blockWords)
		if !slices.Equal(y, want) {
			t.Fatalf("in place: got %x, want %x", y, want)
		}
	}
}

// big returns the value of a lane, which may have more bits than words.
func (z number) big(lane int) *big.Int {
	x := new(big.Int)
	for _, limb := range slices.Backward(z) {
		x.Lsh(x, limbBits)
		x.Add(x, new(big.Int).SetUint64(limb[lane]))
	}
	return x
}

func TestMulLanes(t *testing.T) {
	t.Parallel()
	needIFMA(t)
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 1500 {
		width := widths[i%len(widths)]
		var primes [2]prime
		for i := range primes {
			primes[i] = prime{randomModulus(r, width), random(r, width)}
		}
		l := newLanePowers(&primes, publicExponent)
		s := l.scratch.New().(*laneScratch)
		limbs := len(l.n)
		x, y, z := make(number, limbs), make(number, limbs), make(number, limbs)
		for lane := range laneCount {
			x.set(lane, random(r, width))
			y.set(lane, random(r, width))
			// Factors may lie beyond the modulus, the highest limb has room for it.
			x[limbs-1][lane] += r.Uint64N(1 << (width*64 - (limbs-1)*limbBits + 4))
		}
		// Blocks without a difference, and with the smallest and the largest there is.
		top := uint64(1)<<(width*64-(limbs-1)*limbBits) - 1 // the highest limb that the modulus may have
		x[blockLimbs-1][1] &= top
		for j := range blockLimbs {
			x[limbs-blockLimbs+j][1] = x[j][1]
			x[j][2], y[j][2] = 0, limbMask
			x[j][3], y[j][3] = limbMask, 0
		}
		for _, limb := range []*uint64{&x[limbs-1][1], &x[limbs-1][3], &y[limbs-1][2]} {
			*limb &= top
		}
		l.mul(s, z, x, y)
		checkProduct(t, z, x, y, l.n)
		l.mul(s, y, x, y)
		if !slices.Equal(y, z) {
			t.Fatalf("a product in place is %x, elsewhere %x", y, z)
		}
		l.sqr(s, z, x)
		checkProduct(t, z, x, x, l.n)
		l.sqr(s, x, x)
		if !slices.Equal(x, z) {
			t.Fatalf("a square in place is %x, elsewhere %x", x, z)
		}
	}
}

// checkProduct checks that z is x·y modulo n, as lanePowers.mul says.
func checkProduct(t *testing.T, z, x, y, n number) {
	t.Helper()
	for lane := range laneCount {
		modulus, got := n.big(lane), z.big(lane)
		want := montgomery(x.big(lane), y.big(lane), modulus, uint(limbBits*len(n)))
		if got.Cmp(new(big.Int).Lsh(modulus, 1)) >= 0 {
			t.Fatalf("lane %d: %x is not below twice the modulus", lane, got)
		}
		for i := range z {
			if z[i][lane] > limbMask {
				t.Fatalf("lane %d: limb %d is %#x", lane, i, z[i][lane])
			}
		}
		if new(big.Int).Mod(got, modulus).Cmp(want) != 0 {
			t.Fatalf("lane %d: %x * %x mod %x = %x, want %x", lane, x.big(lane), y.big(lane), modulus, got, want)
		}
	}
}

func TestSelectLanes(t *testing.T) {
	t.Parallel()
	needIFMA(t)
	for _, width := range widths {
		blocks := width / blockWords
		limbs := blocks * blockLimbs
		value := func(entry uint64, limb, lane int) uint64 { return entry<<16 | uint64(limb)<<8 | uint64(lane) }
		table := make(number, tableSize*limbs)
		for i := range table {
			for lane := range laneCount {
				table[i][lane] = value(uint64(i/limbs), i%limbs, lane)
			}
		}
		index := lanes{15, 0, 7, 8, 1, 1, 14, 3}
		got := make(number, limbs)
		selectLanes(&got[0], &table[0], &index, blocks)
		for j := range got {
			for lane, i := range index {
				if want := value(i, j, lane); got[j][lane] != want {
					t.Errorf("limb %d of lane %d = %#x, want %#x", j, lane, got[j][lane], want)
				}
			}
		}
	}
}

// publicExponent is that of most keys.
const publicExponent = 65537

// testPowers raises random numbers, one, and the largest, and compares.
func testPowers(t *testing.T, newPowers func(*[2]prime, uint) powers) {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 8))
	for i, exponent := range []uint{3, 17, publicExponent, publicExponent} {
		width := widths[i%len(widths)]
		var primes [2]prime
		for i := range primes {
			p, err := crand.Prime(crand.Reader, 64*width)
			if err != nil {
				t.Fatal(err)
			}
			primes[i] = prime{newModulus(p), randomBelow(r, p)}
		}
		pow := newPowers(&primes, exponent)
		for n := 1; n <= pow.batch(); n++ {
			residues, want, wantPublic := make([][2]words, n), make([][2]words, n), make([][2]words, n)
			for i := range residues {
				for j := range primes {
					p := primes[j].n.big()
					x := randomBelow(r, p).big()
					if i == 1 {
						x.Sub(p, big.NewInt(int64(1+j)))
					}
					residues[i][j] = newWords(x, width)
					want[i][j] = newWords(new(big.Int).Exp(x, primes[j].exponent.big(), p), width)
					wantPublic[i][j] = newWords(new(big.Int).Exp(x, new(big.Int).SetUint64(uint64(exponent)), p), width)
				}
			}
			inPublic := clone(residues)
			pow.private(residues)
			pow.public(inPublic)
			for i := range residues {
				if !equal(residues[i], want[i]) {
					t.Errorf("number %d of %d, private: got %x, want %x", i, n, residues[i], want[i])
				}
				if !equal(inPublic[i], wantPublic[i]) {
					t.Errorf("number %d of %d, public: got %x, want %x", i, n, inPublic[i], wantPublic[i])
				}
			}
		}
	}
}

func TestWordPowers(t *testing.T) {
	t.Parallel()
	needADX(t)
	testPowers(t, func(p *[2]prime, e uint) powers { return &wordPowers{p, e} })
}

func TestLanePowers(t *testing.T) {
	t.Parallel()
	needIFMA(t)
	testPowers(t, func(p *[2]prime, e uint) powers { return newLanePowers(p, e) })
}

// BenchmarkPowers is the private operation alone, in both ways.
func BenchmarkPowers(b *testing.B) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, width := range widths {
		primes := [2]prime{
			{randomModulus(r, width), random(r, width)},
			{randomModulus(r, width), random(r, width)},
		}
		bench := func(b *testing.B, p powers) {
			residues := make([][2]words, p.batch())
			for i := range residues {
				residues[i] = [2]words{make(words, width), make(words, width)}
			}
			for b.Loop() {
				p.private(residues)
			}
			b.ReportMetric(float64(b.N*p.batch())/b.Elapsed().Seconds(), "powers/s")
		}
		bits := 2 * 64 * width
		b.Run(fmt.Sprintf("ADX-%d", bits), func(b *testing.B) {
			needADX(b)
			bench(b, &wordPowers{&primes, publicExponent})
		})
		b.Run(fmt.Sprintf("IFMA-%d", bits), func(b *testing.B) {
			needIFMA(b)
			bench(b, newLanePowers(&primes, publicExponent))
		})
	}
}
