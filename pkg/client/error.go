package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// An Error is a refusal by the license server: an answer other than success. The
// texts are the server's own, fit to be printed on one line.
type Error struct {
	Status     int    // of HTTP
	Type       string // URI of the problem type (RFC 9457 §3.1.1); may be empty
	Title      string // may be empty
	Detail     string // may be empty
	Instance   string // may be empty
	Fields     []FieldFault
	RetryAfter time.Duration // how long the server wants to be left alone; 0: it did not say

	problem bool // the server explained itself: these are its words
}

// A FieldFault says what is wrong with one field of a request.
type FieldFault struct {
	Field  string `json:"field"` // as the API names it, such as pass_hash
	Detail string `json:"detail"`
}

// Error tells on one line what the server says and, where that is not enough,
// what to do.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "license server answered %d %s", e.Status, http.StatusText(e.Status))
	said := e.said()
	if said != "" {
		b.WriteString(": " + said)
	}
	switch {
	case e.Status == http.StatusUnauthorized && said == "":
		b.WriteString(" (the credentials are missing or not the right ones)")
	case e.Status == http.StatusNotFound && !e.problem:
		b.WriteString(" (is this the address of a license server?)")
	case e.RetryAfter > 0:
		fmt.Fprintf(&b, " (try again in %s)", e.RetryAfter)
	}
	return b.String()
}

// said is what the server has to say beyond the status.
func (e *Error) said() string {
	faults := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		faults[i] = f.Field + ": " + f.Detail
	}
	switch {
	case len(faults) > 0:
		return strings.Join(faults, "; ")
	case e.Detail != "":
		return e.Detail
	case e.Title != http.StatusText(e.Status):
		return e.Title
	default:
		return ""
	}
}

// IsNotFound reports whether err says that the server has no such record. An
// answer 404 without an explanation does not: that may come from a proxy, or
// from something that is no license server at all.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound && e.problem
}

// maxProblem bounds a problem document in bytes.
const maxProblem = 64 << 10

// refusal reads the problem document of an answer (RFC 9457), if it has one.
func refusal(a *answer) *Error {
	e := &Error{Status: a.status, RetryAfter: retryAfter(a.header)}
	var p struct {
		Type     string       `json:"type"`
		Title    string       `json:"title"`
		Detail   string       `json:"detail"`
		Instance string       `json:"instance"`
		Errors   []FieldFault `json:"errors"`
	}
	if len(a.body) > maxProblem || json.Unmarshal(a.body, &p) != nil || p.Title == "" && p.Type == "" && p.Detail == "" {
		return e
	}
	e.problem = true
	e.Type, e.Title, e.Detail, e.Instance = oneLine(p.Type), oneLine(p.Title), oneLine(p.Detail), oneLine(p.Instance)
	for _, f := range p.Errors[:min(len(p.Errors), 50)] {
		e.Fields = append(e.Fields, FieldFault{oneLine(f.Field), oneLine(f.Detail)})
	}
	return e
}

// oneLine makes text of a server fit to be printed: it could hold anything,
// commands to a terminal included.
func oneLine(text string) string {
	const most = 500
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)), " ")
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return text
}
