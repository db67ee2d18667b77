package rights_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/rights"
)

func date(t testing.TB, text string) time.Time {
	t.Helper()
	d, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func duration(t testing.TB, text string) rights.Duration {
	t.Helper()
	d, err := rights.ParseDuration(text)
	if err != nil {
		t.Fatalf("ParseDuration(%q) = %v", text, err)
	}
	return d
}

// The first two are the examples of XML Schema 1.1 Part 2, E.3.3 and the table of
// XML Schema 1.0 Part 2, appendix E.
func TestAfter(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ duration, from, want string }{
		"all parts at once":                   {"P1Y3M5DT7H10M3.3S", "2000-01-12T12:13:14Z", "2001-04-17T19:23:17.3Z"},
		"a month after the last of January":   {"P1M", "2000-01-30T00:00:00Z", "2000-02-29T00:00:00Z"},
		"a month after it in a common year":   {"P1M", "2027-01-31T10:00:00Z", "2027-02-28T10:00:00Z"},
		"a year after the 29th of February":   {"P1Y", "2028-02-29T10:00:00Z", "2029-02-28T10:00:00Z"},
		"months, and only then days":          {"P1M1D", "2027-01-31T10:00:00Z", "2027-03-01T10:00:00Z"},
		"fourteen days over a month's end":    {"P14D", "2027-02-20T10:00:00Z", "2027-03-06T10:00:00Z"},
		"weeks":                               {"P2W", "2027-02-20T10:00:00Z", "2027-03-06T10:00:00Z"},
		"ten minutes":                         {"PT10M", "2027-12-31T23:55:00Z", "2028-01-01T00:05:00Z"},
		"months, not minutes":                 {"P10M", "2027-12-31T23:55:00Z", "2028-10-31T23:55:00Z"},
		"more months than a year has":         {"P26M", "2027-12-31T00:00:00Z", "2030-02-28T00:00:00Z"},
		"more hours than a day has":           {"PT36H", "2027-12-31T00:00:00Z", "2028-01-01T12:00:00Z"},
		"half a day":                          {"P0.5D", "2027-12-31T00:00:00Z", "2027-12-31T12:00:00Z"},
		"a fraction after a comma":            {"PT1,5H", "2027-12-31T00:00:00Z", "2027-12-31T01:30:00Z"},
		"a fraction of the last of two":       {"P1DT0.25H", "2027-12-31T00:00:00Z", "2028-01-01T00:15:00Z"},
		"a fraction of a week":                {"P0.5W", "2027-12-01T00:00:00Z", "2027-12-04T12:00:00Z"},
		"nine digits are exact":               {"PT0.123456789S", "2027-12-31T00:00:00Z", "2027-12-31T00:00:00.123456789Z"},
		"in UTC, whatever the zone":           {"P1D", "2027-03-27T12:00:00+01:00", "2027-03-28T11:00:00Z"},
		"the day is that of UTC":              {"P1M", "2027-01-31T23:30:00-02:00", "2027-03-01T01:30:00Z"},
		"a hundred years, and no more":        {"P100Y", "2027-01-01T00:00:00Z", "2127-01-01T00:00:00Z"},
		"a part that is nothing":              {"P0Y14D", "2027-02-20T10:00:00Z", "2027-03-06T10:00:00Z"},
		"leading zeros, as some tools pad it": {"P0000Y00M14DT00H00M00S", "2027-02-20T10:00:00Z", "2027-03-06T10:00:00Z"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := duration(t, tt.duration).After(date(t, tt.from))
			if want := date(t, tt.want); !got.Equal(want) || got.Location() != time.UTC {
				t.Errorf("%s after %s = %s, want %s", tt.duration, tt.from, got, want)
			}
		})
	}
}

func TestParseDurationRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":                        "",
		"no number":                      "P",
		"no number after T":              "P1DT",
		"only T":                         "PT",
		"zero":                           "PT0S",
		"zero days":                      "P0D",
		"negative":                       "-P1D",
		"negative part":                  "P-1D",
		"plus sign":                      "+P1D",
		"lower case":                     "p1d",
		"space":                          "P1D ",
		"parts in another order":         "P1D1M",
		"a part twice":                   "P1D1D",
		"hours without T":                "P1H",
		"days after T":                   "PT1D",
		"weeks with days":                "P1W2D",
		"weeks with a time":              "P1WT1H",
		"number without a letter":        "P1",
		"letter without a number":        "PD",
		"fraction not at the end":        "P1.5DT1H",
		"fraction of hours, then more":   "PT1.5H1M",
		"fraction of a month":            "P0.5M",
		"fraction of a year":             "P1.5Y",
		"fraction without digits":        "PT1.S",
		"fraction without a number":      "PT.5S",
		"fraction of ten digits":         "PT0.1234567891S",
		"two fractions":                  "PT1.5.5S",
		"exponent":                       "PT1E3S",
		"hexadecimal":                    "PT0x10S",
		"digits of another script":       "P١D",
		"more than a hundred years":      "P101Y",
		"more than that in months":       "P1221M",
		"more than that in seconds":      "PT999999999999S",
		"more than that together":        "P100YT36600D",
		"hundred years and hundred more": "P100YT876000H",
		"ten digits":                     "PT9999999999S",
		"what would overflow":            "P999999999W",
		"date form":                      "P0001-02-10T02:30:00",
		"a million digits":               "P" + string(make([]byte, 1<<20)) + "D",
		"text around":                    "in P1D",
		"second T":                       "P1DT1HT1M",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if d, err := rights.ParseDuration(text); err == nil {
				t.Errorf("ParseDuration(%q) = %s, want an error", text, d)
			}
		})
	}
}

func TestDurationString(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"P1Y2M10DT2H30M": "P1Y2M10DT2H30M",
		"P14M":           "P1Y2M",
		"P2W":            "P14D",
		"PT90M":          "PT1H30M",
		"PT0.5S":         "PT0.5S",
		"PT1M10,250S":    "PT1M10.25S",
		"P0.5D":          "PT12H",
	} {
		if got := duration(t, text).String(); got != want {
			t.Errorf("String of %s = %s, want %s", text, got, want)
		}
	}
	if got := (rights.Duration{}).String(); got != "" {
		t.Errorf("String of none = %q", got)
	}
}

// FuzzParseDuration: what is accepted is written back as the same duration, and
// leads from any day to a later one, a hundred years later at most.
func FuzzParseDuration(f *testing.F) {
	for _, text := range []string{"P1Y2M10DT2H30M", "P2W", "PT0.123456789S", "P100Y", "P1,5D", "PT36H", "P", "P0D", "P1W1D"} {
		f.Add(text, int64(1798761600))
	}
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		d, err := rights.ParseDuration(text)
		if err != nil {
			if _, quotable := json.Marshal(err.Error()); quotable != nil || len(err.Error()) > 200 {
				t.Errorf("error of %q is not one to show: %v", text, err)
			}
			return
		}
		if back, err := rights.ParseDuration(d.String()); err != nil || back != d {
			t.Errorf("%q is %q, which reads as %v, %v", text, d, back, err)
		}
		from := time.Unix(unix%(1<<33), 0)
		if after := d.After(from); !after.After(from) || after.After(from.AddDate(101, 0, 0)) {
			t.Errorf("%s after %s is %s", d, from.UTC(), after)
		}
	})
}
