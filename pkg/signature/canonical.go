package signature

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may be nested. License documents
// need four levels; the rest is room for extensions.
const maxDepth = 64

// Numbers outside these powers of ten have no double-precision value, which is
// what readers of JSON commonly compute with (RFC 8259 §6).
const (
	minExponent = -324
	maxExponent = 308
)

// A SyntaxError says why a document has no canonical form: it is not JSON, or
// it is JSON that two readers could understand in two ways.
type SyntaxError struct {
	Offset int // bytes before the place where the reason was noticed
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.Reason)
}

// Canonical returns the canonical form of a JSON text (LCP §5.3): members
// sorted by code point at every level, no space between tokens, strings with
// only `"`, `\` and control characters escaped, whole numbers written as
// integers and the others in scientific notation.
//
// A text that is not JSON in UTF-8, repeats a member, holds half a surrogate
// pair, a number beyond double precision's range or more than 64 levels is
// refused with a *SyntaxError. The result shares no memory with text.
func Canonical(text []byte) ([]byte, error) {
	return canonical(text, "")
}

// Signed returns what the signature of a license document covers: the
// canonical form of the document without its signature member (LCP §5.3, rule
// 1). Only the outermost object is looked at. Errors are those of Canonical,
// and a *SyntaxError for a document that is not an object.
func Signed(document []byte) ([]byte, error) {
	if start := bytes.TrimLeft(document, " \t\r\n"); len(start) == 0 || start[0] != '{' {
		return nil, &SyntaxError{Offset: len(document) - len(start), Reason: "the document is not an object"}
	}
	return canonical(document, "signature")
}

func canonical(text []byte, omit string) ([]byte, error) {
	c := canonicalizer{
		src: text, dst: make([]byte, 0, len(text)), omit: omit,
		members: make([]member, 0, 16), scratch: make([]byte, 0, len(text)),
	}
	c.space()
	if err := c.value(0); err != nil {
		return nil, err
	}
	c.space()
	if c.pos < len(c.src) {
		return nil, c.errorf("data after the end of the document")
	}
	return c.dst, nil
}

// A canonicalizer reads src once, from left to right, and appends the
// canonical form of what it reads to dst.
type canonicalizer struct {
	src     []byte
	pos     int // of the next byte of src
	dst     []byte
	omit    string   // member of the outermost object to leave out
	members []member // of the objects being read, innermost last
	scratch []byte   // for putting members in order
}

// A member is where one name and value stand in dst, from the quotation mark
// of the name to the end of the value.
type member struct {
	start, end int
	nameEnd    int    // of the canonical name, at its closing quotation mark
	name       []byte // unescaped; nil where the canonical name has no escapes
}

func (c *canonicalizer) errorf(format string, args ...any) error {
	return &SyntaxError{Offset: c.pos, Reason: fmt.Sprintf(format, args...)}
}

func (c *canonicalizer) space() {
	for c.pos < len(c.src) {
		switch c.src[c.pos] {
		case ' ', '\t', '\n', '\r':
			c.pos++
		default:
			return
		}
	}
}

// peek returns the next byte of src, or 0 at its end, which starts no token.
func (c *canonicalizer) peek() byte {
	if c.pos < len(c.src) {
		return c.src[c.pos]
	}
	return 0
}

// unexpected is the error for a byte that cannot stand where it does.
func (c *canonicalizer) unexpected(wanted string) error {
	if c.pos >= len(c.src) {
		return c.errorf("it ends where %s should be", wanted)
	}
	return c.errorf("%q where %s should be", c.src[c.pos], wanted)
}

func (c *canonicalizer) value(depth int) error {
	switch b := c.peek(); {
	case b == '{':
		return c.object(depth + 1)
	case b == '[':
		return c.array(depth + 1)
	case b == '"':
		return c.string()
	case b == '-' || '0' <= b && b <= '9':
		return c.number()
	}
	for _, literal := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(c.src[c.pos:], []byte(literal)) {
			c.pos += len(literal)
			c.dst = append(c.dst, literal...)
			return nil
		}
	}
	return c.unexpected("a value")
}

