package access

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/argon2"
)

// Known answers of the reference implementation of Argon2 (phc-winner-argon2,
// src/test.c).
func TestVerifyVectors(t *testing.T) {
	t.Parallel()
	for hashed, password := range map[string]string{
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4":   "password",
		"$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc":   "password",
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$C4TWUs9rDEvq7w3+J4umqA32aWKB1+DSiRuBfYxFj94": "differentpassword",
	} {
		p := newPasswords()
		if right, err := p.verify(t.Context(), hashed, password); err != nil || !right {
			t.Errorf("verify(%s, %q) = %v, %v", hashed, password, right, err)
		}
		if right, err := p.verify(t.Context(), hashed, password+"x"); err != nil || right {
			t.Errorf("verify(%s, %q) = %v, %v", hashed, password+"x", right, err)
		}
	}
}

func TestHashPassword(t *testing.T) {
	t.Parallel()
	first, second := HashPassword("correct horse"), HashPassword("correct horse")
	if first == second {
		t.Error("two hashes of a password are equal: they have no salt")
	}
	if !strings.HasPrefix(first, "$argon2id$v=19$m=12288,t=3,p=1$") {
		t.Errorf("hash is %s", first)
	}
	p := newPasswords()
	if right, err := p.verify(t.Context(), first, "correct horse"); err != nil || !right {
		t.Errorf("verify = %v, %v", right, err)
	}
}

