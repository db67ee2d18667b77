package onix

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"
)

// productOf takes from a record what matters.
func productOf(n *node) *Product {
	p := &Product{Reference: n.child("RecordReference"), Withdrawn: n.child("NotificationType") == "05"} // List 1
	for _, id := range n.all("ProductIdentifier") {
		// List 5: 03 is GTIN-13, 15 ISBN-13.
		if kind := id.child("ProductIDType"); kind == "03" || kind == "15" {
			if isbn := digits(id.child("IDValue")); len(isbn) == isbnLength && !slices.Contains(p.ISBNs, isbn) {
				p.ISBNs = append(p.ISBNs, isbn)
			}
		}
	}
	for _, d := range n.all("DescriptiveDetail") {
		p.Title, p.Subtitle = titleOf(d)
		p.Authors = authorsOf(d)
		p.Languages = languagesOf(d)
		p.Subjects = subjectsOf(d)
	}
	for _, c := range n.all("CollateralDetail") {
		p.Description, p.Cover = descriptionOf(c), coverOf(c)
	}
	for _, d := range n.all("PublishingDetail") {
		p.Publishers, p.Published = publishersOf(d), publishedOf(d)
	}
	return p
}

const isbnLength = 13

// digits takes hyphens and spaces out of an identifier.
func digits(id string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' || r == '\u2010' || r == '\u2011' {
			return -1
		}
		return r
	}, id)
}

// titleOf finds the distinctive title (List 15: 01) of the product (List 149: 01),
// else what it is part of with its number.
func titleOf(d *node) (title, subtitle string) {
	details := d.all("TitleDetail")
	i := slices.IndexFunc(details, func(n *node) bool { return n.child("TitleType") == "01" })
	if i < 0 && len(details) > 0 {
		i = 0
	}
	if i < 0 {
		return "", ""
	}
	var above, number string
	for _, e := range details[i].all("TitleElement") {
		text := cmp.Or(e.child("TitleText"), oneLine(e.child("TitlePrefix")+" "+e.child("TitleWithoutPrefix")))
		switch e.child("TitleElementLevel") {
		case "01", "": // product
			title, subtitle = cmp.Or(title, text), cmp.Or(subtitle, e.child("Subtitle"))
			number = cmp.Or(number, e.child("PartNumber"))
		case "02", "03": // collection, subcollection
			above = strings.Trim(above+". "+text, ". ")
			number = cmp.Or(number, e.child("PartNumber"))
		}
	}
	if title == "" && above != "" {
		title = strings.TrimSuffix(above+", "+number, ", ")
	}
	return cmp.Or(title, details[i].child("TitleStatement")), subtitle
}

