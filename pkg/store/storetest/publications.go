package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/store"
)

// compareKeys lets cmp look at keys, which it could not print.
var compareKeys = cmp.Comparer(func(a, b lcpcrypto.ContentKey) bool { return a == b })

func diff(got, want any) string { return cmp.Diff(want, got, compareKeys) }

// mustCreate adds a publication.
func mustCreate(t *testing.T, s *store.Store, p store.Publication) store.Publication {
	t.Helper()
	p, err := s.CreatePublication(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wantError fails the test unless err is want.
func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error = %v, want %v", what, err, want)
	}
}

// wantTaken fails the test unless err says that a field is taken by a record.
func wantTaken(t *testing.T, what string, err error, field, uuid string) {
	t.Helper()
	wantError(t, what, err, store.ErrExists)
	var taken *store.ExistsError
	if errors.As(err, &taken) && (taken.Field != field || taken.UUID != uuid) {
		t.Errorf("%s: %s is taken by %s, want %s by %s", what, taken.Field, taken.UUID, field, uuid)
	}
}

func testPublications(t *testing.T, impl Implementation) {
	db := impl.New(t)
	s := open(t, db.DSN)
	want := mustCreate(t, s, publication(1))
	if want.CreatedAt.IsZero() || want.UpdatedAt != want.CreatedAt || !want.DeletedAt.IsZero() {
		t.Errorf("times = %v, %v, %v", want.CreatedAt, want.UpdatedAt, want.DeletedAt)
	}
	mustCreate(t, s, publication(2))

	again := open(t, db.DSN)
	for name, find := range map[string]func(*store.Store) (store.Publication, error){
		"uuid":   func(s *store.Store) (store.Publication, error) { return s.Publication(t.Context(), want.UUID) },
		"any":    func(s *store.Store) (store.Publication, error) { return s.AnyPublication(t.Context(), want.UUID) },
		"alt id": func(s *store.Store) (store.Publication, error) { return s.PublicationByAltID(t.Context(), want.AltID) },
		"by content": func(s *store.Store) (store.Publication, error) {
			return s.PublicationByChecksum(t.Context(), want.Checksum)
		},
	} {
		got, err := find(again)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := diff(got, want); d != "" {
			t.Errorf("%s: publication differs (-want +got):\n%s", name, d)
		}
	}
	_, err := s.CreatePublication(t.Context(), publication(1))
	wantTaken(t, "same uuid", err, "uuid", want.UUID)
	other := publication(3)
	other.AltID = want.AltID
	_, err = s.CreatePublication(t.Context(), other)
	wantTaken(t, "same alt id", err, "alt_id", want.UUID)
	_, err = s.Publication(t.Context(), uuid(9))
	wantError(t, "unknown uuid", err, store.ErrNotFound)
	if errors.Is(err, store.ErrDeleted) {
		t.Errorf("unknown uuid: error = %v, want no ErrDeleted", err)
	}
	_, err = s.PublicationByAltID(t.Context(), "")
	wantError(t, "empty alt id", err, store.ErrNotFound)
}

// Identifiers are compared byte by byte, whatever the collation.
func testAltIDs(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	for i, alt := range []string{"", "", "book", "Book", "bóok", "book ", strings.Repeat("é", 255)} {
		p := publication(i)
		p.AltID = alt
		mustCreate(t, s, p)
	}
	got, err := s.PublicationByAltID(t.Context(), "Book")
	if err != nil || got.UUID != uuid(3) {
		t.Errorf("PublicationByAltID = %s, %v, want %s", got.UUID, err, uuid(3))
	}
}