func (c *canonicalizer) array(depth int) error {
	if depth > maxDepth {
		return c.errorf("more than %d levels of nesting", maxDepth)
	}
	c.pos++
	c.dst = append(c.dst, '[')
	c.space()
	if c.peek() != ']' {
		if err := c.elements(depth); err != nil {
			return err
		}
	}
	c.pos++
	c.dst = append(c.dst, ']')
	return nil
}

// elements reads values up to the bracket that closes their array.
func (c *canonicalizer) elements(depth int) error {
	for {
		if err := c.value(depth); err != nil {
			return err
		}
		c.space()
		switch c.peek() {
		case ']':
			return nil
		case ',':
			c.pos++
			c.dst = append(c.dst, ',')
			c.space()
		default:
			return c.unexpected("a comma or the end of an array")
		}
	}
}

func (c *canonicalizer) object(depth int) error {
	if depth > maxDepth {
		return c.errorf("more than %d levels of nesting", maxDepth)
	}
	c.pos++
	c.dst = append(c.dst, '{')
	start, first := len(c.dst), len(c.members)
	c.space()
	if c.peek() != '}' {
		if err := c.readMembers(depth, first); err != nil {
			return err
		}
	}
	if err := c.sortMembers(start, c.members[first:]); err != nil {
		return err
	}
	c.members = c.members[:first]
	c.pos++
	c.dst = append(c.dst, '}')
	return nil
}

// readMembers reads members up to the brace that closes their object. They
// land in dst one after the other, in the order of src and without commas.
func (c *canonicalizer) readMembers(depth, first int) error {
	for {
		m, err := c.member(depth)
		if err != nil {
			return err
		}
		c.members = append(c.members, m)
		c.space()
		switch c.peek() {
		case '}':
			if depth == 1 {
				c.omitMember(first)
			}
			return nil
		case ',':
			c.pos++
			c.space()
		default:
			return c.unexpected("a comma or the end of an object")
		}
	}
}

func (c *canonicalizer) member(depth int) (member, error) {
	m := member{start: len(c.dst)}
	if c.peek() != '"' {
		return m, c.unexpected("a member name")
	}
	if err := c.string(); err != nil {
		return m, err
	}
	m.nameEnd = len(c.dst) - 1
	if name := c.dst[m.start+1 : m.nameEnd]; bytes.IndexByte(name, '\\') >= 0 {
		m.name = unescape(name)
	}
	c.space()
	if c.peek() != ':' {
		return m, c.unexpected("a colon")
	}
	c.pos++
	c.dst = append(c.dst, ':')
	c.space()
	err := c.value(depth)
	m.end = len(c.dst)
	return m, err
}

// nameOf returns the unescaped name of m.
func (c *canonicalizer) nameOf(m member) []byte {
	if m.name != nil {
		return m.name
	}
	return c.dst[m.start+1 : m.nameEnd]
}

// omitMember forgets the member to leave out. Only the first one of that name:
// a second is left for sortMembers to find if it is a repetition.
func (c *canonicalizer) omitMember(first int) {
	if c.omit == "" {
		return
	}
	isOmitted := func(m member) bool { return string(c.nameOf(m)) == c.omit }
	mine := c.members[first:]
	i := slices.IndexFunc(mine, isOmitted)
	if i < 0 || slices.ContainsFunc(mine[i+1:], isOmitted) {
		return
	}
	mine[i].end = mine[i].start // its bytes go when the members are put in order
}

// sortMembers puts members, whose bytes fill dst from start on, in the order
// of their names and writes the commas. Comparing UTF-8 byte by byte is
// comparing by code point.
func (c *canonicalizer) sortMembers(start int, members []member) error {
	if len(members) == 0 {
		return nil
	}
	slices.SortFunc(members, func(a, b member) int { return bytes.Compare(c.nameOf(a), c.nameOf(b)) })
	for i := range members[1:] {
		if name := c.nameOf(members[i]); bytes.Equal(name, c.nameOf(members[i+1])) {
			return c.errorf("member %.80q is there twice", name)
		}
	}
	c.scratch = append(c.scratch[:0], c.dst[start:]...)
	c.dst = c.dst[:start]
	for _, m := range members {
		if m.end == m.start {
			continue
		}
		if len(c.dst) > start {
			c.dst = append(c.dst, ',')
		}
		c.dst = append(c.dst, c.scratch[m.start-start:m.end-start]...)
	}
	return nil
}

