package status

import (
	"slices"
	"strings"
)

// A Language is one that users can be addressed in. The zero value is English.
type Language uint8

// The languages, from the first to the last.
const (
	English Language = iota
	French
	German
	Spanish
	Italian
	Portuguese
	Dutch
	Japanese
)

// String returns the language tag (RFC 5646), as in a Content-Language header.
func (l Language) String() string { return l.text().tag }

// Languages lists the languages that there are, English first.
func Languages() []Language {
	list := make([]Language, len(texts))
	for l := range list {
		list[l] = Language(l)
	}
	return list
}

// ParseLanguage reads a language tag. Regions and scripts are not told apart:
// pt-BR is Portuguese. It reports whether the language is one of those there are.
func ParseLanguage(tag string) (Language, bool) {
	if tag == "*" {
		return English, false
	}
	return languageOf(tag, nil)
}

// Match returns the language that suits the value of an Accept-Language header
// best, which is English if none does. Regions and scripts are not told apart.
// What cannot be read is passed over.
func Match(header string) Language { return MatchAmong(header, nil) }

// MatchAmong is Match where not all languages can be had: it returns one of
// those given, the first of them if none suits. None given are all.
func MatchAmong(header string, among []Language) Language {
	best, bestQuality := firstOf(among), 0
	for header != "" {
		var item string
		item, header, _ = strings.Cut(header, ",")
		tag, quality := parseRange(item)
		if quality <= bestQuality {
			continue
		}
		if l, ok := languageOf(tag, among); ok {
			best, bestQuality = l, quality
		}
	}
	return best
}

// firstOf is the language for those who have no wish, or one that cannot be met.
func firstOf(among []Language) Language {
	if len(among) == 0 {
		return English
	}
	return among[0]
}

// languageOf finds the language of a tag, or of * for any.
func languageOf(tag string, among []Language) (Language, bool) {
	if tag == "*" {
		return firstOf(among), true
	}
	const lower = 'a' - 'A'
	if len(tag) < 2 || len(tag) > 2 && tag[2] != '-' {
		return English, false
	}
	for l := range texts {
		if t := texts[l].tag; tag[0]|lower == t[0] && tag[1]|lower == t[1] {
			return Language(l), len(among) == 0 || slices.Contains(among, Language(l))
		}
	}
	return English, false
}

// parseRange reads a language range and its weight in thousandths, such as
// "fr-CH;q=0.9" (RFC 9110 §12.5.4). A weight that cannot be read is 0.
func parseRange(item string) (tag string, quality int) {
	tag, weight, weighted := strings.Cut(item, ";")
	if !weighted {
		return strings.TrimSpace(tag), 1000
	}
	name, value, _ := strings.Cut(weight, "=")
	if !strings.EqualFold(strings.TrimSpace(name), "q") {
		return "", 0
	}
	return strings.TrimSpace(tag), parseWeight(strings.TrimSpace(value))
}

// parseWeight reads 0 to 1 with up to three decimals, in thousandths.
func parseWeight(text string) int {
	whole, decimals, _ := strings.Cut(text, ".")
	if len(decimals) > 3 || whole != "0" && whole != "1" {
		return 0
	}
	weight := int(whole[0]-'0') * 1000
	for i, unit := 0, 100; i < len(decimals); i, unit = i+1, unit/10 {
		if decimals[i] < '0' || decimals[i] > '9' {
			return 0
		}
		weight += int(decimals[i]-'0') * unit
	}
	return min(weight, 1000)
}
