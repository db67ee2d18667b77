// Package keyring seals the secrets that lcp keeps at rest: the content keys of
// publications and the secrets shared with providers (authenticated encryption
// under a master key, each secret bound to what it belongs to).
//
// A [Keyring] holds one master key or several. The first is the primary one,
// which seals; every one of them opens, so that a new primary can be put before
// the old key without a moment at which something cannot be read.
//
// The package knows nothing of what it seals, nor of databases. Where the master
// keys come from is the caller's choice: a file ([LoadOrCreate]), a text such as
// an environment variable holds ([Parse]), or keys that a key management
// service has unwrapped ([New]).
package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
)

var (
	// ErrUnknownKey says that the key an envelope was sealed under is not in
	// the keyring.
	ErrUnknownKey = errors.New("sealed under a master key that is not in the keyring")
	// ErrSealed says that what was given is not an envelope, that it was
	// altered, or that it was sealed for other associated data.
	ErrSealed = errors.New("sealed secret is damaged or belongs to something else")
)

// An envelope is the version, the identifier of the key, the nonce, then the
// ciphertext and its tag. Version and identifier are authenticated together
// with the associated data.
const (
	version    = 1
	idSize     = 8
	headerSize = 1 + idSize
	nonceSize  = 12
	tagSize    = 16
)

// A KeyID names a master key without telling anything about it. It is derived
// from the key, so the same key has the same name on every machine.
type KeyID [idSize]byte

// String returns the identifier as 16 hexadecimal digits.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// A Keyring seals under one master key and opens under several. It is safe for
// concurrent use and never changes.
type Keyring struct {
	masters []Key // the primary one first
	primary KeyID
	ids     []KeyID // the primary one first
	aeads   map[KeyID]cipher.AEAD
}

// New returns a keyring that seals under primary and opens under each of the
// keys. A key given twice counts once.
func New(primary Key, older ...Key) (*Keyring, error) {
	k := &Keyring{primary: primary.ID(), aeads: make(map[KeyID]cipher.AEAD)}
	for _, key := range append([]Key{primary}, older...) {
		id := key.ID()
		if _, ok := k.aeads[id]; ok {
			continue
		}
		aead, err := newAEAD(key)
		if err != nil {
			return nil, fmt.Errorf("master key %s: %w", id, err)
		}
		k.ids = append(k.ids, id)
		k.masters = append(k.masters, key)
		k.aeads[id] = aead
	}
	return k, nil
}

// newAEAD returns AES-256-GCM with a random nonce that it puts before the
// ciphertext. At 2³² sealed secrets per key the risk of a repeated nonce is
// still below 2⁻³² (NIST SP 800-38D §8.3); a catalogue stays far from that.
func newAEAD(key Key) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Seal returns plaintext encrypted under the primary key. It opens again only
// with the same associated data, such as the identifier of the record that the
// secret belongs to, so that two records cannot swap their secrets.
func (k *Keyring) Seal(plaintext, associatedData []byte) []byte {
	sealed := make([]byte, 0, headerSize+nonceSize+len(plaintext)+tagSize)
	sealed = append(sealed, version)
	sealed = append(sealed, k.primary[:]...)
	return k.aeads[k.primary].Seal(sealed, nil, plaintext, bind(sealed, associatedData)) //nolint:gosec // the nonce is random and not passed in
}

// Open returns the plaintext of an envelope that Seal made. It fails with
// ErrUnknownKey when the envelope's key is not in the keyring, and with
// ErrSealed for anything else.
func (k *Keyring) Open(sealed, associatedData []byte) ([]byte, error) {
	id, err := KeyOf(sealed)
	if err != nil {
		return nil, err
	}
	aead, ok := k.aeads[id]
	if !ok {
		return nil, fmt.Errorf("%w: it is %s", ErrUnknownKey, id)
	}
	header, body := sealed[:headerSize], sealed[headerSize:]
	plaintext, err := aead.Open(nil, nil, body, bind(header, associatedData))
	if err != nil {
		return nil, ErrSealed // the cause says no more
	}
	return plaintext, nil
}

// Stale reports whether sealed is under another key than the primary one, and
// so should be opened and sealed again. What is not an envelope is not stale.
func (k *Keyring) Stale(sealed []byte) bool {
	id, err := KeyOf(sealed)
	return err == nil && id != k.primary
}

// Keys returns the identifiers of the keys, the primary one first.
func (k *Keyring) Keys() []KeyID { return append([]KeyID(nil), k.ids...) }

// KeyOf returns the identifier of the key that sealed was sealed under. It reads
// the header alone: the rest may still turn out to be damaged. The error is
// ErrSealed.
func KeyOf(sealed []byte) (KeyID, error) {
	if len(sealed) < headerSize+nonceSize+tagSize {
		return KeyID{}, fmt.Errorf("%w: it is %d bytes long", ErrSealed, len(sealed))
	}
	if sealed[0] != version {
		return KeyID{}, fmt.Errorf("%w: its format is version %d, which this program does not know", ErrSealed, sealed[0])
	}
	return KeyID(sealed[1:headerSize]), nil
}

// bind puts the header of an envelope before its associated data. The header
// has a fixed length, so no two pairs give the same bytes.
func bind(header, associatedData []byte) []byte {
	return append(append(make([]byte, 0, len(header)+len(associatedData)), header...), associatedData...)
}

// String keeps the keys out of logs and error messages.
func (k *Keyring) String() string { return fmt.Sprintf("Keyring(%d keys, redacted)", len(k.ids)) }

// GoString keeps the keys out of %#v.
func (k *Keyring) GoString() string { return k.String() }

// Format keeps the keys out of every formatting verb.
func (k *Keyring) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// LogValue implements slog.LogValuer.
func (k *Keyring) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON refuses: a keyring is never part of a document by accident.
func (k *Keyring) MarshalJSON() ([]byte, error) {
	return nil, errors.New("keyrings are not marshalled")
}

// keyIDLabel separates the derivation of identifiers from every other use that
// a master key may be put to.
const keyIDLabel = "lcp master key identifier"

// ID returns the name of the key.
func (k Key) ID() KeyID {
	mac := hmac.New(sha256.New, k[:])
	mac.Write([]byte(keyIDLabel))
	return KeyID(mac.Sum(nil)[:idSize])
}

// Derive returns 32 bytes for another purpose than sealing, named by label, from
// the primary key (HKDF, RFC 5869). It is the same wherever the key is, and
// another one once the key is rotated.
func (k *Keyring) Derive(label string) []byte { return k.DeriveAll(label)[0] }

// DeriveAll is Derive from every master key, the primary one first: what was made
// with a key derived before a rotation is still recognized after it.
func (k *Keyring) DeriveAll(label string) [][]byte {
	all := make([][]byte, len(k.masters))
	for i, master := range k.masters {
		out, err := hkdf.Key(sha256.New, master[:], nil, label, KeySize)
		if err != nil {
			panic(err) // the length asked for is fixed and allowed
		}
		all[i] = out
	}
	return all
}
