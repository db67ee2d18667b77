package lcpcrypto

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
)

// KeySize is the length in bytes of content keys and user keys (AES-256).
const KeySize = 32

// ErrKeySize is returned for a key that is not exactly KeySize bytes long.
var ErrKeySize = errors.New("key is not 32 bytes long")

// A ContentKey encrypts the resources of one publication (LCP §1.2). It does
// not print: use Base64 where the key itself is wanted.
type ContentKey [KeySize]byte

// NewContentKey returns a random key.
func NewContentKey() ContentKey {
	var k ContentKey
	rand.Read(k[:]) // never fails
	return k
}

// ContentKeyFromBytes returns the key held in b, or ErrKeySize.
func ContentKeyFromBytes(b []byte) (ContentKey, error) {
	if len(b) != KeySize {
		return ContentKey{}, fmt.Errorf("%w: it has %d", ErrKeySize, len(b))
	}
	return ContentKey(b), nil
}

// ParseContentKey reads a key in standard Base64, as license servers exchange
// it. The error does not repeat the text.
func ParseContentKey(text string) (ContentKey, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ContentKey{}, errors.New("key is not standard base64")
	}
	return ContentKeyFromBytes(b)
}

// Base64 reveals the key in the form that license servers exchange.
func (k ContentKey) Base64() string { return base64.StdEncoding.EncodeToString(k[:]) }

// String keeps the key out of logs and error messages.
func (ContentKey) String() string { return "ContentKey(redacted)" }

// GoString keeps the key out of %#v.
func (k ContentKey) GoString() string { return k.String() }

// Format keeps the key out of every formatting verb, %x included.
func (k ContentKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// LogValue implements slog.LogValuer.
func (k ContentKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON refuses: a content key is never part of a document by accident.
func (ContentKey) MarshalJSON() ([]byte, error) {
	return nil, errors.New("content keys are not marshalled")
}

// A UserKey encrypts the content key and the user's fields of one license. It
// is the profile's transform of the hash of the passphrase (LCP §4.2).
type UserKey [KeySize]byte

// ParseUserKey reads 64 hexadecimal digits in either case. The error does not
// repeat the text.
func ParseUserKey(text string) (UserKey, error) {
	b, err := hex.DecodeString(text)
	if err != nil {
		return UserKey{}, errors.New("key is not hexadecimal")
	}
	if len(b) != KeySize {
		return UserKey{}, fmt.Errorf("%w: it has %d", ErrKeySize, len(b))
	}
	return UserKey(b), nil
}

// Hex reveals the key in hexadecimal.
func (k UserKey) Hex() string { return hex.EncodeToString(k[:]) }

// String keeps the key out of logs and error messages.
func (UserKey) String() string { return "UserKey(redacted)" }

// GoString keeps the key out of %#v.
func (k UserKey) GoString() string { return k.String() }

// Format keeps the key out of every formatting verb, %x included.
func (k UserKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// LogValue implements slog.LogValuer.
func (k UserKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON refuses: a user key is never part of a document by accident.
func (UserKey) MarshalJSON() ([]byte, error) {
	return nil, errors.New("user keys are not marshalled")
}
