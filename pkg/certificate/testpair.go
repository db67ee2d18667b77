package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// Names of the files that CreateTest writes into its folder.
const (
	RootFile        = "root.pem"     // the authority's certificate, for who verifies
	CertificateFile = "provider.pem" // the provider's certificate
	KeyFile         = "provider.key" // the provider's private key, PKCS #8
)

// testUnit marks certificates of CreateTest, in subject and issuer.
const testUnit = "lcp TEST - not for production"

// How long certificates of CreateTest are valid. They begin some time before they
// are made, for the clocks of others.
const (
	testValidity = 10 * 365 * 24 * time.Hour
	testSlack    = 24 * time.Hour
)

// A KeyType is what sort of key a test certificate gets.
type KeyType string

// Key types that licenses can be signed with.
const (
	RSA2048 KeyType = "rsa"
	P256    KeyType = "ecdsa"
)

// CreateTest makes a test authority and a provider certificate under it, marks
// both as TEST, and writes them with the provider's key into dir, which must not
// exist or be empty: nothing is overwritten, and either all three files are there
// or none. Only their owner can read the key. The authority's own key is thrown
// away, so that it never signs another certificate.
//
// The error wraps fs.ErrExist where dir has something in it.
func CreateTest(dir string, keyType KeyType, now time.Time) error {
	files, err := testPair(keyType, now)
	if err != nil {
		return fmt.Errorf("make a test certificate: %w", err)
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return fmt.Errorf("make a test certificate: %w", err)
	}
	temp, err := os.MkdirTemp(parent, ".certificate-*")
	if err != nil {
		return fmt.Errorf("make a test certificate: %w", err)
	}
	defer os.RemoveAll(temp) // gone by then, if all went well
	for _, f := range files {
		if err := writeFile(filepath.Join(temp, f.name), f.text, f.mode); err != nil {
			return fmt.Errorf("make a test certificate: %w", err)
		}
	}
	return moveInto(temp, dir)
}

// moveInto renames temp to dir in one step, which works only where dir is absent
// or empty.
func moveInto(temp, dir string) error {
	if info, err := os.Lstat(dir); err == nil && info.IsDir() {
		_ = os.Remove(dir) // an empty folder; any other stays, and is refused next
	}
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("write test certificates: %s: %w, choose an empty folder", dir, fs.ErrExist)
	}
	err := os.Rename(temp, dir)
	if errors.Is(err, fs.ErrExist) { // another process was faster
		return fmt.Errorf("write test certificates: %s: %w", dir, fs.ErrExist)
	}
	if err != nil {
		return fmt.Errorf("write test certificates: %w", err)
	}
	return nil
}

// writeFile writes a file that does not exist, and makes sure of it.
func writeFile(name string, text []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

type file struct {
	name string
	text []byte
	mode fs.FileMode
}

// testPair returns the files of a test authority and provider.
func testPair(keyType KeyType, now time.Time) ([]file, error) {
	rootKey, err := newKey(keyType)
	if err != nil {
		return nil, err
	}
	key, err := newKey(keyType)
	if err != nil {
		return nil, err
	}
	root := testTemplate("TEST LCP authority", now)
	root.IsCA = true
	root.KeyUsage = x509.KeyUsageCertSign
	root.MaxPathLenZero = true
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	leaf := testTemplate("TEST LCP provider", now)
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return []file{
		{RootFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}), 0o644},
		{CertificateFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leafDER}), 0o644},
		{KeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600},
	}, nil
}

func testTemplate(commonName string, now time.Time) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) // it does not fail (crypto/rand)
	return &x509.Certificate{
		SerialNumber: serial,
		Subject: pkix.Name{
			CommonName:         commonName,
			Organization:       []string{"TEST"},
			OrganizationalUnit: []string{testUnit},
		},
		NotBefore:             now.UTC().Add(-testSlack),
		NotAfter:              now.UTC().Add(testValidity),
		BasicConstraintsValid: true,
	}
}

func newKey(keyType KeyType) (crypto.Signer, error) {
	switch keyType {
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return nil, fmt.Errorf("unknown key type %q: it must be %q or %q", keyType, RSA2048, P256)
}
