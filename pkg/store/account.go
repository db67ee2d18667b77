package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/access"
)

// Kinds of accounts.
const (
	KindUser = "user" // has a password
	KindKey  = "key"  // is a key
)

// An Account is a user or a key, without what it is recognized by.
type Account struct {
	Name      string
	Kind      string // KindUser or KindKey
	Role      access.Role
	Provider  string // whose it is, by identifier; "" for the whole server's
	CreatedAt time.Time
}

const (
	selectUser = "SELECT name, role, hash, provider FROM users WHERE name = ?"
	anyUser    = "SELECT COUNT(*) FROM (SELECT name FROM users LIMIT 1) one"
	insertUser = "INSERT INTO users (role, hash, provider, created_at, name) VALUES (?, ?, ?, ?, ?)"
	updateUser = "UPDATE users SET role = ?, hash = ?, provider = ? WHERE name = ?"
	deleteUser = "DELETE FROM users WHERE name = ?"
	selectKey  = "SELECT name, role, provider FROM api_keys WHERE hash = ?"
	takenKey   = "SELECT name FROM api_keys WHERE name = ? OR hash = ?"
	insertKey  = "INSERT INTO api_keys (name, role, provider, hash, created_at) VALUES (?, ?, ?, ?, ?)"
	deleteKey  = "DELETE FROM api_keys WHERE name = ?"
	listUsers  = "SELECT name, role, provider, created_at FROM users"
	listKeys   = "SELECT name, role, provider, created_at FROM api_keys"
	lockUsers  = "SELECT 1 FROM locks WHERE name = 'first user'"
)

var _ access.Directory = (*Store)(nil)

// User implements access.Directory. It asks the database each time, so that a
// user who is removed on one replica is unknown to all.
func (s *Store) User(ctx context.Context, name string) (access.User, bool, error) {
	u, err := selectOne(ctx, s.keyed(), func(r row) (u access.User, err error) {
		var role string
		err = r.Scan(&u.Name, &role, &u.Hash, &u.Provider)
		u.Role = access.Role(role)
		return u, err
	}, selectUser, name)
	return found(u, err, "find user")
}

// Key implements access.Directory, like User.
func (s *Store) Key(ctx context.Context, hash [32]byte) (access.Principal, bool, error) {
	p, err := selectOne(ctx, s.keyed(), func(r row) (p access.Principal, err error) {
		var role string
		err = r.Scan(&p.Name, &role, &p.Provider)
		p.Role = access.Role(role)
		return p, err
	}, selectKey, hex.EncodeToString(hash[:]))
	return found(p, err, "find key")
}

// found turns ErrNotFound into a false.
func found[T any](v T, err error, doing string) (T, bool, error) {
	var none T
	switch {
	case errors.Is(err, ErrNotFound):
		return none, false, nil
	case err != nil:
		return none, false, fmt.Errorf("%s: %w", doing, err)
	default:
		return v, true, nil
	}
}

// SaveUser adds a user, or replaces all that there is of one.
func (s *Store) SaveUser(ctx context.Context, u access.User) error {
	err := checkAccount(u.Name, u.Provider, u.Role)
	if err == nil {
		err = s.write(ctx, func(t tx) error {
			n, err := t.execCount(ctx, updateUser, u.Role, u.Hash, u.Provider, u.Name)
			if err != nil || n > 0 {
				return err
			}
			return s.insertUser(ctx, t, u)
		})
	}
	if err != nil {
		return fmt.Errorf("save user %q: %w", u.Name, err)
	}
	return nil
}

func (s *Store) insertUser(ctx context.Context, t tx, u access.User) error {
	return t.exec(ctx, insertUser, u.Role, u.Hash, u.Provider, s.time().UnixMilli(), u.Name)
}

// FirstUser adds a user if there is none at all, and says whether it did. Of
// several processes that ask at the same time one does.
func (s *Store) FirstUser(ctx context.Context, u access.User) (made bool, err error) {
	if err = checkAccount(u.Name, u.Provider, u.Role); err == nil {
		err = s.write(ctx, func(t tx) error {
			made = false
			if _, err := selectOne(ctx, t, scanCount, lockUsers+s.dialect.forUpdate); err != nil {
				return err
			}
			if n, err := selectOne(ctx, t, scanCount, anyUser); err != nil || n > 0 {
				return err
			}
			made = true
			return s.insertUser(ctx, t, u)
		})
	}
	if err != nil {
		return false, fmt.Errorf("add the first user: %w", err)
	}
	return made, nil
}

// DeleteUser removes a user. It fails with ErrNotFound.
func (s *Store) DeleteUser(ctx context.Context, name string) error {
	if err := s.deleteAccount(ctx, deleteUser, name); err != nil {
		return fmt.Errorf("remove user %q: %w", name, err)
	}
	return nil
}

// AddKey adds a key that stands for p, by its SHA-256. It fails with ErrExists
// if there is a key of that name, or the same key under another one.
func (s *Store) AddKey(ctx context.Context, p access.Principal, hash [32]byte) error {
	err := checkAccount(p.Name, p.Provider, p.Role)
	if err == nil {
		err = s.write(ctx, func(t tx) error {
			sum := hex.EncodeToString(hash[:])
			taken, err := selectAll(ctx, t, func(r row) (name string, err error) {
				err = r.Scan(&name)
				return name, err
			}, takenKey, p.Name, sum)
			if err != nil {
				return err
			}
			if len(taken) > 0 {
				return &ExistsError{Field: "name", Value: p.Name, UUID: taken[0]}
			}
			return t.exec(ctx, insertKey, p.Name, p.Role, p.Provider, sum, s.time().UnixMilli())
		})
	}
	if err != nil {
		return fmt.Errorf("add key %q: %w", p.Name, err)
	}
	return nil
}

// DeleteKey removes a key. It fails with ErrNotFound.
func (s *Store) DeleteKey(ctx context.Context, name string) error {
	if err := s.deleteAccount(ctx, deleteKey, name); err != nil {
		return fmt.Errorf("remove key %q: %w", name, err)
	}
	return nil
}

func (s *Store) deleteAccount(ctx context.Context, statement, name string) error {
	return s.write(ctx, func(t tx) error {
		n, err := t.execCount(ctx, statement, name)
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		return err
	})
}

// Accounts lists users and keys by name.
func (s *Store) Accounts(ctx context.Context) ([]Account, error) {
	var all []Account
	for kind, query := range map[string]string{KindUser: listUsers, KindKey: listKeys} {
		list, err := selectAll(ctx, s, func(r row) (Account, error) {
			a := Account{Kind: kind}
			var created int64
			err := r.Scan(&a.Name, &a.Role, &a.Provider, &created)
			a.CreatedAt = time.UnixMilli(created).UTC()
			return a, err
		}, query)
		if err != nil {
			return nil, fmt.Errorf("list accounts: %w", err)
		}
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b Account) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Kind, b.Kind)
	})
	return all, nil
}

// checkAccount refuses, with ErrInvalid, what nobody could be called.
func checkAccount(name, provider string, role access.Role) error {
	if name == "" {
		return &InvalidError{"name", "is empty"}
	}
	if strings.Contains(name, ":") {
		return &InvalidError{"name", "has a colon, which ends a name in HTTP (RFC 7617)"}
	}
	if _, err := access.ParseRole(string(role)); err != nil {
		return &InvalidError{"role", "is none: " + err.Error()}
	}
	return checkFields(field{"name", name, maxName}, field{"provider", provider, maxKeyPart})
}
