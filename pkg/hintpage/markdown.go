package hintpage

import (
	"bytes"
	"html/template"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// linkSchemes are those of links that a page may have.
var linkSchemes = []string{"http", "https", "mailto", "tel"}

// renderMarkdown makes HTML of a provider's text. HTML in it is left out, and so
// is what could run, load or look like something else.
func renderMarkdown(source string) (template.HTML, error) {
	if strings.TrimSpace(source) == "" {
		return "", nil
	}
	m := goldmark.New(
		goldmark.WithExtensions(extension.Linkify),
		goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(headings{}, 0))),
	)
	var html bytes.Buffer
	if err := m.Convert([]byte(source), &html); err != nil {
		return "", err
	}
	return template.HTML(sanitizer().SanitizeReader(&html).String()), nil //nolint:gosec // it was sanitized
}

// sanitizer lets pass what CommonMark has, but images.
func sanitizer() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "hr", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong")
	p.AllowAttrs("start").Matching(bluemonday.Integer).OnElements("ol")
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes(linkSchemes...)
	p.RequireParseableURLs(true)
	p.AllowRelativeURLs(false)
	p.RequireNoFollowOnLinks(true)
	p.RequireNoReferrerOnLinks(true)
	return p
}

// headings puts those of a text below the one of the page, without gaps between
// the levels, which people who hear the page find their way by (WCAG 2.2, 1.3.1).
type headings struct{}

// Transform implements [parser.ASTTransformer].
func (headings) Transform(document *ast.Document, _ text.Reader, _ parser.Context) {
	last := 1
	_ = ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if h, ok := n.(*ast.Heading); ok && entering {
			h.Level = min(max(h.Level, 1)+1, last+1, 6)
			last = h.Level
		}
		return ast.WalkContinue, nil
	})
}
