package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/golang-jwt/jwt/v5"

	"github.com/lcp-tools/lcp/pkg/rights"
	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
)

// TokenHeader is where reading apps and shops put the token. Bearer
// authorization and the query parameter of TokenParameter do as well.
const (
	TokenHeader    = "X-Dt-Auth-Token" //nolint:gosec // a name, not a token
	TokenParameter = "token"
)

// MaxToken bounds a token in bytes.
const MaxToken = 24 << 10

const (
	skew            = time.Minute      // how far two clocks may be apart
	defaultLifetime = 10 * time.Minute // of a token without exp
	maxLifetime     = 366 * 24 * time.Hour
	maxID           = 255     // bytes of a jti, a user's identifier or a merchant's name
	maxSession      = 2 << 10 // bytes
)

// TokenFrom returns the token that a request carries, or nil if it carries none.
// Several are a *Refusal, equal ones too: whatever added the second did not mean
// what the first one did.
func TokenFrom(r *http.Request) (*Token, error) {
	tokens := slices.Clone(r.Header.Values(TokenHeader))
	for _, line := range r.Header.Values("Authorization") {
		if scheme, token, _ := strings.Cut(line, " "); strings.EqualFold(scheme, "Bearer") {
			tokens = append(tokens, strings.TrimSpace(token))
		}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, Refuse(MalformedRequest, "the query of the URL is malformed", nil) // err may quote the token
	}
	tokens = append(tokens, query[TokenParameter]...)
	switch {
	case len(tokens) == 0:
		return nil, nil //nolint:nilnil // a request without a token is none that failed
	case len(tokens) > 1, strings.Contains(tokens[0], ","):
		return nil, Refuse(SeveralTokens, "", nil)
	case tokens[0] == "": // a bad token, which is not the same as none
		return nil, Refuse(MalformedToken, "it is empty", nil)
	}
	return ParseToken(tokens[0]), nil
}

// OptData is what a token tells of the shop and its user.
type OptData struct {
	Merchant  string `json:"merchant,omitempty"`
	UserID    string `json:"userId,omitempty"`
	SessionID string `json:"sessionId,omitempty"`
}

// Claims are what a token says.
type Claims struct {
	ID        string    // jti
	IssuedAt  time.Time // iat
	ExpiresAt time.Time // exp, or what holds without one
	OptData   OptData
	KeyID     string // of the secret it was signed with

	crt *jsontree.Value
}

// spentID is what stands for a jti in the store and in logs: of one length, the
// same under any collation, and not to be read back.
func spentID(jti string) string {
	hash := sha256.Sum256([]byte(jti))
	return hex.EncodeToString(hash[:])
}

// Mint returns a token for a license of a publication. crt is the JSON of the
// Customer Rights Token. Without an ExpiresAt the token has no exp, and is good
// for ten minutes. The secret must be active.
func Mint(s sharedsecret.Secret, c Claims, crt json.RawMessage) (string, error) {
	if s.State != sharedsecret.Active {
		return "", fmt.Errorf("sign a token: secret %q is %s, not active", s.KeyID, s.State)
	}
	if err := s.Check(); err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	claims := jwt.MapClaims{"jti": c.ID, "iat": c.IssuedAt.Unix(), "optData": c.OptData, "crt": crt}
	if !c.ExpiresAt.IsZero() {
		claims["exp"] = c.ExpiresAt.Unix()
	}
	token := jwt.NewWithClaims(jwt.GetSigningMethod(string(s.Algorithm)), claims)
	token.Header["kid"] = s.KeyID
	text, err := token.SignedString(s.Value.Bytes())
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return text, nil
}

// A Token is a token taken apart, which nobody has verified yet. It does not print.
type Token struct {
	text      string
	header    header
	signature string
	claims    *jsontree.Value // nil: they cannot be read
	fault     *Refusal        // of the form; nil: none so far
}

// ParseToken takes a token apart, once for all that look at it. Any text will do:
// what is wrong with it, Authorizer.Verify tells.
func ParseToken(text string) *Token {
	t := &Token{text: text}
	var parts []string
	if parts, t.fault = split(text); t.fault != nil {
		return t
	}
	t.signature = parts[2]
	t.header, t.fault = readHeader(parts[0], t.signature)
	if payload, err := base64.RawURLEncoding.Strict().DecodeString(parts[1]); err == nil {
		t.claims, _ = jsontree.Parse(payload) // Verify tells, after the signature
	}
	return t
}

