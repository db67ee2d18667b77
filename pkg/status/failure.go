package status

import "errors"

// A Failure is why a request was not met: the type of a problem document, a URI
// (LSD §3.1).
type Failure string

const failureBase = "http://readium.org/license-status-document/error/"

// The failures of LSD §3.3 to §3.5.
const (
	FailureRegistration  Failure = failureBase + "registration"
	FailureRenew         Failure = failureBase + "renew"
	FailureRenewDate     Failure = failureBase + "renew/date"
	FailureReturn        Failure = failureBase + "return"
	FailureReturnAlready Failure = failureBase + "return/already"
	FailureReturnExpired Failure = failureBase + "return/expired"
	FailureServer        Failure = failureBase + "server"
)

var failures = []struct {
	err     error
	failure Failure
}{
	{ErrRegistration, FailureRegistration},
	{ErrRenewDate, FailureRenewDate},
	{ErrRenew, FailureRenew},
	{ErrAlreadyReturned, FailureReturnAlready},
	{ErrExpired, FailureReturnExpired},
	{ErrReturn, FailureReturn},
}

// FailureOf returns the failure that a refusal of this package stands for. For
// any other error it is FailureServer.
func FailureOf(err error) Failure {
	for _, f := range failures {
		if errors.Is(err, f.err) {
			return f.failure
		}
	}
	return FailureServer
}

// Code returns the HTTP status code that goes with the failure. Where LSD §3.5
// leaves it open, it is 400.
func (f Failure) Code() int {
	switch f {
	case FailureRegistration, FailureRenew, FailureReturn:
		return 400
	case FailureRenewDate, FailureReturnAlready, FailureReturnExpired:
		return 403
	default:
		return 500
	}
}

// Title returns the failure in a few words, in a language.
func (f Failure) Title(l Language) string { return l.text().failures[f].title }

// Detail returns what the user should know and can do about the failure, in a
// language.
func (f Failure) Detail(l Language) string { return l.text().failures[f].detail }
