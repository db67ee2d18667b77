package delivery_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/rights"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
)

var now = time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)

const (
	passHash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	book     = "3c9ab4d5-0a2c-4e4e-9f0b-5d1c2b3a4f5e"
	loanID   = "0b7e5d9c-8a1f-4c3e-b2d1-6f5a4e3d2c1b"
)

// memory is a Store.
type memory struct {
	mu        sync.Mutex
	secrets   map[string]sharedsecret.Secret // by provider and key identifier
	templates map[string]string              // by provider and name
	err       error                          // if set, everything fails with it
}

func (m *memory) Secret(_ context.Context, provider, keyID string) (sharedsecret.Secret, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.secrets[provider+" "+keyID]
	return s, m.found(ok)
}

func (m *memory) found(ok bool) error {
	if m.err == nil && !ok {
		return delivery.ErrNotFound
	}
	return m.err
}

func (m *memory) SigningSecret(_ context.Context, provider string) (sharedsecret.Secret, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var own []sharedsecret.Secret
	for _, s := range m.secrets {
		if s.Provider == provider {
			own = append(own, s)
		}
	}
	s, ok := sharedsecret.Signing(own)
	return s, m.found(ok)
}

func (m *memory) Template(_ context.Context, provider, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text, ok := m.templates[provider+" "+name]
	return []byte(text), m.found(ok)
}

// A bench is an Authorizer with all that it needs, for one shop with one secret.
type bench struct {
	*delivery.Authorizer
	store  *memory
	secret sharedsecret.Secret
	shop   delivery.Provider
	log    *strings.Builder
	at     time.Time // the clock
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{log: &strings.Builder{}, at: now}
	b.store = &memory{
		secrets: map[string]sharedsecret.Secret{},
		templates: map[string]string{
			"shop loan": `{"profile":{"type":"rental","relativeExpiration":"P14D"},"lcp":{"copy":100}}`,
			"shop self": `{"ref":["self"]}`, "other theirs": `{"profile":{"type":"purchase"}}`,
		},
	}
	b.secret = b.add(t, "shop", "k1", sharedsecret.HS256)
	b.shop = delivery.Provider{ID: "shop", Merchant: "shop", Mode: delivery.ByToken}
	clock := func() time.Time { return b.at }
	callbacks := delivery.NewCallbacks(delivery.CallbackOptions{Now: clock, Timeout: 2 * time.Second})
	t.Cleanup(callbacks.Close)
	b.Authorizer = &delivery.Authorizer{Store: b.store, Callbacks: callbacks, Now: clock, Log: slog.New(slog.NewTextHandler(b.log, nil))}
	return b
}

// add gives a provider an active secret.
func (b *bench) add(t testing.TB, provider, keyID string, a sharedsecret.Algorithm) sharedsecret.Secret {
	t.Helper()
	s, err := sharedsecret.Generate(provider, a, now)
	if err != nil {
		t.Fatal(err)
	}
	s.KeyID, s.State, s.Activated = keyID, sharedsecret.Active, now
	b.store.secrets[provider+" "+keyID] = s
	return s
}

// object is JSON that a test can change before it is signed.
type object map[string]any

func (o object) with(changes object) object {
	o = maps.Clone(o)
	for name, value := range changes {
		if value == nil {
			delete(o, name)
		} else {
			o[name] = value
		}
	}
	return o
}

func (o object) String() string {
	text, err := json.Marshal(map[string]any(o))
	if err != nil {
		panic(err)
	}
	return string(text)
}

// What a good token says.
var (
	goodHeader = object{"alg": "HS256", "kid": "k1", "typ": "JWT"}
	goodRights = object{
		"assetId": book, "profile": object{"type": "purchase"}, "passHash": passHash, "textHint": "the usual",
		"user": object{"name": "Zoe", "encrypted": []string{"name"}},
	}
	goodClaims = object{
		"jti": "t-1", "iat": now.Unix(),
		"optData": object{"merchant": "shop", "userId": "u1", "sessionId": "s1"}, "crt": goodRights,
	}
)

