package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
)

// contentKeyData is what a sealed content key is bound to. The words before the
// UUID keep it apart from other secrets of the same publication.
func contentKeyData(uuid string) []byte { return []byte("content key of publication " + uuid) }

func (s *Store) sealContentKey(uuid string, key lcpcrypto.ContentKey) []byte {
	return s.keyring.Seal(key[:], contentKeyData(uuid))
}

func (s *Store) openContentKey(uuid string, sealed []byte) (lcpcrypto.ContentKey, error) {
	b, err := s.keyring.Open(sealed, contentKeyData(uuid))
	if err != nil {
		return lcpcrypto.ContentKey{}, fmt.Errorf("open content key of publication %q: %w", uuid, err)
	}
	return lcpcrypto.ContentKeyFromBytes(b)
}

// A sealedKey is a content key, or something else, as it lies in a table.
type sealedKey struct {
	uuid string
	key  []byte
}

func scanSealedKey(r row) (sealedKey, error) {
	var k sealedKey
	err := r.Scan(&k.uuid, &k.key)
	return k, err
}

const (
	newestSealedKey = "SELECT uuid, content_key FROM publications ORDER BY seq DESC LIMIT 1"
	sealedKeysAfter = "SELECT uuid, content_key FROM publications WHERE uuid > ? ORDER BY uuid LIMIT ?"
	sealedReserved  = "SELECT uuid, content_key FROM reservations WHERE uuid > ? ORDER BY uuid LIMIT ?"
	replaceKey      = "UPDATE publications SET content_key = ? WHERE uuid = ?"
	replaceReserved = "UPDATE reservations SET content_key = ? WHERE uuid = ?"
	sealedAPI       = "SELECT license_key, api_secret FROM license_keys WHERE license_key > ? AND api_secret IS NOT NULL ORDER BY license_key LIMIT ?"
	sealedWebhook   = "SELECT license_key, webhook_secret FROM license_keys WHERE license_key > ? AND webhook_secret IS NOT NULL ORDER BY license_key LIMIT ?"
	replaceAPI      = "UPDATE license_keys SET api_secret = ? WHERE license_key = ?"
	replaceWebhook  = "UPDATE license_keys SET webhook_secret = ? WHERE license_key = ?"
	sealedAnswers   = "SELECT id, answer FROM claims WHERE id > ? AND answer IS NOT NULL ORDER BY id LIMIT ?"
)

// checkKeyring fails if the newest content key cannot be opened or, where there
// is none, a secret that is shared with a provider. With the wrong
// master key it is better not to start than to seal new keys under it, beside
// old ones that cannot be read.
func (s *Store) checkKeyring(ctx context.Context) error {
	data := contentKeyData
	newest, err := selectOne(ctx, s, scanSealedKey, newestSealedKey)
	if errors.Is(err, ErrNotFound) {
		data = secretData
		newest, err = selectOne(ctx, s, scanSealedKey, someShared)
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := s.keyring.Open(newest.key, data(newest.uuid)); err != nil {
		return fmt.Errorf("%w: check that the master key file, or LCP_MASTER_KEY, is the one that belongs to this database", err)
	}
	return nil
}

// resealBatch is how many keys are sealed again in one transaction, so that
// others need not wait for all of them.
const resealBatch = 50

// Reseal seals every content key again that is under an older master key than
// the primary one, every answer that is kept for repeated requests, every secret
// that is shared with a provider or belongs to a license key, and what is kept of
// users, and returns how many those were. It can be run beside everything else,
// stopped, and run again; once it returns without an error older master keys are
// no longer needed, unless a program that still seals under them runs. Readers
// whom a meter has not met since the rotation are strangers to it without them.
func (s *Store) Reseal(ctx context.Context) (resealed int, err error) {
	for _, table := range []sealedTable{
		{sealedKeysAfter, replaceKey, contentKeyData},
		{sealedReserved, replaceReserved, contentKeyData},
		{sealedAnswers, answerClaim, answerData},
		{sealedShared, replaceShared, secretData},
		{sealedSnapshots, updateSnapshot, snapshotData},
		{sealedAPI, replaceAPI, apiSecretData},
		{sealedWebhook, replaceWebhook, webhookSecretData},
	} {
		for last, more := "", true; more; {
			var n int
			last, n, more, err = s.resealAfter(ctx, table, last)
			resealed += n
			if err != nil {
				return resealed, fmt.Errorf("reseal under the primary master key: %w", err)
			}
		}
	}
	return resealed, nil
}

// A sealedTable is one with something sealed in it.
type sealedTable struct {
	list    string // some identifiers and what is sealed, after an identifier
	replace string // what is sealed, of an identifier
	data    func(id string) []byte
}

// resealAfter seals a batch again that comes after an identifier. It returns the
// last identifier of the batch, how many were sealed, and whether more follow.
func (s *Store) resealAfter(ctx context.Context, table sealedTable, after string) (last string, n int, more bool, err error) {
	err = s.write(ctx, func(t tx) error {
		batch, err := selectAll(ctx, t, scanSealedKey, table.list+s.dialect.forUpdate, after, resealBatch)
		if err != nil {
			return err
		}
		last, n, more = after, 0, len(batch) == resealBatch
		for _, k := range batch {
			last = k.uuid
			if !s.keyring.Stale(k.key) {
				continue
			}
			plain, err := s.keyring.Open(k.key, table.data(k.uuid))
			if err != nil {
				return fmt.Errorf("%s: %w", table.data(k.uuid), err)
			}
			if err := t.exec(ctx, table.replace, s.keyring.Seal(plain, table.data(k.uuid)), k.uuid); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		n = 0
	}
	return last, n, more, err
}
