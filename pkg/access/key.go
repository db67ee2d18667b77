package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
)

// keyPrefix marks keys, so that people and secret scanners recognize one.
const keyPrefix = "lcp_"

// NewKey returns a random key for a program. It is shown once; HashKey of it is
// what is kept. Its 160 bits need no slow hash.
func NewKey() string {
	b := make([]byte, 20)
	rand.Read(b) // never returns an error
	return keyPrefix + base32.StdEncoding.EncodeToString(b)
}

// NewPassword returns a random password, for a user made by the program.
func NewPassword() string {
	b := make([]byte, 15)
	rand.Read(b) // never returns an error
	return base32.StdEncoding.EncodeToString(b)
}

// HashKey returns the SHA-256 of a key. Looking it up reveals nothing by its
// timing: who does not know the key cannot choose its hash.
func HashKey(key string) [32]byte { return sha256.Sum256([]byte(key)) }
