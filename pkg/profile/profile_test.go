package profile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/profile"
)

const prefix = "http://readium.org/lcp/profile-"

func TestValidate(t *testing.T) {
	t.Parallel()
	known := []string{profile.Basic, prefix + "1.0", prefix + "2.x"}
	for i := range 10 {
		known = append(known, fmt.Sprintf("%s2.%d", prefix, i))
	}
	for _, uri := range known {
		if err := profile.Validate(uri); err != nil {
			t.Errorf("Validate(%q) = %v", uri, err)
		}
	}
	for _, uri := range []string{
		"", "basic", prefix, prefix + "2.", prefix + "2.10", prefix + "2.X", prefix + "1.1", prefix + "3.0",
		profile.Basic + "/", "https://readium.org/lcp/basic-profile",
	} {
		err := profile.Validate(uri)
		if !errors.Is(err, profile.ErrUnknown) || !strings.Contains(err.Error(), profile.Basic) {
			t.Errorf("Validate(%q) = %v, want ErrUnknown and what is known", uri, err)
		}
	}
}

// The vector is that of the LCP Server API's documentation.
func TestBasicProfileIsTheHash(t *testing.T) {
	t.Parallel()
	const want = "4981aa0a50d563040519e9032b5d74367b1d129e239a1ba82667a57333866494"
	key, err := profile.NewRegistry().UserKey(t.Context(), profile.Basic, profile.HashPassphrase("123 456"))
	if err != nil || key.Hex() != want {
		t.Errorf("UserKey = %s, %v, want %s", key.Hex(), err, want)
	}
}

func TestParseHash(t *testing.T) {
	t.Parallel()
	want := profile.HashPassphrase("x")
	for _, text := range []string{want.Hex(), strings.ToUpper(want.Hex())} {
		if got, err := profile.ParseHash(text); err != nil || got != want {
			t.Errorf("ParseHash(%q) = %q, %v", text, got.Hex(), err)
		}
	}
	for _, text := range []string{"", want.Hex()[1:], want.Hex() + "0", "x" + want.Hex()[1:], strings.Repeat("é", 32)} {
		_, err := profile.ParseHash(text)
		if !errors.Is(err, profile.ErrHash) || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("ParseHash(%q) = %v, want ErrHash", text, err)
		}
	}
}

func TestHashDoesNotPrint(t *testing.T) {
	t.Parallel()
	h := profile.Hash(bytes.Repeat([]byte{0xab}, profile.HashSize))
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "hash", h, "in", struct{ H profile.Hash }{h})
	text, err := json.Marshal(h)
	if err == nil {
		t.Errorf("json.Marshal = %s", text)
	}
	for _, got := range []string{
		fmt.Sprintf("%v %+v %#v %s %x %X %d %q", h, h, h, h, h, h, h, h), fmt.Sprint(&h, struct{ H profile.Hash }{h}), log.String(),
	} {
		if strings.Contains(strings.ToLower(got), "abab") || strings.Contains(got, "171 171") {
			t.Errorf("it prints %q", got)
		}
	}
}

// xor is a transform for tests: every byte of the hash, changed by the last of
// the URI.
func xor(_ context.Context, uri string, hash profile.Hash) (lcpcrypto.UserKey, error) {
	for i := range hash {
		hash[i] ^= uri[len(uri)-1]
	}
	return lcpcrypto.UserKey(hash), nil
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	r := profile.NewRegistry()
	if err := r.Register(profile.V1, profile.DeriverFunc(xor)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{profile.Basic, profile.V1}, r.URIs()); diff != "" {
		t.Errorf("URIs (-want +got):\n%s", diff)
	}
	hash := profile.HashPassphrase("x")
	want, _ := xor(t.Context(), profile.V1, hash)
	if got, err := r.UserKey(t.Context(), profile.V1, hash); err != nil || got != want {
		t.Errorf("UserKey of a registered profile = another key, %v", err)
	}
	for uri, want := range map[string]error{
		prefix + "2.0": profile.ErrUnsupported, profile.Any2: profile.ErrUnsupported, "x": profile.ErrUnknown,
	} {
		if _, err := r.UserKey(t.Context(), uri, hash); !errors.Is(err, want) {
			t.Errorf("UserKey(%q) = %v, want %v", uri, err, want)
		}
		if _, err := r.Choose(uri); !errors.Is(err, want) {
			t.Errorf("Choose(%q) = %v, want %v", uri, err, want)
		}
	}
	for _, uri := range []string{profile.Basic, profile.V1, "x"} {
		if err := r.Register(uri, profile.DeriverFunc(xor)); err == nil {
			t.Errorf("Register(%q) succeeds", uri)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	r := profile.NewRegistry()
	if got, err := r.Choose(profile.Basic); err != nil || got != profile.Basic {
		t.Errorf("Choose(%q) = %q, %v", profile.Basic, got, err)
	}
	if err := r.Register(prefix+"2.3", profile.DeriverFunc(xor)); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if got, err := r.Choose(profile.Any2); err != nil || got != prefix+"2.3" {
			t.Fatalf("Choose of the one registered = %q, %v", got, err)
		}
	}
	if err := r.Register(profile.Any2, profile.DeriverFunc(xor)); err == nil {
		t.Error("Register of all ten succeeds although one is registered")
	}
	r = profile.NewRegistry()
	if err := r.Register(profile.Any2, profile.DeriverFunc(xor)); err != nil {
		t.Fatal(err)
	}
	chosen := map[string]bool{}
	for range 1000 { // each is missed once in 10^45 runs
		got, err := r.Choose(profile.Any2)
		if err != nil || !slices.Contains(profile.Version2(), got) {
			t.Fatalf("Choose = %q, %v", got, err)
		}
		chosen[got] = true
	}
	if len(chosen) != 10 {
		t.Errorf("of 1000 choices, all are among %d of 10", len(chosen))
	}
}
