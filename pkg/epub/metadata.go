package epub

import (
	"cmp"
	"slices"
	"strings"

	"github.com/lcp-tools/lcp/pkg/publication"
)

// metadata gives what the package document says of the publication (EPUB
// Packages 3.3 §5.5, OPF 2.0.1 §2.2).
func (p *packageDocument) metadata() publication.Metadata {
	refined := p.refined()
	return publication.Metadata{
		Title:       p.title(refined),
		Identifiers: p.identifiers(),
		Authors:     p.authors(refined),
		Publishers:  p.texts("publisher"),
		Languages:   p.texts("language"),
		Subjects:    p.texts("subject"),
		Description: first(p.texts("description")),
		Published:   p.published(),
	}
}

// refined groups the refinements by the id of what they refine.
func (p *packageDocument) refined() map[string][]refinement {
	byTarget := make(map[string][]refinement)
	for _, r := range p.refinements {
		byTarget[r.target] = append(byTarget[r.target], r)
	}
	return byTarget
}

func (p *packageDocument) named(name string) []term {
	var found []term
	for _, t := range p.terms {
		if t.name == name {
			found = append(found, t)
		}
	}
	return found
}

func (p *packageDocument) texts(name string) []string {
	var texts []string
	for _, t := range p.named(name) {
		if !slices.Contains(texts, t.text) {
			texts = append(texts, t.text)
		}
	}
	return texts
}

// title is the main one, else the first.
func (p *packageDocument) title(refined map[string][]refinement) string {
	for _, t := range p.named("title") {
		for _, r := range refined[t.id] {
			if t.id != "" && r.property == "title-type" && r.value == "main" {
				return t.text
			}
		}
	}
	return first(p.texts("title"))
}

// authors are the creators without a role and those whose role it is.
func (p *packageDocument) authors(refined map[string][]refinement) []string {
	var authors []string
	for _, t := range p.named("creator") {
		var roles []string
		if t.role != "" {
			roles = append(roles, t.role)
		}
		for _, r := range refined[t.id] {
			if t.id != "" && r.property == "role" {
				roles = append(roles, r.value)
			}
		}
		if (roles == nil || slices.ContainsFunc(roles, isAuthor)) && !slices.Contains(authors, t.text) {
			authors = append(authors, t.text)
		}
	}
	return authors
}

// isAuthor tells the MARC relator, as a code or as a URL that ends in it.
func isAuthor(role string) bool {
	return strings.EqualFold(role[strings.LastIndexByte(role, '/')+1:], "aut")
}

// identifiers begin with the unique one.
func (p *packageDocument) identifiers() []string {
	terms := p.named("identifier")
	slices.SortStableFunc(terms, func(a, b term) int {
		return cmp.Compare(rank(p.isUnique(a)), rank(p.isUnique(b)))
	})
	var ids []string
	for _, t := range terms {
		if !slices.Contains(ids, t.text) {
			ids = append(ids, t.text)
		}
	}
	return ids
}

func (p *packageDocument) isUnique(t term) bool { return t.id != "" && t.id == p.uniqueID }

func rank(preferred bool) int {
	if preferred {
		return 0
	}
	return 1
}

// published is the date of publication, else one whose event is not told.
func (p *packageDocument) published() string {
	date := ""
	for _, t := range p.named("date") {
		switch {
		case strings.EqualFold(t.event, "publication"):
			return t.text
		case t.event == "" && date == "":
			date = t.text
		}
	}
	return date
}

func first(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	return texts[0]
}
