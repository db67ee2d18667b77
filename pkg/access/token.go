package access

import (
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
	return &Tokens{key: key, now: now}, nil
}

// claims are what a token says.
type claims struct {
	Role Role `json:"role"`
	jwt.RegisteredClaims
}

// Issue returns a token for a principal and when it ends.
func (t *Tokens) Issue(p Principal) (string, time.Time, error) {
	now := t.now()
	end := now.Add(TokenLifetime)
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{p.Role, jwt.RegisteredClaims{
		Subject: p.Name, Audience: jwt.ClaimStrings{"dashboard"},
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(end),
	}})
	text, err := token.SignedString(t.key)
	return text, end, err
}

// Verify returns the principal of a token. The errors are ErrTokenExpired and
// ErrCredentials.
func (t *Tokens) Verify(text string) (Principal, error) {
	var c claims
	_, err := jwt.ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return t.key, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithAudience("dashboard"),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(t.now))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return Principal{}, ErrTokenExpired
	case err != nil:
		return Principal{}, ErrCredentials
	}
	return Principal{Name: c.Subject, Role: c.Role}, nil
}
