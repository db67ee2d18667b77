package metering

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Headers of signed requests, and of notifications. The signature is v1= and, in
// hexadecimal, the HMAC-SHA-256 under the secret of "v1:", the timestamp, ":" and
// the body.
const (
	TimestampHeader = "X-Lcp-Timestamp" // seconds since 1970
	SignatureHeader = "X-Lcp-Signature"

	signatureVersion = "v1"
)

// MaxSkew is how far the timestamp of a signature may be from our clock.
const MaxSkew = 5 * time.Minute

// Refusals of signatures.
var (
	ErrNoSignature  = errors.New("request has neither an Origin header nor a signature")
	ErrSignature    = errors.New("signature is wrong")
	ErrStale        = errors.New("timestamp of the signature is more than five minutes away")
	ErrReplayed     = errors.New("signature was used before: sign again, with a new timestamp")
	ErrNoAPISecret  = errors.New("license key has no API secret: native apps cannot use it")
	ErrBothIdentify = errors.New("request has an Origin header and a signature, and only one can count")
)

// A Signature identifies a signed request: the same one must not be used twice.
type Signature [sha256.Size]byte

// Sign returns the values of TimestampHeader and SignatureHeader.
func Sign(s Secret, now time.Time, body []byte) (timestamp, signature string) {
	timestamp = strconv.FormatInt(now.Unix(), 10)
	mac := macOf(s, timestamp, body)
	return timestamp, signatureVersion + "=" + hex.EncodeToString(mac[:])
}

// Verify checks the headers of a request. The errors are ErrNoAPISecret, for the
// zero secret, ErrSignature and ErrStale.
func Verify(s Secret, timestamp, signature string, now time.Time, body []byte) (Signature, error) {
	if s.IsZero() {
		return Signature{}, ErrNoAPISecret
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	digits, ok := strings.CutPrefix(signature, signatureVersion+"=")
	sent, hexErr := hex.DecodeString(digits)
	if err != nil || !ok || hexErr != nil {
		return Signature{}, ErrSignature
	}
	mac := macOf(s, timestamp, body)
	if !hmac.Equal(mac[:], sent) {
		return Signature{}, ErrSignature
	}
	if away := now.Sub(time.Unix(seconds, 0)); away > MaxSkew || away < -MaxSkew {
		return Signature{}, ErrStale
	}
	return mac, nil
}

func macOf(s Secret, timestamp string, body []byte) Signature {
	h := hmac.New(sha256.New, []byte(s.Reveal()))
	h.Write([]byte(signatureVersion + ":" + timestamp + ":"))
	h.Write(body)
	return Signature(h.Sum(nil))
}
