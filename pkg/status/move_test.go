package status_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/status"
)

const day = 24 * time.Hour

var (
	noon   = time.Date(2030, time.May, 1, 12, 0, 0, 0, time.UTC)
	policy = status.Policy{RenewDefault: 7 * day, RenewMax: 40 * day}
	lavish = status.Policy{RenewDefault: 7 * day, RenewMax: 40 * day, AllowRenewOnExpired: true}

	phone  = status.Device{ID: "d1", Name: "Phone", Registered: true}
	tablet = status.Device{ID: "d2", Name: "Tablet"}
	nobody = status.Device{}
)

// loan returns a license of two weeks that was issued, and last touched, a week
// before noon. A device is registered with it unless it is ready or cancelled.
func loan(s status.State) status.Record {
	issued := noon.Add(-7 * day)
	r := status.Record{
		ID: "87ea1655-3973-4df4-983b-37144ed1b482", State: s, Start: issued, End: noon.Add(7 * day),
		MaxEnd: noon.Add(47 * day), Issued: issued, StatusUpdated: issued,
	}
	if s != status.Ready && s != status.Cancelled {
		r.Devices = 1
	}
	if s == status.Returned || s == status.Revoked || s == status.Cancelled || s == status.Expired {
		r.End = noon.Add(-day)
	}
	return r
}

// overdue returns a loan that ended a day before noon, which nobody noted.
func overdue(s status.State) status.Record {
	r := loan(s)
	r.End = noon.Add(-day)
	return r
}

// A move is a request to a license at noon.
type move func(status.Record) (status.Record, []status.Event, error)

func register(by status.Device) move {
	return func(r status.Record) (status.Record, []status.Event, error) {
		return status.Register(r, by, noon)
	}
}

func renew(by status.Device, end time.Time, p status.Policy) move {
	return func(r status.Record) (status.Record, []status.Event, error) {
		return status.Renew(r, by, end, noon, p)
	}
}

func giveBack(by status.Device) move {
	return func(r status.Record) (status.Record, []status.Event, error) {
		return status.Return(r, by, noon)
	}
}

func revoke(r status.Record) (status.Record, []status.Event, error) {
	moved, events := status.Revoke(r, noon)
	return moved, events, nil
}

// TestStateTable is the table of states and moves, cell by cell.
func TestStateTable(t *testing.T) {
	t.Parallel()
	type cell struct {
		state status.State // afterwards, as stored
		event string       // "": none, and nothing changes
		err   error
	}
	moves := []struct {
		name string
		move move
	}{
		{"register a device", register(tablet)},
		{"register the same device", register(phone)},
		{"renew", renew(nobody, noon.Add(20*day), policy)},
		{"renew, expired allowed", renew(nobody, noon.Add(20*day), lavish)},
		{"return", giveBack(nobody)},
		{"revoke", revoke},
	}
	refused := func(s status.State, err error) cell { return cell{s, "", err} }
	tests := map[string]struct {
		from status.Record
		want [6]cell // in the order of moves
	}{
		"ready": {loan(status.Ready), [6]cell{
			{status.Active, "register", nil},
			{status.Active, "-", nil}, // a state set by hand: the device is known already
			refused(status.Ready, status.ErrRenew),
			refused(status.Ready, status.ErrRenew),
			{status.Cancelled, "return", nil},
			{status.Cancelled, "cancel", nil},
		}},
		"active": {loan(status.Active), [6]cell{
			{status.Active, "register", nil},
			{status.Active, "", nil},
			{status.Active, "renew", nil},
			{status.Active, "renew", nil},
			{status.Returned, "return", nil},
			{status.Revoked, "revoke", nil},
		}},
		"ready, past its end": {overdue(status.Ready), [6]cell{
			refused(status.Ready, status.ErrRegistration),
			refused(status.Ready, status.ErrRegistration),
			refused(status.Ready, status.ErrRenew),
			{status.Active, "renew", nil},
			refused(status.Ready, status.ErrExpired),
			{status.Revoked, "revoke", nil},
		}},
		"active, past its end": {overdue(status.Active), [6]cell{
			refused(status.Active, status.ErrRegistration),
			refused(status.Active, status.ErrRegistration),
			refused(status.Active, status.ErrRenew),
			{status.Active, "renew", nil},
			refused(status.Active, status.ErrExpired),
			{status.Revoked, "revoke", nil},
		}},
		"expired": {loan(status.Expired), [6]cell{
			refused(status.Expired, status.ErrRegistration),
			refused(status.Expired, status.ErrRegistration),
			refused(status.Expired, status.ErrRenew),
			{status.Active, "renew", nil},
			refused(status.Expired, status.ErrExpired),
			{status.Revoked, "revoke", nil},
		}},
		"returned": {loan(status.Returned), [6]cell{
			refused(status.Returned, status.ErrRegistration),
			refused(status.Returned, status.ErrRegistration),
			refused(status.Returned, status.ErrRenew),
			refused(status.Returned, status.ErrRenew),
			refused(status.Returned, status.ErrAlreadyReturned),
			{status.Revoked, "revoke", nil},
		}},
		"revoked": {loan(status.Revoked), [6]cell{
			refused(status.Revoked, status.ErrRegistration),
			refused(status.Revoked, status.ErrRegistration),
			refused(status.Revoked, status.ErrRenew),
			refused(status.Revoked, status.ErrRenew),
			refused(status.Revoked, status.ErrReturn),
			{status.Revoked, "", nil},
		}},
		"cancelled": {loan(status.Cancelled), [6]cell{
			refused(status.Cancelled, status.ErrRegistration),
			refused(status.Cancelled, status.ErrRegistration),
			refused(status.Cancelled, status.ErrRenew),
			refused(status.Cancelled, status.ErrRenew),
			refused(status.Cancelled, status.ErrReturn),
			{status.Cancelled, "", nil},
		}},
	}
	for name, tt := range tests {
		for i, m := range moves {
			t.Run(name+"/"+m.name, func(t *testing.T) {
				t.Parallel()
				want := tt.want[i]
				got, events, err := m.move(tt.from)
				if !errors.Is(err, want.err) || want.err == nil && err != nil {
					t.Fatalf("error = %v, want %v", err, want.err)
				}
				if got.State != want.state {
					t.Errorf("state = %s, want %s", got.State, want.state)
				}
				checkEvents(t, events, want.event)
				if unchanged := got == tt.from; unchanged != (want.event == "") {
					t.Errorf("record unchanged = %t, event %q:\n%s", unchanged, want.event, cmp.Diff(tt.from, got))
				}
			})
		}
	}
}

