package rights_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/rights"
)

var now = time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)

const hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// terms parses a token without templates and settles it.
func terms(t testing.TB, text string, strict bool) (rights.Terms, error) {
	t.Helper()
	token, err := rights.Parse([]byte(text))
	if err != nil {
		return rights.Terms{}, err
	}
	return token.Terms(now, strict)
}

// compare is for Terms, which do not print.
func compare(t testing.TB, got, want rights.Terms) {
	t.Helper()
	type plain rights.Terms
	type user rights.User
	diff := cmp.Diff(plain(want), plain(got), cmp.Comparer(func(a, b rights.Duration) bool { return a == b }),
		cmp.Transformer("user", func(u rights.User) user { return user(u) }))
	if diff != "" {
		t.Errorf("terms (-want +got):\n%s", diff)
	}
}

func TestTerms(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		token string
		want  rights.Terms
	}{
		"a purchase": {
			`{"assetId":"isbn-1","profile":{"type":"purchase"}}`,
			rights.Terms{AssetID: "isbn-1"},
		},
		"a purchase in the older form": {
			`{"profile":{"purchase":{}}}`,
			rights.Terms{},
		},
		"a rental until a date": {
			`{"profile":{"type":"rental","absoluteExpiration":"2027-03-01T00:00:00+01:00"}}`,
			rights.Terms{End: date(t, "2027-02-28T23:00:00Z")},
		},
		"an offset without a colon": {
			`{"profile":{"type":"rental","absoluteExpiration":"2027-03-01T00:00:00.000+0100"}}`,
			rights.Terms{End: date(t, "2027-02-28T23:00:00Z")},
		},
		"a rental for a month of the calendar": {
			`{"profile":{"type":"rental","relativeExpiration":"P1M"}}`,
			rights.Terms{End: date(t, "2027-02-28T12:00:00Z")},
		},
		"the earlier of two expirations, the date": {
			`{"profile":{"type":"rental","absoluteExpiration":"2027-02-03T00:00:00Z","relativeExpiration":"P14D"}}`,
			rights.Terms{End: date(t, "2027-02-03T00:00:00Z")},
		},
		"the earlier of two expirations, the duration": {
			`{"profile":{"type":"rental","absoluteExpiration":"2027-03-03T00:00:00Z","relativeExpiration":"P14D"}}`,
			rights.Terms{End: date(t, "2027-02-14T12:00:00Z")},
		},
		"the older form of a rental": {
			`{"ref":[],"profile":{"rental":{"relativeExpiration":"PT10M", "playDuration":"PT1M"}}}`,
			rights.Terms{End: date(t, "2027-01-31T12:10:00Z"), PlayDuration: duration(t, "PT1M")},
		},
		"play duration alone": {
			`{"profile":{"type":"rental","playDuration":"PT48H"}}`,
			rights.Terms{
				PlayDuration: duration(t, "P2D"),
				Warnings:     []string{"profile.playDuration: without an expiration the license has no end until a device is registered"},
			},
		},
		"what only LCP has, the user and the passphrase": {
			`{"profile":{"type":"purchase"},
			  "lcp":{"print":0,"copy":10000,"start":"2027-02-01T00:00:00Z","profile":"http://readium.org/lcp/profile-2.x"},
			  "user":{"id":"u1","name":"Zoë","email":"z@example.org","encrypted":["name","email"]},
			  "passHash":"` + strings.ToUpper(hash) + `","textHint":"Line 1\nline 2"}`,
			rights.Terms{
				Start: date(t, "2027-02-01T00:00:00Z"), Copy: new(int64(10000)), Print: new(int64(0)), Profile: "http://readium.org/lcp/profile-2.x",
				User:     rights.User{ID: "u1", Name: "Zoë", Email: "z@example.org", Encrypted: []string{"name", "email"}},
				PassHash: hash, TextHint: "Line 1\nline 2",
			},
		},
		"an end in the past": {
			`{"profile":{"type":"rental","absoluteExpiration":"2020-03-01T00:00:00Z"}}`,
			rights.Terms{End: date(t, "2020-03-01T00:00:00Z")},
		},
		"null is as good as absent": {
			`{"assetId":null,"profile":{"type":"rental","absoluteExpiration":null,"relativeExpiration":"P1D"},"lcp":null,
			  "user":{"name":null},"passHash":null,"op":null,"storeLicense":null,"ref":null}`,
			rights.Terms{End: date(t, "2027-02-01T12:00:00Z")},
		},
		"what asks for nothing is no matter": {
			`{"profile":{"type":"purchase"},"op":{},"variantId":"","outputProtection":{},"storeLicense":true}`,
			rights.Terms{},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := terms(t, tt.token, true)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, got, tt.want)
		})
	}
}

