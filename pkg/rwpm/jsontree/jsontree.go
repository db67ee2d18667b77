// Package jsontree holds JSON documents that are read, changed in places and
// written again without losing anything else: the order of members, the
// spelling of numbers (1.10, 1e3) and of strings (escapes), null, and members
// that no type knows of. Space between tokens is the one thing not kept.
//
// Its rules are those of RFC 8259, and what that leaves open is refused where
// readers would disagree: text that is not UTF-8, and an object with two members
// of one name. It knows nothing of what a document is about.
package jsontree

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits on a document, far above any manifest.
const (
	MaxSize   = 8 << 20 // bytes
	maxDepth  = 128
	maxValues = 1 << 19
)

// Reasons to refuse a document, wrapped with where it is at fault.
var (
	ErrSyntax    = errors.New("not valid JSON")
	ErrDuplicate = errors.New("two members of one name in a JSON object")
	ErrTooLarge  = errors.New("JSON document is too large")
)

// A Kind is one of the kinds of JSON values.
type Kind uint8

// The kinds of JSON values.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// A Value is a JSON value. The methods that ask take a nil Value for an absent
// one, so that they can be chained; those that change need a real one. A Value
// is not safe for concurrent use while it is changed.
type Value struct {
	kind    Kind
	literal string // of a scalar, as written
	items   []*Value
	members []Member
}

// A Member is a member of an object.
type Member struct {
	Key     string
	Value   *Value
	literal string // of the key, as written; empty if the key was not parsed
}

// Parse reads a document. A byte order mark before it is passed over. The
// errors are those of this package.
func Parse(data []byte) (*Value, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, where %d are the limit", ErrTooLarge, len(data), MaxSize)
	}
	text := strings.TrimPrefix(string(data), "\uFEFF")
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("%w: it is not in UTF-8", ErrSyntax)
	}
	if err := checkSyntax(data[len(data)-len(text):]); err != nil {
		return nil, err
	}
	p := parser{text: text}
	return p.value(0)
}

// checkSyntax lets the standard library judge the grammar, so that the parser
// below only has to take valid text apart.
func checkSyntax(text []byte) error {
	if json.Valid(text) {
		return nil
	}
	var raw json.RawMessage
	err := json.Unmarshal(text, &raw) // which says why not
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		before := text[:min(max(syntax.Offset, 0), int64(len(text)))]
		return fmt.Errorf("%w: line %d: %w", ErrSyntax, 1+bytes.Count(before, []byte("\n")), err)
	}
	return fmt.Errorf("%w: %w", ErrSyntax, err)
}

// Kind returns the kind of the value; an absent value is Null.
func (v *Value) Kind() Kind {
	if v == nil {
		return Null
	}
	return v.kind
}

// Text returns the value of a string.
func (v *Value) Text() (text string, ok bool) {
	if v.Kind() != String {
		return "", false
	}
	return unquote(v.literal), true
}

// Number returns a number as it is spelled.
func (v *Value) Number() (literal string, ok bool) {
	if v.Kind() != Number {
		return "", false
	}
	return v.literal, true
}

// IsTrue reports whether the value is true.
func (v *Value) IsTrue() bool { return v.Kind() == Bool && v.literal == "true" }

// Get returns the member of that name, or nil.
func (v *Value) Get(key string) *Value {
	if v == nil {
		return nil
	}
	for _, m := range v.members {
		if m.Key == key {
			return m.Value
		}
	}
	return nil
}

// Members returns the members of an object in their order. The slice belongs to
// the value.
func (v *Value) Members() []Member {
	if v == nil {
		return nil
	}
	return v.members
}

// All returns the elements of an array; of anything else that is neither absent
// nor null, the value itself. Many JSON formats let authors leave out the
// brackets around a single element.
func (v *Value) All() []*Value {
	switch v.Kind() {
	case Null:
		return nil
	case Array:
		return v.items
	default:
		return []*Value{v}
	}
}

// Set gives an object a member, in the place of one of that name or else at the
// end.
func (v *Value) Set(key string, value *Value) {
	for i := range v.members {
		if v.members[i].Key == key {
			v.members[i].Value = value
			return
		}
	}
	v.members = append(v.members, Member{Key: key, Value: value})
}

// Delete removes a member of an object, if it is there.
func (v *Value) Delete(key string) {
	for i := range v.members {
		if v.members[i].Key == key {
			v.members = append(v.members[:i:i], v.members[i+1:]...)
			return
		}
	}
}

// NewString returns a string.
func NewString(s string) *Value { return &Value{kind: String, literal: quote(s)} }

// NewInt returns a whole number.
func NewInt(n int64) *Value { return &Value{kind: Number, literal: strconv.FormatInt(n, 10)} }

// NewNumber returns the number that is written so, which must be how JSON writes
// numbers.
func NewNumber(literal string) *Value { return &Value{kind: Number, literal: literal} }

// NewBool returns true or false.
func NewBool(b bool) *Value { return &Value{kind: Bool, literal: strconv.FormatBool(b)} }

// NewArray returns an array of the items.
func NewArray(items ...*Value) *Value { return &Value{kind: Array, items: items} }

// NewObject returns an object without members.
func NewObject() *Value { return &Value{kind: Object} }

// Bytes writes the document, indented by two spaces, with a line break at its
// end.
func (v *Value) Bytes() []byte {
	return append(v.appendTo(nil, 0), '\n')
}

func (v *Value) appendTo(b []byte, depth int) []byte {
	switch v.Kind() {
	case Object:
		b = append(b, '{')
		for i, m := range v.members {
			b = appendBreak(b, i > 0, depth+1)
			if m.literal != "" {
				b = append(b, m.literal...)
			} else {
				b = append(b, quote(m.Key)...)
			}
			b = m.Value.appendTo(append(b, ": "...), depth+1)
		}
		return appendClose(b, '}', len(v.members), depth)
	case Array:
		b = append(b, '[')
		for i, item := range v.items {
			b = item.appendTo(appendBreak(b, i > 0, depth+1), depth+1)
		}
		return appendClose(b, ']', len(v.items), depth)
	case Null:
		return append(b, "null"...)
	default:
		return append(b, v.literal...)
	}
}

// appendBreak begins a line. Very deep ones are not indented further, so that
// the size of a document stays in proportion to its content.
func appendBreak(b []byte, comma bool, depth int) []byte {
	const maxIndent = 16
	if comma {
		b = append(b, ',')
	}
	b = append(b, '\n')
	for range min(depth, maxIndent) {
		b = append(b, "  "...)
	}
	return b
}

func appendClose(b []byte, bracket byte, n, depth int) []byte {
	if n > 0 {
		b = appendBreak(b, false, depth)
	}
	return append(b, bracket)
}

// quote writes a string as JSON does, without the escapes that only serve HTML.
func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""` // cannot happen: every string can be encoded
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// unquote returns the text of a valid string literal.
func unquote(literal string) string {
	inner := literal[1 : len(literal)-1]
	if !strings.Contains(inner, `\`) {
		return inner
	}
	var s string
	if err := json.Unmarshal([]byte(literal), &s); err != nil {
		return inner // cannot happen: the literal was found valid
	}
	return s
}
