package sharedsecret_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/sharedsecret"
)

var now = time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)

func generate(t testing.TB, a sharedsecret.Algorithm) sharedsecret.Secret {
	t.Helper()
	s, err := sharedsecret.Generate("shop", a, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	for a, size := range map[sharedsecret.Algorithm]int{sharedsecret.HS256: 32, sharedsecret.HS384: 48, sharedsecret.HS512: 64} {
		s, other := generate(t, a), generate(t, a)
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		if s.State != sharedsecret.Pending || s.Provider != "shop" || !s.Created.Equal(now) {
			t.Errorf("%s: state %s of %q, created %s", a, s.State, s.Provider, s.Created)
		}
		if n := len(s.Value.Bytes()); n != size || len(s.Value.Hex()) != 2*size {
			t.Errorf("%s has %d bytes, want %d", a, n, size)
		}
		if s.KeyID == other.KeyID || s.Value.Hex() == other.Value.Hex() {
			t.Errorf("%s: two secrets alike", a)
		}
	}
	if _, err := sharedsecret.Generate("shop", "RS256", now); err == nil {
		t.Error("Generate for RS256, want an error")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	value := func(n int) sharedsecret.Value { return sharedsecret.NewValue(make([]byte, n)) }
	good := sharedsecret.Secret{KeyID: "k-1", Algorithm: sharedsecret.HS256, State: sharedsecret.Active, Value: value(32)}
	tests := map[string]struct {
		change func(*sharedsecret.Secret)
		ok     bool
	}{
		"good":                    {func(*sharedsecret.Secret) {}, true},
		"31 bytes for HS256":      {func(s *sharedsecret.Secret) { s.Value = value(31) }, false},
		"47 bytes for HS384":      {func(s *sharedsecret.Secret) { s.Algorithm, s.Value = sharedsecret.HS384, value(47) }, false},
		"48 bytes for HS384":      {func(s *sharedsecret.Secret) { s.Algorithm, s.Value = sharedsecret.HS384, value(48) }, true},
		"63 bytes for HS512":      {func(s *sharedsecret.Secret) { s.Algorithm, s.Value = sharedsecret.HS512, value(63) }, false},
		"64 bytes for HS512":      {func(s *sharedsecret.Secret) { s.Algorithm, s.Value = sharedsecret.HS512, value(64) }, true},
		"257 bytes":               {func(s *sharedsecret.Secret) { s.Value = value(257) }, false},
		"no value":                {func(s *sharedsecret.Secret) { s.Value = sharedsecret.Value{} }, false},
		"no algorithm":            {func(s *sharedsecret.Secret) { s.Algorithm = "none" }, false},
		"no state":                {func(s *sharedsecret.Secret) { s.State = "" }, false},
		"no key identifier":       {func(s *sharedsecret.Secret) { s.KeyID = "" }, false},
		"key identifier too long": {func(s *sharedsecret.Secret) { s.KeyID = strings.Repeat("k", 65) }, false},
		"key identifier, a path":  {func(s *sharedsecret.Secret) { s.KeyID = "../k" }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := good
			tt.change(&s)
			if err := s.Check(); (err == nil) != tt.ok {
				t.Errorf("Check = %v", err)
			}
		})
	}
}

// RFC 4231, test case 6: a key longer than the block of the hash.
func TestSHA256(t *testing.T) {
	t.Parallel()
	s := sharedsecret.Secret{Value: sharedsecret.NewValue(bytesOf(0xaa, 131))}
	got := hex.EncodeToString(s.SHA256([]byte("Test Using Larger Than Block-Size Key"), []byte(" - Hash Key First")))
	if want := "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"; got != want {
		t.Errorf("HMAC = %s, want %s", got, want)
	}
}

func bytesOf(b byte, n int) []byte { return []byte(strings.Repeat(string([]byte{b}), n)) }

func TestParseValue(t *testing.T) {
	t.Parallel()
	v, err := sharedsecret.ParseValue(" 00FFab\n")
	if err != nil || v.Hex() != "00ffab" {
		t.Errorf("ParseValue = %s, %v", v.Hex(), err)
	}
	for _, digits := range []string{"", "0", "xy", strings.Repeat("00", 257), "SECRET"} {
		_, err := sharedsecret.ParseValue(digits)
		if err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("ParseValue(%q) = %v, want an error that does not show it", digits, err)
		}
	}
}

func TestNewValueCopies(t *testing.T) {
	t.Parallel()
	b := []byte{1, 2, 3}
	v := sharedsecret.NewValue(b)
	b[0] = 9
	if v.Hex() != "010203" {
		t.Errorf("value = %s after its source changed", v.Hex())
	}
}

