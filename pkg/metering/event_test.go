package metering_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/metering"
)

var noon = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

func TestCheckEvent(t *testing.T) {
	t.Parallel()
	good := metering.Event{ID: "e", User: "u", Publication: "p", At: noon, ActiveSeconds: 60}
	for name, tt := range map[string]struct {
		change func(*metering.Event)
		field  string
	}{
		"good":                 {func(*metering.Event) {}, ""},
		"no identifier":        {func(e *metering.Event) { e.ID = "" }, "eventId"},
		"long identifier":      {func(e *metering.Event) { e.ID = strings.Repeat("x", 129) }, "eventId"},
		"no user":              {func(e *metering.Event) { e.User = "" }, "userToken"},
		"user with a line":     {func(e *metering.Event) { e.User = "a\nb" }, "userToken"},
		"user with spaces":     {func(e *metering.Event) { e.User = " a" }, "userToken"},
		"user is not UTF-8":    {func(e *metering.Event) { e.User = "\xff" }, "userToken"},
		"long user":            {func(e *metering.Event) { e.User = strings.Repeat("ü", 256) }, "userToken"},
		"longest user":         {func(e *metering.Event) { e.User = strings.Repeat("ü", 255) }, ""},
		"no publication":       {func(e *metering.Event) { e.Publication = "" }, "publicationToken"},
		"device with NUL":      {func(e *metering.Event) { e.Device = "\x00" }, "deviceToken"},
		"long signature":       {func(e *metering.Event) { e.Signature = strings.Repeat("x", 256) }, "publicationSignature"},
		"negative seconds":     {func(e *metering.Event) { e.ActiveSeconds = -1 }, "activeSeconds"},
		"more than a day":      {func(e *metering.Event) { e.ActiveSeconds = 86401 }, "activeSeconds"},
		"no seconds":           {func(e *metering.Event) { e.ActiveSeconds = 0 }, ""},
		"no time":              {func(e *metering.Event) { e.At = time.Time{} }, "occurredAt"},
		"clock is ahead":       {func(e *metering.Event) { e.At = noon.Add(5 * time.Minute) }, ""},
		"future":               {func(e *metering.Event) { e.At = noon.Add(5*time.Minute + 1) }, "occurredAt"},
		"delayed":              {func(e *metering.Event) { e.At = noon.Add(-time.Hour) }, ""},
		"too late":             {func(e *metering.Event) { e.At = noon.Add(-time.Hour - 1) }, "occurredAt"},
		"offline":              {func(e *metering.Event) { e.At, e.Offline = noon.AddDate(0, 0, -30), true }, ""},
		"too long offline":     {func(e *metering.Event) { e.At, e.Offline = noon.AddDate(0, 0, -31), true }, "occurredAt"},
		"future while offline": {func(e *metering.Event) { e.At, e.Offline = noon.AddDate(0, 0, 1), true }, "occurredAt"},
	} {
		e := good
		tt.change(&e)
		err := e.Check(metering.DefaultAgreement(), noon)
		fault, _ := errors.AsType[*metering.FieldError](err)
		if (err == nil) != (tt.field == "") || err != nil && (fault == nil || fault.Field != tt.field) {
			t.Errorf("%s: %v, want a fault of %q", name, err, tt.field)
		}
	}
	never := metering.DefaultAgreement()
	never.OfflineValidity = 0
	good.Offline = true
	if err := good.Check(never, noon); err == nil {
		t.Error("offline use is accepted where it is not allowed")
	}
}

