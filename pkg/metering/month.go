package metering

import (
	"fmt"
	"time"
)

// A Month is a calendar month in UTC, counted from January of the year 0.
type Month int

// MonthOf returns the month in which t lies.
func MonthOf(t time.Time) Month {
	t = t.UTC()
	return Month(t.Year()*12 + int(t.Month()) - 1)
}

// ParseMonth reads a month as in 2030-01.
func ParseMonth(text string) (Month, error) {
	t, err := time.Parse("2006-01", text)
	if err != nil {
		return 0, fmt.Errorf("month %q is not like 2030-01", text)
	}
	return MonthOf(t), nil
}

// Begin returns the first instant of the month.
func (m Month) Begin() time.Time {
	return time.Date(int(m)/12, time.Month(int(m)%12+1), 1, 0, 0, 0, 0, time.UTC)
}

// String returns the month as in 2030-01.
func (m Month) String() string { return m.Begin().Format("2006-01") }

// MarshalText writes a month as String does.
func (m Month) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what ParseMonth does.
func (m *Month) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMonth(string(text))
	return err
}
