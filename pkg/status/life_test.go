package status_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/status"
)

// A life is a license with what a store would keep of it.
type life struct {
	*testing.T
	record     status.Record
	registered map[string]bool
	policy     status.Policy
	builder    *status.Builder
}

// FuzzLife: whatever is asked in whatever order, and whatever the clock says,
// the promises of this package hold.
func FuzzLife(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 1, 0, 1, 20, 2, 0, 1, 0, 3, 0, 1, 0}, uint8(14), uint8(40), true)
	f.Add([]byte{0, 1, 200, 0, 0, 1, 200, 0, 1, 1, 128, 90, 3, 0, 0, 0, 2, 0, 0, 0}, uint8(0), uint8(0), false)
	f.Add([]byte{1, 0, 127, 200, 1, 0, 127, 0, 1, 0, 127, 0, 3, 0, 1, 0}, uint8(1), uint8(3), true)
	f.Fuzz(func(t *testing.T, steps []byte, length, most uint8, allow bool) {
		p := status.Policy{RenewDefault: 7 * day, RenewMax: time.Duration(most) * day, AllowRenewOnExpired: allow}
		r := status.Record{ID: "x", State: status.Ready, Start: noon.Add(day), Issued: noon, StatusUpdated: noon}
		if length > 0 {
			r.End = r.Start.Add(time.Duration(length) * day)
		}
		l := &life{t, r, map[string]bool{}, p, builder(t, func(o *status.Options) { o.Policy = p })}
		now := noon
		for ; len(steps) >= 4; steps = steps[4:] {
			now = now.Add(time.Duration(int8(steps[2])) * 7 * time.Hour).Add(time.Duration(steps[1]) * time.Microsecond)
			l.step(steps[0]%4, string('a'+rune(steps[1]%5)), int(steps[3]), now)
		}
	})
}

// step makes a move and looks at what became of the license.
func (l *life) step(kind byte, id string, days int, now time.Time) {
	before := l.record
	by := status.Device{ID: id, Name: "app", Registered: l.registered[id]}
	if id == "e" {
		by = status.Device{}
	}
	var end time.Time
	if days > 0 {
		end = noon.Add(time.Duration(days) * day)
	}
	var events []status.Event
	var err error
	switch kind {
	case 0:
		l.record, events, err = status.Register(before, by, now)
	case 1:
		l.record, events, err = status.Renew(before, by, end, now, l.policy)
	case 2:
		l.record, events, err = status.Return(before, by, now)
	case 3:
		l.record, events = status.Revoke(before, now)
	}
	if err != nil && (l.record != before || events != nil) {
		l.Fatalf("refused, %v, but changed: %v%s", err, events, cmp.Diff(before, l.record))
	}
	for _, e := range events {
		if e.Type == "register" {
			l.registered[e.DeviceID] = true
		}
	}
	l.check(before, events, now)
	doc, err := l.builder.Append(nil, l.record, events, status.English, now)
	if err != nil {
		l.Fatal(err)
	}
	checkSchema(l, doc)
}

func (l *life) check(before status.Record, events []status.Event, now time.Time) {
	after := l.record
	if after.Devices != len(l.registered) {
		l.Fatalf("%d devices, but %d registered", after.Devices, len(l.registered))
	}
	if after == before {
		if len(events) > 0 {
			l.Fatalf("nothing changed, but %v", events)
		}
		return
	}
	if len(events) != 1 {
		l.Fatalf("events = %v for a change%s", events, cmp.Diff(before, after))
	}
	if !after.StatusUpdated.After(before.StatusUpdated) || !after.LastUpdated(now).After(before.LastUpdated(now)) {
		l.Fatalf("the status was updated at %s, then at %s", before.StatusUpdated, after.StatusUpdated)
	}
	if before.State == status.Revoked || before.State == status.Cancelled ||
		before.State == status.Returned && after.State != status.Revoked {
		l.Fatalf("%s became %s", before.State, after.State)
	}
	l.checkRights(before, events[0].Type)
}

// checkRights says what may become of the license document by an event.
func (l *life) checkRights(before status.Record, event string) {
	after := l.record
	switch event {
	case "register":
		if after.End != before.End || after.Updated != before.Updated {
			l.Fatalf("registration changed the license%s", cmp.Diff(before, after))
		}
		return
	case "renew":
		if !after.End.After(before.End) || after.End.After(after.MaxEnd) {
			l.Fatalf("renewed from %s to %s, at most %s", before.End, after.End, after.MaxEnd)
		}
		if limit := before.MaxEnd; !limit.IsZero() && limit != after.MaxEnd {
			l.Fatalf("the maximum moved from %s to %s", limit, after.MaxEnd)
		}
	default:
		if after.End.IsZero() || !before.End.IsZero() && after.End.After(before.End) || after.Start.After(after.End) {
			l.Fatalf("%s moved the rights from %s to %s, they begin %s", event, before.End, after.End, after.Start)
		}
	}
	if !after.LicenseUpdated().After(before.LicenseUpdated()) {
		l.Fatalf("the license was updated at %s, then at %s", before.LicenseUpdated(), after.LicenseUpdated())
	}
}
