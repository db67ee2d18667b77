package pdf

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds on the metadata.
const (
	maxText  = 4 << 10 // bytes of one text, cut at a character
	maxTexts = 64      // of a list
	maxXMP   = 4 << 20
)

// readInfo reads the metadata. Metadata that say nothing sensible are no reason
// to refuse the document, but where their objects cannot be read there is
// something wrong with the file, and it is read another way.
func (d *Document) readInfo(ctx context.Context, catalog dict, rebuilt bool) error {
	fromDict, err := d.file.infoDict(ctx)
	if err != nil {
		if !rebuilt || ctx.Err() != nil {
			return fmt.Errorf("its Info dictionary: %w", err)
		}
		d.warn("the Info dictionary cannot be read: %v", err)
	}
	metadata, err := d.file.get(ctx, catalog, "Metadata")
	if err != nil {
		if !rebuilt || ctx.Err() != nil {
			return fmt.Errorf("its XMP metadata: %w", err)
		}
		d.warn("the XMP metadata cannot be read: %v", err)
	}
	var fromXMP Info
	if s, ok := metadata.(*stream); ok {
		if fromXMP, err = d.file.xmp(ctx, s); err != nil {
			d.warn("the XMP metadata cannot be read: %v", err)
		}
	}
	if v, err := d.file.get(ctx, catalog, "Lang"); err == nil {
		if s, ok := v.(text); ok {
			fromDict.Languages = appendText(nil, decodeText(s))
		}
	}
	d.info = merge(fromXMP, fromDict)
	return ctx.Err()
}

// merge returns what first says, and what second says where first is silent.
func merge(first, second Info) Info {
	return Info{
		Title:       either(first.Title, second.Title),
		Authors:     eitherList(first.Authors, second.Authors),
		Description: either(first.Description, second.Description),
		Keywords:    eitherList(first.Keywords, second.Keywords),
		Publishers:  eitherList(first.Publishers, second.Publishers),
		Languages:   eitherList(first.Languages, second.Languages),
		Identifiers: eitherList(first.Identifiers, second.Identifiers),
		Creator:     either(first.Creator, second.Creator),
		Producer:    either(first.Producer, second.Producer),
		Created:     either(first.Created, second.Created),
		Modified:    either(first.Modified, second.Modified),
	}
}

func either[T comparable](a, b T) T {
	var zero T
	if a != zero {
		return a
	}
	return b
}

func eitherList(a, b []string) []string {
	if len(a) > 0 {
		return a
	}
	return b
}

// infoDict reads the document information dictionary (ISO 32000-1 §14.3.3).
func (f *file) infoDict(ctx context.Context) (Info, error) {
	d, err := f.dict(ctx, f.trailer["Info"])
	if err != nil {
		return Info{}, err
	}
	get := func(key name) string {
		v, e := f.get(ctx, d, key)
		if e != nil {
			err = e
		}
		s, _ := v.(text)
		return decodeText(s)
	}
	return Info{
		Title:       get("Title"),
		Authors:     splitText(get("Author"), ";"),
		Description: get("Subject"),
		Keywords:    splitText(get("Keywords"), ",;"),
		Creator:     get("Creator"),
		Producer:    get("Producer"),
		Created:     parseDate(get("CreationDate")),
		Modified:    parseDate(get("ModDate")),
	}, err
}

// splitText splits a list at any of the separators.
func splitText(s, separators string) (list []string) {
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		list = appendText(list, part)
	}
	return list
}

// appendText appends what is neither empty nor beyond the bound.
func appendText(list []string, s string) []string {
	if s = cleanText(s); s == "" || len(list) == maxTexts {
		return list
	}
	return append(list, s)
}

// decodeText decodes a text string (ISO 32000-1 §7.9.2.2): UTF-16 or UTF-8
// behind a byte order mark, else PDFDocEncoding. Little-endian UTF-16 is not in
// the standard, but in files.
func decodeText(t text) string {
	s := string(t[:min(len(t), 4*maxText)])
	switch {
	case strings.HasPrefix(s, "\xFE\xFF"):
		return cleanText(decodeUTF16(s[2:], 0))
	case strings.HasPrefix(s, "\xFF\xFE"):
		return cleanText(decodeUTF16(s[2:], 1))
	case strings.HasPrefix(s, "\xEF\xBB\xBF"):
		return cleanText(s[3:])
	}
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(docEncoding(s[i]))
	}
	return cleanText(b.String())
}

// decodeUTF16 decodes s, whose units have their high byte at the index high,
// and drops the language codes that stand between escape characters.
func decodeUTF16(s string, high int) string {
	units := make([]uint16, 0, len(s)/2)
	escaped := false
	for i := 0; i+1 < len(s); i += 2 {
		u := uint16(s[i+high])<<8 | uint16(s[i+1-high])
		if u == 0x1B {
			escaped = !escaped
		} else if !escaped {
			units = append(units, u)
		}
	}
	return string(utf16.Decode(units))
}

// Characters where PDFDocEncoding differs from Latin-1 (ISO 32000-1 annex D.3).
const (
	docFrom18 = "\u02D8\u02C7\u02C6\u02D9\u02DD\u02DB\u02DA\u02DC"
	docFrom80 = "\u2022\u2020\u2021\u2026\u2014\u2013\u0192\u2044\u2039\u203A\u2212\u2030\u201E\u201C\u201D\u2018" +
		"\u2019\u201A\u2122\uFB01\uFB02\u0141\u0152\u0160\u0178\u017D\u0131\u0142\u0153\u0161\u017E\uFFFD\u20AC"
)

func docEncoding(c byte) rune {
	switch {
	case c >= 0x18 && c <= 0x1F:
		return []rune(docFrom18)[c-0x18]
	case c >= 0x80 && c <= 0xA0:
		return []rune(docFrom80)[c-0x80]
	default:
		return rune(c)
	}
}

// cleanText makes s presentable: valid UTF-8, white space of any kind one
// space, no control or byte order characters, bounded.
func cleanText(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), r == '\uFEFF':
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= maxText {
		return s
	}
	s = s[:maxText]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return strings.TrimSpace(s)
}

// parseDate reads a date such as D:20040210134236-07'00' (ISO 32000-1 §7.9.4),
// of which all but the year may be missing. It returns the zero time for what
// is no date. Without a zone, the date counts as UTC.
func parseDate(s string) time.Time {
	s = strings.TrimPrefix(s, "D:")
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	const layout = "20060102150405"
	if digits < 4 || digits > len(layout) || digits%2 == 1 {
		return time.Time{}
	}
	t, err := time.Parse(layout[:digits], s[:digits])
	if err != nil {
		return time.Time{}
	}
	return t.Add(-zoneOffset(s[digits:])).UTC()
}

// zoneOffset reads +HH'mm' or -HH'mm'; all else is UTC.
func zoneOffset(s string) time.Duration {
	if s == "" || s[0] != '+' && s[0] != '-' {
		return 0
	}
	part := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > 59 {
			return 0
		}
		return n
	}
	digits := strings.NewReplacer("'", "", ":", "").Replace(s[1:])
	var d time.Duration
	if len(digits) >= 2 {
		d = time.Duration(part(digits[:2])) * time.Hour
	}
	if len(digits) >= 4 {
		d += time.Duration(part(digits[2:4])) * time.Minute
	}
	if s[0] == '-' {
		return -d
	}
	return d
}