// string reads a string and writes it with the fewest escapes JSON allows.
func (c *canonicalizer) string() error {
	c.pos++
	c.dst = append(c.dst, '"')
	for c.pos < len(c.src) {
		plain := c.plainRun()
		c.dst = append(c.dst, c.src[c.pos:c.pos+plain]...)
		c.pos += plain
		switch b := c.peek(); {
		case c.pos == len(c.src):
		case b == '"':
			c.pos++
			c.dst = append(c.dst, '"')
			return nil
		case b == '\\':
			if err := c.escape(); err != nil {
				return err
			}
		case b < ' ':
			return c.errorf("control character %U in a string", b)
		default:
			r, size := utf8.DecodeRune(c.src[c.pos:])
			if r == utf8.RuneError && size == 1 {
				return c.errorf("a string is not UTF-8")
			}
			c.dst = append(c.dst, c.src[c.pos:c.pos+size]...)
			c.pos += size
		}
	}
	return c.errorf("a string does not end")
}

// plainRun returns how many bytes from pos on are ASCII that stands for itself.
func (c *canonicalizer) plainRun() int {
	for i, b := range c.src[c.pos:] {
		if b < ' ' || b >= utf8.RuneSelf || b == '"' || b == '\\' {
			return i
		}
	}
	return len(c.src) - c.pos
}

// escape reads one escape sequence, or the two of a surrogate pair.
func (c *canonicalizer) escape() error {
	if c.pos+1 >= len(c.src) {
		return c.errorf("a string ends in an escape")
	}
	switch b := c.src[c.pos+1]; b {
	case '"', '\\', '/':
		c.appendRune(rune(b))
	case 'b':
		c.appendRune('\b')
	case 'f':
		c.appendRune('\f')
	case 'n':
		c.appendRune('\n')
	case 'r':
		c.appendRune('\r')
	case 't':
		c.appendRune('\t')
	case 'u':
		return c.unicodeEscape()
	default:
		return c.errorf("unknown escape %q in a string", c.src[c.pos:c.pos+2])
	}
	c.pos += 2
	return nil
}

func (c *canonicalizer) unicodeEscape() error {
	r, ok := hexRune(c.src[c.pos:])
	if !ok {
		return c.errorf(`\u without four hexadecimal digits`)
	}
	size := 6
	if utf16.IsSurrogate(r) {
		low, _ := hexRune(c.src[c.pos+size:])
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			return c.errorf("half a surrogate pair in a string")
		}
		size *= 2
	}
	c.appendRune(r)
	c.pos += size
	return nil
}

