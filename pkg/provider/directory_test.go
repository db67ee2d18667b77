package provider_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/provider"
)

// shelf is a source whose providers, clock and faults a test sets.
type shelf struct {
	mu    sync.Mutex
	list  []provider.Provider
	err   error
	reads int
	now   time.Time
}

func (s *shelf) Providers(context.Context) ([]provider.Provider, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	return slices.Clone(s.list), s.err
}

func (s *shelf) set(err error, list ...provider.Provider) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list, s.err = list, err
}

func (s *shelf) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *shelf) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func named(id string) provider.Provider {
	return provider.Provider{ID: id, URI: "https://" + id + ".example"}
}

func newDirectory(t *testing.T, s *shelf, configured ...provider.Provider) *provider.Directory {
	t.Helper()
	s.now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	base := named(provider.DefaultID)
	base.Profile, base.Languages = "http://readium.org/lcp/basic-profile", []string{"en"}
	base.Renewal = &provider.Renewal{MaxDays: 30}
	base.Hint.Text, base.SupportLinks = "ours", []string{"https://ours.example"}
	d, err := provider.NewDirectory(provider.Options{Default: base, Configured: configured, Stored: s, Now: s.clock})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ids(t *testing.T, d *provider.Directory) string {
	t.Helper()
	list, err := d.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range list {
		names = append(names, p.ID)
	}
	return strings.Join(names, " ")
}

func TestDirectoryFinds(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	s.set(nil, named("zoo"), named("library"))
	d := newDirectory(t, s, named("shop"))
	if got := ids(t, d); got != "default library shop zoo" {
		t.Errorf("there are %s", got)
	}
	p, err := d.ByURI(t.Context(), "https://library.example")
	if err != nil || p.ID != "library" {
		t.Fatalf("by URI: %v, %v", p, err)
	}
	if p.Profile == "" || p.Renewal.MaxDays != 30 || len(p.Languages) != 1 || p.Hint.Text != "" || p.SupportLinks != nil {
		t.Errorf("completed as %+v", p)
	}
	if p, err := d.ByID(t.Context(), "shop"); err != nil || p.URI != "https://shop.example" {
		t.Errorf("by ID: %v, %v", p, err)
	}
	if p, err := d.ByID(t.Context(), "Shop"); !errors.Is(err, provider.ErrUnknown) || p != nil {
		t.Errorf("unknown: %v, %v", p, err)
	}
	if p, err := d.ByMerchant(t.Context(), "zoo"); err != nil || p.ID != "zoo" {
		t.Errorf("by merchant: %v, %v", p, err)
	}
	if d.Default().ID != provider.DefaultID {
		t.Errorf("the default is %s", d.Default().ID)
	}
}

// What another replica stores is there after a few seconds; what did not change
// is the same, for those who keep something with it.
func TestDirectoryFollowsTheStore(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	s.set(nil, named("a"), named("b"))
	d := newDirectory(t, s)
	a, err := d.ByID(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	changed := named("b")
	changed.Name = "B"
	s.set(nil, named("a"), changed, named("c"))
	if got := ids(t, d); got != "default a b" {
		t.Errorf("at once: %s", got)
	}
	s.pass(6 * time.Second)
	if got := ids(t, d); got != "default a b c" {
		t.Errorf("later: %s", got)
	}
	if again, _ := d.ByID(t.Context(), "a"); again != a {
		t.Error("what did not change is another one")
	}
	if b, _ := d.ByID(t.Context(), "b"); b.Name != "B" {
		t.Errorf("what changed is %+v", b)
	}
	s.set(nil)
	if err := d.Refresh(t.Context()); err != nil || ids(t, d) != "default" {
		t.Errorf("refreshed: %s, %v", ids(t, d), err)
	}
	reads := s.reads
	for range 100 {
		ids(t, d)
	}
	if s.reads != reads {
		t.Errorf("read %d times for 100 look-ups", s.reads-reads)
	}
}

func TestDirectoryWithoutItsStore(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	down := errors.New("down")
	s.set(down)
	d := newDirectory(t, s)
	if _, err := d.ByID(t.Context(), "default"); !errors.Is(err, down) {
		t.Errorf("before anything was read: %v", err)
	}
	s.set(nil, named("a"))
	if got := ids(t, d); got != "default a" {
		t.Errorf("read: %s", got)
	}
	s.set(down)
	s.pass(time.Minute)
	if got := ids(t, d); got != "default a" {
		t.Errorf("down: %s", got)
	}
	if err := d.Refresh(t.Context()); !errors.Is(err, down) {
		t.Errorf("refresh: %v", err)
	}
}

// What is stored cannot take the place of what is configured, nor stop others.
func TestConfigurationWins(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	same, faulty := named("other"), named("faulty")
	same.URI, faulty.Profile = "https://shop.example", "x"
	s.set(nil, named("shop"), named("default"), same, faulty, named("fine"))
	d := newDirectory(t, s, named("shop"))
	if got := ids(t, d); got != "default fine shop" {
		t.Errorf("there are %s", got)
	}
	twin, namesake := named("twin"), named("namesake")
	twin.URI, namesake.Authorization.Merchant = "https://fine.example", "fine"
	for name, tt := range map[string]struct {
		p    provider.Provider
		want string
	}{
		"configured": {named("shop"), "configuration"}, "default": {named("default"), "configuration"},
		"URI of a configured one": {same, "uri: "}, "URI of a stored one": {twin, "uri: "}, "merchant of another": {namesake, "authorization.merchant: "},
		"faulty": {faulty, "profile: "}, "new": {named("new"), ""}, "as it is": {named("fine"), ""},
	} {
		err := d.Admit(t.Context(), tt.p)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestNewDirectoryReportsAll(t *testing.T) {
	t.Parallel()
	twin := named("twin")
	twin.URI = "https://default.example"
	_, err := provider.NewDirectory(provider.Options{
		Default: named(provider.DefaultID), Configured: []provider.Provider{named("a"), named("a"), twin, {ID: "B"}},
	})
	for _, want := range []string{`provider "a": id: `, `provider "twin": uri: `, `provider "B": id: `} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestDirectoryFromManyGoroutines(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	s.set(nil, named("a"))
	d := newDirectory(t, s)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for range 200 {
				if p, err := d.ByID(t.Context(), "a"); err != nil || p.ID != "a" {
					t.Errorf("%v, %v", p, err)
				}
				if i == 0 {
					s.pass(time.Second)
				}
			}
		})
	}
	group.Wait()
	if s.reads > 60 {
		t.Errorf("%d reads in 200 seconds", s.reads)
	}
}
