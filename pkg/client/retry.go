package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Pauses between attempts: the first, the longest of our own, and the longest
// that a server may ask for.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 15 * time.Second
	longestAsked = 2 * time.Minute
)

// again decides whether a call that failed is made once more, and after which
// pause.
//
// A request that was refused for now can be repeated whatever it is. One whose
// fate is unknown is repeated only where carrying it out twice equals carrying it
// out once: by its method (RFC 9110 §9.2.2), or by its Idempotency-Key.
func (c *Client) again(r call, attempt int, err error) (time.Duration, bool) {
	if attempt >= c.o.Attempts {
		return 0, false
	}
	repeatable := !r.once
	var refused *Error
	var lost *lostError
	switch {
	case errors.As(err, &refused):
		switch refused.Status {
		case http.StatusTooManyRequests:
		case http.StatusConflict:
			// The server says to come back while the same request is under way.
			if refused.RetryAfter == 0 {
				return 0, false
			}
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			if !repeatable {
				return 0, false
			}
		default:
			return 0, false
		}
		if refused.RetryAfter > longestAsked {
			return 0, false
		}
		return max(refused.RetryAfter, backoff(attempt)), true
	case errors.As(err, &lost):
		return backoff(attempt), !hopeless(lost.err) && (repeatable || neverSent(lost.err))
	default:
		return 0, false
	}
}

// backoff is the pause after an attempt: twice as long each time, and somewhat
// random, so that clients that failed together do not come back together.
func backoff(attempt int) time.Duration {
	d := min(firstPause<<min(attempt-1, 10), longestPause)
	return d/2 + rand.N(d/2+1) //nolint:gosec // spreads load, guards nothing
}

// hopeless reports whether trying again leads to the same: nobody's certificate
// becomes valid within seconds.
func hopeless(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var header tls.RecordHeaderError
	var dns *net.DNSError
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &header) ||
		errors.As(err, &dns) && dns.IsNotFound
}

// neverSent reports whether there was no connection to send anything over.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// retryAfter reads how long to wait (RFC 9110 §10.2.3). A date is taken relative
// to that of the answer, so that clocks need not agree.
func retryAfter(h http.Header) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(seconds, 0), 1<<31)) * time.Second
	}
	at, err1 := http.ParseTime(text)
	now, err2 := http.ParseTime(h.Get("Date"))
	if err1 != nil || err2 != nil {
		return 0
	}
	return max(at.Sub(now), 0)
}
