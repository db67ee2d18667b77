package rwpm

import (
	"strconv"
	"strings"

	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
)

// A Manifest is a new manifest in the making.
type Manifest struct {
	Metadata     Metadata
	Links        []Link
	ReadingOrder []Link
	Resources    []Link
	TOC          []Link
}

// A Link is a link object of a new manifest (README §2.4).
type Link struct {
	Href       string // a URL reference
	Type       string // media type
	Title      string
	Rels       []string
	Height     int   // pixels
	Width      int   // pixels
	Size       int64 // bytes, before compression and encryption
	Duration   Seconds
	Languages  []string
	Alternates []Link
	Children   []Link
}

// Document returns the manifest as a document, with the members in the order of
// the specification's examples. Fields without a value are left out.
func (m Manifest) Document() *Document {
	root := jsontree.NewObject()
	root.Set("@context", jsontree.NewString(Context))
	root.Set("metadata", m.Metadata.tree())
	setLinks(root, "links", m.Links)
	root.Set("readingOrder", linkTree(m.ReadingOrder))
	setLinks(root, "resources", m.Resources)
	setLinks(root, "toc", m.TOC)
	return &Document{root}
}

func (m *Metadata) tree() *jsontree.Value {
	v := jsontree.NewObject()
	setString(v, "@type", m.Type)
	setStrings(v, "conformsTo", m.ConformsTo)
	setString(v, "identifier", m.Identifier)
	setIdentifiers(v, m.AltIdentifiers)
	setText(v, "title", m.Title)
	setText(v, "subtitle", m.Subtitle)
	for _, role := range roles {
		setList(v, string(role), contributorTrees(m.Contributors[role]))
	}
	setStrings(v, "language", m.Languages)
	setStrings(v, "subject", m.Subjects)
	setString(v, "description", m.Description)
	setString(v, "published", m.Published)
	setString(v, "modified", m.Modified)
	setString(v, "layout", m.Layout)
	setString(v, "readingProgression", m.ReadingProgression)
	if m.Duration > 0 {
		v.Set("duration", m.Duration.tree())
	}
	if m.NumberOfPages > 0 {
		v.Set("numberOfPages", jsontree.NewInt(int64(m.NumberOfPages)))
	}
	if m.Abridged != nil {
		v.Set("abridged", jsontree.NewBool(*m.Abridged))
	}
	if series := seriesTrees(m.Series); len(series) > 0 {
		belongsTo := jsontree.NewObject()
		setList(belongsTo, "series", series)
		v.Set("belongsTo", belongsTo)
	}
	if a := m.Accessibility.tree(); len(a.Members()) > 0 {
		v.Set("accessibility", a)
	}
	for _, extra := range m.Extra {
		if v.Get(extra.Key) == nil {
			v.Set(extra.Key, extra.Value)
		}
	}
	return v
}

func (a *Accessibility) tree() *jsontree.Value {
	v := jsontree.NewObject()
	setStrings(v, "conformsTo", a.ConformsTo)
	setArray(v, "accessMode", a.AccessModes)
	var sufficient []*jsontree.Value
	for _, modes := range a.AccessModeSufficient {
		if len(modes) == 1 {
			sufficient = append(sufficient, jsontree.NewString(modes[0]))
		} else {
			sufficient = append(sufficient, jsontree.NewArray(stringTrees(modes)...))
		}
	}
	if len(sufficient) > 0 {
		v.Set("accessModeSufficient", jsontree.NewArray(sufficient...))
	}
	setArray(v, "feature", a.Features)
	setArray(v, "hazard", a.Hazards)
	setString(v, "summary", a.Summary)
	return v
}

// contributorTrees writes a contributor of whom only the name is known as a
// string, the form that most manifests use.
func contributorTrees(list []Contributor) []*jsontree.Value {
	var values []*jsontree.Value
	for _, c := range list {
		v := jsontree.NewObject()
		setText(v, "name", c.Name)
		setString(v, "sortAs", c.SortAs)
		setString(v, "identifier", c.Identifier)
		setIdentifiers(v, c.AltIdentifiers)
		setStrings(v, "role", c.Roles)
		setLinks(v, "links", c.Links)
		if name := v.Get("name"); len(v.Members()) == 1 && name.Kind() == jsontree.String {
			v = name
		}
		values = append(values, v)
	}
	return values
}