// checkEvents wants one event of a type at noon, or none if it is "" or "-".
func checkEvents(t *testing.T, events []status.Event, want string) {
	t.Helper()
	switch {
	case want == "" || want == "-":
		if len(events) > 0 {
			t.Errorf("events = %v, want none", events)
		}
	case len(events) != 1 || events[0].Type != want || !events[0].At.Equal(noon):
		t.Errorf("events = %v, want one %s at noon", events, want)
	}
}

func TestSeen(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		state status.State
		end   time.Time
		want  status.State
	}{
		"no end":                    {status.Active, time.Time{}, status.Active},
		"before the end":            {status.Active, noon.Add(time.Millisecond), status.Active},
		"at the end":                {status.Active, noon, status.Active},
		"past the end":              {status.Active, noon.Add(-time.Millisecond), status.Expired},
		"ready, past the end":       {status.Ready, noon.Add(-time.Millisecond), status.Expired},
		"returned, past the end":    {status.Returned, noon.Add(-day), status.Returned},
		"revoked, past the end":     {status.Revoked, noon.Add(-day), status.Revoked},
		"cancelled, past the end":   {status.Cancelled, noon.Add(-day), status.Cancelled},
		"stored as expired, no end": {status.Expired, time.Time{}, status.Expired},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := status.Record{State: tt.state, End: tt.end}.Seen(noon.Add(999 * time.Microsecond))
			if got != tt.want {
				t.Errorf("seen as %s, want %s", got, tt.want)
			}
		})
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	future := loan(status.Ready)
	future.Start = noon.Add(day)
	tests := map[string]struct {
		from    status.Record
		by      status.Device
		devices int // afterwards
		err     error
	}{
		"the first device":           {loan(status.Ready), tablet, 1, nil},
		"a second device":            {loan(status.Active), tablet, 2, nil},
		"the same device":            {loan(status.Active), phone, 1, nil},
		"rights that have not begun": {future, tablet, 1, nil},
		"no id":                      {loan(status.Ready), status.Device{Name: "Tablet"}, 0, status.ErrRegistration},
		"no name":                    {loan(status.Ready), status.Device{ID: "d2"}, 0, status.ErrRegistration},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, events, err := status.Register(tt.from, tt.by, noon)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error = %v, want %v", err, tt.err)
			}
			if got.Devices != tt.devices {
				t.Errorf("%d devices, want %d", got.Devices, tt.devices)
			}
			if len(events) != tt.devices-tt.from.Devices {
				t.Errorf("events = %v", events)
			}
			for _, e := range events {
				want := status.Event{Type: "register", DeviceID: tt.by.ID, DeviceName: tt.by.Name, At: noon}
				if e != want {
					t.Errorf("event = %v, want %v", e, want)
				}
			}
			if !got.End.Equal(tt.from.End) || !got.LicenseUpdated().Equal(tt.from.LicenseUpdated()) {
				t.Errorf("the license document changed: %s", cmp.Diff(tt.from, got))
			}
		})
	}
}

