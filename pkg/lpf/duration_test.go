package lpf

import (
	"testing"

	"github.com/lcp-tools/lcp/pkg/rwpm"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	const second = rwpm.Seconds(1e9)
	tests := map[string]rwpm.Seconds{
		"PT59S":                59 * second,
		"PT124503.123S":        124503123 * second / 1000,
		"PT1H2M3.5S":           3723*second + second/2,
		"P1DT1S":               86401 * second,
		"P2W":                  14 * 86400 * second,
		"PT1.5H":               5400 * second,
		"PT0,5M":               30 * second,
		"PT0S":                 0,
		"P0Y0M1D":              86400 * second,
		"PT0.1S":               second / 10,
		"PT0.0000000019S":      1,
		"PT015S":               15 * second,
		"P0DT0H21M10.00S":      1270 * second,
		"PT9223372036.854775S": 9223372036854775000,
	}
	for text, want := range tests {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s = %d ns, %v, want %d", text, int64(got), err, int64(want))
		}
	}
	for _, text := range []string{
		"", "P", "PT", "59", "PT59", "59S", "P59S", "PTS", "PT1S2M", "PT1M1M", "P1Y", "P1M", "-PT1S", "PT-1S", "PT+1S",
		"PT1.5M3S", "P1.5DT1S", "PT1.S", "PT.5S", "PT1.2.3S", "PT1e3S", "pt1s", "PT1H ", "PT9999999999999999S",
	} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q = %d ns, want an error", text, int64(got))
		}
	}
}