func TestFormsOfToken(t *testing.T) {
	t.Parallel()
	const object = `{"assetId":"a","profile":{"type":"purchase"}}`
	for name, text := range map[string]string{
		"object":                        object,
		"array of one":                  "[" + object + "]",
		"text of an object":             quote(t, object),
		"text of an array of one":       quote(t, "["+object+"]"),
		"space around":                  " \n " + object + "\n",
		"byte order mark in the middle": quote(t, "\uFEFF"+object),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := terms(t, text, true)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, got, rights.Terms{AssetID: "a"})
		})
	}
}

func quote(t testing.TB, text string) string {
	t.Helper()
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestFaults has one token for each thing that can be wrong, and the field that
// must be named for it.
func TestFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ token, field string }{
		"no profile":                      {`{"assetId":"a"}`, "profile"},
		"unknown member":                  {`{"profile":{"type":"purchase"},"passhash":"x"}`, "passhash"},
		"misspelled limit":                {`{"profile":{"type":"purchase"},"lcp":{"prints":1}}`, "lcp.prints"},
		"misspelled expiration":           {`{"profile":{"type":"rental","playDuration":"P1D","relativeExpiraton":"P1D"}}`, "profile.relativeExpiraton"},
		"member in another case":          {`{"profile":{"Type":"purchase"}}`, "profile.Type"},
		"profile that is neither":         {`{"profile":{"type":"gift"}}`, "profile.type"},
		"profile without a type":          {`{"profile":{}}`, "profile.type"},
		"profile of both types":           {`{"profile":{"purchase":{},"rental":{"relativeExpiration":"P1D"}}}`, "profile.type"},
		"both forms at once":              {`{"profile":{"type":"purchase","rental":{"relativeExpiration":"P1D"}}}`, "profile.rental"},
		"profile of another kind":         {`{"profile":"purchase"}`, "profile"},
		"purchase with an end":            {`{"profile":{"type":"purchase","relativeExpiration":"P1D"}}`, "profile.relativeExpiration"},
		"older purchase with an end":      {`{"profile":{"purchase":{"relativeExpiration":"P1D"}}}`, "profile.purchase.relativeExpiration"},
		"rental without an end":           {`{"profile":{"type":"rental"}}`, "profile"},
		"older rental without an end":     {`{"profile":{"rental":{}}}`, "profile"},
		"negative duration":               {`{"profile":{"rental":{"relativeExpiration":"-P1D"}}}`, "profile.rental.relativeExpiration"},
		"absurd duration":                 {`{"profile":{"type":"rental","playDuration":"P999999Y"}}`, "profile.playDuration"},
		"duration that is a number":       {`{"profile":{"type":"rental","playDuration":3600}}`, "profile.playDuration"},
		"empty duration":                  {`{"profile":{"type":"rental","playDuration":""}}`, "profile.playDuration"},
		"date without a time zone":        {`{"profile":{"type":"rental","absoluteExpiration":"2027-03-01T00:00:00"}}`, "profile.absoluteExpiration"},
		"date without a time":             {`{"profile":{"type":"rental","absoluteExpiration":"2027-03-01"}}`, "profile.absoluteExpiration"},
		"date with a zone by name":        {`{"profile":{"type":"rental","absoluteExpiration":"2027-03-01T00:00:00 CET"}}`, "profile.absoluteExpiration"},
		"30th of February":                {`{"profile":{"type":"rental","absoluteExpiration":"2027-02-30T00:00:00Z"}}`, "profile.absoluteExpiration"},
		"fraction after a comma":          {`{"profile":{"type":"rental","absoluteExpiration":"2027-02-20T01:00:00,5Z"}}`, "profile.absoluteExpiration"},
		"hour of one digit":               {`{"profile":{"type":"rental","absoluteExpiration":"2027-02-20T1:00:00Z"}}`, "profile.absoluteExpiration"},
		"offset of a hundred hours":       {`{"profile":{"type":"rental","absoluteExpiration":"2027-02-20T01:00:00+99:00"}}`, "profile.absoluteExpiration"},
		"date that is a number":           {`{"profile":{"type":"rental","absoluteExpiration":1800000000}}`, "profile.absoluteExpiration"},
		"date beyond four digits in UTC":  {`{"profile":{"type":"rental","absoluteExpiration":"9999-12-31T23:59:59-01:00"}}`, "profile.absoluteExpiration"},
		"date that stands for none":       {`{"profile":{"type":"rental","absoluteExpiration":"0001-01-01T00:00:00Z"}}`, "profile.absoluteExpiration"},
		"start after the end":             {`{"profile":{"type":"rental","relativeExpiration":"P1D"},"lcp":{"start":"2027-03-01T00:00:00Z"}}`, "lcp.start"},
		"start without a zone":            {`{"profile":{"type":"purchase"},"lcp":{"start":"2027-03-01T00:00:00"}}`, "lcp.start"},
		"negative number of pages":        {`{"profile":{"type":"purchase"},"lcp":{"print":-1}}`, "lcp.print"},
		"fraction of a page":              {`{"profile":{"type":"purchase"},"lcp":{"print":1.5}}`, "lcp.print"},
		"pages as text":                   {`{"profile":{"type":"purchase"},"lcp":{"print":"10"}}`, "lcp.print"},
		"more characters than are exact":  {`{"profile":{"type":"purchase"},"lcp":{"copy":9007199254740992}}`, "lcp.copy"},
		"unknown encryption profile":      {`{"profile":{"type":"purchase"},"lcp":{"profile":"http://readium.org/lcp/profile-3.0"}}`, "lcp.profile"},
		"lcp of another kind":             {`{"profile":{"type":"purchase"},"lcp":[]}`, "lcp"},
		"pass hash too short":             {`{"profile":{"type":"purchase"},"passHash":"abcd"}`, "passHash"},
		"pass hash in Base64":             {`{"profile":{"type":"purchase"},"passHash":"n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="}`, "passHash"},
		"unknown field of the user":       {`{"profile":{"type":"purchase"},"user":{"phone":"1"}}`, "user.phone"},
		"identifier of the user too long": {`{"profile":{"type":"purchase"},"user":{"id":"` + strings.Repeat("x", 256) + `"}}`, "user.id"},
		"identifier that is a number":     {`{"profile":{"type":"purchase"},"user":{"id":1}}`, "user.id"},
		"NUL, which databases refuse":     {`{"profile":{"type":"purchase"},"user":{"id":"a\u0000b"}}`, "user.id"},
		"line break in an identifier":     {`{"profile":{"type":"purchase"},"assetId":"a\nb"}`, "assetId"},
		"encrypting what is absent":       {`{"profile":{"type":"purchase"},"user":{"id":"u","encrypted":["name"]}}`, "user.encrypted"},
		"encrypting what cannot be":       {`{"profile":{"type":"purchase"},"user":{"id":"u","encrypted":["encrypted"]}}`, "user.encrypted"},
		"encrypting twice":                {`{"profile":{"type":"purchase"},"user":{"id":"u","encrypted":["id","id"]}}`, "user.encrypted"},
		"encrypting by text":              {`{"profile":{"type":"purchase"},"user":{"id":"u","encrypted":"id"}}`, "user.encrypted"},
		"templates by text":               {`{"ref":"a"}`, "ref"},
		"templates that are numbers":      {`{"ref":[1]}`, "ref"},
		"template of another provider":    {`{"ref":["other:a"]}`, "ref"},
		"template with a path":            {`{"ref":["../a"]}`, "ref"},
		"too many templates":              {`{"ref":[` + strings.Repeat(`"a",`, 16) + `"a"]}`, "ref"},
		"storeLicense of another kind":    {`{"profile":{"type":"purchase"},"storeLicense":"no"}`, "storeLicense"},
		"output protection":               {`{"profile":{"type":"purchase"},"outputProtection":{"digital":true}}`, "outputProtection"},
		"op":                              {`{"profile":{"type":"purchase"},"op":{"x":1}}`, "op"},
		"license that must not be stored": {`{"profile":{"type":"purchase"},"storeLicense":false}`, "storeLicense"},
		"variant":                         {`{"profile":{"type":"purchase"},"variantId":"hd"}`, "variantId"},
		"accounting":                      {`{"profile":{"type":"purchase"},"accountingId":"x"}`, "accountingId"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := terms(t, tt.token, true)
			if fields := fieldsOf(err); !slices.Contains(fields, tt.field) {
				t.Errorf("error = %v, names %q, want %q", err, fields, tt.field)
			}
		})
	}
}

