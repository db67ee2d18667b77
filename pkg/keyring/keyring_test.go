package keyring_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/keyring"
)

// testKey returns a key of 32 equal bytes, which would be easy to find in a
// printed text.
func testKey(b byte) keyring.Key { return keyring.Key(bytes.Repeat([]byte{b}, keyring.KeySize)) }

func newKeyring(t testing.TB, keys ...keyring.Key) *keyring.Keyring {
	t.Helper()
	k, err := keyring.New(keys[0], keys[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealOpen(t *testing.T) {
	t.Parallel()
	k := newKeyring(t, testKey('a'))
	for _, plaintext := range []string{"", "x", strings.Repeat("secret ", 1000)} {
		for _, data := range []string{"", "publication 1"} {
			sealed := k.Seal([]byte(plaintext), []byte(data))
			got, err := k.Open(sealed, []byte(data))
			if err != nil || string(got) != plaintext {
				t.Errorf("Open of sealed %.10q, %q = %.10q, %v", plaintext, data, got, err)
			}
			if again := k.Seal([]byte(plaintext), []byte(data)); bytes.Equal(again, sealed) {
				t.Errorf("%.10q sealed twice is the same", plaintext)
			}
		}
	}
}

// The envelope opens with nothing but the standard library and its description,
// as it will have to after years.
func TestFormat(t *testing.T) {
	t.Parallel()
	key := testKey('a')
	sealed := newKeyring(t, key).Seal([]byte("secret"), []byte("data"))
	if want := 1 + 8 + 12 + len("secret") + 16; len(sealed) != want {
		t.Errorf("sealed is %d bytes long, want %d", len(sealed), want)
	}
	id := key.ID()
	if sealed[0] != 1 || !bytes.Equal(sealed[1:9], id[:]) {
		t.Errorf("header = %x, want 01 and %s", sealed[:9], id)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	got, err := gcm.Open(nil, sealed[9:21], sealed[21:], append(bytes.Clone(sealed[:9]), "data"...))
	if err != nil || string(got) != "secret" {
		t.Errorf("opened by hand = %q, %v", got, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	k := newKeyring(t, testKey('a'))
	sealed := k.Seal([]byte("secret"), []byte("data"))
	change := func(i int) []byte {
		b := bytes.Clone(sealed)
		b[i] ^= 1
		return b
	}
	for name, tt := range map[string]struct {
		sealed []byte
		data   string
		want   error
	}{
		"other data":         {sealed, "date", keyring.ErrSealed},
		"no data":            {sealed, "", keyring.ErrSealed},
		"changed version":    {change(0), "data", keyring.ErrSealed},
		"changed key":        {change(1), "data", keyring.ErrUnknownKey},
		"changed nonce":      {change(9), "data", keyring.ErrSealed},
		"changed ciphertext": {change(21), "data", keyring.ErrSealed},
		"changed tag":        {change(len(sealed) - 1), "data", keyring.ErrSealed},
		"cut":                {sealed[:len(sealed)-1], "data", keyring.ErrSealed},
		"longer":             {append(bytes.Clone(sealed), 0), "data", keyring.ErrSealed},
		"header only":        {sealed[:9], "data", keyring.ErrSealed},
		"nothing":            {nil, "data", keyring.ErrSealed},
		"of another keyring": {newKeyring(t, testKey('b')).Seal([]byte("secret"), []byte("data")), "data", keyring.ErrUnknownKey},
	} {
		if got, err := k.Open(tt.sealed, []byte(tt.data)); !errors.Is(err, tt.want) || got != nil {
			t.Errorf("%s: Open = %q, %v, want %v", name, got, err, tt.want)
		}
	}
}

// The two keys of a keyring cannot be confused by changing the header.
func TestHeaderIsAuthenticated(t *testing.T) {
	t.Parallel()
	k := newKeyring(t, testKey('a'), testKey('b'))
	sealed := k.Seal([]byte("secret"), nil)
	other := testKey('b').ID()
	copy(sealed[1:], other[:])
	if _, err := k.Open(sealed, nil); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("Open = %v, want ErrSealed", err)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	a, b := testKey('a'), testKey('b')
	before, both, after := newKeyring(t, a), newKeyring(t, b, a, b), newKeyring(t, b)
	old := before.Seal([]byte("secret"), nil)
	if got, err := both.Open(old, nil); err != nil || string(got) != "secret" {
		t.Errorf("Open = %q, %v", got, err)
	}
	if before.Stale(old) || !both.Stale(old) || both.Stale(both.Seal(nil, nil)) || both.Stale([]byte("no envelope")) {
		t.Error("Stale is wrong")
	}
	if id, err := keyring.KeyOf(old); err != nil || id != a.ID() {
		t.Errorf("KeyOf = %s, %v, want %s", id, err, a.ID())
	}
	if _, err := after.Open(old, nil); !errors.Is(err, keyring.ErrUnknownKey) || !strings.Contains(err.Error(), a.ID().String()) {
		t.Errorf("Open = %v, want ErrUnknownKey with the identifier", err)
	}
	if got := both.Keys(); len(got) != 2 || got[0] != b.ID() || got[1] != a.ID() {
		t.Errorf("Keys = %v", got)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	a, b := testKey('a').Base64(), testKey('b').Base64()
	for text, want := range map[string][]keyring.KeyID{
		a:                             {testKey('a').ID()},
		" " + a + "\n":                {testKey('a').ID()},
		b + ", " + a:                  {testKey('b').ID(), testKey('a').ID()},
		"":                            nil,
		a + ",":                       nil,
		"," + a:                       nil,
		a[1:]:                         nil,
		a[:40] + "====":               nil,
		strings.Trim(a, "="):          nil,
		a + a:                         nil,
		strings.Repeat(a+",", 99) + b: nil,
	} {
		k, err := keyring.Parse(text)
		if want == nil {
			if !errors.Is(err, keyring.ErrKey) || strings.Contains(err.Error(), "YWFh") {
				t.Errorf("Parse(%.60q) = %v, want ErrKey without the key", text, err)
			}
			continue
		}
		if err != nil || fmt.Sprint(k.Keys()) != fmt.Sprint(want) {
			t.Errorf("Parse(%.60q) = %v, %v, want %v", text, k.Keys(), err, want)
		}
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	t.Parallel()
	key := testKey('k')
	k := newKeyring(t, key)
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, key, &key, k, struct{ K keyring.Key }{key})
	}
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("keys", "key", key, "keyring", k)
	for _, v := range []any{key, k, map[string]any{"key": key}} {
		if b, err := json.Marshal(v); err == nil {
			t.Errorf("Marshal = %s, want an error", b)
		}
	}
	for _, secret := range []string{"kkkk", "6b6b", "6B6B", "107 107", key.Base64()[:8]} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("a key was printed as %s", secret)
		}
	}
}

func FuzzOpen(f *testing.F) {
	k := newKeyring(f, testKey('a'))
	f.Add([]byte(nil), []byte(nil))
	f.Add(k.Seal([]byte("secret"), []byte("data")), []byte("data"))
	f.Fuzz(func(t *testing.T, sealed, data []byte) {
		before := bytes.Clone(sealed)
		plaintext, err := k.Open(sealed, data)
		if !bytes.Equal(before, sealed) {
			t.Error("Open changed its input")
		}
		if err != nil && !errors.Is(err, keyring.ErrSealed) && !errors.Is(err, keyring.ErrUnknownKey) {
			t.Errorf("Open = %v", err)
		}
		// Nobody without the key makes an envelope but those that were added.
		if err == nil && string(plaintext) != "secret" {
			t.Errorf("forged: %q", plaintext)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(testKey('a').Base64())
	f.Add(testKey('a').Base64() + "," + testKey('b').Base64())
	f.Fuzz(func(t *testing.T, text string) {
		k, err := keyring.Parse(text)
		if (err == nil) == errors.Is(err, keyring.ErrKey) {
			t.Fatalf("Parse = %v", err)
		}
		if err == nil && len(k.Keys()) > strings.Count(text, ",")+1 {
			t.Errorf("%d keys from %q", len(k.Keys()), text)
		}
	})
}
