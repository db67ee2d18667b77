// Package status holds the life of a license as License Status Document 1.0
// rev. 5 (LSD) tells it: six states, the requests that move a license between
// them, and the document that shows where it stands, in the user's language.
//
// Everything here turns values into values. The clock, the device and the policy
// come in as arguments; it does not know where licenses are kept, who may ask,
// or how a request arrived.
package status

import (
	"fmt"
	"slices"
	"time"
)

// MediaType is that of status documents (LSD §2.1).
const MediaType = "application/vnd.readium.license.status.v1.0+json"

// A State is where a license stands (LSD §2.3).
type State string

// The states of a license. Nothing leaves Revoked and Cancelled.
const (
	Ready     State = "ready"     // issued, and no device registered yet
	Active    State = "active"    // a device is registered
	Revoked   State = "revoked"   // ended by the provider
	Returned  State = "returned"  // ended by the user
	Cancelled State = "cancelled" // ended, by either, before any device was registered
	Expired   State = "expired"   // past its end
)

var states = []State{Ready, Active, Revoked, Returned, Cancelled, Expired}

// ParseState reads the name of a state.
func ParseState(name string) (State, error) {
	if s := State(name); slices.Contains(states, s) {
		return s, nil
	}
	return "", fmt.Errorf("unknown license status %q: it must be one of %s", name, states)
}

// A Record is what is known of a license in order to move it and to show where
// it stands. A zero time is none.
type Record struct {
	ID            string
	Profile       string // URI of the encryption profile; if empty, the document does not tell it
	State         State  // as last stored: that the license expired may not be
	Start         time.Time
	End           time.Time
	MaxEnd        time.Time // no renewal goes beyond it; if zero, see Policy.MaxEnd
	PlayEnd       time.Time // when it would end were its first device registered now; if zero, that changes no end
	Issued        time.Time
	Updated       time.Time // of the license document; zero: never since it was issued
	StatusUpdated time.Time
	Devices       int // how many are registered
}

// Seen returns the state at a time: a license that is ready or active expires
// when the clock passes its end.
func (r Record) Seen(now time.Time) State {
	if (r.State == Ready || r.State == Active) && r.over(now) {
		return Expired
	}
	return r.State
}

// over reports whether the end of the rights lies in the past.
func (r Record) over(now time.Time) bool {
	return !r.End.IsZero() && instant(now).After(r.End)
}

// LicenseUpdated returns when the license document was last updated, which is
// when it was issued if never since (LSD §2.4).
func (r Record) LicenseUpdated() time.Time {
	if r.Updated.IsZero() {
		return r.Issued
	}
	return r.Updated
}

// LastUpdated returns when the status document last changed, as seen at a time
// (LSD §2.4). Two things change it without a move: the license document being
// updated, which it tells, and the license expiring.
func (r Record) LastUpdated(now time.Time) time.Time {
	last := later(r.StatusUpdated, r.LicenseUpdated())
	if r.State != Expired && r.Seen(now) == Expired {
		last = later(last, r.End)
	}
	return last
}

// A Device is what a reading app runs on, as it names itself (LSD §3.3).
type Device struct {
	ID         string // empty: it does not tell
	Name       string
	Registered bool // with this license; not for the device to say
}

// Types of events (LSD §2.7).
const (
	EventRegister = "register"
	EventRenew    = "renew"
	EventReturn   = "return"
	EventRevoke   = "revoke"
	EventCancel   = "cancel"
)

// An Event is something that happened to a license (LSD §2.7).
type Event struct {
	Type       string
	DeviceID   string // empty if no device had a part in it, or none was named
	DeviceName string
	At         time.Time
}

// instant is how dates stand in license and status documents alike: UTC,
// milliseconds at most.
func instant(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