// Merchant returns how the token calls the provider, or "" if it does not, or there
// is no token. That is enough to know under whose secrets to look, and for nothing
// else.
func (t *Token) Merchant() string {
	if t == nil {
		return ""
	}
	d, err := readOptData(t.claims.Get("optData"))
	if err != nil {
		return ""
	}
	return d.Merchant
}

// Asset returns how the token calls the publication, under the conditions of
// Merchant.
func (t *Token) Asset() string {
	if t == nil {
		return ""
	}
	r, err := rights.Read(t.claims.Get("crt"))
	if err != nil {
		return ""
	}
	return r.AssetID
}

// Text returns the token as it came, or "" if there is none.
func (t *Token) Text() string {
	if t == nil {
		return ""
	}
	return t.text
}

// String keeps the token out of logs and error messages.
func (*Token) String() string { return "delivery.Token(redacted)" }

// Format keeps it out of every formatting verb.
func (t *Token) Format(f fmt.State, _ rune) { fmt.Fprint(f, t.String()) }

// LogValue implements slog.LogValuer.
func (t *Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// Verify checks the form, the signature and the times of a token under the
// secrets of a provider. It does not spend the token, nor look at the rights or
// the merchant. What is wrong with it is a *Refusal; any other error is the
// store's.
func (a *Authorizer) Verify(ctx context.Context, p Provider, t *Token) (Claims, error) {
	var none Claims
	if t.fault != nil {
		return none, t.fault
	}
	secret, err := a.Store.Secret(ctx, p.ID, t.header.keyID)
	switch {
	case errors.Is(err, ErrNotFound):
		return none, Refuse(UnknownSecret, "", nil)
	case err != nil:
		return none, fmt.Errorf("find the secret of a token: %w", err)
	case !secret.State.Verifies():
		return none, Refuse(UnknownSecret, "", fmt.Errorf("secret %q is %s", secret.KeyID, secret.State))
	case t.header.algorithm != string(secret.Algorithm):
		return none, Refuse(WrongAlgorithm, "", fmt.Errorf("secret %q is for %s", secret.KeyID, secret.Algorithm))
	}
	if err := secret.Check(); err != nil {
		return none, Refuse(UnknownSecret, "", err)
	}
	if err := t.checkSignature(secret); err != nil {
		return none, err
	}
	c, err := readClaims(t.claims, a.Now())
	c.KeyID = secret.KeyID
	return c, err
}

// checkSignature refuses a token that was not signed with the secret, whose
// algorithm it names.
func (t *Token) checkSignature(secret sharedsecret.Secret) error {
	signature, err := base64.RawURLEncoding.Strict().DecodeString(t.signature)
	if err != nil {
		return malformed("its signature is not unpadded base64url")
	}
	signed := t.text[:len(t.text)-len(t.signature)-len(".")]
	if err := jwt.GetSigningMethod(string(secret.Algorithm)).Verify(signed, signature, secret.Value.Bytes()); err != nil {
		return Refuse(BadSignature, "", nil)
	}
	return nil
}

// A header is what is needed of that of a token.
type header struct{ algorithm, keyID string }

// malformed is a refusal of a token's form. The detail never quotes from it.
func malformed(detail string) *Refusal { return Refuse(MalformedToken, detail, nil) }

// split returns the three parts of a token.
func split(token string) ([]string, *Refusal) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	if len(token) > MaxToken {
		return nil, Refuse(TokenTooLarge, fmt.Sprintf("it has more than %d bytes", MaxToken), nil)
	}
	parts := strings.Split(token, ".")
	// Base64 decoders pass over line breaks, so the letters are looked at first.
	if len(parts) != 3 || strings.Trim(token, letters+".") != "" {
		return nil, malformed("it is not three parts of unpadded base64url")
	}
	return parts, nil
}

// readHeader reads the header of a token.
func readHeader(part, signature string) (header, *Refusal) {
	var h header
	data, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return h, malformed("its header is not unpadded base64url")
	}
	v, err := jsontree.Parse(data)
	if err != nil || v.Kind() != jsontree.Object {
		return h, malformed("its header is not a JSON object with members of different names")
	}
	h.algorithm, _ = v.Get("alg").Text()
	h.keyID, _ = v.Get("kid").Text()
	kind, _ := v.Get("typ").Text()
	switch {
	case h.algorithm == "":
		return h, malformed("its header has no alg")
	case strings.EqualFold(h.algorithm, "none"), signature == "":
		return h, Refuse(UnsignedToken, "", nil)
	case !strings.EqualFold(kind, "JWT"):
		return h, malformed("the typ of its header is not JWT")
	case v.Get("crit") != nil: // extensions that must be understood (RFC 7515 §4.1.11)
		return h, malformed("its header has crit, of which no extension is understood")
	case sharedsecret.CheckKeyID(h.keyID) != nil:
		return h, malformed("its header has no kid, or one that no secret can have")
	}
	if _, err := sharedsecret.ParseAlgorithm(h.algorithm); err != nil {
		return h, Refuse(WrongAlgorithm, "", nil)
	}
	return h, nil
}

