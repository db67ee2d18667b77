package main

import "fmt"

const entryPage = `<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Two Melodies, Packed</title>
  <link rel="publication" href="publication.json">
</head>
<body>
  <nav role="doc-toc">
    <ol>
      <li><a href="audio/1.wav">Ode to Joy</a></li>
      <li><a href="audio/2.wav">Frère Jacques</a></li>
    </ol>
  </nav>
</body>
</html>
`

// buildLPF returns a W3C audiobook in the Lightweight Packaging Format: the
// manifest on its own, and an entry page with the table of contents.
func buildLPF() ([]byte, error) {
	image, err := cover("cover.jpg")
	if err != nil {
		return nil, err
	}
	tracks := []track{{"Ode to Joy", odeToJoy, 0.35}, {"Frère Jacques", frereJacques, 0.35}}
	var order []object
	files := []file{{"index.html", []byte(entryPage)}, image}
	for i, t := range tracks {
		name := fmt.Sprintf("audio/%d.wav", i+1)
		order = append(order, object{
			"type": "LinkedResource", "url": name, "encodingFormat": "audio/wav", "name": t.title,
			"duration": fmt.Sprintf("PT%gS", t.seconds()),
		})
		files = append(files, file{name, t.wav()})
	}
	manifest, err := toJSON(object{
		"@context":            []any{"https://schema.org", "https://www.w3.org/ns/pub-context", object{"language": "en"}},
		"conformsTo":          "https://www.w3.org/TR/audiobooks/",
		"type":                "Audiobook",
		"id":                  "urn:uuid:6f1b7a52-5a0c-4f0b-9d0e-0e9a3c1d2b05",
		"url":                 "https://example.org/two-melodies",
		"name":                "Two Melodies, Packed",
		"author":              []any{"Ludwig van Beethoven", object{"type": "Person", "name": "Anonymous"}},
		"readBy":              "A sine wave",
		"publisher":           object{"type": "Organization", "name": "lcp samples"},
		"inLanguage":          "en",
		"datePublished":       "2020-01-01",
		"dateModified":        "2020-01-01T00:00:00Z",
		"duration":            fmt.Sprintf("PT%gS", tracks[0].seconds()+tracks[1].seconds()),
		"abridged":            true,
		"accessMode":          []string{"auditory"},
		"accessibilityHazard": []string{"none"},
		"readingOrder":        order,
		"resources": []object{
			{"type": "LinkedResource", "rel": "cover", "url": "cover.jpg", "encodingFormat": "image/jpeg", "name": "Cover"},
			{"type": "LinkedResource", "rel": "contents", "url": "index.html", "encodingFormat": "text/html"},
		},
	})
	if err != nil {
		return nil, err
	}
	return zipFiles(append([]file{{"publication.json", manifest}}, files...))
}
