package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/metering"
)

// A Meter keeps reading sessions: license keys, origins, events and the figures
// that are billed. It is a part of a store, and as safe for concurrent use. What
// is decided on an event is in package metering.
type Meter struct {
	s     *Store
	keys  [][]byte // of hashes, that of the primary master key first
	names []int64  // of the keys, for the record
}

// Meter returns the part of the store that reading sessions are kept in.
func (s *Store) Meter() *Meter { return s.meter }

func newMeter(s *Store) *Meter {
	m := &Meter{s: s, keys: s.keyring.DeriveAll("reading session tokens")}
	for _, key := range m.keys {
		sum := sha256.Sum256(key)
		m.names = append(m.names, int64(binary.BigEndian.Uint32(sum[:])))
	}
	return m
}

// hash returns a keyed hash. The parts are kept apart, whatever is in them.
func hash(key []byte, what string, parts ...string) [sha256.Size]byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(what))
	var size [4]byte
	for _, part := range parts {
		binary.BigEndian.PutUint32(size[:], uint32(len(part)))
		h.Write(size[:])
		h.Write([]byte(part))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// A LicenseKey is an agreement, and the key that reading systems name it by.
type LicenseKey struct {
	Key  string
	Name string // of its holder
	metering.Agreement
	Webhook       string // URL that is told of origins to decide about; "" for none
	Disabled      bool
	HasAPISecret  bool           // so that native apps may use it
	OpenMonth     metering.Month // the first that is not closed
	BlockedSince  time.Time      // zero while it is not blocked
	CreatedAt     time.Time
	id            int64
	blockedTold   bool
	sealedAPI     []byte
	sealedWebhook []byte
}

// Refusals of license keys.
var (
	// ErrNoLicenseKey is an ErrNotFound, too.
	ErrNoLicenseKey error = noLicenseKey{}
	ErrKeyDisabled        = errors.New("license key is disabled")
)

type noLicenseKey struct{}

func (noLicenseKey) Error() string { return "license key is not known" }
func (noLicenseKey) Unwrap() error { return ErrNotFound }

const (
	selectLicenseKeys = "SELECT id, license_key, name, threshold, validity, offline_validity, policy, webhook, disabled, api_secret, " +
		"webhook_secret, open_month, blocked_since, blocked_told, created_at FROM license_keys"
	selectLicenseKey = selectLicenseKeys + " WHERE license_key = ?"
	insertLicenseKey = "INSERT INTO license_keys (name, threshold, validity, offline_validity, policy, webhook, disabled, api_secret, " +
		"webhook_secret, open_month, blocked_since, blocked_told, created_at, license_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?)"
	updateLicenseKey = "UPDATE license_keys SET name = ?, threshold = ?, validity = ?, offline_validity = ?, policy = ?, webhook = ?, " +
		"disabled = ?, api_secret = ?, webhook_secret = ? WHERE id = ?"
)

func scanLicenseKey(r row) (LicenseKey, error) {
	var k LicenseKey
	var threshold, validity, offline, disabled, month, since, told, created int64
	err := r.Scan(&k.id, &k.Key, &k.Name, &threshold, &validity, &offline, &k.Policy, &k.Webhook, &disabled, &k.sealedAPI,
		&k.sealedWebhook, &month, &since, &told, &created)
	k.Threshold, k.Validity = time.Duration(threshold)*time.Second, time.Duration(validity)*time.Second
	k.OfflineValidity = time.Duration(offline) * time.Second
	k.Disabled, k.blockedTold, k.HasAPISecret = disabled != 0, told != 0, len(k.sealedAPI) > 0
	k.OpenMonth = metering.Month(month)
	k.BlockedSince = fromMillis(nonZero(since))
	k.CreatedAt = time.UnixMilli(created).UTC()
	return k, err
}

// nonZero is a time as columns keep it where 0 stands for none.
func nonZero(ms int64) (n sql.NullInt64) {
	n.Int64, n.Valid = ms, ms != 0
	return n
}

func apiSecretData(key string) []byte     { return []byte("API secret of license key " + key) }
func webhookSecretData(key string) []byte { return []byte("webhook secret of license key " + key) }

// check refuses, with ErrInvalid, what cannot be stored or makes no sense.
func (k *LicenseKey) check() error {
	if strings.TrimSpace(k.Name) == "" {
		return fmt.Errorf("%w: name is empty", ErrInvalid)
	}
	if err := k.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return checkFields(field{"name", k.Name, maxName}, field{"webhook", k.Webhook, maxURL})
}

// CreateLicenseKey adds a license key, which it makes up, with a secret that
// notifications are signed with. The error may be ErrInvalid.
func (m *Meter) CreateLicenseKey(ctx context.Context, k LicenseKey) (LicenseKey, error) {
	err := k.check()
	if err == nil {
		k.Key, k.CreatedAt = metering.NewLicenseKey(), m.s.time()
		k.OpenMonth = metering.MonthOf(k.CreatedAt.Add(-k.OfflineValidity - metering.MaxDelay)) // the first of which anything may be told
		k.sealedWebhook = m.s.keyring.Seal(metering.NewSecret().Bytes(), webhookSecretData(k.Key))
		err = m.s.write(ctx, func(t tx) error {
			return t.exec(ctx, insertLicenseKey, k.Name, seconds(k.Threshold), seconds(k.Validity), seconds(k.OfflineValidity),
				string(k.Policy), k.Webhook, flag(k.Disabled), nil, k.sealedWebhook, int64(k.OpenMonth), k.CreatedAt.UnixMilli(), k.Key)
		})
	}
	if err != nil {
		return LicenseKey{}, fmt.Errorf("create license key: %w", err)
	}
	return k, nil
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// LicenseKey returns a license key. It fails with ErrNoLicenseKey.
func (m *Meter) LicenseKey(ctx context.Context, key string) (LicenseKey, error) {
	k, err := selectOne(ctx, m.s, scanLicenseKey, selectLicenseKey, key)
	if errors.Is(err, ErrNotFound) {
		err = ErrNoLicenseKey
	}
	if err != nil {
		return k, fmt.Errorf("find license key %q: %w", key, err)
	}
	return k, nil
}

// LicenseKeys lists all license keys, in the order in which they were made.
func (m *Meter) LicenseKeys(ctx context.Context) ([]LicenseKey, error) {
	list, err := selectAll(ctx, m.s, scanLicenseKey, selectLicenseKeys+" ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("list license keys: %w", err)
	}
	return list, nil
}

// UpdateLicenseKey lets change decide what becomes of a license key. It fails
// with ErrNoLicenseKey, with ErrInvalid, and with the error of change.
func (m *Meter) UpdateLicenseKey(ctx context.Context, key string, change func(*LicenseKey) error) (LicenseKey, error) {
	var k LicenseKey
	err := m.s.write(ctx, func(t tx) (err error) {
		if k, err = m.lockKey(ctx, t, key); err != nil {
			return err
		}
		if err := change(&k); err != nil {
			return err
		}
		if err := k.check(); err != nil {
			return err
		}
		return m.saveKey(ctx, t, &k)
	})
	if err != nil {
		return k, fmt.Errorf("update license key %q: %w", key, err)
	}
	return k, nil
}

// lockKey returns a license key, which nobody else changes, and for which nobody
// records events, until the end of the transaction.
func (m *Meter) lockKey(ctx context.Context, t tx, key string) (LicenseKey, error) {
	k, err := selectOne(ctx, t, scanLicenseKey, selectLicenseKey+m.s.dialect.forUpdate, key)
	if errors.Is(err, ErrNotFound) {
		err = ErrNoLicenseKey
	}
	return k, err
}

func (m *Meter) saveKey(ctx context.Context, t tx, k *LicenseKey) error {
	return t.exec(ctx, updateLicenseKey, k.Name, seconds(k.Threshold), seconds(k.Validity), seconds(k.OfflineValidity),
		string(k.Policy), k.Webhook, flag(k.Disabled), orNull(k.sealedAPI), orNull(k.sealedWebhook), k.id)
}

// orNull keeps drivers from taking no bytes for some.
func orNull(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// NewAPISecret gives a license key a new secret for native apps, in place of the
// one that it had, and returns it.
func (m *Meter) NewAPISecret(ctx context.Context, key string) (metering.Secret, error) {
	secret := metering.NewSecret()
	_, err := m.UpdateLicenseKey(ctx, key, func(k *LicenseKey) error {
		k.sealedAPI = m.s.keyring.Seal(secret.Bytes(), apiSecretData(key))
		k.HasAPISecret = true
		return nil
	})
	return secret, err
}

// NewWebhookSecret gives a license key a new secret that notifications are signed
// with, and returns it.
func (m *Meter) NewWebhookSecret(ctx context.Context, key string) (metering.Secret, error) {
	secret := metering.NewSecret()
	_, err := m.UpdateLicenseKey(ctx, key, func(k *LicenseKey) error {
		k.sealedWebhook = m.s.keyring.Seal(secret.Bytes(), webhookSecretData(key))
		return nil
	})
	return secret, err
}

// APISecret returns the secret of native apps, which is zero if there is none.
func (m *Meter) APISecret(k *LicenseKey) (metering.Secret, error) {
	return m.openSecret(k.sealedAPI, apiSecretData(k.Key))
}

// WebhookSecret returns the secret that notifications are signed with.
func (m *Meter) WebhookSecret(k *LicenseKey) (metering.Secret, error) {
	return m.openSecret(k.sealedWebhook, webhookSecretData(k.Key))
}

func (m *Meter) openSecret(sealed, data []byte) (metering.Secret, error) {
	if len(sealed) == 0 {
		return metering.Secret{}, nil
	}
	b, err := m.s.keyring.Open(sealed, data)
	if err != nil {
		return metering.Secret{}, fmt.Errorf("open %s: %w", data, err)
	}
	return metering.SecretOf(b), nil
}
