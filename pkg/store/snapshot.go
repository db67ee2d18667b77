package store

import (
	"context"
	"fmt"
)

// snapshotData is what a sealed snapshot is bound to.
func snapshotData(license string) []byte { return []byte("user of license " + license) }

const (
	insertSnapshot  = "INSERT INTO snapshots (provider, user_id, data, license_uuid) VALUES (?, ?, ?, ?)"
	selectSnapshot  = "SELECT license_uuid, data FROM snapshots WHERE license_uuid = ?"
	updateSnapshot  = "UPDATE snapshots SET data = ? WHERE license_uuid = ?"
	deleteSnapshot  = "DELETE FROM snapshots WHERE license_uuid = ?"
	forgetUser      = "DELETE FROM snapshots WHERE user_id = ? AND provider = ?"
	forgetProvider  = "DELETE FROM snapshots WHERE provider = ?"
	sealedSnapshots = "SELECT license_uuid, data FROM snapshots WHERE license_uuid > ? ORDER BY license_uuid LIMIT ?"
)

// CreateLicenseWithSnapshot is CreateLicense for a license of which data of its
// user is kept, sealed and bound to the license. What it looks like is the
// caller's business.
func (s *Store) CreateLicenseWithSnapshot(ctx context.Context, l License, data []byte) (License, error) {
	return s.createLicense(ctx, l, func(t tx) error {
		return t.exec(ctx, insertSnapshot, l.Provider, l.UserID, s.keyring.Seal(data, snapshotData(l.UUID)), l.UUID)
	})
}

// Snapshot returns what is kept of the user of a license. It fails with
// ErrNotFound if that is nothing.
func (s *Store) Snapshot(ctx context.Context, license string) ([]byte, error) {
	sealed, err := selectOne(ctx, s, scanSealedKey, selectSnapshot, license)
	if err != nil {
		return nil, fmt.Errorf("snapshot of license %q: %w", license, err)
	}
	data, err := s.keyring.Open(sealed.key, snapshotData(license))
	if err != nil {
		return nil, fmt.Errorf("open the snapshot of license %q: %w", license, err)
	}
	return data, nil
}

// UpdateSnapshot replaces what is kept of the user of a license. Where nothing is
// kept, or not any more, nothing will be.
func (s *Store) UpdateSnapshot(ctx context.Context, license string, data []byte) error {
	sealed := s.keyring.Seal(data, snapshotData(license))
	err := s.write(ctx, func(t tx) error { return t.exec(ctx, updateSnapshot, sealed, license) })
	if err != nil {
		return fmt.Errorf("update the snapshot of license %q: %w", license, err)
	}
	return nil
}

// ForgetUser removes what is kept of a user in the licenses of a provider, a URI,
// and returns of how many licenses that was.
func (s *Store) ForgetUser(ctx context.Context, provider, user string) (int64, error) {
	if user == "" {
		return 0, fmt.Errorf("forget a user: %w: user_id is empty", ErrInvalid)
	}
	return s.forget(ctx, forgetUser, user, provider)
}

// ForgetUsers removes what is kept of all users of a provider.
func (s *Store) ForgetUsers(ctx context.Context, provider string) (int64, error) {
	return s.forget(ctx, forgetProvider, provider)
}

func (s *Store) forget(ctx context.Context, statement string, args ...any) (n int64, err error) {
	err = s.write(ctx, func(t tx) error {
		n, err = t.execCount(ctx, statement, args...)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("remove snapshots: %w", err)
	}
	return n, nil
}
