package client

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"unicode"
)

// Credentials are what a license server knows its caller by: user and password,
// or a key. They do not print. The zero value is none.
type Credentials struct {
	user, password, key string
}

// Password returns the credentials of a user (HTTP Basic, RFC 7617).
func Password(user, password string) Credentials {
	return Credentials{user: user, password: password}
}

// Key returns the credentials that a key is (Bearer, RFC 6750).
func Key(key string) Credentials { return Credentials{key: key} }

// ParseCredentials reads user:password, or a key, which has no colon. Space
// around it does not count. The error does not repeat the text.
func ParseCredentials(text string) (Credentials, error) {
	text = strings.TrimSpace(text)
	user, password, isPair := strings.Cut(text, ":")
	switch {
	case text == "":
		return Credentials{}, errors.New("credentials are empty")
	case strings.ContainsFunc(text, unicode.IsControl):
		return Credentials{}, errors.New("credentials must be one line: user:password, or a key")
	case isPair && user == "":
		return Credentials{}, errors.New("credentials have no user before the colon")
	case isPair:
		return Password(user, password), nil
	case strings.ContainsFunc(text, unicode.IsSpace):
		return Credentials{}, errors.New("credentials are neither user:password nor a key")
	default:
		return Key(text), nil
	}
}

// IsZero reports whether there are no credentials.
func (c Credentials) IsZero() bool { return c == Credentials{} }

// sign puts the credentials on a request.
func (c Credentials) sign(r *http.Request) {
	switch {
	case c.key != "":
		r.Header.Set("Authorization", "Bearer "+c.key)
	case !c.IsZero():
		r.SetBasicAuth(c.user, c.password)
	}
}

// String keeps the credentials out of logs and error messages.
func (Credentials) String() string { return "Credentials(redacted)" }

// GoString keeps them out of %#v.
func (c Credentials) GoString() string { return c.String() }

// Format keeps them out of every formatting verb.
func (c Credentials) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// LogValue implements slog.LogValuer.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON refuses: credentials are never part of a document by accident.
func (Credentials) MarshalJSON() ([]byte, error) {
	return nil, errors.New("credentials are not marshalled")
}
