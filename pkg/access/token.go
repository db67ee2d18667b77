package access

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TokenLifetime is how long a dashboard login lasts.
const TokenLifetime = time.Hour

// ErrTokenExpired is returned for a token that was right and is over.
var ErrTokenExpired = errors.New("token has expired")

// minTokenKey is the shortest secret for signing tokens (RFC 7518 §3.2).
const minTokenKey = 32

// Tokens makes and checks the tokens of dashboard logins (RFC 7519). It is safe
// for concurrent use.
type Tokens struct {
	key []byte
	now func() time.Time
}

// NewTokens returns tokens signed with a secret of 32 bytes or more.
func NewTokens(key []byte, now func() time.Time) (*Tokens, error) {
	if len(key) < minTokenKey {
		return nil, fmt.Errorf("secret for signing tokens has %d bytes, and %d are the least", len(key), minTokenKey)
	}
	return &Tokens{key: bytes.Clone(key), now: now}, nil
}

// String keeps the secret out of logs and error messages.
func (*Tokens) String() string { return "Tokens(redacted)" }

// GoString is String, for %#v.
func (t *Tokens) GoString() string { return t.String() }

// tokenAudience tells these tokens from others that the same secret may sign.
const tokenAudience = "dashboard"

// claims are what a token says.
type claims struct {
	Role     Role   `json:"role"`
	Provider string `json:"provider,omitempty"`
	jwt.RegisteredClaims
}

// Issue returns a token for a principal and when it ends.
func (t *Tokens) Issue(p Principal) (string, time.Time, error) {
	now := t.now()
	end := now.Add(TokenLifetime)
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{p.Role, p.Provider, jwt.RegisteredClaims{
		Subject: p.Name, Audience: jwt.ClaimStrings{tokenAudience},
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(end),
	}})
	text, err := token.SignedString(t.key)
	return text, end, err
}

// Verify returns the principal of a token that Issue made. The errors are
// ErrTokenExpired and ErrCredentials. The algorithm is ours to choose, not the
// token's (RFC 8725 §3.1).
func (t *Tokens) Verify(text string) (Principal, error) {
	var c claims
	_, err := jwt.ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return t.key, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Name}), jwt.WithStrictDecoding(),
		jwt.WithAudience(tokenAudience), jwt.WithExpirationRequired(), jwt.WithTimeFunc(t.now))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired) && !errors.Is(err, jwt.ErrTokenInvalidAudience):
		return Principal{}, ErrTokenExpired
	case err != nil, c.Subject == "":
		return Principal{}, ErrCredentials
	}
	if _, err := ParseRole(string(c.Role)); err != nil {
		return Principal{}, ErrCredentials
	}
	return Principal{Name: c.Subject, Role: c.Role, Provider: c.Provider}, nil
}
