package delivery_test

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/rights"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
)

// This file has one entry for each attack on delivery authorization, and shows
// that nothing is granted, that no token is to be spent, and that neither the
// error nor the log holds the secret, the token or anything personal. That a token is
// good once is for those who deliver to see to, and in the server's tests.

// refused asks for a license and checks what comes back.
func (b *bench) refused(t *testing.T, r delivery.Request, want delivery.Reason) {
	t.Helper()
	g, err := b.Authorize(t.Context(), b.shop, r)
	if got := delivery.ReasonOf(err); got != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	if g.Source != "" || g.Terms.AssetID != "" || g.Spending != nil {
		t.Error("something was granted")
	}
	b.Log.Warn("x", "err", err, "request", r, "grant", g, "provider", b.shop)
	text := fmt.Sprintf("%v %+v %#v %v %#v %s %s", err, err, r, r.Token, r.Token, g, b.log)
	shown := []string{b.secret.Value.Hex(), "Zoe", passHash}
	if text := r.Token.Text(); len(text) > 8 {
		shown = append(shown, text)
	}
	for _, s := range shown {
		if strings.Contains(text, s) {
			t.Errorf("%q is in %.500s", s, text)
		}
	}
}

func TestForgedTokens(t *testing.T) {
	t.Parallel()
	wrong := []byte(strings.Repeat("w", 64))
	sign := func(header, claims object) func(*bench) string {
		return func(b *bench) string { return b.token(header, claims) }
	}
	signWith := func(secret []byte, newHash func() hash.Hash, header object) func(*bench) string {
		return func(*bench) string { return forge(secret, newHash, header.String(), goodClaims.String()) }
	}
	unsigned := func(alg string) func(*bench) string {
		return func(b *bench) string {
			parts := strings.Split(b.token(goodHeader.with(object{"alg": alg}), goodClaims), ".")
			return parts[0] + "." + parts[1] + "."
		}
	}
	change := func(f func(token string) string) func(*bench) string {
		return func(b *bench) string { return f(b.token(goodHeader, goodClaims)) }
	}
	crt := func(changes object) func(*bench) string {
		return sign(goodHeader, goodClaims.with(object{"crt": goodRights.with(changes)}))
	}
	raw := func(header, claims string) func(*bench) string {
		return func(b *bench) string { return forge(b.secret.Value.Bytes(), sha256.New, header, claims) }
	}
	tests := map[string]struct {
		token func(*bench) string
		want  delivery.Reason
	}{
		"missing": {func(*bench) string { return "" }, delivery.MissingToken},

		"malformed: one part":                {change(func(s string) string { return strings.ReplaceAll(s, ".", "") }), delivery.MalformedToken},
		"malformed: two parts":               {change(func(s string) string { return s[:strings.LastIndex(s, ".")] }), delivery.MalformedToken},
		"malformed: four parts":              {change(func(s string) string { return s + ".x" }), delivery.MalformedToken},
		"malformed: five, as encrypted ones": {change(func(s string) string { return s + ".x.y" }), delivery.MalformedToken},
		"malformed: stray bits at the end": {change(func(s string) string {
			return s[:len(s)-1] + string(s[len(s)-1]+1) // of 43 letters for 32 bytes, the last has two bits to spare
		}), delivery.MalformedToken},
		"malformed: padding":                 {change(func(s string) string { return s + "=" }), delivery.MalformedToken},
		"malformed: standard base64":         {change(func(s string) string { return "+/" + s }), delivery.MalformedToken},
		"malformed: line break":              {change(func(s string) string { return s[:10] + "\n" + s[10:] }), delivery.MalformedToken},
		"malformed: space":                   {change(func(s string) string { return s + " " }), delivery.MalformedToken},
		"malformed: with its scheme":         {change(func(s string) string { return "Bearer " + s }), delivery.MalformedToken},
		"malformed: header that is a list":   {raw(`["alg"]`, goodClaims.String()), delivery.MalformedToken},
		"malformed: header that is no JSON":  {raw(`alg`, goodClaims.String()), delivery.MalformedToken},
		"malformed: header without alg":      {sign(goodHeader.with(object{"alg": nil}), goodClaims), delivery.MalformedToken},
		"malformed: alg that is a list":      {sign(goodHeader.with(object{"alg": []string{"HS256"}}), goodClaims), delivery.MalformedToken},
		"malformed: two algs":                {raw(`{"alg":"none","alg":"HS256","kid":"k1","typ":"JWT"}`, goodClaims.String()), delivery.MalformedToken},
		"malformed: two kids":                {raw(`{"alg":"HS256","kid":"k1","kid":"k2","typ":"JWT"}`, goodClaims.String()), delivery.MalformedToken},
		"malformed: no typ":                  {sign(goodHeader.with(object{"typ": nil}), goodClaims), delivery.MalformedToken},
		"malformed: another typ":             {sign(goodHeader.with(object{"typ": "JWE"}), goodClaims), delivery.MalformedToken},
		"malformed: typ of access tokens":    {sign(goodHeader.with(object{"typ": "at+jwt"}), goodClaims), delivery.MalformedToken},
		"malformed: crit":                    {sign(goodHeader.with(object{"crit": []string{"exp"}}), goodClaims), delivery.MalformedToken},
		"malformed: empty crit":              {sign(goodHeader.with(object{"crit": []string{}}), goodClaims), delivery.MalformedToken},
		"malformed: unencoded payload":       {sign(goodHeader.with(object{"crit": []string{"b64"}, "b64": false}), goodClaims), delivery.MalformedToken},
		"malformed: no kid":                  {sign(goodHeader.with(object{"kid": nil}), goodClaims), delivery.MalformedToken},
		"malformed: kid that is a path":      {sign(goodHeader.with(object{"kid": "../../dev/null"}), goodClaims), delivery.MalformedToken},
		"malformed: kid that is SQL":         {sign(goodHeader.with(object{"kid": "k1' OR '1'='1"}), goodClaims), delivery.MalformedToken},
		"malformed: kid that is a number":    {sign(goodHeader.with(object{"kid": 1}), goodClaims), delivery.MalformedToken},
		"malformed: claims that are a list":  {raw(goodHeader.String(), `[]`), delivery.MalformedToken},
		"malformed: claims that are null":    {raw(goodHeader.String(), `null`), delivery.MalformedToken},
		"malformed: claims that are no JSON": {raw(goodHeader.String(), `x`), delivery.MalformedToken},
		"malformed: claims twice":            {raw(goodHeader.String(), goodClaims.String()+goodClaims.String()), delivery.MalformedToken},
		"malformed: two jtis":                {raw(goodHeader.String(), `{"jti":"a",`+goodClaims.String()[1:]), delivery.MalformedToken},
		"malformed: no jti":                  {sign(goodHeader, goodClaims.with(object{"jti": nil})), delivery.MalformedToken},
		"malformed: empty jti":               {sign(goodHeader, goodClaims.with(object{"jti": ""})), delivery.MalformedToken},
		"malformed: jti that is a number":    {sign(goodHeader, goodClaims.with(object{"jti": 1})), delivery.MalformedToken},
		"malformed: jti of 256 bytes":        {sign(goodHeader, goodClaims.with(object{"jti": strings.Repeat("j", 256)})), delivery.MalformedToken},
		"malformed: no iat":                  {sign(goodHeader, goodClaims.with(object{"iat": nil})), delivery.MalformedToken},
		"malformed: iat that is text":        {sign(goodHeader, goodClaims.with(object{"iat": "1801396800"})), delivery.MalformedToken},
		"malformed: iat before 1970":         {sign(goodHeader, goodClaims.with(object{"iat": -1})), delivery.MalformedToken},
		"malformed: iat beyond all times":    {sign(goodHeader, goodClaims.with(object{"iat": 1e300})), delivery.MalformedToken},
		"malformed: exp before iat":          {sign(goodHeader, goodClaims.with(object{"exp": now.Add(-time.Second).Unix()})), delivery.MalformedToken},
		"malformed: exp that is text":        {sign(goodHeader, goodClaims.with(object{"exp": "never"})), delivery.MalformedToken},
		"malformed: meant for someone else":  {sign(goodHeader, goodClaims.with(object{"aud": "payments"})), delivery.MalformedToken},
		"malformed: no optData":              {sign(goodHeader, goodClaims.with(object{"optData": nil})), delivery.MalformedToken},
		"malformed: optData that is a list":  {sign(goodHeader, goodClaims.with(object{"optData": []int{}})), delivery.MalformedToken},
		"malformed: optData, text in text":   {sign(goodHeader, goodClaims.with(object{"optData": `"{}"`})), delivery.MalformedToken},
		"malformed: user that is a number":   {sign(goodHeader, goodClaims.with(object{"optData": object{"userId": 1}})), delivery.MalformedToken},
		"malformed: user with a NUL":         {sign(goodHeader, goodClaims.with(object{"optData": object{"userId": "u\x00"}})), delivery.MalformedToken},
		"malformed: no crt":                  {sign(goodHeader, goodClaims.with(object{"crt": nil})), delivery.MalformedToken},
		"malformed: claims in another case":  {raw(goodHeader.String(), strings.Replace(goodClaims.String(), `"jti"`, `"JTI"`, 1)), delivery.MalformedToken},

		"unsigned: none":                  {unsigned("none"), delivery.UnsignedToken},
		"unsigned: None":                  {unsigned("None"), delivery.UnsignedToken},
		"unsigned: nOnE":                  {unsigned("nOnE"), delivery.UnsignedToken},
		"unsigned: none with a signature": {sign(goodHeader.with(object{"alg": "none"}), goodClaims), delivery.UnsignedToken},
		"unsigned: HS256 without one":     {unsigned("HS256"), delivery.UnsignedToken},

		"algorithm confusion: HS512 with a secret of HS256": {func(b *bench) string {
			return forge(b.secret.Value.Bytes(), sha512.New, goodHeader.with(object{"alg": "HS512"}).String(), goodClaims.String())
		}, delivery.WrongAlgorithm},
		"algorithm confusion: says HS512, is HS256": {sign(goodHeader.with(object{"alg": "HS512"}), goodClaims), delivery.WrongAlgorithm},
		"algorithm confusion: RS256":                {sign(goodHeader.with(object{"alg": "RS256"}), goodClaims), delivery.WrongAlgorithm},
		"algorithm confusion: ES256":                {sign(goodHeader.with(object{"alg": "ES256"}), goodClaims), delivery.WrongAlgorithm},
		"algorithm confusion: EdDSA":                {sign(goodHeader.with(object{"alg": "EdDSA"}), goodClaims), delivery.WrongAlgorithm},
		"algorithm confusion: hs256":                {sign(goodHeader.with(object{"alg": "hs256"}), goodClaims), delivery.WrongAlgorithm},
		"algorithm confusion: says HS256, is HS512": {func(b *bench) string {
			return forge(b.secret.Value.Bytes(), sha512.New, goodHeader.String(), goodClaims.String())
		}, delivery.BadSignature},

		"wrong kid":                    {sign(goodHeader.with(object{"kid": "k2"}), goodClaims), delivery.UnknownSecret},
		"wrong kid: in another case":   {sign(goodHeader.with(object{"kid": "K1"}), goodClaims), delivery.UnknownSecret},
		"wrong key":                    {signWith(wrong, sha256.New, goodHeader), delivery.BadSignature},
		"wrong key: empty":             {signWith(nil, sha256.New, goodHeader), delivery.BadSignature},
		"wrong key: one that it names": {signWith(wrong, sha256.New, goodHeader.with(object{"jwk": object{"kty": "oct", "k": base64.RawURLEncoding.EncodeToString(wrong)}})), delivery.BadSignature},
		"wrong key: one that it links": {signWith(wrong, sha256.New, goodHeader.with(object{"jku": "https://evil.example/keys"})), delivery.BadSignature},
		"wrong key: the secret as hex": {func(b *bench) string {
			return forge([]byte(b.secret.Value.Hex()), sha256.New, goodHeader.String(), goodClaims.String())
		}, delivery.BadSignature},
		"changed claims": {change(func(s string) string {
			parts := strings.Split(s, ".")
			claims := goodClaims.with(object{"optData": object{"userId": "u2"}}).String()
			return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + "." + parts[2]
		}), delivery.BadSignature},
		"signature cut short": {change(func(s string) string { return s[:len(s)-3] }), delivery.BadSignature},
		"signature prolonged": {change(func(s string) string { return s + "AAAA" }), delivery.BadSignature},

		"expired":                 {sign(goodHeader, goodClaims.with(object{"iat": now.Add(-time.Hour).Unix()})), delivery.ExpiredToken},
		"expired by its exp":      {sign(goodHeader, goodClaims.with(object{"iat": now.Add(-time.Hour).Unix(), "exp": now.Add(-time.Minute).Unix()})), delivery.ExpiredToken},
		"future":                  {sign(goodHeader, goodClaims.with(object{"iat": now.Add(2 * time.Minute).Unix()})), delivery.TokenNotYetValid},
		"future by its nbf":       {sign(goodHeader, goodClaims.with(object{"nbf": now.Add(2 * time.Minute).Unix()})), delivery.TokenNotYetValid},
		"oversized":               {sign(goodHeader, goodClaims.with(object{"x": strings.Repeat("x", delivery.MaxToken)})), delivery.TokenTooLarge},
		"oversized: only letters": {func(*bench) string { return strings.Repeat("x", 10<<20) }, delivery.TokenTooLarge},
		"oversized rights":        {crt(object{"textHint": strings.Repeat("x", 5000)}), delivery.InvalidRights},
		"wrong asset":             {crt(object{"assetId": "another"}), delivery.WrongAsset},
		"unknown merchant":        {sign(goodHeader, goodClaims.with(object{"optData": object{"merchant": "else", "userId": "u1"}})), delivery.UnknownMerchant},

		"template cycle":            {crt(object{"ref": []string{"self"}}), delivery.InvalidTemplate},
		"template that is not":      {crt(object{"ref": []string{"nope"}}), delivery.InvalidTemplate},
		"template that is a path":   {crt(object{"ref": []string{"../loan"}}), delivery.InvalidRights},
		"template of another":       {crt(object{"ref": []string{"other:theirs"}}), delivery.InvalidRights},
		"negative duration":         {crt(object{"profile": object{"type": "rental", "relativeExpiration": "-P1D"}}), delivery.InvalidRights},
		"absurd duration":           {crt(object{"profile": object{"type": "rental", "playDuration": "P9999999Y"}}), delivery.InvalidRights},
		"no time zone":              {crt(object{"profile": object{"type": "rental", "absoluteExpiration": "2027-03-01T00:00:00"}}), delivery.InvalidRights},
		"no profile":                {crt(object{"profile": nil}), delivery.InvalidRights},
		"rights for two":            {sign(goodHeader, goodClaims.with(object{"crt": []any{goodRights, goodRights}})), delivery.InvalidRights},
		"rights that are over":      {crt(object{"profile": object{"type": "rental", "absoluteExpiration": "2027-01-31T12:00:00Z"}}), delivery.InvalidRights},
		"rights with two profiles":  {raw(goodHeader.String(), strings.Replace(goodClaims.String(), `"profile":`, `"profile":{"type":"rental"},"profile":`, 1)), delivery.MalformedToken},
		"pass hash that is none":    {crt(object{"passHash": "hunter2"}), delivery.InvalidRights},
		"rights without a user":     {sign(goodHeader, goodClaims.with(object{"optData": object{}})), delivery.InvalidRights},
		"rights without a book":     {crt(object{"assetId": nil}), delivery.InvalidRights},
		"encrypting what is absent": {crt(object{"user": object{"encrypted": []string{"email"}}}), delivery.InvalidRights},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			r := issue
			r.Asset = delivery.Asset{ID: book}
			r.Token = parse(tt.token(b))
			b.refused(t, r, tt.want)
		})
	}
}

