package billing_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/billing"
	"github.com/lcp-tools/lcp/pkg/metering"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
	"github.com/lcp-tools/lcp/pkg/store"
)

// unknownUse is a store in which an unknown origin was met, of a license key with
// a webhook.
func unknownUse(t *testing.T, now *time.Time) (*store.Store, store.LicenseKey) {
	t.Helper()
	s := openStore(t, now)
	k := store.LicenseKey{Name: "Nevermore Academy", Agreement: metering.DefaultAgreement(), Webhook: "https://hooks.example.org/lcp"}
	k.Policy = metering.Review
	k, err := s.Meter().CreateLicenseKey(t.Context(), k)
	if err == nil {
		_, err = s.Meter().Record(t.Context(), store.Submission{LicenseKey: k.Key, Origin: reviewed, Events: []metering.Event{
			{ID: "e", User: "u", Publication: "p", At: *now, ActiveSeconds: 60},
		}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, k
}

func bookkeeper(s *store.Store, now *time.Time, notify func(url string, s sharedsecret.Secret, body []byte) error) *billing.Bookkeeper {
	return &billing.Bookkeeper{
		Meter: s.Meter(), Retention: 400 * day, CloseDay: 5, Now: func() time.Time { return *now }, Log: slog.New(slog.DiscardHandler),
		Notify: func(_ context.Context, url string, s sharedsecret.Secret, body []byte) error {
			return notify(url, s, body)
		},
	}
}

// A webhook that fails is tried again, later each time and as the same
// notification, and the review begins once it was told.
func TestNoticeIsRetried(t *testing.T) {
	t.Parallel()
	now := begin
	s, k := unknownUse(t, &now)
	secret, err := s.Meter().WebhookSecret(&k)
	if err != nil {
		t.Fatal(err)
	}
	ids, calls := map[string]bool{}, 0
	b := bookkeeper(s, &now, func(url string, signed sharedsecret.Secret, body []byte) error {
		var n struct{ ID, Type, LicenseKey, Origin string }
		if err := json.Unmarshal(body, &n); err != nil || n.Type != store.NoticePending || n.LicenseKey != k.Key || n.Origin != string(reviewed) {
			t.Errorf("notification %s, %v", body, err)
		}
		if url != k.Webhook || string(signed.Value.Bytes()) != secret.Reveal() {
			t.Errorf("it goes to %s, or is signed with another secret", url)
		}
		ids[n.ID] = true
		if calls++; calls < 4 {
			return errors.New("connection refused")
		}
		return nil
	})
	told := time.Time{}
	for range 60 {
		if err := b.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if calls == 4 && told.IsZero() {
			told = now
		}
		now = now.Add(10 * time.Second)
	}
	if calls != 4 || len(ids) != 1 {
		t.Errorf("%d calls of %d notifications, want 4 of one", calls, len(ids))
	}
	list, err := s.Meter().Origins(t.Context(), k.Key, metering.Pending)
	if err != nil || len(list) != 1 || !list[0].ReviewUntil.Equal(told.Add(metering.ReviewPeriod)) {
		t.Errorf("origins %+v, %v, want a review until %s", list, err, told.Add(metering.ReviewPeriod))
	}
}

// A webhook that never answers is given up after some days, and the review begins
// all the same.
func TestNoticeIsGivenUp(t *testing.T) {
	t.Parallel()
	now := begin
	s, k := unknownUse(t, &now)
	calls := 0
	b := bookkeeper(s, &now, func(string, sharedsecret.Secret, []byte) error { calls++; return errors.New("no route to host") })
	for range 24 * 5 {
		if err := b.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Hour)
	}
	list, err := s.Meter().Origins(t.Context(), k.Key, metering.Pending)
	if err != nil || len(list) != 1 || list[0].ReviewUntil.IsZero() || calls < 10 || calls > 24 {
		t.Errorf("%d calls, origins %+v, %v", calls, list, err)
	}
}

// Of several bookkeepers on one database one tells.
func TestNoticeIsToldOnce(t *testing.T) {
	t.Parallel()
	now := begin
	s, _ := unknownUse(t, &now)
	var calls atomic.Int64
	var wait sync.WaitGroup
	for range 8 {
		b := bookkeeper(s, &now, func(string, sharedsecret.Secret, []byte) error { calls.Add(1); return nil })
		wait.Go(func() {
			if err := b.Round(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if calls.Load() != 1 {
		t.Errorf("told %d times, want once", calls.Load())
	}
}

// Run ends with its context.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	now := begin
	s, _ := unknownUse(t, &now)
	ctx, cancel := context.WithCancel(t.Context())
	b := bookkeeper(s, &now, func(string, sharedsecret.Secret, []byte) error { cancel(); return nil })
	b.Run(ctx)
	if ctx.Err() == nil {
		t.Error("Run has ended by itself")
	}
}

// What an operator does is in the audit log, without secrets and tokens.
func TestOfficeIsAudited(t *testing.T) {
	t.Parallel()
	now := begin
	s := openStore(t, &now)
	ctx := t.Context()
	o := &billing.Office{Store: s, Now: func() time.Time { return now }, Actor: func(context.Context) string { return "Jane" }}
	native := true
	k, err := o.CreateLicenseKey(ctx, api.LicenseKey{Name: "Nevermore Academy", NativeApps: &native})
	if err != nil || k.APISecret == "" || k.WebhookSecret == "" {
		t.Fatalf("CreateLicenseKey = %+v, %v", k, err)
	}
	disabled := true
	for what, err := range map[string]error{
		"update": second(o.UpdateLicenseKey(ctx, k.LicenseKey, api.LicenseKey{Disabled: &disabled})),
		"decide": second(o.Decide(ctx, api.Origin{LicenseKey: k.LicenseKey, Origin: "https://Reader.example.org:443", State: "approved"})),
		"forget": o.Forget(ctx, k.LicenseKey, "https://reader.example.org"),
		"secret": second(o.NewAPISecret(ctx, k.LicenseKey)),
		"close":  second(o.CloseMonth(ctx, api.Closing{Month: "2029-12"})),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	log, _, err := s.AuditLog(ctx, store.AuditFilter{Actor: "Jane", Target: k.LicenseKey}, store.Page{Limit: 100})
	if err != nil || len(log) < 5 {
		t.Errorf("audit log %+v, %v", log, err)
	}
	for _, e := range log {
		if strings.Contains(e.Detail, "rss_") {
			t.Errorf("a secret is in the audit log: %+v", e)
		}
	}
}

func second[T any](_ T, err error) error { return err }
