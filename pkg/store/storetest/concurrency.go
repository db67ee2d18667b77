package storetest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
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
	g, ctx := errgroup.WithContext(t.Context())
	for n := range goroutines {
		g.Go(func() error { return work(ctx, n) })
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
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
	if got, err := s.License(ctx, shared.UUID); err != nil || *got.Copy != 10_000+goroutines {
		t.Errorf("copy = %d, %v, want %d", *got.Copy, err, 10_000+goroutines)
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
