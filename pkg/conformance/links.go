package conformance

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/yosida95/uritemplate/v3"

	"github.com/lcp-tools/lcp/pkg/license"
)

// linkRules hold for every link of a document whose links a clause specifies, with
// the relations that it knows.
func linkRules(clause string, relations ...string) []rule[license.Link] {
	return []rule[license.Link]{
		{"link-templated", Error, "href", clause, func(l license.Link) string {
			switch braces := strings.ContainsAny(l.Href, "{}"); {
			case braces && !l.Templated:
				return quote(l.Href) + " is a URI template, and templated is not true"
			case l.Templated && !braces:
				return quote(l.Href) + " has nothing to fill in, and templated is true"
			}
			return ""
		}, "set templated to true for URI templates, and only for those"},
		{"link-template", Error, "href", "RFC 6570", func(l license.Link) string {
			if !l.Templated {
				return ""
			}
			if _, err := uritemplate.New(l.Href); err != nil {
				return quote(l.Href) + " is not a URI template"
			}
			return ""
		}, "write it as RFC 6570 has it, such as https://example.com/x{?id,name}"},
		{"link-uri", Error, "href", clause, func(l license.Link) string {
			if l.Templated {
				return ""
			}
			return notURI(l.Href)
		}, "give an absolute URI: the document is not kept where it came from"},
		{"link-type", Warning, "type", clause, func(l license.Link) string {
			if l.Type != "" || !isWeb(l.Href) {
				return ""
			}
			return "is missing, and highly recommended"
		}, "give the media type of what the link leads to"},
		{"link-rel", Error, "rel", clause, func(l license.Link) string {
			if slices.Contains(relations, l.Rel) || notURI(l.Rel) == "" {
				return ""
			}
			return quote(l.Rel) + " is neither a relation of the specification nor a URI"
		}, "name relations of your own by URIs"},
	}
}

// notWeb says why a link cannot be followed over HTTP.
func notWeb(l license.Link) string {
	if l.Templated || l.Href == "" || notURI(l.Href) != "" || isWeb(l.Href) {
		return ""
	}
	return quote(l.Href) + " is not an http or https URL"
}

func isWeb(href string) bool {
	scheme, _, _ := strings.Cut(href, ":")
	return strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")
}

// insecure says that a link goes over http through a network. What stays on the
// machine, as in a trial, does not.
func insecure(l license.Link) string {
	u, err := url.Parse(l.Href)
	if err != nil || !strings.EqualFold(u.Scheme, "http") || isLoopback(u.Hostname()) {
		return ""
	}
	return quote(l.Href) + " goes over an insecure connection"
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// local says that a link leads to the machine that it is followed on, as in a
// trial.
func local(l license.Link) string {
	u, err := url.Parse(l.Href)
	switch {
	case err != nil:
		return ""
	case isFile(l):
		return quote(l.Href) + " is a file on one machine"
	case isLoopback(u.Hostname()):
		return quote(u.Host) + " works on this machine alone"
	}
	return ""
}

func isFile(l license.Link) bool { return strings.HasPrefix(l.Href, "file:///") }

// A placedLink is a link and where it is in its document.
type placedLink struct {
	license.Link
	place string // such as links[2]
}

// withRel returns the links of a relation.
func withRel(links []license.Link, rel string) []placedLink {
	var found []placedLink
	for i, l := range links {
		if l.Rel == rel {
			found = append(found, placedLink{l, linkPlace(i)})
		}
	}
	return found
}

func linkPlace(i int) string { return fmt.Sprintf("links[%d]", i) }
