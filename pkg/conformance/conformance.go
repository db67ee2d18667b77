// Package conformance finds out why a reading app would refuse a license, or the
// publication that it is for: it holds license documents, status documents and
// protected packages against the specifications, follows the links of a license
// as an app does, and says of each fault where it is, which clause it breaks and
// what to do.
//
// Its rules come from Readium LCP 1.0 rev. 5, License Status Document 1.0 rev. 5
// (LSD), the notes "LCP for PDF" and "LCP for audiobooks", and EPUB OCF 3.3. They
// are functions of documents; what reads files and calls servers is Checker. All
// that is checked comes from strangers, so that everything is bounded: sizes,
// waits, and how often one finding is repeated.
package conformance

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Severity says how much a finding matters.
type Severity string

// Severities of findings.
const (
	Error   Severity = "error"   // a specification forbids it, or apps refuse it
	Warning Severity = "warning" // a specification advises against it, or some apps stumble over it
	Info    Severity = "info"    // worth knowing, and no fault
)

// Subjects of findings: which of the things that belong to a target is meant.
const (
	SubjectLicense     = "license"
	SubjectFresh       = "fresh license" // as the status document links to it
	SubjectStatus      = "status document"
	SubjectHint        = "hint page"
	SubjectPublication = "publication"
)

// A Finding is what was found out about one place.
type Finding struct {
	Severity Severity `json:"severity"`
	Rule     string   `json:"rule"` // stable name, such as license-profile
	Subject  string   `json:"subject"`
	Place    string   `json:"place,omitempty"` // member of a document by its path, or entry of a package
	Message  string   `json:"message"`
	Clause   string   `json:"clause,omitempty"` // of a specification, such as LCP §3.4
	Remedy   string   `json:"remedy,omitempty"`
}

// A rule is one requirement on a T.
type rule[T any] struct {
	name     string
	severity Severity
	place    string // below the one that apply is given
	clause   string
	breach   func(T) string // what is wrong, or "" where nothing is
	remedy   string
}

// apply holds v, found at a place, against the rules.
func apply[T any](rules []rule[T], subject, place string, v T) []Finding {
	var found []Finding
	for _, r := range rules {
		if message := r.breach(v); message != "" {
			found = append(found, Finding{r.severity, r.name, subject, join(place, r.place), message, r.clause, r.remedy})
		}
	}
	return found
}

// join puts a place below another one.
func join(place, below string) string {
	if place == "" || below == "" {
		return place + below
	}
	return place + "." + below
}

// notURI says why text is not an absolute URI. What is empty is told elsewhere.
func notURI(text string) string {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return ""
	case err != nil || !u.IsAbs() || strings.ContainsAny(text, " \t\r\n"):
		return quote(text) + " is not an absolute URI"
	}
	return ""
}

// quote shows text of others, not too much of it.
func quote(text string) string { return strconv.Quote(clip(text, 120)) }

// clip cuts a text that has more bytes than that.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// date writes a date for people.
func date(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// dateFindings says what is wrong with the text of a date. That it is none at all
// is told by who reads the document.
func dateFindings(subject, place, clause, text string) []Finding {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil
	}
	return apply([]rule[string]{
		{"date-utc", Warning, "", clause, func(s string) string {
			if strings.HasSuffix(s, "Z") {
				return ""
			}
			return quote(s) + " is not in UTC"
		}, "write " + date(t) + ": some apps compare dates as texts"},
		{"date-precision", Warning, "", clause, func(s string) string {
			if t.Equal(t.Truncate(time.Millisecond)) {
				return ""
			}
			return quote(s) + " is more precise than a millisecond"
		}, "write " + date(t.Truncate(time.Millisecond)) + ": the date types of some apps hold no more"},
	}, subject, place, text)
}
