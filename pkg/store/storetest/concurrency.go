package storetest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
)

const (
	goroutines = 64
	// books is how many books a process goes through, or goes through before
	// it is killed.
	books = 40
	// endless is how many keep it busy until it is killed, on any machine.
	endless = 1_000_000
)

// inParallel runs work in many goroutines and fails the test on an error.
func inParallel(t *testing.T, work func(ctx context.Context, n int) error) {
	t.Helper()
	if err := parallel(t.Context(), goroutines, work); err != nil {
		t.Error(err)
	}
}

// parallel runs work for each number below n, in as many goroutines as there
// are clients in the suite, and returns the first error.
func parallel(ctx context.Context, n int, work func(ctx context.Context, n int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(goroutines)
	for i := range n {
		g.Go(func() error { return work(ctx, i) })
	}
	return g.Wait()
}

func testGoroutines(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	ctx := t.Context()

	var mu sync.Mutex
	identities := make(map[store.Identity]int)
	inParallel(t, func(ctx context.Context, n int) error {
		id, _, err := s.Reserve(ctx, store.Identity{AltID: "book"})
		mu.Lock()
		defer mu.Unlock()
		identities[id]++
		return err
	})
	if len(identities) != 1 {
		t.Errorf("one alt id got %d identities, want 1", len(identities))
	}

	mustCreate(t, s, publication(1))
	shared := mustLicense(t, s, license(10_000, uuid(1)))
	inParallel(t, func(ctx context.Context, n int) error {
		own, err := s.CreateLicense(ctx, license(n, uuid(1)))
		if err != nil {
			return err
		}
		if _, err := s.License(ctx, own.UUID); err != nil {
			return fmt.Errorf("read one's own write: %w", err)
		}
		if _, _, err := s.Licenses(ctx, store.LicenseFilter{Status: "ready"}, store.Page{Limit: 5}); err != nil {
			return err
		}
		for _, id := range []string{own.UUID, shared.UUID} {
			if _, err := s.UpdateLicense(ctx, id, "", register(strconv.Itoa(n%16))); err != nil {
				return err
			}
		}
		return nil
	})
	got, err := s.License(ctx, shared.UUID)
	if err != nil || got.DeviceCount != 16 {
		t.Errorf("16 devices registered 4 times each: DeviceCount = %d, %v", got.DeviceCount, err)
	}
	if events, err := s.Events(ctx, shared.UUID); err != nil || len(events) != goroutines {
		t.Errorf("%d events, %v, want %d", len(events), err, goroutines)
	}
	if n, err := s.CountLicenses(ctx, store.LicenseFilter{PublicationUUID: uuid(1)}); err != nil || n != goroutines+1 {
		t.Errorf("%d licenses, %v, want %d", n, err, goroutines+1)
	}

	// The same counter, read and written by all: no update may be lost.
	inParallel(t, func(ctx context.Context, _ int) error {
		_, err := s.UpdateLicense(ctx, shared.UUID, "", func(l store.License, _ bool) (store.License, []store.Event, error) {
			next := *l.Copy + 1
			l.Copy = &next
			return l, nil, nil
		})
		return err
	})
	stored, err := s.License(ctx, shared.UUID)
	if err != nil {
		t.Fatal(err)
	}
	if *stored.Copy != 10_000+goroutines {
		t.Errorf("copy = %d, want %d", *stored.Copy, 10_000+goroutines)
	}
}

// testProcesses has two processes make, migrate and fill one new database.
func testProcesses(t *testing.T, impl Implementation) {
	db := impl.New(t)
	names := []string{"first", "second"}
	outputs := make([]bytes.Buffer, len(names))
	var g errgroup.Group
	for i, name := range names {
		cmd := impl.Process(t, db.DSN, name, books)
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &outputs[i], &stderr
		g.Go(func() error {
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("%s: %w: %s", name, err, stderr.String())
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if outputs[0].String() != outputs[1].String() {
		t.Errorf("processes got other identities for the same books:\n%s\n%s", &outputs[0], &outputs[1])
	}
	s := open(t, db.DSN)
	for i, name := range names {
		if got := checkWork(t, s, name, outputs[i].String()); got != books {
			t.Errorf("%s did %d books, want %d", name, got, books)
		}
	}
	if n, err := s.CountPublications(t.Context(), store.PublicationFilter{}); err != nil || n != books {
		t.Errorf("%d publications, %v, want %d", n, err, books)
	}
	if n, err := s.CountLicenses(t.Context(), store.LicenseFilter{}); err != nil || n != 2*books {
		t.Errorf("%d licenses, %v, want %d", n, err, 2*books)
	}
}

// testKilled kills a process in the middle of its writing.
func testKilled(t *testing.T, impl Implementation) {
	db := impl.New(t)
	cmd := impl.Process(t, db.DSN, "victim", endless)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acknowledged strings.Builder
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		acknowledged.WriteString(lines.Text() + "\n")
		if n == books {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("process ended before it was killed")
	}
	s := open(t, db.DSN)
	done := checkWork(t, s, "victim", acknowledged.String())
	if done <= books {
		t.Fatalf("%d books acknowledged, want more than %d", done, books)
	}
	// One more may have been written that was never acknowledged.
	for what, count := range map[string]func() (int64, error){
		"publications": func() (int64, error) { return s.CountPublications(t.Context(), store.PublicationFilter{}) },
		"licenses":     func() (int64, error) { return s.CountLicenses(t.Context(), store.LicenseFilter{}) },
	} {
		if n, err := count(); err != nil || n < int64(done) || n > int64(done)+1 {
			t.Errorf("%d %s, %v, want %d or one more", n, what, err, done)
		}
	}
	next := impl.Process(t, db.DSN, "next", done)
	if output, err := next.CombinedOutput(); err != nil {
		t.Errorf("work after the crash: %v: %s", err, output)
	} else if string(output) != acknowledged.String() {
		t.Error("work after the crash got other identities than before")
	}
}

// checkWork fails the test unless all that a process acknowledged is in the
// database, and returns how many books that were.
func checkWork(t *testing.T, s *store.Store, name, output string) (done int) {
	t.Helper()
	for line := range strings.Lines(output) {
		done++
		words := strings.Fields(line)
		if len(words) != 3 {
			t.Fatalf("line %q of %s", line, name)
		}
		n, err := strconv.Atoi(words[0])
		if err != nil {
			t.Fatal(err)
		}
		want, err := lcpcrypto.ParseContentKey(words[2])
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.Publication(t.Context(), words[1])
		if err != nil || p.ContentKey != want {
			t.Errorf("publication %s: same key %v, %v", words[1], p.ContentKey == want, err)
		}
		l, err := s.License(t.Context(), workLicense(name, n))
		if err != nil || l.PublicationUUID != words[1] || l.DeviceCount != 1 || l.Status != "active" {
			t.Errorf("license %s = %v, %v", workLicense(name, n), l, err)
		}
		events, err := s.Events(t.Context(), l.UUID)
		if err != nil || len(events) != 1 {
			t.Errorf("license %s has %d events, %v, want 1", l.UUID, len(events), err)
		}
	}
	return done
}

func testCancelled(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	mustCreate(t, s, publication(1))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.UpdatePublication(ctx, uuid(1), func(p store.Publication) (store.Publication, error) {
		cancel()
		p.Title = "half done"
		return p, nil
	})
	wantError(t, "cancelled in the middle", err, context.Canceled)
	_, err = s.CreateLicense(ctx, license(1, uuid(1)))
	wantError(t, "cancelled before", err, context.Canceled)
	got, err := s.Publication(t.Context(), uuid(1))
	if err != nil || got.Title != publication(1).Title {
		t.Errorf("title = %q, %v", got.Title, err)
	}
	mustLicense(t, s, license(1, uuid(1)))
}

// replicas opens a database twice.
func replicas(t *testing.T, impl Implementation) []*store.Store {
	t.Helper()
	db := impl.New(t)
	return []*store.Store{open(t, db.DSN), open(t, db.DSN)}
}

// testOneLicense has 64 clients, on two replicas, register on one license at
// once: some of them as the same device, 50 times.
func testOneLicense(t *testing.T, impl Implementation) {
	both := replicas(t, impl)
	s := both[0]
	mustCreate(t, s, publication(1))
	l := mustLicense(t, s, license(1, uuid(1)))
	// As status does: the same device again changes nothing.
	once := func(device string) func(store.License, bool) (store.License, []store.Event, error) {
		return func(l store.License, registered bool) (store.License, []store.Event, error) {
			if registered {
				return l, nil, nil
			}
			return register(device)(l, registered)
		}
	}
	inParallel(t, func(ctx context.Context, n int) error {
		device := "same"
		if n >= 50 {
			device = strconv.Itoa(n)
		}
		got, events, err := both[n%2].ChangeLicense(ctx, l.UUID, device, once(device))
		if err == nil && (len(events) != got.DeviceCount || !slices.ContainsFunc(events, func(e store.Event) bool { return e.DeviceID == device })) {
			err = fmt.Errorf("%d events for %d devices, or none of one's own", len(events), got.DeviceCount)
		}
		return err
	})
	got, events, err := s.LicenseHistory(t.Context(), l.UUID)
	if want := 1 + goroutines - 50; err != nil || got.DeviceCount != want || len(events) != want {
		t.Errorf("%d devices and %d events, %v, want %d", got.DeviceCount, len(events), err, want)
	}
	f := store.LicenseFilter{CountDevices: true, MinDevices: got.DeviceCount, MaxDevices: got.DeviceCount}
	if n, err := s.CountLicenses(t.Context(), f); err != nil || n != 1 {
		t.Errorf("%d licenses have %d devices, %v, want 1", n, got.DeviceCount, err)
	}
}

// testManyEnds has 64 clients, on two replicas, move the end of eight licenses:
// each move counts.
func testManyEnds(t *testing.T, impl Implementation) {
	both := replicas(t, impl)
	mustCreate(t, both[0], publication(1))
	const licenses = 8
	for n := range licenses {
		mustLicense(t, both[0], license(n, uuid(1)))
	}
	const moves = 3 * goroutines
	err := parallel(t.Context(), moves, func(ctx context.Context, n int) error {
		_, err := both[n%2].UpdateLicense(ctx, license(n%licenses, "").UUID, "", func(l store.License, _ bool) (store.License, []store.Event, error) {
			l.End = l.End.AddDate(0, 0, 1)
			return l, []store.Event{{Type: "renew", At: l.End}}, nil
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range licenses {
		before := license(n, "")
		got, events, err := both[0].LicenseHistory(t.Context(), before.UUID)
		if want := before.End.AddDate(0, 0, moves/licenses); err != nil || !got.End.Equal(want) || len(events) != moves/licenses {
			t.Errorf("license %d ends %v after %d events, %v, want %v after %d", n, got.End, len(events), err, want, moves/licenses)
		}
		for i, e := range events {
			if want := before.End.AddDate(0, 0, i+1); !e.At.Equal(want) {
				t.Errorf("license %d: event %d is of %v, want %v", n, i, e.At, want)
			}
		}
	}
}

// testMixedFailures has operations fail in every way beside others that must
// not notice, since they may share a transaction.
func testMixedFailures(t *testing.T, impl Implementation) {
	s := open(t, impl.New(t).DSN)
	mustCreate(t, s, publication(1))
	shared := mustLicense(t, s, license(10_000, uuid(1)))
	refusal := errors.New("refused")
	const operations = 4 * goroutines
	err := parallel(t.Context(), operations, func(ctx context.Context, n int) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		l := license(n, uuid(1))
		if _, err := s.CreateLicense(ctx, l); err != nil {
			return err
		}
		move, want := register("a"), error(nil)
		switch n % 8 {
		case 0:
			move, want = func(l store.License, _ bool) (store.License, []store.Event, error) { return l, nil, refusal }, refusal
		case 1: // fails after its first event is written
			move, want = func(l store.License, _ bool) (store.License, []store.Event, error) {
				l.Status = "revoked"
				return l, []store.Event{{Type: "revoke", At: epoch}, {Type: status.EventRegister, At: epoch}}, nil
			}, store.ErrInvalid
		case 2:
			move, want = func(l store.License, registered bool) (store.License, []store.Event, error) {
				cancel()
				return register("a")(l, registered)
			}, context.Canceled
		case 3:
			if !panics(func() {
				_, _ = s.UpdateLicense(ctx, l.UUID, "", func(store.License, bool) (store.License, []store.Event, error) { panic("at the disco") })
			}) {
				return errors.New("a panic got lost")
			}
		}
		if _, err := s.UpdateLicense(ctx, l.UUID, "", move); !errors.Is(err, want) {
			return fmt.Errorf("operation %d: error = %w, want %w", n, err, want)
		}
		_, err := s.UpdateLicense(context.WithoutCancel(ctx), shared.UUID, "", register(strconv.Itoa(n)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, events, err := s.LicenseHistory(t.Context(), shared.UUID); err != nil || got.DeviceCount != operations || len(events) != operations {
		t.Errorf("%d devices and %d events, %v, want %d", got.DeviceCount, len(events), err, operations)
	}
	for n := range operations {
		got, events, err := s.LicenseHistory(t.Context(), license(n, "").UUID)
		want := 1
		if n%8 < 3 {
			want = 0
		}
		if err != nil || got.DeviceCount != want || len(events) != want || (got.Status == "active") != (want == 1) {
			t.Errorf("license %d is %s with %d devices and %d events, %v, want %d", n, got.Status, got.DeviceCount, len(events), err, want)
		}
	}
	for status, want := range map[string]int64{"ready": 3 * operations / 8, "active": 5*operations/8 + 1, "revoked": 0} {
		if n, err := s.CountLicenses(t.Context(), store.LicenseFilter{Status: status}); err != nil || n != want {
			t.Errorf("%d licenses are %s, %v, want %d", n, status, err, want)
		}
	}
}

// panics reports whether work panics.
func panics(work func()) (did bool) {
	defer func() { did = recover() != nil }()
	work()
	return false
}

// testReplicasStart opens a new database many times at once.
func testReplicasStart(t *testing.T, impl Implementation) {
	db := impl.New(t)
	err := parallel(t.Context(), 6, func(ctx context.Context, n int) error {
		o, err := options(db.DSN, masterKey)
		if err != nil {
			return err
		}
		s, err := store.Open(ctx, o)
		if err != nil {
			return err
		}
		_, err = s.CreatePublication(ctx, publication(n))
		return errors.Join(err, s.Close())
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := open(t, db.DSN).CountPublications(t.Context(), store.PublicationFilter{}); err != nil || n != 6 {
		t.Errorf("%d publications, %v, want 6", n, err)
	}
}

func testClosed(t *testing.T, impl Implementation) {
	o, err := options(impl.New(t).DSN, masterKey)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = s.License(t.Context(), "x")
	wantError(t, "read", err, store.ErrUnavailable)
	_, err = s.CreateLicense(t.Context(), license(1, "x"))
	wantError(t, "write", err, store.ErrUnavailable)
	wantError(t, "ping", s.Ping(t.Context()), store.ErrUnavailable)
}

// testDeepPages reaches pages from either end of a long list.
func testDeepPages(t *testing.T, impl Implementation) {
	if impl.Fill == nil {
		t.Skip("long lists are tested where they can be made quickly")
	}
	db := impl.New(t)
	const licenses = 25_000
	o, err := options(db.DSN, masterKey)
	if err != nil {
		t.Fatal(err)
	}
	impl.Fill(t, o, Filling{Licenses: licenses, Publications: 10, Users: 100, Now: epoch})
	s := open(t, db.DSN)
	for _, f := range []store.LicenseFilter{{}, {Status: "expired"}, {CountDevices: true, MinDevices: 1}} {
		want := make([]string, 0, licenses)
		if err := s.EachLicense(t.Context(), f, func(l store.License) error {
			want = append(want, l.UUID)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if n, err := s.CountLicenses(t.Context(), f); err != nil || n != int64(len(want)) {
			t.Errorf("%+v: CountLicenses = %d, %v, want %d", f, n, err, len(want))
		}
		for _, offset := range []int{0, 10, 10_001, len(want) / 2, len(want) - 30, len(want) - 20, len(want) - 1, len(want), licenses + 7} {
			list, next, err := s.Licenses(t.Context(), f, store.Page{Offset: offset, Limit: 20})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range list {
				got = append(got, l.UUID)
			}
			begin := min(offset, len(want))
			end := min(begin+20, len(want))
			if !slices.Equal(got, want[begin:end]) || (next != 0) != (end < len(want)) {
				t.Errorf("%+v: page after %d is wrong, or what is said to follow", f, offset)
			}
		}
	}
}

// testFirstQueries has every connection of a server that has just started wait for
// one transaction, that which counts the licenses of a user, while statements are
// prepared that nobody has used yet. Whoever prepares one must keep nobody from
// going on with a transaction.
func testFirstQueries(t *testing.T, impl Implementation) {
	db := impl.New(t)
	mustCreate(t, open(t, db.DSN), publication(1))
	const rounds = 8
	for round := range rounds {
		s := open(t, db.DSN)
		create := func(n int) error {
			l := license(round*(goroutines+1)+n, uuid(1))
			l.UserID = "the same"
			_, err := s.CreateLicense(t.Context(), l)
			return err
		}
		if err := create(goroutines); err != nil {
			t.Fatal(err)
		}
		inParallel(t, func(ctx context.Context, n int) error {
			if _, err := s.Publication(ctx, uuid(1)); err != nil {
				return err
			}
			return create(n)
		})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	want := int64(rounds * (goroutines + 1))
	if got, err := open(t, db.DSN).CountLicenses(t.Context(), store.LicenseFilter{UserID: "the same"}); err != nil || got != want {
		t.Errorf("%d licenses, %v, want %d", got, err, want)
	}
}
