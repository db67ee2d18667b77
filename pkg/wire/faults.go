package wire

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lcp-tools/lcp/pkg/license"
)

// Faults collects what is wrong with the fields of a request.
type Faults []error

// Add adds a fault of a field.
func (f *Faults) Add(field, format string, args ...any) {
	*f = append(*f, &license.FieldError{Field: field, Reason: fmt.Sprintf(format, args...)})
}

// Lengths of text that is kept, in characters: of what things are found by, of a
// URL, and of prose.
const (
	MaxName  = 255
	MaxURL   = 4096
	MaxProse = 1 << 18
)

// Text adds a fault if a text cannot be kept.
func (f *Faults) Text(field, text string, limit int) {
	if reason := WhyNotText(text, limit); reason != "" {
		f.Add(field, "%s", reason)
	}
}

// WhyNotText returns what keeps a text from being kept by every database, or "".
func WhyNotText(text string, limit int) string {
	switch {
	case !utf8.ValidString(text):
		return "is not valid UTF-8"
	case strings.ContainsRune(text, 0):
		return "has a NUL character"
	case utf8.RuneCountInString(text) > limit:
		return fmt.Sprintf("is longer than %d characters", limit)
	default:
		return ""
	}
}

// Err joins the faults in the order of their fields' names.
func (f Faults) Err() error {
	slices.SortFunc(f, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(f...)
}
