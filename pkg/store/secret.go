package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/lcp-tools/lcp/pkg/sharedsecret"
)

const (
	// maxKeyPart is how long a part of a key is at most, in characters.
	maxKeyPart = 64
	// maxSecrets is how many secrets a provider can have, revoked ones included.
	maxSecrets = 100
)

const (
	selectShared = `SELECT id, provider, kid, algorithm, state, value, created_at, activated_at, changed_at FROM secrets`
	byProvider   = " WHERE provider = ?"
	insertShared = `INSERT INTO secrets (id, provider, kid, algorithm, state, value, created_at, activated_at, changed_at)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
	moveSecret    = "UPDATE secrets SET state = ?, activated_at = ?, changed_at = ? WHERE id = ?"
	activeSecrets = " WHERE provider = ? AND state = 'active'"

	someShared    = "SELECT id, value FROM secrets ORDER BY id LIMIT 1"
	sealedShared  = "SELECT id, value FROM secrets WHERE id > ? ORDER BY id LIMIT ?"
	replaceShared = "UPDATE secrets SET value = ? WHERE id = ?"
)

// secretID is what a secret is known by in the database. Neither part has a
// slash.
func secretID(provider, keyID string) string { return provider + "/" + keyID }

// secretData is what a sealed secret is bound to: the provider and the key
// identifier, so that no two can be exchanged.
func secretData(id string) []byte { return []byte("shared secret " + id) }

func (s *Store) scanSecret(r row) (sharedsecret.Secret, error) {
	var c sharedsecret.Secret
	var id string
	var sealed []byte
	var created, changed int64
	var activated sql.NullInt64
	err := r.Scan(&id, &c.Provider, &c.KeyID, &c.Algorithm, &c.State, &sealed, &created, &activated, &changed)
	if err != nil {
		return c, err
	}
	value, err := s.keyring.Open(sealed, secretData(id))
	if err != nil {
		return sharedsecret.Secret{}, fmt.Errorf("open secret %q of provider %q: %w", c.KeyID, c.Provider, err)
	}
	c.Value = sharedsecret.NewValue(value)
	c.Created, c.Activated, c.Changed = time.UnixMilli(created).UTC(), fromMillis(activated), time.UnixMilli(changed).UTC()
	return c, nil
}

// AddSecret keeps a secret of a provider, sealed. It fails with ErrExists if the
// provider has one with that key identifier, and with ErrInvalid if it must not
// be used, or if there are too many.
func (s *Store) AddSecret(ctx context.Context, c sharedsecret.Secret) error {
	err := checkFields(field{"provider", c.Provider, maxKeyPart})
	if err == nil {
		if err = c.Check(); err != nil {
			err = fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	if err == nil {
		err = s.write(ctx, func(t tx) error { return s.addSecret(ctx, t, c) })
	}
	if err != nil {
		return fmt.Errorf("add secret %q of provider %q: %w", c.KeyID, c.Provider, err)
	}
	return nil
}

func (s *Store) addSecret(ctx context.Context, t tx, c sharedsecret.Secret) error {
	known, err := selectAll(ctx, t, s.scanSecret, selectShared+byProvider, c.Provider)
	if err != nil {
		return err
	}
	for _, other := range known {
		if other.KeyID == c.KeyID {
			return &ExistsError{Field: "kid", Value: c.KeyID, UUID: c.KeyID}
		}
	}
	if err := tooMany(int64(len(known)), maxSecrets, "secrets"); err != nil {
		return err
	}
	id := secretID(c.Provider, c.KeyID)
	return t.exec(ctx, insertShared, id, c.Provider, c.KeyID, string(c.Algorithm), string(c.State),
		s.keyring.Seal(c.Value.Bytes(), secretData(id)), c.Created.UnixMilli(), millis(c.Activated), c.Changed.UnixMilli())
}

// Secrets lists the secrets of a provider, in the order in which they came.
func (s *Store) Secrets(ctx context.Context, provider string) ([]sharedsecret.Secret, error) {
	list, err := selectAll(ctx, s, s.scanSecret, selectShared+byProvider+" ORDER BY created_at, id", provider)
	if err != nil {
		return nil, fmt.Errorf("list secrets of provider %q: %w", provider, err)
	}
	return list, nil
}

// Secret returns a secret of a provider, in whatever state it is. It fails with
// ErrNotFound.
func (s *Store) Secret(ctx context.Context, provider, keyID string) (sharedsecret.Secret, error) {
	c, err := selectOne(ctx, s.keyed(), s.scanSecret, selectShared+byProviderID, secretID(provider, keyID))
	if err != nil {
		return sharedsecret.Secret{}, fmt.Errorf("secret %q of provider %q: %w", keyID, provider, err)
	}
	return c, nil
}

// SigningSecret returns the active secret of a provider that was activated last.
// It fails with ErrNotFound if there is none.
func (s *Store) SigningSecret(ctx context.Context, provider string) (sharedsecret.Secret, error) {
	list, err := selectAll(ctx, s, s.scanSecret, selectShared+activeSecrets, provider)
	if err != nil {
		return sharedsecret.Secret{}, fmt.Errorf("find the active secret of provider %q: %w", provider, err)
	}
	c, ok := sharedsecret.Signing(list)
	if !ok {
		return sharedsecret.Secret{}, fmt.Errorf("active secret of provider %q: %w", provider, ErrNotFound)
	}
	return c, nil
}

// MoveSecret brings a secret of a provider to a later state, in one transaction,
// and returns it. The errors are those of sharedsecret.Move.
func (s *Store) MoveSecret(ctx context.Context, provider, keyID string, to sharedsecret.State) (sharedsecret.Secret, error) {
	var c sharedsecret.Secret
	err := s.write(ctx, func(t tx) error {
		all, err := selectAll(ctx, t, s.scanSecret, selectShared+byProvider+" ORDER BY id"+s.dialect.forUpdate, provider)
		if err != nil {
			return err
		}
		if c, err = sharedsecret.Move(all, keyID, to, s.time()); err != nil {
			return err
		}
		return t.exec(ctx, moveSecret, string(c.State), millis(c.Activated), c.Changed.UnixMilli(), secretID(provider, keyID))
	})
	if err != nil {
		return sharedsecret.Secret{}, fmt.Errorf("change a secret of provider %q: %w", provider, err)
	}
	return c, nil
}