// forge signs whatever it is given, without the library that verifies.
func forge(secret []byte, newHash func() hash.Hash, header, claims string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	mac := hmac.New(newHash, secret)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// token forges one of the bench's secret.
func (b *bench) token(header, claims fmt.Stringer) string {
	return forge(b.secret.Value.Bytes(), sha256.New, header.String(), claims.String())
}

// parse takes a token apart, unless there is none.
func parse(token string) *delivery.Token {
	if token == "" {
		return nil
	}
	return delivery.ParseToken(token)
}

var issue = delivery.Request{ID: "req-1", Operation: delivery.Issue}

var fresh = delivery.Request{
	ID: "req-1", Operation: delivery.Fresh, Asset: delivery.Asset{ID: book, AltID: "isbn-1"}, LicenseID: loanID, User: "u1",
}

func (b *bench) byToken(t testing.TB, r delivery.Request, token string) (delivery.Grant, error) {
	t.Helper()
	r.Token = parse(token)
	return b.Authorize(t.Context(), b.shop, r)
}

func TestTokenGrants(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	g, err := b.byToken(t, issue, b.token(goodHeader, goodClaims))
	if err != nil {
		t.Fatal(err)
	}
	if g.Source != delivery.ByToken || g.KeyID != "k1" || g.Session != "s1" {
		t.Errorf("grant by %s, kid %q, session %q", g.Source, g.KeyID, g.Session)
	}
	want := api.LicenseRequest{
		PublicationID: "p", UserID: "u1", UserName: "Zoe", UserEncrypted: []string{"name"}, TextHint: "the usual", PassHash: passHash,
	}
	if diff := cmp.Diff(want, g.LicenseRequest("p")); diff != "" {
		t.Errorf("license request (-want +got):\n%s", diff)
	}
	spending := &delivery.Spending{
		Provider: "shop", Token: fmt.Sprintf("%x", sha256.Sum256([]byte("t-1"))), Until: now.Add(12 * time.Minute),
	}
	if diff := cmp.Diff(spending, g.Spending); diff != "" {
		t.Errorf("what is to be spent (-want +got):\n%s", diff)
	}
}

// What a token claims is read from any that is one by its form, and from no other.
func TestClaimed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, tt := range map[string]struct{ token, merchant, asset string }{
		"good":            {b.token(goodHeader, goodClaims), "shop", book},
		"unsigned":        {strings.TrimRight(b.token(goodHeader, goodClaims), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"), "shop", book},
		"no merchant":     {b.token(goodHeader, goodClaims.with(object{"optData": object{}})), "", book},
		"rights as text":  {b.token(goodHeader, goodClaims.with(object{"crt": goodRights.String()})), "shop", book},
		"rights unread":   {b.token(goodHeader, goodClaims.with(object{"crt": object{"assetid": book}})), "shop", ""},
		"optData of list": {b.token(goodHeader, goodClaims.with(object{"optData": []string{"shop"}})), "", book},
		"nothing":         {},
		"two parts":       {"a.b", "", ""},
		"no JSON":         {"a.eA.c", "", ""},
		"a list":          {"a.W10.c", "", ""},
		"oversized":       {"a." + strings.Repeat("e", delivery.MaxToken) + ".c", "", ""},
	} {
		token := delivery.ParseToken(tt.token)
		if merchant, asset := token.Merchant(), token.Asset(); merchant != tt.merchant || asset != tt.asset {
			t.Errorf("%s: merchant %q, asset %q, want %q, %q", name, merchant, asset, tt.merchant, tt.asset)
		}
	}
}

func TestLoan(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	crt := object{"assetId": "isbn-1", "ref": []string{":loan"}, "lcp": object{"print": 3}}
	g, err := b.byToken(t, issue, b.token(goodHeader, goodClaims.with(object{"crt": []any{crt}})))
	if err != nil {
		t.Fatal(err)
	}
	end, copies, pages := now.AddDate(0, 0, 14), int64(100), int64(3)
	want := api.LicenseRequest{PublicationID: book, UserID: "u1", End: &end, Copy: &copies, Print: &pages}
	if diff := cmp.Diff(want, g.LicenseRequest(book)); diff != "" {
		t.Errorf("license request (-want +got):\n%s", diff)
	}
}

// Each token is another way to say what the good one says.
func TestFormsOfClaims(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		header, claims object
	}{
		"rights as text":            {nil, object{"crt": goodRights.String()}},
		"rights as text of a list":  {nil, object{"crt": "[" + goodRights.String() + "]"}},
		"optData as text":           {nil, object{"optData": `{"merchant":"shop","userId":"u1","sessionId":"s1"}`}},
		"optData with more in it":   {nil, object{"optData": object{"userId": "u1", "sessionId": "s1", "more": 1}}},
		"with exp":                  {nil, object{"exp": now.Add(time.Hour).Unix()}},
		"with fractions of seconds": {nil, object{"iat": json.RawMessage("1801396800.25"), "exp": json.RawMessage("1.8014e9")}},
		"with claims of others":     {nil, object{"iss": "me", "sub": "you", "x": []int{1}}},
		"with nbf":                  {nil, object{"nbf": now.Unix()}},
		"typ in lower case":         {object{"typ": "jwt"}, nil},
		"with cty":                  {object{"cty": "json"}, nil},
		"user inside the rights":    {nil, object{"optData": object{"sessionId": "s1"}, "crt": goodRights.with(object{"user": object{"id": "u1"}})}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			g, err := b.byToken(t, issue, b.token(goodHeader.with(tt.header), goodClaims.with(tt.claims)))
			if err != nil {
				t.Fatal(err)
			}
			if g.Terms.User.ID != "u1" || g.Session != "s1" || g.Terms.AssetID != book {
				t.Errorf("user %q, session %q, asset %q", g.Terms.User.ID, g.Session, g.Terms.AssetID)
			}
		})
	}
}