func TestRenew(t *testing.T) {
	t.Parallel()
	with := func(r status.Record, change func(*status.Record)) status.Record {
		change(&r)
		return r
	}
	active := loan(status.Active) // ends in 7 days, at most in 47
	short := with(active, func(r *status.Record) { r.End = noon.Add(day) })
	none := time.Time{}
	tests := map[string]struct {
		from   status.Record
		by     status.Device
		ask    time.Time
		policy status.Policy
		want   time.Time
		err    error
	}{
		"without a date":               {short, nobody, none, policy, noon.Add(7 * day), nil},
		"a date":                       {active, nobody, noon.Add(20 * day), policy, noon.Add(20 * day), nil},
		"a date in another zone":       {active, nobody, noon.Add(20 * day).In(time.FixedZone("", 3600)), policy, noon.Add(20 * day), nil},
		"a date of microseconds":       {active, nobody, noon.Add(20*day + 1500*time.Microsecond), policy, noon.Add(20*day + time.Millisecond), nil},
		"the maximum":                  {active, nobody, noon.Add(47 * day), policy, noon.Add(47 * day), nil},
		"beyond the maximum":           {active, nobody, noon.Add(47*day + time.Millisecond), policy, none, status.ErrRenewDate},
		"the present end":              {active, nobody, active.End, policy, none, status.ErrRenewDate},
		"before the present end":       {active, nobody, active.End.Add(-day), policy, none, status.ErrRenewDate},
		"in the past":                  {active, nobody, noon.Add(-day), policy, none, status.ErrRenewDate},
		"expired, to before now":       {overdue(status.Active), nobody, noon.Add(-time.Hour), lavish, none, status.ErrRenewDate},
		"expired, to now":              {overdue(status.Active), nobody, noon, lavish, none, status.ErrRenewDate},
		"expired, to later":            {overdue(status.Active), nobody, noon.Add(time.Hour), lavish, noon.Add(time.Hour), nil},
		"default gains nothing":        {active, nobody, none, policy, active.End, nil},
		"default cut to the maximum":   {with(short, func(r *status.Record) { r.MaxEnd = noon.Add(3 * day) }), nobody, none, policy, noon.Add(3 * day), nil},
		"maximum already reached":      {with(short, func(r *status.Record) { r.MaxEnd = r.End }), nobody, none, policy, short.End, nil},
		"end beyond the maximum":       {with(short, func(r *status.Record) { r.MaxEnd = r.End.Add(-day) }), nobody, none, policy, short.End, nil},
		"maximum long past":            {with(overdue(status.Active), func(r *status.Record) { r.MaxEnd = noon.Add(-time.Hour) }), nobody, none, lavish, none, status.ErrRenewDate},
		"no maximum on record":         {with(short, func(r *status.Record) { r.MaxEnd = none }), nobody, noon.Add(41 * day), policy, noon.Add(41 * day), nil},
		"beyond that of the policy":    {with(short, func(r *status.Record) { r.MaxEnd = none }), nobody, noon.Add(42 * day), policy, none, status.ErrRenewDate},
		"no end":                       {with(active, func(r *status.Record) { r.End = none }), nobody, none, policy, none, status.ErrRenew},
		"renewals not offered":         {short, nobody, none, status.Policy{RenewDefault: day}, none, status.ErrRenew},
		"registered device":            {short, phone, none, policy, noon.Add(7 * day), nil},
		"unregistered device":          {short, tablet, none, policy, none, status.ErrRenew},
		"unregistered device, expired": {overdue(status.Active), tablet, none, lavish, none, status.ErrRenew},
		"no device on record":          {with(short, func(r *status.Record) { r.Devices = 0 }), tablet, none, policy, noon.Add(7 * day), nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, events, err := status.Renew(tt.from, tt.by, tt.ask, noon, tt.policy)
			if !errors.Is(err, tt.err) || tt.err == nil && err != nil {
				t.Fatalf("error = %v, want %v", err, tt.err)
			}
			if err != nil {
				if got != tt.from || events != nil {
					t.Errorf("a refusal changed the record: %s%v", cmp.Diff(tt.from, got), events)
				}
				return
			}
			want := tt.from
			want.State, want.End, want.Updated, want.StatusUpdated = status.Active, tt.want, noon, noon
			want.MaxEnd = tt.policy.MaxEnd(tt.from)
			if got != want {
				t.Errorf("record (-want +got):\n%s", cmp.Diff(want, got))
			}
			checkEvents(t, events, "renew")
		})
	}
}

