package delivery

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// TypeBase begins the URI of every problem type (RFC 9457 §3.1.1); the page
// explains each.
const TypeBase = "https://github.com/lcp-tools/lcp/blob/main/docs/errors.md#"

// A Reason is why no license is delivered. It is the last part of the URI of the
// problem type.
type Reason string

// The reasons, by HTTP status. Those that only the server can find are here as
// well, so that all of the gateway's problem types stand together.
const (
	MalformedRequest Reason = "malformed-request"
	SeveralTokens    Reason = "several-tokens"
	TokenTooLarge    Reason = "token-too-large"

	MissingToken     Reason = "missing-token"
	MalformedToken   Reason = "malformed-token"
	UnsignedToken    Reason = "unsigned-token"
	WrongAlgorithm   Reason = "wrong-algorithm"
	UnknownSecret    Reason = "unknown-secret"
	BadSignature     Reason = "bad-signature"
	ExpiredToken     Reason = "expired-token"
	TokenNotYetValid Reason = "token-not-yet-valid" //nolint:gosec // a reason, not a token

	ReplayedToken   Reason = "replayed-token"
	WrongAsset      Reason = "wrong-asset"
	UnknownMerchant Reason = "unknown-merchant"
	Denied          Reason = "denied"
	ModeOff         Reason = "mode-off"

	UnknownPublication Reason = "unknown-publication"
	UnknownLicense     Reason = "unknown-license"

	InvalidRights   Reason = "invalid-rights"
	InvalidTemplate Reason = "invalid-template"
	MissingUserData Reason = "missing-user-data"

	TooManyRequests Reason = "too-many-requests"

	CallbackInvalid Reason = "callback-invalid"
	CallbackTimeout Reason = "callback-timeout"
	Unavailable     Reason = "unavailable"
)

// reasons is where reasons meet HTTP, in the order of the documentation.
var reasons = []struct {
	reason Reason
	status int
	title  string
}{
	{MalformedRequest, http.StatusBadRequest, "The request cannot be understood."},
	{SeveralTokens, http.StatusBadRequest, "The request carries more than one token."},
	{TokenTooLarge, http.StatusBadRequest, "The token is too large."},
	{MissingToken, http.StatusUnauthorized, "A token is needed."},
	{MalformedToken, http.StatusUnauthorized, "The token is malformed."},
	{UnsignedToken, http.StatusUnauthorized, "The token is not signed."},
	{WrongAlgorithm, http.StatusUnauthorized, "The token is signed with another algorithm than its secret allows."},
	{UnknownSecret, http.StatusUnauthorized, "The token is signed with a secret that is not known, or not in force."},
	{BadSignature, http.StatusUnauthorized, "The signature of the token is wrong."},
	{ExpiredToken, http.StatusUnauthorized, "The token has expired."},
	{TokenNotYetValid, http.StatusUnauthorized, "The token is not valid yet."},
	{ReplayedToken, http.StatusForbidden, "The token was used before."},
	{WrongAsset, http.StatusForbidden, "The authorization is for another publication."},
	{UnknownMerchant, http.StatusForbidden, "The authorization is for another merchant."},
	{Denied, http.StatusForbidden, "The provider does not grant this license."},
	{ModeOff, http.StatusForbidden, "This way to authorize requests is switched off."},
	{UnknownPublication, http.StatusNotFound, "The publication is not known."},
	{UnknownLicense, http.StatusNotFound, "The license is not known."},
	{InvalidRights, http.StatusUnprocessableEntity, "The rights granted cannot be made into a license."},
	{InvalidTemplate, http.StatusUnprocessableEntity, "A rights template cannot be used."},
	{MissingUserData, http.StatusUnprocessableEntity, "The license needs data of its user that nobody gave."},
	{TooManyRequests, http.StatusTooManyRequests, "There are too many requests."},
	{CallbackInvalid, http.StatusBadGateway, "The provider's authorization service did not answer as it must."},
	{CallbackTimeout, http.StatusGatewayTimeout, "The provider's authorization service did not answer in time."},
	{Unavailable, http.StatusServiceUnavailable, "The provider's authorization service cannot be asked at the moment."},
}

// Reasons returns all reasons, in the order of the documentation.
func Reasons() []Reason {
	list := make([]Reason, len(reasons))
	for i, r := range reasons {
		list[i] = r.reason
	}
	return list
}

// Status returns the HTTP status of an answer with that reason.
func (r Reason) Status() int {
	for _, known := range reasons {
		if known.reason == r {
			return known.status
		}
	}
	return http.StatusInternalServerError
}

// Title returns what the reason is, in a sentence.
func (r Reason) Title() string {
	for _, known := range reasons {
		if known.reason == r {
			return known.title
		}
	}
	return http.StatusText(http.StatusInternalServerError)
}

// Type returns the URI of the problem type.
func (r Reason) Type() string { return TypeBase + string(r) }

// A Refusal is a request that is not granted. All of it but the cause may be
// shown to whoever asked. Its text and what it logs hold no secret, no token and
// nothing personal; a message may, and is in neither.
type Refusal struct {
	Reason      Reason
	Detail      string        // what is wrong with this request; may be empty
	Message     string        // what the provider tells the user instead, for the client alone; may be empty
	RedirectURL string        // where the provider sends the user, an http(s) URL; may be empty
	RetryAfter  time.Duration // when to ask again, zero if that is not known
	Err         error         // the cause, for the log; may be nil

	told bool // the detail tells the cause
}

// Refuse returns a refusal with a cause that is not shown to the client.
func Refuse(reason Reason, detail string, cause error) *Refusal {
	return &Refusal{Reason: reason, Detail: detail, Err: cause}
}

// Explain returns a refusal with a cause that the client is told.
func Explain(reason Reason, prefix string, cause error) *Refusal {
	return &Refusal{Reason: reason, Detail: prefix + strings.ReplaceAll(cause.Error(), "\n", "; "), Err: cause, told: true}
}

func (e *Refusal) Error() string {
	text := string(e.Reason)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Err != nil && !e.told {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Refusal) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *Refusal) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("reason", string(e.Reason))}
	if e.Detail != "" {
		attrs = append(attrs, slog.String("detail", e.Detail))
	}
	if e.Err != nil && !e.told {
		attrs = append(attrs, slog.String("cause", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// Challenge returns the WWW-Authenticate header of an answer with status 401,
// and "" for any other (RFC 6750 §3).
func (e *Refusal) Challenge() string {
	const realm = `Bearer realm="lcp"`
	switch {
	case e.Reason.Status() != http.StatusUnauthorized:
		return ""
	case e.Reason == MissingToken: // who gave nothing is told of no error
		return realm
	}
	return fmt.Sprintf("%s, error=%q, error_description=%q", realm, "invalid_token", e.Reason.Title())
}

// ReasonOf returns the reason of a refusal that err is or wraps, or "".
func ReasonOf(err error) Reason {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Reason
	}
	return ""
}
