package lcpcrypto

import (
	"crypto/cipher"
	"crypto/fips140"

	"golang.org/x/sys/cpu"
)

// roundKeys are those of AES-256, in the order of encryption.
type roundKeys [15][BlockSize]byte

//go:noescape
func expandKey(keys *roundKeys, key *[KeySize]byte)

// encryptBlocks encrypts as many blocks as said, at least one, and leaves the
// last of them in iv.
//
//go:noescape
func encryptBlocks(keys *roundKeys, iv *[BlockSize]byte, dst, src *byte, blocks int)

// A chain encrypts like the CBC mode of crypto/cipher, which loads all round keys
// anew for each block and reaches two thirds of the speed of the processor. Each
// block waits for the one before, so that the time of a block is all there is.
type chain struct {
	keys roundKeys
	iv   [BlockSize]byte
}

// newEncrypterMode returns what encrypts with key after iv.
func newEncrypterMode(key [KeySize]byte, iv [BlockSize]byte) cipher.BlockMode {
	if x86 := &cpu.X86; !x86.HasAES || !x86.HasAVX || fips140.Enabled() {
		return newMode(key[:], iv[:], cipher.NewCBCEncrypter)
	}
	c := &chain{iv: iv}
	expandKey(&c.keys, &key)
	return c
}

// BlockSize implements cipher.BlockMode.
func (*chain) BlockSize() int { return BlockSize }

// CryptBlocks implements cipher.BlockMode.
func (c *chain) CryptBlocks(dst, src []byte) {
	if len(src)%BlockSize != 0 || len(dst) < len(src) {
		panic("lcpcrypto: not whole blocks, or no room for them")
	}
	if len(src) > 0 {
		encryptBlocks(&c.keys, &c.iv, &dst[0], &src[0], len(src)/BlockSize)
	}
}
