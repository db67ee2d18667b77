package lpf

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/lcp-tools/lcp/pkg/rwpm"
	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
)

// creators are the W3C terms for who made a publication, with what Readium
// calls them. "creator" is a synonym of author.
var creators = []creator{
	{"author", rwpm.Author},
	{"creator", rwpm.Author},
	{"translator", rwpm.Translator},
	{"editor", rwpm.Editor},
	{"artist", rwpm.Artist},
	{"illustrator", rwpm.Illustrator},
	{"letterer", rwpm.Letterer},
	{"penciler", rwpm.Penciler},
	{"colorist", rwpm.Colorist},
	{"inker", rwpm.Inker},
	{"readBy", rwpm.Narrator},
	{"contributor", rwpm.Other},
	{"publisher", rwpm.Publisher},
}

type creator struct {
	term string
	role rwpm.Role
}

// converted are the terms that have a place of their own in a Readium manifest,
// besides creators. All others are kept in its metadata as they are.
var converted = []string{
	"@context", "type", "conformsTo", "id", "identifier", "isbn", "name", "subtitle", "inLanguage",
	"dateModified", "datePublished", "readingProgression", "duration", "abridged", "numberOfPages",
	"description", "keywords", "genre",
	"accessMode", "accessModeSufficient", "accessibilityFeature", "accessibilityHazard", "accessibilitySummary",
	"readingOrder", "resources", "links", "toc",
}

func (c *converter) metadata() rwpm.Metadata {
	v := c.src.manifest
	m := rwpm.Metadata{
		Type:          c.schemaType(),
		Title:         c.localizable(v.Get("name"), "name"),
		Subtitle:      c.localizable(v.Get("subtitle"), "subtitle"),
		Languages:     c.languages,
		Contributors:  c.contributors(),
		Subjects:      append(keywords(v.Get("keywords")), strs(v.Get("genre"))...),
		Description:   c.localizable(v.Get("description"), "description").In(c.primary()),
		Duration:      c.duration(v.Get("duration")),
		Accessibility: c.accessibility(),
		Extra:         c.extra(),
	}
	m.Modified, _ = v.Get("dateModified").Text()
	m.Published, _ = v.Get("datePublished").Text()
	if direction, _ := v.Get("readingProgression").Text(); direction == "ltr" || direction == "rtl" {
		m.ReadingProgression = direction
	}
	if v.Get("abridged").Kind() == jsontree.Bool {
		abridged := v.Get("abridged").IsTrue()
		m.Abridged = &abridged
	}
	if literal, ok := v.Get("numberOfPages").Number(); ok {
		if n, err := strconv.Atoi(literal); err == nil && n > 0 && n <= math.MaxInt32 {
			m.NumberOfPages = n
		}
	}
	if c.audiobook {
		m.ConformsTo = []string{rwpm.ProfileAudiobook}
	}
	for _, uri := range strs(v.Get("conformsTo")) {
		if !isAudiobookProfile(uri) && !isPublicationSpec(uri) && !isAccessibilitySpec(uri) {
			m.ConformsTo = append(m.ConformsTo, uri)
		}
	}
	c.identifiers(&m)
	return m
}

// identifiers takes the canonical identifier, which a manifest need not have
// and nobody must make up, and the other ones that it mentions.
func (c *converter) identifiers(m *rwpm.Metadata) {
	v := c.src.manifest
	if id, _ := v.Get("id").Text(); rwpm.IsURI(id) {
		m.Identifier = id
	} else if id != "" {
		m.AltIdentifiers = append(m.AltIdentifiers, id)
	}
	others := strs(v.Get("identifier"))
	for _, isbn := range strs(v.Get("isbn")) {
		others = append(others, "urn:isbn:"+strings.ReplaceAll(isbn, "-", ""))
	}
	for _, id := range others {
		if id != m.Identifier && !slices.Contains(m.AltIdentifiers, id) {
			m.AltIdentifiers = append(m.AltIdentifiers, id)
		}
	}
}

// schemaType returns the schema.org type: of several, the one that readers act
// on.
func (c *converter) schemaType() string {
	types := strs(c.src.manifest.Get("type"))
	switch {
	case c.audiobook:
		return "http://schema.org/Audiobook"
	case len(types) == 0:
		return "http://schema.org/CreativeWork"
	case strings.Contains(types[0], ":"):
		return types[0]
	default:
		return "http://schema.org/" + types[0]
	}
}

func (c *converter) contributors() map[rwpm.Role][]rwpm.Contributor {
	all := make(map[rwpm.Role][]rwpm.Contributor)
	for _, creator := range creators {
		for _, v := range c.src.manifest.Get(creator.term).All() {
			entity, ok := c.entity(v)
			twice := creator.term == "creator" && slices.ContainsFunc(all[creator.role], func(o rwpm.Contributor) bool {
				return o.Name.In("") == entity.Name.In("")
			})
			if ok && !twice {
				all[creator.role] = append(all[creator.role], entity)
			}
		}
	}
	return all
}

