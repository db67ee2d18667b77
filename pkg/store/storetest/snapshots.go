package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/lcp-tools/lcp/pkg/store"
)

// snapshotText is what is kept of a user, and not to be found in the files.
func snapshotText(n int) string { return fmt.Sprintf("Zebulon Quagmire of license %d", n) }

// mustSnapshot makes the n-th license of a publication, with a snapshot.
func mustSnapshot(t *testing.T, s *store.Store, n int) store.License {
	t.Helper()
	l, err := s.CreateLicenseWith(t.Context(), license(n, uuid(1)), store.With{Snapshot: []byte(snapshotText(n))})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func wantSnapshot(t *testing.T, s *store.Store, id, want string) {
	t.Helper()
	data, err := s.Snapshot(t.Context(), id)
	if want == "" {
		wantError(t, "snapshot of "+id, err, store.ErrNotFound)
	} else if err != nil || string(data) != want {
		t.Errorf("snapshot of %s = %q, %v, want %q", id, data, err, want)
	}
}

func testSnapshots(t *testing.T, impl Implementation) {
	db := impl.New(t)
	s := open(t, db.DSN)
	ctx := t.Context()
	mustCreate(t, s, publication(1))
	none := mustLicense(t, s, license(9, uuid(1)))
	var of []store.License
	for n := range 6 { // of three users
		of = append(of, mustSnapshot(t, s, n))
	}
	wantSnapshot(t, s, none.UUID, "")
	wantSnapshot(t, s, of[0].UUID, snapshotText(0))
	if _, err := s.CreateLicenseWith(ctx, license(0, uuid(1)), store.With{Snapshot: []byte("x")}); !errors.Is(err, store.ErrExists) {
		t.Errorf("a license that there is: %v", err)
	}

	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.UpdateSnapshot(ctx, of[0].UUID, []byte("new")))
	must(s.UpdateSnapshot(ctx, none.UUID, []byte("new")))
	wantSnapshot(t, s, of[0].UUID, "new")
	wantSnapshot(t, s, none.UUID, "")

	_, err := s.DeleteLicense(ctx, of[1].UUID)
	must(err)
	wantSnapshot(t, s, of[1].UUID, "")
	_, err = s.UpdateLicense(ctx, of[2].UUID, "", func(l store.License, _ bool) (store.License, []store.Event, error) {
		l.UserID = "somebody else"
		return l, nil, nil
	})
	must(err)
	wantSnapshot(t, s, of[2].UUID, "")

	for f, want := range map[store.SnapshotFilter]int64{
		{Provider: of[0].Provider, UserID: "nobody"}: 0, {Provider: of[0].Provider, UserID: of[0].UserID}: 2,
		{Provider: "https://elsewhere.example.org", UserID: of[4].UserID}: 0, {Provider: "https://elsewhere.example.org"}: 0,
	} {
		if n, err := s.DeleteSnapshots(ctx, f); err != nil || n != want {
			t.Errorf("DeleteSnapshots %v = %d, %v, want %d", f, n, err, want)
		}
	}
	wantSnapshot(t, s, of[3].UUID, "")
	wantSnapshot(t, s, of[4].UUID, snapshotText(4))
	testSealedSnapshots(t, db, of[4].UUID)
	for _, f := range []store.SnapshotFilter{{UserID: of[4].UserID}, {}} { // one each is left
		if n, err := s.DeleteSnapshots(ctx, f); err != nil || n != 1 {
			t.Errorf("DeleteSnapshots %v = %d, %v, want 1", f, n, err)
		}
	}
	wantSnapshot(t, s, of[5].UUID, "")
}

// testSealedSnapshots looks for what is kept in the files, and has it sealed
// again.
func testSealedSnapshots(t *testing.T, db Database, id string) {
	t.Helper()
	if db.Files != nil {
		for _, name := range db.Files() {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(data, []byte("Zebulon")) {
				t.Errorf("%s has the name of a user in clear", name)
			}
		}
	}
	both := openKeys(t, db.DSN, otherKey+","+masterKey)
	if n, err := both.Reseal(t.Context()); err != nil || n != 3 { // and the publication
		t.Errorf("Reseal = %d, %v", n, err)
	}
	wantSnapshot(t, openKeys(t, db.DSN, otherKey), id, snapshotText(4))
}