// hexRune reads the escape \uXXXX at the start of b.
func hexRune(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, d := range b[2:6] {
		switch {
		case '0' <= d && d <= '9':
			r = r<<4 | rune(d-'0')
		case 'a' <= d && d <= 'f':
			r = r<<4 | rune(d-'a'+10)
		case 'A' <= d && d <= 'F':
			r = r<<4 | rune(d-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// appendRune writes one character of a string, escaped only where it must be.
func (c *canonicalizer) appendRune(r rune) {
	const digits = "0123456789ABCDEF"
	switch r {
	case '"', '\\':
		c.dst = append(c.dst, '\\', byte(r))
	case '\b':
		c.dst = append(c.dst, `\b`...)
	case '\f':
		c.dst = append(c.dst, `\f`...)
	case '\n':
		c.dst = append(c.dst, `\n`...)
	case '\r':
		c.dst = append(c.dst, `\r`...)
	case '\t':
		c.dst = append(c.dst, `\t`...)
	default:
		if r < ' ' {
			c.dst = append(c.dst, '\\', 'u', '0', '0', digits[r>>4], digits[r&15])
			return
		}
		c.dst = utf8.AppendRune(c.dst, r)
	}
}

// unescape returns the characters that name, in canonical form, stands for.
func unescape(name []byte) []byte {
	text := make([]byte, 0, len(name))
	for i := 0; i < len(name); i++ {
		if name[i] != '\\' {
			text = append(text, name[i])
			continue
		}
		i++
		switch name[i] {
		case 'b':
			text = append(text, '\b')
		case 'f':
			text = append(text, '\f')
		case 'n':
			text = append(text, '\n')
		case 'r':
			text = append(text, '\r')
		case 't':
			text = append(text, '\t')
		case 'u':
			r, _ := hexRune(name[i-1:])
			text = utf8.AppendRune(text, r)
			i += 4
		default:
			text = append(text, name[i])
		}
	}
	return text
}

// number reads a number and writes it in its canonical form (LCP §5.3, rule 4).
func (c *canonicalizer) number() error {
	n, err := c.scanNumber()
	if err != nil {
		return err
	}
	if c.dst, err = n.append(c.dst); err != nil {
		return c.errorf("%v", err)
	}
	return nil
}

// A decimal is a number as it is written.
type decimal struct {
	negative        bool
	whole, fraction []byte // digits before and after the point
	exponent        int    // that follows; beyond ±maxWritten it is only that far
}

// maxWritten bounds the exponents that are told apart. A document would have to
// be as long to bring a number with such an exponent back into range.
const maxWritten = 1 << 30

func (c *canonicalizer) scanNumber() (n decimal, err error) {
	if c.peek() == '-' {
		n.negative = true
		c.pos++
	}
	if n.whole = c.digits(); len(n.whole) == 0 {
		return n, c.unexpected("a digit")
	}
	if len(n.whole) > 1 && n.whole[0] == '0' {
		return n, c.errorf("a number starts with zero")
	}
	if c.peek() == '.' {
		c.pos++
		if n.fraction = c.digits(); len(n.fraction) == 0 {
			return n, c.unexpected("a digit")
		}
	}
	if b := c.peek(); b == 'e' || b == 'E' {
		c.pos++
		n.exponent, err = c.exponent()
	}
	return n, err
}

// digits reads the decimal digits at pos.
func (c *canonicalizer) digits() []byte {
	start := c.pos
	for b := c.peek(); '0' <= b && b <= '9'; b = c.peek() {
		c.pos++
	}
	return c.src[start:c.pos]
}

func (c *canonicalizer) exponent() (int, error) {
	sign := 1
	switch c.peek() {
	case '-':
		sign = -1
		c.pos++
	case '+':
		c.pos++
	}
	digits := c.digits()
	if len(digits) == 0 {
		return 0, c.unexpected("a digit")
	}
	e := 0
	for _, d := range digits {
		e = min(e*10+int(d-'0'), maxWritten)
	}
	return sign * e, nil
}

// append writes n in canonical form: an integer where it is one, otherwise one
// digit, a point, at least one digit, E and the exponent.
func (n decimal) append(dst []byte) ([]byte, error) {
	if n.exponent == 0 && len(n.fraction) == 0 && len(n.whole) <= maxExponent {
		return n.appendInteger(dst, n.whole, 0), nil // by far the most common
	}
	digits := slices.Concat(n.whole, n.fraction)
	point := len(n.whole) + n.exponent // digits before the decimal point
	significant := bytes.TrimLeft(digits, "0")
	point -= len(digits) - len(significant)
	significant = bytes.TrimRight(significant, "0")
	if len(significant) == 0 {
		return append(dst, '0'), nil
	}
	if point-1 < minExponent || point-1 > maxExponent {
		return nil, errors.New("number out of range")
	}
	if point >= len(significant) {
		return n.appendInteger(dst, significant, point-len(significant)), nil
	}
	if n.negative {
		dst = append(dst, '-')
	}
	dst = append(dst, significant[0], '.')
	if rest := significant[1:]; len(rest) > 0 {
		dst = append(dst, rest...)
	} else {
		dst = append(dst, '0')
	}
	dst = append(dst, 'E')
	return strconv.AppendInt(dst, int64(point-1), 10), nil
}

// appendInteger writes digits and zeros more. Zero has no sign.
func (n decimal) appendInteger(dst, digits []byte, zeros int) []byte {
	if n.negative && string(digits) != "0" {
		dst = append(dst, '-')
	}
	dst = append(dst, digits...)
	for range zeros {
		dst = append(dst, '0')
	}
	return dst
}
