package store

import (
	"context"
	"fmt"
	"strings"
)

// snapshotData is what a sealed snapshot is bound to.
func snapshotData(license string) []byte { return []byte("user of license " + license) }

const (
	insertSnapshot  = "INSERT INTO snapshots (provider, user_id, data, license_uuid) VALUES (?, ?, ?, ?)"
	selectSnapshot  = "SELECT license_uuid, data FROM snapshots WHERE license_uuid = ?"
	updateSnapshot  = "UPDATE snapshots SET data = ? WHERE license_uuid = ?"
	deleteSnapshot  = "DELETE FROM snapshots WHERE license_uuid = ?"
	deleteSnapshots = "DELETE FROM snapshots"
	sealedSnapshots = "SELECT license_uuid, data FROM snapshots WHERE license_uuid > ? ORDER BY license_uuid LIMIT ?"
)

// Snapshot returns what is kept of the user of a license. It fails with
// ErrNotFound if that is nothing.
func (s *Store) Snapshot(ctx context.Context, license string) ([]byte, error) {
	sealed, err := selectOne(ctx, s.keyed(), scanSealedKey, selectSnapshot, license)
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

// A SnapshotFilter says which snapshots are meant. What is empty does not matter.
type SnapshotFilter struct {
	Provider string // URI
	UserID   string
}

// DeleteSnapshots removes what is kept of users, and returns of how many licenses
// that was.
func (s *Store) DeleteSnapshots(ctx context.Context, f SnapshotFilter) (n int64, err error) {
	var conditions []string
	var args []any
	for _, c := range []struct{ column, value string }{{"user_id", f.UserID}, {"provider", f.Provider}} {
		if c.value != "" {
			conditions, args = append(conditions, c.column+" = ?"), append(args, c.value)
		}
	}
	statement := deleteSnapshots
	if len(conditions) > 0 {
		statement += " WHERE " + strings.Join(conditions, " AND ")
	}
	err = s.write(ctx, func(t tx) error {
		n, err = t.execCount(ctx, statement, args...)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("remove snapshots: %w", err)
	}
	return n, nil
}