// TestRotation follows one secret after the other, and asks at every step
// whether there is one to sign with and whether what it signs verifies.
func TestRotation(t *testing.T) {
	t.Parallel()
	first, second := generate(t, sharedsecret.HS256), generate(t, sharedsecret.HS512)
	secrets := []sharedsecret.Secret{first, second}
	if s, ok := sharedsecret.Signing(secrets); ok {
		t.Errorf("signing with %s, which is %s", s.KeyID, s.State)
	}
	steps := []struct {
		index int
		to    sharedsecret.State
		signs int // index of the secret that signs afterwards
	}{
		{0, sharedsecret.Active, 0},
		{1, sharedsecret.Active, 1},
		{0, sharedsecret.VerifyOnly, 1},
		{0, sharedsecret.Revoked, 1},
	}
	for i, step := range steps {
		at := now.Add(time.Duration(i) * time.Hour)
		changed, err := sharedsecret.Move(secrets, secrets[step.index].KeyID, step.to, at)
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if changed.State != step.to || !changed.Changed.Equal(at) {
			t.Errorf("step %d: %s since %s", i, changed.State, changed.Changed)
		}
		secrets[step.index] = changed
		signing, ok := sharedsecret.Signing(secrets)
		if !ok || signing.KeyID != secrets[step.signs].KeyID || !signing.State.Verifies() {
			t.Errorf("step %d: signing with %q, %t", i, signing.KeyID, ok)
		}
	}
}

func TestMove(t *testing.T) {
	t.Parallel()
	const p, a, v, r = sharedsecret.Pending, sharedsecret.Active, sharedsecret.VerifyOnly, sharedsecret.Revoked
	type state = sharedsecret.State
	tests := map[string]struct {
		from, to state
		other    state // of the provider's second secret
		err      error
	}{
		"activate":                        {from: p, to: a, other: a},
		"activate again":                  {from: a, to: a, other: p},
		"reactivate a retired one":        {from: v, to: a, other: a, err: sharedsecret.ErrMove},
		"reactivate a revoked one":        {from: r, to: a, other: a, err: sharedsecret.ErrMove},
		"retire with a successor":         {from: a, to: v, other: a},
		"retire without one":              {from: a, to: v, other: p, err: sharedsecret.ErrMove},
		"retire when the other is no use": {from: a, to: v, other: v, err: sharedsecret.ErrMove},
		"retire a pending one":            {from: p, to: v, other: a, err: sharedsecret.ErrMove},
		"revoke a pending one":            {from: p, to: r, other: a},
		"revoke the only active one":      {from: a, to: r, other: r},
		"revoke a retired one":            {from: v, to: r, other: a},
		"revoke again":                    {from: r, to: r, other: a},
		"go back to pending":              {from: a, to: p, other: a, err: sharedsecret.ErrMove},
		"go nowhere":                      {from: a, to: "gone", other: a, err: sharedsecret.ErrMove},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			secrets := []sharedsecret.Secret{{KeyID: "k", State: tt.from}, {KeyID: "other", State: tt.other}}
			got, err := sharedsecret.Move(secrets, "k", tt.to, now)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error = %v, want %v", err, tt.err)
			}
			if err == nil && (got.State != tt.to || got.KeyID != "k") {
				t.Errorf("moved to %s", got.State)
			}
			if secrets[0].State != tt.from {
				t.Error("changed what was passed in")
			}
		})
	}
	if _, err := sharedsecret.Move(nil, "k", a, now); !errors.Is(err, sharedsecret.ErrUnknown) {
		t.Errorf("error = %v, want ErrUnknown", err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	if a, err := sharedsecret.ParseAlgorithm("HS384"); a != sharedsecret.HS384 || err != nil {
		t.Errorf("ParseAlgorithm = %s, %v", a, err)
	}
	for _, name := range []string{"", "none", "hs256", "RS256", "HS1"} {
		if _, err := sharedsecret.ParseAlgorithm(name); err == nil {
			t.Errorf("ParseAlgorithm(%q) succeeded", name)
		}
	}
	if s, err := sharedsecret.ParseState("verify-only"); s != sharedsecret.VerifyOnly || err != nil {
		t.Errorf("ParseState = %s, %v", s, err)
	}
	if _, err := sharedsecret.ParseState("retired"); err == nil {
		t.Error("ParseState of an unknown state succeeded")
	}
	for s, want := range map[sharedsecret.State]bool{
		sharedsecret.Pending: false, sharedsecret.Active: true, sharedsecret.VerifyOnly: true, sharedsecret.Revoked: false,
	} {
		if s.Verifies() != want {
			t.Errorf("%s verifies: %t", s, !want)
		}
	}
}

// Not even a struct that holds one in an unexported field shows it.
func TestNothingPrints(t *testing.T) {
	t.Parallel()
	s := generate(t, sharedsecret.HS256)
	inside := struct{ secret sharedsecret.Secret }{s}
	var b strings.Builder
	log := slog.New(slog.NewJSONHandler(&b, nil))
	for _, v := range []any{s, &s, s.Value, inside, []sharedsecret.Secret{s}, map[string]sharedsecret.Value{"v": s.Value}} {
		fmt.Fprintf(&b, "%v %+v %#v %s %q %x %X %d\n", v, v, v, v, v, v, v, v)
		log.Info("x", "v", v)
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	raw := s.Value.Bytes()
	decimal := strings.Trim(fmt.Sprintf("%d", raw), "[]")
	for _, shown := range []string{string(raw), s.Value.Hex(), strings.ToUpper(s.Value.Hex()), decimal} {
		if strings.Contains(b.String(), shown) {
			t.Error("the secret was printed")
		}
	}
}
