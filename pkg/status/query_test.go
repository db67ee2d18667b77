package status_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/status"
)

func query(tb testing.TB, text string) url.Values {
	tb.Helper()
	q, err := url.ParseQuery(text)
	if err != nil {
		tb.Fatal(err)
	}
	return q
}

func TestParseDevice(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 255)
	tests := map[string]struct {
		query string
		want  status.Device
		fault string // the parameter that is refused
	}{
		"both":             {"id=d1&name=My+Phone", status.Device{ID: "d1", Name: "My Phone"}, ""},
		"neither":          {"", status.Device{}, ""},
		"empty":            {"id=&name=", status.Device{}, ""},
		"doubled":          {"id=d1&id=d2&name=a&name=b", status.Device{ID: "d1", Name: "a"}, ""},
		"not to be set":    {"id=d1&registered=true", status.Device{ID: "d1"}, ""},
		"255 characters":   {"id=" + url.QueryEscape(long), status.Device{ID: long}, ""},
		"256 characters":   {"id=" + url.QueryEscape(long+"x"), status.Device{}, "id"},
		"a long name":      {"id=d1&name=" + strings.Repeat("n", 256), status.Device{}, "name"},
		"not UTF-8":        {"id=d1&name=%ff", status.Device{}, "name"},
		"NUL":              {"id=d%001", status.Device{}, "id"},
		"a header trick":   {"id=d1&name=a%0d%0aX: y", status.Device{}, "name"},
		"an SQL trick":     {"id=' OR 1=1 --", status.Device{ID: "' OR 1=1 --"}, ""},
		"beyond the basic": {"name=%F0%9F%93%96", status.Device{Name: "\U0001f4d6"}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := status.ParseDevice(query(t, tt.query))
			checkFault(t, err, tt.fault)
			if got != tt.want {
				t.Errorf("device = %+v, want %+v", got, tt.want)
			}
		})
	}
}

// checkFault wants err to be about a parameter, or nil if that is "".
func checkFault(t *testing.T, err error, parameter string) {
	t.Helper()
	var fault *status.ParameterError
	switch {
	case parameter == "":
		if err != nil {
			t.Errorf("error = %v", err)
		}
	case !errors.As(err, &fault) || fault.Name != parameter || !strings.Contains(err.Error(), parameter):
		t.Errorf("error = %v, want one about %s", err, parameter)
	}
}

func TestParseEnd(t *testing.T) {
	t.Parallel()
	none := time.Time{}
	tests := map[string]struct {
		query string
		want  time.Time
		bad   bool
	}{
		"absent":                       {"id=d1", none, false},
		"empty":                        {"end=", none, false},
		"UTC":                          {"end=2030-05-01T12:00:00Z", noon, false},
		"lower case":                   {"end=2030-05-01t12:00:00z", noon, false},
		"offset":                       {"end=2030-05-01T14:00:00%2B02:00", noon, false},
		"offset west":                  {"end=2030-05-01T07:00:00-05:00", noon, false},
		"offset, a bare plus":          {"end=2030-05-01T14:00:00+02:00", noon, false},
		"offset without a colon":       {"end=2030-05-01T12:00:00%2B0000", noon, false},
		"the same, a bare plus":        {"end=2030-05-01T12:00:00+0000", noon, false},
		"offset of hours":              {"end=2030-05-01T14:00:00%2B02", noon, false},
		"offset west without a colon":  {"end=2030-05-01T07:00:00-0500", noon, false},
		"fraction":                     {"end=2030-05-01T12:00:00.25Z", noon.Add(250 * time.Millisecond), false},
		"fraction, offset, a plus":     {"end=2030-05-01T12:00:00.250+0000", noon.Add(250 * time.Millisecond), false},
		"nanoseconds":                  {"end=2030-05-01T12:00:00.123456789Z", noon.Add(123 * time.Millisecond), false},
		"no seconds":                   {"end=2030-05-01T12:00Z", noon, false},
		"no seconds, an offset":        {"end=2030-05-01T14:00%2B0200", noon, false},
		"a date":                       {"end=2030-05-01", noon.Add(-12 * time.Hour), false},
		"a space for the T":            {"end=2030-05-01+12:00:00Z", noon, false},
		"a space for the T and a plus": {"end=2030-05-01+14:00:00+02:00", noon, false},
		"doubled":                      {"end=2030-05-01T12:00:00Z&end=2031-01-01T00:00:00Z", noon, false},
		"no offset":                    {"end=2030-05-01T12:00:00", none, true},
		"a year":                       {"end=2030", none, true},
		"a month":                      {"end=2030-05", none, true},
		"a day there is not":           {"end=2030-02-30", none, true},
		"seconds since 1970":           {"end=1903867200", none, true},
		"beyond all dates":             {"end=9999-12-31T23:59:59-01:00", none, true},
		"the beginning of time":        {"end=0001-01-01", none, true},
		"words":                        {"end=tomorrow", none, true},
		"long":                         {"end=2030-05-01T12:00:00." + strings.Repeat("0", 1000) + "Z", none, true},
		"unset":                        {"end={end}", none, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := status.ParseEnd(query(t, tt.query))
			fault := ""
			if tt.bad {
				fault = "end"
			}
			checkFault(t, err, fault)
			if !got.Equal(tt.want) {
				t.Errorf("end = %s, want %s", got, tt.want)
			}
		})
	}
}

// FuzzParseEnd: what is accepted is a date that documents can carry, and is read
// again as the same one.
func FuzzParseEnd(f *testing.F) {
	for _, seed := range []string{
		"2030-05-01T12:00:00Z", "2030-05-01t12:00:00.5 0000", "2030-05-01", "2030-05-01 12:00-05", "9999-12-31T23:59:59.999Z",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := status.ParseEnd(url.Values{"end": {text}})
		if err != nil || text == "" {
			if !got.IsZero() {
				t.Errorf("end = %s with %v", got, err)
			}
			return
		}
		written := got.Format(time.RFC3339Nano)
		if !dateForm.MatchString(written) {
			t.Errorf("%q is %s", text, written)
		}
		if again, err := status.ParseEnd(url.Values{"end": {written}}); err != nil || !again.Equal(got) {
			t.Errorf("%q is %s, and that is %s, %v", text, written, again, err)
		}
	})
}

// FuzzMatch: any header has an answer, and preferring a language above all else
// gets it.
func FuzzMatch(f *testing.F) {
	f.Add("fr-CH, fr;q=0.9, en;q=0.8, *;q=0.5")
	f.Add("de;q=")
	f.Fuzz(func(t *testing.T, header string) {
		if l := status.Match(header); l > status.Japanese {
			t.Errorf("Match(%q) = %d", header, l)
		}
		if got := status.Match("nl," + header); got != status.Dutch {
			t.Errorf("nl first of %q = %s", header, got)
		}
	})
}
