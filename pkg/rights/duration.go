package rights

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Duration is how long something lasts in the calendar: a month is as long as
// the month it falls in. The zero value is none. Durations that are the same
// number of months and of seconds are equal under ==.
type Duration struct {
	months int
	rest   time.Duration // days are of 24 hours, as they are in UTC
}

const (
	day  = 24 * time.Hour
	week = 7 * day

	// maxDuration is a hundred years, beyond any loan.
	maxDuration = 36600 * day
	meanMonth   = maxDuration / 1200 // to compare a sum with it

	maxDurationText = 64 // bytes
	maxDigits       = 9  // of a number or its fraction
)

var errDuration = errors.New("must be an ISO 8601 duration, as in P14D, PT10M or P1Y2M10DT2H30M")

// A part is one place of a duration, such as the days.
type part struct {
	letter byte
	months int           // that one of it has
	rest   time.Duration // or how long one of it is
}

// The places of a duration, in the order they are written in. Weeks stand alone
// (ISO 8601:2004 §4.4.4.2).
var (
	weekParts = []part{{'W', 0, week}}
	dateParts = []part{{'Y', 12, 0}, {'M', 1, 0}, {'D', 0, day}}
	timeParts = []part{{'H', 0, time.Hour}, {'M', 0, time.Minute}, {'S', 0, time.Second}}
)

// ParseDuration reads an ISO 8601 duration with designators. The last of its
// numbers may have a fraction, of up to nine digits, after a point or a comma;
// not so years and months, of which no fraction has a length of its own. It is
// longer than nothing and at most a hundred years.
func ParseDuration(text string) (Duration, error) {
	var d Duration
	body, ok := strings.CutPrefix(text, "P")
	if !ok || len(text) > maxDurationText {
		return d, errDuration
	}
	date, clock, hasClock := strings.Cut(body, "T")
	if date == "" && !hasClock || clock == "" && hasClock {
		return d, errDuration
	}
	parts := dateParts
	if strings.HasSuffix(date, "W") && !hasClock {
		parts = weekParts
	}
	if err := d.read(date, parts, !hasClock); err != nil {
		return Duration{}, err
	}
	if err := d.read(clock, timeParts, true); err != nil {
		return Duration{}, err
	}
	if d == (Duration{}) {
		return d, errors.New("must be longer than nothing")
	}
	return d, nil
}

// read adds the numbers in text, each followed by the letter of one of parts.
// The last of them may have a fraction if it is the last of the duration.
func (d *Duration) read(text string, parts []part, last bool) error {
	for text != "" {
		end := strings.IndexFunc(text, func(r rune) bool { return r >= 'A' })
		if end < 0 {
			return errDuration
		}
		number, letter := text[:end], text[end]
		text = text[end+1:]
		for len(parts) > 0 && parts[0].letter != letter {
			parts = parts[1:]
		}
		if len(parts) == 0 {
			return errDuration
		}
		if err := d.add(number, parts[0], last && text == ""); err != nil {
			return err
		}
		parts = parts[1:]
	}
	return nil
}

// add adds a number of a part.
func (d *Duration) add(number string, p part, fraction bool) error {
	whole, digits, hasFraction := strings.Cut(strings.Replace(number, ",", ".", 1), ".")
	if hasFraction && p.months > 0 {
		return errors.New("must not have a fraction of a year or a month: their length differs")
	}
	if !isDigits(whole) || hasFraction && (!fraction || !isDigits(digits)) {
		return errDuration
	}
	n, err := strconv.Atoi(whole)
	if err != nil {
		return errDuration
	}
	unit := p.rest + time.Duration(p.months)*meanMonth
	if time.Duration(n) > maxDuration/unit {
		return errTooLong
	}
	d.months += n * p.months
	d.rest += time.Duration(n) * p.rest
	for tenth := p.rest / 10; digits != ""; tenth, digits = tenth/10, digits[1:] {
		d.rest += time.Duration(digits[0]-'0') * tenth // exact: a second is 10⁹ ns
	}
	if time.Duration(d.months)*meanMonth+d.rest > maxDuration {
		return errTooLong
	}
	return nil
}

var errTooLong = errors.New("must not be longer than a hundred years")

func isDigits(text string) bool {
	return text != "" && len(text) <= maxDigits && strings.Trim(text, "0123456789") == ""
}

// IsZero reports whether there is no duration.
func (d Duration) IsZero() bool { return d == Duration{} }

// After returns the moment that lies d after t, in UTC: years and months later
// at the same day of the month, or at the last day of a shorter month, then
// days and time (XML Schema 1.1 Part 2, E.3.3).
func (d Duration) After(t time.Time) time.Time {
	t = t.UTC()
	year, month, dayOfMonth := t.Date()
	first := time.Date(year, month+time.Month(d.months), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	lastDay := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(dayOfMonth, lastDay)-1).Add(d.rest)
}

// String returns the duration in ISO 8601, which ParseDuration reads back, or ""
// for none.
func (d Duration) String() string {
	if d.IsZero() {
		return ""
	}
	var b strings.Builder
	b.WriteByte('P')
	write := func(n int64, letter byte) {
		if n > 0 {
			fmt.Fprintf(&b, "%d%c", n, letter)
		}
	}
	write(int64(d.months/12), 'Y')
	write(int64(d.months%12), 'M')
	write(int64(d.rest/day), 'D')
	clock := d.rest % day
	if clock == 0 {
		return b.String()
	}
	b.WriteByte('T')
	write(int64(clock/time.Hour), 'H')
	write(int64(clock%time.Hour/time.Minute), 'M')
	if seconds := clock % time.Minute; seconds > 0 {
		whole := strconv.FormatInt(int64(seconds/time.Second), 10)
		fraction := strings.TrimRight(fmt.Sprintf("%09d", seconds%time.Second), "0")
		b.WriteString(strings.TrimSuffix(whole+"."+fraction, ".") + "S")
	}
	return b.String()
}
