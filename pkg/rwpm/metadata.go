package rwpm

import (
	"math"
	"strconv"
	"strings"

	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
)

// Metadata is the metadata of a manifest in the terms of the default context
// (contexts/default).
type Metadata struct {
	Type               string // schema.org type, such as http://schema.org/Book
	ConformsTo         []string
	Identifier         string // URI
	AltIdentifiers     []string
	Title              Text
	Subtitle           Text
	Accessibility      Accessibility
	Modified           string // ISO 8601
	Published          string // ISO 8601
	Languages          []string
	Contributors       map[Role][]Contributor
	Subjects           []string
	Layout             string // "fixed", "reflowable", "scrolled", or empty
	ReadingProgression string // "ltr", "rtl", or empty
	Description        string
	Duration           Seconds
	NumberOfPages      int
	Abridged           *bool
	Series             []Series
	Extra              []jsontree.Member // terms of other vocabularies; not read from a Document
}

// A Text is a string in one language or several. Most have one entry without a
// language.
type Text []Localized

// A Localized is a string in one language.
type Localized struct {
	Language string // BCP 47, or empty
	Value    string
}

// Plain returns a text in no stated language; that of an empty string is empty.
func Plain(s string) Text {
	if s == "" {
		return nil
	}
	return Text{{Value: s}}
}

// In returns the text in the language if there is one, or else its first entry.
func (t Text) In(language string) string {
	for _, l := range t {
		if l.Language != "" && strings.EqualFold(l.Language, language) {
			return l.Value
		}
	}
	if len(t) == 0 {
		return ""
	}
	return t[0].Value
}

// A Role is the metadata term that names what a contributor did.
type Role string

// The roles of contributors, publishers included.
const (
	Author      Role = "author"
	Translator  Role = "translator"
	Editor      Role = "editor"
	Artist      Role = "artist"
	Illustrator Role = "illustrator"
	Letterer    Role = "letterer"
	Penciler    Role = "penciler"
	Colorist    Role = "colorist"
	Inker       Role = "inker"
	Narrator    Role = "narrator"
	Other       Role = "contributor"
	Publisher   Role = "publisher"
	Imprint     Role = "imprint"
)

var roles = []Role{
	Author, Translator, Editor, Artist, Illustrator, Letterer, Penciler, Colorist, Inker, Narrator,
	Other, Publisher, Imprint,
}

// A Contributor is a person or an organization.
type Contributor struct {
	Name           Text
	Identifier     string // URI, or empty
	AltIdentifiers []string
	SortAs         string
	Roles          []string // MARC relator codes, for the role "contributor"
	Links          []Link
}

// A Series is one that the publication belongs to.
type Series struct {
	Name     string
	Position float64 // 0 if it has none
}

// Accessibility is the accessibility metadata.
type Accessibility struct {
	ConformsTo           []string
	AccessModes          []string
	AccessModeSufficient [][]string // each a set of modes that suffices
	Features             []string
	Hazards              []string
	Summary              string
}

// Seconds is a length of time, exact to the nanosecond.
type Seconds int64 // nanoseconds

// String returns the seconds as a decimal number.
func (s Seconds) String() string {
	whole, fraction := int64(s)/1e9, int64(s)%1e9
	if fraction == 0 {
		return strconv.FormatInt(whole, 10)
	}
	digits := strconv.FormatInt(1e9+fraction, 10)[1:]
	return strconv.FormatInt(whole, 10) + "." + strings.TrimRight(digits, "0")
}

// Float returns the seconds as a number.
func (s Seconds) Float() float64 { return float64(s) / 1e9 }

// Metadata reads the metadata. Being lenient, it passes over whatever has not
// the form that the default context asks for.
func (d *Document) Metadata() Metadata {
	v := d.root.Get("metadata")
	m := Metadata{
		ConformsTo:   texts(v.Get("conformsTo")),
		Title:        readText(v.Get("title")),
		Subtitle:     readText(v.Get("subtitle")),
		Languages:    texts(v.Get("language")),
		Contributors: make(map[Role][]Contributor),
	}
	if types := texts(v.Get("@type")); len(types) > 0 {
		m.Type = types[0]
	}
	m.Description = readText(v.Get("description")).In(first(m.Languages))
	m.Identifier, _ = v.Get("identifier").Text()
	m.Modified, _ = v.Get("modified").Text()
	m.Published, _ = v.Get("published").Text()
	m.Layout, _ = v.Get("layout").Text()
	m.ReadingProgression, _ = v.Get("readingProgression").Text()
	m.AltIdentifiers = readIdentifiers(v.Get("altIdentifier"))
	for _, s := range v.Get("subject").All() {
		if name := readNamed(s, "name", "code").In(first(m.Languages)); name != "" {
			m.Subjects = append(m.Subjects, name)
		}
	}
	for _, role := range roles {
		if list := readContributors(v.Get(string(role))); len(list) > 0 {
			m.Contributors[role] = list
		}
	}
	m.Duration = readSeconds(v.Get("duration"))
	if n, ok := wholeNumber(v.Get("numberOfPages")); ok && n > 0 && n <= math.MaxInt32 {
		m.NumberOfPages = int(n)
	}
	return m
}

func readContributors(v *jsontree.Value) []Contributor {
	var list []Contributor
	for _, item := range v.All() {
		c := Contributor{Name: readNamed(item, "name")}
		if len(c.Name) == 0 {
			continue
		}
		c.Identifier, _ = item.Get("identifier").Text()
		c.AltIdentifiers = readIdentifiers(item.Get("altIdentifier"))
		c.SortAs, _ = item.Get("sortAs").Text()
		c.Roles = texts(item.Get("role"))
		list = append(list, c)
	}
	return list
}

// readNamed reads a string, or an object whose first member among keys with a
// text is its name.
func readNamed(v *jsontree.Value, keys ...string) Text {
	if v.Kind() == jsontree.String {
		return readText(v)
	}
	for _, key := range keys {
		if t := readText(v.Get(key)); len(t) > 0 {
			return t
		}
	}
	return nil
}

// readText reads a string or a language map.
func readText(v *jsontree.Value) Text {
	if s, ok := v.Text(); ok {
		return Plain(strings.TrimSpace(s))
	}
	var t Text
	for _, m := range v.Members() {
		if s, ok := m.Value.Text(); ok && strings.TrimSpace(s) != "" {
			t = append(t, Localized{Language: m.Key, Value: strings.TrimSpace(s)})
		}
	}
	return t
}

// readIdentifiers reads URIs and Identifier Objects.
func readIdentifiers(v *jsontree.Value) []string {
	var list []string
	for _, item := range v.All() {
		s, ok := item.Text()
		if !ok {
			s, ok = item.Get("value").Text()
		}
		if ok && s != "" {
			list = append(list, s)
		}
	}
	return list
}

func readSeconds(v *jsontree.Value) Seconds {
	literal, _ := v.Number()
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil || f <= 0 || f > math.MaxInt64/1e9/2 {
		return 0
	}
	return Seconds(math.Round(f * 1e9))
}

// wholeNumber reads a number without a fraction, however it is spelled.
func wholeNumber(v *jsontree.Value) (n int64, ok bool) {
	literal, ok := v.Number()
	if !ok {
		return 0, false
	}
	if n, err := strconv.ParseInt(literal, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
