package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Lengths of text, in characters, that every database can keep: of what is
// indexed, of a URL, of prose, and of an ISO 8601 duration.
const (
	maxName     = 255
	maxURL      = 4096
	maxProse    = 1 << 20
	maxDuration = 64
)

// A field is a text to be stored, under the name that the API gives it.
type field struct {
	name  string
	value string
	limit int
}

// checkFields refuses, with ErrInvalid, text that a database could not give
// back as it is: some would reject it, some would cut it off.
func checkFields(fields ...field) error {
	for _, f := range fields {
		switch {
		case !utf8.ValidString(f.value):
			return &InvalidError{f.name, "is not UTF-8"}
		case strings.ContainsRune(f.value, 0):
			return &InvalidError{f.name, "has a NUL character"}
		case utf8.RuneCountInString(f.value) > f.limit:
			return &InvalidError{f.name, fmt.Sprintf("is longer than %d characters", f.limit)}
		}
	}
	return nil
}

// encodeList returns texts as a column keeps them.
func encodeList(texts []string) string {
	if len(texts) == 0 {
		return "[]"
	}
	b, err := json.Marshal(texts)
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(b)
}

// decodeList is the inverse of encodeList. No texts are nil.
func decodeList(column string) ([]string, error) {
	if column == "[]" {
		return nil, nil
	}
	var texts []string
	err := json.Unmarshal([]byte(column), &texts)
	return texts, err
}
