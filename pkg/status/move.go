package status

import (
	"errors"
	"fmt"
	"time"
)

// Refusals, one for each failure type of LSD §3.3 to §3.5. They come wrapped
// with the reason; FailureOf tells the type.
var (
	ErrRegistration    = errors.New("device cannot be registered")
	ErrRenew           = errors.New("license cannot be renewed")
	ErrRenewDate       = errors.New("license cannot be renewed to that date")
	ErrReturn          = errors.New("license cannot be returned")
	ErrAlreadyReturned = errors.New("license was already returned")
	ErrExpired         = errors.New("license has expired")
)

// A Policy is what the provider allows on loans.
type Policy struct {
	RenewDefault        time.Duration // what a renewal adds, from now on, if the app asks for no date
	RenewMax            time.Duration // how far a license can be extended beyond its first end; 0: not at all
	AllowRenewOnExpired bool
}

// lastDate is the last that RFC 3339 can write.
var lastDate = time.Date(9999, time.December, 31, 23, 59, 59, 999e6, time.UTC)

// MaxEnd returns the end that no renewal of a license goes beyond: the one on
// its record or, where there is none, the present end and RenewMax. It is zero
// if the license cannot be renewed, since it has no end or RenewMax is zero.
func (p Policy) MaxEnd(r Record) time.Time {
	switch {
	case r.End.IsZero(), p.RenewMax <= 0:
		return time.Time{}
	case !r.MaxEnd.IsZero():
		return r.MaxEnd
	}
	latest := r.End.Add(p.RenewMax)
	if latest.After(lastDate) {
		return lastDate
	}
	return latest
}

// whyNotRenew returns why a license is not one to renew, whoever asks and
// whatever the date, or "".
func (p Policy) whyNotRenew(r Record, now time.Time) string {
	switch seen := r.Seen(now); {
	case seen == Expired && !p.AllowRenewOnExpired:
		return "it has expired"
	case seen != Active && seen != Expired:
		return "it is " + string(seen)
	case r.End.IsZero():
		return "it has no end"
	}
	return ""
}

// Register registers a device with a license (LSD §3.3), one whose rights have
// not begun included: that is for the app to wait for. The first device makes
// the license active, and one that lasts from then on has its end from then on:
// see Record.PlayEnd. A device that is registered already changes nothing, and
// there is no event. The refusal is ErrRegistration.
func Register(r Record, by Device, now time.Time) (Record, []Event, error) {
	switch seen := r.Seen(now); {
	case by.ID == "":
		return r, nil, fmt.Errorf("%w: it gives no id", ErrRegistration)
	case by.Name == "":
		return r, nil, fmt.Errorf("%w: it gives no name", ErrRegistration)
	case seen != Ready && seen != Active:
		return r, nil, fmt.Errorf("%w: the license is %s", ErrRegistration, seen)
	case by.Registered && seen == Active:
		return r, nil, nil
	}
	moved := r
	moved.State = Active
	moved.StatusUpdated = after(now, r.LastUpdated(now))
	if by.Registered { // the record was made ready by hand
		return moved, nil, nil
	}
	if r.Devices == 0 && !r.PlayEnd.IsZero() {
		moved = moved.began(r, now)
	}
	moved.Devices++
	return moved, happened(EventRegister, by, now), nil
}

// began returns r, which was before, with its end where the use of it puts it, if
// that is earlier. Renewals still add as much as they could have added before.
func (r Record) began(before Record, now time.Time) Record {
	end := instant(r.PlayEnd)
	if !r.End.IsZero() && !end.Before(r.End) {
		return r
	}
	if !r.End.IsZero() && !r.MaxEnd.IsZero() {
		r.MaxEnd = r.MaxEnd.Add(end.Sub(r.End))
	}
	r.End = end
	if r.Start.After(r.End) {
		r.Start = r.End
	}
	return r.touched(before, now)
}

