package keyring

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// KeySize is the length in bytes of a master key (AES-256).
const KeySize = 32

// maxKeys bounds how many keys a text or a file may hold.
const maxKeys = 64

// ErrKey says that a text is not a master key, or that there is none.
var ErrKey = errors.New("a master key is the standard base64 of 32 bytes")

// A Key is a master key. It does not print: use Base64 where the key itself is
// wanted.
type Key [KeySize]byte

// NewKey returns a random key.
func NewKey() Key {
	var k Key
	rand.Read(k[:]) // never returns an error
	return k
}

// Parse reads the master keys in text: each the standard base64 of 32 bytes,
// separated by commas, the primary one first. The error is ErrKey; it counts
// the keys and does not repeat them.
func Parse(text string) (*Keyring, error) {
	return parseKeys(strings.Split(text, ","))
}

// parseKeys makes a keyring of base64 texts, each of which may have white space
// around it.
func parseKeys(texts []string) (*Keyring, error) {
	if len(texts) > maxKeys {
		return nil, fmt.Errorf("%w: there are %d, at most %d are supported", ErrKey, len(texts), maxKeys)
	}
	keys := make([]Key, len(texts))
	for i, text := range texts {
		key, err := parseKey(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("master key %d of %d: %w", i+1, len(texts), err)
		}
		keys[i] = key
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: there is none", ErrKey)
	}
	return New(keys[0], keys[1:]...)
}

func parseKey(text string) (Key, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return Key{}, fmt.Errorf("%w: it is not base64", ErrKey)
	}
	if len(b) != KeySize {
		return Key{}, fmt.Errorf("%w: it has %d bytes", ErrKey, len(b))
	}
	return Key(b), nil
}

// Base64 reveals the key in the form that Parse reads.
func (k Key) Base64() string { return base64.StdEncoding.EncodeToString(k[:]) }

// String keeps the key out of logs and error messages.
func (Key) String() string { return "Key(redacted)" }

// GoString keeps the key out of %#v.
func (k Key) GoString() string { return k.String() }

// Format keeps the key out of every formatting verb, %x included.
func (k Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// LogValue implements slog.LogValuer.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON refuses: a master key is never part of a document by accident.
func (Key) MarshalJSON() ([]byte, error) {
	return nil, errors.New("master keys are not marshalled")
}