// A secret that is too short is not used, however it came to be stored.
func TestWeakSecret(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.secret.Value = sharedsecret.NewValue([]byte("short"))
	b.store.secrets["shop k1"] = b.secret
	r := issue
	r.Token = delivery.ParseToken(b.token(goodHeader, goodClaims))
	b.refused(t, r, delivery.UnknownSecret)
}

// errGone stands for what a server's Check says of a deleted publication.
var errGone = delivery.Refuse(delivery.UnknownPublication, "", errors.New("deleted"))

func TestDeletedPublication(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := issue
	r.Check = func(context.Context, rights.Terms) error { return errGone }
	r.Token = delivery.ParseToken(b.token(goodHeader, goodClaims))
	b.refused(t, r, delivery.UnknownPublication)
}

// TestHostileCallbacks has the ways in which a provider's service can fail or be
// turned against this server.
func TestHostileCallbacks(t *testing.T) {
	t.Parallel()
	const grant = `{"profile":{"type":"purchase"}}`
	drip := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, " ")
			w.(http.Flusher).Flush()
			<-tick.C
		}
	}
	silent := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	tenMegabytes := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		for range 160 {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}
	manyHeaders := func(w http.ResponseWriter, r *http.Request) {
		for i := range 100 {
			w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 1000))
		}
		answer(200, "application/json", grant)(w, r)
	}
	const short = 150 * time.Millisecond
	tests := map[string]struct {
		handler http.HandlerFunc
		timeout time.Duration
		want    delivery.Reason
	}{
		"never answers":            {silent, short, delivery.CallbackTimeout},
		"drips":                    {drip, short, delivery.CallbackTimeout},
		"answers HTML":             {answer(200, "text/html", "<html>"+grant), patient, delivery.CallbackInvalid},
		"answers HTML as JSON":     {answer(200, "application/json", "<html>"), patient, delivery.CallbackInvalid},
		"answers 500":              {answer(500, "application/json", grant), patient, delivery.CallbackInvalid},
		"answers 10 MB":            {tenMegabytes, patient, delivery.CallbackInvalid},
		"answers 100 kB of header": {manyHeaders, patient, delivery.CallbackInvalid},
		"claims 10 MB": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10485760")
			answer(200, "application/json", grant)(w, r)
		}, patient, delivery.CallbackInvalid},
		"answers compressed": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			answer(200, "application/json", "\x1f\x8b")(w, r)
		}, patient, delivery.CallbackInvalid},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, patient, delivery.CallbackInvalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.backend(t, tt.timeout, tt.handler)
			b.refused(t, fresh, tt.want)
		})
	}
}

