package storetest

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/keyring"
	"github.com/lcp-tools/lcp/pkg/store"
)

func testSealed(t *testing.T, impl Implementation) {
	db := impl.New(t)
	if db.Files == nil {
		t.Skip("the files of this database are out of reach")
	}
	s := open(t, db.DSN)
	mustCreate(t, s, publication(1))
	reserved, _, err := s.Reserve(t.Context(), store.Identity{AltID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, path := range db.Files() {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found = found || bytes.Contains(data, []byte(publication(1).AltID)) // the files are the right ones
		for _, k := range [][32]byte{key(1), reserved.Key} {
			for form, secret := range map[string]string{
				"raw":    string(k[:]),
				"base64": publication(1).ContentKey.Base64(),
				"hex":    hex.EncodeToString(k[:]),
			} {
				if bytes.Contains(bytes.ToLower(data), bytes.ToLower([]byte(secret))) {
					t.Errorf("%s holds a content key in clear (%s)", path, form)
				}
			}
		}
	}
	if !found {
		t.Error("no file of the database holds the publication")
	}
}

func testMasterKey(t *testing.T, impl Implementation) {
	db := impl.New(t)
	mustCreate(t, open(t, db.DSN), publication(1))
	o, err := options(db.DSN, otherKey)
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), o)
	wantError(t, "wrong master key", err, keyring.ErrUnknownKey)
	if err == nil || !strings.Contains(err.Error(), "LCP_MASTER_KEY") || !strings.Contains(err.Error(), "master key file") {
		t.Errorf("error does not say what to check: %v", err)
	}
}

func testReseal(t *testing.T, impl Implementation) {
	db := impl.New(t)
	s := open(t, db.DSN)
	const count = 120 // more than two batches
	for n := range count {
		p := publication(n)
		p.Description = ""
		mustCreate(t, s, p)
	}
	reserved, _, err := s.Reserve(t.Context(), store.Identity{AltID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	both := openKeys(t, db.DSN, otherKey+","+masterKey)
	if n, err := both.Reseal(t.Context()); err != nil || n != count+1 {
		t.Fatalf("Reseal = %d, %v, want %d", n, err, count+1)
	}
	if n, err := both.Reseal(t.Context()); err != nil || n != 0 {
		t.Errorf("second Reseal = %d, %v, want 0", n, err)
	}
	alone := openKeys(t, db.DSN, otherKey)
	for n := range count {
		p, err := alone.Publication(t.Context(), uuid(n))
		if err != nil || p.ContentKey != key(n) {
			t.Fatalf("publication %d: same key %v, %v", n, p.ContentKey == key(n), err)
		}
	}
	if got, _, err := alone.Reserve(t.Context(), store.Identity{AltID: "x"}); err != nil || got != reserved {
		t.Errorf("Reserve = %v, %v, want %v", got, err, reserved)
	}
}

func testSchema(t *testing.T, impl Implementation) {
	db := impl.New(t)
	o, err := options(db.DSN, masterKey)
	if err != nil {
		t.Fatal(err)
	}
	o.Migrate = false
	_, err = store.Open(t.Context(), o)
	wantError(t, "empty database, no migration", err, store.ErrSchema)
	open(t, db.DSN)
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
