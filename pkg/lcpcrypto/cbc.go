// Package lcpcrypto encrypts and decrypts what Readium LCP protects: the
// resources of publications, the content key and the user's fields of licenses.
//
// Everything has one form, AES-256-CBC as XML Encryption 1.1 §5.2 has it: a
// random initialization vector, then the data in whole blocks, the last of
// which ends in one to sixteen bytes of padding that the very last byte counts.
// What the data are, and whether they were compressed before, is not known here.
package lcpcrypto

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
)

// BlockSize is the length in bytes of a cipher block, and of the
// initialization vector that comes before the first.
const BlockSize = aes.BlockSize

// Errors of decryption. Both mean that the data are damaged or the key is
// another one: CBC cannot tell which.
var (
	ErrCiphertextSize = errors.New("ciphertext is not an initialization vector and whole blocks")
	ErrPadding        = errors.New("padding is invalid: the key is not the right one, or the data are damaged")
)

// EncryptedSize returns the length in bytes of the encryption of n bytes: the
// initialization vector, then n rounded up to the next whole block. A multiple
// of the block size still gains a block of padding.
func EncryptedSize(n int64) int64 {
	return BlockSize + (n/BlockSize+1)*BlockSize
}

// An Encrypter encrypts one resource in place, block by block. The caller owns
// the buffers, writes the initialization vector first, then what Encrypt and
// Final give. It is not safe for concurrent use.
type Encrypter struct {
	mode cipher.BlockMode
}

// NewEncrypter returns an encrypter and the random initialization vector that
// begins its output.
func NewEncrypter(key ContentKey) (*Encrypter, [BlockSize]byte) {
	var iv [BlockSize]byte
	rand.Read(iv[:]) // never fails
	return &Encrypter{mode: newEncrypterMode(key, iv)}, iv
}

// Encrypt encrypts blocks in place. Its length must be a multiple of BlockSize.
func (e *Encrypter) Encrypt(blocks []byte) { e.mode.CryptBlocks(blocks, blocks) }

// Final pads and encrypts the end of the data, shorter than a block, and
// returns the last block. It may use the capacity of tail.
func (e *Encrypter) Final(tail []byte) []byte {
	last := pad(tail)
	e.mode.CryptBlocks(last, last)
	return last
}

// pad appends n bytes of value n, 1 ≤ n ≤ 16, which both XML Encryption (it
// reads the last byte only) and PKCS #7 readers take off again.
func pad(tail []byte) []byte {
	n := BlockSize - len(tail)%BlockSize
	for range n {
		tail = append(tail, byte(n))
	}
	return tail
}

// Encrypt returns the encryption of plain, a short value held in memory.
func Encrypt[K ContentKey | UserKey](key K, plain []byte) []byte {
	k := [KeySize]byte(key)
	out := make([]byte, BlockSize, EncryptedSize(int64(len(plain))))
	rand.Read(out) // never fails
	mode := newEncrypterMode(k, [BlockSize]byte(out))
	out = pad(append(out, plain...))
	mode.CryptBlocks(out[BlockSize:], out[BlockSize:])
	return out
}

// Decrypt returns the plaintext of data, an initialization vector and whole
// blocks. The errors are ErrCiphertextSize and ErrPadding.
func Decrypt[K ContentKey | UserKey](key K, data []byte) ([]byte, error) {
	k := [KeySize]byte(key)
	if len(data) < 2*BlockSize || len(data)%BlockSize != 0 {
		return nil, fmt.Errorf("%w: %d bytes", ErrCiphertextSize, len(data))
	}
	plain := make([]byte, len(data)-BlockSize)
	newMode(k[:], data[:BlockSize], cipher.NewCBCDecrypter).CryptBlocks(plain, data[BlockSize:])
	return unpad(plain)
}

// unpad takes the padding off. Only the last byte is looked at, as XML
// Encryption 1.1 §5.2 demands: other writers fill the rest at random.
func unpad(plain []byte) ([]byte, error) {
	n := int(plain[len(plain)-1])
	if n < 1 || n > BlockSize {
		return nil, ErrPadding
	}
	return plain[:len(plain)-n], nil
}

func newMode(key, iv []byte, mode func(cipher.Block, []byte) cipher.BlockMode) cipher.BlockMode {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key's length is fixed by its type
	}
	return mode(block, iv)
}

// decryptChunk is how much a decrypting reader holds at a time.
const decryptChunk = 64 << 10

// NewDecrypter returns a reader of the plaintext of r, whose whole length in
// bytes is size. Reading ends with ErrCiphertextSize where r is shorter or size
// is not that of a ciphertext, and with ErrPadding where the last block is
// wrong.
func NewDecrypter(r io.Reader, size int64, key ContentKey) (io.Reader, error) {
	if size < 2*BlockSize || size%BlockSize != 0 {
		return nil, fmt.Errorf("%w: %d bytes", ErrCiphertextSize, size)
	}
	var iv [BlockSize]byte
	if _, err := io.ReadFull(r, iv[:]); err != nil {
		return nil, shortCiphertext(err)
	}
	return &decrypter{
		src:  r,
		left: size - BlockSize,
		mode: newMode(key[:], iv[:], cipher.NewCBCDecrypter),
		buf:  make([]byte, min(decryptChunk, size-BlockSize)),
	}, nil
}

type decrypter struct {
	src   io.Reader
	left  int64 // ciphertext not read yet, whole blocks
	mode  cipher.BlockMode
	buf   []byte
	plain []byte // decrypted and not handed out yet, within buf
	err   error
}

func (d *decrypter) Read(p []byte) (int, error) {
	for len(d.plain) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		d.fill()
	}
	n := copy(p, d.plain)
	d.plain = d.plain[n:]
	return n, nil
}

// fill decrypts the next chunk, or sets the error that ends the stream.
func (d *decrypter) fill() {
	if d.left == 0 {
		d.err = io.EOF
		return
	}
	chunk := d.buf[:min(int64(len(d.buf)), d.left)]
	if _, err := io.ReadFull(d.src, chunk); err != nil {
		d.err = shortCiphertext(err)
		return
	}
	d.left -= int64(len(chunk))
	d.mode.CryptBlocks(chunk, chunk)
	if d.left == 0 {
		chunk, d.err = unpad(chunk)
	}
	d.plain = chunk
}

func shortCiphertext(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends early", ErrCiphertextSize)
	}
	return err
}