func seriesTrees(list []Series) []*jsontree.Value {
	var values []*jsontree.Value
	for _, s := range list {
		v := jsontree.NewObject()
		setString(v, "name", s.Name)
		if s.Position > 0 {
			v.Set("position", jsontree.NewNumber(strconv.FormatFloat(s.Position, 'f', -1, 64)))
		}
		values = append(values, v)
	}
	return values
}

func linkTree(links []Link) *jsontree.Value {
	var items []*jsontree.Value
	for _, l := range links {
		v := jsontree.NewObject()
		setStrings(v, "rel", l.Rels)
		v.Set("href", jsontree.NewString(l.Href))
		setString(v, "type", l.Type)
		setString(v, "title", l.Title)
		for _, n := range []struct {
			key   string
			value int64
		}{{"height", int64(l.Height)}, {"width", int64(l.Width)}, {"size", l.Size}} {
			if n.value > 0 {
				v.Set(n.key, jsontree.NewInt(n.value))
			}
		}
		if l.Duration > 0 {
			v.Set("duration", l.Duration.tree())
		}
		setStrings(v, "language", l.Languages)
		setLinks(v, "alternate", l.Alternates)
		setLinks(v, "children", l.Children)
		items = append(items, v)
	}
	return jsontree.NewArray(items...)
}

func (s Seconds) tree() *jsontree.Value { return jsontree.NewNumber(s.String()) }

func setLinks(object *jsontree.Value, key string, links []Link) {
	if len(links) > 0 {
		object.Set(key, linkTree(links))
	}
}

// setText writes a text as a string where it can, and else as a language map.
// An entry without a language becomes "und", undetermined.
func setText(object *jsontree.Value, key string, t Text) {
	switch {
	case len(t) == 0:
		return
	case len(t) == 1 && t[0].Language == "":
		object.Set(key, jsontree.NewString(t[0].Value))
		return
	}
	m := jsontree.NewObject()
	for _, l := range t {
		language := l.Language
		if language == "" {
			language = "und"
		}
		if m.Get(language) == nil {
			m.Set(language, jsontree.NewString(l.Value))
		}
	}
	object.Set(key, m)
}

// setStrings writes one string as such and several as an array.
func setStrings(object *jsontree.Value, key string, list []string) {
	setList(object, key, stringTrees(list))
}

func setArray(object *jsontree.Value, key string, list []string) {
	if len(list) > 0 {
		object.Set(key, jsontree.NewArray(stringTrees(list)...))
	}
}

func setList(object *jsontree.Value, key string, list []*jsontree.Value) {
	switch len(list) {
	case 0:
	case 1:
		object.Set(key, list[0])
	default:
		object.Set(key, jsontree.NewArray(list...))
	}
}

// setIdentifiers writes alternate identifiers: URIs as they are, others in an
// Identifier Object, whose value may be any string.
func setIdentifiers(object *jsontree.Value, list []string) {
	var values []*jsontree.Value
	for _, id := range list {
		if IsURI(id) {
			values = append(values, jsontree.NewString(id))
			continue
		}
		v := jsontree.NewObject()
		v.Set("value", jsontree.NewString(id))
		values = append(values, v)
	}
	if len(values) > 0 {
		object.Set("altIdentifier", jsontree.NewArray(values...))
	}
}

func stringTrees(list []string) []*jsontree.Value {
	var values []*jsontree.Value
	for _, s := range list {
		values = append(values, jsontree.NewString(s))
	}
	return values
}

// IsURI reports whether s begins with a scheme and has no space in it.
func IsURI(s string) bool {
	return scheme(s) != "" && !strings.ContainsAny(s, " \t\r\n\"<>")
}
