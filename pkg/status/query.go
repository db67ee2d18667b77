package status

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxName bounds the id and the name of a device, in characters.
const maxName = 255

// maxDate bounds the text of a date in bytes: far more than any precision needs.
const maxDate = 64

// A ParameterError is a query parameter that cannot be used.
type ParameterError struct {
	Name   string // id, name or end
	Reason string // such as "is longer than 255 characters"
}

func (e *ParameterError) Error() string { return fmt.Sprintf("parameter %q %s", e.Name, e.Reason) }

// ParseDevice reads the parameters id and name of a request (LSD §3.3). An empty
// one is as good as none, and of several the first counts. The error is a
// *ParameterError for text of more than 255 characters, or that is not UTF-8 or
// has control characters.
func ParseDevice(query url.Values) (Device, error) {
	d := Device{ID: query.Get("id"), Name: query.Get("name")}
	if err := checkName("id", d.ID); err != nil {
		return Device{}, err
	}
	if err := checkName("name", d.Name); err != nil {
		return Device{}, err
	}
	return d, nil
}

func checkName(parameter, value string) error {
	switch {
	case !utf8.ValidString(value):
		return &ParameterError{parameter, "is not valid UTF-8"}
	case utf8.RuneCountInString(value) > maxName:
		return &ParameterError{parameter, fmt.Sprintf("is longer than %d characters", maxName)}
	case strings.ContainsFunc(value, unicode.IsControl):
		return &ParameterError{parameter, "has control characters"}
	}
	return nil
}

// ParseEnd reads the parameter end of a request to renew a license (LSD §3.5).
// It is zero if there is none or it is empty; of several the first counts. The
// error is a *ParameterError.
//
// Apps write the date as RFC 3339 or W3C-DTF have it, or nearly: without seconds,
// with an offset of +0000 or +00, with a + that became a space in the query, or
// with lower-case letters. A date without a time is the beginning of that day in
// UTC; a time must come with its offset.
func ParseEnd(query url.Values) (time.Time, error) {
	text := query.Get("end")
	if text == "" {
		return time.Time{}, nil
	}
	t, err := parseDate(text)
	if err != nil {
		return time.Time{}, &ParameterError{"end", "is not a date and time such as 2030-01-31T12:00:00Z"}
	}
	return t, nil
}

// dateLayouts are what is left once case and spaces are settled. Parsing accepts
// a fraction of a second where a layout has none.
var dateLayouts = []string{
	"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07",
	"2006-01-02T15:04Z07:00", "2006-01-02T15:04Z0700", "2006-01-02T15:04Z07",
	time.DateOnly,
}

var errDate = errors.New("not a date")

func parseDate(text string) (time.Time, error) {
	if len(text) > maxDate {
		return time.Time{}, errDate
	}
	text = strings.ToUpper(strings.TrimSpace(text))
	if len(text) > len(time.DateOnly) && text[len(time.DateOnly)] == ' ' {
		text = strings.Replace(text, " ", "T", 1)
	}
	text = strings.Replace(text, " ", "+", 1)
	for _, layout := range dateLayouts {
		t, err := time.Parse(layout, text)
		if err == nil && writable(t) {
			return instant(t), nil
		}
	}
	return time.Time{}, errDate
}

// writable reports whether RFC 3339 can write t in UTC, and it is not the time
// that stands for none.
func writable(t time.Time) bool {
	return t.UTC().Year() >= 1 && !t.After(lastDate) && !t.IsZero()
}
