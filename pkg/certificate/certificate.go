// Package certificate loads the certificate and private key that a provider
// signs licenses with, tells whether they can be used, describes them, and makes
// a pair for tests.
//
// A provider gets a certificate from the license authority (Readium LCP 1.0
// §5.2); which root reading systems trust is not known here, nor what is signed.
package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/signature"
)

// WarnBefore is how long before its end a certificate is warned about.
const WarnBefore = 60 * 24 * time.Hour

// maxFileSize bounds what is read as PEM.
const maxFileSize = 1 << 20

// Reasons for which a certificate or key cannot be used. A key of an unsupported
// type is signature.ErrKeyType, one of another certificate
// signature.ErrKeyMismatch.
var (
	ErrExpired      = errors.New("certificate has expired")
	ErrNotYetValid  = errors.New("certificate is not valid yet")
	ErrEncryptedKey = errors.New("private key is encrypted")
)

// A Pair is a certificate and its private key. It does not print its key.
type Pair struct {
	Certificate *x509.Certificate
	Chain       []*x509.Certificate // those between it and the root, if the file has any
	Signer      *signature.Signer   // has the key
}

// Load reads a certificate, which its chain may follow, and its private key, both
// PEM, and checks that they match and can be used at now. The errors name the
// file and wrap the sentinels of this package and of signature.
func Load(certificateFile, keyFile string, now time.Time) (*Pair, error) {
	p := &Pair{}
	text, err := readFile(certificateFile)
	if err != nil {
		return nil, err
	}
	chain, err := parseCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", certificateFile, err)
	}
	p.Certificate, p.Chain = chain[0], chain[1:]
	if text, err = readFile(keyFile); err != nil {
		return nil, err
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("private key %s: %w", keyFile, err)
	}
	if p.Signer, err = signature.NewSigner(key, p.Certificate); err != nil {
		return nil, fmt.Errorf("certificate %s and private key %s: %w", certificateFile, keyFile,
			explainMismatch(err, key, p.Chain))
	}
	if err := CheckValidity(p.Certificate, now); err != nil {
		return nil, fmt.Errorf("certificate %s: %w", certificateFile, err)
	}
	return p, nil
}

// Read returns the certificates of a PEM file, at least one, without checks of
// validity.
func Read(file string) ([]*x509.Certificate, error) {
	text, err := readFile(file)
	if err != nil {
		return nil, err
	}
	chain, err := parseCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", file, err)
	}
	return chain, nil
}

// explainMismatch adds to ErrKeyMismatch that the file has the right certificate
// in the wrong place.
func explainMismatch(err error, key crypto.Signer, chain []*x509.Certificate) error {
	if !errors.Is(err, signature.ErrKeyMismatch) {
		return err
	}
	for i, c := range chain {
		if _, misplaced := signature.NewSigner(key, c); misplaced == nil {
			return fmt.Errorf("%w, but to number %d in the file: put that one first", err, i+2)
		}
	}
	return err
}

// CheckValidity returns ErrExpired or ErrNotYetValid, and since or from when, for
// a certificate that cannot be used at now.
func CheckValidity(c *x509.Certificate, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return fmt.Errorf("%w: it ended on %s", ErrExpired, date(c.NotAfter))
	case now.Before(c.NotBefore):
		return fmt.Errorf("%w: it begins on %s", ErrNotYetValid, date(c.NotBefore))
	}
	return nil
}

// ExpiryWarning returns a sentence to show where c ends within WarnBefore of now,
// and "" where it does not.
func ExpiryWarning(c *x509.Certificate, now time.Time) string {
	left := c.NotAfter.Sub(now)
	if left > WarnBefore || left < 0 {
		return ""
	}
	return fmt.Sprintf("certificate %s expires on %s, in %d days: have it renewed, or licenses stop then",
		name(c.Subject.CommonName), date(c.NotAfter), int(left.Hours()/24))
}

func name(commonName string) string {
	if commonName == "" {
		return "without a name"
	}
	return fmt.Sprintf("%q", commonName)
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err // it names the file
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFileSize {
		return nil, fmt.Errorf("%s: over %d bytes is no PEM file", file, maxFileSize)
	}
	return text, nil
}

func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue // a key in the same file, say
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("number %d: %w", len(chain)+1, err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("no CERTIFICATE in PEM form in it")
	}
	return chain, nil
}

// parseKey reads the first private key in text: PKCS #1, PKCS #8 or SEC 1.
func parseKey(text []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, fmt.Errorf("%w: decrypt it first, with openssl pkey -in FILE -out CLEAR, "+
				"and keep the result readable by the server only", ErrEncryptedKey)
		}
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		default:
			continue // EC PARAMETERS, which openssl writes first, or a certificate
		}
		if err != nil {
			return nil, err
		}
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
		return nil, fmt.Errorf("%w: %T cannot sign", signature.ErrKeyType, key)
	}
	return nil, errors.New("no private key in PEM form in it")
}

// A Description is what people want to know of a certificate.
type Description struct {
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	Serial      string    `json:"serial"` // hexadecimal
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	KeyType     string    `json:"key_type"`    // such as RSA-2048
	Fingerprint string    `json:"fingerprint"` // SHA-256 of the DER, hexadecimal
	Test        bool      `json:"test"`        // made by CreateTest: no reading system in use trusts it
}

// Describe describes c.
func Describe(c *x509.Certificate) Description {
	fingerprint := sha256.Sum256(c.Raw)
	return Description{
		Subject:     c.Subject.String(),
		Issuer:      c.Issuer.String(),
		Serial:      c.SerialNumber.Text(16),
		NotBefore:   c.NotBefore.UTC(),
		NotAfter:    c.NotAfter.UTC(),
		KeyType:     keyType(c.PublicKey),
		Fingerprint: hex.EncodeToString(fingerprint[:]),
		Test:        slices.Contains(c.Issuer.OrganizationalUnit, testUnit),
	}
}

func keyType(key crypto.PublicKey) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Params().Name
	}
	return fmt.Sprintf("%T", key)
}
