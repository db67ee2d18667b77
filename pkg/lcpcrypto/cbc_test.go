package lcpcrypto_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// NIST SP 800-38A, F.2.5 and F.2.6: CBC-AES256. The plaintext happens to end in
// the byte 0x10, which XML Encryption takes for a whole block of padding.
const (
	nistKey   = "603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4"
	nistIV    = "000102030405060708090a0b0c0d0e0f"
	nistPlain = "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51" +
		"30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710"
	nistCipher = "f58c4c04d6e5f1ba779eabfb5f7bfbd6 9cfc4e967edb808d679f777bc6702c7d" +
		"39f23369a9d9bacfa530e26304231461 b2eb05e2c39be9fcda6c19078c6a9d1b"
)

func TestDecryptNIST(t *testing.T) {
	t.Parallel()
	data := append(unhex(t, nistIV), unhex(t, nistCipher)...)
	want := unhex(t, nistPlain)[:48]
	got, err := lcpcrypto.Decrypt(lcpcrypto.ContentKey(unhex(t, nistKey)), data)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("Decrypt = %x, %v, want %x", got, err, want)
	}
	got, err = lcpcrypto.Decrypt(lcpcrypto.UserKey(unhex(t, nistKey)), data)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("Decrypt with a user key = %x, %v, want %x", got, err, want)
	}
	r, err := lcpcrypto.NewDecrypter(bytes.NewReader(data), int64(len(data)), lcpcrypto.ContentKey(unhex(t, nistKey)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		t.Errorf("NewDecrypter reads %x, %v, want %x", got, err, want)
	}
}

// open is what any other reader of AES-256-CBC does, PKCS #7 padding checked in
// full.
func open(t testing.TB, key, data []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	plain := make([]byte, len(data)-16)
	cipher.NewCBCDecrypter(block, data[:16]).CryptBlocks(plain, data[16:])
	n := int(plain[len(plain)-1])
	if n < 1 || n > 16 || !bytes.HasSuffix(plain, bytes.Repeat([]byte{byte(n)}, n)) {
		t.Fatalf("padding of %x is not PKCS #7", plain)
	}
	return plain[:len(plain)-n]
}

// encryptStream encrypts in place as the pipeline does: whole blocks, then the rest.
func encryptStream(key lcpcrypto.ContentKey, plain []byte) []byte {
	enc, iv := lcpcrypto.NewEncrypter(key)
	whole := len(plain) / lcpcrypto.BlockSize * lcpcrypto.BlockSize
	data := slices.Clone(plain)
	half := whole / 2 / lcpcrypto.BlockSize * lcpcrypto.BlockSize
	enc.Encrypt(data[:half])
	enc.Encrypt(data[half:whole])
	return slices.Concat(iv[:], data[:whole], enc.Final(slices.Clone(data[whole:])))
}

func TestEncrypt(t *testing.T) {
	t.Parallel()
	key := lcpcrypto.ContentKey(unhex(t, nistKey))
	for n, size := range map[int]int{0: 32, 1: 32, 15: 32, 16: 48, 17: 48, 31: 48, 32: 64, 100_000: 100_032} {
		plain := bytes.Repeat([]byte{0xa5}, n)
		for name, data := range map[string][]byte{
			"Encrypt":   lcpcrypto.Encrypt(key, plain),
			"Encrypter": encryptStream(key, plain),
		} {
			if len(data) != size || lcpcrypto.EncryptedSize(int64(n)) != int64(size) {
				t.Errorf("%s of %d bytes gives %d, EncryptedSize says %d, want %d", name, n, len(data),
					lcpcrypto.EncryptedSize(int64(n)), size)
			}
			if got := open(t, key[:], data); !bytes.Equal(got, plain) {
				t.Errorf("%s of %d bytes opens to other bytes", name, n)
			}
		}
	}
}

func TestEncryptLeavesItsInputAlone(t *testing.T) {
	t.Parallel()
	buf := []byte("plain, and what comes after it in the same array")
	lcpcrypto.Encrypt(lcpcrypto.NewContentKey(), buf[:5])
	if string(buf[:6]) != "plain," {
		t.Errorf("after Encrypt the array holds %q", buf)
	}
}

