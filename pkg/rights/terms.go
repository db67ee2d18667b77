package rights

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/lcp-tools/lcp/pkg/license"
)

// Terms are what a license shall say. They do not print: they hold personal
// data and the hash of a passphrase. Zero values stand for none.
type Terms struct {
	AssetID      string
	Start        time.Time // UTC
	End          time.Time // UTC
	PlayDuration Duration  // see PlayEnd
	Copy         *int64    // characters; nil is no limit
	Print        *int64    // pages; nil is no limit
	Profile      string    // URI of an encryption profile
	User         User
	PassHash     string // SHA-256 of the passphrase, 64 lower-case hexadecimal digits
	TextHint     string
	Warnings     []string // what was asked for and cannot be had; never personal data
}

// Grants reports whether a token, with its templates merged, says that there
// shall be a license.
func (t Token) Grants() bool { return t.Kind != "" }

// Terms returns what a license issued now says. What LCP cannot express is an
// error if strict, else a warning. Faults are *license.FieldError, several
// joined. The token must have been merged with its templates.
//
// An end in the past is none of them: fresh licenses have it.
func (t Token) Terms(now time.Time, strict bool) (Terms, error) {
	var faults []error
	fault := func(field, reason string) {
		faults = append(faults, &license.FieldError{Field: field, Reason: reason})
	}
	terms := Terms{
		AssetID: t.AssetID, Start: t.LCP.Start, End: t.Loan.end(now), PlayDuration: t.Loan.PlayDuration,
		Copy: t.LCP.Copy, Print: t.LCP.Print, Profile: t.LCP.Profile,
		User: t.User, PassHash: t.PassHash, TextHint: t.TextHint,
	}
	switch {
	case t.Kind == "":
		fault("profile", "is missing")
	case t.Kind == Rental && t.Loan == (Loan{}):
		fault("profile", "is a rental without absoluteExpiration, relativeExpiration or playDuration, and would not end")
	case t.Kind == Rental && terms.End.IsZero():
		terms.Warnings = append(terms.Warnings, "profile.playDuration: without an expiration the license has no end until a device is registered")
	}
	if !terms.End.IsZero() && !terms.Start.IsZero() && !terms.End.After(terms.Start) {
		fault("lcp.start", "is not before the end of the rental")
	}
	if !writable(terms.End) && !terms.End.IsZero() {
		fault("profile.relativeExpiration", "leads beyond the year 9999")
	}
	t.User.check(fault)
	for _, name := range t.inexpressible() {
		if strict {
			fault(name, "cannot be expressed in an LCP license")
		} else {
			terms.Warnings = append(terms.Warnings, name+": it cannot be expressed in an LCP license, and was ignored")
		}
	}
	if err := errors.Join(faults...); err != nil {
		return Terms{}, err
	}
	return terms, nil
}

// inexpressible names what the token asks for and LCP does not have.
func (t Token) inexpressible() []string {
	names := slices.Clone(t.beyond)
	if t.storeLicense != nil && !*t.storeLicense {
		names = append(names, "storeLicense") // a reading app always keeps its license
	}
	return names
}

// end is the earlier of the two expirations.
func (l Loan) end(now time.Time) time.Time {
	if l.RelativeExpiration.IsZero() {
		return l.AbsoluteExpiration
	}
	return earlier(l.AbsoluteExpiration, l.RelativeExpiration.After(now.Truncate(time.Second)))
}

// PlayEnd returns when a license ends whose first device is registered at a
// time: after the play duration, and not later than it ended before. A zero end
// is none.
func PlayEnd(end time.Time, playDuration Duration, registered time.Time) time.Time {
	if playDuration.IsZero() {
		return end
	}
	return earlier(end, playDuration.After(registered))
}

// earlier returns the earlier of two times, of which a zero one is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// check finds names in Encrypted that cannot be encrypted: leaving such a field
// clear in silence would publish what was to be kept (LCP §3.6).
func (u User) check(fault func(field, reason string)) {
	fields := map[string]string{"id": u.ID, "name": u.Name, "email": u.Email}
	for i, name := range u.Encrypted {
		switch value, known := fields[name]; {
		case !known:
			fault("user.encrypted", `must name "id", "name" or "email"`)
		case value == "":
			fault("user.encrypted", fmt.Sprintf("names %q, but the user has no such field", name))
		case slices.Contains(u.Encrypted[:i], name):
			fault("user.encrypted", fmt.Sprintf("names %q twice", name))
		}
	}
}

// String keeps personal data out of logs and error messages.
func (u User) String() string { return "rights.User(redacted)" }

// Format keeps it out of every formatting verb.
func (u User) Format(f fmt.State, _ rune) { fmt.Fprint(f, u.String()) }

// LogValue implements slog.LogValuer.
func (u User) LogValue() slog.Value { return slog.StringValue(u.String()) }

// String keeps personal data out of logs and error messages.
func (t Terms) String() string { return "rights.Terms(redacted)" }

// Format keeps it out of every formatting verb.
func (t Terms) Format(f fmt.State, _ rune) { fmt.Fprint(f, t.String()) }

// LogValue implements slog.LogValuer.
func (t Terms) LogValue() slog.Value { return slog.StringValue(t.String()) }