func TestCallbackRedirects(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 302, 303, 307, 308} {
		b := newBench(t)
		var followed atomic.Bool
		b.backend(t, patient, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/lcp" {
				followed.Store(true)
				answer(200, "application/json", `{"profile":{"type":"purchase"}}`)(w, r)
				return
			}
			http.Redirect(w, r, "/elsewhere", code)
		})
		b.refused(t, fresh, delivery.CallbackInvalid)
		if followed.Load() {
			t.Errorf("%d was followed", code)
		}
	}
}

// Names are looked at once they are addresses, so a name that leads to a private
// address helps no more than the address.
func TestCallbackToForbiddenAddresses(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"127.0.0.1", "localhost", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]",
		"10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "224.0.0.1", "255.255.255.255",
		"[fd00::1]", "[fe80::1]", "[ff02::1]", "[2002:7f00:1::1]",
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.backend(t, patient, func(http.ResponseWriter, *http.Request) { t.Error("reached") })
			b.shop.Callback.Allow = nil
			_, rest, _ := strings.Cut(b.shop.Callback.URL, "127.0.0.1")
			b.shop.Callback.URL = "https://" + host + rest
			b.refused(t, fresh, delivery.CallbackInvalid)
			_, err := b.Authorize(t.Context(), b.shop, fresh)
			if err == nil || !strings.Contains(err.Error(), "callback must not go there") {
				t.Errorf("error = %v, want the address refused", err)
			}
		})
	}
}

