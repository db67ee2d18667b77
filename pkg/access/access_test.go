package access_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/access"
)

// Hashes of the reference implementation of Argon2 (phc-winner-argon2,
// src/test.c), cheap ones.
const (
	cheapPassword = "password"
	cheapHash     = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	otherPassword = "correct horse"
)

// directory is a Directory of few.
type directory struct {
	users map[string]access.User
	keys  map[[32]byte]access.Principal
	err   error
	asked int
}

func (d *directory) User(_ context.Context, name string) (access.User, bool, error) {
	u, ok := d.users[name]
	return u, ok, d.err
}

func (d *directory) Key(_ context.Context, hash [32]byte) (access.Principal, bool, error) {
	d.asked++
	p, ok := d.keys[hash]
	return p, ok, d.err
}

func newDirectory() *directory {
	return &directory{users: map[string]access.User{
		"ada":    {Name: "ada", Role: access.Issuer, Hash: cheapHash},
		"broken": {Name: "broken", Role: access.Admin, Hash: "password"},
		"empty":  {Name: "empty", Role: access.Admin},
	}}
}

func TestMay(t *testing.T) {
	t.Parallel()
	actions := []access.Action{
		access.ReadPublications, access.WritePublications, access.ReadContentKeys, access.ReadLicenses, access.IssueLicenses,
		access.WriteLicenses, access.RevokeLicenses, access.ReadFigures, access.Administer,
	}
	for role, allowed := range map[access.Role][]access.Action{
		access.Admin:     actions,
		access.Publisher: {access.ReadPublications, access.WritePublications, access.ReadContentKeys},
		access.Issuer:    {access.ReadPublications, access.ReadLicenses, access.IssueLicenses, access.RevokeLicenses},
		access.Viewer:    {access.ReadPublications, access.ReadLicenses, access.ReadFigures},
		"":               nil,
		"Admin":          nil,
	} {
		for _, action := range actions {
			if got, want := access.May(role, action), slices.Contains(allowed, action); got != want {
				t.Errorf("May(%q, action %d) = %v, want %v", role, action, got, want)
			}
		}
	}
}

func TestParseRole(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"admin", "publisher", "issuer", "viewer"} {
		if got, err := access.ParseRole(name); err != nil || string(got) != name {
			t.Errorf("ParseRole(%q) = %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "Admin", "root", "admin "} {
		if got, err := access.ParseRole(name); err == nil {
			t.Errorf("ParseRole(%q) = %q, want an error", name, got)
		}
	}
}

func TestBasic(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		name, password string
		err            error
	}{
		"right password":          {name: "ada", password: cheapPassword},
		"wrong password":          {name: "ada", password: otherPassword, err: access.ErrCredentials},
		"empty password":          {name: "ada", err: access.ErrCredentials},
		"longer password":         {name: "ada", password: cheapPassword + "\x00", err: access.ErrCredentials},
		"nobody":                  {name: "eve", password: cheapPassword, err: access.ErrCredentials},
		"name in another case":    {name: "Ada", password: cheapPassword, err: access.ErrCredentials},
		"hash that is none":       {name: "broken", password: cheapPassword, err: access.ErrCredentials},
		"user without a password": {name: "empty", err: access.ErrCredentials},
	}
	a := access.NewAuthenticator(newDirectory(), nil)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 2 { // the second time from memory
				got, err := a.Basic(t.Context(), "", tt.name, tt.password)
				if !errors.Is(err, tt.err) {
					t.Fatalf("error = %v, want %v", err, tt.err)
				}
				want := access.Principal{}
				if tt.err == nil {
					want = access.Principal{Name: "ada", Role: access.Issuer}
				}
				if got != want {
					t.Errorf("principal = %v, want %v", got, want)
				}
			}
		})
	}
}

// What the directory says counts at once, whatever was right before.
func TestBasicChangedUser(t *testing.T) {
	t.Parallel()
	d := newDirectory()
	a := access.NewAuthenticator(d, nil)
	check := func(password string, want access.Principal, wantErr error) {
		t.Helper()
		if got, err := a.Basic(t.Context(), "", "ada", password); got != want || !errors.Is(err, wantErr) {
			t.Errorf("Basic(%q) = %v, %v, want %v, %v", password, got, err, want, wantErr)
		}
	}
	check(cheapPassword, access.Principal{Name: "ada", Role: access.Issuer}, nil)

	d.users["ada"] = access.User{Name: "ada", Role: access.Viewer, Hash: cheapHash}
	check(cheapPassword, access.Principal{Name: "ada", Role: access.Viewer}, nil)

	d.users["ada"] = access.User{Name: "ada", Role: access.Viewer, Hash: access.HashPassword(otherPassword)}
	check(cheapPassword, access.Principal{}, access.ErrCredentials)
	check(otherPassword, access.Principal{Name: "ada", Role: access.Viewer}, nil)

	delete(d.users, "ada")
	check(otherPassword, access.Principal{}, access.ErrCredentials)

	d.err = errors.New("database is gone")
	check(otherPassword, access.Principal{}, d.err)
}

