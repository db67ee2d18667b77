package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/metering"
	"github.com/lcp-tools/lcp/pkg/store"
)

const site = metering.Origin("https://reader.example.org")

// newKey makes a license key with an approved site.
func newKey(t *testing.T, s *store.Store, policy metering.Policy) store.LicenseKey {
	t.Helper()
	k := store.LicenseKey{Name: "Nevermore Academy", Agreement: metering.DefaultAgreement()}
	k.Policy = policy
	k, err := s.Meter().CreateLicenseKey(t.Context(), k)
	if err == nil {
		err = s.Meter().Decide(t.Context(), k.Key, metering.Rule{Pattern: metering.Pattern(site), State: metering.Approved}, "test")
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// reads is a minute of active use.
func reads(user, publication string, at time.Time) metering.Event {
	return metering.Event{ID: "event-" + rand.Text(), User: user, Publication: publication, Device: "phone", At: at, ActiveSeconds: 60}
}

func record(t *testing.T, s *store.Store, key string, o metering.Origin, events ...metering.Event) []store.Outcome {
	t.Helper()
	got, err := s.Meter().Record(t.Context(), store.Submission{LicenseKey: key, Origin: o, Events: events})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// usage is the sum of a report.
func usage(t *testing.T, s *store.Store, key string, g metering.Grouping) (total metering.Usage, rows []metering.Row) {
	t.Helper()
	m := metering.MonthOf(epoch)
	rows, err := s.Meter().Usage(t.Context(), store.UsageFilter{LicenseKey: key, From: m - 3, To: m + 6, Grouping: g})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		total.Started += r.Started
		total.Continued += r.Continued
		total.Offline += r.Offline
		total.Blocked += r.Blocked
		total.Held += r.Held
		total.Unbilled += r.Unbilled
		total.UniqueUsers += r.UniqueUsers
		total.ActiveSeconds += r.ActiveSeconds
		total.Billable += r.Billable
	}
	return total, rows
}

func wantUsage(t *testing.T, s *store.Store, key, what string, want metering.Usage) {
	t.Helper()
	if got, _ := usage(t, s, key, metering.Grouping{}); got != want {
		t.Errorf("%s: usage is %+v, want %+v", what, got, want)
	}
}

func wantStatus(t *testing.T, what string, got store.Outcome, status metering.Status, reason string) {
	t.Helper()
	if got.Status != status || got.Reason != reason || got.Err != nil {
		t.Errorf("%s: %+v, want %s %s", what, got, status, reason)
	}
}

func testReadingSessions(t *testing.T, impl Implementation) {
	db, now := impl.New(t), epoch
	s := at(t, db.DSN, &now)
	k := newKey(t, s, metering.Block)
	short := reads("ann", "book", now)
	short.ActiveSeconds = 20
	first := record(t, s, k.Key, site, short)[0]
	wantStatus(t, "20 seconds", first, metering.Waiting, "")
	if first.SessionID != "" || first.OfflineUntil.IsZero() {
		t.Errorf("20 seconds: %+v", first)
	}
	now = now.Add(time.Minute)
	begin := reads("ann", "book", now)
	started := record(t, s, k.Key, site, begin)[0]
	wantStatus(t, "a minute later", started, metering.Started, "")
	if until := now.Add(24 * time.Hour); !started.ValidUntil.Equal(until) || started.SessionID == "" {
		t.Errorf("session %q until %s, want %s", started.SessionID, started.ValidUntil, until)
	}
	now = now.Add(time.Hour)
	again := record(t, s, k.Key, site, begin)[0]
	wantStatus(t, "the same event", again, metering.Started, "")
	if again.SessionID != started.SessionID || !again.ValidUntil.Equal(started.ValidUntil) {
		t.Errorf("the same event: %+v, want %+v", again, started)
	}
	begin.ActiveSeconds++
	if got := record(t, s, k.Key, site, begin)[0]; !errors.Is(got.Err, store.ErrOtherEvent) {
		t.Errorf("other content: %+v", got)
	}
	more := record(t, s, k.Key, site, reads("ann", "book", now), reads("ann", "other", now), reads("ben", "book", now), reads("", "book", now))
	wantStatus(t, "same book", more[0], metering.Continued, "")
	wantStatus(t, "other book", more[1], metering.Started, "")
	wantStatus(t, "other user", more[2], metering.Started, "")
	if fault, ok := errors.AsType[*metering.FieldError](more[3].Err); !ok || fault.Field != "userToken" {
		t.Errorf("no user: %+v", more[3])
	}
	wantStatus(t, "unknown origin", record(t, s, k.Key, "https://elsewhere.example", reads("ann", "book", now))[0], metering.Refused, metering.ReasonUnknown)
	now = now.Add(23 * time.Hour)
	wantStatus(t, "the day after", record(t, s, k.Key, site, reads("ann", "book", now))[0], metering.Started, "")
	wantUsage(t, s, k.Key, "in all", metering.Usage{Started: 4, Continued: 1, Blocked: 1, UniqueUsers: 2, ActiveSeconds: 320, Billable: 4})
	_, rows := usage(t, s, k.Key, metering.Grouping{Origin: true, Publication: true})
	if len(rows) != 3 || rows[1].OriginGroup != string(site) || rows[1].Publication != "book" || rows[1].UniqueUsers != 2 || rows[1].Started != 3 {
		t.Errorf("rows %+v", rows)
	}
	if db.Files != nil {
		for _, path := range db.Files() {
			if data, err := os.ReadFile(path); err != nil || bytes.Contains(data, []byte("ann")) || bytes.Contains(data, []byte("phone")) {
				t.Errorf("%s: %v, or it holds a token in clear", path, err)
			}
		}
	}
}

// Whatever starts at the same time is one session.
func testOneReadingSession(t *testing.T, impl Implementation) {
	db, now := impl.New(t), epoch
	replicas := []*store.Store{at(t, db.DSN, &now), at(t, db.DSN, &now)}
	k := newKey(t, replicas[0], metering.Block)
	var started atomic.Int64
	var ids sync.Map
	err := parallel(t.Context(), 50, func(ctx context.Context, n int) error {
		e := reads("ann", "book", epoch)
		e.Device = "device " + strconv.Itoa(n)
		got, err := replicas[n%2].Meter().Record(ctx, store.Submission{LicenseKey: k.Key, Origin: site, Events: []metering.Event{e}})
		if err != nil {
			return err
		}
		if got[0].Status == metering.Started {
			started.Add(1)
		}
		ids.Store(got[0].SessionID, true)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sessions := 0
	ids.Range(func(any, any) bool { sessions++; return true })
	total, _ := usage(t, replicas[0], k.Key, metering.Grouping{})
	if started.Load() != 1 || sessions != 1 || total.Started != 1 || total.UniqueUsers != 1 || total.Started+total.Continued != 50 {
		t.Errorf("%d started in %d sessions, %+v, want one", started.Load(), sessions, total)
	}
}

func testReview(t *testing.T, impl Implementation) {
	now := epoch
	s := at(t, impl.New(t).DSN, &now)
	m, ctx := s.Meter(), t.Context()
	k := newKey(t, s, metering.Review)
	const a, b, c = metering.Origin("https://a.unknown.example"), metering.Origin("https://b.unknown.example"), metering.Origin("https://c.unknown.example")
	for _, o := range []metering.Origin{a, b, c} {
		wantStatus(t, string(o), record(t, s, k.Key, o, reads("ann", "book", now))[0], metering.Started, "")
	}
	wantUsage(t, s, k.Key, "held", metering.Usage{Started: 3, Held: 3, UniqueUsers: 1, ActiveSeconds: 180})
	notices, err := m.DueNotices(ctx, time.Minute, 10)
	if err != nil || len(notices) != 3 || notices[0].Kind != store.NoticePending || !bytes.Contains(notices[0].Body, []byte(a)) {
		t.Fatalf("notices %+v, %v", notices, err)
	}
	if others, err := m.DueNotices(ctx, time.Minute, 10); err != nil || len(others) != 0 {
		t.Errorf("another replica is given %+v, %v", others, err)
	}
	for _, n := range notices {
		if err := m.EndNotice(ctx, &n, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Decide(ctx, k.Key, metering.Rule{Pattern: metering.Pattern(b), State: metering.Blocked}, "Jane"); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, "blocked", record(t, s, k.Key, b, reads("ann", "book", now))[0], metering.Refused, metering.ReasonBlocked)
	wantUsage(t, s, k.Key, "one is blocked", metering.Usage{Started: 3, Blocked: 1, Held: 2, Unbilled: 1, UniqueUsers: 1, ActiveSeconds: 180})
	if err := m.Decide(ctx, k.Key, metering.Rule{Pattern: "https://*.unknown.example", State: metering.Approved, Group: "Unknown"}, "Jane"); err != nil {
		t.Fatal(err)
	}
	wantUsage(t, s, k.Key, "all others are approved", metering.Usage{Started: 3, Blocked: 1, Unbilled: 1, UniqueUsers: 1, ActiveSeconds: 180, Billable: 2})
	if err := m.Forget(ctx, k.Key, "https://*.unknown.example"); err != nil {
		t.Fatal(err)
	}
	wantError(t, "rule again", m.Forget(ctx, k.Key, "https://*.unknown.example"), store.ErrNotFound)
	list, err := m.Origins(ctx, k.Key, metering.Pending)
	if err != nil || len(list) != 2 || list[0].Pattern != metering.Pattern(a) || !list[0].ReviewUntil.IsZero() {
		t.Errorf("pending %+v, %v", list, err)
	}
}

// The clock of a review begins when the holder was told.
func testReviewEnds(t *testing.T, impl Implementation) {
	now := epoch
	s := at(t, impl.New(t).DSN, &now)
	m, ctx := s.Meter(), t.Context()
	k := newKey(t, s, metering.Review)
	const o = metering.Origin("https://unknown.example")
	record(t, s, k.Key, o, reads("ann", "book", now))
	endReviews := func(want int) {
		t.Helper()
		if done, err := m.EndReviews(ctx); err != nil || len(done) != want {
			t.Errorf("%s: %d reviews end, %v, want %d", now, len(done), err, want)
		}
	}
	now = epoch.Add(2 * 24 * time.Hour)
	notices, err := m.DueNotices(ctx, time.Minute, 10)
	if err != nil || len(notices) != 1 {
		t.Fatalf("notices %v, %v", notices, err)
	}
	if err := m.RetryNotice(ctx, &notices[0], now.Add(time.Hour), "connection refused"); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if notices, err = m.DueNotices(ctx, time.Minute, 10); err != nil || len(notices) != 1 || notices[0].Attempts != 1 {
		t.Fatalf("notices %v, %v", notices, err)
	}
	if err := m.EndNotice(ctx, &notices[0], ""); err != nil {
		t.Fatal(err)
	}
	now = now.Add(15*24*time.Hour - time.Millisecond)
	endReviews(0)
	now = now.Add(time.Millisecond)
	endReviews(1)
	endReviews(0)
	wantUsage(t, s, k.Key, "after the review", metering.Usage{Started: 1, UniqueUsers: 1, ActiveSeconds: 60, Billable: 1})
	wantStatus(t, "after the review", record(t, s, k.Key, o, reads("ben", "book", now))[0], metering.Started, "")
	wantUsage(t, s, k.Key, "later", metering.Usage{Started: 2, UniqueUsers: 2, ActiveSeconds: 120, Billable: 2})
}

func testBlockedStreak(t *testing.T, impl Implementation) {
	now := epoch
	s := at(t, impl.New(t).DSN, &now)
	m := s.Meter()
	k := newKey(t, s, metering.Block)
	told := func() (n int) {
		notices, err := m.DueNotices(t.Context(), time.Hour, 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(notices)
	}
	block := func() { record(t, s, k.Key, "https://unknown.example", reads("ann", "book", now)) }
	block()
	now = now.Add(20 * 24 * time.Hour)
	record(t, s, k.Key, site, reads("ann", "book", now)) // a break
	block()
	now = now.Add(20 * 24 * time.Hour)
	block()
	if n := told(); n != 0 {
		t.Errorf("told %d times after 20 days", n)
	}
	now = now.Add(10*24*time.Hour + time.Second)
	block()
	block()
	if n := told(); n != 1 {
		t.Errorf("told %d times after 30 days, want once", n)
	}
	now = now.Add(40 * 24 * time.Hour)
	block()
	if n := told(); n != 1 {
		t.Errorf("told %d times, of which one has to be delivered again, want once", n)
	}
}

func testCloseMonth(t *testing.T, impl Implementation) {
	now := epoch // in May
	s := at(t, impl.New(t).DSN, &now)
	m, ctx := s.Meter(), t.Context()
	k := newKey(t, s, metering.Review)
	const held = metering.Origin("https://unknown.example")
	record(t, s, k.Key, site, reads("ann", "book", now))
	record(t, s, k.Key, held, reads("ann", "book", now))
	may := metering.MonthOf(now)
	_, err := m.CloseMonth(ctx, k.Key, may)
	wantError(t, "this month", err, store.ErrMonthOpen)
	now = time.Date(2030, 6, 5, 0, 0, 0, 0, time.UTC)
	for _, want := range []bool{true, false} {
		if closed, err := m.CloseMonth(ctx, k.Key, may); err != nil || closed != want {
			t.Errorf("CloseMonth = %v, %v, want %v", closed, err, want)
		}
	}
	_, before := usage(t, s, k.Key, metering.Grouping{Origin: true, Publication: true})
	late := reads("ben", "book", time.Date(2030, 5, 31, 20, 0, 0, 0, time.UTC))
	late.Offline = true
	wantStatus(t, "late", record(t, s, k.Key, site, late)[0], metering.Started, "")
	if err := m.Decide(ctx, k.Key, metering.Rule{Pattern: metering.Pattern(held), State: metering.Approved}, "Jane"); err != nil {
		t.Fatal(err)
	}
	_, after := usage(t, s, k.Key, metering.Grouping{Origin: true, Publication: true})
	if d := diff(after[:len(before)], before); d != "" {
		t.Errorf("a closed month has changed (-want +got):\n%s", d)
	}
	row := func(group string, u metering.Usage) metering.Row {
		return metering.Row{
			LicenseKey: k.Key, Customer: k.Name, Month: may + 1, Adjusts: &may, OriginGroup: group, Publication: "book", Usage: u,
		}
	}
	want := []metering.Row{
		row(string(site), metering.Usage{Started: 1, Offline: 1, UniqueUsers: 1, ActiveSeconds: 60, Billable: 1}),
		row(string(held), metering.Usage{Held: -1, Billable: 1}),
	}
	if d := diff(after[len(before):], want); d != "" {
		t.Errorf("adjustments (-want +got):\n%s", d)
	}
}

func testErase(t *testing.T, impl Implementation) {
	db, now := impl.New(t), epoch
	s := at(t, db.DSN, &now)
	m, ctx := s.Meter(), t.Context()
	k := newKey(t, s, metering.Block)
	record(t, s, k.Key, site, reads("ann", "book", now), reads("ben", "book", now))
	before, _ := usage(t, s, k.Key, metering.Grouping{})
	for _, want := range []bool{true, false} {
		if erased, err := m.EraseUser(ctx, k.Key, "ann"); err != nil || erased != want {
			t.Errorf("EraseUser = %v, %v, want %v", erased, err, want)
		}
	}
	if after, _ := usage(t, s, k.Key, metering.Grouping{}); after != before {
		t.Errorf("figures %+v, want %+v", after, before)
	}
	wantStatus(t, "erased", record(t, s, k.Key, site, reads("ann", "book", now))[0], metering.Started, "")
	wantStatus(t, "other", record(t, s, k.Key, site, reads("ben", "book", now))[0], metering.Continued, "")
}

// Users are recognized under the hashes of an older master key, and secrets open.
func testMeterRotation(t *testing.T, impl Implementation) {
	db := impl.New(t)
	s, ctx := open(t, db.DSN), t.Context()
	k := newKey(t, s, metering.Block)
	secret, err := s.Meter().NewAPISecret(ctx, k.Key)
	if err != nil {
		t.Fatal(err)
	}
	first := reads("ann", "book", epoch)
	record(t, s, k.Key, site, first)
	rotated := openKeys(t, db.DSN, otherKey+","+masterKey)
	wantStatus(t, "same event", record(t, rotated, k.Key, site, first)[0], metering.Started, "")
	wantStatus(t, "after rotation", record(t, rotated, k.Key, site, reads("ann", "book", epoch))[0], metering.Continued, "")
	if n, err := rotated.Reseal(ctx); err != nil || n != 2 {
		t.Errorf("Reseal = %d, %v, want 2", n, err)
	}
	alone := openKeys(t, db.DSN, otherKey)
	wantStatus(t, "old key is gone", record(t, alone, k.Key, site, reads("ann", "book", epoch))[0], metering.Continued, "")
	if k, err = alone.Meter().LicenseKey(ctx, k.Key); err != nil {
		t.Fatal(err)
	}
	if got, err := alone.Meter().APISecret(&k); err != nil || got.Reveal() != secret.Reveal() {
		t.Errorf("secret is another one, or %v", err)
	}
}

func testSweep(t *testing.T, impl Implementation) {
	now := epoch
	s := at(t, impl.New(t).DSN, &now)
	m, ctx := s.Meter(), t.Context()
	k := newKey(t, s, metering.Block)
	var events []metering.Event
	for n := range 300 {
		events = append(events, reads(fmt.Sprint("user ", n%30), fmt.Sprint("book ", n%7), now))
	}
	record(t, s, k.Key, site, events...)
	before, _ := usage(t, s, k.Key, metering.Grouping{})
	month := metering.MonthOf(now)
	now = now.AddDate(0, 3, 0)
	record(t, s, k.Key, site, reads("user 1", "book 1", now))
	for from, more := (store.Sweep{}), true; more; {
		var err error
		if from, more, err = m.Sweep(ctx, 60*24*time.Hour, from); err != nil {
			t.Fatal(err)
		}
	}
	_, use, err := m.TitleUse(ctx, k.Key, month, month+3)
	if err != nil || len(use) != 1 || use["book 1"].TotalItemRequests[month+3] != 1 {
		t.Errorf("events that are left: %v, %v", use, err)
	}
	if after, _ := usage(t, s, k.Key, metering.Grouping{}); after.Started != before.Started+1 || after.Billable != before.Billable+1 {
		t.Errorf("figures %+v, were %+v", after, before)
	}
}

func testLicenseKeys(t *testing.T, impl Implementation) {
	db, now := impl.New(t), epoch
	s, replica := at(t, db.DSN, &now), at(t, db.DSN, &now)
	m, ctx := s.Meter(), t.Context()
	k := newKey(t, s, metering.Review)
	got, err := replica.Meter().LicenseKey(ctx, k.Key)
	if err != nil || got.Name != k.Name || got.Agreement != k.Agreement || got.HasAPISecret || !got.CreatedAt.Equal(epoch) {
		t.Errorf("LicenseKey = %+v, %v", got, err)
	}
	if secret, err := m.APISecret(&got); err != nil || !secret.IsZero() {
		t.Errorf("APISecret of a key that has none: %v", err)
	}
	_, err = m.UpdateLicenseKey(ctx, k.Key, func(k *store.LicenseKey) error {
		k.Disabled, k.Validity = true, time.Hour
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = replica.Meter().Record(ctx, store.Submission{LicenseKey: k.Key, Origin: site, Events: []metering.Event{reads("ann", "book", now)}})
	wantError(t, "disabled", err, store.ErrKeyDisabled)
	_, err = m.Record(ctx, store.Submission{LicenseKey: "rs_x", Origin: site})
	wantError(t, "unknown", err, store.ErrNoLicenseKey)
	_, err = m.UpdateLicenseKey(ctx, k.Key, func(k *store.LicenseKey) error { k.Validity = time.Second; return nil })
	wantError(t, "short validity", err, store.ErrInvalid)
	_, err = m.CreateLicenseKey(ctx, store.LicenseKey{Agreement: metering.DefaultAgreement()})
	wantError(t, "no name", err, store.ErrInvalid)

	used := metering.Signature{1}
	other := newKey(t, s, metering.Block)
	for _, want := range []error{nil, metering.ErrReplayed} {
		_, err := replica.Meter().Record(ctx, store.Submission{
			LicenseKey: other.Key, Origin: metering.Native, Signature: &used, Events: []metering.Event{reads("ann", "book", now)},
		})
		if !errors.Is(err, want) {
			t.Errorf("signature: %v, want %v", err, want)
		}
	}
	if list, err := m.LicenseKeys(ctx); err != nil || len(list) != 2 || list[1].Key != other.Key {
		t.Errorf("LicenseKeys = %+v, %v", list, err)
	}
}

func testAdmits(t *testing.T, impl Implementation) {
	now := epoch
	s := at(t, impl.New(t).DSN, &now)
	m, ctx := s.Meter(), t.Context()
	k := newKey(t, s, metering.Block)
	for _, r := range []metering.Rule{
		{Pattern: "https://*.example.org", State: metering.Approved}, {Pattern: "https://bad.example.org", State: metering.Blocked},
	} {
		if err := m.Decide(ctx, k.Key, r, "test"); err != nil {
			t.Fatal(err)
		}
	}
	check := func(o metering.Origin, key string, want bool) {
		t.Helper()
		if got, err := m.Admits(ctx, o, key); got != want || err != nil {
			t.Errorf("Admits(%s, %q) = %v, %v, want %v", o, key, got, err, want)
		}
	}
	for _, key := range []string{"", k.Key} {
		check("https://a.b.example.org", key, true)
		check(site, key, true)
		check("https://bad.example.org", key, false)
		check("http://a.example.org", key, false)
		check("https://elsewhere.example", key, false)
	}
	reviewed := newKey(t, s, metering.Review)
	check("https://elsewhere.example", "", true)
	check("https://elsewhere.example", reviewed.Key, true)
	check("https://elsewhere.example", k.Key, false)
	if err := m.Decide(ctx, reviewed.Key, metering.Rule{Pattern: "https://elsewhere.example", State: metering.Blocked}, "test"); err != nil {
		t.Fatal(err)
	}
	check("https://elsewhere.example", "", false)
}
