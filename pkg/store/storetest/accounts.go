package storetest

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/store"
)

func testAccounts(t *testing.T, impl Implementation) {
	db := impl.New(t)
	s, replica := open(t, db.DSN), open(t, db.DSN)
	ctx := t.Context()
	shop := access.User{Name: "shop", Role: access.Issuer, Hash: "hash"}
	if _, ok, err := s.User(ctx, "shop"); ok || err != nil {
		t.Errorf("User of nobody = %v, %v", ok, err)
	}
	if err := s.SaveUser(ctx, shop); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := replica.User(ctx, "shop"); got != shop || !ok || err != nil {
		t.Errorf("User on another replica = %v, %v, %v", got, ok, err)
	}
	if _, ok, err := s.User(ctx, "Shop "); ok || err != nil {
		t.Errorf("User of another name = %v, %v", ok, err)
	}
	shop.Role, shop.Hash = access.Viewer, "other"
	if err := s.SaveUser(ctx, shop); err != nil {
		t.Fatal(err)
	}
	if got, _, err := replica.User(ctx, "shop"); got != shop || err != nil {
		t.Errorf("User after a change = %v, %v", got, err)
	}

	hash := access.HashKey("lcp_KEY")
	nightly := access.Principal{Name: "nightly", Role: access.Publisher}
	if err := s.AddKey(ctx, nightly, hash); err != nil {
		t.Fatal(err)
	}
	wantError(t, "key of the same name", s.AddKey(ctx, nightly, access.HashKey("lcp_OTHER")), store.ErrExists)
	wantError(t, "the same key", s.AddKey(ctx, access.Principal{Name: "x", Role: access.Viewer}, hash), store.ErrExists)
	if got, ok, err := replica.Key(ctx, hash); got != nightly || !ok || err != nil {
		t.Errorf("Key = %v, %v, %v", got, ok, err)
	}
	accounts, err := s.Accounts(ctx)
	if err != nil || len(accounts) != 2 || accounts[0].Name != "nightly" || accounts[0].Kind != store.KindKey ||
		accounts[1].Kind != store.KindUser || accounts[1].Role != access.Viewer || accounts[1].CreatedAt.IsZero() {
		t.Errorf("Accounts = %v, %v", accounts, err)
	}
	if err := s.DeleteUser(ctx, "shop"); err != nil {
		t.Error(err)
	}
	if err := s.DeleteKey(ctx, "nightly"); err != nil {
		t.Error(err)
	}
	wantError(t, "user again", s.DeleteUser(ctx, "shop"), store.ErrNotFound)
	wantError(t, "key again", s.DeleteKey(ctx, "nightly"), store.ErrNotFound)
	if _, ok, err := replica.Key(ctx, hash); ok || err != nil {
		t.Errorf("Key that was removed = %v, %v", ok, err)
	}
	for _, bad := range []access.User{{Role: access.Admin}, {Name: "a:b", Role: access.Admin}, {Name: "a", Role: "king"}} {
		wantError(t, "user "+bad.Name, s.SaveUser(ctx, bad), store.ErrInvalid)
	}
}

func testFirstUser(t *testing.T, impl Implementation) {
	db := impl.New(t)
	replicas := []*store.Store{open(t, db.DSN), open(t, db.DSN)}
	var made atomic.Int64
	inParallel(t, func(ctx context.Context, n int) error {
		u := access.User{Name: "admin-" + strconv.Itoa(n), Role: access.Admin, Hash: "hash"}
		ok, err := replicas[n%2].FirstUser(ctx, u)
		if ok {
			made.Add(1)
		}
		return err
	})
	accounts, err := replicas[0].Accounts(t.Context())
	if err != nil || len(accounts) != 1 || made.Load() != 1 {
		t.Errorf("%d made, %d accounts, %v, want one", made.Load(), len(accounts), err)
	}
}