func TestParseHashRefuses(t *testing.T) {
	t.Parallel()
	const salt, key = "c29tZXNhbHQ", "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	long := base64.RawStdEncoding.EncodeToString(make([]byte, 65))
	good := "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$" + key
	if _, err := parseHash(good); err != nil {
		t.Fatalf("the hash that the others are made of is refused: %v", err)
	}
	for name, text := range map[string]string{
		"nothing":            "",
		"password":           "password",
		"dollars":            "$$$$$",
		"something before":   "x" + good,
		"something after":    good + "$",
		"line end":           good + "\n",
		"line end inside":    strings.Replace(good, salt, salt[:4]+"\n"+salt[4:], 1),
		"argon2i":            strings.Replace(good, "argon2id", "argon2i", 1),
		"bcrypt":             "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
		"old version":        strings.Replace(good, "v=19", "v=16", 1),
		"version and more":   strings.Replace(good, "v=19", "v=19x", 1),
		"parameters left":    strings.Replace(good, ",p=1", "", 1),
		"parameters more":    strings.Replace(good, "p=1", "p=1,keyid=1", 1),
		"parameters mixed":   strings.Replace(good, "m=256,t=2", "t=2,m=256", 1),
		"leading zero":       strings.Replace(good, "m=256", "m=0256", 1),
		"sign":               strings.Replace(good, "t=2", "t=+2", 1),
		"negative":           strings.Replace(good, "t=2", "t=-2", 1),
		"no passes":          strings.Replace(good, "t=2", "t=0", 1),
		"no memory":          strings.Replace(good, "m=256", "m=0", 1),
		"no threads":         strings.Replace(good, "p=1", "p=0", 1),
		"too little memory":  strings.Replace(good, "m=256,t=2,p=1", "m=15,t=2,p=2", 1),
		"absurd passes":      strings.Replace(good, "t=2", "t=4294967295", 1),
		"too many passes":    strings.Replace(good, "t=2", "t=4097", 1),
		"absurd memory":      strings.Replace(good, "m=256", "m=4294967295", 1),
		"too much memory":    strings.Replace(good, "m=256,t=2", "m=262145,t=1", 1),
		"too much work":      strings.Replace(good, "m=256,t=2", "m=262144,t=5", 1),
		"too many threads":   strings.Replace(good, "p=1", "p=17", 1),
		"number beyond 32":   strings.Replace(good, "m=256", "m=4294967552", 1), // 2^32 + 256
		"threads beyond 8":   strings.Replace(good, "p=1", "p=257", 1),
		"no salt":            strings.Replace(good, salt, "", 1),
		"short salt":         strings.Replace(good, salt, "c29tZXNh", 1),
		"long salt":          strings.Replace(good, salt, long, 1),
		"no key":             strings.Replace(good, key, "", 1),
		"short key":          strings.Replace(good, key, "nf65EOgLrQMR", 1),
		"long key":           strings.Replace(good, key, long, 1),
		"padded base64":      good + "=",
		"URL base64":         strings.Replace(good, "/", "_", 1),
		"stray bits":         strings.Replace(good, salt, salt[:10]+"R", 1),
		"longer than a hash": good + strings.Repeat("A", 1000),
	} {
		if h, err := parseHash(text); !errors.Is(err, errHash) {
			t.Errorf("%s: parseHash(%q) = %v, %v, want %v", name, text, h, err, errHash)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")
	f.Add(newHash().String())
	f.Add("$argon2id$v=19$m=4294967295,t=1,p=255$c29tZXNhbHQ$")
	f.Add("$argon2i$v=19$m=1,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHash(text)
		if err != nil {
			return
		}
		if h.String() != text {
			t.Errorf("parseHash(%q) gives %q", text, h)
		}
		if h.memory > maxMemory || uint64(h.memory)*uint64(h.time) > maxWork || h.threads > maxThreads ||
			len(h.key) > maxHashedKey || len(h.salt) > maxHashedSalt {
			t.Errorf("parseHash(%q) accepts what costs too much", text)
		}
		if h.memory < 1<<10 && h.time < 4 { // what is accepted can be computed
			if got := h.derive("password"); len(got) != len(h.key) {
				t.Errorf("%s has a key of %d bytes, want %d", text, len(got), len(h.key))
			}
		}
	})
}

// users is a directory that knows users only.
type users map[string]User

func (d users) User(_ context.Context, name string) (User, bool, error) {
	u, ok := d[name]
	return u, ok, nil
}

func (users) Key(context.Context, [32]byte) (Principal, bool, error) { return Principal{}, false, nil }

// Nobody learns from the time of an answer which users there are: whoever is
// refused, the same hash is computed and compared.
func TestRefusalsTakeTheSameWork(t *testing.T) {
	t.Parallel()
	a := NewAuthenticator(users{
		"ada":    {Name: "ada", Role: Admin, Hash: HashPassword("correct horse")},
		"broken": {Name: "broken", Role: Admin, Hash: "not a hash"},
	}, nil)
	var work []string
	a.passwords.derive = func(h hash, password string) []byte {
		work = append(work, fmt.Sprintf("m=%d t=%d p=%d salt=%d key=%d %s", h.memory, h.time, h.threads, len(h.salt), len(h.key), password))
		return make([]byte, len(h.key))
	}
	compare := a.passwords.compare
	a.passwords.compare = func(x, y []byte) int {
		work = append(work, fmt.Sprintf("compare %d with %d", len(x), len(y)))
		return compare(x, y)
	}
	const want = "m=12288 t=3 p=1 salt=16 key=32 guess; compare 32 with 32"
	for _, name := range []string{"ada", "eve", "broken", ""} {
		work = nil
		if _, err := a.Basic(t.Context(), "", name, "guess"); !errors.Is(err, ErrCredentials) {
			t.Errorf("%q: error = %v, want %v", name, err, ErrCredentials)
		}
		if got := strings.Join(work, "; "); got != want {
			t.Errorf("%q: work is %q, want %q", name, got, want)
		}
	}
}

// Keys are compared by what newPasswords says, which is in constant time, and by
// nothing else.
func TestCompareDecides(t *testing.T) {
	t.Parallel()
	p := newPasswords()
	h := hash{time: 1, memory: 8, threads: 1, salt: []byte("somesalt")}
	h.key = argon2.IDKey([]byte("right"), h.salt, 1, 8, 1, 32)
	var result int
	p.compare = func(x, y []byte) int { return result }
	for password, equal := range map[string]int{"right": 0, "wrong": 1} {
		result = equal
		if right, err := p.verify(t.Context(), h.String(), password); err != nil || right != (equal == 1) {
			t.Errorf("verify(%s) = %v, %v though the comparison says %d", password, right, err, equal)
		}
	}
}

func TestRememberedIsBounded(t *testing.T) {
	t.Parallel()
	p := newPasswords()
	for i := range 5 * maxRemembered {
		password := strconv.Itoa(i)
		p.remember(p.mac(p.nobody, password))
		if !p.remembers(p.nobody, password) {
			t.Fatalf("password %d is forgotten at once", i)
		}
	}
	if len(p.right) != maxRemembered {
		t.Errorf("%d passwords are remembered, want %d", len(p.right), maxRemembered)
	}
}

// Passwords, hashes and users are told apart.
func TestMAC(t *testing.T) {
	t.Parallel()
	p, q := newPasswords(), newPasswords()
	seen := map[[32]byte]string{}
	for name, mac := range map[string][32]byte{
		"ab, c": p.mac("ab", "c"), "a, bc": p.mac("a", "bc"), "abc, ": p.mac("abc", ""), ", abc": p.mac("", "abc"),
		"another process": q.mac("ab", "c"),
	} {
		if other, dup := seen[mac]; dup {
			t.Errorf("%q and %q have the same MAC", name, other)
		}
		seen[mac] = name
	}
}

// Hashing takes 32 MiB: few are at work at a time, a bounded number waits, and
// who gives up does not.
func TestHashingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPasswords()
		release := make(chan struct{})
		var atWork, most atomic.Int32
		p.derive = func(h hash, _ string) []byte {
			most.Store(max(most.Load(), atWork.Add(1)))
			<-release
			atWork.Add(-1)
			return make([]byte, len(h.key))
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("client is gone")
		var wg sync.WaitGroup
		for i := range maxHashing + maxWaiting {
			wg.Go(func() {
				right, err := p.verify(ctx, p.nobody, strconv.Itoa(i))
				if right || err != nil && !errors.Is(err, gone) {
					t.Errorf("verify = %v, %v", right, err)
				}
			})
		}
		synctest.Wait()
		if _, err := p.verify(t.Context(), p.nobody, "one more"); !errors.Is(err, ErrTooMany) {
			t.Errorf("one more than may wait: error = %v, want %v", err, ErrTooMany)
		}
		cancel(gone)
		synctest.Wait()
		if len(p.waiting) != 0 {
			t.Errorf("%d still wait though all gave up", len(p.waiting))
		}
		close(release)
		wg.Wait()
		if got := most.Load(); got != maxHashing {
			t.Errorf("%d passwords were hashed at once, want %d", got, maxHashing)
		}
	})
}

// A program that starts with many requests at once has its password hashed about
// once, not once for each.
func TestHashingSharesWhatIsFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPasswords()
		release := make(chan struct{})
		var hashed atomic.Int32
		p.derive = func(h hash, _ string) []byte {
			hashed.Add(1)
			<-release
			return h.key
		}
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				if right, err := p.verify(t.Context(), p.nobody, "password"); err != nil || !right {
					t.Errorf("verify = %v, %v", right, err)
				}
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if got := hashed.Load(); got > maxHashing {
			t.Errorf("the password was hashed %d times", got)
		}
	})
}