func fieldsOf(err error) (names []string) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			names = append(names, fieldsOf(e)...)
		}
		return names
	}
	if f, ok := errors.AsType[*license.FieldError](err); ok {
		return []string{f.Field}
	}
	return nil
}

// Licenses write dates to the second, and so a relative end falls on one.
func TestRelativeEnd(t *testing.T) {
	t.Parallel()
	token, err := rights.Parse([]byte(`{"profile":{"type":"rental","relativeExpiration":"P100Y"}}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := token.Terms(now.Add(999*time.Millisecond), true)
	if err != nil || !got.End.Equal(now.AddDate(100, 0, 0)) {
		t.Errorf("end = %s, %v", got.End, err)
	}
	_, err = token.Terms(now.AddDate(7900, 0, 0), true)
	if fields := fieldsOf(err); !slices.Equal(fields, []string{"profile.relativeExpiration"}) {
		t.Errorf("beyond the year 9999: %v", err)
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := terms(t, `{"profile":{"type":"rental","playDuration":"x"},"passHash":"x","lcp":{"copy":-1},"bogus":1}`, true)
	got := fieldsOf(err)
	slices.Sort(got)
	if want := []string{"bogus", "lcp.copy", "passHash", "profile.playDuration"}; !slices.Equal(got, want) {
		t.Errorf("faults of %q, want %q", got, want)
	}
}

func TestNotAToken(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":                    "",
		"null":                       "null",
		"number":                     "1",
		"empty text":                 `""`,
		"empty array":                "[]",
		"array of two":               "[{},{}]",
		"array of text":              `["{}"]`,
		"array of an array":          "[[{}]]",
		"text of text":               quote(t, quote(t, "{}")),
		"two values":                 "{} {}",
		"HTML":                       "<html></html>",
		"cut off":                    `{"profile":`,
		"two members of one name":    `{"profile":{"type":"purchase"},"profile":{"type":"purchase"}}`,
		"the same further in":        `{"profile":{"type":"rental","type":"purchase"}}`,
		"the same, with an escape":   `{"profile":{"type":"rental","\u0074ype":"purchase"}}`,
		"not UTF-8":                  "{\"assetId\":\"\xff\"}",
		"nested beyond measure":      strings.Repeat(`{"op":`, 1000) + "1" + strings.Repeat("}", 1000),
		"more than the limit":        `{"op":"` + strings.Repeat("x", rights.MaxSize) + `"}`,
		"more than the limit, space": strings.Repeat(" ", rights.MaxSize) + `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := rights.Parse([]byte(text)); err == nil || len(err.Error()) > 200 {
				t.Errorf("Parse = %v, want a short error", err)
			}
		})
	}
}

func TestLenientWarns(t *testing.T) {
	t.Parallel()
	const token = `{"profile":{"type":"purchase"},"op":{"x":1},"outputProtection":{"digital":true},"storeLicense":false}`
	got, err := terms(t, token, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Warnings) != 3 || !strings.HasPrefix(got.Warnings[0], "op:") ||
		!strings.HasPrefix(got.Warnings[1], "outputProtection:") || !strings.HasPrefix(got.Warnings[2], "storeLicense:") {
		t.Errorf("warnings = %q", got.Warnings)
	}
	if _, err := terms(t, token, true); len(fieldsOf(err)) != 3 {
		t.Errorf("strict error = %v, want three faults", err)
	}
}

func TestPlayEnd(t *testing.T) {
	t.Parallel()
	registered := date(t, "2027-01-31T12:00:00Z")
	tests := map[string]struct{ end, duration, want string }{
		"from the first registration":      {"2027-03-01T00:00:00Z", "PT48H", "2027-02-02T12:00:00Z"},
		"not later than it ended before":   {"2027-02-01T00:00:00Z", "PT48H", "2027-02-01T00:00:00Z"},
		"in the calendar":                  {"2027-12-01T00:00:00Z", "P1M", "2027-02-28T12:00:00Z"},
		"of a license without an end":      {"", "PT48H", "2027-02-02T12:00:00Z"},
		"no play duration changes nothing": {"2027-03-01T00:00:00Z", "", "2027-03-01T00:00:00Z"},
		"neither":                          {"", "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var end, want time.Time
			var d rights.Duration
			if tt.end != "" {
				end = date(t, tt.end)
			}
			if tt.want != "" {
				want = date(t, tt.want)
			}
			if tt.duration != "" {
				d = duration(t, tt.duration)
			}
			if got := rights.PlayEnd(end, d, registered); !got.Equal(want) {
				t.Errorf("PlayEnd = %s, want %s", got, want)
			}
		})
	}
}