func TestInitializationVectorsDiffer(t *testing.T) {
	t.Parallel()
	key := lcpcrypto.NewContentKey()
	if a, b := lcpcrypto.Encrypt(key, nil), lcpcrypto.Encrypt(key, nil); bytes.Equal(a[:16], b[:16]) {
		t.Errorf("Encrypt used %x twice", a[:16])
	}
	_, a := lcpcrypto.NewEncrypter(key)
	if _, b := lcpcrypto.NewEncrypter(key); a == b {
		t.Errorf("NewEncrypter used %x twice", a)
	}
}

func TestDecryptRefuses(t *testing.T) {
	t.Parallel()
	key := lcpcrypto.NewContentKey()
	whole := lcpcrypto.Encrypt(key, make([]byte, 40))
	for n := range len(whole) {
		if n >= 32 && n%16 == 0 {
			continue // whole blocks: only the padding can tell
		}
		if _, err := lcpcrypto.Decrypt(key, whole[:n]); !errors.Is(err, lcpcrypto.ErrCiphertextSize) {
			t.Errorf("Decrypt of %d bytes = %v, want ErrCiphertextSize", n, err)
		}
		if _, err := lcpcrypto.NewDecrypter(bytes.NewReader(whole), int64(n), key); !errors.Is(err, lcpcrypto.ErrCiphertextSize) {
			t.Errorf("NewDecrypter of %d bytes = %v, want ErrCiphertextSize", n, err)
		}
	}
	// Zeros within, so a last block cut away leaves padding of value 0.
	if _, err := lcpcrypto.Decrypt(key, whole[:48]); !errors.Is(err, lcpcrypto.ErrPadding) {
		t.Errorf("Decrypt without the last block = %v, want ErrPadding", err)
	}
	r, err := lcpcrypto.NewDecrypter(bytes.NewReader(whole), 48, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, lcpcrypto.ErrPadding) {
		t.Errorf("reading without the last block = %v, want ErrPadding", err)
	}
}

func TestDecrypterStopsWhereTheSourceDoes(t *testing.T) {
	t.Parallel()
	key := lcpcrypto.NewContentKey()
	whole := lcpcrypto.Encrypt(key, make([]byte, 200_000))
	for _, n := range []int{0, 15, 16, 17, 70_000, len(whole) - 1} {
		r, err := lcpcrypto.NewDecrypter(bytes.NewReader(whole[:n]), int64(len(whole)), key)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, lcpcrypto.ErrCiphertextSize) {
			t.Errorf("reading %d of %d bytes = %v, want ErrCiphertextSize", n, len(whole), err)
		}
	}
	boom := errors.New("boom")
	r, err := lcpcrypto.NewDecrypter(io.MultiReader(bytes.NewReader(whole[:16]), iotest.ErrReader(boom)), int64(len(whole)), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, boom) {
		t.Errorf("reading = %v, want %v", err, boom)
	}
}

func FuzzRoundTrip(f *testing.F) {
	for _, n := range []int{0, 15, 16, 17, 70_000} {
		f.Add(make([]byte, n))
	}
	key := lcpcrypto.ContentKey(unhex(f, nistKey))
	f.Fuzz(func(t *testing.T, plain []byte) {
		data := encryptStream(key, plain)
		if got, want := int64(len(data)), lcpcrypto.EncryptedSize(int64(len(plain))); got != want {
			t.Errorf("%d bytes are %d encrypted, EncryptedSize says %d", len(plain), got, want)
		}
		if got, err := lcpcrypto.Decrypt(key, data); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("Decrypt of the encryption of %x = %x, %v", plain, got, err)
		}
		r, err := lcpcrypto.NewDecrypter(iotest.HalfReader(bytes.NewReader(data)), int64(len(data)), key)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(iotest.OneByteReader(r)); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("reading the encryption of %x = %x, %v", plain, got, err)
		}
	})
}

// FuzzDecrypt has no key to the data: whatever comes, both readers agree.
func FuzzDecrypt(f *testing.F) {
	f.Add(unhex(f, nistIV+nistCipher))
	f.Add(make([]byte, 32))
	f.Add(make([]byte, 33))
	key := lcpcrypto.ContentKey(unhex(f, nistKey))
	f.Fuzz(func(t *testing.T, data []byte) {
		want, wantErr := lcpcrypto.Decrypt(key, data)
		r, err := lcpcrypto.NewDecrypter(bytes.NewReader(data), int64(len(data)), key)
		var got []byte
		if err == nil {
			got, err = io.ReadAll(r)
		}
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Errorf("NewDecrypter reads %x, %v; Decrypt gives %x, %v", got, err, want, wantErr)
		}
	})
}
