package lpf

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/rwpm"
	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
)

// A converter turns one W3C publication manifest into a Readium one.
type converter struct {
	archive   *archive.Reader
	src       *source
	language  string   // of the manifest's texts where they do not say, or empty
	languages []string // of the publication
	audiobook bool
	listed    map[string]bool // names of the entries within the publication's bounds
	warnings  []string
}

func newConverter(a *archive.Reader, src *source) *converter {
	c := &converter{archive: a, src: src, listed: make(map[string]bool)}
	contexts := src.manifest.Get("@context").All()
	for _, context := range slices.Backward(contexts) {
		if language, ok := context.Get("language").Text(); ok && language != "" {
			c.language = language
			break
		}
	}
	c.languages = strs(src.manifest.Get("inLanguage"))
	if len(c.languages) == 0 && c.language != "" {
		c.languages = []string{c.language}
	}
	c.audiobook = slices.ContainsFunc(strs(src.manifest.Get("conformsTo")), isAudiobookProfile) ||
		slices.Contains(strs(src.manifest.Get("type")), "Audiobook")
	return c
}

func (c *converter) convert(name string) (rwpm.Manifest, error) {
	m := rwpm.Manifest{Metadata: c.metadata()}
	if len(m.Metadata.Title) == 0 {
		m.Metadata.Title = rwpm.Plain(pageTitle(c.src.page))
	}
	if len(m.Metadata.Title) == 0 {
		c.warn("the publication has no title")
		m.Metadata.Title = rwpm.Plain(name)
	}
	self := rwpm.Link{Rels: []string{"self"}, Href: "manifest.json", Type: "application/webpub+json"}
	if c.audiobook {
		self.Type = "application/audiobook+json"
	}
	m.Links = append([]rwpm.Link{self}, c.links(c.src.manifest.Get("links"), false)...)
	m.ReadingOrder = c.links(c.src.manifest.Get("readingOrder"), true)
	m.Resources = c.links(c.src.manifest.Get("resources"), true)
	if err := c.completeReadingOrder(&m); err != nil {
		return m, err
	}
	m.TOC = c.toc()
	if c.audiobook {
		if err := c.finishAudiobook(&m); err != nil {
			return m, err
		}
	}
	return m, nil
}

// completeReadingOrder makes the entry page the reading order where there is
// none (Publication Manifest, "Add Default Values").
func (c *converter) completeReadingOrder(m *rwpm.Manifest) error {
	if len(m.ReadingOrder) > 0 {
		return nil
	}
	e := c.archive.Lookup(entryPageName)
	if c.src.page == nil || e == nil || c.audiobook {
		return fmt.Errorf("%w: the publication manifest has no reading order", publication.ErrInvalid)
	}
	c.listed[e.Name] = true
	m.ReadingOrder = []rwpm.Link{{Href: rwpm.Href(e.Name), Type: "text/html", Size: e.Size}}
	m.Resources = slices.DeleteFunc(m.Resources, func(l rwpm.Link) bool { return l.Href == m.ReadingOrder[0].Href })
	return nil
}

// finishAudiobook meets what the Readium audiobook profile asks for beyond the
// W3C one: only audio in the reading order, no file more than once, no fragment
// in its address, and a total duration.
func (c *converter) finishAudiobook(m *rwpm.Manifest) error {
	var tracks, chapters []rwpm.Link
	var fragments, untimed int
	var total rwpm.Seconds
	for _, l := range m.ReadingOrder {
		if !isAudio(l.Type) {
			c.warn("%q in the reading order is not audio; it is kept among the resources", l.Href)
			m.Resources = append(m.Resources, l)
			continue
		}
		chapters = append(chapters, rwpm.Link{Href: l.Href, Type: l.Type, Title: l.Title})
		file, _, fragment := strings.Cut(l.Href, "#")
		l.Href = file
		if fragment {
			fragments++
		}
		if l.Duration == 0 {
			untimed++
		}
		total += l.Duration
		same := slices.IndexFunc(tracks, func(t rwpm.Link) bool { return t.Href == file })
		if same >= 0 {
			tracks[same].Duration += l.Duration
			continue
		}
		tracks = append(tracks, l)
	}
	if len(tracks) == 0 {
		return fmt.Errorf("%w: no audio resource is in the reading order of the audiobook", publication.ErrInvalid)
	}
	m.ReadingOrder = tracks
	if fragments > 0 && len(m.TOC) == 0 {
		m.TOC = chapters
	}
	if untimed > 0 {
		c.warn("tracks without a duration: %d", untimed)
	} else if m.Metadata.Duration == 0 {
		m.Metadata.Duration = total
	}
	return nil
}

func isAudio(mediaType string) bool {
	mediaType = strings.ToLower(mediaType)
	return mediaType == "" || strings.HasPrefix(mediaType, "audio/") || strings.HasPrefix(mediaType, "application/ogg")
}

// links converts linked resources. Those within the bounds of the publication
// must be in the package, which package rpf sees to.
func (c *converter) links(v *jsontree.Value, bounds bool) []rwpm.Link {
	var links []rwpm.Link
	for _, item := range v.All() {
		if l, ok := c.link(item, bounds); ok {
			links = append(links, l)
		}
	}
	return links
}