// shelf is a set of templates by name.
type shelf map[string]string

var errDatabase = errors.New("database is away")

func (s shelf) lookup(name string) ([]byte, error) {
	text, ok := s[name]
	switch {
	case name == "broken-database":
		return nil, errDatabase
	case !ok:
		return nil, rights.ErrTemplate
	}
	return []byte(text), nil
}

func merged(t testing.TB, s shelf, text string) (rights.Terms, error) {
	t.Helper()
	token, err := rights.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if token, err = token.Merge(s.lookup); err != nil {
		return rights.Terms{}, err
	}
	if len(token.Refs) != 0 {
		t.Errorf("merged, and still names %q", token.Refs)
	}
	return token.Terms(now, false)
}

func TestMerge(t *testing.T) {
	t.Parallel()
	s := shelf{
		"loan":     `{"profile":{"type":"rental","relativeExpiration":"P14D","playDuration":"P2D"},"lcp":{"copy":100,"print":10}}`,
		"short":    `{"profile":{"rental":{"relativeExpiration":"P7D"}},"lcp":{"print":5}}`,
		"sale":     `{"profile":{"type":"purchase"}}`,
		"hint":     `{"textHint":"your library card","op":{"x":1},"storeLicense":false}`,
		"all":      `{"ref":["loan","hint"],"lcp":{"print":1}}`,
		"diamond":  `{"ref":["all","loan"]}`,
		"private":  `{"user":{"id":"t","encrypted":["id"]}}`,
		"openuser": `{"user":{"encrypted":[]}}`,
	}
	beyond := []string{"op: it cannot be expressed in an LCP license, and was ignored"}
	week, fortnight := now.AddDate(0, 0, 7), now.AddDate(0, 0, 14)
	tests := map[string]struct {
		token string
		want  rights.Terms
	}{
		"a template alone": {
			`{"ref":["loan"]}`,
			rights.Terms{End: fortnight, PlayDuration: duration(t, "P2D"), Copy: new(int64(100)), Print: new(int64(10))},
		},
		"a colon before the name": {
			`{"ref":[":sale"]}`,
			rights.Terms{},
		},
		"the one to the right wins, member by member": {
			`{"ref":["loan","short"]}`,
			rights.Terms{End: week, PlayDuration: duration(t, "P2D"), Copy: new(int64(100)), Print: new(int64(5))},
		},
		"the order counts": {
			`{"ref":["short","loan"]}`,
			rights.Terms{End: fortnight, PlayDuration: duration(t, "P2D"), Copy: new(int64(100)), Print: new(int64(10))},
		},
		"inline wins over all": {
			`{"ref":["loan","short"],"profile":{"type":"rental","relativeExpiration":"P1D"},"lcp":{"print":0}}`,
			rights.Terms{End: now.AddDate(0, 0, 1), PlayDuration: duration(t, "P2D"), Copy: new(int64(100)), Print: new(int64(0))},
		},
		"a profile of another type wins whole": {
			`{"ref":["loan","sale"]}`,
			rights.Terms{Copy: new(int64(100)), Print: new(int64(10))},
		},
		"a rental over a sale": {
			`{"ref":["sale"],"profile":{"rental":{"relativeExpiration":"P7D"}}}`,
			rights.Terms{End: week},
		},
		"templates of templates": {
			`{"ref":["all"],"storeLicense":true}`,
			rights.Terms{End: fortnight, PlayDuration: duration(t, "P2D"), Copy: new(int64(100)), Print: new(int64(1)), TextHint: "your library card", Warnings: beyond},
		},
		"the same one by two ways is no cycle": {
			`{"ref":["diamond"],"storeLicense":true}`,
			rights.Terms{End: fortnight, PlayDuration: duration(t, "P2D"), Copy: new(int64(100)), Print: new(int64(10)), TextHint: "your library card", Warnings: beyond},
		},
		"an empty list wins over one": {
			`{"ref":["private","openuser"],"profile":{"type":"purchase"}}`,
			rights.Terms{User: rights.User{ID: "t", Encrypted: []string{}}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := merged(t, s, tt.token)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, got, tt.want)
		})
	}
}

