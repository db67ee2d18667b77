package main

import (
	"fmt"
	"net/url"
)

const (
	readiumContext = "https://readium.org/webpub-manifest/context.jsonld"
	audioProfile   = "https://readium.org/webpub-manifest/profiles/audiobook"
	comicProfile   = "https://readium.org/webpub-manifest/profiles/divina"
)

// coverLink is how every manifest names the cover.
var coverLink = object{"rel": "cover", "href": "cover.jpg", "type": "image/jpeg", "width": 420, "height": 595}

// readium packs a manifest, the cover that it names and further files.
func readium(manifest object, files []file) ([]byte, error) {
	data, err := toJSON(manifest)
	if err != nil {
		return nil, err
	}
	image, err := cover("cover.jpg")
	if err != nil {
		return nil, err
	}
	return zipFiles(append([]file{{"manifest.json", data}, image}, files...))
}

// buildAudiobook returns a Readium audiobook of two tracks, with children in
// its table of contents and keys that no specification knows.
func buildAudiobook() ([]byte, error) {
	tracks := []track{{"Frère Jacques", frereJacques, 0.45}, {"Ode to Joy", odeToJoy, 0.4}}
	var order, toc []object
	var files []file
	var total float64
	for i, t := range tracks {
		name := fmt.Sprintf("audio/track %d.wav", i+1)
		href := fmt.Sprintf("audio/track%%20%d.wav", i+1)
		order = append(order, object{"href": href, "type": "audio/wav", "title": t.title, "duration": t.seconds(), "bitrate": 64})
		toc = append(toc, object{"href": href, "title": t.title, "children": []object{
			{"href": href + "#t=1", "title": "After a second"},
		}})
		files = append(files, file{name, t.wav()})
		total += t.seconds()
	}
	return readium(object{
		"@context": readiumContext,
		"metadata": object{
			"@type":      "http://schema.org/Audiobook",
			"conformsTo": audioProfile,
			"identifier": "urn:uuid:6f1b7a52-5a0c-4f0b-9d0e-0e9a3c1d2b02",
			"title":      object{"en": "Two Melodies", "fr": "Deux mélodies"},
			"author":     []any{"Anonymous", object{"name": "Ludwig van Beethoven", "sortAs": "Beethoven, Ludwig van"}},
			"readBy":     "A sine wave",
			"publisher":  "lcp samples",
			"language":   "en",
			"published":  "2020-01-01",
			"duration":   total,
			"accessibility": object{
				"accessMode": []string{"auditory"}, "feature": []string{"tableOfContents"}, "hazard": []string{"none"},
			},
		},
		"links":        []object{{"rel": "license", "href": "https://creativecommons.org/publicdomain/zero/1.0/", "type": "text/html"}},
		"readingOrder": order,
		"resources":    []object{coverLink},
		"toc":          toc,
		"x-samples":    object{"rate": sampleRate, "bits": 8},
	}, files)
}

// buildDivina returns a comic of three pages with an alternate for the first.
func buildDivina() ([]byte, error) {
	files, err := pages(3, func(n int) string { return fmt.Sprintf("pages/%02d.jpg", n) }, scene.jpeg)
	if err != nil {
		return nil, err
	}
	small, err := scene{width: 105, height: 149, hour: 7, hills: 4}.png()
	if err != nil {
		return nil, err
	}
	var order []object
	for _, f := range files {
		order = append(order, object{"href": f.name, "type": "image/jpeg", "width": 420, "height": 595})
	}
	order[0]["alternate"] = []object{{"href": "pages/01-small.png", "type": "image/png", "width": 105, "height": 149}}
	return readium(object{
		"@context": readiumContext,
		"metadata": object{
			"@type":              "http://schema.org/ComicIssue",
			"conformsTo":         comicProfile,
			"identifier":         "urn:uuid:6f1b7a52-5a0c-4f0b-9d0e-0e9a3c1d2b03",
			"title":              "A Day in Three Pages",
			"artist":             "A sine wave",
			"publisher":          "lcp samples",
			"language":           "en",
			"numberOfPages":      len(order),
			"readingProgression": "ltr",
		},
		"readingOrder": order,
		"resources":    []object{coverLink},
	}, append(files, file{"pages/01-small.png", small}))
}

// buildWebPub returns a web publication: pages, a style sheet and a vector
// image, and an entry that no link names.
func buildWebPub() ([]byte, error) {
	texts, err := poems()
	if err != nil {
		return nil, err
	}
	picture, err := scene{width: 300, height: 150, hour: 11, hills: 3}.png()
	if err != nil {
		return nil, err
	}
	var order, toc []object
	var files []file
	for _, p := range texts {
		href := url.PathEscape(p.name) + ".xhtml"
		order = append(order, object{"href": href, "type": "application/xhtml+xml", "title": p.title, "language": p.language})
		toc = append(toc, object{"href": href, "title": p.title})
		files = append(files, file{p.name + ".xhtml", p.xhtml("book.css", "hills.png", "ornament.svg")})
	}
	files = append(files,
		file{"book.css", []byte(stylesheet)},
		file{"hills.png", picture},
		file{"ornament.svg", []byte(ornament)},
		file{"notes.txt", []byte("No link of the manifest names this file.\n")})
	return readium(object{
		"@context": readiumContext,
		"metadata": object{
			"@type":      "http://schema.org/Book",
			"identifier": "urn:uuid:6f1b7a52-5a0c-4f0b-9d0e-0e9a3c1d2b04",
			"title":      "Four Poems <on the Web>",
			"author":     []string{texts[0].author, texts[1].author, texts[2].author, texts[3].author},
			"publisher":  object{"name": "lcp samples"},
			"language":   []string{"en", "fr", "ja"},
			"published":  "2020-01-01",
		},
		"readingOrder": order,
		"resources": []object{
			coverLink,
			{"href": "book.css", "type": "text/css"},
			{"href": "hills.png", "type": "image/png"},
			{"href": "ornament.svg", "type": "image/svg+xml"},
		},
		"toc": toc,
	}, files)
}

// buildCBZ returns a comic without a manifest.
func buildCBZ() ([]byte, error) {
	files, err := pages(3, func(n int) string { return fmt.Sprintf("Three Pages/page %d.png", n) }, scene.png)
	if err != nil {
		return nil, err
	}
	return zipFiles(files)
}
