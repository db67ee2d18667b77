package server_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/server"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
	"github.com/lcp-tools/lcp/pkg/signature"
	"github.com/lcp-tools/lcp/pkg/store"
)

// This file tries what somebody would try who wants a license that is not theirs.
// Whatever it is, nothing is issued, the problem tells of which kind it is, and
// the log why.

// rawToken signs any header and claims.
func rawToken(header, claims any, mac func() hash.Hash, key []byte) string {
	part := func(v any) string { return base64.RawURLEncoding.EncodeToString(mustMarshal(v)) }
	text := part(header) + "." + part(claims)
	h := hmac.New(mac, key)
	h.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// header and claims of a good token.
func (s *shop) header() object { return object{"alg": "HS256", "kid": s.secret.KeyID, "typ": "JWT"} }

func (s *shop) claims() object {
	return object{"jti": uuid.NewString(), "iat": epoch.Unix(), "optData": object{}, "crt": loanOf(s.book)}
}

// forged is a token with a header and claims that differ from good ones.
func (s *shop) forged(header, claims object) string {
	return rawToken(with(s.header(), header), with(s.claims(), claims), sha256.New, s.secret.Value.Bytes())
}

// granting is a good token for other rights.
func (s *shop) granting(rights object) string {
	return s.forged(nil, object{"crt": with(loanOf(s.book), rights)})
}

// renting is one for another rental.
func (s *shop) renting(profile object) string {
	return s.granting(object{"profile": with(object{"type": "rental"}, profile)})
}

// An attack asks for a license with a token.
type attack struct {
	token  func(t *testing.T, s *shop) string
	reason delivery.Reason
	fresh  bool // of the shop's own license; else a new one
	header func(token string) http.Header
	query  func(token string) string
}

// attacks by a token, one for each way it can be bad.
var attacks = map[string]attack{
	"no token":    {token: func(*testing.T, *shop) string { return "" }, reason: delivery.MissingToken},
	"empty token": {token: func(*testing.T, *shop) string { return "" }, reason: delivery.MalformedToken, header: inHeader},
	"two tokens in headers": {token: good, reason: delivery.SeveralTokens, header: func(token string) http.Header {
		return http.Header{"X-Dt-Auth-Token": {token}, "Authorization": {"Bearer " + token}}
	}},
	"two tokens in one header": {token: good, reason: delivery.SeveralTokens, header: func(token string) http.Header {
		return http.Header{"X-Dt-Auth-Token": {token, token}}
	}},
	"two tokens, one in the query": {token: good, reason: delivery.SeveralTokens, header: inHeader, query: inQuery},
	"two tokens in the query":      {token: good, reason: delivery.SeveralTokens, query: func(token string) string { return inQuery(token) + "&" + inQuery(token)[1:] }},

	"no JWT":          {token: literal("nonsense"), reason: delivery.MalformedToken},
	"JSON":            {token: literal(`{"crt":{}}`), reason: delivery.MalformedToken},
	"padded base64":   {token: func(t *testing.T, s *shop) string { return good(t, s) + "=" }, reason: delivery.MalformedToken},
	"no kid":          forged(object{"kid": nil}, nil, delivery.MalformedToken),
	"kid with a path": forged(object{"kid": "../../etc/passwd"}, nil, delivery.MalformedToken),
	"kid with SQL":    forged(object{"kid": "x' OR '1'='1"}, nil, delivery.MalformedToken),
	"another typ":     forged(object{"typ": "JWE"}, nil, delivery.MalformedToken),
	"critical header": forged(object{"crit": []string{"exp"}}, nil, delivery.MalformedToken),
	"no jti":          forged(nil, object{"jti": nil}, delivery.MalformedToken),
	"empty jti":       forged(nil, object{"jti": ""}, delivery.MalformedToken),
	"endless jti":     forged(nil, object{"jti": strings.Repeat("x", 256)}, delivery.MalformedToken),
	"no iat":          forged(nil, object{"iat": nil}, delivery.MalformedToken),
	"no optData":      forged(nil, object{"optData": nil}, delivery.MalformedToken),
	"no crt":          forged(nil, object{"crt": nil}, delivery.MalformedToken),
	"another's token": forged(nil, object{"aud": "https://elsewhere.example.org"}, delivery.MalformedToken),
	"oversized": {token: func(_ *testing.T, s *shop) string {
		return s.forged(nil, object{"x": strings.Repeat("x", delivery.MaxToken)})
	}, reason: delivery.TokenTooLarge},
	"alg none":        forged(object{"alg": "none"}, nil, delivery.UnsignedToken),
	"alg nOnE":        forged(object{"alg": "nOnE"}, nil, delivery.UnsignedToken),
	"no signature":    {token: func(t *testing.T, s *shop) string { return good(t, s)[:strings.LastIndexByte(good(t, s), '.')+1] }, reason: delivery.UnsignedToken},
	"RS256":           forged(object{"alg": "RS256"}, nil, delivery.WrongAlgorithm),
	"ES256":           forged(object{"alg": "ES256"}, nil, delivery.WrongAlgorithm),
	"HS256 for RS256": forged(object{"alg": "PS256"}, nil, delivery.WrongAlgorithm),
	"another HMAC": {token: func(_ *testing.T, s *shop) string {
		return rawToken(with(s.header(), object{"alg": "HS512"}), s.claims(), sha512.New, s.secret.Value.Bytes())
	}, reason: delivery.WrongAlgorithm},
	"unknown kid": forged(object{"kid": "nobody"}, nil, delivery.UnknownSecret),
	"wrong key": {token: func(_ *testing.T, s *shop) string {
		return rawToken(s.header(), s.claims(), sha256.New, make([]byte, 32))
	}, reason: delivery.BadSignature},
	"key in digits": {token: func(_ *testing.T, s *shop) string {
		return rawToken(s.header(), s.claims(), sha256.New, []byte(s.secret.Value.Hex()))
	}, reason: delivery.BadSignature},
	"changed claims":  {token: changed, reason: delivery.BadSignature},
	"expired":         forged(nil, object{"iat": epoch.Add(-time.Hour).Unix(), "exp": epoch.Add(-2 * time.Minute).Unix()}, delivery.ExpiredToken),
	"old without exp": forged(nil, object{"iat": epoch.Add(-12 * time.Minute).Unix()}, delivery.ExpiredToken),
	"from the future": forged(nil, object{"iat": epoch.Add(2 * time.Minute).Unix()}, delivery.TokenNotYetValid),
	"nbf to come":     forged(nil, object{"nbf": epoch.Add(time.Hour).Unix()}, delivery.TokenNotYetValid),
	"pending secret":  {token: bySecretIn(sharedsecret.Pending), reason: delivery.UnknownSecret},
	"revoked secret":  {token: bySecretIn(sharedsecret.Revoked), reason: delivery.UnknownSecret},
	"another provider's secret": {token: func(t *testing.T, s *shop) string {
		return s.mint(t, s.addSecret(t, otherID), delivery.OptData{}, loanOf(s.book))
	}, reason: delivery.UnknownSecret},
	"another provider's publication": {token: func(t *testing.T, s *shop) string {
		return s.granting(object{"assetId": s.addPublication(t, object{"provider": otherURI})})
	}, reason: delivery.UnknownSecret},
	"another provider's publication, by merchant": {token: func(t *testing.T, s *shop) string {
		theirs := s.addPublication(t, object{"provider": otherURI})
		return s.mint(t, s.secret, delivery.OptData{Merchant: provider.DefaultID}, loanOf(theirs))
	}, reason: delivery.UnknownPublication},
	"unknown merchant": {token: func(t *testing.T, s *shop) string {
		return s.mint(t, s.secret, delivery.OptData{Merchant: "nobody"}, loanOf(s.book))
	}, reason: delivery.UnknownSecret},

	"unknown publication":      granting(object{"assetId": "nothing"}, delivery.UnknownPublication),
	"no publication":           granting(object{"assetId": nil}, delivery.InvalidRights),
	"token for another":        {token: func(_ *testing.T, s *shop) string { return s.granting(object{"assetId": uuid.NewString()}) }, reason: delivery.WrongAsset, fresh: true},
	"token for another reader": {token: func(_ *testing.T, s *shop) string { return s.granting(object{"user": object{"id": "somebody"}}) }, reason: delivery.Denied, fresh: true},

	"no profile":          granting(object{"profile": nil}, delivery.InvalidRights),
	"profile of a kind":   granting(object{"profile": object{"type": "gift"}}, delivery.InvalidRights),
	"rental without end":  renting(nil),
	"negative duration":   renting(object{"relativeExpiration": "-P1D"}),
	"no duration":         renting(object{"relativeExpiration": "P0D"}),
	"absurd duration":     renting(object{"relativeExpiration": "P999999999Y"}),
	"overflowing":         renting(object{"playDuration": "PT9223372036854775807S"}),
	"words":               renting(object{"playDuration": "two weeks"}),
	"end without a zone":  renting(object{"absoluteExpiration": "2031-01-01T00:00:00"}),
	"end on no day":       renting(object{"absoluteExpiration": "2031-02-30T00:00:00Z"}),
	"end in the past":     renting(object{"absoluteExpiration": "2030-04-30T00:00:00Z"}),
	"end before its time": renting(object{"absoluteExpiration": "2030-05-01T13:30:00+02:00"}),
	"negative print":      granting(object{"lcp": object{"print": -1}}, delivery.InvalidRights),
	"misspelled limit":    granting(object{"lcp": object{"prints": 1}}, delivery.InvalidRights),
	"passphrase in clear": granting(object{"passHash": "correct horse"}, delivery.InvalidRights),
	"no user":             granting(object{"user": nil}, delivery.InvalidRights),
	"clear for encrypted": granting(object{"user": object{"id": userID, "encrypted": []string{"email"}}}, delivery.InvalidRights),
	"profile not offered": granting(object{"lcp": object{"profile": profile.V1}}, delivery.InvalidRights),
	"no passphrase":       granting(object{"passHash": nil}, delivery.MissingUserData),
	"no hint":             granting(object{"textHint": nil}, delivery.MissingUserData),

	"no such template":    granting(object{"ref": []string{"nothing"}}, delivery.InvalidTemplate),
	"template of itself":  granting(object{"ref": []string{"self"}}, delivery.InvalidTemplate),
	"templates in a ring": granting(object{"ref": []string{"ring-1"}}, delivery.InvalidTemplate),
	"template of another": granting(object{"ref": []string{"theirs"}}, delivery.InvalidTemplate),
}

func good(t *testing.T, s *shop) string { t.Helper(); return s.token(t) }

func literal(token string) func(*testing.T, *shop) string {
	return func(*testing.T, *shop) string { return token }
}

func forged(header, claims object, reason delivery.Reason) attack {
	return attack{token: func(_ *testing.T, s *shop) string { return s.forged(header, claims) }, reason: reason}
}

func granting(rights object, reason delivery.Reason) attack {
	return attack{token: func(_ *testing.T, s *shop) string { return s.granting(rights) }, reason: reason}
}

func renting(rental object) attack {
	return attack{token: func(_ *testing.T, s *shop) string { return s.renting(rental) }, reason: delivery.InvalidRights}
}

// changed is a token whose claims are another's.
func changed(t *testing.T, s *shop) string {
	t.Helper()
	one, other := strings.Split(s.token(t), "."), strings.Split(s.granting(object{"lcp": object{}}), ".")
	return one[0] + "." + other[1] + "." + one[2]
}

// bySecretIn signs with a secret that is in such a state.
func bySecretIn(state sharedsecret.State) func(*testing.T, *shop) string {
	return func(t *testing.T, s *shop) string {
		t.Helper()
		secret, err := sharedsecret.Generate(provider.DefaultID, sharedsecret.HS256, s.clock.now())
		if err == nil {
			err = s.store.AddSecret(t.Context(), secret)
		}
		if err == nil && state != sharedsecret.Pending {
			_, err = s.store.MoveSecret(t.Context(), provider.DefaultID, secret.KeyID, state)
		}
		if err != nil {
			t.Fatal(err)
		}
		secret.State = sharedsecret.Active // to whoever has it
		return s.mint(t, secret, delivery.OptData{}, loanOf(s.book))
	}
}

func inHeader(token string) http.Header { return http.Header{"X-Dt-Auth-Token": {token}} }

func inQuery(token string) string { return "?" + url.Values{"token": {token}}.Encode() }

// watched is a shop whose log is kept apart.
func watched(t *testing.T, a provider.Authorization, change ...func(*server.Options)) (*shop, *lockedBuffer) {
	t.Helper()
	log := &lockedBuffer{}
	s := newShop(t, a, append(change, func(o *server.Options) {
		o.Log = slog.New(slog.NewJSONHandler(io.MultiWriter(&logs, log), &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Delivery.Log = o.Log
	})...)
	for name, template := range map[string]string{"self": `{"ref":["self"]}`, "ring-1": `{"ref":["ring-2"]}`, "ring-2": `{"ref":["ring-1"]}`} {
		s.template(t, provider.DefaultID, name, template)
	}
	s.template(t, otherID, "theirs", `{"profile":{"type":"purchase"}}`)
	return s, log
}

func (s *shop) template(t *testing.T, of, name, text string) {
	t.Helper()
	if _, err := s.store.SaveTemplate(t.Context(), of, name, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// issued is how many licenses there are.
func (r *rig) issued(t *testing.T) int64 {
	t.Helper()
	n, err := r.store.CountLicenses(t.Context(), store.LicenseFilter{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A refusalLine is what the log tells of a refusal.
type refusalLine struct {
	Msg, Request, Provider string
	Refusal                struct{ Reason, Detail, Cause string }
}

// refusalOf finds the refusal of a request in a log.
func refusalOf(t *testing.T, log, request string) (found refusalLine) {
	t.Helper()
	for line := range strings.Lines(log) {
		var l refusalLine
		if err := json.Unmarshal([]byte(line), &l); err == nil && l.Msg == "license refused" && l.Request == request {
			return l
		}
	}
	t.Errorf("the log does not tell why request %s was refused", request)
	return found
}

func TestAttacksByToken(t *testing.T) {
	t.Parallel()
	s, log := watched(t, byToken)
	own := s.addLicense(t, s.book)
	for name, tt := range attacks {
		before, request := s.issued(t), strings.ReplaceAll(uuid.NewString(), "-", "")
		token := tt.token(t, s)
		c := call{method: "POST", path: "/gateway/licenses", header: http.Header{}}
		if tt.fresh {
			c.method, c.path = "GET", "/gateway/licenses/"+own
		}
		switch {
		case tt.header != nil:
			c.header = tt.header(token)
		case token != "" && tt.query == nil:
			c.header = inHeader(token)
		}
		if tt.query != nil {
			c.path += tt.query(token)
		}
		c.header.Set("X-Request-Id", request)
		a := s.send(t, c)
		if p := decode[server.Problem](t, a); a.code != tt.reason.Status() || p.Type != tt.reason.Type() {
			t.Errorf("%s: %d %s, want %s", name, a.code, a.body, tt.reason)
			continue
		}
		if l := refusalOf(t, log.String(), request); l.Refusal.Reason != string(tt.reason) {
			t.Errorf("%s: the log tells of %q", name, l.Refusal.Reason)
		}
		if n := s.issued(t); n != before {
			t.Errorf("%s: %d licenses more", name, n-before)
		}
		for _, secret := range []string{token, s.secret.Value.Hex()} {
			if secret != "" && len(secret) > 20 && (strings.Contains(log.String(), secret) || strings.Contains(a.body, secret)) {
				t.Errorf("%s: a token or secret is in the log or the answer", name)
			}
		}
	}
}

// A token that was refused for what is wrong elsewhere is still good.
func TestDeletedPublicationDoesNotSpend(t *testing.T) {
	t.Parallel()
	s := newShop(t, byToken)
	token := s.token(t)
	s.must(t, http.StatusOK, "DELETE", "/publications/"+s.book, nil)
	for range 2 {
		refused(t, s.ask(t, "POST", "/gateway/licenses", token), delivery.UnknownPublication)
	}
	s.must(t, http.StatusCreated, "POST", "/publications", with(publication(s.book), nil))
	delivered(t, http.StatusCreated, s.ask(t, "POST", "/gateway/licenses", token))
}

// spendAll asks for licenses all at once, with one token.
func spendAll(t *testing.T, times int, ask func(n int) answer) {
	t.Helper()
	answers := make([]answer, times)
	var wg sync.WaitGroup
	for n := range times {
		wg.Go(func() { answers[n] = ask(n) })
	}
	wg.Wait()
	good := 0
	for _, a := range answers {
		if a.header.Get("Content-Type") == license.MediaType {
			good++
		} else {
			refused(t, a, delivery.ReplayedToken)
		}
	}
	if good != 1 {
		t.Errorf("%d of %d requests with one token got a license", good, times)
	}
}

func TestReplay50AtOnceIssuesOneLicense(t *testing.T) {
	t.Parallel()
	s := newShop(t, byToken)
	token := s.token(t)
	spendAll(t, 50, func(int) answer { return s.ask(t, "POST", "/gateway/licenses", token) })
	if n := s.issued(t); n != 1 {
		t.Errorf("%d licenses", n)
	}
	id := s.addLicense(t, s.book)
	token = s.token(t)
	spendAll(t, 50, func(int) answer { return s.fresh(t, id, token) })
	refused(t, s.ask(t, "POST", "/gateway/licenses", token), delivery.ReplayedToken) // for something else neither
}

// replica is a second server on the database of a rig, as another machine would
// have it.
func (r *rig) replica(t *testing.T) *rig {
	t.Helper()
	other := *r
	other.store = openStore(t, r.file, r.clock)
	authorizer := *r.options.Delivery
	authorizer.Store = provider.NewRecords(other.store)
	other.options.Store, other.options.Delivery = other.store, &authorizer
	setProviders(t, &other.options, r.options.Providers)
	other.start(t)
	return &other
}

func TestReplayAcrossTwoReplicasPostgres(t *testing.T) {
	t.Parallel()
	s := &shop{rig: newRigOn(t, databaseServers[0].database(t), func(o *server.Options) {
		setProviders(t, o, newDirectory(t, provider.Provider{Authorization: byToken}))
	})}
	s.secret, s.book = s.addSecret(t, provider.DefaultID), s.addPublication(t)
	two := []*rig{s.rig, s.replica(t)}
	for round := range int64(5) {
		token := s.token(t)
		spendAll(t, 20, func(n int) answer { return two[n%2].ask(t, "POST", "/gateway/licenses", token) })
		if n := s.issued(t); n != round+1 {
			t.Fatalf("%d licenses of %d tokens", n, round+1)
		}
	}
}

// The two problems are the same, but for where the log tells them apart.
func TestUnknownMerchantLooksLikeUnknownSecret(t *testing.T) {
	t.Parallel()
	s, log := watched(t, byToken)
	stranger, err := sharedsecret.Generate(provider.DefaultID, sharedsecret.HS256, epoch)
	if err != nil {
		t.Fatal(err)
	}
	stranger.State = sharedsecret.Active
	ask := func(secret sharedsecret.Secret, merchant string) (string, refusalLine) {
		a := s.ask(t, "POST", "/gateway/licenses", s.mint(t, secret, delivery.OptData{Merchant: merchant}, loanOf(s.book)))
		return fmt.Sprint(a.code, a.header.Get("WWW-Authenticate"), a.body), refusalOf(t, log.String(), a.header.Get("X-Request-Id"))
	}
	unknown, first := ask(stranger, provider.DefaultID)
	merchant, second := ask(s.secret, "nobody")
	theirs, third := ask(s.secret, otherID)
	if unknown != merchant || unknown != theirs || !strings.Contains(unknown, "unknown-secret") {
		t.Errorf("answers:\n%s\n%s\n%s", unknown, merchant, theirs)
	}
	if first.Refusal.Cause != "" || !strings.Contains(second.Refusal.Cause, "merchant") || third.Provider != otherID {
		t.Errorf("the log:\n%+v\n%+v\n%+v", first, second, third)
	}
}

func TestTwoTokensOnGateway(t *testing.T) {
	t.Parallel()
	b := newBackend(t, grants())
	s := newShop(t, byCallback(delivery.Fallback, b.URL))
	id, token := s.addLicense(t, s.book), s.token(t)
	refused(t, s.ask(t, "GET", "/gateway/licenses/"+id+"?token="+token, token), delivery.SeveralTokens)
	if b.asked.Load() != 0 {
		t.Error("the backend was asked")
	}
	delivered(t, http.StatusOK, s.fresh(t, id, token)) // is still good
}

func TestTemplateOfOtherProvider(t *testing.T) {
	t.Parallel()
	s := newShop(t, byToken)
	theirs := s.addSecret(t, otherID)
	s.template(t, otherID, "loan", `{"profile":{"type":"purchase"}}`)
	book := s.addPublication(t, object{"provider": otherURI})
	crt := func(asset string) object { return with(loanOf(asset), object{"ref": []string{"loan"}, "profile": nil}) }
	refused(t, s.ask(t, "POST", "/gateway/licenses", s.mint(t, s.secret, delivery.OptData{}, crt(s.book))), delivery.InvalidTemplate)
	delivered(t, http.StatusCreated, s.ask(t, "POST", "/gateway/licenses", s.mint(t, theirs, delivery.OptData{}, crt(book))))
}

func TestReasonInLogWithRequestID(t *testing.T) {
	t.Parallel()
	b := newBackend(t, says(http.StatusInternalServerError, object{}))
	s, log := watched(t, byCallback(delivery.ByCallback, b.URL))
	id := s.addLicense(t, s.book)
	a := s.send(t, call{method: "GET", path: "/gateway/licenses/" + id, header: http.Header{"X-Request-Id": {"request-42"}}})
	refused(t, a, delivery.CallbackInvalid)
	if strings.Contains(a.body, "500") {
		t.Errorf("the client is told what the backend answered: %s", a.body)
	}
	if l := refusalOf(t, log.String(), "request-42"); l.Refusal.Reason != "callback-invalid" || !strings.Contains(l.Refusal.Cause, "status 500") || l.Provider != provider.DefaultID {
		t.Errorf("the log: %+v", l)
	}
	if !strings.Contains(log.String(), `"license":"`+id+`"`) {
		t.Error("the log does not tell which license")
	}
	if got := s.metric(t, "lcp_gateway_refusals_total"); got != 1 {
		t.Errorf("%v refusals counted", got)
	}
}

// metric is the sum of a counter.
func (r *rig) metric(t *testing.T, name string) (sum float64) {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestTokenNeverInAccessLog(t *testing.T) {
	t.Parallel()
	s, log := watched(t, byToken)
	id := s.addLicense(t, s.book)
	for _, c := range []func(token string) call{
		func(token string) call {
			return call{method: "GET", path: "/gateway/licenses/" + id + "?token=" + token}
		},
		func(token string) call {
			return call{method: "GET", path: "/gateway/licenses?license_id=" + id, header: inHeader(token)}
		},
		func(token string) call { return call{method: "POST", path: "/gateway/licenses?token=" + token} },
		func(token string) call {
			return call{method: "POST", path: "/gateway/licenses", header: http.Header{"Authorization": {"Bearer " + token}}}
		},
		func(token string) call {
			return call{method: "PUT", path: "/gateway/licenses/" + id + "?token=" + token}
		},
		func(token string) call { return call{method: "GET", path: "/nowhere?token=" + token} },
		func(token string) call {
			return call{method: "GET", path: "/gateway/licenses/" + id + "?token=" + token + "&x=%zz"}
		},
	} {
		for _, token := range []string{s.token(t), s.forged(nil, object{"jti": nil}), s.forged(object{"kid": "x"}, nil)} {
			a := s.send(t, c(token))
			for part := range strings.SplitSeq(token, ".") {
				if strings.Contains(log.String(), part) {
					t.Fatalf("a part of the token is in the log, after %s %s", c("…").method, c("…").path)
				}
				if a.code >= 400 && a.code != http.StatusNotFound && strings.Contains(a.body, part) {
					t.Errorf("the answer quotes the token: %s", a.body)
				}
			}
		}
	}
	if n := strings.Count(log.String(), "license delivered"); n != 4 {
		t.Errorf("%d licenses delivered: the log is not of these requests", n)
	}
}

// A callback is one way that a backend can be bad, or made so by who set its
// address.
type callbackAttack struct {
	answer  http.HandlerFunc // of a backend on this machine
	url     string           // instead of such a backend
	timeout time.Duration    // of callbacks, unless it is as usual
	change  func(*provider.Callback)
	reason  delivery.Reason
}

var callbackAttacks = map[string]callbackAttack{
	"times out": {answer: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, timeout: 300 * time.Millisecond, reason: delivery.CallbackTimeout},
	"drips":     {answer: drip, timeout: 500 * time.Millisecond, reason: delivery.CallbackTimeout},
	"redirects": {answer: func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}, reason: delivery.CallbackInvalid},
	"answers HTML":  {answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>log in</html>") }, reason: delivery.CallbackInvalid},
	"answers 500":   {answer: says(http.StatusInternalServerError, object{}), reason: delivery.CallbackInvalid},
	"answers 503":   {answer: says(http.StatusServiceUnavailable, object{}), reason: delivery.CallbackInvalid},
	"answers 201":   {answer: says(http.StatusCreated, loanOf("")), reason: delivery.CallbackInvalid},
	"answers 10 MB": {answer: says(http.StatusOK, object{"profile": object{"type": "purchase"}, "x": strings.Repeat("x", 10<<20)}), reason: delivery.CallbackInvalid},
	"answers less": {answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"profile":`)
	}, reason: delivery.CallbackInvalid},
	"hangs up":       {answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, reason: delivery.CallbackInvalid},
	"denies":         {answer: says(http.StatusOK, object{}), reason: delivery.Denied},
	"denies by 401":  {answer: says(http.StatusUnauthorized, object{}), reason: delivery.Denied},
	"denies by 404":  {answer: says(http.StatusNotFound, object{}), reason: delivery.Denied},
	"another reader": {answer: says(http.StatusOK, with(loanOf(""), object{"assetId": nil, "user": object{"id": "somebody"}})), reason: delivery.Denied},
	"another book":   {answer: says(http.StatusOK, loanOf(uuid.NewString())), reason: delivery.WrongAsset},
	"bad rights":     {answer: says(http.StatusOK, object{"profile": object{"type": "rental", "relativeExpiration": "-P1D"}}), reason: delivery.InvalidRights},
	"no user data":   {answer: says(http.StatusOK, object{"profile": object{"type": "purchase"}}), reason: delivery.MissingUserData},
	"nobody there":   {url: "http://127.0.0.1:1/", reason: delivery.CallbackInvalid},
	"private":        {url: "https://10.0.0.1/callback", change: secure, reason: delivery.CallbackInvalid},
	"metadata":       {url: "https://169.254.169.254/latest/meta-data", change: secure, reason: delivery.CallbackInvalid},
	"loopback":       {url: "https://localhost/callback", change: secure, reason: delivery.CallbackInvalid},
	"shared network": {url: "https://100.64.0.1/callback", change: secure, reason: delivery.CallbackInvalid},
	"mapped address": {url: "https://[::ffff:10.0.0.1]/callback", change: secure, reason: delivery.CallbackInvalid},
	"not allowed": {url: "https://192.168.1.1/callback", change: func(c *provider.Callback) {
		secure(c)
		c.Allow = []netip.Prefix{netip.MustParsePrefix("192.168.0.0/24")}
	}, reason: delivery.CallbackInvalid},
	"http elsewhere": {url: "http://192.0.2.1/callback", reason: delivery.CallbackInvalid},
	"own name":       {url: "https://LCP.example.org/gateway/licenses", change: secure, reason: delivery.CallbackInvalid},
}

func secure(c *provider.Callback) { c.Loopback = false }

// drip answers one byte after the other, for ever.
func drip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for r.Context().Err() == nil {
		_, _ = io.WriteString(w, " ")
		_ = http.NewResponseController(w).Flush()
		<-tick.C
	}
}

func TestAttacksByCallback(t *testing.T) {
	t.Parallel()
	for name, tt := range callbackAttacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := tt.url
			if tt.answer != nil {
				address = newBackend(t, tt.answer).URL
			}
			a := byCallback(delivery.ByCallback, address)
			if tt.change != nil {
				tt.change(&a.Callback)
			}
			s, log := watched(t, a, func(o *server.Options) {
				o.Delivery.Callbacks = delivery.NewCallbacks(delivery.CallbackOptions{Now: o.Now, Timeout: tt.timeout, Hosts: []string{"lcp.example.org"}})
				t.Cleanup(o.Delivery.Callbacks.Close)
			})
			id := s.addLicense(t, s.book)
			answer := s.fresh(t, id, "")
			refused(t, answer, tt.reason)
			if l := refusalOf(t, log.String(), answer.header.Get("X-Request-Id")); l.Refusal.Reason != string(tt.reason) {
				t.Errorf("the log: %+v", l)
			}
			if strings.Contains(log.String(), s.secret.Value.Hex()) {
				t.Error("the secret is in the log")
			}
			before := s.issued(t)
			if a := s.send(t, call{method: "POST", path: "/gateway/licenses", body: object{"assetId": s.book, "userId": userID}}); a.code < 400 && name != "another reader" {
				t.Errorf("a new license: %d", a.code)
			} else if n := s.issued(t); a.code >= 400 && n != before {
				t.Errorf("%d licenses more", n-before)
			}
		})
	}
}

// A callback that would lead back to the gateway, and so round and round.
func TestCallbackToOwnGateway(t *testing.T) {
	t.Parallel()
	s := newShop(t, byToken)
	u, err := url.Parse(s.base)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	id := s.addLicense(t, s.book)
	own := *s.rig
	setProviders(t, &own.options, newDirectory(t, provider.Provider{Authorization: byCallback(delivery.ByCallback, s.base+"/gateway/licenses")}))
	authorizer := *s.options.Delivery
	authorizer.Callbacks = delivery.NewCallbacks(delivery.CallbackOptions{Now: s.clock.now, Ports: []uint16{uint16(port)}})
	own.options.Delivery = &authorizer
	own.start(t)
	refused(t, own.fresh(t, id, ""), delivery.CallbackInvalid)
	if n := s.metric(t, "lcp_gateway_refusals_total"); n != 1 {
		t.Errorf("%v requests to the gateway, want the one", n)
	}
}

func TestModeOffAfterEndDate(t *testing.T) {
	t.Parallel()
	rights := mustMarshal(object{"profile": object{"type": "purchase"}, "passHash": passHash, "textHint": textHint})
	for _, mode := range []delivery.Mode{delivery.AllowAll, delivery.TestDummy} {
		s := newShop(t, provider.Authorization{Mode: mode, Until: epoch.Add(time.Hour), Rights: rights})
		ask := func() answer {
			session := "crtjson:" + string(mustMarshal(loanOf(s.book)))
			return s.send(t, call{method: "POST", path: "/gateway/licenses", body: object{"assetId": s.book, "userId": userID, "sessionId": session}})
		}
		delivered(t, http.StatusCreated, ask())
		s.clock.pass(time.Hour)
		refused(t, ask(), delivery.ModeOff)
		if n := s.issued(t); n != 1 {
			t.Errorf("%s: %d licenses", mode, n)
		}
	}
}

// productionSigner signs with a certificate that does not say it is for tests.
func productionSigner(t *testing.T) *signature.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Provider"}, NotBefore: epoch.AddDate(-1, 0, 0), NotAfter: epoch.AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s, err := signature.NewSigner(key, c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDummyRefusedWithProductionCertificate(t *testing.T) {
	t.Parallel()
	s := newShop(t, provider.Authorization{Mode: delivery.TestDummy, Until: epoch.Add(time.Hour)}, func(o *server.Options) {
		issuer, err := license.NewIssuer(license.Options{
			Provider: providerURI, Signer: productionSigner(t), Profiles: profile.NewRegistry(), Hint: publicURL + "/hint/{license_id}",
		})
		if err != nil {
			t.Fatal(err)
		}
		o.Licensing.Default().Issuer = issuer
	})
	session := "crtjson:" + string(mustMarshal(loanOf(s.book)))
	p := refused(t, s.send(t, call{method: "POST", path: "/gateway/licenses", body: object{"sessionId": session}}), delivery.ModeOff)
	if !strings.Contains(p.Detail, "test certificate") || s.issued(t) != 0 {
		t.Errorf("%s, %d licenses", p.Detail, s.issued(t))
	}
}

// What is in a request beyond the token is bounded as well.
func TestGatewayBadBodies(t *testing.T) {
	t.Parallel()
	b := newBackend(t, grants())
	s := newShop(t, byCallback(delivery.ByCallback, b.URL))
	much := object{}
	for n := range 100 {
		much[strconv.Itoa(n)] = strings.Repeat("x", 1000)
	}
	for name, tt := range map[string]struct {
		body any
		code int
	}{
		"unknown member": {object{"user": "u"}, 400}, "not JSON": {"x", 400}, "another type": {object{"assetId": 1}, 400},
		"more than a callback passes on": {object{"assetId": s.book, "userId": userID, "clientInfo": much}, 400},
		"megabytes":                      {string(bytes.Repeat([]byte("x"), 2<<20)), 413},
	} {
		a := s.send(t, call{method: "POST", path: "/gateway/licenses", body: tt.body})
		if a.code != tt.code || tt.code == 400 && decode[server.Problem](t, a).Type != delivery.MalformedRequest.Type() {
			t.Errorf("%s: %d %s", name, a.code, a.body)
		}
	}
	if b.asked.Load() != 0 || s.issued(t) != 0 {
		t.Error("the backend was asked, or a license issued")
	}
}

// A client that goes away gets nothing, and spends nothing.
func TestGatewayClientGone(t *testing.T) {
	t.Parallel()
	began := make(chan struct{}, 1)
	b := newBackend(t, func(_ http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-r.Context().Done()
	})
	s := newShop(t, byCallback(delivery.ByCallback, b.URL))
	ctx, leave := context.WithCancel(t.Context())
	go func() { <-began; leave() }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+"/gateway/licenses", strings.NewReader(`{"assetId":"978-book","userId":"u"}`))
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		t.Errorf("answered %d", resp.StatusCode)
	}
	if n := s.issued(t); n != 0 {
		t.Errorf("%d licenses", n)
	}
}
