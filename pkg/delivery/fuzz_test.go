package delivery_test

import (
	"crypto/sha256"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/delivery"
)

// FuzzToken: whatever is signed, and however the signature is damaged, the
// answer is a grant with a user and a publication, or a refusal.
func FuzzToken(f *testing.F) {
	f.Add(goodHeader.String(), goodClaims.String(), true)
	f.Add(goodHeader.String(), goodClaims.String(), false)
	f.Add(`{"alg":"none","kid":"k1","typ":"JWT"}`, goodClaims.String(), true)
	f.Add(goodHeader.String(), `{"jti":"a","iat":1801396800.5,"exp":1.9e9,"nbf":1,"optData":"{}","crt":"[{}]"}`, true)
	f.Fuzz(func(t *testing.T, header, claims string, signed bool) {
		b := newBench(t)
		token := forge(b.secret.Value.Bytes(), sha256.New, header, claims)
		if !signed {
			token = forge([]byte("another"), sha256.New, header, claims)
		}
		g, err := b.byToken(t, issue, token)
		if err != nil {
			if delivery.ReasonOf(err) == "" || len(err.Error()) > 4096+len(claims) {
				t.Errorf("error = %v", err)
			}
			return
		}
		if !signed {
			t.Fatal("granted without the secret")
		}
		if g.Terms.User.ID == "" || g.Terms.AssetID == "" || g.Spending == nil {
			t.Errorf("user %q, asset %q, spending %v", g.Terms.User.ID, g.Terms.AssetID, g.Spending)
		}
	})
}

// FuzzVerify: text that is not signed is never a token, and reading it never
// fails in another way than by a refusal that does not repeat it.
func FuzzVerify(f *testing.F) {
	b := newBench(f)
	f.Add(b.token(goodHeader, goodClaims)[1:])
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJub25lIn0..")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := b.Verify(t.Context(), b.shop, delivery.ParseToken(token)); delivery.ReasonOf(err) == "" {
			t.Errorf("error = %v", err)
		} else if len(token) > 80 && strings.Contains(err.Error(), token) {
			t.Error("the error repeats the token")
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set(delivery.TokenHeader, token)
		if got, err := delivery.TokenFrom(r); err == nil && got.Text() != token {
			t.Errorf("TokenFrom = %q", got.Text())
		}
	})
}

// FuzzAnswer: whatever a service answers is a grant of a good profile or a
// refusal that can be shown.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/json", []byte(`{"profile":{"type":"purchase"},"message":"x"}`))
	f.Add(200, "application/json; charset=UTF-8", []byte(`[{"ref":["loan"],"user":{"id":"u1"}}]`))
	f.Add(403, "application/problem+json", []byte(`{"message":"a\nb","redirectUrl":"https://x.org/"}`))
	f.Add(200, "text/html", []byte(`<html>`))
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		token, err := delivery.ReadAnswer(status, contentType, body)
		if err == nil {
			if status != 200 {
				t.Errorf("granted by %d", status)
			}
			token.AssetID = book
			_, _ = token.Terms(time.Unix(0, 0), false)
			return
		}
		r, ok := errors.AsType[*delivery.Refusal](err)
		if !ok {
			t.Fatalf("error = %v", err)
		}
		if strings.ContainsAny(r.Message+r.Detail, "\r\n\x00") || len(r.Message) > 500 {
			t.Errorf("message %q, detail %q", r.Message, r.Detail)
		}
		if r.RedirectURL != "" && !strings.HasPrefix(strings.ToLower(r.RedirectURL), "http") {
			t.Errorf("redirect to %q", r.RedirectURL)
		}
	})
}
