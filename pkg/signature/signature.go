// Package signature brings JSON into the canonical form of license documents,
// signs it with the key of a provider's certificate and verifies it.
//
// It follows Readium LCP 1.0 §5.3 to §5.5, with the algorithms of XML Signature
// that encryption profiles name: RSA PKCS #1 v1.5 (RFC 6931 §2.3.2) and ECDSA
// on P-256 (RFC 6931 §2.3.6), both over SHA-256. What the signed document says is
// not known here, save for the name of the member that holds the signature.
package signature

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/lcp-tools/lcp/pkg/fastrsa"
)

// Algorithms of signatures, by the URI that license documents carry.
const (
	RSASHA256   = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	ECDSASHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
)

// minRSABits is the shortest RSA modulus that is signed with or accepted.
const minRSABits = 2048

// p256Bytes is the length of each half of an ECDSA signature on P-256.
const p256Bytes = 32

// Refusals of keys and signatures.
var (
	ErrKeyType     = errors.New("unsupported key")
	ErrKeyMismatch = errors.New("private key does not belong to the certificate")
	ErrInvalid     = errors.New("signature does not match the document")
	ErrAlgorithm   = errors.New("signature algorithm does not suit the certificate")
	ErrUntrusted   = errors.New("certificate was not issued under the given root")
)

// A Signature is the signature object of a license document (LCP §3.8). In
// JSON both byte strings are standard Base64.
type Signature struct {
	Certificate []byte `json:"certificate"` // the provider's, DER
	Value       []byte `json:"value"`       // for ECDSA, r and s of 32 bytes each
	Algorithm   string `json:"algorithm"`   // RSASHA256 or ECDSASHA256
}

// Algorithm returns the URI of the algorithm that signs with the private key of
// key. The error is ErrKeyType for anything but RSA of 2048 bits or more and
// ECDSA on P-256.
func Algorithm(key crypto.PublicKey) (string, error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits {
			return "", fmt.Errorf("%w: RSA of %d bits, at least %d are needed", ErrKeyType, bits, minRSABits)
		}
		return RSASHA256, nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return "", fmt.Errorf("%w: ECDSA on %s, it must be P-256", ErrKeyType, k.Params().Name)
		}
		return ECDSASHA256, nil
	}
	return "", fmt.Errorf("%w: %T, it must be RSA or ECDSA on P-256", ErrKeyType, key)
}

// A Signer signs in the name of one certificate. It is safe for concurrent use
// if its key is, as the keys of the standard library are.
type Signer struct {
	certificate *x509.Certificate
	algorithm   string
	queue       *queue
}

// NewSigner returns a signer for a certificate and its private key. The errors
// are ErrKeyType and ErrKeyMismatch. Validity is the caller's to check, who
// knows the time.
func NewSigner(key crypto.Signer, certificate *x509.Certificate) (*Signer, error) {
	algorithm, err := Algorithm(certificate.PublicKey)
	if err != nil {
		return nil, err
	}
	public, ok := certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(key.Public()) {
		return nil, ErrKeyMismatch
	}
	return &Signer{certificate: certificate, algorithm: algorithm, queue: queueFor(key, algorithm)}, nil
}

// queueFor returns a queue that signs with key, RSA as fast as can be had.
func queueFor(key crypto.Signer, algorithm string) *queue {
	if k, ok := key.(*rsa.PrivateKey); ok {
		if fast := fastrsa.New(k); fast != nil {
			return newQueue(fast.Batch(), fast.Sign)
		}
	}
	return newQueue(1, func(digests [][sha256.Size]byte) ([][]byte, error) {
		value, err := key.Sign(rand.Reader, digests[0][:], crypto.SHA256)
		if err == nil && algorithm == ECDSASHA256 {
			value, err = fixedWidth(value)
		}
		return [][]byte{value}, err
	})
}

// Certificate returns the signer's certificate, not to be modified.
func (s *Signer) Certificate() *x509.Certificate { return s.certificate }

// Algorithm returns the URI of the signer's algorithm.
func (s *Signer) Algorithm() string { return s.algorithm }

// Sign signs a document in canonical form, as Canonical or Signed returns it. It
// waits for a turn: no more is signed at a time than there are processors for.
// The error is that of the key, or the cause of ctx's end if that came first.
func (s *Signer) Sign(ctx context.Context, canonical []byte) (Signature, error) {
	value, err := s.queue.signature(ctx, sha256.Sum256(canonical))
	if err != nil {
		return Signature{}, fmt.Errorf("sign: %w", err)
	}
	return Signature{Certificate: s.certificate.Raw, Value: value, Algorithm: s.algorithm}, nil
}

// fixedWidth turns an ECDSA signature in ASN.1, which crypto.Signer gives, into
// r followed by s, which XML Signature wants.
func fixedWidth(der []byte) ([]byte, error) {
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, fmt.Errorf("read the signature made: %w", err)
	}
	if max(rs.R.BitLen(), rs.S.BitLen()) > 8*p256Bytes || min(rs.R.Sign(), rs.S.Sign()) < 0 {
		return nil, errors.New("the signature made is not one on P-256")
	}
	value := make([]byte, 2*p256Bytes)
	rs.R.FillBytes(value[:p256Bytes])
	rs.S.FillBytes(value[p256Bytes:])
	return value, nil
}

// Verify checks that the key of the certificate in the signature made it over a
// document in canonical form, and returns the certificate. Who issued the
// certificate, and when it is valid, is for CheckIssuer. The errors are
// ErrInvalid, ErrAlgorithm, ErrKeyType, or say that the certificate is damaged.
func (s Signature) Verify(canonical []byte) (*x509.Certificate, error) {
	certificate, err := x509.ParseCertificate(s.Certificate)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	want, err := Algorithm(certificate.PublicKey)
	if err != nil {
		return nil, err
	}
	if s.Algorithm != want {
		return nil, fmt.Errorf("%w: %q, the key needs %q", ErrAlgorithm, s.Algorithm, want)
	}
	digest := sha256.Sum256(canonical)
	if !matches(certificate.PublicKey, digest[:], s.Value) {
		return nil, ErrInvalid
	}
	return certificate, nil
}

func matches(key crypto.PublicKey, digest, value []byte) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, crypto.SHA256, digest, value) == nil
	case *ecdsa.PublicKey:
		if len(value) != 2*p256Bytes {
			return false
		}
		r := new(big.Int).SetBytes(value[:p256Bytes])
		s := new(big.Int).SetBytes(value[p256Bytes:])
		return ecdsa.Verify(k, digest, r, s)
	}
	return false
}

// CheckIssuer checks that certificate was issued under one of roots, and that
// the chain was valid at a time: for a license, when it was last updated (LCP
// §5.5.1). The error wraps ErrUntrusted.
func CheckIssuer(certificate *x509.Certificate, roots *x509.CertPool, at time.Time) error {
	_, err := certificate.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: x509.NewCertPool(),
		CurrentTime:   at,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, // LCP asks for none in particular
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return nil
}