func testSoftDelete(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	p := mustCreate(t, s, publication(1))
	l, err := s.CreateLicense(t.Context(), license(1, p.UUID))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeletePublication(t.Context(), p.UUID); err != nil {
		t.Fatal(err)
	}

	_, err = s.Publication(t.Context(), p.UUID)
	wantError(t, "get", err, store.ErrDeleted)
	wantError(t, "get", err, store.ErrNotFound)
	_, err = s.PublicationByAltID(t.Context(), p.AltID)
	wantError(t, "get by alt id", err, store.ErrNotFound)
	_, err = s.PublicationByChecksum(t.Context(), p.Checksum)
	wantError(t, "get by checksum", err, store.ErrNotFound)
	wantError(t, "delete again", s.DeletePublication(t.Context(), p.UUID), store.ErrDeleted)
	wantError(t, "delete unknown", s.DeletePublication(t.Context(), uuid(9)), store.ErrNotFound)
	_, err = s.CreateLicense(t.Context(), license(2, p.UUID))
	wantError(t, "new license", err, store.ErrDeleted)
	if list, _, err := s.Publications(t.Context(), store.PublicationFilter{}, store.Page{Limit: 10}); err != nil || len(list) != 0 {
		t.Errorf("list has %d publications, %v, want none", len(list), err)
	}

	if got, err := s.License(t.Context(), l.UUID); err != nil || diff(untitled(got), l) != "" {
		t.Errorf("license of a deleted publication = %v, %v", got, err)
	}
	old, err := s.AnyPublication(t.Context(), p.UUID)
	if err != nil || old.ContentKey != p.ContentKey || old.DeletedAt.IsZero() {
		t.Errorf("deleted publication has key %v, deleted at %v, %v", old.ContentKey == p.ContentKey, old.DeletedAt, err)
	}

	successor := publication(2)
	successor.AltID = p.AltID
	mustCreate(t, s, successor)
	back := publication(1)
	back.ContentKey = key(7)
	_, err = s.CreatePublication(t.Context(), back)
	wantError(t, "create again with another key", err, store.ErrKeyChanged)
	back.ContentKey, back.AltID = p.ContentKey, "free"
	if got := mustCreate(t, s, back); !got.CreatedAt.Equal(p.CreatedAt) {
		t.Errorf("publication that is live again was created at %v, want %v", got.CreatedAt, p.CreatedAt)
	}
	if _, err := s.CreateLicense(t.Context(), license(2, p.UUID)); err != nil {
		t.Error(err)
	}
}

