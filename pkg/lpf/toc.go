package lpf

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/lcp-tools/lcp/pkg/rwpm"
)

// maxTOCDepth bounds the levels of a table of contents.
const maxTOCDepth = 32

// A tocReader reads a table of contents from HTML (Publication Manifest,
// "Machine-Processable Table of Contents").
type tocReader struct {
	// resolve returns the URL reference of a target in the new package, or ""
	// if it is not a part of the publication.
	resolve func(href string) string
}

// read returns the entries of the first element of the page with the role
// doc-toc, or nil.
func (r tocReader) read(page *html.Node) []rwpm.Link {
	toc := firstElement(page, func(n *html.Node) bool {
		return slices.Contains(tokens(attribute(n, "role")), "doc-toc")
	})
	if toc == nil {
		return nil
	}
	return r.list(firstOutside(toc, isList, nil), 0)
}

func (r tocReader) list(list *html.Node, depth int) []rwpm.Link {
	if list == nil || depth == maxTOCDepth {
		return nil
	}
	var links []rwpm.Link
	for item := list.FirstChild; item != nil; item = item.NextSibling {
		if item.DataAtom != atom.Li || hasAttribute(item, "hidden") {
			continue
		}
		links = append(links, r.item(item, depth)...)
	}
	return links
}

// item reads one branch. One without a target in the publication takes that of
// its first child, since a Readium link must have one; if there is none either,
// it gives way to its children.
func (r tocReader) item(item *html.Node, depth int) []rwpm.Link {
	children := r.list(firstOutside(item, isList, nil), depth+1)
	anchor := firstOutside(item, func(n *html.Node) bool { return n.DataAtom == atom.A }, isList)
	l := rwpm.Link{
		Title:    text(anchor),
		Type:     strings.TrimSpace(attribute(anchor, "type")),
		Rels:     strings.Fields(attribute(anchor, "rel")),
		Children: children,
	}
	if href := attribute(anchor, "href"); href != "" {
		l.Href = r.resolve(href)
	}
	if l.Href == "" && len(children) > 0 {
		l.Href = children[0].Href
	}
	if l.Href == "" || l.Title == "" {
		return children
	}
	return []rwpm.Link{l}
}

// firstOutside returns the first element below n that satisfies the condition,
// without looking into sections, hidden elements and those to skip.
func firstOutside(n *html.Node, satisfies, skip func(*html.Node) bool) *html.Node {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		switch {
		case c.Type != html.ElementNode, isSection(c), hasAttribute(c, "hidden"), skip != nil && skip(c):
			continue
		case satisfies(c):
			return c
		}
		if found := firstOutside(c, satisfies, skip); found != nil {
			return found
		}
	}
	return nil
}

func isList(n *html.Node) bool { return n.DataAtom == atom.Ol || n.DataAtom == atom.Ul }

// isSection reports whether an element is sectioning content or a sectioning
// root, which may have an outline of its own.
func isSection(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Article, atom.Aside, atom.Nav, atom.Section,
		atom.Blockquote, atom.Body, atom.Details, atom.Dialog, atom.Fieldset, atom.Figure, atom.Td:
		return true
	default:
		return false
	}
}