func TestGuessing(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	d := newDirectory()
	d.users["bob"] = access.User{Name: "bob", Role: access.Viewer, Hash: access.HashPassword(otherPassword)}
	a := access.NewAuthenticator(d, access.NewLimiter(3.0/60, 3, func() time.Time { return now }))
	try := func(from, name, password string, want error) {
		t.Helper()
		if _, err := a.Basic(t.Context(), from, name, password); !errors.Is(err, want) {
			t.Errorf("Basic from %s as %s = %v, want %v", from, name, err, want)
		}
	}
	for range 10 {
		try("10.0.0.1", "ada", cheapPassword, nil) // what is right costs nothing
	}
	for _, name := range []string{"ada", "eve", "broken"} {
		try("10.0.0.1", name, "guess", access.ErrCredentials)
	}
	try("10.0.0.1", "bob", "guess", access.ErrTooMany)
	try("10.0.0.1", "bob", otherPassword, access.ErrTooMany) // or guessing would go on
	try("10.0.0.1", "ada", cheapPassword, nil)               // known to be right
	try("10.0.0.2", "bob", otherPassword, nil)
	try("10.0.0.1", "bob", otherPassword, nil) // and now so is this
	now = now.Add(20 * time.Second)
	try("10.0.0.1", "bob", "guess", access.ErrCredentials)
	try("10.0.0.1", "bob", "guess", access.ErrTooMany)
}

// Many guesses at once are counted before any is looked at.
func TestGuessingAtOnce(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	a := access.NewAuthenticator(newDirectory(), access.NewLimiter(1, 5, func() time.Time { return now }))
	var wg sync.WaitGroup
	var mu sync.Mutex
	count := map[error]int{}
	for i := range 64 {
		wg.Go(func() {
			_, err := a.Basic(t.Context(), "10.0.0.1", "ada", "guess "+strconv.Itoa(i))
			mu.Lock()
			defer mu.Unlock()
			count[err]++
		})
	}
	wg.Wait()
	if count[access.ErrCredentials] != 5 || count[access.ErrTooMany] != 59 {
		t.Errorf("64 guesses at once gave %v, want 5 wrong and 59 too many", count)
	}
}

// The connections of one program, which come back together when the server was
// started again, are no guesses.
func TestOnePasswordAtOnce(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	a := access.NewAuthenticator(newDirectory(), access.NewLimiter(1, 5, func() time.Time { return now }))
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if p, err := a.Basic(t.Context(), "10.0.0.1", "ada", cheapPassword); err != nil || p.Name != "ada" {
				t.Errorf("Basic = %v, %v", p, err)
			}
		})
	}
	wg.Wait()
}

func TestBearer(t *testing.T) {
	t.Parallel()
	key := access.NewKey()
	shop := access.Principal{Name: "shop", Role: access.Issuer}
	d := &directory{keys: map[[32]byte]access.Principal{
		access.HashKey(key):   shop,
		access.HashKey("abc"): {Name: "no key", Role: access.Admin},
	}}
	a := access.NewAuthenticator(d, nil)
	if got, err := a.Bearer(t.Context(), key); err != nil || got != shop {
		t.Errorf("Bearer(key) = %v, %v", got, err)
	}
	if got, err := a.Bearer(t.Context(), access.NewKey()); !errors.Is(err, access.ErrCredentials) || got != (access.Principal{}) {
		t.Errorf("Bearer(another key) = %v, %v", got, err)
	}
	asked := d.asked
	for _, text := range []string{"", "abc", key[1:]} {
		if got, err := a.Bearer(t.Context(), text); !errors.Is(err, access.ErrCredentials) || got != (access.Principal{}) {
			t.Errorf("Bearer(%q) = %v, %v", text, got, err)
		}
	}
	if d.asked != asked {
		t.Error("the directory was asked for what is no key")
	}
	d.err = errors.New("database is gone")
	if got, err := a.Bearer(t.Context(), key); !errors.Is(err, d.err) || got != (access.Principal{}) {
		t.Errorf("Bearer without a database = %v, %v", got, err)
	}
}

func TestNewKey(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		make func() string
		form string
	}{
		"key":      {access.NewKey, `^lcp_[A-Z2-7]{32}$`},
		"password": {access.NewPassword, `^[A-Z2-7]{24}$`},
	} {
		seen := map[string]bool{}
		for range 100 {
			text := tt.make()
			if !regexp.MustCompile(tt.form).MatchString(text) {
				t.Errorf("%s %q is not of the form %s", name, text, tt.form)
			}
			seen[text] = true
		}
		if len(seen) != 100 {
			t.Errorf("100 times a new %s gave %d different ones", name, len(seen))
		}
	}
}

// FIPS 180-2, appendix B.1.
func TestHashKey(t *testing.T) {
	t.Parallel()
	got := access.HashKey("abc")
	if text := hex.EncodeToString(got[:]); text != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("HashKey(abc) = %s", text)
	}
	if got != sha256.Sum256([]byte("abc")) {
		t.Error("HashKey is not SHA-256")
	}
}

// A program sends its password with every request.
func BenchmarkBasic(b *testing.B) {
	d := &directory{users: map[string]access.User{"ada": {Name: "ada", Role: access.Issuer, Hash: access.HashPassword(otherPassword)}}}
	a := access.NewAuthenticator(d, access.NewLimiter(1, 10, time.Now))
	if _, err := a.Basic(b.Context(), "10.0.0.1", "ada", otherPassword); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := a.Basic(b.Context(), "10.0.0.1", "ada", otherPassword); err != nil {
			b.Fatal(err)
		}
	}
}
