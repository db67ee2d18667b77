package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/licensing"
	"github.com/lcp-tools/lcp/pkg/metering"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
	"github.com/lcp-tools/lcp/pkg/store"
)

// problemMediaType is that of every error (RFC 9457).
const problemMediaType = "application/problem+json"

// typeServer is the problem type of unexpected failures (LSD §3).
const typeServer = "http://readium.org/license-status-document/error/server"

// A Problem is an error as the client sees it (RFC 9457 §3.1).
type Problem struct {
	Type   string         `json:"type"`
	Title  string         `json:"title"`
	Status int            `json:"status"`
	Detail string         `json:"detail,omitempty"`
	Errors []FieldProblem `json:"errors,omitempty"` // one for each field that is wrong
	Code   string         `json:"code,omitempty"`   // for the dashboard of the documented server

	Message     string `json:"message,omitempty"`     // of the provider that denies a license, to the user
	RedirectURL string `json:"redirectUrl,omitempty"` // where it sends the user
}

// codeTokenExpired is what that dashboard asks for a new login at.
const codeTokenExpired = "TOKEN_EXPIRED"

// A FieldProblem says what is wrong with one field of a request.
type FieldProblem struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// problem makes a problem without a type of its own.
func problem(code int, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(code), Status: code, Detail: detail}
}

// problems is where errors of other packages meet HTTP. The first that matches
// counts; what is not here is unexpected, and its text is not shown.
var problems = []struct {
	err  error
	code int
}{
	{access.ErrNoCredentials, http.StatusUnauthorized},
	{access.ErrCredentials, http.StatusUnauthorized},
	{access.ErrTokenExpired, http.StatusUnauthorized},
	{licensing.ErrPublication, http.StatusNotFound},
	{licensing.ErrLicense, http.StatusNotFound},
	{provider.ErrUnknown, http.StatusNotFound},
	{provider.ErrReserved, http.StatusConflict},
	{sharedsecret.ErrUnknown, http.StatusNotFound},
	{sharedsecret.ErrMove, http.StatusConflict},
	{store.ErrNotFound, http.StatusNotFound},
	{store.ErrInUse, http.StatusConflict},
	{store.ErrExists, http.StatusConflict},
	{store.ErrKeyChanged, http.StatusConflict},
	{store.ErrInvalid, http.StatusBadRequest},
	{profile.ErrHelper, http.StatusServiceUnavailable},
	{store.ErrUnavailable, http.StatusServiceUnavailable},
	{context.DeadlineExceeded, http.StatusServiceUnavailable},
}

// problemOf turns an error into what the client is told. expected is false for
// one that only the log may tell.
func problemOf(err error) (p *Problem, expected bool) {
	if errors.As(err, &p) {
		return p, true
	}
	if refusal, ok := errors.AsType[*delivery.Refusal](err); ok {
		return refusalProblem(refusal), true
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem(http.StatusRequestEntityTooLarge, "the body is too large"), true
	}
	for _, known := range problems {
		if !errors.Is(err, known.err) {
			continue
		}
		if known.code == http.StatusServiceUnavailable {
			p = problem(known.code, "the server cannot do this at the moment, try again")
			p.Type = typeServer
			return p, false
		}
		p = problem(known.code, err.Error())
		p.Errors = fieldProblems(err)
		if errors.Is(err, access.ErrTokenExpired) {
			p.Code = codeTokenExpired
		}
		return p, true
	}
	if fields := fieldProblems(err); len(fields) > 0 {
		p = problem(http.StatusBadRequest, err.Error())
		p.Errors = fields
		return p, true
	}
	p = problem(http.StatusInternalServerError, "")
	p.Type, p.Title = typeServer, "An unexpected error has occurred."
	return p, false
}

// refusalProblem is what whoever was refused a license is told.
func refusalProblem(r *delivery.Refusal) *Problem {
	return &Problem{
		Type: r.Reason.Type(), Title: r.Reason.Title(), Status: r.Reason.Status(), Detail: cmp.Or(r.Detail, r.Message),
		Errors: fieldProblems(r), Message: r.Message, RedirectURL: r.RedirectURL,
	}
}

// setRefusal sets what a refusal has to say in headers.
func setRefusal(h http.Header, r *delivery.Refusal) {
	if challenge := r.Challenge(); challenge != "" {
		h.Set("WWW-Authenticate", challenge)
	}
	if r.RetryAfter > 0 {
		setRetryAfter(h, r.RetryAfter)
	}
}

// setRetryAfter tells when to come again, in whole seconds and not too early.
func setRetryAfter(h http.Header, d time.Duration) {
	h.Set("Retry-After", strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10))
}

// fieldProblems collects the faults of fields from an error and all that it
// wraps.
func fieldProblems(err error) []FieldProblem {
	switch e := err.(type) { //nolint:errorlint // walks the tree itself
	case *license.FieldError:
		return []FieldProblem{{e.Field, e.Reason}}
	case *store.InvalidError:
		return []FieldProblem{{e.Field, e.Reason}}
	case *metering.FieldError:
		return []FieldProblem{{e.Field, e.Reason}}
	case *store.ExistsError:
		return []FieldProblem{{e.Field, e.Error()}}
	case interface{ Unwrap() []error }:
		var list []FieldProblem
		for _, inner := range e.Unwrap() {
			list = append(list, fieldProblems(inner)...)
		}
		return list
	case interface{ Unwrap() error }:
		return fieldProblems(e.Unwrap())
	default:
		return nil
	}
}

// writeProblem answers with a problem.
func writeProblem(w http.ResponseWriter, p *Problem) {
	h := w.Header()
	h.Set("Content-Type", problemMediaType)
	h.Set("Cache-Control", "no-store")
	if p.Status == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", `Basic realm="lcp", charset="UTF-8"`)
	}
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte(`{"type":"about:blank","title":"Internal Server Error","status":500}`)
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}
