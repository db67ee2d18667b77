// Package hintpage makes the page that a license's hint link leads to: how a
// reader finds the passphrase that the reading app asks for (LCP §3.5).
//
// It has what a provider tells everyone, and knows no licenses and no users. The
// page is made once for each language and is the same for whoever asks, so that
// nothing can be learned from it about a license: neither whose it is, nor
// whether there is such a license. It runs no script, sets no cookie and loads
// nothing.
package hintpage

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/status"
)

// Content is what the page tells. The zero value makes a page that is of use to
// the readers of any provider.
type Content struct {
	Name      string   // of the provider, as readers know it
	Languages []string // tags (BCP 47) of what its readers speak, the first for those who want none of them; none are all
	Advice             // in the first language
	In        map[string]Advice
	Support   []string // http, https, mailto and tel URLs of who helps; others are not shown
}

// Advice is what a provider tells in a language. In Content.In it is under the
// tag of that, and completed by the advice in the first language.
type Advice struct {
	Text string // Markdown (CommonMark), in place of our own words; HTML and images are left out of it
	Link string // http or https URL where readers recover their passphrase; others are not shown
}

// A Page is the hint page of one provider, in the languages of its readers that
// we have words for. It is an [http.Handler] that answers all with the page.
type Page struct {
	languages []status.Language
	documents map[status.Language]document
}

// A document is the page in one language.
type document struct {
	html []byte
	etag string
}

// New makes the page.
func New(c Content) (*Page, error) {
	p := &Page{languages: c.languages(), documents: map[status.Language]document{}}
	for _, l := range p.languages {
		html, err := c.render(l)
		if err != nil {
			return nil, fmt.Errorf("make the hint page in %q: %w", l, err)
		}
		sum := sha256.Sum256(html)
		p.documents[l] = document{html, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	}
	return p, nil
}

// languages are those of the readers that we have words for, or all.
func (c Content) languages() []status.Language {
	var list []status.Language
	for _, tag := range c.Languages {
		if l, ok := status.ParseLanguage(tag); ok && !slices.Contains(list, l) {
			list = append(list, l)
		}
	}
	if len(list) == 0 {
		return status.Languages()
	}
	return list
}

//go:embed page.html
var pageTemplate string

//go:embed page.css
var pageStyle string

// policy lets a browser use our style sheet, which it knows by its hash (Content
// Security Policy Level 3, §2.3.1), and nothing else.
var policy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// ServeHTTP answers with the page in the caller's language, whatever was asked.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l := status.MatchAmong(strings.Join(r.Header.Values("Accept-Language"), ","), p.languages)
	d := p.documents[l]
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", l.String())
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer") // the address has the identifier of a license
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Cache-Control", "public, max-age=300") // a provider who changes it wants the change seen
	h.Add("Vary", "Accept-Language")
	h.Set("ETag", d.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.html))
}

// A view is what the template shows.
type view struct {
	Language     string // tag
	Words        *words
	Style        template.CSS
	Name         string        // "" for none
	Text         template.HTML // "" for our own words
	TextLanguage string        // tag; "" if nobody knows
	Recover      link          // zero for none
	Support      []link
}

// render makes the page in a language.
func (c Content) render(l status.Language) ([]byte, error) {
	t, err := template.New("hint").Parse(pageTemplate)
	if err != nil {
		return nil, err
	}
	text, textLanguage := c.text(l)
	view := view{
		Language: l.String(), Words: wordsIn(l), Style: template.CSS(pageStyle), //nolint:gosec // our own style sheet
		Name: strings.TrimSpace(c.Name), TextLanguage: textLanguage,
	}
	if view.Text, err = renderMarkdown(text); err != nil {
		return nil, err
	}
	own, _ := c.in(l)
	for _, href := range []string{c.Link, own.Link} {
		if link, ok := newLink(href, "http", "https"); ok {
			link.Label, _, _ = strings.Cut(link.Label, "/") // to whom, not where there
			view.Recover = link
		}
	}
	for _, href := range c.Support {
		if link, ok := newLink(href, linkSchemes...); ok {
			view.Support = append(view.Support, link)
		}
	}
	var html bytes.Buffer
	err = t.Execute(&html, view)
	return html.Bytes(), err
}

// text returns the provider's text for a page in a language, and the tag of the
// language that the text itself is in.
func (c Content) text(l status.Language) (text, tag string) {
	if own, tag := c.in(l); strings.TrimSpace(own.Text) != "" {
		return own.Text, tag
	}
	if len(c.Languages) > 0 {
		tag = c.Languages[0]
	}
	return c.Text, tag
}

// in finds the advice in a language, with its tag: that for the language as such
// before those for regions.
func (c Content) in(l status.Language) (Advice, string) {
	for _, tag := range slices.Sorted(maps.Keys(c.In)) {
		if other, ok := status.ParseLanguage(tag); ok && other == l {
			return c.In[tag], tag
		}
	}
	return Advice{}, ""
}

// A link is shown with where it leads.
type link struct {
	Href  template.URL
	Label string
}

// newLink makes a link of an absolute URL of one of the schemes.
func newLink(href string, schemes ...string) (link, bool) {
	u, err := url.Parse(href)
	if err != nil || !slices.Contains(schemes, u.Scheme) {
		return link{}, false
	}
	if web := strings.HasPrefix(u.Scheme, "http"); web && u.Host == "" || !web && u.Opaque == "" {
		return link{}, false
	}
	label := u.Host + strings.TrimSuffix(u.Path, "/")
	if u.Opaque != "" { // of mailto and tel
		label = u.Opaque
		if plain, err := url.PathUnescape(label); err == nil {
			label = plain
		}
	}
	return link{template.URL(href), label}, true //nolint:gosec // its scheme was checked
}
