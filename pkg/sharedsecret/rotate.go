package sharedsecret

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Refusals of changes, wrapped with the key identifier.
var (
	ErrUnknown = errors.New("unknown secret")
	ErrMove    = errors.New("secret cannot be changed so")
)

// Move brings one of a provider's secrets to a later state, and returns it
// changed. secrets are all that the provider has; reading them and saving the
// outcome belongs in one transaction.
//
// A pending secret becomes active, and several may be: tokens signed with any of
// them are good, and this program signs with the one activated last. An active
// one becomes verify-only as long as another is active, so that there is no
// moment without one. Any becomes revoked at once, since a secret that leaked
// cannot wait. A secret that is in the state already is returned as it is. The
// errors are ErrUnknown and ErrMove.
func Move(secrets []Secret, keyID string, to State, now time.Time) (Secret, error) {
	i := slices.IndexFunc(secrets, func(s Secret) bool { return s.KeyID == keyID })
	if i < 0 {
		return Secret{}, fmt.Errorf("%w %q", ErrUnknown, keyID)
	}
	s := secrets[i]
	if s.State == to {
		return s, nil
	}
	refused := func(reason string) (Secret, error) {
		return Secret{}, fmt.Errorf("%w: %q is %s, %s", ErrMove, keyID, s.State, reason)
	}
	switch to {
	case Active:
		if s.State != Pending {
			return refused("and only a pending secret can be activated: add a new one")
		}
		s.Activated = now
	case VerifyOnly:
		if s.State != Active {
			return refused("and only an active secret can be retired")
		}
		if !otherActive(secrets, i) {
			return refused("and no other one is: activate its successor first")
		}
	case Revoked:
	default:
		return refused("and cannot become " + string(to))
	}
	s.State, s.Changed = to, now
	return s, nil
}

func otherActive(secrets []Secret, except int) bool {
	for i, s := range secrets {
		if i != except && s.State == Active {
			return true
		}
	}
	return false
}

// Signing returns the secret to sign with, the active one activated last. ok is
// false if none is active.
func Signing(secrets []Secret) (s Secret, ok bool) {
	for _, candidate := range secrets {
		if candidate.State == Active && (!ok || candidate.Activated.After(s.Activated)) {
			s, ok = candidate, true
		}
	}
	return s, ok
}
