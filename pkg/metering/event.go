package metering

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// An Event reports active use of a publication since the event before it.
type Event struct {
	ID            string // made by the reading system; the same one again is the same event
	User          string // token
	Publication   string // token
	Device        string // token; may be empty
	Signature     string // of the publication, as the reading system computes it; may be empty
	At            time.Time
	ActiveSeconds int64
	Offline       bool // it was kept while there was no connection
}

// Bounds of events.
const (
	maxToken   = 255
	maxEventID = 128
	maxSeconds = 24 * 60 * 60
)

// A FieldError says what is wrong with a field of an event, under the name that
// it has in the API.
type FieldError struct {
	Field, Reason string
}

func (e *FieldError) Error() string { return e.Field + " " + e.Reason }

// Check refuses what no reading system should send, and what came too early or
// too late to be counted. The error is a *FieldError.
func (e *Event) Check(a Agreement, now time.Time) error {
	for _, f := range []struct {
		name, text string
		limit      int
		required   bool
	}{
		{"eventId", e.ID, maxEventID, true},
		{"userToken", e.User, maxToken, true},
		{"publicationToken", e.Publication, maxToken, true},
		{"deviceToken", e.Device, maxToken, false},
		{"publicationSignature", e.Signature, maxToken, false},
	} {
		if reason := whyNotToken(f.text, f.limit, f.required); reason != "" {
			return &FieldError{f.name, reason}
		}
	}
	switch age := now.Sub(e.At); {
	case e.ActiveSeconds < 0 || e.ActiveSeconds > maxSeconds:
		return &FieldError{"activeSeconds", fmt.Sprintf("must be 0 to %d", maxSeconds)}
	case e.At.IsZero():
		return &FieldError{"occurredAt", "is missing"}
	case age < -MaxAhead:
		return &FieldError{"occurredAt", fmt.Sprintf("lies more than %s in the future", MaxAhead)}
	case e.Offline && a.OfflineValidity == 0:
		return &FieldError{"offline", "is not allowed with this license key"}
	case e.Offline && age > a.OfflineValidity+MaxDelay:
		return &FieldError{"occurredAt", fmt.Sprintf("lies more than %s back, and use may go unreported for no longer", a.OfflineValidity)}
	case !e.Offline && age > MaxDelay:
		return &FieldError{"occurredAt", fmt.Sprintf("lies more than %s back, and the event is not marked offline", MaxDelay)}
	}
	return nil
}

// whyNotToken says what is wrong with a token: it may have any printable
// characters, but no space at its ends, which some would take for another token.
func whyNotToken(text string, limit int, required bool) string {
	switch {
	case text == "" && required:
		return "is missing"
	case !utf8.ValidString(text):
		return "is not UTF-8"
	case utf8.RuneCountInString(text) > limit:
		return fmt.Sprintf("is longer than %d characters", limit)
	case strings.TrimSpace(text) != text:
		return "begins or ends with a space"
	case strings.ContainsFunc(text, unicode.IsControl):
		return "has control characters"
	}
	return ""
}

// A Status is what was decided on an event.
type Status string

// The statuses.
const (
	Started   Status = "started"          // a session begins with it
	Continued Status = "continued"        // it belongs to a session
	Waiting   Status = "pending_activity" // there was not enough active use yet
	Refused   Status = "blocked"
)

// Reasons for which an event is blocked.
const (
	ReasonUnknown = "origin_unknown"
	ReasonBlocked = "origin_blocked"
	ReasonTooMany = "too_many_origins" // that nobody has decided about
)

// A Session is one of a user, a publication and an origin.
type Session struct {
	Opened     time.Time // the first event of it
	Started    time.Time // when there was enough active use; zero before
	ValidUntil time.Time // exclusive
	Seconds    int64     // of active use
}

// Place returns the index of the session that an event at a time belongs to, or
// -1 if it opens another one. sessions are those of one user, publication and
// origin, in the order in which they were opened. An event may come late, before a
// session that is there already: what lies within one validity is one session,
// in whichever order it was reported.
func Place(sessions []Session, at time.Time, a Agreement) int {
	for i, s := range sessions {
		if !at.Before(s.Opened) && at.Before(s.ValidUntil) {
			return i
		}
	}
	for i, s := range sessions {
		if s.Opened.After(at) && s.Opened.Sub(at) < a.Validity {
			return i
		}
	}
	return -1
}

// Open returns the session that an event at a time opens, before its use counts.
func Open(at time.Time, a Agreement) Session {
	return Session{Opened: at, ValidUntil: at.Add(a.Validity)}
}

// Use adds active use to a session, and says what that makes of the event: only
// one of the events of a session is Started.
func (s *Session) Use(at time.Time, seconds int64, a Agreement) Status {
	s.Seconds += seconds
	switch {
	case !s.Started.IsZero():
		return Continued
	case time.Duration(s.Seconds)*time.Second < a.Threshold:
		return Waiting
	}
	s.Started = at
	if at.Before(s.Opened) {
		s.Started = s.Opened
	}
	s.ValidUntil = s.Started.Add(a.Validity)
	return Started
}