func testUpdatePublication(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	p := mustCreate(t, s, publication(1))
	mustCreate(t, s, publication(2))
	got, err := s.UpdatePublication(t.Context(), p.UUID, func(old store.Publication) (store.Publication, error) {
		old.UUID, old.Title, old.AltID, old.Authors = "ignored", "New", "alt-new", nil
		return old, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := p
	want.Title, want.AltID, want.Authors, want.UpdatedAt = "New", "alt-new", nil, got.UpdatedAt
	if d := diff(got, want); d != "" {
		t.Errorf("updated publication differs (-want +got):\n%s", d)
	}
	if !got.UpdatedAt.After(p.UpdatedAt) {
		t.Errorf("updated at %v, before that at %v", got.UpdatedAt, p.UpdatedAt)
	}
	if read, err := s.PublicationByAltID(t.Context(), "alt-new"); err != nil || diff(read, want) != "" {
		t.Errorf("read after update: %v, %s", err, diff(read, want))
	}

	refusal := errors.New("refused")
	set := func(alt string, err error) func(store.Publication) (store.Publication, error) {
		return func(p store.Publication) (store.Publication, error) {
			p.AltID = alt
			return p, err
		}
	}
	_, err = s.UpdatePublication(t.Context(), p.UUID, set("x", refusal))
	wantError(t, "refused", err, refusal)
	_, err = s.UpdatePublication(t.Context(), p.UUID, set("alt-2", nil))
	wantTaken(t, "taken alt id", err, "alt_id", uuid(2))
	_, err = s.UpdatePublication(t.Context(), uuid(9), set("x", nil))
	wantError(t, "unknown", err, store.ErrNotFound)
	if read, err := s.Publication(t.Context(), p.UUID); err != nil || diff(read, want) != "" {
		t.Errorf("read after refusals: %v, %s", err, diff(read, want))
	}
}

func testSave(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	first, created, err := s.SavePublication(t.Context(), publication(1))
	if err != nil || !created {
		t.Fatalf("SavePublication = %v, %v, want a new one", created, err)
	}
	next := publication(1)
	next.AltID, next.Title, next.Size = "", "Second edition", 5
	second, created, err := s.SavePublication(t.Context(), next)
	if err != nil || created {
		t.Fatalf("SavePublication = %v, %v, want the known one", created, err)
	}
	if second.AltID != first.AltID || !second.CreatedAt.Equal(first.CreatedAt) || second.Size != 5 {
		t.Errorf("saved again: %q, %v, %d", second.AltID, second.CreatedAt, second.Size)
	}
	next.ContentKey = key(2)
	_, _, err = s.SavePublication(t.Context(), next)
	wantError(t, "another key", err, store.ErrKeyChanged)
	other := publication(2)
	other.AltID = first.AltID
	_, _, err = s.SavePublication(t.Context(), other)
	wantTaken(t, "taken alt id", err, "alt_id", first.UUID)
	if got, err := s.Publication(t.Context(), first.UUID); err != nil || diff(got, second) != "" {
		t.Errorf("read: %v, %s", err, diff(got, second))
	}
	if err := s.DeletePublication(t.Context(), first.UUID); err != nil {
		t.Fatal(err)
	}
	if _, created, err := s.SavePublication(t.Context(), publication(1)); err != nil || created {
		t.Errorf("SavePublication of a deleted one = %v, %v", created, err)
	}
	if _, err := s.Publication(t.Context(), first.UUID); err != nil {
		t.Errorf("saved publication is not live: %v", err)
	}
}

func testReserve(t *testing.T, impl Implementation) {
	ctx := t.Context()
	reserve := func(t *testing.T, s *store.Store, want store.Identity) (store.Identity, bool) {
		t.Helper()
		got, known, err := s.Reserve(ctx, want)
		if err != nil {
			t.Fatal(err)
		}
		return got, known
	}
	t.Run("nothing wanted is new each time", func(t *testing.T) {
		s := open(t, impl.New(t).DSN)
		a, known := reserve(t, s, store.Identity{})
		b, _ := reserve(t, s, store.Identity{})
		if known || a.UUID == b.UUID || a.Key == b.Key || len(a.UUID) != 36 {
			t.Errorf("Reserve = %v and %v, known %v", a, b, known)
		}
	})
	t.Run("same alt id, same key, after a crash too", func(t *testing.T) {
		db := impl.New(t)
		a, known := reserve(t, open(t, db.DSN), store.Identity{AltID: "x"})
		b, _ := reserve(t, open(t, db.DSN), store.Identity{AltID: "x"})
		if known || a != b || a.AltID != "x" {
			t.Errorf("Reserve = %v then %v, known %v", a, b, known)
		}
	})
	t.Run("a reservation is not a publication", func(t *testing.T) {
		s := open(t, impl.New(t).DSN)
		a, _ := reserve(t, s, store.Identity{UUID: uuid(1), AltID: "x"})
		_, err := s.AnyPublication(ctx, a.UUID)
		wantError(t, "get", err, store.ErrNotFound)
		if n, err := s.CountPublications(ctx, store.PublicationFilter{}); n != 0 || err != nil {
			t.Errorf("CountPublications = %d, %v", n, err)
		}
	})
	t.Run("a saved publication is known", func(t *testing.T) {
		s := open(t, impl.New(t).DSN)
		a, _ := reserve(t, s, store.Identity{AltID: "x"})
		p := publication(1)
		p.UUID, p.AltID, p.ContentKey = a.UUID, a.AltID, a.Key
		if _, _, err := s.SavePublication(ctx, p); err != nil {
			t.Fatal(err)
		}
		for _, want := range []store.Identity{{AltID: "x"}, {UUID: a.UUID}, {UUID: a.UUID, AltID: "x", Key: a.Key}} {
			if b, known := reserve(t, s, want); !known || b != a {
				t.Errorf("Reserve(%v) = %v, %v, want %v", want, b, known, a)
			}
		}
		_, _, err := s.Reserve(ctx, store.Identity{UUID: uuid(9), AltID: "x"})
		wantTaken(t, "another uuid", err, "alt_id", a.UUID)
		_, _, err = s.Reserve(ctx, store.Identity{AltID: "x", Key: key(9)})
		wantError(t, "another key", err, store.ErrKeyChanged)
	})
	t.Run("a deleted publication keeps its key, not its alt id", func(t *testing.T) {
		s := open(t, impl.New(t).DSN)
		p := mustCreate(t, s, publication(1))
		if err := s.DeletePublication(ctx, p.UUID); err != nil {
			t.Fatal(err)
		}
		if a, known := reserve(t, s, store.Identity{UUID: p.UUID}); !known || a.Key != p.ContentKey {
			t.Errorf("Reserve(uuid) known %v, same key %v", known, a.Key == p.ContentKey)
		}
		if a, known := reserve(t, s, store.Identity{AltID: p.AltID}); known || a.Key == p.ContentKey || a.UUID == p.UUID {
			t.Errorf("Reserve(alt id) = %v, %v", a, known)
		}
	})
	t.Run("what contradicts an unseen reservation replaces it", func(t *testing.T) {
		s := open(t, impl.New(t).DSN)
		reserve(t, s, store.Identity{AltID: "x"})
		want := store.Identity{UUID: uuid(1), AltID: "x", Key: key(1)}
		if got, _ := reserve(t, s, want); got != want {
			t.Errorf("Reserve = %v, want %v", got, want)
		}
		if got, _ := reserve(t, s, store.Identity{AltID: "x"}); got != want {
			t.Errorf("Reserve = %v, want %v", got, want)
		}
	})
	t.Run("what is never saved is forgotten", func(t *testing.T) {
		db := impl.New(t)
		s := open(t, db.DSN)
		old, _ := reserve(t, s, store.Identity{AltID: "x"})
		o, err := options(db.DSN, masterKey)
		if err != nil {
			t.Fatal(err)
		}
		o.Now = func() time.Time { return epoch.AddDate(0, 0, 8) }
		later, err := store.Open(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		defer later.Close()
		recent, _ := reserve(t, later, store.Identity{AltID: "y"})
		if again, _ := reserve(t, later, store.Identity{AltID: "x"}); again.Key == old.Key {
			t.Error("reservation of a week ago still holds")
		}
		if again, _ := reserve(t, later, store.Identity{AltID: "y"}); again != recent {
			t.Error("reservation of now does not hold")
		}
	})
	t.Run("an alt id can be added", func(t *testing.T) {
		s := open(t, impl.New(t).DSN)
		a, _ := reserve(t, s, store.Identity{UUID: uuid(1)})
		b, _ := reserve(t, s, store.Identity{UUID: uuid(1), AltID: "x"})
		c, _ := reserve(t, s, store.Identity{AltID: "x"})
		if a.Key != b.Key || b != c {
			t.Errorf("Reserve = %v, %v, %v", a, b, c)
		}
	})
}

func testLists(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	ctx := t.Context()
	const count = 25
	for n := range count {
		p := publication(n)
		if n%5 == 0 {
			p.ContentType = "application/pdf+lcp"
		}
		mustCreate(t, s, p)
	}
	var seen []string
	page := store.Page{Limit: 7}
	for more := true; more; more = page.After != 0 {
		list, next, err := s.Publications(ctx, store.PublicationFilter{}, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list {
			seen = append(seen, p.UUID)
		}
		mustCreate(t, s, publication(1000+len(seen))) // must not move what follows
		page.After = next
	}
	if len(seen) != count {
		t.Fatalf("pages hold %d publications, want %d: %v", len(seen), count, seen)
	}
	for i, got := range seen {
		if want := uuid(count - 1 - i); got != want {
			t.Errorf("publication %d of the list = %s, want %s", i, got, want)
		}
	}
	pdf := store.PublicationFilter{ContentType: "application/pdf+lcp"}
	list, next, err := s.Publications(ctx, pdf, store.Page{Limit: 2, Offset: 3})
	if err != nil || len(list) != 2 || next != 0 || list[0].UUID != uuid(5) || list[1].UUID != uuid(0) {
		t.Errorf("second page of PDFs has %d, next %d, %v", len(list), next, err)
	}
	if n, err := s.CountPublications(ctx, pdf); err != nil || n != 5 {
		t.Errorf("CountPublications = %d, %v, want 5", n, err)
	}
	for _, bad := range []store.Page{{}, {Limit: -1}, {Limit: store.MaxLimit + 1}, {Limit: 1, Offset: -1}} {
		_, _, err := s.Publications(ctx, store.PublicationFilter{}, bad)
		wantError(t, fmt.Sprint(bad), err, store.ErrInvalid)
		_, _, err = s.Licenses(ctx, store.LicenseFilter{}, bad)
		wantError(t, fmt.Sprint(bad), err, store.ErrInvalid)
	}
}

func testInvalid(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	for name, spoil := range map[string]func(*store.Publication){
		"empty: uuid":          func(p *store.Publication) { p.UUID = "" },
		"none: encryption_key": func(p *store.Publication) { p.ContentKey = lcpcrypto.ContentKey{} },
		"negative: size":       func(p *store.Publication) { p.Size = -1 },
		"long: alt_id":         func(p *store.Publication) { p.AltID = strings.Repeat("é", 256) },
		"with NUL: title":      func(p *store.Publication) { p.Title = "a\x00b" },
		"not UTF-8: authors":   func(p *store.Publication) { p.Authors = []string{"\xff"} },
	} {
		p := publication(1)
		spoil(&p)
		_, err := s.CreatePublication(t.Context(), p)
		wantField(t, name, err)
	}
	mustCreate(t, s, publication(1))
	for name, spoil := range map[string]func(*store.License){
		"empty: uuid":   func(l *store.License) { l.UUID = "" },
		"long: user_id": func(l *store.License) { l.UserID = strings.Repeat("u", 256) },
	} {
		l := license(1, uuid(1))
		spoil(&l)
		_, err := s.CreateLicense(t.Context(), l)
		wantField(t, name, err)
	}
}

// wantField wants an ErrInvalid for the field that the name of a case ends with.
func wantField(t *testing.T, name string, err error) {
	t.Helper()
	wantError(t, name, err, store.ErrInvalid)
	_, field, _ := strings.Cut(name, ": ")
	if e, ok := errors.AsType[*store.InvalidError](err); !ok || e.Field != field || e.Reason == "" {
		t.Errorf("%s: error = %v, want one for the field", name, err)
	}
}
