package rwpm

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

// Names returns the names that the entry which href refers to may have in a
// package, the likeliest first. base is the name of the entry that holds the
// reference; that of a manifest at the root is just its name. It returns none
// for a reference that leads out of the package: one with a scheme or a host.
//
// The first name is the one that the packaging specification means: the path of
// the URL reference, percent-decoded once, without query and fragment, resolved
// as URLs are, with a root that is that of the package. The others are what
// writers mean who forget to encode: the path as it stands, and the whole
// reference as it stands.
func Names(base, href string) []string {
	href = strings.TrimSpace(href)
	if href == "" || scheme(href) != "" || strings.HasPrefix(href, "//") {
		return nil
	}
	raw, _, _ := strings.Cut(href, "#")
	raw, _, _ = strings.Cut(raw, "?")
	paths := []string{raw, href}
	if decoded, err := url.PathUnescape(raw); err == nil {
		paths = []string{decoded, raw, href}
	}
	var names []string
	for _, p := range paths {
		if p == "" {
			continue
		}
		if !strings.HasPrefix(p, "/") {
			p = path.Join("/", path.Dir(base), p)
		}
		name := strings.TrimPrefix(path.Clean(p), "/")
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Href returns the URL reference to the named entry, from the root of the
// package.
func Href(name string) string {
	href := (&url.URL{Path: name}).EscapedPath()
	if dir, _, _ := strings.Cut(href, "/"); strings.Contains(dir, ":") {
		href = strings.Replace(href, dir, strings.ReplaceAll(dir, ":", "%3A"), 1)
	}
	return href
}

// scheme returns the scheme of an absolute URL (RFC 3986 §3.1), or "".
func scheme(href string) string {
	s, _, found := strings.Cut(href, ":")
	if !found || s == "" {
		return ""
	}
	for i, c := range []byte(strings.ToLower(s)) {
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(c))) {
			return ""
		}
	}
	return s
}
