package pdf

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

// An object is one of the values of ISO 32000-1 §7.3: nil for null, bool,
// int64, float64, text, name, array, dict, ref or *stream; and keyword, which
// is not a value but what stands between values.
type object any

type (
	text    string // the bytes of a string, escapes resolved
	name    string // without the slash
	keyword string // obj, stream, trailer, or an operator of a content stream
	array   []object
	dict    map[name]object
	ref     struct{ num, gen int64 }
	// A stream is a dictionary and the place of its data, which are read on demand.
	stream struct {
		dict dict
		off  int64
	}
)

// Bounds on one object. A page tree with every page in one array, or a table
// of destinations, stays far below them.
const (
	maxObjectSize  = 16 << 20 // bytes
	maxObjectParts = 1 << 18  // values in one object
	maxDepth       = 64       // arrays and dictionaries inside each other
	maxKeyword     = 128
)

var (
	errEnd     = errors.New("the data end too early")
	errTooLong = errors.New("an object is too large or too deeply nested")
)

// A lexer reads objects from a file, or from memory when r is nil. It reads
// ahead in small steps, since most objects are short.
type lexer struct {
	r     io.ReaderAt
	base  int64 // offset of buf[0]
	end   int64 // offset where it stops
	buf   []byte
	pos   int
	chunk int
	parts int  // values it may still return
	refs  bool // "1 0 R" is one value
}

func newFileLexer(r io.ReaderAt, off, size int64) *lexer {
	return &lexer{r: r, base: off, end: min(size, off+maxObjectSize), chunk: 512, parts: maxObjectParts, refs: true}
}

func newLexer(data []byte, refs bool) *lexer {
	return &lexer{buf: data, end: int64(len(data)), parts: maxObjectParts, refs: refs}
}

func (l *lexer) offset() int64 { return l.base + int64(l.pos) }

func (l *lexer) seek(off int64) {
	if off >= l.base && off <= l.base+int64(len(l.buf)) {
		l.pos = int(off - l.base)
		return
	}
	l.base, l.buf, l.pos = off, l.buf[:0], 0
}

// peek returns the next byte, or -1 at the end.
func (l *lexer) peek() int {
	if l.pos == len(l.buf) && !l.fill() {
		return -1
	}
	return int(l.buf[l.pos])
}

func (l *lexer) next() int {
	c := l.peek()
	if c >= 0 {
		l.pos++
	}
	return c
}

func (l *lexer) fill() bool {
	off := l.offset()
	if l.r == nil || off >= l.end {
		return false
	}
	n := int(min(int64(l.chunk), l.end-off))
	l.chunk = min(2*l.chunk, 64<<10)
	if cap(l.buf) < n {
		l.buf = make([]byte, n)
	}
	n, _ = l.r.ReadAt(l.buf[:n], off) // a failure shows in source.err
	l.base, l.buf, l.pos = off, l.buf[:n], 0
	return n > 0
}

// isSpace and isDelimiter are the character classes of ISO 32000-1 §7.2.2.
func isSpace(c int) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

func isDelimiter(c int) bool {
	switch c {
	case '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return true
	}
	return false
}

func isRegular(c int) bool { return c >= 0 && !isSpace(c) && !isDelimiter(c) }

func isDigit(c int) bool { return '0' <= c && c <= '9' }

// skipSpace skips white space and comments.
func (l *lexer) skipSpace() {
	for {
		c := l.peek()
		switch {
		case isSpace(c):
			l.pos++
		case c == '%':
			for c >= 0 && c != '\n' && c != '\r' {
				c = l.next()
			}
		default:
			return
		}
	}
}

// object reads the next value or keyword. At the end it returns errEnd.
func (l *lexer) object() (object, error) { return l.nested(maxDepth) }

func (l *lexer) nested(depth int) (object, error) {
	if l.parts--; l.parts < 0 || depth == 0 {
		return nil, errTooLong
	}
	l.skipSpace()
	switch c := l.peek(); {
	case c < 0:
		return nil, errEnd
	case c == '/':
		l.pos++
		return l.name(), nil
	case c == '(':
		l.pos++
		return l.literal()
	case c == '[':
		l.pos++
		return l.array(depth - 1)
	case c == '<':
		l.pos++
		if l.peek() == '<' {
			l.pos++
			return l.dict(depth - 1)
		}
		return l.hex()
	case isDigit(c) || c == '+' || c == '-' || c == '.':
		return l.number(), nil
	case isRegular(c):
		return l.word()
	default:
		return nil, fmt.Errorf("unexpected %q at offset %d", rune(c), l.offset())
	}
}

