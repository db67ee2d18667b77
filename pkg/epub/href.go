package epub

import (
	"path"
	"strings"

	"github.com/lcp-tools/lcp/pkg/archive"
)

// find returns the entry that href refers to when it stands in a document in
// the folder dir, and the name that was looked for. It reads href as the URL
// it should be; where no entry has that name, as the plain file name that
// careless tools write.
func find(a *archive.Reader, dir, href string) (e *archive.Entry, name string) {
	href = strings.TrimSpace(href)
	trimmed := trimURL(href)
	name = resolve(dir, unescape(trimmed))
	for _, candidate := range []string{name, resolve(dir, trimmed), resolve(dir, href), resolve(dir, unescape(href))} {
		if e = lookupFile(a, candidate); e != nil {
			return e, candidate
		}
	}
	return nil, name
}

func lookupFile(a *archive.Reader, name string) *archive.Entry {
	if e := a.Lookup(name); e != nil && !e.IsDir() {
		return e
	}
	return nil
}

// trimURL removes query and fragment.
func trimURL(href string) string {
	if i := strings.IndexAny(href, "?#"); i >= 0 {
		return href[:i]
	}
	return href
}

// resolve joins a path to the folder of the document that holds it. It never
// leaves the root, as with URLs.
func resolve(dir, p string) string {
	if strings.HasPrefix(p, "/") {
		dir = ""
	}
	return strings.TrimPrefix(path.Join("/", dir, p), "/")
}

// folder returns the folder of an entry, "" for the root.
func folder(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return ""
}

// isRemote tells a URL with a scheme or an authority from a relative one.
func isRemote(href string) bool {
	if strings.HasPrefix(href, "//") {
		return true
	}
	scheme, _, found := strings.Cut(href, ":")
	if !found || scheme == "" || !isLetter(scheme[0]) {
		return false
	}
	for i := range len(scheme) {
		if c := scheme[i]; !isLetter(c) && !isDigit(c) && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// unescape decodes percent-encoding once. A % that begins no escape stays.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if isEscape(s[i:]) {
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

// escape percent-encodes a name. It leaves only the unreserved characters of
// RFC 3986 and the slash, which mean themselves to every reader.
func escape(name string) string {
	return escapeIf(name, func(c byte) bool { return !isUnreserved(c) && c != '/' })
}

func escapeIf(s string, unsafe func(byte) bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; unsafe(c) {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// reference returns how to refer to the entry of that name from the root of
// the container. Readers match references with the hrefs of the manifest,
// some of them as they are spelled, and tools differ in which of the reserved
// characters they encode: the spelling of the manifest is kept where it is a
// valid one.
func reference(name, dir, href string) string {
	spelled := resolve(escape(dir), tidy(trimURL(href)))
	first, _, _ := strings.Cut(spelled, "/")
	if href == "" || unescape(spelled) != name || strings.Contains(first, ":") {
		return escape(name)
	}
	return spelled
}

// tidy encodes what must not stand in a URL and leaves the rest as it is.
func tidy(href string) string {
	var b strings.Builder
	for i := range len(href) {
		c := href[i]
		if isEscape(href[i:]) || isUnreserved(c) || c != '%' && strings.IndexByte("/!$&'()*+,;=:@", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString(escape(href[i : i+1]))
		}
	}
	return b.String()
}

func isEscape(s string) bool {
	return len(s) >= 3 && s[0] == '%' && isHex(s[1]) && isHex(s[2])
}

func isUnreserved(c byte) bool {
	return isLetter(c) || isDigit(c) || c == '-' || c == '.' || c == '_' || c == '~'
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isHex(c byte) bool    { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

func unhex(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
