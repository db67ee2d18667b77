package access_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/lcp-tools/lcp/pkg/access"
)

var (
	tokenKey  = bytes.Repeat([]byte("k"), 32)
	tokenTime = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	alice     = access.Principal{Name: "alice", Role: access.Admin}
)

func newTokens(tb testing.TB, now func() time.Time) *access.Tokens {
	tb.Helper()
	tokens, err := access.NewTokens(tokenKey, now)
	if err != nil {
		tb.Fatal(err)
	}
	return tokens
}

func TestTokenLife(t *testing.T) {
	t.Parallel()
	c := &clock{tokenTime}
	tokens := newTokens(t, c.now)
	text, end, err := tokens.Issue(alice)
	if err != nil {
		t.Fatal(err)
	}
	if want := tokenTime.Add(access.TokenLifetime); !end.Equal(want) {
		t.Errorf("token ends on %s, want %s", end, want)
	}
	for _, after := range []time.Duration{0, time.Minute, access.TokenLifetime - time.Second} {
		c.Time = tokenTime.Add(after)
		if got, err := tokens.Verify(text); err != nil || got != alice {
			t.Errorf("after %s: Verify = %v, %v", after, got, err)
		}
	}
	for _, after := range []time.Duration{access.TokenLifetime, 24 * time.Hour} {
		c.Time = tokenTime.Add(after)
		if got, err := tokens.Verify(text); !errors.Is(err, access.ErrTokenExpired) || got != (access.Principal{}) {
			t.Errorf("after %s: Verify = %v, %v", after, got, err)
		}
	}
}

// segment is a part of a token: JSON in base64url (RFC 7515 §3).
func segment(json string) string { return base64.RawURLEncoding.EncodeToString([]byte(json)) }

// signed makes a token with any header and claims, by hand.
func signed(key []byte, header, claims string) string {
	input := segment(header) + "." + segment(claims)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	const header = `{"alg":"HS256","typ":"JWT"}`
	end := tokenTime.Add(time.Hour).Unix()
	claims := fmt.Sprintf(`{"role":"admin","sub":"alice","aud":["dashboard"],"exp":%d}`, end)
	replaced := func(old, by string) string {
		if !strings.Contains(claims, old) {
			t.Fatalf("%s is not in %s", old, claims)
		}
		return signed(tokenKey, header, strings.Replace(claims, old, by, 1))
	}
	other := func(m jwt.SigningMethod, key any) string {
		text, err := jwt.NewWithClaims(m, jwt.MapClaims{"role": "admin", "sub": "alice", "aud": "dashboard", "exp": end}).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	good := signed(tokenKey, header, claims)
	part := strings.Split(good, ".")
	tests := map[string]struct {
		text string
		err  error
	}{
		"nothing":              {"", access.ErrCredentials},
		"dots":                 {"..", access.ErrCredentials},
		"two parts":            {part[0] + "." + part[1], access.ErrCredentials},
		"four parts":           {good + "." + part[2], access.ErrCredentials},
		"no signature":         {part[0] + "." + part[1] + ".", access.ErrCredentials},
		"half a signature":     {good[:len(good)-20], access.ErrCredentials},
		"padding":              {good + "=", access.ErrCredentials},
		"none":                 {other(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType), access.ErrCredentials},
		"none, signed":         {signed(tokenKey, `{"alg":"none"}`, claims), access.ErrCredentials},
		"None":                 {segment(`{"alg":"None"}`) + "." + part[1] + ".", access.ErrCredentials},
		"HS384":                {other(jwt.SigningMethodHS384, tokenKey), access.ErrCredentials},
		"HS512":                {other(jwt.SigningMethodHS512, tokenKey), access.ErrCredentials},
		"RS256 in name":        {signed(tokenKey, `{"alg":"RS256"}`, claims), access.ErrCredentials},
		"hs256":                {signed(tokenKey, `{"alg":"hs256"}`, claims), access.ErrCredentials},
		"no algorithm":         {signed(tokenKey, `{"typ":"JWT"}`, claims), access.ErrCredentials},
		"another key":          {signed(bytes.Repeat([]byte("x"), 32), header, claims), access.ErrCredentials},
		"empty key":            {signed(nil, header, claims), access.ErrCredentials},
		"changed claims":       {part[0] + "." + segment(strings.Replace(claims, "alice", "mallory", 1)) + "." + part[2], access.ErrCredentials},
		"another audience":     {replaced(`"dashboard"`, `"gateway"`), access.ErrCredentials},
		"no audience":          {replaced(`"aud":["dashboard"],`, ``), access.ErrCredentials},
		"expired":              {replaced(strconv.FormatInt(end, 10), strconv.FormatInt(tokenTime.Unix()-1, 10)), access.ErrTokenExpired},
		"expired elsewhere":    {replaced(fmt.Sprintf(`["dashboard"],"exp":%d`, end), `["gateway"],"exp":1`), access.ErrCredentials},
		"expired and forged":   {signed(bytes.Repeat([]byte("x"), 32), header, strings.Replace(claims, strconv.FormatInt(end, 10), "1", 1)), access.ErrCredentials},
		"no end":               {replaced(fmt.Sprintf(`,"exp":%d`, end), ``), access.ErrCredentials},
		"not yet":              {replaced(`"exp"`, fmt.Sprintf(`"nbf":%d,"exp"`, tokenTime.Unix()+60)), access.ErrCredentials},
		"nobody":               {replaced(`"alice"`, `""`), access.ErrCredentials},
		"no role":              {replaced(`"role":"admin",`, ``), access.ErrCredentials},
		"unknown role":         {replaced(`"admin"`, `"root"`), access.ErrCredentials},
		"claims of other form": {replaced(`"admin"`, `["admin"]`), access.ErrCredentials},
		"no claims":            {signed(tokenKey, header, `null`), access.ErrCredentials},
	}
	tokens := newTokens(t, func() time.Time { return tokenTime })
	if got, err := tokens.Verify(good); err != nil || got != alice {
		t.Fatalf("the token that the others are made of: Verify = %v, %v", got, err)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tokens.Verify(tt.text)
			if !errors.Is(err, tt.err) || got != (access.Principal{}) {
				t.Errorf("Verify = %v, %v, want %v", got, err, tt.err)
			}
		})
	}
}

