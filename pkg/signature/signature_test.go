package signature_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/signature"
)

var validFrom = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// certify returns a certificate for key, issued by parent or by itself.
func certify(t testing.TB, key crypto.Signer, parent *x509.Certificate, parentKey crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: validFrom,
		NotAfter: validFrom.AddDate(1, 0, 0), IsCA: parent == nil, BasicConstraintsValid: true,
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestSignVerify(t *testing.T) {
	t.Parallel()
	for algorithm, key := range map[string]crypto.Signer{
		signature.RSASHA256:   must(rsa.GenerateKey(rand.Reader, 2048)),
		signature.ECDSASHA256: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
	} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			certificate := certify(t, key, nil, nil)
			signer, err := signature.NewSigner(key, certificate)
			if err != nil {
				t.Fatal(err)
			}
			document := []byte(`{"a":1}`)
			s, err := signer.Sign(t.Context(), document)
			if err != nil || s.Algorithm != algorithm || signer.Algorithm() != algorithm {
				t.Fatalf("Sign = %q, %v, want %q", s.Algorithm, err, algorithm)
			}
			if got, err := s.Verify(document); err != nil || !got.Equal(certificate) {
				t.Errorf("Verify = %v", err)
			}
			if _, err := s.Verify([]byte(`{"a":2}`)); !errors.Is(err, signature.ErrInvalid) {
				t.Errorf("Verify of another document = %v, want ErrInvalid", err)
			}
			for i := range s.Value {
				forged := s
				forged.Value = slices.Clone(s.Value)
				forged.Value[i] ^= 1
				if _, err := forged.Verify(document); !errors.Is(err, signature.ErrInvalid) {
					t.Fatalf("Verify with byte %d changed = %v, want ErrInvalid", i, err)
				}
			}
			for _, n := range []int{0, 1, len(s.Value) - 1} {
				short := s
				short.Value = s.Value[:n]
				if _, err := short.Verify(document); !errors.Is(err, signature.ErrInvalid) {
					t.Errorf("Verify of %d bytes = %v, want ErrInvalid", n, err)
				}
			}
			other := s
			other.Algorithm = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
			if _, err := other.Verify(document); !errors.Is(err, signature.ErrAlgorithm) {
				t.Errorf("Verify by another algorithm = %v, want ErrAlgorithm", err)
			}
			other = s
			other.Certificate = s.Certificate[1:]
			if _, err := other.Verify(document); err == nil {
				t.Error("Verify accepts a damaged certificate")
			}
		})
	}
}

// The halves of an ECDSA signature begin with a zero byte once in 256 times each;
// they keep their width then.
func TestECDSASignatureHasFixedWidth(t *testing.T) {
	t.Parallel()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	signer := must(signature.NewSigner(key, certify(t, key, nil, nil)))
	short := 0
	for i := 0; short < 2; i++ {
		document := big.NewInt(int64(i)).Append(nil, 10)
		s, err := signer.Sign(t.Context(), document)
		if err != nil || len(s.Value) != 64 {
			t.Fatalf("Sign gave %d bytes, %v, want 64", len(s.Value), err)
		}
		if s.Value[0] == 0 || s.Value[32] == 0 {
			short++
			if _, err := s.Verify(document); err != nil {
				t.Fatalf("Verify of %x = %v", s.Value, err)
			}
		}
	}
}

func TestNewSignerRefuses(t *testing.T) {
	t.Parallel()
	weak := must(rsa.GenerateKey(rand.Reader, 1024))
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	_, edwards, _ := ed25519.GenerateKey(rand.Reader)
	p256 := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	other := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	for name, tt := range map[string]struct {
		key, certified crypto.Signer
		want           error
	}{
		"RSA of 1024 bits":          {weak, weak, signature.ErrKeyType},
		"ECDSA on P-384":            {p384, p384, signature.ErrKeyType},
		"Ed25519":                   {edwards, edwards, signature.ErrKeyType},
		"key of another":            {p256, other, signature.ErrKeyMismatch},
		"key of another type":       {weak, other, signature.ErrKeyMismatch},
		"key of another good curve": {p384, other, signature.ErrKeyMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := signature.NewSigner(tt.key, certify(t, tt.certified, nil, nil)); !errors.Is(err, tt.want) {
				t.Errorf("NewSigner = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestCheckIssuer(t *testing.T) {
	t.Parallel()
	rootKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	root := certify(t, rootKey, nil, nil)
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	leaf := certify(t, key, root, rootKey)
	roots, others := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root)
	others.AddCert(certify(t, key, nil, nil))
	if err := signature.CheckIssuer(leaf, roots, validFrom.AddDate(0, 1, 0)); err != nil {
		t.Errorf("under its root: %v", err)
	}
	if err := signature.CheckIssuer(leaf, others, validFrom.AddDate(0, 1, 0)); !errors.Is(err, signature.ErrUntrusted) {
		t.Errorf("under another root: %v, want ErrUntrusted", err)
	}
	for _, at := range []time.Time{validFrom.AddDate(0, 0, -1), validFrom.AddDate(2, 0, 0)} {
		if err := signature.CheckIssuer(leaf, roots, at); !errors.Is(err, signature.ErrUntrusted) {
			t.Errorf("at %v: %v, want ErrUntrusted", at, err)
		}
	}
}
