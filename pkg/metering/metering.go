// Package metering holds the rules of pay per use: what a license key allows, at
// which origins a reading system may run, when active use becomes a reading
// session, and what reports say of them.
//
// A reading session is a user token, a publication token and an origin. It is
// opened after some time of active use and valid for a time, both as agreed for
// the license key. Everything here is a function of values: the clock comes in
// as an argument, and keeping sessions, origins and figures is the caller's work.
// Usage reports follow the COUNTER Code of Practice, Release 5.1.
package metering

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"time"
)

// A Policy says what becomes of use at an origin that nobody has decided about.
type Policy string

// The policies.
const (
	Block  Policy = "block"  // it is blocked, and not billed
	Review Policy = "review" // it is accepted and held, until the origin is decided about or the review ends
)

// ParsePolicy reads the name of a policy.
func ParsePolicy(name string) (Policy, error) {
	if p := Policy(name); p == Block || p == Review {
		return p, nil
	}
	return "", fmt.Errorf("unknown origin policy %q: it is one of %s, %s", name, Block, Review)
}

// An Agreement is what was agreed on with the holder of a license key.
type Agreement struct {
	Threshold       time.Duration // of active use, before a session starts
	Validity        time.Duration // of a session, from its start
	OfflineValidity time.Duration // for how long use may go unreported; 0 forbids it offline
	Policy          Policy
}

// DefaultAgreement is what is agreed where nothing else is.
func DefaultAgreement() Agreement {
	return Agreement{Threshold: time.Minute, Validity: 24 * time.Hour, OfflineValidity: 30 * 24 * time.Hour, Policy: Block}
}

// Bounds of agreements.
const (
	maxThreshold = time.Hour
	minValidity  = time.Minute
	maxValidity  = 31 * 24 * time.Hour
	maxOffline   = 90 * 24 * time.Hour
)

// Check refuses an agreement that makes no sense.
func (a Agreement) Check() error {
	switch {
	case a.Threshold < 0 || a.Threshold > maxThreshold || a.Threshold%time.Second != 0:
		return fmt.Errorf("activation threshold of %s is not 0 s to %s, in whole seconds", a.Threshold, maxThreshold)
	case a.Validity < minValidity || a.Validity > maxValidity || a.Validity%time.Second != 0:
		return fmt.Errorf("session validity of %s is not %s to %s, in whole seconds", a.Validity, minValidity, maxValidity)
	case a.OfflineValidity < 0 || a.OfflineValidity > maxOffline || a.OfflineValidity%time.Second != 0:
		return fmt.Errorf("offline validity of %s is not 0 s to %s, in whole seconds", a.OfflineValidity, maxOffline)
	}
	_, err := ParsePolicy(string(a.Policy))
	return err
}

// Times of the protocol.
const (
	// ReviewPeriod is for how long the holder of a key may decide about an origin
	// after being told of it. Then the origin counts as approved.
	ReviewPeriod = 15 * 24 * time.Hour
	// BlockedPeriod is for how long a key must have been blocked without a break
	// before its holder is told about that.
	BlockedPeriod = 30 * 24 * time.Hour
	// MaxAhead is how far the clock of a device may be ahead of ours.
	MaxAhead = 5 * time.Minute
	// MaxDelay is how long a report of use may be on its way.
	MaxDelay = time.Hour
)

// NewLicenseKey returns a new license key. It is no secret: web pages hold it.
func NewLicenseKey() string { return "rs_" + rand.Text() }

// A Secret is what native apps sign with, or what notifications are signed with.
// It does not print.
type Secret struct {
	bytes func() []byte // a function, which fmt does not look into
}

const (
	secretPrefix = "rss_"
	secretSize   = 32
)

// NewSecret returns a random secret.
func NewSecret() Secret {
	b := make([]byte, secretSize)
	rand.Read(b) // never returns an error
	return SecretOf(b)
}

// SecretOf returns the secret of these bytes, which are not to be changed.
func SecretOf(b []byte) Secret { return Secret{func() []byte { return b }} }

// Bytes returns the secret, to be used and not to be kept or changed. It is nil
// for the zero value, which is no secret.
func (s Secret) Bytes() []byte {
	if s.bytes == nil {
		return nil
	}
	return s.bytes()
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return len(s.Bytes()) == 0 }

// Reveal returns the secret as text, to be shown once. The bytes of that text,
// and not those that it encodes, are the key of signatures, so that an app can
// use it as it is.
func (s Secret) Reveal() string {
	return secretPrefix + base64.RawURLEncoding.EncodeToString(s.Bytes())
}

const redacted = "Secret(redacted)"

// String keeps the secret out of logs and error messages.
func (Secret) String() string { return redacted }

// Format keeps the secret out of every formatting verb.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON keeps the secret out of documents.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
