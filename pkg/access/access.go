// Package access tells who calls the license server and what they may do: users
// with passwords, programs with keys, people at the dashboard with short-lived
// tokens, and the roles they have.
//
// It decides and knows no routes: a server asks Authenticate who is there and
// May what they may do. Where users and keys are kept is the caller's choice.
package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/singleflight"
)

// A Role is what a caller is for.
type Role string

// The roles. Each may do what its actions say, and no more.
const (
	Admin     Role = "admin"     // everything
	Publisher Role = "publisher" // registers publications, with their keys
	Issuer    Role = "issuer"    // issues licenses and revokes them
	Viewer    Role = "viewer"    // reads, but no keys
)

// ParseRole returns the role of that name.
func ParseRole(name string) (Role, error) {
	if r := Role(name); slices.Contains([]Role{Admin, Publisher, Issuer, Viewer}, r) {
		return r, nil
	}
	return "", fmt.Errorf("unknown role %q: it is one of admin, publisher, issuer, viewer", name)
}

// An Action is something that a caller may or may not do.
type Action int

// The actions that routes stand for.
const (
	ReadPublications Action = iota
	WritePublications
	ReadContentKeys // see the content key of a publication, to encrypt it again
	ReadLicenses
	IssueLicenses
	WriteLicenses // raw license records
	RevokeLicenses
	ReadFigures // dashboard and reports
	Administer  // users, keys
)

// May reports whether a role allows an action.
func May(r Role, a Action) bool {
	switch r {
	case Admin:
		return true
	case Publisher:
		return slices.Contains([]Action{ReadPublications, WritePublications, ReadContentKeys}, a)
	case Issuer:
		return slices.Contains([]Action{ReadPublications, ReadLicenses, IssueLicenses, RevokeLicenses}, a)
	case Viewer:
		return slices.Contains([]Action{ReadPublications, ReadLicenses, ReadFigures}, a)
	default:
		return false
	}
}

// A Principal is a caller who was recognized.
type Principal struct {
	Name     string // of the user, or of the key
	Role     Role
	Provider string // identifier of the provider whose matters alone it may see and do; "" for all
}

// Refusals of credentials.
var (
	ErrNoCredentials = errors.New("credentials are missing")
	ErrCredentials   = errors.New("credentials are wrong")
	// ErrTooMany refuses to look at credentials: too many wrong ones came from
	// there, or too many from everywhere are waiting to be looked at.
	ErrTooMany = errors.New("too many attempts, try again later")
)

// A User is a person or program with a password.
type User struct {
	Name string
	Role Role
	Hash string // of the password, from HashPassword

	Provider string // as of a Principal
}

// A Directory knows users and keys. A missing one is no error but a false.
type Directory interface {
	// User returns the user of that name.
	User(ctx context.Context, name string) (User, bool, error)
	// Key returns what the key with that SHA-256 stands for.
	Key(ctx context.Context, hash [32]byte) (Principal, bool, error)
}

// Authenticator recognizes callers by what they send. It is safe for concurrent
// use.
type Authenticator struct {
	directory Directory
	guesses   *Limiter // nil for no limit
	passwords *passwords
	attempts  singleflight.Group
}

// NewAuthenticator returns an authenticator over a directory. The limiter bounds
// how many wrong passwords may come from one place; nil is no limit.
func NewAuthenticator(d Directory, guesses *Limiter) *Authenticator {
	return &Authenticator{directory: d, guesses: guesses, passwords: newPasswords()}
}

// Basic recognizes a user by name and password; from is where they are, such as
// their address. Wrong passwords, and users that do not exist, take the same
// work and give the same ErrCredentials. ErrTooMany comes before any password
// was looked at, so that guessing on learns nothing. A password that was right
// before is not subject to it: who guesses does not shut out others at their
// address. Other errors are those of the directory and of ctx.
func (a *Authenticator) Basic(ctx context.Context, from, name, password string) (Principal, error) {
	user, known, err := a.directory.User(ctx, name)
	if err != nil {
		return Principal{}, err
	}
	if !known {
		user = User{Hash: a.passwords.nobody}
	}
	if !a.passwords.remembers(user.Hash, password) {
		if err := a.verifyOnce(ctx, from, user.Hash, password); err != nil {
			return Principal{}, err
		}
	}
	return Principal{Name: user.Name, Role: user.Role, Provider: user.Provider}, nil
}

// verifyOnce verifies a password once for all who send the same one from the same
// place at the same time: the many connections of a program, after the server was
// started again, are one attempt and not a guess each.
func (a *Authenticator) verifyOnce(ctx context.Context, from, hash, password string) error {
	mac := a.passwords.mac(hash, password)
	for {
		_, err, shared := a.attempts.Do(from+"\x00"+string(mac[:]), func() (any, error) {
			return nil, a.verify(ctx, from, hash, password)
		})
		if gone := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded); shared && gone && ctx.Err() == nil {
			continue // it was another one's request that ended
		}
		return err
	}
}

// verify hashes the password. The attempt is counted before, so that many at
// once cannot slip through together, and given back if the password is right.
func (a *Authenticator) verify(ctx context.Context, from, hash, password string) error {
	if !a.guesses.Allow(from) {
		return ErrTooMany
	}
	right, err := a.passwords.verify(ctx, hash, password)
	if right || err != nil {
		a.guesses.Refund(from)
	}
	switch {
	case err != nil:
		return err
	case !right:
		return ErrCredentials
	default:
		return nil
	}
}

// Bearer recognizes a program by its key. Keys are too long to be guessed, so
// that attempts need no limit. The errors are ErrCredentials and those of the
// directory.
func (a *Authenticator) Bearer(ctx context.Context, key string) (Principal, error) {
	if !strings.HasPrefix(key, keyPrefix) {
		return Principal{}, ErrCredentials
	}
	p, ok, err := a.directory.Key(ctx, HashKey(key))
	switch {
	case err != nil:
		return Principal{}, err
	case !ok:
		return Principal{}, ErrCredentials
	default:
		return p, nil
	}
}
