package provider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/wire"
)

// Refusals, wrapped with what they are about.
var (
	ErrUnknown  = errors.New("unknown provider")
	ErrReserved = errors.New("provider is in the configuration of the server")
)

// A Source has the providers that are stored.
type Source interface {
	Providers(ctx context.Context) ([]Provider, error)
}

// Options say which providers there are.
type Options struct {
	Default    Provider   // whose everything is that is nobody else's; its ID is DefaultID
	Configured []Provider // others of the configuration
	Stored     Source     // those that are added while the server runs; nil for none
	Now        func() time.Time
	Log        *slog.Logger // of stored providers that are left out; nil for none
}

// staleAfter is how long another replica may take to see what was stored.
const staleAfter = 5 * time.Second

// A Directory finds providers. Those of the configuration come before those that
// are stored: a stored one with the identifier or the URI of another one is left
// out, and so is one with faults.
//
// It keeps in memory what is stored and reads it again every few seconds, so
// that looking up costs nothing and replicas follow one another. As long as that
// fails, what was read last stays in force. A provider that did not change stays
// the same pointer. It is safe for concurrent use.
type Directory struct {
	o       Options
	fixed   []*entry
	now     atomic.Pointer[snapshot]
	reading sync.Mutex // held from asking the source to keeping its answer, so that none overtakes a later one
}

// An entry is a provider.
type entry struct {
	written Provider  // as it was given
	whole   *Provider // with what the default provider adds
	stored  bool
}

func (e *entry) source() string {
	if e.stored {
		return FromDatabase
	}
	return FromConfiguration
}

// A snapshot is what is known at a time.
type snapshot struct {
	at         time.Time
	list       []*entry // by identifier, the default one first
	byID       map[string]*entry
	byURI      map[string]*entry
	byMerchant map[string]*entry
	out        string // what was left out, and why
}