// A license that was recorded without a maximum must not be renewed for ever.
func TestRenewAgainAndAgain(t *testing.T) {
	t.Parallel()
	r := loan(status.Active)
	r.MaxEnd = time.Time{}
	limit := r.End.Add(policy.RenewMax)
	for range 100 {
		now := r.End
		moved, _, err := status.Renew(r, nobody, time.Time{}, now, policy)
		if errors.Is(err, status.ErrRenewDate) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		r = moved
	}
	if !r.End.Equal(limit) {
		t.Errorf("end = %s, want %s", r.End, limit)
	}
}

func TestMaxEnd(t *testing.T) {
	t.Parallel()
	late := time.Date(9999, time.December, 1, 0, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		record status.Record
		policy status.Policy
		want   time.Time
	}{
		"on record":       {loan(status.Active), policy, noon.Add(47 * day)},
		"by the policy":   {status.Record{End: noon}, policy, noon.Add(40 * day)},
		"no end":          {status.Record{MaxEnd: noon}, policy, time.Time{}},
		"no renewals":     {loan(status.Active), status.Policy{}, time.Time{}},
		"beyond all date": {status.Record{End: late}, policy, time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tt.policy.MaxEnd(tt.record); !got.Equal(tt.want) {
				t.Errorf("MaxEnd = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestReturn(t *testing.T) {
	t.Parallel()
	endless := loan(status.Active)
	endless.End = time.Time{}
	fresh := loan(status.Ready)
	fresh.End = time.Time{}
	tests := map[string]struct {
		from status.Record
		by   status.Device
		err  error
	}{
		"no device named":                {loan(status.Active), nobody, nil},
		"only a name":                    {loan(status.Active), status.Device{Name: "Tablet"}, nil},
		"registered device":              {loan(status.Active), phone, nil},
		"unregistered device":            {loan(status.Active), tablet, status.ErrReturn},
		"any device, before it was used": {loan(status.Ready), tablet, nil},
		"no end":                         {endless, nobody, status.ErrReturn},
		"no end, before it was used":     {fresh, nobody, status.ErrReturn},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, events, err := status.Return(tt.from, tt.by, noon)
			if !errors.Is(err, tt.err) || tt.err == nil && err != nil {
				t.Fatalf("error = %v, want %v", err, tt.err)
			}
			if err != nil {
				if got != tt.from {
					t.Errorf("a refusal changed the record: %s", cmp.Diff(tt.from, got))
				}
				return
			}
			if !got.End.Equal(noon) || !got.Updated.Equal(noon) || !got.StatusUpdated.Equal(noon) {
				t.Errorf("end, updates = %s, %s, %s, want noon", got.End, got.Updated, got.StatusUpdated)
			}
			want := []status.Event{{Type: "return", DeviceID: tt.by.ID, DeviceName: tt.by.Name, At: noon}}
			if diff := cmp.Diff(want, events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRevokeEnd(t *testing.T) {
	t.Parallel()
	past, future := noon.Add(-day), noon.Add(day)
	tests := map[string]struct{ start, end, wantStart, wantEnd time.Time }{
		"no end":                {past, time.Time{}, past, noon},
		"later":                 {past, future, past, noon},
		"in the past":           {past.Add(-day), past, past.Add(-day), past},
		"before the start":      {future, future.Add(day), noon, noon},
		"neither start nor end": {time.Time{}, time.Time{}, time.Time{}, noon},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := loan(status.Active)
			r.Start, r.End = tt.start, tt.end
			got, _ := status.Revoke(r, noon)
			if !got.Start.Equal(tt.wantStart) || !got.End.Equal(tt.wantEnd) {
				t.Errorf("rights from %s to %s, want %s to %s", got.Start, got.End, tt.wantStart, tt.wantEnd)
			}
		})
	}
}

// A license whose publication was replaced has an update that no move made.
func TestUpdatedMovesBeyondTheLicense(t *testing.T) {
	t.Parallel()
	r := loan(status.Active)
	r.Updated = noon
	got, _ := status.Revoke(r, noon)
	if want := noon.Add(time.Millisecond); !got.Updated.Equal(want) || !got.StatusUpdated.Equal(want) {
		t.Errorf("updated %s and %s, want %s", got.Updated, got.StatusUpdated, want)
	}
}

// Apps compare dates: each change must show a later one, whatever the clock does.
func TestUpdatedMovesForward(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		clock time.Duration // since the last change, which was at noon
		want  time.Duration
	}{
		"clock advanced":          {time.Second, time.Second},
		"same millisecond":        {0, time.Millisecond},
		"less than a millisecond": {999 * time.Microsecond, time.Millisecond},
		"clock went back":         {-time.Hour, time.Millisecond},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := loan(status.Active)
			r.Updated, r.StatusUpdated = noon, noon
			now, want := noon.Add(tt.clock), noon.Add(tt.want)
			got, _ := status.Revoke(r, now)
			if !got.StatusUpdated.Equal(want) || !got.Updated.Equal(want) {
				t.Errorf("updated %s and %s, want %s", got.Updated, got.StatusUpdated, want)
			}
			got, _, err := status.Register(r, tablet, now)
			if err != nil {
				t.Fatal(err)
			}
			if !got.StatusUpdated.Equal(want) || !got.Updated.Equal(noon) {
				t.Errorf("updated %s and %s, want noon and %s", got.Updated, got.StatusUpdated, want)
			}
		})
	}
}

func TestLastUpdated(t *testing.T) {
	t.Parallel()
	touched := loan(status.Active)
	touched.StatusUpdated = time.Time{}
	touched.Updated = noon.Add(-time.Hour)
	replaced := loan(status.Active)
	replaced.Updated = noon.Add(-time.Hour)
	tests := map[string]struct {
		record status.Record
		want   time.Time
	}{
		"of the status":           {loan(status.Active), noon.Add(-7 * day)},
		"of the license":          {touched, noon.Add(-time.Hour)},
		"of a license replaced":   {replaced, noon.Add(-time.Hour)},
		"of the issue":            {status.Record{State: status.Ready, Issued: noon}, noon},
		"when it expired":         {overdue(status.Active), noon.Add(-day)},
		"expired and noted":       {loan(status.Expired), noon.Add(-7 * day)},
		"returned, past its end":  {loan(status.Returned), noon.Add(-7 * day)},
		"issued past its own end": {status.Record{State: status.Ready, End: noon.Add(-day), Issued: noon}, noon},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tt.record.LastUpdated(noon); !got.Equal(tt.want) {
				t.Errorf("LastUpdated = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestParseState(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ready", "active", "revoked", "returned", "cancelled", "expired"} {
		if got, err := status.ParseState(name); err != nil || string(got) != name {
			t.Errorf("ParseState(%q) = %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "Active", "canceled", "lent"} {
		if got, err := status.ParseState(name); err == nil {
			t.Errorf("ParseState(%q) = %q, want an error", name, got)
		}
	}
}

func TestPlayBeginsWithTheFirstDevice(t *testing.T) {
	t.Parallel()
	soon := noon.Add(2 * day)
	for name, tt := range map[string]struct {
		end, maxEnd, playEnd time.Time
		devices              int
		wantEnd, wantMax     time.Time
		moved                bool
	}{
		"earlier than the end":     {noon.Add(7 * day), noon.Add(47 * day), soon, 0, soon, noon.Add(42 * day), true},
		"without an end":           {time.Time{}, time.Time{}, soon, 0, soon, time.Time{}, true},
		"later than the end":       {noon.Add(day), noon.Add(8 * day), soon, 0, noon.Add(day), noon.Add(8 * day), false},
		"none":                     {noon.Add(day), noon.Add(8 * day), time.Time{}, 0, noon.Add(day), noon.Add(8 * day), false},
		"not with a second device": {noon.Add(7 * day), noon.Add(47 * day), soon, 1, noon.Add(7 * day), noon.Add(47 * day), false},
	} {
		r := loan(status.Ready)
		r.End, r.MaxEnd, r.PlayEnd, r.Devices = tt.end, tt.maxEnd, tt.playEnd, tt.devices
		if tt.devices > 0 {
			r.State = status.Active
		}
		got, events, err := status.Register(r, tablet, noon)
		if err != nil || len(events) != 1 {
			t.Fatalf("%s: %v, %d events", name, err, len(events))
		}
		if !got.End.Equal(tt.wantEnd) || !got.MaxEnd.Equal(tt.wantMax) || got.Updated.Equal(got.StatusUpdated) != tt.moved {
			t.Errorf("%s: end %s, at most %s, license updated %s", name, got.End, got.MaxEnd, got.Updated)
		}
	}
}
