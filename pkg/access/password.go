package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/crypto/argon2"
)

// Cost of a password hash: one of those that the OWASP Password Storage Cheat Sheet
// recommends as the least of Argon2id, and among those, which take the same effort
// to guess, one of little memory: it is several times what a license server keeps.
const (
	argonTime    = 3
	argonMemory  = 12 << 10 // KiB
	argonThreads = 1
	argonSalt    = 16
	argonKey     = 32
)

// MinPassword is the shortest password that can be set, in bytes.
const MinPassword = 8

// HashPassword returns the Argon2id hash of a password in the PHC string format.
func HashPassword(password string) string {
	h := newHash()
	h.key = h.derive(password)
	return h.String()
}

var errHash = errors.New("not an Argon2id hash that can be checked here")

// A hash is a salted Argon2id hash of a password (RFC 9106).
type hash struct {
	time, memory uint32 // passes, and KiB
	threads      uint8
	salt, key    []byte
}

// newHash returns a hash of the usual cost with a new salt and a random key,
// which is that of no password.
func newHash() hash {
	random := make([]byte, argonSalt+argonKey)
	rand.Read(random) // never returns an error
	return hash{argonTime, argonMemory, argonThreads, random[:argonSalt:argonSalt], random[argonSalt:]}
}

// derive returns the key that a password has with this salt and cost.
func (h hash) derive(password string) []byte {
	key := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.key)))
	// The memory for that is several times what else a license server keeps. A
	// collection meanwhile has taken it for live and lets the heap grow to twice as
	// much, unless there is another one now.
	runtime.GC()
	return key
}

// String returns the hash in the PHC string format, as
// $argon2id$v=19$m=12288,t=3,p=1$SALT$KEY with salt and key in base64.
func (h hash) String() string {
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, h.memory, h.time, h.threads, enc.EncodeToString(h.salt), enc.EncodeToString(h.key))
}

// Bounds of what a hash may ask for: it must not exhaust the machine. One is
// computed at a time (maxHashing).
const (
	maxHash       = 512       // bytes of text
	maxMemory     = 256 << 10 // KiB
	maxWork       = 1 << 20   // KiB times passes
	maxThreads    = 16
	minHashedSalt = 8
	maxHashedSalt = 64
	minHashedKey  = 16
	maxHashedKey  = 64
)

// parseHash reads a hash as String writes it, and in no other form. The error is
// errHash; a hash that would be too costly is refused too.
func parseHash(text string) (hash, error) {
	var h hash
	parts := strings.Split(text[:min(len(text), maxHash)], "$")
	if len(parts) != 6 {
		return h, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil {
		return h, errHash
	}
	var err error
	if h.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return h, errHash
	}
	if h.key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil {
		return h, errHash
	}
	if !h.reasonable() || h.String() != text {
		return hash{}, errHash
	}
	return h, nil
}

// reasonable reports whether a hash can be computed, at a cost within bounds.
func (h hash) reasonable() bool {
	return h.threads >= 1 && h.threads <= maxThreads &&
		h.memory >= 8*uint32(h.threads) && h.memory <= maxMemory && // RFC 9106 §3.1
		h.time >= 1 && uint64(h.time)*uint64(h.memory) <= maxWork &&
		len(h.salt) >= minHashedSalt && len(h.salt) <= maxHashedSalt &&
		len(h.key) >= minHashedKey && len(h.key) <= maxHashedKey
}

// passwords verifies passwords and remembers which were right, so that a program
// that sends its password with every request is not hashed for tens of
// milliseconds each time. It keeps no password: only a MAC under a key that lives
// as long as the process. A changed hash gives another MAC, so that a new
// password takes effect at once.
type passwords struct {
	macKey [32]byte
	nobody string // hash for users that do not exist: no password has it

	derive  func(h hash, password string) []byte // hash.derive, but for tests
	compare func(x, y []byte) int                // in constant time

	waiting chan struct{} // bounds how many wait, and so how long
	hashing chan struct{} // bounds how many are hashed at once, and so the memory

	mu    sync.Mutex
	right map[[32]byte]struct{} // guarded by mu
}

const (
	maxRemembered = 1024
	maxHashing    = 1 // 12 MiB for 20 ms
	maxWaiting    = 128
)

func newPasswords() *passwords {
	p := &passwords{
		nobody: newHash().String(),
		derive: hash.derive, compare: subtle.ConstantTimeCompare,
		waiting: make(chan struct{}, maxWaiting), hashing: make(chan struct{}, maxHashing),
		right: map[[32]byte]struct{}{},
	}
	rand.Read(p.macKey[:]) // never returns an error
	return p
}

// remembers reports whether the password was found right for this hash before.
func (p *passwords) remembers(hashed, password string) bool {
	mac := p.mac(hashed, password)
	p.mu.Lock()
	defer p.mu.Unlock()
	_, right := p.right[mac]
	return right
}

// verify reports whether the password has this hash. A malformed hash is that of
// none, which takes the same work. The errors are ErrTooMany and those of ctx.
func (p *passwords) verify(ctx context.Context, hashed, password string) (bool, error) {
	h, err := parseHash(hashed)
	if err != nil {
		hashed = p.nobody
		if h, err = parseHash(hashed); err != nil {
			return false, err
		}
	}
	leave, err := p.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	if p.remembers(hashed, password) { // found out by another request meanwhile
		return true, nil
	}
	right := p.compare(p.derive(h, password), h.key) == 1
	if right {
		p.remember(p.mac(hashed, password))
	}
	return right, nil
}

// enter waits for its turn to hash. The caller calls leave afterwards.
func (p *passwords) enter(ctx context.Context) (leave func(), err error) {
	select {
	case p.waiting <- struct{}{}:
		defer func() { <-p.waiting }()
	default:
		return nil, ErrTooMany
	}
	select {
	case p.hashing <- struct{}{}:
		return func() { <-p.hashing }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// mac stands for a hash and a password. A hash has no NUL, so that the two are
// told apart. The key goes before them and the sums stay here, so that plain
// SHA-256 does: there is nothing to extend.
func (p *passwords) mac(hashed, password string) [32]byte {
	var room [256]byte
	text := append(room[:0], p.macKey[:]...)
	text = append(text, hashed...)
	text = append(text, 0)
	return sha256.Sum256(append(text, password...))
}

// remember keeps a MAC. Where there are too many, some other one gives way and
// costs its owner one more hash.
func (p *passwords) remember(mac [32]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.right) >= maxRemembered {
		for other := range p.right {
			delete(p.right, other)
			break
		}
	}
	p.right[mac] = struct{}{}
}
