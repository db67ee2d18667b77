package license

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/signature"
)

// Verify checks the signature of the document as it was issued or parsed, and
// that the certificate in it was valid when the license was last updated (LCP
// §5.5). With roots it also checks that the certificate was issued under one of
// them; with nil it does not, and whoever made the certificate made the license.
//
// It returns the certificate. The errors wrap ErrValidity and those of
// signature.Signature.Verify and signature.CheckIssuer.
func (d *Document) Verify(roots *x509.CertPool) (*x509.Certificate, error) {
	canonical, err := signature.Signed(d.raw)
	if err != nil {
		return nil, fmt.Errorf("verify the license: %w", err)
	}
	certificate, err := d.Signature.Verify(canonical)
	if err != nil {
		return nil, fmt.Errorf("verify the license: %w", err)
	}
	at := d.LastUpdated()
	if at.Before(certificate.NotBefore) || at.After(certificate.NotAfter) {
		return nil, fmt.Errorf("%w: last updated on %s, valid from %s to %s", ErrValidity, at.Format(time.RFC3339),
			certificate.NotBefore.Format(time.RFC3339), certificate.NotAfter.Format(time.RFC3339))
	}
	if roots != nil {
		if err := signature.CheckIssuer(certificate, roots, at); err != nil {
			return nil, fmt.Errorf("verify the license: %w", err)
		}
	}
	return certificate, nil
}

// Opened is what a license keeps from those who have no passphrase.
type Opened struct {
	ContentKey lcpcrypto.ContentKey
	User       User // with its encrypted fields clear
}

// Open decrypts the license with the key of the user, which the profile in it
// derives from the passphrase. The errors wrap ErrPassphrase, where the key is
// that of another passphrase or profile, and ErrAlgorithm. Where only a field of
// the user does not decrypt, the content key comes with the error. Open verifies
// nothing: see Verify.
func (d *Document) Open(key lcpcrypto.UserKey) (Opened, error) {
	if a := d.Encryption.ContentKey.Algorithm; a != AES256CBC {
		return Opened{}, fmt.Errorf("%w %q", ErrAlgorithm, a)
	}
	// CBC tells a wrong key by its padding only, and once in 16 times not even by
	// that; the id within decides.
	id, err := lcpcrypto.Decrypt(key, d.Encryption.UserKey.KeyCheck)
	if err != nil || string(id) != d.ID {
		return Opened{}, ErrPassphrase
	}
	plain, err := lcpcrypto.Decrypt(key, d.Encryption.ContentKey.EncryptedValue)
	if err != nil {
		return Opened{}, fmt.Errorf("decrypt the content key: %w", err)
	}
	var o Opened
	if o.ContentKey, err = lcpcrypto.ContentKeyFromBytes(plain); err != nil {
		return Opened{}, fmt.Errorf("decrypt the content key: %w", err)
	}
	o.User, err = d.User.decrypt(key)
	return o, err
}
