package storetest

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/keyring"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
	"github.com/lcp-tools/lcp/pkg/store"
)

// secret returns the secret of a provider with a key identifier, whose value
// nobody guesses from it.
func secret(t *testing.T, provider, keyID string) sharedsecret.Secret {
	t.Helper()
	c, err := sharedsecret.Generate(provider, sharedsecret.HS256, epoch)
	if err != nil {
		t.Fatal(err)
	}
	c.KeyID = keyID
	return c
}

func mustSecret(t *testing.T, s *store.Store, provider, keyID string) sharedsecret.Secret {
	t.Helper()
	c := secret(t, provider, keyID)
	if err := s.AddSecret(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return c
}

// same reports whether two secrets are one, value included.
func same(a, b sharedsecret.Secret) bool {
	return bytes.Equal(a.Value.Bytes(), b.Value.Bytes()) && a.Provider == b.Provider && a.KeyID == b.KeyID &&
		a.Algorithm == b.Algorithm && a.State == b.State && a.Created.Equal(b.Created) &&
		a.Activated.Equal(b.Activated) && a.Changed.Equal(b.Changed)
}

func testProviders(t *testing.T, impl Implementation) {
	db := impl.New(t)
	s, replica := open(t, db.DSN), open(t, db.DSN)
	ctx := t.Context()
	shop := store.Provider{ID: "shop", URI: "https://shop.example", Document: []byte(`{"id":"shop","name":"Größe"}`)}
	if err := s.CreateProvider(ctx, shop); err != nil {
		t.Fatal(err)
	}
	wantTaken(t, "same id", s.CreateProvider(ctx, store.Provider{ID: "shop", URI: "urn:x:y"}), "id", "shop")
	wantTaken(t, "same uri", s.CreateProvider(ctx, store.Provider{ID: "other", URI: shop.URI}), "uri", "shop")
	if err := s.CreateProvider(ctx, store.Provider{ID: "other", URI: shop.URI + "/"}); err != nil {
		t.Error(err)
	}
	shop.Document = []byte(`{"id":"shop"}`)
	if err := s.UpdateProvider(ctx, shop); err != nil {
		t.Fatal(err)
	}
	wantError(t, "another uri", s.UpdateProvider(ctx, store.Provider{ID: "shop", URI: "urn:x:y"}), store.ErrInvalid)
	wantError(t, "update nobody", s.UpdateProvider(ctx, store.Provider{ID: "Shop", URI: shop.URI}), store.ErrNotFound)
	list, err := replica.Providers(ctx)
	if err != nil || len(list) != 2 || list[1].ID != "shop" || string(list[1].Document) != `{"id":"shop"}` ||
		!list[1].UpdatedAt.After(list[1].CreatedAt) {
		t.Errorf("Providers = %v, %v", list, err)
	}

	mustSecret(t, s, "shop", "k")
	if _, err := s.SaveTemplate(ctx, "shop", "loan", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	user := access.User{Name: "u", Role: access.Admin, Hash: "h", Provider: "shop"}
	if err := s.SaveUser(ctx, user); err != nil {
		t.Fatal(err)
	}
	if got, _, err := replica.User(ctx, "u"); got != user || err != nil {
		t.Errorf("user of a provider = %+v, %v", got, err)
	}
	wantError(t, "with a user", s.DeleteProvider(ctx, "shop"), store.ErrInUse)
	if err := s.DeleteUser(ctx, "u"); err != nil {
		t.Fatal(err)
	}
	p := publication(1)
	p.Provider = shop.URI
	mustCreate(t, s, p)
	wantError(t, "with a publication", s.DeleteProvider(ctx, "shop"), store.ErrInUse)
	if err := s.DeletePublication(ctx, p.UUID); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteProvider(ctx, "shop"); err != nil {
		t.Fatal(err)
	}
	wantError(t, "delete again", s.DeleteProvider(ctx, "shop"), store.ErrNotFound)
	_, err = s.Secret(ctx, "shop", "k")
	wantError(t, "its secret", err, store.ErrNotFound)
	_, err = s.Template(ctx, "shop", "loan")
	wantError(t, "its template", err, store.ErrNotFound)
}

func testSecrets(t *testing.T, impl Implementation) {
	db := impl.New(t)
	s, replica := open(t, db.DSN), open(t, db.DSN)
	ctx := t.Context()
	first, second := mustSecret(t, s, "shop", "first"), mustSecret(t, s, "shop", "second")
	mustSecret(t, s, "other", "first")
	wantTaken(t, "same kid", s.AddSecret(ctx, secret(t, "shop", "first")), "kid", "first")
	short := secret(t, "shop", "short")
	short.Value = sharedsecret.NewValue(make([]byte, 31))
	wantError(t, "short", s.AddSecret(ctx, short), store.ErrInvalid)
	if got, err := replica.Secret(ctx, "shop", "second"); err != nil || !same(got, second) {
		t.Errorf("Secret = %v, %v", got.KeyID, err)
	}
	_, err := s.Secret(ctx, "nobody", "first")
	wantError(t, "of another provider", err, store.ErrNotFound)
	_, err = s.SigningSecret(ctx, "shop")
	wantError(t, "none is active", err, store.ErrNotFound)

	if first, err = s.MoveSecret(ctx, "shop", "first", sharedsecret.Active); err != nil || first.State != sharedsecret.Active {
		t.Fatal(first.State, err)
	}
	if got, err := replica.SigningSecret(ctx, "shop"); err != nil || !same(got, first) {
		t.Errorf("SigningSecret = %v, %v", got.KeyID, err)
	}
	_, err = s.MoveSecret(ctx, "shop", "first", sharedsecret.VerifyOnly)
	wantError(t, "the last one", err, sharedsecret.ErrMove)
	_, err = s.MoveSecret(ctx, "shop", "third", sharedsecret.Active)
	wantError(t, "unknown", err, sharedsecret.ErrUnknown)
	if second, err = s.MoveSecret(ctx, "shop", "second", sharedsecret.Active); err != nil {
		t.Fatal(err)
	}
	if got, err := s.SigningSecret(ctx, "shop"); err != nil || !same(got, second) {
		t.Errorf("SigningSecret after another one = %v, %v", got.KeyID, err)
	}
	if first, err = s.MoveSecret(ctx, "shop", "first", sharedsecret.Revoked); err != nil {
		t.Fatal(err)
	}
	list, err := replica.Secrets(ctx, "shop")
	if err != nil || len(list) != 2 || !same(list[0], first) || !same(list[1], second) {
		t.Errorf("Secrets = %v, %v", len(list), err)
	}
	if got, err := s.Secret(ctx, "other", "first"); err != nil || got.State != sharedsecret.Pending {
		t.Errorf("secret of another provider is %v, %v", got.State, err)
	}
}

// One of two active secrets may retire, and never both at the same time.
func testSecretsMoveTogether(t *testing.T, impl Implementation) {
	db := impl.New(t)
	s, replica := open(t, db.DSN), open(t, db.DSN)
	ctx := t.Context()
	for _, kid := range []string{"a", "b"} {
		mustSecret(t, s, "shop", kid)
		if _, err := s.MoveSecret(ctx, "shop", kid, sharedsecret.Active); err != nil {
			t.Fatal(err)
		}
	}
	var retired atomic.Int32
	inParallel(t, func(ctx context.Context, n int) error {
		on := []*store.Store{s, replica}[n%2]
		if _, err := on.MoveSecret(ctx, "shop", []string{"a", "b"}[n/2%2], sharedsecret.VerifyOnly); err == nil {
			retired.Add(1)
		}
		return nil
	})
	if _, err := s.SigningSecret(ctx, "shop"); err != nil || retired.Load() == 0 {
		t.Errorf("after both were asked to retire (%d did): %v", retired.Load(), err)
	}
}

func testKeyIDsAreCaseSensitive(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	ctx := t.Context()
	ids := []string{"key", "Key", "KEY", "kEy"}
	for _, kid := range ids {
		mustSecret(t, s, "shop", kid)
		if _, err := s.SaveTemplate(ctx, "shop", kid, []byte(kid)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.MoveSecret(ctx, "shop", "KEY", sharedsecret.Revoked); err != nil {
		t.Fatal(err)
	}
	for _, kid := range ids {
		c, err := s.Secret(ctx, "shop", kid)
		if err != nil || c.KeyID != kid || (c.State == sharedsecret.Revoked) != (kid == "KEY") {
			t.Errorf("secret %s is %s, %s, %v", kid, c.KeyID, c.State, err)
		}
		if text, err := s.Template(ctx, "shop", kid); err != nil || string(text) != kid {
			t.Errorf("template %s is %q, %v", kid, text, err)
		}
	}
	for _, kid := range []string{"keY", "key ", "kéy", ""} {
		_, err := s.Secret(ctx, "shop", kid)
		wantError(t, "kid "+kid, err, store.ErrNotFound)
		_, err = s.Secret(ctx, "Shop", "key")
		wantError(t, "provider Shop", err, store.ErrNotFound)
	}
	for _, token := range []string{"abc", "ABC"} {
		if err := s.Spend(ctx, spending(token)); err != nil {
			t.Errorf("token %s: %v", token, err)
		}
	}
}

func testSecretsSealed(t *testing.T, impl Implementation) {
	db := impl.New(t)
	s := open(t, db.DSN)
	c := mustSecret(t, s, "shop", "some-key-identifier")
	if db.Files != nil {
		found := false
		for _, path := range db.Files() {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found = found || bytes.Contains(data, []byte(c.KeyID)) // the files are the right ones
			for form, text := range map[string]string{
				"raw": string(c.Value.Bytes()), "hex": c.Value.Hex(), "base64": base64.StdEncoding.EncodeToString(c.Value.Bytes()),
			} {
				if bytes.Contains(data, []byte(text)) || bytes.Contains(bytes.ToLower(data), []byte(strings.ToLower(text))) {
					t.Errorf("%s holds a secret in clear (%s)", path, form)
				}
			}
		}
		if !found {
			t.Error("no file of the database holds the secret")
		}
	}
	o, err := options(db.DSN, otherKey)
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), o)
	wantError(t, "wrong master key", err, keyring.ErrUnknownKey)
	both := openKeys(t, db.DSN, otherKey+","+masterKey)
	if n, err := both.Reseal(t.Context()); err != nil || n != 1 {
		t.Errorf("Reseal = %d, %v", n, err)
	}
	if got, err := openKeys(t, db.DSN, otherKey).Secret(t.Context(), "shop", c.KeyID); err != nil || !same(got, c) {
		t.Errorf("after a rotation: %v", err)
	}
	_, err = s.Secret(t.Context(), "shop", c.KeyID)
	wantError(t, "under the old master key", err, keyring.ErrUnknownKey)
}

func testTemplates(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	ctx := t.Context()
	for i, text := range []string{`{"a":"é"}`, `{"b":1}`} {
		if created, err := s.SaveTemplate(ctx, "shop", "loan", []byte(text)); err != nil || created != (i == 0) {
			t.Errorf("SaveTemplate = %v, %v", created, err)
		}
		if got, err := s.Template(ctx, "shop", "loan"); err != nil || string(got) != text {
			t.Errorf("Template = %s, %v", got, err)
		}
	}
	if _, err := s.SaveTemplate(ctx, "shop", "basis", []byte(`{}`)); err != nil {
		t.Error(err)
	}
	if names, err := s.Templates(ctx, "shop"); err != nil || !slices.Equal(names, []string{"basis", "loan"}) {
		t.Errorf("Templates = %v, %v", names, err)
	}
	_, err := s.Template(ctx, "other", "loan")
	wantError(t, "of another provider", err, store.ErrNotFound)
	if err := s.DeleteTemplate(ctx, "shop", "loan"); err != nil {
		t.Error(err)
	}
	wantError(t, "delete again", s.DeleteTemplate(ctx, "shop", "loan"), store.ErrNotFound)
}

// Of all who spend a token at the same time, on whichever replica, one is first.
func testOneSpend(t *testing.T, impl Implementation) {
	db := impl.New(t)
	replicas := []*store.Store{open(t, db.DSN), open(t, db.DSN)}
	for round := range 4 {
		var firsts, others atomic.Int32
		if err := parallel(t.Context(), 50, func(ctx context.Context, n int) error {
			return countSpent(replicas[n%2].Spend(ctx, numbered(round)), &firsts, &others)
		}); err != nil {
			t.Fatal(err)
		}
		if firsts.Load() != 1 || others.Load() != 49 {
			t.Errorf("round %d: %d were the first, %d were not", round, firsts.Load(), others.Load())
		}
	}
	of := numbered(0)
	of.Provider = "other"
	if err := replicas[0].Spend(t.Context(), of); err != nil {
		t.Errorf("of another provider: %v", err)
	}
	// The first knows, the other one once somebody has tried again there.
	wantKnown := func(want ...bool) {
		t.Helper()
		for i, r := range replicas {
			if r.KnownSpent(of) != want[i] {
				t.Errorf("replica %d knows: %v", i, !want[i])
			}
		}
	}
	wantKnown(true, false)
	wantError(t, "on the other", replicas[1].Spend(t.Context(), of), store.ErrSpent)
	wantKnown(true, true)
}

// spending is the use of a token of the shop, within the hour.
func spending(token string) store.Spending {
	return store.Spending{Provider: "shop", Token: token, Until: epoch.Add(time.Hour)}
}

// numbered is that of the n-th token.
func numbered(n int) store.Spending { return spending(fmt.Sprintf("%064x", n)) }

// countSpent counts who was the first to spend a token, and who was not. Any other
// error comes back.
func countSpent(err error, firsts, others *atomic.Int32) error {
	switch {
	case err == nil:
		firsts.Add(1)
	case errors.Is(err, store.ErrSpent):
		others.Add(1)
	default:
		return err
	}
	return nil
}

// Of all who want a license for the same token at the same time, on whichever
// replica, one gets it, and those with tokens of their own get theirs.
func testOneLicensePerToken(t *testing.T, impl Implementation) {
	db := impl.New(t)
	replicas := []*store.Store{open(t, db.DSN), open(t, db.DSN)}
	mustCreate(t, replicas[0], publication(1))
	var firsts, others atomic.Int32
	const requests = 60
	if err := parallel(t.Context(), requests, func(ctx context.Context, n int) error {
		token := numbered(0)
		if n%3 == 0 {
			token = numbered(1 + n)
		}
		with := store.With{Snapshot: []byte(snapshotText(n)), Spending: &token}
		_, err := replicas[n%2].CreateLicenseWith(ctx, license(n, uuid(1)), with)
		return countSpent(err, &firsts, &others)
	}); err != nil {
		t.Fatal(err)
	}
	const want = 1 + requests/3
	if firsts.Load() != want || others.Load() != requests-want {
		t.Errorf("%d got a license and %d did not, want %d", firsts.Load(), others.Load(), want)
	}
	if n, err := replicas[0].CountLicenses(t.Context(), store.LicenseFilter{}); err != nil || n != want {
		t.Errorf("%d licenses, %v, want %d", n, err, want)
	}
	if n, err := replicas[0].DeleteSnapshots(t.Context(), store.SnapshotFilter{}); err != nil || n != want {
		t.Errorf("%d snapshots, %v, want %d", n, err, want)
	}
}

// A license that is not made spends no token, and a token that is spent makes no
// license.
func testTokenAndLicenseTogether(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	ctx := t.Context()
	mustCreate(t, s, publication(1))
	mustLicense(t, s, license(1, uuid(1)))
	token := spending("abc")
	with := store.With{Spending: &token}
	for what, tt := range map[string]struct {
		license store.License
		with    store.With
		want    error
	}{
		"license that there is": {license(1, uuid(1)), with, store.ErrExists},
		"no publication":        {license(2, uuid(9)), with, store.ErrNotFound},
		"impossible token":      {license(2, uuid(1)), store.With{Spending: &store.Spending{Provider: "shop", Token: string(make([]byte, 65))}}, store.ErrInvalid},
	} {
		_, err := s.CreateLicenseWith(ctx, tt.license, tt.with)
		wantError(t, what, err, tt.want)
	}
	if s.KnownSpent(token) {
		t.Error("spent for nothing")
	}
	if _, err := s.CreateLicenseWith(ctx, license(2, uuid(1)), with); err != nil {
		t.Fatal(err)
	}
	_, err := s.CreateLicenseWith(ctx, license(3, uuid(1)), with)
	wantError(t, "a second license", err, store.ErrSpent)
	wantError(t, "something else", s.Spend(ctx, token), store.ErrSpent)
	_, err = s.License(ctx, license(3, uuid(1)).UUID)
	wantError(t, "license without a token", err, store.ErrNotFound)
}

// Notes of tokens that have expired go, a few with each that comes, and no note
// of a token that could still be used.
func testSpentTokensAreDropped(t *testing.T, impl Implementation) {
	now := epoch
	s := at(t, impl.New(t).DSN, &now)
	ctx := t.Context()
	spend := func(n int) bool {
		t.Helper()
		token := numbered(n)
		token.Until = now.Add(10 * time.Minute)
		err := s.Spend(ctx, token)
		if err != nil && !errors.Is(err, store.ErrSpent) {
			t.Fatal(err)
		}
		return err == nil
	}
	const many = 500
	for n := range many {
		spend(n)
	}
	now = now.Add(10 * time.Minute)
	for n := range many { // within their last moment
		if spend(n) {
			t.Errorf("token %d was spent twice", n)
		}
	}
	now = now.Add(time.Minute)
	for n := range 128 { // two sweeps
		spend(many + n)
	}
	kept := 0
	for n := range many {
		if !spend(n) {
			kept++
		}
	}
	if kept > 0 {
		t.Errorf("%d of %d tokens are kept that have expired", kept, many)
	}
}
