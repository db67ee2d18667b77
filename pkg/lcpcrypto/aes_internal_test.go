package lcpcrypto

import (
	"bytes"
	"crypto/cipher"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"
)

// NIST SP 800-38A, F.2.5: CBC-AES256.Encrypt.
func TestEncrypterModeNIST(t *testing.T) {
	t.Parallel()
	unhex := func(text string) []byte {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	key := unhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
	iv := unhex("000102030405060708090a0b0c0d0e0f")
	got := unhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
	want := unhex("f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b")
	newEncrypterMode([KeySize]byte(key), [BlockSize]byte(iv)).CryptBlocks(got, got)
	if !bytes.Equal(got, want) {
		t.Errorf("encrypted = %x, want %x", got, want)
	}
}

// It encrypts as crypto/cipher does, in place or not, however the data are cut.
func TestEncrypterMode(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	random := func(b []byte) {
		for i := range b {
			b[i] = byte(r.Uint32())
		}
	}
	for range 200 {
		var key [KeySize]byte
		var iv [BlockSize]byte
		random(key[:])
		random(iv[:])
		ours, theirs := newEncrypterMode(key, iv), newMode(key[:], iv[:], cipher.NewCBCEncrypter)
		for range r.IntN(5) {
			plain := make([]byte, r.IntN(40)*BlockSize)
			random(plain)
			want := make([]byte, len(plain))
			theirs.CryptBlocks(want, plain)
			apart := bytes.Repeat([]byte{7}, len(plain)+3)
			ours.CryptBlocks(apart, plain)
			if !bytes.Equal(apart[:len(plain)], want) || !bytes.Equal(apart[len(plain):], []byte{7, 7, 7}) {
				t.Fatalf("key %x, iv %x: %x encrypted is %x, want %x", key, iv, plain, apart, want)
			}
		}
	}
}

func TestEncrypterModeRefuses(t *testing.T) {
	t.Parallel()
	for name, lengths := range map[string][2]int{"half a block": {16, 8}, "no room": {16, 32}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			newEncrypterMode([KeySize]byte{}, [BlockSize]byte{}).CryptBlocks(make([]byte, lengths[0]), make([]byte, lengths[1]))
		})
	}
}

// BenchmarkEncrypterMode compares with crypto/cipher.
func BenchmarkEncrypterMode(b *testing.B) {
	for _, mode := range []cipher.BlockMode{
		newEncrypterMode([KeySize]byte{}, [BlockSize]byte{}), newMode(make([]byte, KeySize), make([]byte, BlockSize), cipher.NewCBCEncrypter),
	} {
		b.Run(fmt.Sprintf("%T", mode), func(b *testing.B) {
			data := make([]byte, 64<<10)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				mode.CryptBlocks(data, data)
			}
		})
	}
}
