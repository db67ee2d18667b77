// Package store keeps publications and licenses in an SQL database.
package store

import (
	"context"
	"errors"
	"time"
)

// A Keyring seals content keys for the database.
// *keyring.Keyring is one.
type Keyring interface {
	// Seal encrypts plaintext so that Open needs the same associated data.
	Seal(plaintext, associatedData []byte) []byte
	// Open is the inverse of Seal.
	Open(sealed, associatedData []byte) ([]byte, error)
	// Stale reports whether sealed should be opened and sealed again.
	Stale(sealed []byte) bool
}

// Options say which database to open and with what. All fields but Migrate
// are required.
type Options struct {
	// DSN names the database: a path, file:…, sqlite://… or sqlite3://… .
	DSN     string
	Keyring Keyring
	Now     func() time.Time
	Migrate bool // bring an older schema up to date, make it in an empty database
}

// A Cursor is a place in a list: the zero value is before the newest entry.
type Cursor int64

// A Page says which part of a list to return. Limit is required; After is where
// the last page ended, or Offset counts the entries to leave out.
type Page struct {
	After  Cursor
	Offset int
	Limit  int // 1 to MaxLimit
}

// MaxLimit is the longest page of a list.
const MaxLimit = 1000

var (
	// ErrNotFound says that there is no such record.
	ErrNotFound = errors.New("not found")
	// ErrDeleted says that the publication was deleted. It is an ErrNotFound too.
	ErrDeleted error = deletedError{}
	// ErrExists says that an identifier is taken; see ExistsError.
	ErrExists = errors.New("already exists")
	// ErrKeyChanged says that a publication is known with another content key.
	ErrKeyChanged = errors.New("publication has another content key")
	// ErrInvalid says that a field cannot be stored.
	ErrInvalid = errors.New("invalid field")
)

type deletedError struct{}

func (deletedError) Error() string { return "publication was deleted" }
func (deletedError) Unwrap() error { return ErrNotFound }

// An ExistsError says which identifier is taken and by whom. It is an ErrExists.
type ExistsError struct {
	Field string // uuid or alt_id
	Value string
	UUID  string // of the record that has it
}

func (e *ExistsError) Error() string { return e.Field + " is taken" }

// Unwrap returns ErrExists.
func (e *ExistsError) Unwrap() error { return ErrExists }

// Store is the database. It is safe for concurrent use.
type Store struct{}

var errStub = errors.ErrUnsupported

// Open opens the database.
func Open(ctx context.Context, o Options) (*Store, error) { return nil, errStub }

// Close closes the database.
func (s *Store) Close() error { return nil }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return errStub }

// CreatePublication adds p and returns it with its times. ErrExists when a live publication has its UUID or alt id.
func (s *Store) CreatePublication(ctx context.Context, p Publication) (Publication, error) {
	return p, errStub
}

// Publication returns a live publication. ErrNotFound, ErrDeleted.
func (s *Store) Publication(ctx context.Context, uuid string) (Publication, error) {
	return Publication{}, errStub
}

// AnyPublication is Publication for live and deleted ones: fresh licenses need both.
func (s *Store) AnyPublication(ctx context.Context, uuid string) (Publication, error) {
	return Publication{}, errStub
}

// PublicationByAltID returns the live publication with the alternative identifier. ErrNotFound.
func (s *Store) PublicationByAltID(ctx context.Context, altID string) (Publication, error) {
	return Publication{}, errStub
}

// PublicationByChecksum returns the newest live publication whose protected package has the SHA-256. ErrNotFound.
func (s *Store) PublicationByChecksum(ctx context.Context, checksum string) (Publication, error) {
	return Publication{}, errStub
}

// UpdatePublication lets change decide what becomes of a live publication, in one transaction.
func (s *Store) UpdatePublication(ctx context.Context, uuid string, change func(Publication) (Publication, error)) (Publication, error) {
	return Publication{}, errStub
}

// Reserve returns the identity under which to encrypt a publication: that of the known
// publication (or of an encryption under way) with the wanted UUID or AltID, else a new one made of
// what is wanted: a missing UUID and a zero Key are chosen at random. known says that a publication is there.
// Two calls for the same UUID or AltID get the same key. ErrExists, ErrKeyChanged.
func (s *Store) Reserve(ctx context.Context, want Identity) (got Identity, known bool, err error) {
	return want, false, errStub
}

// SavePublication adds p, or replaces the record of the same UUID (a deleted one is live again), which
// must have the same key. ErrExists (alt id), ErrKeyChanged.
func (s *Store) SavePublication(ctx context.Context, p Publication) (saved Publication, created bool, err error) {
	return p, false, errStub
}

// DeletePublication marks a publication as deleted. ErrNotFound, ErrDeleted.
func (s *Store) DeletePublication(ctx context.Context, uuid string) error { return errStub }

// Publications lists live publications, newest first. next is the cursor of the next page, 0 at the end.
func (s *Store) Publications(ctx context.Context, f PublicationFilter, p Page) (list []Publication, next Cursor, err error) {
	return nil, 0, errStub
}

// CountPublications counts what Publications lists.
func (s *Store) CountPublications(ctx context.Context, f PublicationFilter) (int64, error) {
	return 0, errStub
}

// CreateLicense adds l. ErrNotFound or ErrDeleted (publication), ErrExists.
func (s *Store) CreateLicense(ctx context.Context, l License) (License, error) { return l, errStub }

// License returns a license. ErrNotFound.
func (s *Store) License(ctx context.Context, uuid string) (License, error) {
	return License{}, errStub
}

// Licenses lists licenses, newest first.
func (s *Store) Licenses(ctx context.Context, f LicenseFilter, p Page) (list []License, next Cursor, err error) {
	return nil, 0, errStub
}

// CountLicenses counts what Licenses lists.
func (s *Store) CountLicenses(ctx context.Context, f LicenseFilter) (int64, error) { return 0, errStub }

// UpdateLicense lets change decide what becomes of a license, in one transaction with the license locked.
func (s *Store) UpdateLicense(ctx context.Context, uuid, deviceID string,
	change func(l License, registered bool) (License, []Event, error),
) (License, error) {
	return License{}, errStub
}

// Events lists the events of a license, oldest first.
func (s *Store) Events(ctx context.Context, license string) ([]Event, error) { return nil, errStub }

// Devices lists the devices registered with a license, oldest first.
func (s *Store) Devices(ctx context.Context, license string) ([]Device, error) { return nil, errStub }

// Reseal seals every stored secret again that is not under the primary master key.
func (s *Store) Reseal(ctx context.Context) (resealed int, err error) { return 0, errStub }
