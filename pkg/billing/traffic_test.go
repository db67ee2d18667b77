package billing_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/billing"
	"github.com/lcp-tools/lcp/pkg/keyring"
	"github.com/lcp-tools/lcp/pkg/metering"
	"github.com/lcp-tools/lcp/pkg/store"
)

// The origins of the traffic. One is approved by the end of a review, one is
// blocked after a while, and one is blocked from the beginning.
const (
	home     = metering.Origin("https://reader.example.org")
	campus   = metering.Origin("https://a.campus.example")
	library  = metering.Origin("https://b.books.campus.example")
	reviewed = metering.Origin("https://new.example")
	rejected = metering.Origin("https://copy.example")
	closed   = metering.Origin("https://closed.example")
)

var begin = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// A delivery is what reaches the server at one time, from one place.
type delivery struct {
	at     time.Time
	origin metering.Origin
	events []metering.Event
}

// traffic is two months of it, always the same for a seed, in the order in which
// it reaches the server.
func traffic(seed uint64) []delivery {
	r := rand.New(rand.NewPCG(seed, 7))
	places := []metering.Origin{home, home, home, campus, campus, library, reviewed, rejected, closed, metering.Native}
	var all []delivery
	id := 0
	event := func(at time.Time) metering.Event {
		id++
		return metering.Event{
			ID: fmt.Sprintf("event-%d", id), User: fmt.Sprintf("user %d", r.IntN(25)), Publication: fmt.Sprintf("book %d", r.IntN(6)),
			Device: fmt.Sprintf("device %d", r.IntN(3)), At: at, ActiveSeconds: r.Int64N(120),
		}
	}
	for range 4000 {
		now := begin.Add(time.Duration(r.Int64N(int64(59*24*time.Hour)/int64(time.Second))) * time.Second)
		d := delivery{at: now, origin: places[r.IntN(len(places))]}
		switch kind := r.IntN(10); {
		case kind < 5: // online, with a clock that is not quite right, or a connection that is slow
			d.events = append(d.events, event(now.Add(time.Duration(r.IntN(55)-50)*time.Minute)))
		case kind < 7: // twice in a few seconds
			first := event(now.Add(-time.Duration(r.IntN(40)) * time.Second))
			second := first
			second.ID, second.At = first.ID+"-again", now
			d.events = append(d.events, first, second)
		case kind < 8: // the answer was lost, and it is sent again
			e := event(now)
			d.events = append(d.events, e)
			all = append(all, delivery{at: now.Add(10 * time.Second), origin: d.origin, events: []metering.Event{e}})
		case kind < 9: // kept while there was no connection, in no order
			for range 1 + r.IntN(8) {
				e := event(now.Add(-time.Duration(r.IntN(29*24*60)) * time.Minute))
				e.Offline = true
				d.events = append(d.events, e)
			}
		default: // not to be counted
			bad := []metering.Event{event(now.Add(6 * time.Minute)), event(now.Add(-2 * time.Hour)), event(now)}
			bad[2].ActiveSeconds = -1
			d.events = append(d.events, bad...)
		}
		all = append(all, d)
	}
	slices.SortStableFunc(all, func(a, b delivery) int { return a.at.Compare(b.at) })
	return all
}

// line is where the reference adds up figures.
type line struct {
	month, of   metering.Month
	group, book string
}

// reference computes the bill in its own, slow way: it looks through everything
// for every event.
type reference struct {
	now      time.Time
	open     metering.Month // the first that is not closed
	figures  map[line]*metering.Usage
	users    map[string]bool
	sessions map[string][]*refSession // by user, book and origin
	done     map[string]bool          // events
	state    map[metering.Origin]string
	told     map[metering.Origin]time.Time
	clicks   map[string][]time.Time // by user and book
}

type refSession struct {
	origin metering.Origin
	book   string
	first  time.Time
	begun  time.Time // zero: not yet
	total  int64
	held   bool
}

const day = 24 * time.Hour

func (s *refSession) end() time.Time {
	if s.begun.IsZero() {
		return s.first.Add(day)
	}
	return s.begun.Add(day)
}

func (f *reference) at(of metering.Month, o metering.Origin, book string) *metering.Usage {
	month := of
	if of < f.open {
		month = metering.MonthOf(f.now)
	}
	group := string(o)
	if o == campus || o == library {
		group = "Campus"
	}
	k := line{month, of, group, book}
	if f.figures[k] == nil {
		f.figures[k] = &metering.Usage{}
	}
	return f.figures[k]
}

