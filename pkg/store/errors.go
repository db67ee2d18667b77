package store

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound says that there is no such record.
	ErrNotFound = errors.New("not found")
	// ErrDeleted says that the publication was deleted. It is an ErrNotFound
	// too, for callers to whom it is all the same.
	ErrDeleted error = deletedError{}
	// ErrExists says that an identifier is taken; the error is an
	// *ExistsError.
	ErrExists = errors.New("already exists")
	// ErrKeyChanged says that a publication is already known with another
	// content key than the one given.
	ErrKeyChanged = errors.New("publication is known with another content key")
	// ErrUnavailable says that the database does not answer, or is too busy.
	// The same call may succeed later.
	ErrUnavailable = errors.New("database is not available")
	// ErrInvalid says that a field has a value that cannot be stored; the
	// error is an *InvalidError where it is one field that is at fault.
	ErrInvalid = errors.New("invalid value")
)

// deletedError is the type of ErrDeleted.
type deletedError struct{}

func (deletedError) Error() string { return "publication was deleted" }

// Unwrap makes a deleted publication one that is not found.
func (deletedError) Unwrap() error { return ErrNotFound }

// An InvalidError says which field cannot be stored as it is, and why. It is an
// ErrInvalid.
type InvalidError struct {
	Field  string // by the name that the API gives it
	Reason string // that follows the name: is missing
}

func (e *InvalidError) Error() string { return fmt.Sprintf("%v: %s %s", ErrInvalid, e.Field, e.Reason) }

// Unwrap returns ErrInvalid.
func (e *InvalidError) Unwrap() error { return ErrInvalid }

// An ExistsError says which identifier is taken and by what. It is an
// ErrExists.
type ExistsError struct {
	Field string // uuid or alt_id
	Value string
	UUID  string // of the record that has it
}

func (e *ExistsError) Error() string {
	if e.Value == e.UUID {
		return fmt.Sprintf("%s %q %v", e.Field, e.Value, ErrExists)
	}
	return fmt.Sprintf("%s %q %v: %s has it", e.Field, e.Value, ErrExists, e.UUID)
}

// Unwrap returns ErrExists.
func (e *ExistsError) Unwrap() error { return ErrExists }
