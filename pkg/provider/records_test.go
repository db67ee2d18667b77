package provider_test

import (
	"errors"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/keyring"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
	"github.com/lcp-tools/lcp/pkg/store"
)

func newStore(t *testing.T) *store.Store {
	t.Helper()
	keys, err := keyring.New(keyring.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) }
	s, err := store.Open(t.Context(), store.Options{DSN: ":memory:", Keyring: keys, Now: now, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestRecords(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r, ctx := provider.NewRecords(s), t.Context()
	p := parse(t, full)
	if err := r.Create(ctx, p); err != nil {
		t.Fatal(err)
	}
	p.Name = "Another"
	if err := r.Update(ctx, p); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateProvider(ctx, store.Provider{ID: "newer", URI: "urn:x:newer", Document: []byte(`{"id":"newer","uri":"urn:x:newer","moon":1}`)}); err != nil {
		t.Fatal(err)
	}
	list, err := r.Providers(ctx)
	if err != nil || len(list) != 2 || list[1].Name != "Another" || list[1].Authorization.Mode != delivery.AllowAll {
		t.Fatalf("Providers = %+v, %v", list, err)
	}
	if list[0].Check() == nil {
		t.Error("a record that cannot be read is in order")
	}
}

func TestRecordsTellWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r, ctx := provider.NewRecords(s), t.Context()
	c, err := sharedsecret.Generate("shop", sharedsecret.HS256, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddSecret(ctx, c); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Secret(ctx, "shop", c.KeyID); err != nil || got.Value.Hex() != c.Value.Hex() {
		t.Errorf("Secret: %v", err)
	}
	_, err = r.Secret(ctx, "shop", "x")
	_, err2 := r.SigningSecret(ctx, "shop")
	_, err3 := r.Template(ctx, "shop", "x")
	for _, err := range []error{err, err2, err3} {
		if !errors.Is(err, delivery.ErrNotFound) {
			t.Errorf("what is missing is %v", err)
		}
	}
}