// readClaims reads the claims of a token that the provider signed, at a time.
// Claims that are not ours are ignored, as RFC 7519 §4 wants it.
func readClaims(v *jsontree.Value, now time.Time) (c Claims, err error) {
	if v.Kind() != jsontree.Object {
		return c, malformed("its claims are not unpadded base64url of a JSON object with members of different names")
	}
	id, ok := v.Get("jti").Text()
	if !ok || id == "" || len(id) > maxID {
		return c, malformed(fmt.Sprintf("jti must be a string of 1 to %d bytes", maxID))
	}
	c.ID = id
	if v.Get("aud") != nil { // RFC 7519 §4.1.3: it is meant for someone else
		return c, malformed("it has an aud, and this server goes by none")
	}
	if c.crt = v.Get("crt"); c.crt.Kind() == jsontree.Null {
		return c, malformed("crt is missing")
	}
	if c.OptData, err = readOptData(v.Get("optData")); err != nil {
		return c, err
	}
	return c, c.readTimes(v, now)
}

func (c *Claims) readTimes(v *jsontree.Value, now time.Time) error {
	var notBefore time.Time
	for _, date := range []struct {
		name string
		t    *time.Time
	}{{"iat", &c.IssuedAt}, {"exp", &c.ExpiresAt}, {"nbf", &notBefore}} {
		if err := readDate(v.Get(date.name), date.t); err != nil {
			return malformed(date.name + " " + err.Error())
		}
	}
	if c.IssuedAt.IsZero() {
		return malformed("iat is missing")
	}
	hasExp := !c.ExpiresAt.IsZero()
	if hasExp && !c.ExpiresAt.After(c.IssuedAt) {
		return malformed("exp is not after iat")
	}
	if !hasExp {
		c.ExpiresAt = c.IssuedAt.Add(defaultLifetime)
	}
	// That a token was spent is kept until it expires, so it does at last.
	if last := c.IssuedAt.Add(maxLifetime); c.ExpiresAt.After(last) {
		c.ExpiresAt = last
	}
	switch {
	case c.IssuedAt.After(now.Add(skew)), notBefore.After(now.Add(skew)):
		return Refuse(TokenNotYetValid, "", nil)
	case !now.Before(c.ExpiresAt.Add(skew)):
		return Refuse(ExpiredToken, "", nil)
	}
	return nil
}

// readDate reads a NumericDate: seconds since 1970, with a fraction perhaps
// (RFC 7519 §2). An absent one leaves t as it is.
func readDate(v *jsontree.Value, t *time.Time) error {
	if v == nil {
		return nil
	}
	const lastSecond = 253402300799 // of the year 9999
	literal, ok := v.Number()
	seconds, err := strconv.ParseFloat(literal, 64)
	if !ok || err != nil || seconds < 1 || seconds > lastSecond {
		return errors.New("is not a number of seconds since 1970")
	}
	*t = time.UnixMilli(int64(seconds * 1000)).UTC()
	return nil
}

// readOptData reads an object, or a string that holds the text of one.
func readOptData(v *jsontree.Value) (OptData, error) {
	var d OptData
	wrong := malformed("optData must be a JSON object, or a string that holds one")
	if text, ok := v.Text(); ok {
		inner, err := jsontree.Parse([]byte(text))
		if err != nil {
			return d, wrong
		}
		v = inner
	}
	if v.Kind() != jsontree.Object {
		return d, wrong
	}
	for _, member := range []struct {
		name string
		text *string
		most int
	}{{"merchant", &d.Merchant, maxID}, {"userId", &d.UserID, maxID}, {"sessionId", &d.SessionID, maxSession}} {
		value := v.Get(member.name)
		if value.Kind() == jsontree.Null {
			continue
		}
		text, ok := value.Text()
		if !ok || len(text) > member.most || strings.ContainsFunc(text, unicode.IsControl) {
			return OptData{}, malformed(fmt.Sprintf("optData.%s must be a string of %d bytes at most, without control characters",
				member.name, member.most))
		}
		*member.text = text
	}
	return d, nil
}