// daily is what happens every midnight.
func (f *reference) daily() {
	for o, told := range f.told {
		switch {
		case told.IsZero():
			f.told[o] = f.now
		case f.state[o] == "pending" && !f.now.Before(told.Add(15*day)):
			f.decide(o, "approved")
		}
	}
	if f.now.Day() >= 5 {
		f.open = max(f.open, metering.MonthOf(f.now))
	}
}

func (f *reference) decide(o metering.Origin, state string) {
	f.state[o] = state
	for _, list := range f.sessions {
		for _, s := range list {
			if s.origin != o || !s.held {
				continue
			}
			s.held = false
			u := f.at(metering.MonthOf(s.begun), o, s.book)
			u.Held--
			if state == "approved" {
				u.Billable++
			} else {
				u.Unbilled++
			}
		}
	}
}

func (f *reference) take(d delivery) {
	events := slices.Clone(d.events)
	slices.SortStableFunc(events, func(a, b metering.Event) int { return a.At.Compare(b.At) })
	for _, e := range events {
		age := f.now.Sub(e.At)
		if e.ActiveSeconds < 0 || age < -5*time.Minute || !e.Offline && age > time.Hour || age > 30*day+time.Hour || f.done[e.ID] {
			continue
		}
		f.done[e.ID] = true
		if e.At.After(f.now) {
			e.At = f.now
		}
		f.count(e, d.origin)
	}
}

func (f *reference) count(e metering.Event, o metering.Origin) {
	if f.state[o] == "" {
		f.state[o], f.told[o] = "pending", time.Time{}
	}
	of := metering.MonthOf(e.At)
	if f.state[o] == "blocked" {
		f.at(of, o, e.Publication).Blocked++
		return
	}
	key := e.User + "/" + e.Publication + "/" + string(o)
	s := f.find(key, e.At)
	if s == nil {
		s = &refSession{origin: o, book: e.Publication, first: e.At}
		f.sessions[key] = append(f.sessions[key], s)
	}
	s.total += e.ActiveSeconds
	offline := int64(0)
	if e.Offline {
		offline = 1
	}
	switch {
	case !s.begun.IsZero():
		u := f.at(of, o, e.Publication)
		u.Continued++
		u.Offline += offline
		u.ActiveSeconds += e.ActiveSeconds
	case s.total < 60:
		return
	default:
		s.begun = e.At
		if s.first.After(e.At) {
			s.begun = s.first
		}
		of = metering.MonthOf(s.begun)
		u := f.at(of, o, e.Publication)
		u.Started++
		u.Offline += offline
		u.ActiveSeconds += s.total
		if s.held = f.state[o] == "pending"; s.held {
			u.Held++
		} else {
			u.Billable++
		}
		group := "own"
		if o != campus && o != library {
			group = string(o)
		}
		if user := fmt.Sprint(e.User, "/", e.Publication, "/", group, "/", of); !f.users[user] {
			f.users[user] = true
			u.UniqueUsers++
		}
	}
	who := e.User + "/" + e.Publication
	f.clicks[who] = append(f.clicks[who], e.At)
}

// find returns the session that an instant belongs to: the earliest that runs then,
// or else the earliest that begins within a day after.
func (f *reference) find(key string, at time.Time) *refSession {
	var running, next *refSession
	for _, s := range f.sessions[key] {
		if !at.Before(s.first) && at.Before(s.end()) && (running == nil || s.first.Before(running.first)) {
			running = s
		}
		if at.Before(s.first) && s.first.Before(at.Add(day)) && (next == nil || s.first.Before(next.first)) {
			next = s
		}
	}
	if running != nil {
		return running
	}
	return next
}

// titles counts what COUNTER wants: by book and month, total and unique.
func (f *reference) titles() map[string]map[metering.Month][2]int64 {
	out := map[string]map[metering.Month][2]int64{}
	for who, times := range f.clicks {
		_, book, _ := cut(who)
		if out[book] == nil {
			out[book] = map[metering.Month][2]int64{}
		}
		slices.SortFunc(times, time.Time.Compare)
		hours := map[time.Time]bool{}
		for i, at := range times {
			n := out[book][metering.MonthOf(at)]
			if i+1 == len(times) || times[i+1].Sub(at) > 30*time.Second {
				n[0]++
			}
			if h := at.Truncate(time.Hour); !hours[h] {
				hours[h] = true
				n[1]++
			}
			out[book][metering.MonthOf(at)] = n
		}
	}
	return out
}

func cut(who string) (user, book string, ok bool) {
	for i := range who {
		if who[i] == '/' {
			return who[:i], who[i+1:], true
		}
	}
	return who, "", false
}