// NewDirectory checks the providers of the configuration, and returns all of
// their faults, each under the identifier of its provider.
func NewDirectory(o Options) (*Directory, error) {
	d := &Directory{o: o}
	if o.Default.Renewal == nil {
		o.Default.Renewal = &Renewal{}
	}
	base := &entry{written: o.Default, whole: &o.Default}
	s := newSnapshot(time.Time{})
	var faults []error
	for i, p := range append([]Provider{o.Default}, o.Configured...) {
		e := base
		if i > 0 {
			e = &entry{written: p, whole: p.over(base.whole)}
		}
		if err := s.add(e); err != nil {
			faults = append(faults, fmt.Errorf("provider %q: %w", p.ID, err))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	d.fixed = slices.Clone(s.list)
	s.sort()
	d.now.Store(s)
	return d, nil
}

func newSnapshot(at time.Time) *snapshot {
	return &snapshot{at: at, byID: map[string]*entry{}, byURI: map[string]*entry{}, byMerchant: map[string]*entry{}}
}

// add takes in a provider that is in order and no other one.
func (s *snapshot) add(e *entry) error {
	if err := e.written.Check(); err != nil {
		return err
	}
	if _, taken := s.byID[e.whole.ID]; taken {
		return fmt.Errorf("id: %q is that of another provider", e.whole.ID)
	}
	if other, taken := s.byURI[e.whole.URI]; taken {
		return fmt.Errorf("uri: %q is that of provider %q", e.whole.URI, other.whole.ID)
	}
	if other, taken := s.byMerchant[e.whole.Merchant()]; taken {
		return fmt.Errorf("authorization.merchant: %q is what tokens call provider %q", e.whole.Merchant(), other.whole.ID)
	}
	s.put(e)
	return nil
}

func (s *snapshot) put(e *entry) {
	p := e.whole
	s.byID[p.ID], s.byURI[p.URI], s.byMerchant[p.Merchant()] = e, e, e
	s.list = append(s.list, e)
}

func (s *snapshot) sort() {
	slices.SortFunc(s.list[1:], func(a, b *entry) int { return strings.Compare(a.whole.ID, b.whole.ID) })
}

// Default returns the provider of what is nobody else's.
func (d *Directory) Default() *Provider { return d.fixed[0].whole }

// Whole returns a provider with what the default one adds to it, as look-ups do.
func (d *Directory) Whole(p Provider) *Provider { return p.over(d.Default()) }

// ByID returns the provider with an identifier. The error is ErrUnknown, or that
// of the source as long as nothing could be read from it.
func (d *Directory) ByID(ctx context.Context, id string) (*Provider, error) {
	return d.find(ctx, id, func(s *snapshot) *entry { return s.byID[id] })
}

// ByURI returns the provider with a URI, with the errors of ByID.
func (d *Directory) ByURI(ctx context.Context, uri string) (*Provider, error) {
	return d.find(ctx, uri, func(s *snapshot) *entry { return s.byURI[uri] })
}

// ByMerchant returns the provider that tokens call so, with the errors of ByID.
func (d *Directory) ByMerchant(ctx context.Context, name string) (*Provider, error) {
	return d.find(ctx, name, func(s *snapshot) *entry { return s.byMerchant[name] })
}

// Several reports whether there is more than one provider.
func (d *Directory) Several(ctx context.Context) (bool, error) {
	s, err := d.current(ctx)
	if err != nil {
		return false, err
	}
	return len(s.list) > 1, nil
}

// Configured returns the providers of the configuration, the default one first.
func (d *Directory) Configured() []*Provider {
	list := make([]*Provider, len(d.fixed))
	for i, e := range d.fixed {
		list[i] = e.whole
	}
	return list
}

func (d *Directory) find(ctx context.Context, name string, in func(*snapshot) *entry) (*Provider, error) {
	s, err := d.current(ctx)
	if err != nil {
		return nil, err
	}
	if e := in(s); e != nil {
		return e.whole, nil
	}
	return nil, fmt.Errorf("%w %q", ErrUnknown, name)
}

// Where a provider is set up.
const (
	FromConfiguration = "configuration"
	FromDatabase      = "database"
)

// A Listed is a provider as it was written, and where.
type Listed struct {
	Provider
	Source string `json:"source,omitempty"` // FromConfiguration or FromDatabase
}

// ParseListed is Parse for what may be a provider as it was listed. Where it came
// from is of no matter.
func ParseListed(data []byte) (Provider, error) {
	var p Listed
	err := api.Decode(bytes.NewReader(data), &p)
	return p.Provider, err
}

// List returns all providers, the default one first and the others by their
// identifiers.
func (d *Directory) List(ctx context.Context) ([]Listed, error) {
	s, err := d.current(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Listed, len(s.list))
	for i, e := range s.list {
		list[i] = Listed{e.written, e.source()}
	}
	return list, nil
}

// Reserved returns ErrReserved for the identifier of a provider of the
// configuration, which cannot be stored.
func (d *Directory) Reserved(id string) error {
	if slices.ContainsFunc(d.fixed, func(e *entry) bool { return e.whole.ID == id }) {
		return fmt.Errorf("%w: %q", ErrReserved, id)
	}
	return nil
}

// Admit reports why a provider could not be stored: its faults, ErrReserved, and
// what another provider has already.
func (d *Directory) Admit(ctx context.Context, p Provider) error {
	if err := p.Check(); err != nil {
		return err
	}
	if err := d.Reserved(p.ID); err != nil {
		return err
	}
	if err := d.Refresh(ctx); err != nil {
		return err
	}
	var faults wire.Faults
	s := d.now.Load()
	if e := s.byURI[p.URI]; e != nil && e.whole.ID != p.ID {
		faults.Add("uri", "is that of another provider")
	}
	if e := s.byMerchant[p.Merchant()]; e != nil && e.whole.ID != p.ID {
		faults.Add("authorization.merchant", "is what tokens call another provider")
	}
	return faults.Err()
}

// Refresh reads what is stored, such as after it was changed.
func (d *Directory) Refresh(ctx context.Context) error {
	if d.o.Stored == nil {
		return nil
	}
	d.reading.Lock()
	defer d.reading.Unlock()
	return d.read(ctx)
}

// current returns what is known, and has it read again if it is old. The first
// to notice does so, the others go on with what there is.
func (d *Directory) current(ctx context.Context) (*snapshot, error) {
	s := d.now.Load()
	if d.o.Stored == nil {
		return s, nil
	}
	fresh := func(s *snapshot) bool {
		age := d.o.Now().Sub(s.at)
		return age >= 0 && age < staleAfter
	}
	switch {
	case fresh(s):
		return s, nil
	case s.at.IsZero(): // nothing was read so far: there is nothing to go on with
		d.reading.Lock()
	case !d.reading.TryLock():
		return s, nil
	}
	defer d.reading.Unlock()
	if s = d.now.Load(); fresh(s) {
		return s, nil
	}
	return d.reread(ctx, s)
}

// reread reads what is stored, or makes do with what there is.
func (d *Directory) reread(ctx context.Context, s *snapshot) (*snapshot, error) {
	err := d.read(ctx)
	switch {
	case err == nil:
		return d.now.Load(), nil
	case s.at.IsZero():
		return nil, err
	}
	if d.o.Log != nil {
		d.o.Log.WarnContext(ctx, "providers not read again", "err", err)
	}
	kept := *s
	kept.at = d.o.Now()
	d.now.Store(&kept)
	return &kept, nil
}

// read is for the one that holds the lock.
func (d *Directory) read(ctx context.Context) error {
	at := d.o.Now()
	stored, err := d.o.Stored.Providers(ctx)
	if err != nil {
		return fmt.Errorf("read the providers: %w", err)
	}
	last := d.now.Load()
	s := newSnapshot(at)
	for _, e := range d.fixed {
		s.put(e)
	}
	var out []string
	for _, p := range stored {
		if err := s.add(d.entry(last, p)); err != nil {
			out = append(out, fmt.Sprintf("provider %q: %v", p.ID, err))
		}
	}
	s.sort()
	s.out = strings.Join(out, "\n")
	if s.out != last.out && s.out != "" && d.o.Log != nil {
		d.o.Log.WarnContext(ctx, "stored providers left out", "why", s.out)
	}
	d.now.Store(s)
	return nil
}

// entry returns the one that there is if the provider is as before.
func (d *Directory) entry(last *snapshot, p Provider) *entry {
	if e := last.byID[p.ID]; e != nil && e.stored && reflect.DeepEqual(e.written, p) {
		return e
	}
	return &entry{written: p, whole: p.over(d.Default()), stored: true}
}