// refusedAsItself checks that a callback is refused for leading to the server.
func (b *bench) refusedAsItself(t *testing.T) {
	t.Helper()
	b.refused(t, fresh, delivery.CallbackInvalid)
	if _, err := b.Authorize(t.Context(), b.shop, fresh); err == nil || !strings.Contains(err.Error(), "this very server") {
		t.Errorf("error = %v, want that it is this very server", err)
	}
}

func TestCallbackToItself(t *testing.T) {
	t.Parallel()
	unreached := func(t *testing.T) http.HandlerFunc {
		return func(http.ResponseWriter, *http.Request) { t.Error("reached") }
	}
	t.Run("by the address it listens on", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		server := b.backend(t, patient, unreached(t))
		b.Callbacks = delivery.NewCallbacks(delivery.CallbackOptions{Now: b.Now, Ports: []uint16{port(t, server)}})
		b.refusedAsItself(t) // although loopback is allowed
	})
	for _, own := range []string{"LCP.example.org", "lcp.example.org:443"} {
		t.Run("by its name, "+own, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.backend(t, patient, unreached(t))
			b.Callbacks = delivery.NewCallbacks(delivery.CallbackOptions{Now: b.Now, Hosts: []string{own}})
			b.shop.Callback.URL = "https://lcp.example.org:443/gateway/licenses/x"
			b.refusedAsItself(t)
		})
	}
}

// A service whose certificate nobody vouches for is not the provider's.
func TestCallbackWithUnknownCertificate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.backend(t, patient, func(http.ResponseWriter, *http.Request) { t.Error("reached") })
	b.Callbacks = delivery.NewCallbacks(delivery.CallbackOptions{Now: b.Now})
	b.refused(t, fresh, delivery.CallbackInvalid)
}

func TestNoPersonalDataInGrantLog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := issue
	r.Token = delivery.ParseToken(b.token(goodHeader, goodClaims))
	g, err := b.Authorize(t.Context(), b.shop, r)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	slog.New(slog.NewJSONHandler(&out, nil)).Info("granted", "grant", g, "terms", g.Terms, "request", r)
	fmt.Fprintf(&out, "%v %+v %#v %v", g, g, g, r)
	for _, s := range []string{"Zoe", passHash, r.Token.Text(), "the usual", "t-1", b.secret.Value.Hex()} {
		if strings.Contains(out.String(), s) {
			t.Errorf("%q is in %s", s, out.String())
		}
	}
	if !strings.Contains(out.String(), g.Spending.Token[:16]) {
		t.Error("the log does not tell tokens apart")
	}
}