// Two months of traffic give exactly the bill that a small reference computes.
func TestTwoMonths(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{1, 2} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			testTraffic(t, traffic(seed))
		})
	}
}

func testTraffic(t *testing.T, all []delivery) {
	now := begin
	s := openStore(t, &now)
	m, ctx := s.Meter(), t.Context()
	k := store.LicenseKey{Name: "Nevermore Academy", Agreement: metering.DefaultAgreement()}
	k.Policy = metering.Review
	k, err := m.CreateLicenseKey(ctx, k)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []metering.Rule{
		{Pattern: metering.Pattern(home), State: metering.Approved},
		{Pattern: "https://*.campus.example", State: metering.Approved, Group: "Campus"},
		{Pattern: metering.Pattern(closed), State: metering.Blocked},
	} {
		if err := m.Decide(ctx, k.Key, r, "test"); err != nil {
			t.Fatal(err)
		}
	}
	f := &reference{
		open: k.OpenMonth, figures: map[line]*metering.Usage{}, users: map[string]bool{}, sessions: map[string][]*refSession{},
		done: map[string]bool{}, told: map[metering.Origin]time.Time{}, clicks: map[string][]time.Time{},
		state: map[metering.Origin]string{
			home: "approved", campus: "approved", library: "approved", metering.Native: "approved", closed: "blocked",
		},
	}
	books := &billing.Bookkeeper{
		Meter: m, Retention: 400 * day, CloseDay: 5, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}
	midnight, block := begin, begin.Add(10*day+time.Minute)
	for _, d := range all {
		for ; !d.at.Before(midnight); midnight = midnight.Add(day) {
			now, f.now = midnight, midnight
			if err := books.Round(ctx); err != nil {
				t.Fatal(err)
			}
			f.daily()
		}
		if !block.IsZero() && d.at.After(block) {
			now, f.now = block, block
			if err := m.Decide(ctx, k.Key, metering.Rule{Pattern: metering.Pattern(rejected), State: metering.Blocked}, "test"); err != nil {
				t.Fatal(err)
			}
			f.decide(rejected, "blocked")
			block = time.Time{}
		}
		now, f.now = d.at, d.at
		if _, err := m.Record(ctx, store.Submission{LicenseKey: k.Key, Origin: d.origin, Events: d.events}); err != nil {
			t.Fatal(err)
		}
		f.take(d)
	}
	compareBills(ctx, t, m, k.Key, f)
}

func openStore(t *testing.T, now *time.Time) *store.Store {
	t.Helper()
	keys, err := keyring.New(keyring.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{
		DSN: filepath.Join(t.TempDir(), "lcp.db"), Keyring: keys, Now: func() time.Time { return *now }, Migrate: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func compareBills(ctx context.Context, t *testing.T, m *store.Meter, key string, f *reference) {
	t.Helper()
	from, to := metering.MonthOf(begin)-2, metering.MonthOf(begin)+3
	rows, err := m.Usage(ctx, store.UsageFilter{LicenseKey: key, From: from, To: to, Grouping: metering.Grouping{Origin: true, Publication: true}})
	if err != nil {
		t.Fatal(err)
	}
	got, want := map[line]metering.Usage{}, map[line]metering.Usage{}
	var total metering.Usage
	adjusted := 0
	for _, r := range rows {
		of := r.Month
		if r.Adjusts != nil {
			of = *r.Adjusts
			adjusted++
		}
		got[line{r.Month, of, r.OriginGroup, r.Publication}] = r.Usage
		total.Billable += r.Billable
		total.Held += r.Held
		total.Unbilled += r.Unbilled
		total.Blocked += r.Blocked
	}
	for k, u := range f.figures {
		want[k] = *u
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bill (-reference +lcp):\n%s", diff)
	}
	if total.Billable < 500 || total.Blocked < 100 || total.Unbilled < 10 || adjusted < 10 {
		t.Errorf("the traffic tests little: %+v, %d adjustments", total, adjusted)
	}
	_, use, err := m.TitleUse(ctx, key, from, to)
	if err != nil {
		t.Fatal(err)
	}
	titles := map[string]map[metering.Month][2]int64{}
	for book, p := range use {
		titles[book] = map[metering.Month][2]int64{}
		for month, n := range p.TotalItemRequests {
			titles[book][month] = [2]int64{n, p.UniqueTitleRequests[month]}
		}
	}
	if diff := cmp.Diff(f.titles(), titles); diff != "" {
		t.Errorf("COUNTER (-reference +lcp):\n%s", diff)
	}
}