func TestMergeRefuses(t *testing.T) {
	t.Parallel()
	s := shelf{
		"self":   `{"ref":["self"]}`,
		"a":      `{"ref":["b"]}`,
		"b":      `{"ref":["c"]}`,
		"c":      `{"ref":["a"]}`,
		"html":   `<html>`,
		"faulty": `{"lcp":{"print":-1}}`,
	}
	for i := range 10 { // deep0 names deep1, and so on
		s[fmt.Sprintf("deep%d", i)] = fmt.Sprintf(`{"ref":["deep%d"]}`, i+1)
	}
	s["deep10"] = `{}`
	const sixteen = `["x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x"]`
	s["x"], s["wide"], s["y"] = `{}`, `{"ref":`+strings.ReplaceAll(sixteen, "x", "y")+`}`, `{"ref":`+sixteen+`}`
	for name, token := range map[string]string{
		"unknown":                         `{"ref":["nowhere"]}`,
		"one that names itself":           `{"ref":["self"]}`,
		"a cycle of three":                `{"ref":["a"]}`,
		"nested too deep":                 `{"ref":["deep0"]}`,
		"256 templates behind sixteen":    `{"ref":["wide"]}`,
		"what is not JSON":                `{"ref":["html"]}`,
		"a fault, though inline would do": `{"ref":["faulty"],"lcp":{"print":1}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := merged(t, s, token); !errors.Is(err, rights.ErrTemplate) {
				t.Errorf("error = %v, want ErrTemplate", err)
			}
		})
	}
	t.Run("an error of the lookup comes back unchanged", func(t *testing.T) {
		t.Parallel()
		_, err := merged(t, s, `{"ref":["broken-database"]}`)
		if !errors.Is(err, errDatabase) || errors.Is(err, rights.ErrTemplate) {
			t.Errorf("error = %v, want that of the lookup", err)
		}
	})
	t.Run("as many as are allowed", func(t *testing.T) {
		t.Parallel()
		if _, err := merged(t, s, `{"ref":["deep3"],"profile":{"type":"purchase"}}`); err != nil {
			t.Error(err)
		}
	})
}

// What is personal appears nowhere but where it is asked for.
func TestNothingPrints(t *testing.T) {
	t.Parallel()
	token, err := rights.Parse([]byte(`{"profile":{"type":"purchase"},"user":{"id":"SECRET","name":"SECRET"},"passHash":"` + hash + `","textHint":"SECRET"}`))
	if err != nil {
		t.Fatal(err)
	}
	terms, err := token.Terms(now, true)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	log := slog.New(slog.NewTextHandler(&b, nil))
	for _, v := range []any{token, terms, terms.User, []any{token, &terms}} {
		fmt.Fprintf(&b, "%v %+v %#v %s %q %x %d\n", v, v, v, v, v, v, v)
		log.Info("x", "v", v)
	}
	if out := b.String(); strings.Contains(out, "SECRET") || strings.Contains(out, hash[:8]) || strings.Contains(out, "534543524554") {
		t.Errorf("personal data in %s", out)
	}
}

// FuzzParse: a token is accepted in all its forms or in none; its terms are such
// as a license can have; and an error is short.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		`{"assetId":"a","profile":{"type":"purchase"}}`,
		`{"profile":{"rental":{"relativeExpiration":"PT10M","playDuration":"PT1M"}},"ref":[":x"]}`,
		`[{"profile":{"type":"rental","absoluteExpiration":"2030-01-31T12:00:00.5+0100"},"lcp":{"print":1,"start":"2027-02-01T00:00:00Z"}}]`,
		`"{\"profile\":{\"type\":\"purchase\"},\"user\":{\"id\":\"u\",\"encrypted\":[\"id\"]}}"`,
		`{"op":{"a":[1,{"b":null}]},"storeLicense":false,"outputProtection":true}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		token, err := rights.Parse(data)
		if err != nil {
			if len(err.Error()) > len(data)+8192 {
				t.Errorf("error of %d bytes for %d bytes", len(err.Error()), len(data))
			}
			return
		}
		if len(data) > rights.MaxSize {
			t.Fatal("accepted more than MaxSize")
		}
		terms, err := token.Terms(now, false)
		if err != nil {
			return
		}
		if !token.Grants() {
			t.Error("terms without a profile")
		}
		if !terms.Start.IsZero() && !terms.End.IsZero() && !terms.Start.Before(terms.End) {
			t.Errorf("from %s to %s", terms.Start, terms.End)
		}
		if terms.Copy != nil && *terms.Copy < 0 || terms.Print != nil && *terms.Print < 0 {
			t.Error("negative limits")
		}
		again, err := rights.Parse(data)
		if err != nil || !cmpTokens(token, again) {
			t.Error("another token the second time")
		}
	})
}

func cmpTokens(a, b rights.Token) bool {
	return a.AssetID == b.AssetID && a.Kind == b.Kind && a.Loan == b.Loan && slices.Equal(a.Refs, b.Refs) && a.PassHash == b.PassHash
}
