// Package fastrsa signs with RSA keys of 2048 and 4096 bits several times as fast
// as crypto/rsa does, where the processor has instructions for it. A license server
// does little else: of the work of a license, signing it is four fifths.
//
// Signatures are those of RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2). The
// private operation runs in constant time: neither branches nor addresses depend
// on the key or on what is signed. Each signature is verified before it is handed
// out, modulo both primes, so that no error of computation, whatever brought it
// about, can reveal the key (Boneh, DeMillo and Lipton, 1997) or be noticed by
// others first. Where one is wrong, crypto/rsa makes it.
//
// How keys are kept, and what signatures are for, is not known here.
package fastrsa

import (
	"bytes"
	"crypto"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"slices"
)

// digestInfo is what precedes a SHA-256 digest in the DER of DigestInfo (RFC
// 8017 §9.2, note 1).
const digestInfo = "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"

// A Key signs with one RSA key. It is safe for concurrent use.
type Key struct {
	private *rsa.PrivateKey
	modulus []byte // the highest byte first
	primes  [2]prime
	qInv    words // of q modulo p, times 2 to the power of the bits of p
	power   powers
}

// A prime is one of the two factors of a modulus, and what is computed with it.
type prime struct {
	modulus
	exponent words // the private exponent modulo prime-1
}

// powers raises numbers to the powers of a key, in the form of their residues
// modulo both primes. It raises as many at a time as batch says at most.
type powers interface {
	// batch is how many numbers are raised in the time of one.
	batch() int
	// private replaces residues by their powers to the private exponents.
	private(residues [][2]words)
	// public replaces residues by their powers to the public exponent.
	public(residues [][2]words)
}

// New returns what signs with key, or nil where crypto/rsa has to: on a processor
// for which nothing here is faster, for a key that is not the product of two
// primes of 1024 bits each, or 2048, and where the program was told to use validated
// cryptography only (GODEBUG=fips140=on).
func New(key *rsa.PrivateKey) *Key {
	if fips140.Enabled() {
		return nil
	}
	bits := key.N.BitLen()
	if len(key.Primes) != 2 || bits != 2048 && bits != 4096 {
		return nil
	}
	k := &Key{private: key, modulus: key.N.Bytes()}
	n := bits / 2 / 64
	for i, p := range key.Primes {
		if p.BitLen() != bits/2 {
			return nil
		}
		exponent := new(big.Int).Mod(key.D, new(big.Int).Sub(p, big.NewInt(1)))
		k.primes[i] = prime{modulus: newModulus(p), exponent: newWords(exponent, n)}
	}
	p, q := key.Primes[0], key.Primes[1]
	inverse := new(big.Int).ModInverse(q, p)
	if inverse == nil {
		return nil
	}
	k.qInv = newWords(inverse.Mod(inverse.Lsh(inverse, uint(bits/2)), p), n)
	if k.power = newPowers(&k.primes, uint(key.E)); k.power == nil {
		return nil
	}
	return k
}

// Batch is how many digests are signed in the time of one.
func (k *Key) Batch() int { return k.power.batch() }

// Sign returns the signatures of digests, each as long as the modulus, in their order.
func (k *Key) Sign(digests [][sha256.Size]byte) ([][]byte, error) {
	signatures := make([][]byte, 0, len(digests))
	for len(digests) > 0 {
		n := min(len(digests), k.Batch())
		for i, value := range k.sign(digests[:n]) {
			if value == nil {
				var err error
				value, err = rsa.SignPKCS1v15(rand.Reader, k.private, crypto.SHA256, digests[i][:])
				if err != nil {
					return nil, err
				}
			}
			signatures = append(signatures, value)
		}
		digests = digests[n:]
	}
	return signatures, nil
}

// sign makes and verifies signatures, of as many digests as Batch says at most.
// One that is wrong is nil.
func (k *Key) sign(digests [][sha256.Size]byte) [][]byte {
	messages := make([][2]words, len(digests))
	for i := range digests {
		messages[i] = k.residues(wordsOf(pad(digests[i], len(k.modulus))))
	}
	roots := clone(messages)
	k.power.private(roots)
	raised := clone(roots)
	k.power.public(raised)
	signatures := make([][]byte, len(digests))
	for i := range roots {
		value := k.combine(roots[i][0], roots[i][1])
		// value is right modulo the modulus if it is so modulo both primes.
		if equal(raised[i], messages[i]) && equal(k.residues(value), roots[i]) {
			if b := value.bytes(); bytes.Compare(b, k.modulus) < 0 {
				signatures[i] = b
			}
		}
	}
	return signatures
}

func clone(residues [][2]words) [][2]words {
	c := make([][2]words, len(residues))
	for i, r := range residues {
		c[i] = [2]words{slices.Clone(r[0]), slices.Clone(r[1])}
	}
	return c
}

func equal(a, b [2]words) bool { return slices.Equal(a[0], b[0]) && slices.Equal(a[1], b[1]) }

// residues returns x modulo both primes.
func (k *Key) residues(x words) [2]words {
	return [2]words{k.primes[0].residue(x), k.primes[1].residue(x)}
}

// pad encodes a digest for signing in size bytes (EMSA-PKCS1-v1_5, RFC 8017 §9.2).
func pad(digest [sha256.Size]byte, size int) []byte {
	m := make([]byte, size)
	m[1] = 1
	filling := m[2 : size-len(digestInfo)-len(digest)-1]
	for i := range filling {
		filling[i] = 0xff
	}
	copy(m[size-len(digestInfo)-len(digest):], digestInfo)
	copy(m[size-len(digest):], digest[:])
	return m
}

// combine returns the number below the modulus that is m1 modulo p and m2 modulo
// q (RFC 8017 §5.1.2): m2 + q·(m1 - m2)·q⁻¹ mod p.
func (k *Key) combine(m1, m2 words) words {
	p, q := &k.primes[0].modulus, &k.primes[1].modulus
	// m2 is below 2p, since both primes have the same number of bits.
	h := slices.Clone(m2)
	p.subtractOnce(h, 0)
	p.sub(h, m1, h)
	p.mul(h, h, k.qInv)
	return addProduct(m2, h, q.n)
}
