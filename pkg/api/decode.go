package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/lcp-tools/lcp/pkg/license"
)

// Decode reads one JSON object of at most MaxBody bytes into v, a pointer to a
// struct. Members are taken at their word: one that v does not have by exactly
// that name, one that is there twice, a value of the wrong type and text that is
// not Unicode are each a *license.FieldError that names the field, several
// joined. Other errors say that it is no JSON object.
func Decode(r io.Reader, v any) error {
	data, err := io.ReadAll(io.LimitReader(r, MaxBody+1))
	if err != nil {
		return err
	}
	if len(data) > MaxBody {
		return fmt.Errorf("more than %d bytes of JSON", MaxBody)
	}
	if err := checkObject(data); err != nil {
		return err
	}
	fields := fieldsOf(v)
	var faults []error
	err = eachMember(data, func(name string, value json.RawMessage) {
		into, known := fields[name]
		var fault error
		switch {
		case !known:
			fault = errors.New("is not a known field")
		case into == nil:
			fault = errors.New("is there twice")
		default:
			fault = decodeMember(value, into)
			fields[name] = nil
		}
		faults = append(faults, within(strings.ToValidUTF8(name, "\ufffd"), fault)...)
	})
	return errors.Join(append(faults, err)...)
}

// within returns the faults of a field: its own, or those of the object that it
// is, whose type decodes itself with Decode, by their paths.
func within(field string, err error) []error {
	if err == nil {
		return nil
	}
	inner, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{&license.FieldError{Field: field, Reason: err.Error()}}
	}
	var faults []error
	for _, err := range inner.Unwrap() {
		if f, ok := errors.AsType[*license.FieldError](err); ok {
			faults = append(faults, &license.FieldError{Field: field + "." + f.Field, Reason: f.Reason})
		} else {
			faults = append(faults, &license.FieldError{Field: field, Reason: err.Error()})
		}
	}
	return faults
}

// checkObject says what is wrong with JSON that is none, or no object.
func checkObject(data []byte) error {
	if json.Valid(data) && bytes.HasPrefix(bytes.TrimLeft(data, jsonSpace), []byte("{")) {
		return nil
	}
	var members map[string]json.RawMessage
	err := json.Unmarshal(data, &members)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax) && syntax.Offset >= int64(len(data)) && strings.HasPrefix(syntax.Error(), "unexpected end"):
		return errors.New("not valid JSON: it ends too early")
	case errors.As(err, &syntax):
		line := 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
		return fmt.Errorf("not valid JSON: line %d: %w", line, err)
	case errors.As(err, &kind):
		return fmt.Errorf("a JSON object is wanted, not JSON of the type %s", kind.Value)
	case err == nil && members == nil:
		return errors.New("a JSON object is wanted, not JSON of the type null")
	default:
		return err
	}
}

// jsonSpace is what may stand between the tokens of JSON (RFC 8259 §2).
const jsonSpace = " \t\r\n"

// eachMember goes through the members of an object in their order. The object
// must be valid JSON: to find where a value ends, nothing more is looked at than
// quotes and brackets.
func eachMember(data []byte, use func(name string, value json.RawMessage)) error {
	rest := bytes.TrimLeft(data, jsonSpace)[len("{"):]
	for {
		rest = bytes.TrimLeft(rest, jsonSpace+",")
		if len(rest) == 0 || rest[0] == '}' {
			return nil
		}
		n := valueLength(rest)
		var name string
		if err := json.Unmarshal(rest[:n], &name); err != nil {
			return err
		}
		rest = bytes.TrimLeft(rest[n:], jsonSpace+":")
		n = valueLength(rest)
		use(name, json.RawMessage(rest[:n]))
		rest = rest[n:]
	}
}

// valueLength returns how long the value at the beginning of valid JSON is.
func valueLength(data []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
			if !quoted && depth == 0 {
				return i + 1
			}
		case quoted:
		case c == '{' || c == '[':
			depth++
		case depth > 0 && (c == '}' || c == ']'):
			if depth--; depth == 0 {
				return i + 1
			}
		case depth == 0 && strings.IndexByte(",}]"+jsonSpace, c) >= 0:
			return i
		}
	}
	return len(data)
}

// fieldsOf returns pointers to the fields of a struct by their names in JSON,
// those of structs within included.
func fieldsOf(v any) map[string]any {
	s := reflect.ValueOf(v).Elem()
	fields := map[string]any{}
	for _, f := range reflect.VisibleFields(s.Type()) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			fields[name] = s.FieldByIndex(f.Index).Addr().Interface()
		}
	}
	return fields
}

// decodeMember reads a value into what a field points to, and returns what is
// wrong with it.
func decodeMember(value json.RawMessage, into any) error {
	if !utf8.Valid(value) {
		return errors.New("is not valid UTF-8")
	}
	if hasHalfSurrogate(value) {
		return errors.New("has half of a surrogate pair")
	}
	if text, ok := into.(*string); ok && isPlain(value) {
		*text = string(value[1 : len(value)-1])
		return nil
	}
	err := json.Unmarshal(value, into)
	var kind *json.UnmarshalTypeError
	var base64Error base64.CorruptInputError
	isDate := false
	switch into.(type) {
	case *time.Time, **time.Time:
		isDate = true
	}
	switch {
	case err == nil:
		return nil
	case isDate:
		return errors.New("must be a date and time as in 2030-01-31T12:00:00Z")
	case errors.As(err, &base64Error):
		return errors.New("must be base64")
	case errors.As(err, &kind):
		return fmt.Errorf("must be %s, not a JSON %s", wanted(kind.Type), kind.Value)
	default:
		return err
	}
}

// isPlain reports whether a value is a string without escapes, which stands for
// itself.
func isPlain(value []byte) bool {
	return len(value) > 0 && value[0] == '"' && bytes.IndexByte(value, '\\') < 0
}

// hasHalfSurrogate reports whether an escape stands for no character (RFC 8259
// §8.2), which the decoder would replace by another one.
func hasHalfSurrogate(value []byte) bool {
	for i := 0; i+1 < len(value); i++ {
		if value[i] != '\\' {
			continue
		}
		i++
		unit := utf16Escape(value[i-1:])
		if !utf16.IsSurrogate(unit) {
			continue
		}
		if utf16.DecodeRune(unit, utf16Escape(value[min(i+5, len(value)):])) == utf8.RuneError {
			return true
		}
		i += 10
	}
	return false
}

// utf16Escape returns what \uXXXX at the beginning of JSON text stands for, or 0.
func utf16Escape(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}

// wanted names a Go type in the words of JSON.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "an integer"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "base64"
		}
		return "an array"
	default:
		return "an object"
	}
}