// link converts a LinkedResource, or a string that stands for one.
func (c *converter) link(v *jsontree.Value, bounds bool) (l rwpm.Link, ok bool) {
	url, isText := v.Text()
	if !isText {
		url, _ = v.Get("url").Text()
	}
	if url = strings.TrimSpace(url); url == "" {
		c.warn("a linked resource without an address is left out")
		return l, false
	}
	entry := findEntry(c.archive, c.src.base, url)
	if entry != nil && entry.Name == c.src.entry {
		return l, false // the W3C manifest itself, which is not carried over
	}
	l.Href = hrefTo(entry, c.src.base, url)
	l.Type, _ = v.Get("encodingFormat").Text()
	if entry != nil {
		l.Size = entry.Size
		if l.Type == "" {
			l.Type = publication.MediaTypeByName(entry.Name)
		}
		if bounds {
			c.listed[entry.Name] = true
		}
	}
	l.Title = c.localizable(v.Get("name"), "name").In(c.primary())
	for _, rel := range strs(v.Get("rel")) {
		if !strings.Contains(rel, ":") {
			rel = strings.ToLower(rel) // keywords are compared without regard to case
		}
		// A Readium cover is an image; a page that shows it is a resource.
		if image := l.Type == "" || strings.HasPrefix(l.Type, "image/"); rel == "cover" && !image {
			continue
		}
		l.Rels = append(l.Rels, rel)
	}
	l.Duration = c.duration(v.Get("duration"))
	l.Languages = strs(v.Get("inLanguage"))
	l.Alternates = c.links(v.Get("alternate"), bounds)
	return l, true
}

// findEntry returns the entry that a URL in the entry named base leads to.
func findEntry(a *archive.Reader, base, url string) *archive.Entry {
	for _, name := range rwpm.Names(base, url) {
		if e := a.Lookup(name); e != nil && !e.IsDir() {
			return e
		}
	}
	return nil
}

// hrefTo returns the URL reference, from the root of the package, to what url in
// the entry named base leads to; entry is nil if it is not in the package.
func hrefTo(entry *archive.Entry, base, url string) string {
	names := rwpm.Names(base, url)
	if len(names) == 0 {
		return url // elsewhere on the web
	}
	name := names[0]
	if entry != nil {
		name = entry.Name
	}
	href := rwpm.Href(name)
	if _, fragment, found := strings.Cut(url, "#"); found && !strings.HasSuffix(name, "#"+fragment) {
		href += "#" + fragment
	}
	return href
}

// toc reads the table of contents from the resource with the relation
// "contents", the reading order first, and from the entry page; for audiobooks
// in the opposite order (Audiobooks, "User Agent Processing of
// Machine-Processable Table of Contents").
func (c *converter) toc() []rwpm.Link {
	var pages []string
	for _, collection := range []string{"readingOrder", "resources"} {
		for _, item := range c.src.manifest.Get(collection).All() {
			url, _ := item.Get("url").Text()
			isContents := slices.ContainsFunc(strs(item.Get("rel")), func(rel string) bool { return strings.EqualFold(rel, "contents") })
			if e := findEntry(c.archive, c.src.base, url); e != nil && isContents && e.Name != entryPageName {
				pages = append(pages, e.Name)
				break
			}
		}
	}
	if c.audiobook {
		pages = append([]string{entryPageName}, pages...)
	} else {
		pages = append(pages, entryPageName)
	}
	for _, name := range pages {
		if links := c.tocOf(name); len(links) > 0 {
			return links
		}
	}
	return nil
}

func (c *converter) tocOf(name string) []rwpm.Link {
	page := c.src.page
	if name != entryPageName {
		var err error
		if page, err = readPage(c.archive, name); err != nil {
			c.warn("no table of contents is taken from %q: %v", name, err)
			return nil
		}
	}
	if page == nil {
		return nil
	}
	return c.tocIn(page, name)
}

func (c *converter) tocIn(page *html.Node, name string) []rwpm.Link {
	base := baseOf(page, name)
	return tocReader{resolve: func(href string) string {
		e := findEntry(c.archive, base, href)
		if e == nil && strings.HasPrefix(href, "#") {
			e = c.archive.Lookup(name)
		}
		if e == nil || !c.listed[e.Name] {
			return ""
		}
		return hrefTo(e, base, href)
	}}.read(page)
}

func (c *converter) duration(v *jsontree.Value) rwpm.Seconds {
	s, ok := v.Text()
	if !ok {
		return 0
	}
	d, err := parseDuration(strings.TrimSpace(s))
	if err != nil {
		c.warn("a duration is left out: %v", err)
	}
	return d
}

// primary returns the first language of the publication, or "".
func (c *converter) primary() string {
	if len(c.languages) == 0 {
		return ""
	}
	return c.languages[0]
}

// warn notes something once.
func (c *converter) warn(format string, args ...any) {
	if w := fmt.Sprintf(format, args...); !slices.Contains(c.warnings, w) {
		c.warnings = append(c.warnings, w)
	}
}

func isAudiobookProfile(uri string) bool {
	return strings.Contains(strings.ToLower(uri), "w3.org/tr/audiobooks")
}

// strs returns the strings among the one or more values of v.
func strs(v *jsontree.Value) []string {
	var list []string
	for _, item := range v.All() {
		if s, ok := item.Text(); ok && strings.TrimSpace(s) != "" {
			list = append(list, strings.TrimSpace(s))
		}
	}
	return list
}