func TestNewTokens(t *testing.T) {
	t.Parallel()
	if _, err := access.NewTokens(make([]byte, 31), time.Now); err == nil {
		t.Error("a secret of 31 bytes is accepted")
	}
	key := bytes.Clone(tokenKey)
	tokens, err := access.NewTokens(key, func() time.Time { return tokenTime })
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := tokens.Issue(alice)
	if err != nil {
		t.Fatal(err)
	}
	clear(key) // the caller's own
	if _, err := tokens.Verify(text); err != nil {
		t.Errorf("Verify after the caller cleared the secret: %v", err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if got := fmt.Sprintf(format, tokens); strings.Contains(got, "kkk") || strings.Contains(got, "107") || strings.Contains(got, "0x6b") {
			t.Errorf("%s prints the secret: %s", format, got)
		}
	}
}

// Whatever is accepted was signed with the secret, by the one algorithm, and
// says what Verify returns.
func FuzzVerify(f *testing.F) {
	tokens := newTokens(f, func() time.Time { return tokenTime })
	good, _, err := tokens.Issue(alice)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good + "=")
	f.Add(signed(tokenKey, `{"alg":"none"}`, `{"role":"admin","sub":"a","aud":"dashboard","exp":4102444800}`))
	f.Add(signed(tokenKey, `{"alg":"HS256"}`, `{"role":"viewer","sub":"a","aud":"dashboard","exp":4102444800}`))
	f.Add("..")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := tokens.Verify(text)
		if err != nil {
			if got != (access.Principal{}) {
				t.Errorf("refused, but the principal is %v", got)
			}
			return
		}
		parts := strings.Split(text, ".")
		mac := hmac.New(sha256.New, tokenKey)
		mac.Write([]byte(parts[0] + "." + parts[1]))
		if sum, err := base64.RawURLEncoding.DecodeString(parts[2]); err != nil || !hmac.Equal(sum, mac.Sum(nil)) {
			t.Fatalf("%q is accepted without a signature", text)
		}
		var header struct{ Alg string }
		var claims struct{ Sub, Role string }
		for i, v := range []any{&header, &claims} {
			data, err := base64.RawURLEncoding.DecodeString(parts[i])
			if err == nil {
				err = json.Unmarshal(data, v)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if header.Alg != "HS256" || got.Name != claims.Sub || string(got.Role) != claims.Role {
			t.Errorf("%q by %s is taken for %v", claims, header.Alg, got)
		}
	})
}
