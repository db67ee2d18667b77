package lpf

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/rwpm"
	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
)

// maxPage is the size in bytes up to which an HTML page is read.
const maxPage = 4 << 20

// readPage parses the named HTML page. It returns nil if there is none.
func readPage(a *archive.Reader, name string) (*html.Node, error) {
	e := a.Lookup(name)
	if e == nil {
		return nil, nil //nolint:nilnil // having no entry page is no error
	}
	data, err := e.ReadAll(maxPage)
	if err != nil {
		return nil, err
	}
	page, err := parsePage(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", publication.ErrInvalid, name, err)
	}
	return page, nil
}

func parsePage(data []byte) (*html.Node, error) {
	var r io.Reader = bytes.NewReader(data)
	// The library guesses the encoding from the first bytes only.
	if !utf8.Valid(data) {
		var err error
		if r, err = charset.NewReader(r, "text/html"); err != nil {
			return nil, fmt.Errorf("find the encoding: %w", err)
		}
	}
	page, err := html.Parse(r)
	if err != nil {
		return nil, fmt.Errorf("parse HTML: %w", err)
	}
	return page, nil
}

// publicationLink returns the first link element with the relation
// "publication", or nil.
func publicationLink(page *html.Node) *html.Node {
	return firstElement(page, func(n *html.Node) bool {
		return n.DataAtom == atom.Link && slices.Contains(tokens(attribute(n, "rel")), "publication")
	})
}

// embeddedManifest returns the script that holds the manifest: that of the id
// or, without one, the first whose context is that of publications.
func embeddedManifest(page *html.Node, id string) *html.Node {
	return firstElement(page, func(n *html.Node) bool {
		if n.DataAtom != atom.Script || !strings.EqualFold(strings.TrimSpace(attribute(n, "type")), "application/ld+json") {
			return false
		}
		if id != "" {
			return attribute(n, "id") == id
		}
		manifest, err := jsontree.Parse([]byte(childText(n)))
		return err == nil && hasPubContext(manifest)
	})
}

// pageTitle returns the text of the title element.
func pageTitle(page *html.Node) string {
	return text(firstElement(page, func(n *html.Node) bool { return n.DataAtom == atom.Title && n.Namespace == "" }))
}

// baseOf returns the name that URLs in the page are relative to: the page's own
// but for a base element that leads elsewhere in the package.
func baseOf(page *html.Node, name string) string {
	base := firstElement(page, func(n *html.Node) bool { return n.DataAtom == atom.Base && attribute(n, "href") != "" })
	href := attribute(base, "href")
	names := rwpm.Names(name, href)
	switch {
	case len(names) == 0:
		return name
	case strings.HasSuffix(href, "/"):
		return path.Join(names[0], path.Base(name))
	default:
		return names[0]
	}
}

// firstElement returns the first element below n, in tree order, that satisfies
// the condition.
func firstElement(n *html.Node, satisfies func(*html.Node) bool) *html.Node {
	if n == nil {
		return nil
	}
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && satisfies(d) {
			return d
		}
	}
	return nil
}

func attribute(n *html.Node, key string) string {
	if n == nil {
		return ""
	}
	for _, a := range n.Attr {
		if a.Key == key && a.Namespace == "" {
			return a.Val
		}
	}
	return ""
}

func hasAttribute(n *html.Node, key string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
}

// tokens splits a list of keywords, which are compared without regard to case.
func tokens(list string) []string { return strings.Fields(strings.ToLower(list)) }

// text returns the text within n, with its spaces collapsed.
func text(n *html.Node) string {
	if n == nil {
		return ""
	}
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// childText returns the text directly in n, as it is.
func childText(n *html.Node) string {
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}
