package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/crypto/argon2"
)

// Cost of a password hash: RFC 9106 §4, the second recommended option, with
// less memory so that a small machine can serve several logins at once.
const (
	argonTime    = 3
	argonMemory  = 32 << 10 // KiB
	argonThreads = 1
	argonSalt    = 16
	argonKey     = 32
)

// MinPassword is the shortest password that can be set, in bytes.
const MinPassword = 8

// HashPassword returns the Argon2id hash of a password in the PHC string format.
func HashPassword(password string) string {
	salt := make([]byte, argonSalt)
	rand.Read(salt) //nolint:errcheck // crypto/rand.Read never returns an error
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, argonMemory, argonTime, argonThreads, enc.EncodeToString(salt), enc.EncodeToString(key))
}

var errHash = errors.New("not a password hash")

// VerifyPassword reports whether hash is that of the password. A malformed hash
// is that of none.
func VerifyPassword(hash, password string) bool {
	salt, want, p, err := parseHash(hash)
	if err != nil {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, p.time, p.memory, p.threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}

type argonParameters struct {
	time, memory uint32
	threads      uint8
}

func parseHash(hash string) (salt, key []byte, p argonParameters, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return nil, nil, p, errHash
	}
	var version int
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return nil, nil, p, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil {
		return nil, nil, p, errHash
	}
	const maxMemory, maxTime = 1 << 20, 32 // a hash must not exhaust the machine
	if p.memory == 0 || p.memory > maxMemory || p.time == 0 || p.time > maxTime || p.threads == 0 {
		return nil, nil, p, errHash
	}
	enc := base64.RawStdEncoding
	salt, err = enc.DecodeString(parts[4])
	if err == nil {
		key, err = enc.DecodeString(parts[5])
	}
	if err != nil || len(salt) < 8 || len(key) < 16 || len(key) > 64 {
		return nil, nil, p, errHash
	}
	return salt, key, p, nil
}

// A passwordCache remembers which passwords were right, so that a program that
// sends its password with every request is not hashed for tens of milliseconds
// each time. It keeps no password: only a MAC under a key that lives as long as
// the process. A changed hash is another entry, so that a new password takes
// effect at once.
type passwordCache struct {
	key [32]byte

	mu    sync.Mutex
	right map[[32]byte]struct{} // guarded by mu

	// hashing bounds how many passwords are hashed at once, and so the memory.
	hashing chan struct{}
}

const (
	maxRemembered = 1024
	maxHashing    = 2
)

func newPasswordCache() *passwordCache {
	c := &passwordCache{right: map[[32]byte]struct{}{}, hashing: make(chan struct{}, maxHashing)}
	rand.Read(c.key[:]) //nolint:errcheck // crypto/rand.Read never returns an error
	return c
}

func (c *passwordCache) verify(hash, password string) bool {
	mac := c.mac(hash, password)
	c.mu.Lock()
	_, right := c.right[mac]
	c.mu.Unlock()
	if right {
		return true
	}
	c.hashing <- struct{}{}
	right = VerifyPassword(hash, password)
	<-c.hashing
	if right {
		c.remember(mac)
	}
	return right
}

// waste takes the time of a verification, so that nobody learns which users
// there are.
func (c *passwordCache) waste(password string) {
	c.hashing <- struct{}{}
	argon2.IDKey([]byte(password), c.key[:argonSalt], argonTime, argonMemory, argonThreads, argonKey)
	<-c.hashing
}

func (c *passwordCache) mac(hash, password string) [32]byte {
	h := hmac.New(sha256.New, c.key[:])
	h.Write([]byte(hash))
	h.Write([]byte{0})
	h.Write([]byte(password))
	return [32]byte(h.Sum(nil))
}

func (c *passwordCache) remember(mac [32]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.right) >= maxRemembered {
		clear(c.right)
	}
	c.right[mac] = struct{}{}
}