// word reads true, false, null or another keyword.
func (l *lexer) word() (object, error) {
	var b []byte
	for isRegular(l.peek()) {
		if len(b) == maxKeyword {
			return nil, fmt.Errorf("unexpected data at offset %d", l.offset())
		}
		b = append(b, byte(l.next()))
	}
	switch s := string(b); s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "null":
		return nil, nil
	default:
		return keyword(s), nil
	}
}

func (l *lexer) name() name {
	var b []byte
	for isRegular(l.peek()) {
		c := l.next()
		if c == '#' {
			at := l.offset()
			if hi, lo := unhex(l.next()), unhex(l.next()); hi >= 0 && lo >= 0 {
				c = hi<<4 | lo
			} else {
				l.seek(at)
			}
		}
		b = append(b, byte(c))
	}
	return name(b)
}

// number reads an integer or a real, or a reference that begins with it. What
// is no number counts as 0, as other readers have it.
func (l *lexer) number() object {
	var b []byte
	for c := l.peek(); isDigit(c) || c == '+' || c == '-' || c == '.'; c = l.peek() {
		if l.pos++; len(b) < 40 {
			b = append(b, byte(c))
		}
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		f, err := strconv.ParseFloat(string(b), 64)
		if err != nil {
			return int64(0)
		}
		return f
	}
	if l.refs && n >= 0 {
		at := l.offset()
		if gen, ok := l.restOfRef(); ok {
			return ref{n, gen}
		}
		l.seek(at)
	}
	return n
}

// restOfRef reads the generation number and the R of a reference.
func (l *lexer) restOfRef() (gen int64, ok bool) {
	l.skipSpace()
	digits := 0
	for ; isDigit(l.peek()) && digits < 6; digits++ {
		gen = 10*gen + int64(l.next()-'0')
	}
	l.skipSpace()
	return gen, digits > 0 && l.next() == 'R' && !isRegular(l.peek())
}

func (l *lexer) array(depth int) (object, error) {
	a := array{}
	for {
		l.skipSpace()
		if l.peek() == ']' {
			l.pos++
			return a, nil
		}
		v, err := l.nested(depth)
		if err != nil {
			return nil, err
		}
		if _, ok := v.(keyword); ok {
			return nil, fmt.Errorf("unclosed array at offset %d", l.offset())
		}
		a = append(a, v)
	}
}

func (l *lexer) dict(depth int) (object, error) {
	d := dict{}
	for {
		l.skipSpace()
		if l.peek() == '>' {
			l.pos++
			if l.next() != '>' {
				return nil, fmt.Errorf("unclosed dictionary at offset %d", l.offset())
			}
			return d, nil
		}
		k, err := l.nested(depth)
		if err != nil {
			return nil, err
		}
		key, ok := k.(name)
		if !ok {
			return nil, fmt.Errorf("dictionary key is not a name at offset %d", l.offset())
		}
		v, err := l.nested(depth)
		if err != nil {
			return nil, err
		}
		if _, ok := v.(keyword); ok {
			return nil, fmt.Errorf("unclosed dictionary at offset %d", l.offset())
		}
		d[key] = v
	}
}

// literal reads the rest of a string in parentheses (ISO 32000-1 §7.3.4.2).
func (l *lexer) literal() (object, error) {
	var b []byte
	for open := 1; ; {
		c := l.next()
		switch c {
		case -1:
			return nil, errEnd
		case '(':
			open++
		case ')':
			if open--; open == 0 {
				return text(b), nil
			}
		case '\r': // an end of line of any kind reads as LF
			if l.peek() == '\n' {
				l.pos++
			}
			c = '\n'
		case '\\':
			if c = l.escape(); c < 0 {
				continue
			}
		}
		b = append(b, byte(c))
	}
}

// escape reads what follows a backslash. It returns -1 when that stands for
// nothing, as an end of line does.
func (l *lexer) escape() int {
	c := l.next()
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case '\r':
		if l.peek() == '\n' {
			l.pos++
		}
		return -1
	case '\n':
		return -1
	}
	if !isOctal(c) {
		return c
	}
	n := c - '0'
	for i := 0; i < 2 && isOctal(l.peek()); i++ {
		n = n<<3 | (l.next() - '0')
	}
	return n & 0xFF
}

func isOctal(c int) bool { return '0' <= c && c <= '7' }

// hex reads the rest of a hexadecimal string. A digit too few counts as 0.
func (l *lexer) hex() (object, error) {
	var b []byte
	high := -1
	for {
		c := l.next()
		v := unhex(c)
		switch {
		case c < 0:
			return nil, errEnd
		case c == '>':
			if high >= 0 {
				b = append(b, byte(high<<4))
			}
			return text(b), nil
		case v < 0:
			continue
		case high < 0:
			high = v
		default:
			b = append(b, byte(high<<4|v))
			high = -1
		}
	}
}

func unhex(c int) int {
	switch {
	case isDigit(c):
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return -1
}
