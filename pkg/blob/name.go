package blob

import (
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"unicode"
)

// Limits of names, the narrower of file systems and S3.
const (
	maxName    = 900 // bytes; S3 keys have 1024, and a prefix takes some
	maxElement = 255 // bytes between slashes
)

// CheckName returns an error that wraps ErrName and gives the reason unless the
// name is a slash-separated relative path without empty, "." and ".." elements,
// in UTF-8, with neither backslashes nor control characters. No element begins
// with a dot, since such names are for files in the making, or is longer than
// 255 bytes; the whole is no longer than 900.
func CheckName(name string) error {
	refuse := func(why string) error { return fmt.Errorf("%w: %q %s", ErrName, name, why) }
	switch {
	case name == "" || name == ".":
		return refuse("is empty")
	case !fs.ValidPath(name):
		return refuse("is not a relative path, or steps out of its folder")
	case len(name) > maxName:
		return refuse(fmt.Sprintf("is longer than %d bytes", maxName))
	case strings.Contains(name, `\`):
		return refuse("has a backslash")
	case strings.ContainsFunc(name, unicode.IsControl):
		return refuse("has a control character")
	}
	for element := range strings.SplitSeq(name, "/") {
		switch {
		case element[0] == '.':
			return refuse("has a part that begins with a dot")
		case len(element) > maxElement:
			return refuse(fmt.Sprintf("has a part longer than %d bytes", maxElement))
		}
	}
	return nil
}

// ParseBase reads the address under which a store's objects are published. It
// is an absolute http or https URL without query and fragment.
func ParseBase(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("base URL: %w", err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("base URL %q: give an address such as https://cdn.example.org/books", s)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("base URL %q: it must not have a query or fragment, since names are appended to it", s)
	}
	return u, nil
}

// URL appends a name to a base. Whatever could mean something else in a URL is
// percent-encoded, "+" included: S3 reads it as a space.
func URL(base *url.URL, name string) string {
	elements := strings.Split(name, "/")
	for i, e := range elements {
		elements[i] = strings.ReplaceAll(url.PathEscape(e), "+", "%2B")
	}
	return strings.TrimSuffix(base.String(), "/") + "/" + strings.Join(elements, "/")
}
