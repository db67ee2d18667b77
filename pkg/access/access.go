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
	"slices"
	"strings"
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
	return "", errors.New("unknown role " + name + ": it is one of admin, publisher, issuer, viewer")
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
	Name string // of the user, or of the key
	Role Role
}

// Refusals of credentials.
var (
	ErrNoCredentials = errors.New("credentials are missing")
	ErrCredentials   = errors.New("credentials are wrong")
)

// A User is a person or program with a password.
type User struct {
	Name string
	Role Role
	Hash string // of the password, from HashPassword
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
	passwords *passwordCache
}

// NewAuthenticator returns an authenticator over a directory.
func NewAuthenticator(d Directory) *Authenticator {
	return &Authenticator{directory: d, passwords: newPasswordCache()}
}

// Basic recognizes a user by name and password. Wrong ones, and users that do
// not exist, take the same time and give the same ErrCredentials.
func (a *Authenticator) Basic(ctx context.Context, name, password string) (Principal, error) {
	user, ok, err := a.directory.User(ctx, name)
	if err != nil {
		return Principal{}, err
	}
	if !ok {
		a.passwords.waste(password)
		return Principal{}, ErrCredentials
	}
	if !a.passwords.verify(user.Hash, password) {
		return Principal{}, ErrCredentials
	}
	return Principal{Name: user.Name, Role: user.Role}, nil
}

// Bearer recognizes a program by its key.
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