// Renew moves the end of a license later (LSD §3.5): to the end asked for, which
// must lie after the present one and the present time and not beyond MaxEnd, or,
// if that is zero, by RenewDefault from now and at most to MaxEnd. Where that is
// not later than the present end, the present end stays. A license that has
// expired becomes active again, where the policy allows it.
//
// Apps need not name their device; one that does must be registered, unless no
// device is. A license recorded without a maximum gets it now, so that one
// renewal after the other does not lead beyond.
//
// The refusal is ErrRenewDate for a date that cannot be or a license that would
// be over all the same, and ErrRenew for all else.
func Renew(r Record, by Device, end, now time.Time, p Policy) (Record, []Event, error) {
	if reason := p.whyNotRenew(r, now); reason != "" {
		return r, nil, fmt.Errorf("%w: %s", ErrRenew, reason)
	}
	if p.RenewMax <= 0 {
		return r, nil, fmt.Errorf("%w: renewals are not offered", ErrRenew)
	}
	if err := by.known(r, ErrRenew); err != nil {
		return r, nil, err
	}
	moved := r
	moved.MaxEnd = p.MaxEnd(r)
	moved.End = instant(end)
	switch {
	case end.IsZero():
		moved.End = earlier(instant(now.Add(p.RenewDefault)), moved.MaxEnd)
		if moved.End.Before(r.End) {
			moved.End = r.End
		}
	case moved.End.After(moved.MaxEnd):
		return r, nil, fmt.Errorf("%w: the latest end is %s", ErrRenewDate, format(moved.MaxEnd))
	case !moved.End.After(r.End):
		return r, nil, fmt.Errorf("%w: it must be later than the present end, %s", ErrRenewDate, format(r.End))
	}
	if !moved.End.After(instant(now)) {
		return r, nil, fmt.Errorf("%w: %s is in the past", ErrRenewDate, format(moved.End))
	}
	moved.State = Active
	return moved.touched(r, now), happened(EventRenew, by, now), nil
}

// Return ends a license at its user's request (LSD §3.4): one in use is returned,
// one that no device is registered with is cancelled. A device that names itself
// must be registered, unless none is. The refusal is ErrAlreadyReturned,
// ErrExpired, or ErrReturn, as for a license without an end, which is no loan.
func Return(r Record, by Device, now time.Time) (Record, []Event, error) {
	moved := r
	switch seen := r.Seen(now); seen {
	case Ready:
		moved.State = Cancelled
	case Active:
		moved.State = Returned
	case Returned:
		return r, nil, ErrAlreadyReturned
	case Expired:
		return r, nil, ErrExpired
	default:
		return r, nil, fmt.Errorf("%w: it is %s", ErrReturn, seen)
	}
	if r.End.IsZero() {
		return r, nil, fmt.Errorf("%w: it has no end", ErrReturn)
	}
	if err := by.known(r, ErrReturn); err != nil {
		return r, nil, err
	}
	return moved.ended(now).touched(r, now), happened(EventReturn, by, now), nil
}

// Revoke ends a license at the provider's request: it is cancelled if no device
// has been registered with it in its time, else revoked. What is revoked or
// cancelled stays as it is, and there is no event.
func Revoke(r Record, now time.Time) (Record, []Event) {
	moved, event := r, EventRevoke
	switch r.Seen(now) {
	case Revoked, Cancelled:
		return r, nil
	case Ready:
		moved.State, event = Cancelled, EventCancel
	default:
		moved.State = Revoked
	}
	return moved.ended(now).touched(r, now), happened(event, Device{}, now)
}

// known refuses a device that names itself and is not among those registered.
// Where none is, as on a license that is ready or that comes from another
// server, there is nobody to compare it with.
func (d Device) known(r Record, refusal error) error {
	if d.ID == "" || d.Registered || r.Devices == 0 {
		return nil
	}
	return fmt.Errorf("%w: the device %q is not registered with it", refusal, d.ID)
}

// ended returns r with its rights over by now, and no later than they were. They
// do not begin after their end either: no license could be issued so.
func (r Record) ended(now time.Time) Record {
	now = instant(now)
	if r.End.IsZero() || r.End.After(now) {
		r.End = now
	}
	if r.Start.After(r.End) {
		r.Start = r.End
	}
	return r
}

// touched returns r, which was before, with license and status document updated.
func (r Record) touched(before Record, now time.Time) Record {
	r.StatusUpdated = after(now, before.LastUpdated(now))
	r.Updated = r.StatusUpdated
	return r
}

// after returns now or, if the clock stood still or went back since last, the
// next millisecond: apps compare dates to learn whether something changed.
func after(now, last time.Time) time.Time {
	if now = instant(now); now.After(last) {
		return now
	}
	return instant(last.Add(time.Millisecond))
}

func happened(event string, by Device, now time.Time) []Event {
	return []Event{{Type: event, DeviceID: by.ID, DeviceName: by.Name, At: instant(now)}}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