func TestCheckAgreement(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*metering.Agreement){
		"negative threshold": func(a *metering.Agreement) { a.Threshold = -time.Second },
		"long threshold":     func(a *metering.Agreement) { a.Threshold = 2 * time.Hour },
		"no validity":        func(a *metering.Agreement) { a.Validity = 0 },
		"long validity":      func(a *metering.Agreement) { a.Validity = 32 * 24 * time.Hour },
		"parts of a second":  func(a *metering.Agreement) { a.Validity = time.Hour + 1 },
		"long offline":       func(a *metering.Agreement) { a.OfflineValidity = 91 * 24 * time.Hour },
		"policy":             func(a *metering.Agreement) { a.Policy = "allow" },
	} {
		a := metering.DefaultAgreement()
		change(&a)
		if err := a.Check(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := metering.DefaultAgreement().Check(); err != nil {
		t.Error(err)
	}
}

// reading puts events into sessions, as whoever keeps them does, and tells what
// became of each.
func reading(a metering.Agreement, events ...metering.Event) (told []string, sessions []metering.Session) {
	for _, e := range events {
		i := metering.Place(sessions, e.At, a)
		if i < 0 {
			for i = 0; i < len(sessions) && sessions[i].Opened.Before(e.At); i++ {
			}
			sessions = append(sessions[:i:i], append([]metering.Session{metering.Open(e.At, a)}, sessions[i:]...)...)
		}
		told = append(told, string(sessions[i].Use(e.At, e.ActiveSeconds, a)))
	}
	return told, sessions
}

func TestSessions(t *testing.T) {
	t.Parallel()
	use := func(after time.Duration, seconds int64) metering.Event {
		return metering.Event{At: noon.Add(after), ActiveSeconds: seconds}
	}
	const day = 24 * time.Hour
	for name, tt := range map[string]struct {
		events []metering.Event
		want   string
	}{
		"threshold":                     {[]metering.Event{use(0, 59)}, "[pending_activity]"},
		"at the threshold":              {[]metering.Event{use(0, 60)}, "[started]"},
		"adds up":                       {[]metering.Event{use(0, 30), use(time.Minute, 29), use(2*time.Minute, 1)}, "[pending_activity pending_activity started]"},
		"not over days":                 {[]metering.Event{use(0, 30), use(day, 30)}, "[pending_activity pending_activity]"},
		"continued":                     {[]metering.Event{use(0, 60), use(time.Minute, 0), use(day-1, 60)}, "[started continued continued]"},
		"over":                          {[]metering.Event{use(0, 60), use(day, 60)}, "[started started]"},
		"valid from the start":          {[]metering.Event{use(0, 30), use(time.Hour, 30), use(day+time.Hour-1, 1), use(day+time.Hour, 60)}, "[pending_activity started continued started]"},
		"late, within one validity":     {[]metering.Event{use(0, 60), use(-day+1, 60)}, "[started continued]"},
		"late, before one validity":     {[]metering.Event{use(0, 60), use(-day, 60)}, "[started started]"},
		"late, between two":             {[]metering.Event{use(0, 60), use(3*day, 60), use(day+time.Hour, 60)}, "[started started started]"},
		"late, makes the other one run": {[]metering.Event{use(0, 30), use(-time.Hour, 30)}, "[pending_activity started]"},
	} {
		told, sessions := reading(metering.DefaultAgreement(), tt.events...)
		if got := fmt.Sprint(told); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
		for _, s := range sessions {
			if !s.Started.IsZero() && (s.Started.Before(s.Opened) || !s.ValidUntil.Equal(s.Started.Add(day))) {
				t.Errorf("%s: session %+v", name, s)
			}
		}
	}
}

// In whichever order use is reported, there are never more sessions than if it
// had been reported as it happened.
func TestSessionsOutOfOrder(t *testing.T) {
	t.Parallel()
	started := func(told []string) (n int) {
		for _, s := range told {
			if s == string(metering.Started) {
				n++
			}
		}
		return n
	}
	var events []metering.Event
	for n := range 60 {
		events = append(events, metering.Event{At: noon.Add(time.Duration(n*n*7919%200) * time.Hour), ActiveSeconds: 60})
	}
	inOrder := make([]metering.Event, len(events))
	copy(inOrder, events)
	for i := range inOrder {
		for j := range i {
			if inOrder[i].At.Before(inOrder[j].At) {
				inOrder[i], inOrder[j] = inOrder[j], inOrder[i]
			}
		}
	}
	told, _ := reading(metering.DefaultAgreement(), events...)
	sorted, _ := reading(metering.DefaultAgreement(), inOrder...)
	if got, want := started(told), started(sorted); got > want || got == 0 {
		t.Errorf("%d sessions out of order, %d in order", got, want)
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	secret, body := metering.NewSecret(), []byte(`{"licenseKey":"rs_x"}`)
	timestamp, signature := metering.Sign(secret, noon, body)
	id, err := metering.Verify(secret, timestamp, signature, noon.Add(5*time.Minute), body)
	if err != nil || id == (metering.Signature{}) {
		t.Errorf("Verify = %x, %v", id, err)
	}
	for name, tt := range map[string]struct {
		secret               metering.Secret
		timestamp, signature string
		now                  time.Time
		body                 string
		want                 error
	}{
		"no secret":       {metering.Secret{}, timestamp, signature, noon, string(body), metering.ErrNoAPISecret},
		"another secret":  {metering.NewSecret(), timestamp, signature, noon, string(body), metering.ErrSignature},
		"another body":    {secret, timestamp, signature, noon, "{}", metering.ErrSignature},
		"another time":    {secret, "1", signature, noon, string(body), metering.ErrSignature},
		"no time":         {secret, "", signature, noon, string(body), metering.ErrSignature},
		"no version":      {secret, timestamp, signature[3:], noon, string(body), metering.ErrSignature},
		"no hexadecimal":  {secret, timestamp, "v1=x", noon, string(body), metering.ErrSignature},
		"too old":         {secret, timestamp, signature, noon.Add(5*time.Minute + time.Second), string(body), metering.ErrStale},
		"from the future": {secret, timestamp, signature, noon.Add(-6 * time.Minute), string(body), metering.ErrStale},
	} {
		if _, err := metering.Verify(tt.secret, tt.timestamp, tt.signature, tt.now, []byte(tt.body)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	for _, verb := range []string{"%v", "%s", "%+v", "%#v", "%x", "%q"} {
		if text := fmt.Sprintf(verb, secret); strings.Contains(text, secret.Reveal()[4:]) || !strings.Contains(text, "redacted") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}
