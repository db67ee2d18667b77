// Package fastrsa signs with RSA keys of 2048 bits several times as fast as
// crypto/rsa does, where the processor has instructions for it. A license server
// does little else: of the work of a license, signing it is four fifths.
//
// Signatures are those of RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2). The
// private operation runs in constant time: neither branches nor addresses depend
// on the key or on what is signed. Each signature is verified by crypto/rsa
// before it is handed out, so that no error of computation, whatever brought it
// about, can reveal the key (Boneh, DeMillo and Lipton, 1997) or be noticed by
// others first.
//
// How keys are kept, and what signatures are for, is not known here.
package fastrsa

import (
	"crypto"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
)

// modulusBytes is the length of moduli, and of signatures.
const modulusBytes = 256

// digestInfo is what precedes a SHA-256 digest in the DER of DigestInfo (RFC
// 8017 §9.2, note 1).
const digestInfo = "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"

// A Key signs with one RSA key. It is safe for concurrent use.
type Key struct {
	private *rsa.PrivateKey
	primes  [2]prime
	qInv    words // of q modulo p, times 2^1024
	power   powers
}

// A prime is one of the two factors of a modulus, and what is computed with it.
type prime struct {
	modulus
	exponent words // the private exponent modulo prime-1
}

// powers raises numbers to the power of the private exponents of a key.
type powers interface {
	// batch is how many numbers are raised in the time of one.
	batch() int
	// raise replaces residues, of each number one per prime, by their powers.
	// There are batch numbers at most.
	raise(residues [][2]words)
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
	if k.power = newPowers(&k.primes); k.power == nil {
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
			if rsa.VerifyPKCS1v15(&k.private.PublicKey, crypto.SHA256, digests[i][:], value) != nil {
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

// sign makes signatures of as many digests as Batch says at most, unverified.
func (k *Key) sign(digests [][sha256.Size]byte) [][]byte {
	residues := make([][2]words, len(digests))
	for i := range digests {
		message := pad(digests[i])
		low, high := wordsOf(message[modulusBytes/2:]), wordsOf(message[:modulusBytes/2])
		for j := range k.primes {
			k.primes[j].reduce(&residues[i][j], &low, &high)
		}
	}
	k.power.raise(residues)
	signatures := make([][]byte, len(digests))
	for i := range residues {
		signatures[i] = k.combine(&residues[i][0], &residues[i][1])
	}
	return signatures
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
func (k *Key) combine(m1, m2 *words) []byte {
	p, q := &k.primes[0].modulus, &k.primes[1].modulus
	// m2 is below 2p, since both primes have 1024 bits.
	reduced := *m2
	p.subtractOnce(&reduced, 0)
	var h words
	p.sub(&h, m1, &reduced)
	p.mul(&h, &h, &k.qInv)
	return addProduct(m2, &h, &q.n)
}
