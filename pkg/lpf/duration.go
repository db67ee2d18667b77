package lpf

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/lcp-tools/lcp/pkg/rwpm"
)

// units of ISO 8601 durations in their order, in seconds; -1 where the length
// depends on the calendar.
var (
	dateUnits = []unit{{'Y', -1}, {'M', -1}, {'W', 7 * 86400}, {'D', 86400}}
	timeUnits = []unit{{'H', 3600}, {'M', 60}, {'S', 1}}
)

type unit struct {
	letter  byte
	seconds int64
}

// parseDuration reads a duration by ISO 8601-1 §5.5.2, such as PT1H2M3.5S. It
// is exact to the nanosecond. Years and months are refused unless they are
// zero, for they have no length of their own.
func parseDuration(s string) (rwpm.Seconds, error) {
	const maxLength = 64
	bad := fmt.Errorf("%q is not an ISO 8601 duration of exact length", s)
	rest, ok := strings.CutPrefix(s, "P")
	date, clock, hasClock := strings.Cut(rest, "T")
	if !ok || len(s) > maxLength || date == "" && clock == "" || hasClock && clock == "" {
		return 0, bad
	}
	total := new(big.Rat)
	for _, part := range []struct {
		text  string
		units []unit
		last  bool // nothing follows this part
	}{{date, dateUnits, !hasClock}, {clock, timeUnits, true}} {
		if !addComponents(total, part.text, part.units, part.last) {
			return 0, bad
		}
	}
	nanoseconds := new(big.Int).Quo(new(big.Int).Mul(total.Num(), big.NewInt(1e9)), total.Denom())
	if !nanoseconds.IsInt64() {
		return 0, bad
	}
	return rwpm.Seconds(nanoseconds.Int64()), nil
}

// addComponents adds the components in text, each a number and the letter of a
// unit, which must come in order. Only the very last may have a fraction.
func addComponents(total *big.Rat, text string, units []unit, last bool) bool {
	for text != "" {
		n := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' && r != ',' })
		if n <= 0 {
			return false
		}
		number := strings.ReplaceAll(text[:n], ",", ".")
		letter := text[n]
		text = text[n+1:]
		for len(units) > 0 && units[0].letter != letter {
			units = units[1:]
		}
		whole, fraction, fractional := strings.Cut(number, ".")
		if len(units) == 0 || whole == "" || fractional && (fraction == "" || text != "" || !last) {
			return false
		}
		value, ok := new(big.Rat).SetString(number)
		if !ok || units[0].seconds < 0 && value.Sign() != 0 {
			return false
		}
		total.Add(total, value.Mul(value, big.NewRat(units[0].seconds, 1)))
		units = units[1:]
	}
	return true
}
