//go:build !amd64

package lcpcrypto

import "crypto/cipher"

// newEncrypterMode returns what encrypts with key after iv.
func newEncrypterMode(key [KeySize]byte, iv [BlockSize]byte) cipher.BlockMode {
	return newMode(key[:], iv[:], cipher.NewCBCEncrypter)
}
