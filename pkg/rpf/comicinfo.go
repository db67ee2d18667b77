package rpf

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/net/html/charset"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/rwpm"
)

// comicInfo is ComicInfo.xml, the metadata that comic archives commonly carry
// (Anansi Project, ComicInfo 2.1). Lists in it are separated by commas.
type comicInfo struct {
	Title       string
	Series      string
	Number      string
	Summary     string
	Year        string
	Month       string
	Day         string
	Writer      string
	Penciller   string
	Inker       string
	Colorist    string
	Letterer    string
	CoverArtist string
	Editor      string
	Translator  string
	Publisher   string
	Imprint     string
	Genre       string
	Tags        string
	LanguageISO string
	Manga       string
	GTIN        string
}

func isComicInfo(name string) bool { return strings.EqualFold(name, "ComicInfo.xml") }

// readComicInfo reads the metadata of a comic archive. What cannot be read is
// worth a warning and no more: a comic needs none.
func readComicInfo(a *archive.Reader) (info comicInfo, warning string) {
	const maxSize = 1 << 20
	for _, e := range a.Entries {
		if !isComicInfo(e.Name) {
			continue
		}
		data, err := e.ReadAll(maxSize)
		if err == nil {
			info, err = parseComicInfo(data)
		}
		if err != nil {
			return comicInfo{}, fmt.Sprintf("no metadata is taken from %s: %v", e.Name, err)
		}
		break
	}
	return info, ""
}

func parseComicInfo(data []byte) (comicInfo, error) {
	var info comicInfo
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = charset.NewReaderLabel
	if err := d.Decode(&info); err != nil {
		return comicInfo{}, fmt.Errorf("parse ComicInfo: %w", err)
	}
	return info, nil
}

// metadata gives the metadata in the terms of the Divina profile.
func (c *comicInfo) metadata() rwpm.Metadata {
	m := rwpm.Metadata{
		Type:        "http://schema.org/Book",
		ConformsTo:  []string{rwpm.ProfileDivina},
		Identifier:  identifierURI(c.GTIN),
		Title:       rwpm.Plain(c.title()),
		Languages:   list(c.LanguageISO),
		Subjects:    append(list(c.Genre), list(c.Tags)...),
		Description: strings.TrimSpace(c.Summary),
		Published:   c.published(),
		Contributors: map[rwpm.Role][]rwpm.Contributor{
			rwpm.Author:     contributors(list(c.Writer)...),
			rwpm.Penciler:   contributors(list(c.Penciller)...),
			rwpm.Inker:      contributors(list(c.Inker)...),
			rwpm.Colorist:   contributors(list(c.Colorist)...),
			rwpm.Letterer:   contributors(list(c.Letterer)...),
			rwpm.Editor:     contributors(list(c.Editor)...),
			rwpm.Translator: contributors(list(c.Translator)...),
			rwpm.Publisher:  contributors(c.Publisher),
			rwpm.Imprint:    contributors(c.Imprint),
		},
	}
	for _, artist := range contributors(list(c.CoverArtist)...) {
		artist.Roles = []string{"cov"}
		m.Contributors[rwpm.Other] = append(m.Contributors[rwpm.Other], artist)
	}
	if c.Manga == "YesAndRightToLeft" {
		m.ReadingProgression = "rtl"
	}
	if series := strings.TrimSpace(c.Series); series != "" {
		position, err := strconv.ParseFloat(strings.TrimSpace(c.Number), 64)
		if err != nil || math.IsInf(position, 0) || math.IsNaN(position) {
			position = 0
		}
		m.Series = []rwpm.Series{{Name: series, Position: position}}
	}
	return m
}

func (c *comicInfo) title() string {
	title, series, number := strings.TrimSpace(c.Title), strings.TrimSpace(c.Series), strings.TrimSpace(c.Number)
	switch {
	case title != "":
		return title
	case series != "" && number != "":
		return series + " #" + number
	default:
		return series
	}
}

// published returns the date as far as it is known.
func (c *comicInfo) published() string {
	year, month, day := upTo(9999, c.Year), upTo(12, c.Month), upTo(31, c.Day)
	switch {
	case year == 0:
		return ""
	case month == 0:
		return fmt.Sprintf("%04d", year)
	case day == 0:
		return fmt.Sprintf("%04d-%02d", year, month)
	default:
		return fmt.Sprintf("%04d-%02d-%02d", year, month, day)
	}
}

// upTo reads a whole number from 1 to limit, and anything else as 0.
func upTo(limit int, s string) int {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < 1 || n > limit {
		return 0
	}
	return n
}

func list(commaSeparated string) []string {
	var items []string
	for item := range strings.SplitSeq(commaSeparated, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