// TestTimes walks the clock past a token.
func TestTimes(t *testing.T) {
	t.Parallel()
	hour := object{"exp": now.Add(time.Hour).Unix()}
	late := object{"nbf": now.Add(time.Hour).Unix(), "exp": now.Add(2 * time.Hour).Unix()}
	tests := map[string]struct {
		claims object
		at     time.Duration // from iat
		want   delivery.Reason
	}{
		"a clock a minute behind":           {nil, -time.Minute, ""},
		"more than a minute behind":         {nil, -time.Minute - time.Second, delivery.TokenNotYetValid},
		"ten minutes later":                 {nil, 10 * time.Minute, ""},
		"a second before eleven":            {nil, 11*time.Minute - time.Second, ""},
		"eleven minutes later":              {nil, 11 * time.Minute, delivery.ExpiredToken},
		"exp instead of ten minutes":        {hour, time.Hour + 59*time.Second, ""},
		"exp and the skew are over":         {hour, time.Hour + time.Minute, delivery.ExpiredToken},
		"before nbf":                        {late, time.Hour - 61*time.Second, delivery.TokenNotYetValid},
		"a minute before nbf":               {late, time.Hour - time.Minute, ""},
		"exp in ten years, after one":       {object{"exp": now.AddDate(10, 0, 0).Unix()}, 400 * 24 * time.Hour, delivery.ExpiredToken},
		"exp in ten years, after a month":   {object{"exp": now.AddDate(10, 0, 0).Unix()}, 30 * 24 * time.Hour, ""},
		"exp that shortens the ten minutes": {object{"exp": now.Add(time.Minute).Unix()}, 2 * time.Minute, delivery.ExpiredToken},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.at = now.Add(tt.at)
			_, err := b.byToken(t, issue, b.token(goodHeader, goodClaims.with(tt.claims)))
			if got := delivery.ReasonOf(err); got != tt.want || err != nil && got == "" {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAlgorithms(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for a, newHash := range map[sharedsecret.Algorithm]func() hash.Hash{
		sharedsecret.HS256: sha256.New, sharedsecret.HS384: sha512.New384, sharedsecret.HS512: sha512.New,
	} {
		secret := b.add(t, "shop", "k-"+string(a), a)
		header := goodHeader.with(object{"alg": a, "kid": secret.KeyID})
		token := forge(secret.Value.Bytes(), newHash, header.String(), goodClaims.with(object{"jti": a}).String())
		if _, err := b.byToken(t, issue, token); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
}

// Rotation: what is signed with a secret is good while it is active or
// verify-only.
func TestStatesOfSecrets(t *testing.T) {
	t.Parallel()
	for state, want := range map[sharedsecret.State]delivery.Reason{
		sharedsecret.Pending: delivery.UnknownSecret, sharedsecret.Active: "",
		sharedsecret.VerifyOnly: "", sharedsecret.Revoked: delivery.UnknownSecret,
	} {
		b := newBench(t)
		b.secret.State = state
		b.store.secrets["shop k1"] = b.secret
		_, err := b.byToken(t, issue, b.token(goodHeader, goodClaims))
		if got := delivery.ReasonOf(err); got != want || err != nil && got == "" {
			t.Errorf("%s: error = %v, want %q", state, err, want)
		}
	}
}

func TestMint(t *testing.T) {
	t.Parallel()
	for _, a := range []sharedsecret.Algorithm{sharedsecret.HS256, sharedsecret.HS384, sharedsecret.HS512} {
		b := newBench(t)
		secret := b.add(t, "shop", "m", a)
		claims := delivery.Claims{ID: "j", IssuedAt: now, OptData: delivery.OptData{Merchant: "shop", UserID: "u1"}}
		token, err := delivery.Mint(secret, claims, json.RawMessage(goodRights.String()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.Verify(t.Context(), b.shop, delivery.ParseToken(token))
		if err != nil {
			t.Fatal(err)
		}
		if got.ID != "j" || got.KeyID != "m" || got.OptData != claims.OptData || !got.ExpiresAt.Equal(now.Add(10*time.Minute)) {
			t.Errorf("%s: claims %q, kid %q, optData %v, until %s", a, got.ID, got.KeyID, got.OptData, got.ExpiresAt)
		}
		if _, err := b.byToken(t, issue, token); err != nil {
			t.Errorf("%s: %v: verifying must not spend", a, err)
		}
		claims.ExpiresAt = now.Add(time.Hour)
		if token, err = delivery.Mint(secret, claims, json.RawMessage(goodRights.String())); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Verify(t.Context(), b.shop, delivery.ParseToken(token)); err != nil || !got.ExpiresAt.Equal(claims.ExpiresAt) {
			t.Errorf("%s: until %s, %v", a, got.ExpiresAt, err)
		}
		for _, state := range []sharedsecret.State{sharedsecret.Pending, sharedsecret.VerifyOnly, sharedsecret.Revoked} {
			secret.State = state
			if _, err := delivery.Mint(secret, claims, json.RawMessage(`{}`)); err == nil {
				t.Errorf("minted with a secret that is %s", state)
			}
		}
		secret.State, secret.Value = sharedsecret.Active, sharedsecret.NewValue(make([]byte, 31))
		if _, err := delivery.Mint(secret, claims, json.RawMessage(`{}`)); err == nil {
			t.Error("minted with a secret that is too short")
		}
	}
}

// What the store says is not the client's fault, and nothing is granted.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	down := errors.New("database is away")
	for _, mode := range []delivery.Mode{delivery.ByToken, delivery.ByCallback, delivery.Fallback} {
		b := newBench(t)
		b.shop.Mode, b.store.err = mode, down
		_, err := b.byToken(t, fresh, b.token(goodHeader, goodClaims))
		if !errors.Is(err, down) || delivery.ReasonOf(err) != "" {
			t.Errorf("%s: error = %v, want the store's", mode, err)
		}
	}
}

// A token survives what is wrong elsewhere.
func TestRefusedTokenIsNotSpent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.token(goodHeader, goodClaims)
	gone := errors.New("unknown publication")
	r := issue
	r.Check = func(_ context.Context, terms rights.Terms) error {
		if terms.AssetID != book {
			t.Errorf("checked for %q", terms.AssetID)
		}
		return gone
	}
	if g, err := b.byToken(t, r, token); !errors.Is(err, gone) || g.Spending != nil {
		t.Errorf("error = %v, want that of Check; to be spent: %v", err, g.Spending)
	}
	if _, err := b.byToken(t, issue, token); err != nil {
		t.Errorf("the second time: %v", err)
	}
}

func TestFresh(t *testing.T) {
	t.Parallel()
	over := object{"crt": goodRights.with(object{"profile": object{"type": "rental", "absoluteExpiration": "2020-01-01T00:00:00Z"}})}
	tests := map[string]struct {
		claims object
		change func(*delivery.Request)
		want   delivery.Reason
	}{
		"by the identifier":         {nil, func(*delivery.Request) {}, ""},
		"in another case":           {object{"crt": goodRights.with(object{"assetId": strings.ToUpper(book)})}, func(*delivery.Request) {}, ""},
		"by the alternative one":    {object{"crt": goodRights.with(object{"assetId": "isbn-1"})}, func(*delivery.Request) {}, ""},
		"that one has its case":     {object{"crt": goodRights.with(object{"assetId": "ISBN-1"})}, func(*delivery.Request) {}, delivery.WrongAsset},
		"of a rental that is over":  {over, func(*delivery.Request) {}, ""},
		"of another publication":    {object{"crt": goodRights.with(object{"assetId": loanID})}, func(*delivery.Request) {}, delivery.WrongAsset},
		"of another user":           {nil, func(r *delivery.Request) { r.User = "u2" }, delivery.Denied},
		"without naming a user":     {object{"optData": object{}, "crt": goodRights.with(object{"user": nil})}, func(*delivery.Request) {}, delivery.Denied},
		"without naming an asset":   {object{"crt": goodRights.with(object{"assetId": nil})}, func(*delivery.Request) {}, delivery.InvalidRights},
		"license without a user":    {object{"optData": object{}, "crt": goodRights.with(object{"user": nil})}, func(r *delivery.Request) { r.User = "" }, ""},
		"no alternative identifier": {object{"crt": goodRights.with(object{"assetId": ""})}, func(r *delivery.Request) { r.Asset.AltID = "" }, delivery.InvalidRights},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			r := fresh
			tt.change(&r)
			_, err := b.byToken(t, r, b.token(goodHeader, goodClaims.with(tt.claims)))
			if got := delivery.ReasonOf(err); got != tt.want || err != nil && got == "" {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
}

// A client's own word counts for nothing beside a token.
func TestClaimsOfTheClient(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := issue
	r.User, r.Session = "mallory", "crtjson:{}"
	_, err := b.byToken(t, r, b.token(goodHeader, goodClaims.with(object{"optData": object{}, "crt": goodRights.with(object{"user": nil})})))
	if delivery.ReasonOf(err) != delivery.InvalidRights {
		t.Errorf("error = %v, want %s", err, delivery.InvalidRights)
	}
}

func TestStrictAndLenient(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	claims := goodClaims.with(object{"crt": goodRights.with(object{"outputProtection": object{"digital": true}})})
	g, err := b.byToken(t, issue, b.token(goodHeader, claims))
	if err != nil || len(g.Terms.Warnings) != 1 {
		t.Errorf("lenient: warnings %q, %v", g.Terms.Warnings, err)
	}
	b.shop.Strict = true
	_, err = b.byToken(t, issue, b.token(goodHeader, claims.with(object{"jti": "t-2"})))
	if delivery.ReasonOf(err) != delivery.InvalidRights || !strings.Contains(err.Error(), "outputProtection") {
		t.Errorf("strict: error = %v", err)
	}
}

// TestModes asks in every mode, with a token, a bad one and none. The callback
// leads nowhere.
func TestModes(t *testing.T) {
	t.Parallel()
	const (
		good = "good"
		bad  = "bad"
		none = ""
	)
	dummy := "crtjson:" + goodRights.String()
	tests := map[string]struct {
		mode   delivery.Mode
		token  string
		change func(*delivery.Provider, *delivery.Request)
		want   delivery.Reason
		source delivery.Mode
	}{
		"token, a good one":                {mode: delivery.ByToken, token: good, source: delivery.ByToken},
		"token, a bad one":                 {mode: delivery.ByToken, token: bad, want: delivery.MalformedToken},
		"token, none":                      {mode: delivery.ByToken, token: none, want: delivery.MissingToken},
		"fallback, a good token":           {mode: delivery.Fallback, token: good, source: delivery.ByToken},
		"fallback, a bad token stays bad":  {mode: delivery.Fallback, token: bad, want: delivery.MalformedToken},
		"fallback, no token":               {mode: delivery.Fallback, token: none, want: delivery.CallbackInvalid},
		"callback looks at no token":       {mode: delivery.ByCallback, token: good, want: delivery.CallbackInvalid},
		"callback, none":                   {mode: delivery.ByCallback, token: none, want: delivery.CallbackInvalid},
		"allow-all without an end date":    {mode: delivery.AllowAll, want: delivery.ModeOff},
		"allow-all":                        {mode: delivery.AllowAll, change: until(now.Add(time.Second)), source: delivery.AllowAll},
		"allow-all, over":                  {mode: delivery.AllowAll, change: until(now), want: delivery.ModeOff},
		"test-dummy without an end date":   {mode: delivery.TestDummy, want: delivery.ModeOff},
		"test-dummy":                       {mode: delivery.TestDummy, change: until(now.Add(time.Second)), source: delivery.TestDummy},
		"test-dummy, over":                 {mode: delivery.TestDummy, change: until(now.Add(-time.Second)), want: delivery.ModeOff},
		"test-dummy in production":         {mode: delivery.TestDummy, change: func(p *delivery.Provider, r *delivery.Request) { p.Until, r.Production = now.Add(time.Hour), true }, want: delivery.ModeOff},
		"test-dummy with another session":  {mode: delivery.TestDummy, change: func(p *delivery.Provider, r *delivery.Request) { p.Until, r.Session = now.Add(time.Hour), "s1" }, want: delivery.Denied},
		"test-dummy with what is no token": {mode: delivery.TestDummy, change: func(p *delivery.Provider, r *delivery.Request) { p.Until, r.Session = now.Add(time.Hour), "crtjson:x" }, want: delivery.InvalidRights},
		"test-dummy for another asset": {mode: delivery.TestDummy, change: func(p *delivery.Provider, r *delivery.Request) {
			p.Until, r.Asset = now.Add(time.Hour), delivery.Asset{ID: loanID}
		}, want: delivery.WrongAsset},
		"no mode at all":      {mode: "", want: delivery.ModeOff},
		"a mode that is none": {mode: "none", want: delivery.ModeOff},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.shop.Mode = tt.mode
			r := fresh
			r.Session = dummy
			if tt.change != nil {
				tt.change(&b.shop, &r)
			}
			token := map[string]string{good: b.token(goodHeader, goodClaims), bad: "x.y"}[tt.token]
			g, err := b.byToken(t, r, token)
			if got := delivery.ReasonOf(err); got != tt.want || err != nil && got == "" {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
			if g.Source != tt.source {
				t.Errorf("granted by %q, want %q", g.Source, tt.source)
			}
			logged := strings.Contains(b.log.String(), "without authorization")
			if open := tt.source == delivery.AllowAll || tt.source == delivery.TestDummy; open && !logged || tt.want == delivery.ModeOff && logged {
				t.Errorf("log: %s", b.log)
			}
		})
	}
}

func until(end time.Time) func(*delivery.Provider, *delivery.Request) {
	return func(p *delivery.Provider, _ *delivery.Request) { p.Until = end }
}

func TestAllowAllRights(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shop.Mode, b.shop.Until = delivery.AllowAll, now.Add(time.Hour)
	open, err := rights.Parse([]byte(`{"ref":["loan"],"passHash":"` + passHash + `","textHint":"on the wall"}`))
	if err != nil {
		t.Fatal(err)
	}
	b.shop.Open = open
	r := issue
	r.Asset, r.User = delivery.Asset{AltID: "isbn-1"}, "guest"
	g, err := b.Authorize(t.Context(), b.shop, r)
	if err != nil {
		t.Fatal(err)
	}
	if want := now.AddDate(0, 0, 14); !g.Terms.End.Equal(want) || g.Terms.AssetID != "isbn-1" || g.Terms.User.ID != "guest" || g.Terms.PassHash != passHash {
		t.Errorf("until %s, asset %q, user %q", g.Terms.End, g.Terms.AssetID, g.Terms.User.ID)
	}
}

// One provider sees nothing of another.
func TestProvidersAreApart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other := b.shop
	other.ID, other.Merchant = "other", "other"
	ask := func(p delivery.Provider, token string) error {
		r := issue
		r.Token = delivery.ParseToken(token)
		_, err := b.Authorize(t.Context(), p, r)
		return err
	}
	token := b.token(goodHeader, goodClaims)
	if err := ask(other, token); delivery.ReasonOf(err) != delivery.UnknownSecret {
		t.Errorf("a secret of another: %v", err)
	}
	theirs := b.add(t, "other", "k1", sharedsecret.HS256) // of the same name
	if err := ask(other, token); delivery.ReasonOf(err) != delivery.BadSignature {
		t.Errorf("a secret of the same name: %v", err)
	}
	claims := goodClaims.with(object{"optData": object{"userId": "u1"}})
	if err := ask(other, forge(theirs.Value.Bytes(), sha256.New, goodHeader.String(), claims.String())); err != nil {
		t.Errorf("the other: %v", err)
	}
	if err := ask(b.shop, token); err != nil {
		t.Errorf("the same jti at the first: %v", err)
	}
	crt := goodRights.with(object{"ref": []string{"theirs"}})
	if err := ask(b.shop, b.token(goodHeader, goodClaims.with(object{"jti": "t-2", "crt": crt}))); delivery.ReasonOf(err) != delivery.InvalidTemplate {
		t.Errorf("a template of another: %v", err)
	}
}

func TestCheckProvider(t *testing.T) {
	t.Parallel()
	callback := delivery.Callback{URL: "https://shop.example.org/lcp?x=1"}
	tests := map[string]struct {
		p  delivery.Provider
		ok bool
	}{
		"token":                      {delivery.Provider{ID: "a", Mode: delivery.ByToken}, true},
		"no id":                      {delivery.Provider{Mode: delivery.ByToken}, false},
		"no mode":                    {delivery.Provider{ID: "a"}, false},
		"allow-all without an end":   {delivery.Provider{ID: "a", Mode: delivery.AllowAll}, false},
		"allow-all with one":         {delivery.Provider{ID: "a", Mode: delivery.AllowAll, Until: now}, true},
		"test-dummy without an end":  {delivery.Provider{ID: "a", Mode: delivery.TestDummy}, false},
		"callback":                   {delivery.Provider{ID: "a", Mode: delivery.ByCallback, Callback: callback}, true},
		"callback without a URL":     {delivery.Provider{ID: "a", Mode: delivery.ByCallback}, false},
		"fallback without a URL":     {delivery.Provider{ID: "a", Mode: delivery.Fallback}, false},
		"callback by http":           {delivery.Provider{ID: "a", Mode: delivery.ByCallback, Callback: delivery.Callback{URL: "http://x.org/"}}, false},
		"callback by http, loopback": {delivery.Provider{ID: "a", Mode: delivery.ByCallback, Callback: delivery.Callback{URL: "http://localhost:1/", Loopback: true}}, true},
		"callback with a password":   {delivery.Provider{ID: "a", Mode: delivery.ByCallback, Callback: delivery.Callback{URL: "https://u:p@x.org/"}}, false},
		"callback with a fragment":   {delivery.Provider{ID: "a", Mode: delivery.ByCallback, Callback: delivery.Callback{URL: "https://x.org/#a"}}, false},
		"callback by file":           {delivery.Provider{ID: "a", Mode: delivery.ByCallback, Callback: delivery.Callback{URL: "file:///etc/passwd"}}, false},
		"callback without a host":    {delivery.Provider{ID: "a", Mode: delivery.ByCallback, Callback: delivery.Callback{URL: "https:///x"}}, false},
		"callback, opaque":           {delivery.Provider{ID: "a", Mode: delivery.ByCallback, Callback: delivery.Callback{URL: "https:x.org"}}, false},
	}
	for name, tt := range tests {
		if err := tt.p.Check(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if m, err := delivery.ParseMode("fallback"); m != delivery.Fallback || err != nil {
		t.Errorf("ParseMode = %s, %v", m, err)
	}
	if _, err := delivery.ParseMode("Token"); err == nil {
		t.Error("ParseMode of an unknown mode succeeded")
	}
}