// authorsOf lists authors by their sequence number: by whom the content is (List
// 17: A…, without introductions, notes and the like); where there is none, editors
// (B01 and others of B).
func authorsOf(d *node) []string {
	type contributor struct {
		sequence int
		role     string
		name     string
	}
	var all []contributor
	for i, c := range d.all("Contributor") {
		sequence, err := strconv.Atoi(c.child("SequenceNumber"))
		if err != nil {
			sequence = i + 1
		}
		if name := nameIn(c); name != "" {
			for _, role := range c.all("ContributorRole") {
				all = append(all, contributor{sequence, role.text, name})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b contributor) int { return cmp.Compare(a.sequence, b.sequence) })
	for _, isWanted := range []func(string) bool{isAuthor, isEditor} {
		var found []string
		for _, c := range all {
			if isWanted(c.role) && !slices.Contains(found, c.name) {
				found = append(found, c.name)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

func isAuthor(role string) bool {
	// Written, with, by (screenplay, libretto, lyrics, composer), created by, as
	// told to, from the work of ghosts, and comic artists.
	return slices.Contains([]string{"A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A09", "A10", "A11", "A40", "A99"}, role)
}

func isEditor(role string) bool {
	return slices.Contains([]string{"B01", "B09", "B11", "B12", "B13", "B14", "B15", "B99"}, role)
}

// nameIn is the name of a contributor, as it is read.
func nameIn(c *node) string {
	parts := []string{"NamesBeforeKey", "PrefixToKey", "KeyNames", "NamesAfterKey", "SuffixToKey"}
	for i, name := range parts {
		parts[i] = c.child(name)
	}
	return cmp.Or(c.child("PersonName"), oneLine(strings.Join(parts, " ")), upright(c.child("PersonNameInverted")), c.child("CorporateName"))
}

// upright turns "Melville, Herman" round.
func upright(inverted string) string {
	key, before, ok := strings.Cut(inverted, ", ")
	if !ok || strings.Contains(before, ",") {
		return inverted
	}
	return before + " " + key
}

// languagesOf lists the languages of the text (List 22: 01).
func languagesOf(d *node) []string {
	var list []string
	for _, l := range d.all("Language") {
		tag := languageTag(l.child("LanguageCode"), l.child("ScriptCode"), l.child("CountryCode"))
		if l.child("LanguageRole") == "01" && tag != "" && !slices.Contains(list, tag) {
			list = append(list, tag)
		}
	}
	return list
}

// bibliographic codes of ISO 639-2/B that differ from those of ISO 639-2/T.
var bibliographic = map[string]string{
	"alb": "sq", "arm": "hy", "baq": "eu", "bur": "my", "chi": "zh", "cze": "cs", "dut": "nl", "fre": "fr", "geo": "ka",
	"ger": "de", "gre": "el", "ice": "is", "mac": "mk", "mao": "mi", "may": "ms", "per": "fa", "rum": "ro", "slo": "sk",
	"tib": "bo", "wel": "cy",
	"scr": "hr", "scc": "sr", // withdrawn, still used
}

// languageTag makes a tag (BCP 47) of the codes of List 74, a script and a
// country, or "" of a code that is none.
func languageTag(code, script, country string) string {
	code = strings.ToLower(code)
	base, err := language.ParseBase(cmp.Or(bibliographic[code], code))
	if err != nil || base.String() == "und" {
		return ""
	}
	tag := base.String()
	if s, err := language.ParseScript(script); err == nil && script != "" {
		tag += "-" + s.String()
	}
	if r, err := language.ParseRegion(country); err == nil && country != "" {
		tag += "-" + r.String()
	}
	return tag
}

// subjectsOf lists headings, and keywords (List 27: 20) one by one.
func subjectsOf(d *node) []string {
	var list []string
	for _, s := range d.all("Subject") {
		headings := []string{s.child("SubjectHeadingText")}
		if s.child("SubjectSchemeIdentifier") == "20" {
			headings = strings.Split(headings[0], ";")
		}
		for _, h := range headings {
			if h = oneLine(h); h != "" && !slices.Contains(list, h) {
				list = append(list, h)
			}
		}
	}
	return list
}

// descriptionOf takes the description (List 153: 03), else the short one (02).
func descriptionOf(c *node) string {
	for _, kind := range []string{"03", "02"} {
		for _, content := range c.all("TextContent") {
			if content.child("TextType") != kind {
				continue
			}
			for _, text := range content.all("Text") {
				if t := plain(text.text, text.attr["textformat"]); t != "" {
					return t
				}
			}
		}
	}
	return ""
}

// coverOf finds the link to an image (List 159: 03) of the front cover (List 158:
// 01).
func coverOf(c *node) string {
	for _, r := range c.all("SupportingResource") {
		if r.child("ResourceContentType") != "01" || r.child("ResourceMode") != "03" {
			continue
		}
		for _, link := range r.all("ResourceVersion", "ResourceLink") {
			if u, err := url.Parse(link.text); err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") {
				return link.text
			}
		}
	}
	return ""
}

// publishersOf lists publishers (List 45: 01), else imprints.
func publishersOf(d *node) []string {
	var list []string
	add := func(name string) {
		if name != "" && !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	for _, p := range d.all("Publisher") {
		if role := p.child("PublishingRole"); role == "01" || role == "" {
			add(p.child("PublisherName"))
		}
	}
	if len(list) == 0 {
		for _, i := range d.all("Imprint") {
			add(i.child("ImprintName"))
		}
	}
	return list
}

// publishedOf takes the date of publication (List 163: 01), else that of the first
// (11).
func publishedOf(d *node) string {
	for _, role := range []string{"01", "11"} {
		for _, p := range d.all("PublishingDate") {
			if p.child("PublishingDateRole") != role {
				continue
			}
			for _, date := range p.all("Date") {
				if t := dateOf(date.text, cmp.Or(date.attr["dateformat"], p.child("DateFormat"))); t != "" {
					return t
				}
			}
		}
	}
	return ""
}

// dateOf writes a date as ISO 8601 does. The formats are those of List 55: 00
// (YYYYMMDD, also with a time behind it), 01 (YYYYMM) and 05 (YYYY); without one,
// the length tells.
func dateOf(text, format string) string {
	layouts := map[string][2]string{"00": {"20060102", time.DateOnly}, "01": {"200601", "2006-01"}, "05": {"2006", "2006"}}
	if format == "" {
		format = map[int]string{8: "00", 6: "01", 4: "05"}[len(text)]
	}
	l, ok := layouts[format]
	if !ok {
		return ""
	}
	t, err := time.Parse(l[0], text)
	if err != nil {
		return ""
	}
	return t.Format(l[1])
}
