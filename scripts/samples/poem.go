package main

import (
	"embed"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"strings"
)

//go:embed poems
var poemFiles embed.FS

// A poem is one of the texts, all of them in the public domain.
type poem struct {
	name     string // of its document, without extension
	language string
	title    string
	author   string
	year     string
	stanzas  [][]string
}

// poems returns the texts in the order of their file names.
func poems() ([]poem, error) {
	entries, err := fs.ReadDir(poemFiles, "poems")
	if err != nil {
		return nil, err
	}
	var all []poem
	for i, e := range entries {
		text, err := fs.ReadFile(poemFiles, "poems/"+e.Name())
		if err != nil {
			return nil, err
		}
		p, err := parsePoem(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		p.name = fmt.Sprintf("%02d %s", i+1, strings.ToLower(p.title))
		all = append(all, p)
	}
	return all, nil
}

// parsePoem reads four lines of header and the stanzas, all parted by empty
// lines.
func parsePoem(text string) (poem, error) {
	parts := strings.Split(strings.TrimSpace(text), "\n\n")
	head := strings.Split(parts[0], "\n")
	if len(head) != 4 || len(parts) < 2 {
		return poem{}, errors.New("want language, title, author, year and stanzas")
	}
	p := poem{language: head[0], title: head[1], author: head[2], year: head[3]}
	for _, stanza := range parts[1:] {
		p.stanzas = append(p.stanzas, strings.Split(stanza, "\n"))
	}
	return p, nil
}

// xhtml returns the poem as a document that links to a style sheet and begins
// and ends with images; all three are paths relative to it.
func (p poem) xhtml(style, picture, ornament string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="%[1]s" lang="%[1]s">
<head>
  <title>%[2]s</title>
  <link rel="stylesheet" type="text/css" href="%[3]s"/>
</head>
<body>
  <h1>%[2]s</h1>
  <p class="by">%[4]s, %[5]s</p>
  <p><img src="%[6]s" alt="Hills under the sun"/></p>
`, p.language, html.EscapeString(p.title), style, html.EscapeString(p.author), p.year, picture)
	for _, stanza := range p.stanzas {
		b.WriteString("  <p class=\"stanza\">\n")
		for i, line := range stanza {
			br := "<br/>"
			if i == len(stanza)-1 {
				br = ""
			}
			b.WriteString("    " + html.EscapeString(line) + br + "\n")
		}
		b.WriteString("  </p>\n")
	}
	fmt.Fprintf(&b, "  <p><img src=%q alt=\"\"/></p>\n</body>\n</html>\n", ornament)
	return []byte(b.String())
}

const stylesheet = `body { margin: 1.5em; font-family: serif; line-height: 1.5; }
h1 { font-size: 1.6em; font-weight: normal; }
.by { color: #2f665a; font-style: italic; }
.stanza { margin: 1.2em 0; }
img { max-width: 100%; }
`
