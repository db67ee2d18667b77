package fastrsa

import (
	crand "crypto/rand"
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
	for range 4000 {
		m := randomModulus(r)
		x := random(r)
		y := newWords(new(big.Int).Mod(randomBig(r), m.n.big()))
		var got, want words
		m.mul(&want, &x, &y)
		mulWords(&got, &x, &y, &m.n, m.inverse)
		if got != want {
			t.Fatalf("%x * %x mod %x = %x, want %x", x, y, m.n, got, want)
		}
	}
}

// big returns the value of a lane, which may have more bits than words.
func (z *number) big(lane int) *big.Int {
	x := new(big.Int)
	for i := len(z) - 1; i >= 0; i-- {
		x.Lsh(x, limbBits)
		x.Add(x, new(big.Int).SetUint64(z[i][lane]))
	}
	return x
}

func TestMulLanes(t *testing.T) {
	t.Parallel()
	needIFMA(t)
	r := rand.New(rand.NewPCG(5, 6))
	for range 1500 {
		var x, y, n, z number
		var inverse lanes
		for lane := range inverse {
			m := randomModulus(r)
			n.set(lane, &m.n)
			inverse[lane] = m.inverse & limbMask
			a, b := random(r), random(r)
			x.set(lane, &a)
			y.set(lane, &b)
			// Factors may lie beyond the modulus, the highest limb has room for it.
			x[limbCount-1][lane] += r.Uint64N(1 << 40)
		}
		mulLanes(&z, &x, &y, &n, &inverse)
		for lane := range inverse {
			modulus, got := n.big(lane), z.big(lane)
			want := montgomery(x.big(lane), y.big(lane), modulus, limbBits*limbCount)
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
}

func TestSelectLanes(t *testing.T) {
	t.Parallel()
	needIFMA(t)
	var table [tableSize]number
	for i := range table {
		for j := range table[i] {
			for lane := range table[i][j] {
				table[i][j][lane] = uint64(i)<<16 | uint64(j)<<8 | uint64(lane)
			}
		}
	}
	index := lanes{15, 0, 7, 8, 1, 1, 14, 3}
	var got number
	selectLanes(&got, &table, &index)
	for j := range got {
		for lane, i := range index {
			if want := i<<16 | uint64(j)<<8 | uint64(lane); got[j][lane] != want {
				t.Errorf("limb %d of lane %d = %#x, want %#x", j, lane, got[j][lane], want)
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
	for _, exponent := range []uint{3, 17, publicExponent} {
		var primes [2]prime
		for i := range primes {
			p, err := crand.Prime(crand.Reader, 64*wordCount)
			if err != nil {
				t.Fatal(err)
			}
			primes[i] = prime{newModulus(p), newWords(new(big.Int).Mod(randomBig(r), p))}
		}
		pow := newPowers(&primes, exponent)
		for n := 1; n <= pow.batch(); n++ {
			residues, want := make([][2]words, n), make([][2]words, n)
			for i := range residues {
				for j := range primes {
					p := primes[j].n.big()
					x := new(big.Int).Mod(randomBig(r), p)
					if i == 1 {
						x.Sub(p, big.NewInt(int64(1+j)))
					}
					residues[i][j] = newWords(x)
					want[i][j] = newWords(x.Exp(x, primes[j].exponent.big(), p))
				}
			}
			inPublic, wantPublic := slices.Clone(residues), make([][2]words, n)
			for i := range residues {
				for j := range primes {
					x := residues[i][j].big()
					wantPublic[i][j] = newWords(x.Exp(x, new(big.Int).SetUint64(uint64(exponent)), primes[j].n.big()))
				}
			}
			pow.private(residues)
			pow.public(inPublic)
			for i := range residues {
				if residues[i] != want[i] {
					t.Errorf("number %d of %d, private: got %x, want %x", i, n, residues[i], want[i])
				}
				if inPublic[i] != wantPublic[i] {
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
	primes := [2]prime{{randomModulus(r), random(r)}, {randomModulus(r), random(r)}}
	bench := func(b *testing.B, p powers) {
		residues := make([][2]words, p.batch())
		for b.Loop() {
			p.private(residues)
		}
		b.ReportMetric(float64(b.N*p.batch())/b.Elapsed().Seconds(), "powers/s")
	}
	b.Run("ADX", func(b *testing.B) {
		needADX(b)
		bench(b, &wordPowers{&primes, publicExponent})
	})
	b.Run("IFMA", func(b *testing.B) {
		needIFMA(b)
		bench(b, newLanePowers(&primes, publicExponent))
	})
}
