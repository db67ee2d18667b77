package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
)

// An Identity is what a publication keeps when it is encrypted once more.
type Identity struct {
	UUID  string
	AltID string // may be empty
	Key   lcpcrypto.ContentKey
}

// reservationLife is how long a reservation holds that no publication followed.
// It outlasts the longest encryption by far; what it is forgotten with is a key
// that encrypted nothing.
const reservationLife = 7 * 24 * time.Hour

const (
	selectReservations = "SELECT uuid, alt_id, content_key FROM reservations WHERE uuid = ? OR alt_id = ?"
	insertReservation  = "INSERT INTO reservations (uuid, alt_id, content_key, created_at) VALUES (?, ?, ?, ?)"
	deleteReservations = "DELETE FROM reservations WHERE uuid = ? OR alt_id = ?"
	forgetReservations = "DELETE FROM reservations WHERE created_at < ?"
)

// Reserve returns the identity under which to encrypt a publication that is
// wanted under a UUID, an alternative identifier, both or neither, and with a
// given key or, if that is zero, any. known says that a publication has that
// identity, perhaps a deleted one with the wanted UUID.
//
// Whoever asks for the same UUID or alternative identifier, at the same time or
// after a crash, gets the same key. What is new is therefore written down,
// though no publication is listed or found until SavePublication fulfills it;
// what is never fulfilled is forgotten after a week. With neither identifier
// wanted there is nothing to agree on, and nothing is written.
//
// It fails with ErrExists if the alternative identifier belongs to a live
// publication with another UUID than the wanted one, and with ErrKeyChanged if
// the publication is known with another key than the wanted one.
func (s *Store) Reserve(ctx context.Context, want Identity) (got Identity, known bool, err error) {
	if want.UUID == "" && want.AltID == "" {
		return want.complete(), false, nil
	}
	if err := checkFields(field{"uuid", want.UUID, maxName}, field{"alt_id", want.AltID, maxName}); err != nil {
		return Identity{}, false, fmt.Errorf("reserve publication: %w", err)
	}
	err = s.write(ctx, func(t tx) error {
		got, known, err = s.knownIdentity(ctx, t, want)
		if err != nil || known {
			return err
		}
		reserved, err := s.reserve(ctx, t, want)
		if err != nil {
			return err
		}
		// Whoever had it reserved may have saved the publication after the
		// first look: then the reservation was gone, and one could be made.
		if got, known, err = s.knownIdentity(ctx, t, want); err != nil || !known {
			got = reserved
			return err
		}
		return t.exec(ctx, deleteReservations, reserved.UUID, sql.NullString{})
	})
	if err != nil {
		return Identity{}, false, fmt.Errorf("reserve publication: %w", err)
	}
	return got, known, nil
}

// complete returns the identity with a random UUID and a random key where it
// has none.
func (i Identity) complete() Identity {
	if i.UUID == "" {
		i.UUID = uuid.NewString()
	}
	if i.Key == (lcpcrypto.ContentKey{}) {
		i.Key = lcpcrypto.NewContentKey()
	}
	return i
}

// knownIdentity returns the identity of the publication that is wanted, if
// there is one.
func (s *Store) knownIdentity(ctx context.Context, t tx, want Identity) (got Identity, known bool, err error) {
	var p Publication
	err = ErrNotFound
	if want.AltID != "" {
		p, err = s.findPublication(ctx, t, byAltID, want.AltID)
		if err == nil && want.UUID != "" && p.UUID != want.UUID {
			return want, false, &ExistsError{Field: "alt_id", Value: want.AltID, UUID: p.UUID}
		}
	}
	if errors.Is(err, ErrNotFound) && want.UUID != "" {
		p, err = s.findPublication(ctx, t, byUUID, want.UUID)
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return want, false, nil
	case err != nil:
		return want, false, err
	case want.Key != (lcpcrypto.ContentKey{}) && want.Key != p.ContentKey:
		return want, false, fmt.Errorf("%q: %w", p.UUID, ErrKeyChanged)
	}
	got = Identity{UUID: p.UUID, AltID: p.AltID, Key: p.ContentKey}
	if want.AltID != "" {
		got.AltID = want.AltID
	}
	return got, true, nil
}

// reserve returns the identity that was reserved before, if it is one that is
// wanted, or reserves a new one. One that contradicts what is wanted now makes
// way: nobody can see it, so nobody could remove it either. Should its owner
// still be at work, then the first to save its publication wins.
func (s *Store) reserve(ctx context.Context, t tx, want Identity) (Identity, error) {
	if err := t.exec(ctx, forgetReservations, s.time().Add(-reservationLife).UnixMilli()); err != nil {
		return want, err
	}
	query := selectReservations + s.dialect.forUpdate
	reserved, err := selectAll(ctx, t, s.scanReservation, query, want.UUID, nullable(want.AltID))
	if err != nil {
		return want, err
	}
	for _, r := range reserved {
		sameUUID := want.UUID == "" || want.UUID == r.UUID
		sameKey := want.Key == lcpcrypto.ContentKey{} || want.Key == r.Key
		if !sameUUID || !sameKey {
			continue
		}
		if want.AltID == "" || want.AltID == r.AltID {
			return r, nil
		}
		want.UUID, want.Key = r.UUID, r.Key // the same, with an alternative identifier now
	}
	for _, r := range reserved { // and no other, which somebody may have reserved meanwhile
		if err := t.exec(ctx, deleteReservations, r.UUID, sql.NullString{}); err != nil {
			return want, err
		}
	}
	got := want.complete()
	sealed := s.sealContentKey(got.UUID, got.Key)
	return got, t.exec(ctx, insertReservation, got.UUID, nullable(got.AltID), sealed, s.time().UnixMilli())
}

// scanReservation reads a row of selectReservations.
func (s *Store) scanReservation(r row) (Identity, error) {
	var i Identity
	var altID sql.NullString
	var sealed []byte
	err := r.Scan(&i.UUID, &altID, &sealed)
	if err != nil {
		return i, err
	}
	i.AltID = altID.String
	i.Key, err = s.openContentKey(i.UUID, sealed)
	return i, err
}

// nullable returns text as a column keeps it in which an empty text is none.
func nullable(text string) sql.NullString { return sql.NullString{String: text, Valid: text != ""} }
