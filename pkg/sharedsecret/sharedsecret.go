// Package sharedsecret holds the secrets that a provider's backend and this
// program share: the backend signs the tokens with which it authorizes the
// delivery of licenses, and verifies who asks it by callback (HMAC, RFC 2104).
//
// A provider has several at a time, told apart by key identifiers, so that one
// follows the other without a gap: a new one is pending until the backend has it,
// then active, then good for verifying what is still under way, and in the end
// revoked. What is signed, and where secrets are kept, is not known here.
package sharedsecret

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// An Algorithm is the HMAC that tokens are signed with (RFC 7518 §3.2). It
// belongs to the secret: a token cannot choose it (RFC 8725 §3.1).
type Algorithm string

// The algorithms of tokens.
const (
	HS256 Algorithm = "HS256"
	HS384 Algorithm = "HS384"
	HS512 Algorithm = "HS512"
)

// ParseAlgorithm reads the name of an algorithm.
func ParseAlgorithm(name string) (Algorithm, error) {
	if a := Algorithm(name); a.MinSize() > 0 {
		return a, nil
	}
	return "", fmt.Errorf("unknown algorithm %q: it must be %s, %s or %s", name, HS256, HS384, HS512)
}

// MinSize is the least number of bytes of a secret, the size of the hash
// (RFC 7518 §3.2), or 0 for an unknown algorithm.
func (a Algorithm) MinSize() int {
	switch a {
	case HS256:
		return 32
	case HS384:
		return 48
	case HS512:
		return 64
	}
	return 0
}

// maxSize bounds a secret in bytes.
const maxSize = 256

// A State says what a secret is good for.
type State string

// The states, in their order. A secret never goes back.
const (
	Pending    State = "pending"     // the backend is being told of it; good for nothing yet
	Active     State = "active"      // signs and verifies
	VerifyOnly State = "verify-only" // verifies what was signed before
	Revoked    State = "revoked"     // good for nothing any more
)

var states = []State{Pending, Active, VerifyOnly, Revoked}

// ParseState reads the name of a state.
func ParseState(name string) (State, error) {
	if s := State(name); slices.Contains(states, s) {
		return s, nil
	}
	return "", fmt.Errorf("unknown state of secrets %q: it must be one of %s", name, states)
}

// Verifies reports whether tokens signed with a secret in that state are good.
func (s State) Verifies() bool { return s == Active || s == VerifyOnly }

// A Secret is one secret of a provider. Its value does not print.
type Secret struct {
	Provider  string // whose it is
	KeyID     string // the kid of tokens, unique for the provider
	Algorithm Algorithm
	State     State
	Value     Value
	Created   time.Time
	Activated time.Time // zero: never
	Changed   time.Time // when it came to its present state
}

// Generate returns a new random secret, pending, with a random key identifier.
// It is as long as the algorithm wants it.
func Generate(provider string, a Algorithm, now time.Time) (Secret, error) {
	if a.MinSize() == 0 {
		_, err := ParseAlgorithm(string(a))
		return Secret{}, err
	}
	value := make([]byte, a.MinSize())
	rand.Read(value) // never returns an error
	id := make([]byte, 8)
	rand.Read(id)
	s := Secret{Provider: provider, KeyID: hex.EncodeToString(id), Algorithm: a, State: Pending, Created: now, Changed: now}
	s.Value = owned(value)
	return s, nil
}

// Check refuses a secret that must not be used: one too short for its algorithm,
// or with a key identifier that is not 1 to 64 letters, digits, dots, hyphens
// and underscores of ASCII.
func (s Secret) Check() error {
	if _, err := ParseAlgorithm(string(s.Algorithm)); err != nil {
		return err
	}
	if _, err := ParseState(string(s.State)); err != nil {
		return err
	}
	if err := CheckKeyID(s.KeyID); err != nil {
		return err
	}
	switch n := s.Value.size(); {
	case n < s.Algorithm.MinSize():
		return fmt.Errorf("secret %q has %d bytes, and %s wants %d or more", s.KeyID, n, s.Algorithm, s.Algorithm.MinSize())
	case n > maxSize:
		return fmt.Errorf("secret %q has %d bytes, and %d are the most", s.KeyID, n, maxSize)
	}
	return nil
}

// CheckKeyID accepts what a key identifier can be, see Check.
func CheckKeyID(id string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	if id == "" || len(id) > 64 || strings.Trim(id, letters) != "" {
		return errors.New("key identifier is not 1 to 64 letters, digits, dots, hyphens and underscores")
	}
	return nil
}

// SHA256 returns the HMAC-SHA-256 of a message under the secret.
func (s Secret) SHA256(message ...[]byte) []byte {
	h := hmac.New(sha256.New, s.Value.Bytes())
	for _, part := range message {
		h.Write(part)
	}
	return h.Sum(nil)
}

// A Value is the secret itself. It does not print, not even as part of another
// value that prints its fields; Hex shows it where that is wanted.
type Value struct {
	// A function, of which fmt prints the address even in an unexported field,
	// where it does not ask for Format.
	bytes func() []byte
}

// NewValue returns a value of those bytes, which it copies.
func NewValue(secret []byte) Value {
	return owned(slices.Clone(secret))
}

func owned(secret []byte) Value { return Value{func() []byte { return secret }} }

// ParseValue reads a value from hexadecimal digits in either case. The error
// does not show them.
func ParseValue(digits string) (Value, error) {
	b, err := hex.DecodeString(strings.TrimSpace(digits))
	if err != nil || len(b) == 0 || len(b) > maxSize {
		return Value{}, fmt.Errorf("secret is not an even number of hexadecimal digits, %d at most", 2*maxSize)
	}
	return owned(b), nil
}

// Bytes returns the secret, to be used and not to be kept or changed.
func (v Value) Bytes() []byte {
	if v.bytes == nil {
		return nil
	}
	return v.bytes()
}

func (v Value) size() int { return len(v.Bytes()) }

// Hex returns the secret as lower-case hexadecimal digits, to be shown once to
// whoever sets up the backend.
func (v Value) Hex() string { return hex.EncodeToString(v.Bytes()) }

const redacted = "sharedsecret.Value(redacted)"

// String keeps the secret out of logs and error messages.
func (Value) String() string { return redacted }

// Format keeps it out of every formatting verb.
func (Value) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// LogValue implements slog.LogValuer.
func (Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON keeps the secret out of JSON, as it would be in a reply or a log.
func (Value) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
