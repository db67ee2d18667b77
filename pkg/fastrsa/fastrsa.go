// Package fastrsa signs with RSA keys of 2048 bits several times as fast as
// crypto/rsa does, where the processor has instructions for it. A license server
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

// modulusBytes is the length of moduli, and of signatures.
const modulusBytes = 256

// digestInfo is what precedes a SHA-256 digest in the DER of DigestInfo (RFC
// 8017 §9.2, note 1).
const digestInfo = "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"

// A Key signs with one RSA key. It is safe for concurrent use.
type Key struct {
	private *rsa.PrivateKey
	modulus [modulusBytes]byte // the highest byte first
	primes  [2]prime
	qInv    words // of q modulo p, times 2^1024
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
// primes of 1024 bits, and where the program was told to use validated
// cryptography only (GODEBUG=fips140=on).
func New(key *rsa.PrivateKey) *Key {
	if fips140.Enabled() {
		return nil
	}
	if len(key.Primes) != 2 || key.N.BitLen() != 8*modulusBytes {
		return nil
	}
	k := &Key{private: key}
	key.N.FillBytes(k.modulus[:])
	for i, p := range key.Primes {
		if p.BitLen() != 64*wordCount {
			return nil
		}
		exponent := new(big.Int).Mod(key.D, new(big.Int).Sub(p, big.NewInt(1)))
		k.primes[i] = prime{modulus: newModulus(p), exponent: newWords(exponent)}
	}
	p, q := key.Primes[0], key.Primes[1]
	inverse := new(big.Int).ModInverse(q, p)
	if inverse == nil {
		return nil
	}
	k.qInv = newWords(inverse.Mod(inverse.Lsh(inverse, 64*wordCount), p))
	if k.power = newPowers(&k.primes, uint(key.E)); k.power == nil {
		return nil
	}
	return k
}

// Batch is how many digests are signed in the time of one.
func (k *Key) Batch() int { return k.power.batch() }

// Sign returns the signatures of digests, each of 256 bytes, in their order.
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
		messages[i] = k.residues(pad(digests[i]))
	}
	roots := slices.Clone(messages)
	k.power.private(roots)
	raised := slices.Clone(roots)
	k.power.public(raised)
	signatures := make([][]byte, len(digests))
	for i := range roots {
		value := k.combine(&roots[i][0], &roots[i][1])
		// value is right modulo the modulus if it is so modulo both primes.
		if raised[i] == messages[i] && k.residues(value) == roots[i] && bytes.Compare(value[:], k.modulus[:]) < 0 {
			signatures[i] = value[:]
		}
	}
	return signatures
}

// residues returns x, the highest byte first, modulo both primes.
func (k *Key) residues(x [modulusBytes]byte) (r [2]words) {
	low, high := wordsOf(x[modulusBytes/2:]), wordsOf(x[:modulusBytes/2])
	for i := range k.primes {
		k.primes[i].reduce(&r[i], &low, &high)
	}
	return r
}

// pad encodes a digest for signing (EMSA-PKCS1-v1_5, RFC 8017 §9.2).
func pad(digest [sha256.Size]byte) (m [modulusBytes]byte) {
	rest := m[:]
	rest[1] = 1
	filling := rest[2 : len(rest)-len(digestInfo)-len(digest)-1]
	for i := range filling {
		filling[i] = 0xff
	}
	copy(rest[len(rest)-len(digestInfo)-len(digest):], digestInfo)
	copy(rest[len(rest)-len(digest):], digest[:])
	return m
}

// combine returns the number below the modulus that is m1 modulo p and m2 modulo
// q (RFC 8017 §5.1.2): m2 + q·(m1 - m2)·q⁻¹ mod p.
func (k *Key) combine(m1, m2 *words) [modulusBytes]byte {
	p, q := &k.primes[0].modulus, &k.primes[1].modulus
	// m2 is below 2p, since both primes have 1024 bits.
	reduced := *m2
	p.subtractOnce(&reduced, 0)
	var h words
	p.sub(&h, m1, &reduced)
	p.mul(&h, &h, &k.qInv)
	return addProduct(m2, &h, &q.n)
}