func testAudit(t *testing.T, impl Implementation) {
	now := epoch
	s := at(t, impl.New(t).DSN, &now)
	ctx := t.Context()
	for n := range 9 {
		now = epoch.Add(time.Duration(n) * time.Hour)
		e := store.AuditEntry{Actor: "actor-" + strconv.Itoa(n%2), Action: "did " + strconv.Itoa(n), Target: "target-" + strconv.Itoa(n%3), Detail: "why"}
		if err := s.Audit(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		filter store.AuditFilter
		want   string
	}{
		"all":    {store.AuditFilter{}, "876543210"},
		"actor":  {store.AuditFilter{Actor: "actor-1"}, "7531"},
		"target": {store.AuditFilter{Target: "target-2", Actor: "actor-0"}, "82"},
		"time":   {store.AuditFilter{From: epoch.Add(2 * time.Hour), Before: epoch.Add(5 * time.Hour)}, "432"},
		"nobody": {store.AuditFilter{Actor: "ACTOR-1"}, ""},
	} {
		var got []byte
		page := store.Page{Limit: 2}
		for more := true; more; more = page.After != 0 {
			list, next, err := s.AuditLog(ctx, tt.filter, page)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				got = append(got, strings.TrimPrefix(e.Action, "did ")...)
				if e.Detail != "why" || e.At.Before(epoch) {
					t.Errorf("%s: entry %v", name, e)
				}
			}
			page.After = next
		}
		if string(got) != tt.want {
			t.Errorf("%s: entries %s, want %s", name, got, tt.want)
		}
	}
	wantError(t, "long target", s.Audit(ctx, store.AuditEntry{Target: strings.Repeat("x", 256)}), store.ErrInvalid)
}

func testClaims(t *testing.T, impl Implementation) {
	db := impl.New(t)
	now := epoch
	s, replica := at(t, db.DSN, &now), at(t, db.DSN, &now)
	ctx := t.Context()
	c := store.Claim{Actor: "shop", Key: "key", Request: [32]byte{1}}
	claim := func(what string, s *store.Store, c store.Claim, want *store.Answer, wantErr error) {
		t.Helper()
		got, err := s.Claim(ctx, c)
		if wantErr != nil || err != nil {
			wantError(t, what, err, wantErr)
		}
		if d := diff(got, want); d != "" {
			t.Errorf("%s: answer differs (-want +got):\n%s", what, d)
		}
	}
	claim("first", s, c, nil, nil)
	claim("while at work", replica, c, nil, store.ErrClaimed)
	claim("another request", s, store.Claim{Actor: "shop", Key: "key"}, nil, store.ErrOtherRequest)
	claim("another actor", s, store.Claim{Actor: "shopk", Key: "ey"}, nil, nil)
	if err := s.Release(ctx, c); err != nil {
		t.Fatal(err)
	}
	claim("released", replica, c, nil, nil)
	now = epoch.Add(time.Minute)
	claim("worker is gone", s, c, nil, nil)
	answer := &store.Answer{Status: 201, ContentType: "application/json", Location: "/x", Body: []byte("personal data of Jane")}
	if err := s.Answer(ctx, c, answer); err != nil {
		t.Fatal(err)
	}
	now = epoch.Add(24 * time.Hour)
	claim("repeated", replica, c, answer, nil)
	claim("another request afterwards", s, store.Claim{Actor: "shop", Key: "key"}, nil, store.ErrOtherRequest)
	if db.Files != nil {
		for _, path := range db.Files() {
			if data, err := os.ReadFile(path); err != nil || bytes.Contains(data, []byte("personal data")) {
				t.Errorf("%s: %v, or it holds an answer in clear", path, err)
			}
		}
	}
	both := openKeys(t, db.DSN, otherKey+","+masterKey)
	if n, err := both.Reseal(ctx); err != nil || n != 1 {
		t.Errorf("Reseal = %d, %v, want 1", n, err)
	}
	now = epoch.Add(25 * time.Hour)
	claim("the day after", s, store.Claim{Actor: "shop", Key: "key"}, nil, nil)
	wantError(t, "answer to nothing", s.Answer(ctx, store.Claim{Key: "never claimed"}, answer), store.ErrNotFound)
}

func testClaimRace(t *testing.T, impl Implementation) {
	db := impl.New(t)
	replicas := []*store.Store{open(t, db.DSN), open(t, db.DSN)}
	var won atomic.Int64
	c := store.Claim{Actor: "shop", Key: "key"}
	inParallel(t, func(ctx context.Context, n int) error {
		_, err := replicas[n%2].Claim(ctx, c)
		if err == nil {
			won.Add(1)
		}
		return nil
	})
	if won.Load() != 1 {
		t.Errorf("%d callers have claimed the request, want 1", won.Load())
	}
}
