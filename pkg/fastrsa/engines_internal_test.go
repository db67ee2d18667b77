package fastrsa

import (
	"bytes"
	"crypto"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"math/rand/v2"
	"strconv"
	"testing"
)

// widths are how many words primes can have.
var widths = []int{blockWords, maxWords}

// random returns words of which some are all ones or zero, so that carries run far.
func random(r *rand.Rand, width int) words {
	w := make(words, width)
	for i := range w {
		switch r.IntN(8) {
		case 0:
			w[i] = ^uint64(0)
		case 1:
			w[i] = 0
		default:
			w[i] = r.Uint64()
		}
	}
	return w
}

func randomBelow(r *rand.Rand, n *big.Int) words {
	width := n.BitLen() / 64
	return newWords(new(big.Int).Mod(random(r, width).big(), n), width)
}

func randomModulus(r *rand.Rand, width int) modulus {
	n := random(r, width)
	n[0] |= 1
	n[width-1] |= 1 << 63
	return newModulus(n.big())
}

// montgomery computes x·y/2^shift modulo n by other means.
func montgomery(x, y, n *big.Int, shift uint) *big.Int {
	r := new(big.Int).Lsh(big.NewInt(1), shift)
	z := new(big.Int).Mul(x, y)
	return z.Mod(z.Mul(z, r.ModInverse(r, n)), n)
}

func TestModulus(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		width := widths[i%len(widths)]
		m := randomModulus(r, width)
		n := m.n.big()
		x, y, z := random(r, width), randomBelow(r, n), make(words, width)
		m.mul(z, x, y)
		if want := montgomery(x.big(), y.big(), n, m.bits()); z.big().Cmp(want) != 0 {
			t.Fatalf("%x * %x mod %x = %x, want %x", x, y, m.n, z, want)
		}
		twice := random(r, 2*width)
		got := m.residue(twice)
		want := new(big.Int).Mod(twice.big(), n)
		if got.big().Cmp(want) != 0 {
			t.Fatalf("%x mod %x = %x, want %x", twice, m.n, got, want)
		}
		a := randomBelow(r, n)
		m.sub(z, a, y)
		if want.Sub(a.big(), y.big()).Mod(want, n); z.big().Cmp(want) != 0 {
			t.Fatalf("%x - %x mod %x = %x, want %x", a, y, m.n, z, want)
		}
		got = addProduct(a, x, y)
		if want.Mul(x.big(), y.big()).Add(want, a.big()); got.big().Cmp(want) != 0 {
			t.Fatalf("%x + %x * %x = %x, want %x", a, x, y, got, want)
		}
	}
}

// faulty makes an error in one of the powers.
type faulty struct {
	powers
	number, prime int
}

func (f faulty) private(residues [][2]words) {
	f.powers.private(residues)
	if f.number < len(residues) {
		residues[f.number][f.prime][5] ^= 1
	}
}

// Where something went wrong, the signatures are right all the same, for they are
// verified and made anew by crypto/rsa.
func TestWrongSignaturesAreNotHandedOut(t *testing.T) {
	t.Parallel()
	for _, bits := range []int{2048, 4096} {
		t.Run(strconv.Itoa(bits), func(t *testing.T) { testFaults(t, bits) })
	}
}

func testFaults(t *testing.T, bits int) {
	t.Parallel()
	private, err := rsa.GenerateKey(crand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	if New(private) == nil {
		t.Skip("nothing here is faster on this processor")
	}
	digests := [][sha256.Size]byte{sha256.Sum256([]byte("1")), sha256.Sum256([]byte("2")), sha256.Sum256([]byte("3"))}
	for name, spoil := range map[string]func(*Key){
		"modulo p":    func(k *Key) { k.power = faulty{k.power, 0, 0} },
		"modulo q":    func(k *Key) { k.power = faulty{k.power, 0, 1} },
		"combination": func(k *Key) { k.qInv[3] ^= 1 },
		"range":       func(k *Key) { clear(k.modulus) },
	} {
		k := New(private)
		if value := k.sign(digests[:1])[0]; rsa.VerifyPKCS1v15(&private.PublicKey, crypto.SHA256, digests[0][:], value) != nil {
			t.Fatalf("%s: not even right before the fault", name)
		}
		spoil(k)
		if value := k.sign(digests[:1])[0]; value != nil {
			t.Errorf("%s: the fault was not noticed", name)
		}
		got, err := k.Sign(digests)
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range digests {
			want, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, d[:])
			if err != nil || !bytes.Equal(got[i], want) {
				t.Errorf("%s: signature %d is not that of crypto/rsa: %v", name, i, err)
			}
		}
	}
}
