package fastrsa_test

import (
	"bytes"
	"crypto"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/lcp-tools/lcp/pkg/fastrsa"
)

func newKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Keys that are not made for what is here are left to crypto/rsa.
func TestOtherKeys(t *testing.T) {
	t.Parallel()
	if fastrsa.New(newKey(t, 3072)) != nil {
		t.Error("New takes a key of 3072 bits")
	}
	uneven := newKey(t, 2048)
	uneven.Primes = append(uneven.Primes, uneven.Primes[0])
	if fastrsa.New(uneven) != nil {
		t.Error("New takes a key with three primes")
	}
	twice := newKey(t, 2048)
	twice.Primes[1] = twice.Primes[0]
	if fastrsa.New(twice) != nil {
		t.Error("New takes a key whose primes are the same")
	}
}

// Where cryptography has to be validated, what is here is not used.
func TestValidatedOnly(t *testing.T) {
	t.Parallel()
	if fips140.Enabled() {
		if fastrsa.New(newKey(t, 2048)) != nil {
			t.Error("New takes a key in FIPS 140-3 mode")
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestValidatedOnly$")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=on")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// BenchmarkSign compares with crypto/rsa, one processor each.
func BenchmarkSign(b *testing.B) {
	for _, bits := range []int{2048, 4096} {
		b.Run(strconv.Itoa(bits), func(b *testing.B) { benchmarkSign(b, newKey(b, bits)) })
	}
}

func benchmarkSign(b *testing.B, key *rsa.PrivateKey) {
	rate := func(b *testing.B, n int) {
		b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "signatures/s")
	}
	b.Run("crypto-rsa", func(b *testing.B) {
		digest := sha256.Sum256(nil)
		for b.Loop() {
			if _, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:]); err != nil {
				b.Fatal(err)
			}
		}
		rate(b, 1)
	})
	fast := fastrsa.New(key)
	if fast == nil {
		b.Skip("nothing here is faster on this processor")
	}
	for _, n := range []int{1, fast.Batch()} {
		b.Run(fmt.Sprintf("%d-at-a-time", n), func(b *testing.B) {
			digests := make([][sha256.Size]byte, n)
			for b.Loop() {
				if _, err := fast.Sign(digests); err != nil {
					b.Fatal(err)
				}
			}
			rate(b, n)
		})
	}
}

// FuzzSign compares with crypto/rsa.
func FuzzSign(f *testing.F) {
	keys := []*rsa.PrivateKey{newKey(f, 2048), newKey(f, 4096)}
	f.Add([]byte("license"), uint8(1), false)
	f.Add([]byte("license"), uint8(9), false)
	f.Add([]byte("license"), uint8(5), true)
	f.Fuzz(func(t *testing.T, text []byte, count uint8, long bool) {
		key := keys[0]
		if long {
			key = keys[1]
		}
		fast := fastrsa.New(key)
		if fast == nil {
			t.Skip("nothing here is faster on this processor")
		}
		digests := make([][sha256.Size]byte, count%10)
		for i := range digests {
			digests[i] = sha256.Sum256(append(text, byte(i)))
		}
		got, err := fast.Sign(digests)
		if err != nil || len(got) != len(digests) {
			t.Fatalf("%d signatures of %d, %v", len(got), len(digests), err)
		}
		for i := range digests {
			want, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digests[i][:])
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got[i], want) {
				t.Errorf("signature %d of %d differs from that of crypto/rsa", i, len(digests))
			}
		}
	})
}
