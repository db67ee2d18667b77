package rights

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
)

// An object reads the members of a JSON object by their exact names, and notes
// what is wrong with them by path. What is null is as good as absent, and so is
// every member of an object that is absent itself.
type object struct {
	path   string // of its members, such as "profile."; "" outermost
	value  *jsontree.Value
	faults *[]error
}

func (o object) present() bool { return o.value.Kind() == jsontree.Object }

func (o object) has(name string) bool { return o.value.Get(name).Kind() != jsontree.Null }

func (o object) fault(name, reason string) {
	*o.faults = append(*o.faults, &license.FieldError{Field: o.path + name, Reason: reason})
}

// only notes every member of another name.
func (o object) only(names ...string) {
	for _, m := range o.value.Members() {
		if !slices.Contains(names, m.Key) {
			o.fault(clip(m.Key), "is not a known member")
		}
	}
}

// clip shortens a name that someone else chose, for an error.
func clip(name string) string {
	const most = 40
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, name)
}

func (o object) object(name string) object {
	v := o.value.Get(name)
	if k := v.Kind(); k != jsontree.Object && k != jsontree.Null {
		o.fault(name, "must be an object")
		v = nil
	}
	return object{path: o.path + name + ".", value: v, faults: o.faults}
}

// read returns the text of a member, "" if there is none.
func (o object) read(name string, most int) string {
	if !o.has(name) {
		return ""
	}
	text, ok := o.value.Get(name).Text()
	switch {
	case !ok:
		o.fault(name, "must be a string")
		return ""
	case len(text) > most:
		o.fault(name, fmt.Sprintf("must not be longer than %d bytes", most))
		return ""
	case strings.ContainsFunc(text, unprintable):
		o.fault(name, "must not contain control characters")
		return ""
	}
	return text
}

// unprintable allows the line breaks that a hint may have.
func unprintable(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }

func (o object) text(name string) string { return o.read(name, maxText) }

func (o object) id(name string) string {
	text := o.read(name, maxID)
	if strings.ContainsFunc(text, unicode.IsControl) {
		o.fault(name, "must not contain control characters")
		return ""
	}
	return text
}

// texts reads a list of strings. An empty one is not nil.
func (o object) texts(name string) []string {
	v := o.value.Get(name)
	if v.Kind() == jsontree.Null {
		return nil
	}
	list := []string{}
	if v.Kind() != jsontree.Array {
		o.fault(name, "must be an array of strings")
		return nil
	}
	for _, item := range v.All() {
		text, ok := item.Text()
		if !ok || len(text) > maxID {
			o.fault(name, "must be an array of strings")
			return nil
		}
		list = append(list, text)
	}
	return list
}

func (o object) truth(name string) *bool {
	v := o.value.Get(name)
	switch v.Kind() {
	case jsontree.Null:
		return nil
	case jsontree.Bool:
		is := v.IsTrue()
		return &is
	default:
		o.fault(name, "must be true or false")
		return nil
	}
}

// maxCount is the largest integer that every reader of JSON keeps exact
// (RFC 8259 §6).
const maxCount = 1<<53 - 1

func (o object) count(name string) *int64 {
	if !o.has(name) {
		return nil
	}
	literal, _ := o.value.Get(name).Number()
	n, err := strconv.ParseInt(literal, 10, 64)
	if err != nil || n < 0 || n > maxCount {
		o.fault(name, "must be an integer of 0 or more; leave it out for no limit")
		return nil
	}
	return &n
}

func (o object) hash(name string) string {
	text := o.id(name)
	if text == "" {
		return ""
	}
	if _, err := profile.ParseHash(text); err != nil {
		o.fault(name, "must be the SHA-256 of the passphrase, 64 hexadecimal digits")
		return ""
	}
	return strings.ToLower(text)
}

func (o object) encryption(name string) string {
	uri := o.id(name)
	if uri != "" && profile.Validate(uri) != nil {
		o.fault(name, "is not the URI of an encryption profile")
		return ""
	}
	return uri
}

func (o object) duration(name string) Duration {
	if !o.has(name) {
		return Duration{}
	}
	d, err := ParseDuration(o.id(name))
	if err != nil {
		o.fault(name, err.Error())
	}
	return d
}

func (o object) instant(name string) time.Time {
	if !o.has(name) {
		return time.Time{}
	}
	t, ok := parseInstant(o.id(name))
	if !ok {
		o.fault(name, "must be a date and time with its time zone, as in 2030-01-31T12:00:00Z")
	}
	return t
}

// parseInstant reads an RFC 3339 date, or one whose offset has no colon, as
// many libraries write it. A date without a time zone is another moment for
// everyone who reads it, and refused.
func parseInstant(text string) (time.Time, bool) {
	const date = "2006-01-02T15:04:05" // a fraction is understood without being asked for
	for _, zone := range []string{"Z07:00", "Z0700"} {
		t, err := time.Parse(date+zone, text)
		if err == nil && text[len("2006-01-02T15")] == ':' && !strings.Contains(text, ",") && writable(t) {
			return t.UTC().Truncate(time.Millisecond), true
		}
	}
	return time.Time{}, false
}

// writable reports whether RFC 3339 can write t in UTC, and it is not the time
// that stands for none.
func writable(t time.Time) bool {
	year := t.UTC().Year()
	return 1 <= year && year <= 9999 && !t.IsZero()
}