// entity converts a Person or an Organization, or a string that names one.
func (c *converter) entity(v *jsontree.Value) (entity rwpm.Contributor, ok bool) {
	if v.Kind() == jsontree.String {
		entity.Name = c.localizable(v, "name")
		return entity, len(entity.Name) > 0
	}
	entity.Name = c.localizable(v.Get("name"), "name")
	if id, _ := v.Get("id").Text(); rwpm.IsURI(id) {
		entity.Identifier = id
	}
	entity.AltIdentifiers = strs(v.Get("identifier"))
	if url, _ := v.Get("url").Text(); rwpm.IsURI(url) {
		entity.Links = []rwpm.Link{{Href: url}}
	}
	return entity, len(entity.Name) > 0
}

// localizable converts localizable strings. A single one in the language of the
// publication needs no mention of it; the base direction has no place in a
// Readium manifest.
func (c *converter) localizable(v *jsontree.Value, term string) rwpm.Text {
	var t rwpm.Text
	for _, item := range v.All() {
		l := rwpm.Localized{Language: c.language}
		if s, ok := item.Text(); ok {
			l.Value = s
		} else {
			l.Value, _ = item.Get("value").Text()
			if own, ok := item.Get("language").Text(); ok {
				l.Language = own
			} else if slices.ContainsFunc(item.Members(), func(m jsontree.Member) bool { return m.Key == "language" }) {
				l.Language = "" // null: explicitly in no language
			}
		}
		if l.Value = strings.TrimSpace(l.Value); l.Value == "" {
			continue
		}
		if slices.ContainsFunc(t, func(o rwpm.Localized) bool { return strings.EqualFold(o.Language, l.Language) }) {
			c.warn("%s: %q is left out, since a Readium manifest has room for one text in each language", term, l.Value)
			continue
		}
		t = append(t, l)
	}
	if len(t) == 1 && (t[0].Language == c.language || strings.EqualFold(t[0].Language, c.primary())) {
		t[0].Language = ""
	}
	return t
}

func (c *converter) accessibility() rwpm.Accessibility {
	v := c.src.manifest
	a := rwpm.Accessibility{
		AccessModes: strs(v.Get("accessMode")),
		Features:    strs(v.Get("accessibilityFeature")),
		Hazards:     strs(v.Get("accessibilityHazard")),
		Summary:     c.localizable(v.Get("accessibilitySummary"), "accessibilitySummary").In(c.primary()),
	}
	for _, uri := range strs(v.Get("conformsTo")) {
		if isAccessibilitySpec(uri) {
			a.ConformsTo = append(a.ConformsTo, uri)
		}
	}
	for _, set := range v.Get("accessModeSufficient").All() {
		modes := strs(set.Get("itemListElement"))
		if s, ok := set.Text(); ok {
			modes = splitCommas(s)
		}
		if len(modes) > 0 {
			a.AccessModeSufficient = append(a.AccessModeSufficient, modes)
		}
	}
	return a
}

// extra returns the terms that have no counterpart, with those of a vocabulary
// that the context declares spelled out: a Readium manifest declares none.
func (c *converter) extra() []jsontree.Member {
	var extra []jsontree.Member
	for _, m := range c.src.manifest.Members() {
		isCreator := slices.ContainsFunc(creators, func(c creator) bool { return c.term == m.Key })
		if isCreator || slices.Contains(converted, m.Key) {
			continue
		}
		key := m.Key
		if prefix, term, ok := strings.Cut(m.Key, ":"); ok {
			for _, context := range c.src.manifest.Get("@context").All() {
				if vocabulary, ok := context.Get(prefix).Text(); ok {
					key = vocabulary + term
				}
			}
		}
		extra = append(extra, jsontree.Member{Key: key, Value: m.Value})
	}
	return extra
}

// keywords reads strings, each of which may hold several separated by commas
// (schema.org, keywords).
func keywords(v *jsontree.Value) []string {
	var list []string
	for _, s := range strs(v) {
		list = append(list, splitCommas(s)...)
	}
	return list
}

func splitCommas(s string) []string {
	var list []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

func isPublicationSpec(uri string) bool {
	return strings.Contains(strings.ToLower(uri), "w3.org/tr/pub-manifest")
}

// isAccessibilitySpec recognizes WCAG and the EPUB accessibility specification.
func isAccessibilitySpec(uri string) bool {
	uri = strings.ToLower(uri)
	return strings.Contains(uri, "wcag") || strings.Contains(uri, "epub-a11y")
}
