package lpf_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/lpf"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/rpf"
)

// plan converts a manifest with one chapter besides what members say.
func plan(t testing.TB, members string, more ...file) *publication.Plan {
	t.Helper()
	if !strings.Contains(members, `"readingOrder"`) {
		members += `,"readingOrder":"c.html"`
	}
	p, err := lpf.Plan(pack(t, append([]file{{"publication.json", "{" + members + "}"}, {"c.html", "c"}}, more...)...), "N")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The sources are examples of the Publication Manifest Recommendation.
func TestMetadata(t *testing.T) {
	t.Parallel()
	zh := `"@context":["https://schema.org","https://www.w3.org/ns/pub-context",{"language":"zh"}],`
	tests := map[string]struct {
		members, term, want string
	}{
		"title":                        {`"name":"Heart of Darkness"`, "title", `"Heart of Darkness"`},
		"title with a language":        {`"name":{"value":"孔子","language":"zh"}`, "title", `{"zh":"孔子"}`},
		"title in the book's language": {`"name":{"value":"孔子","language":"zh"},"inLanguage":"ZH"`, "title", `"孔子"`},
		"titles in two languages":      {zh + `"name":["孔子",{"value":"Confucius","language":"en"}]`, "title", `{"zh":"孔子","en":"Confucius"}`},
		"language null":                {zh + `"name":["孔子",{"value":"K","language":null}]`, "title", `{"zh":"孔子","und":"K"}`},
		"subtitle":                     {`"name":"T","subtitle":"S"`, "subtitle", `"S"`},
		"language":                     {`"inLanguage":["en","fr"]`, "language", `["en","fr"]`},
		"language of the context":      {zh + `"name":"T"`, "language", `"zh"`},
		"names in two languages":       {zh + `"author":{"type":"Person","name":["孔子",{"value":"Confucius","language":"en"}]}`, "author", `{"name":{"zh":"孔子","en":"Confucius"}}`},
		"people in several forms": {
			`"author":["Jeni Tennison",{"type":"Person","name":"Gregg Kellogg"},{"type":"Person","name":"Ivan Herman","id":"https://www.w3.org/People/Ivan/","identifier":"0000-0003-0782-2704","url":"https://example.org/"},{"type":"Person"}]`,
			"author", `["Jeni Tennison","Gregg Kellogg",{"name":"Ivan Herman","identifier":"https://www.w3.org/People/Ivan/","altIdentifier":[{"value":"0000-0003-0782-2704"}],"links":[{"href":"https://example.org/"}]}]`,
		},
		"creator is an author": {`"creator":["B","A"],"author":"A"`, "author", `["A","B"]`},
		"reader":               {`"readBy":"R"`, "narrator", `"R"`},
		"translator":           {`"translator":"X"`, "translator", `"X"`},
		"illustrator":          {`"illustrator":"X"`, "illustrator", `"X"`},
		"penciler":             {`"penciler":"X"`, "penciler", `"X"`},
		"contributor":          {`"contributor":"X"`, "contributor", `"X"`},
		"publisher":            {`"publisher":{"type":"Organization","name":"W3C","id":"https://www.w3.org/"}`, "publisher", `{"name":"W3C","identifier":"https://www.w3.org/"}`},
		"identifier":           {`"id":"urn:isbn:9780123456789"`, "identifier", `"urn:isbn:9780123456789"`},
		"identifier no URI":    {`"id":"abc"`, "identifier", ``},
		"other identifiers":    {`"id":"urn:x:1","identifier":["urn:x:2","3"],"isbn":"978-0-12-345678-9"`, "altIdentifier", `["urn:x:2",{"value":"3"},"urn:isbn:9780123456789"]`},
		"type":                 {`"type":["Book","VisualArtwork"]`, "@type", `"http://schema.org/Book"`},
		"no type":              {`"name":"T"`, "@type", `"http://schema.org/CreativeWork"`},
		"dates":                {`"dateModified":"2020-06-19T18:55:22.876Z"`, "modified", `"2020-06-19T18:55:22.876Z"`},
		"publication date":     {`"datePublished":"2015-12-17"`, "published", `"2015-12-17"`},
		"reading progression":  {`"readingProgression":"rtl"`, "readingProgression", `"rtl"`},
		"none by default":      {`"name":"T"`, "readingProgression", ``},
		"duration":             {`"duration":"PT15153S"`, "duration", `15153`},
		"bad duration":         {`"duration":"1h"`, "duration", ``},
		"abridged":             {`"abridged":false`, "abridged", `false`},
		"subjects":             {`"keywords":"a, b","genre":["c, d"]`, "subject", `["a","b","c, d"]`},
		"accessibility": {
			`"accessMode":["textual","visual"],"accessModeSufficient":[{"type":"ItemList","itemListElement":["textual","visual"]},{"type":"ItemList","itemListElement":["textual"]},"auditory,visual"],` +
				`"accessibilityFeature":"alternativeText","accessibilityHazard":["none"],"accessibilitySummary":"S","conformsTo":["https://www.w3.org/TR/pub-manifest/","https://www.w3.org/TR/WCAG21/"]`,
			"accessibility",
			`{"conformsTo":"https://www.w3.org/TR/WCAG21/","accessMode":["textual","visual"],"accessModeSufficient":[["textual","visual"],"textual",["auditory","visual"]],"feature":["alternativeText"],"hazard":["none"],"summary":"S"}`,
		},
		"schema.org term":       {`"copyrightYear":2.0150e3`, "copyrightYear", `2.0150e3`},
		"address":               {`"url":"https://publisher.example.org/frankenstein"`, "url", `"https://publisher.example.org/frankenstein"`},
		"vocabulary of its own": {`"@context":["https://schema.org",{"ex":"https://example.org/vocab#"}],"ex:region":"North America"`, "https://example.org/vocab#region", `"North America"`},
		"known vocabulary":      {`"dcterms:subject":["A"]`, "dcterms:subject", `["A"]`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := member(t, plan(t, tt.members), "metadata", tt.term); got != tt.want {
				t.Errorf("%s = %s, want %s", tt.term, got, tt.want)
			}
		})
	}
}

func TestSecondTextInOneLanguageIsMentioned(t *testing.T) {
	t.Parallel()
	p := plan(t, `"name":["A","B"]`)
	if p.Metadata.Title != "A" || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], `"B"`) {
		t.Errorf("title %q, warnings %q", p.Metadata.Title, p.Warnings)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	p := plan(t, `"name":"T","readingOrder":["c.html",{"url":"./d%20.html#s","encodingFormat":"application/xhtml+xml","name":["Deux",{"value":"Two","language":"en"}],"inLanguage":"fr","duration":"PT1.5S",`+
		`"alternate":["d.mp3",{"url":"d.json","encodingFormat":"application/vnd.syncnarr+json"}]}],`+
		`"resources":[{"url":"cover.html","rel":"cover"},{"url":"whale.jpg","rel":["Cover","https://Example.org/Rel"],"name":"Moby Dick attacking hunters"},{"type":"LinkedResource"}],`+
		`"links":[{"url":"https://example.org/privacy","encodingFormat":"text/html","rel":"privacy-policy"},{"url":"preview.mp3","rel":"preview"}]`,
		file{"d .html", "dd"}, file{"d.mp3", "x"}, file{"d.json", "x"}, file{"cover.html", "x"}, file{"whale.jpg", "x"}, file{"preview.mp3", "x"})
	for key, want := range map[string]string{
		"readingOrder": `[{"href":"c.html","type":"text/html","size":1},{"href":"d%20.html#s","type":"application/xhtml+xml","title":"Deux","size":2,"duration":1.5,"language":"fr",` +
			`"alternate":[{"href":"d.mp3","type":"audio/mpeg","size":1},{"href":"d.json","type":"application/vnd.syncnarr+json","size":1}]}]`,
		"resources": `[{"href":"cover.html","type":"text/html","size":1},{"rel":["cover","https://Example.org/Rel"],"href":"whale.jpg","type":"image/jpeg","title":"Moby Dick attacking hunters","size":1}]`,
		"links": `[{"rel":"self","href":"manifest.json","type":"application/webpub+json"},{"rel":"privacy-policy","href":"https://example.org/privacy","type":"text/html"},` +
			`{"rel":"preview","href":"preview.mp3","type":"audio/mpeg","size":1}]`,
	} {
		if diff := cmp.Diff(want, member(t, p, key)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
	if diff := cmp.Diff([]string{"manifest.json", "*c.html", "*d .html", "*d.mp3", "*d.json", "*cover.html", "whale.jpg", "preview.mp3"}, entries(p)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// What the Audiobooks Recommendation allows and the Readium profile does not.
func TestAudiobook(t *testing.T) {
	t.Parallel()
	p := plan(t, `"conformsTo":"https://www.w3.org/TR/audiobooks/","name":"Jane Eyre","readingOrder":[`+
		`{"url":"part001.wav#t=0,457.931","name":"Chapter 1","duration":"PT457.931S"},`+
		`{"url":"part001.wav#t=457.931","name":"Chapter 2","duration":"PT0.169S"},`+
		`{"url":"part002.wav#t=12.741","name":"Chapter 3","duration":"PT3M54.245S"},"c.html"]`,
		file{"part001.wav", "x"}, file{"part002.wav", "y"})
	for key, want := range map[string]string{
		"readingOrder": `[{"href":"part001.wav","type":"audio/wav","title":"Chapter 1","size":1,"duration":458.1},{"href":"part002.wav","type":"audio/wav","title":"Chapter 3","size":1,"duration":234.245}]`,
		"resources":    `[{"href":"c.html","type":"text/html","size":1}]`,
		"toc": `[{"href":"part001.wav#t=0,457.931","type":"audio/wav","title":"Chapter 1"},{"href":"part001.wav#t=457.931","type":"audio/wav","title":"Chapter 2"},` +
			`{"href":"part002.wav#t=12.741","type":"audio/wav","title":"Chapter 3"}]`,
		"metadata": `{"@type":"http://schema.org/Audiobook","conformsTo":"https://readium.org/webpub-manifest/profiles/audiobook","title":"Jane Eyre","duration":692.345}`,
	} {
		if diff := cmp.Diff(want, member(t, p, key)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
	if p.Format != publication.Audiobook || len(p.Warnings) != 1 {
		t.Errorf("format %s, warnings %q", p.Format.Name, p.Warnings)
	}
}

func TestFormatByContent(t *testing.T) {
	t.Parallel()
	p := plan(t, `"name":"T","readingOrder":["1.jpg","2.png"]`, file{"1.jpg", "x"}, file{"2.png", "y"})
	if p.Format != publication.Divina {
		t.Errorf("format = %s, want that of a comic", p.Format.Name)
	}
	if got, want := member(t, p, "metadata", "conformsTo"), `"https://readium.org/webpub-manifest/profiles/divina"`; got != want {
		t.Errorf("conformsTo = %s, want %s", got, want)
	}
}

// The sources are examples of the Publication Manifest's "Machine-Processable
// Table of Contents", and its rules.
func TestTableOfContents(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ html, want string }{
		"nested": {
			`<nav role="doc-toc"><h2>Contents</h2><ol><li><a href="c.html">ZARATHUSTRA'S
				<i>DISCOURSES</i>.</a><ul><li><a href="c.html#s01">THE THREE METAMORPHOSES.</a></li><li><a href='../c.html#s02' rel="x y" type="text/html">TWO</a></ul></li></ol></nav>`,
			`[{"href":"c.html","title":"ZARATHUSTRA'S DISCOURSES.","children":[{"href":"c.html#s01","title":"THE THREE METAMORPHOSES."},{"rel":["x","y"],"href":"c.html#s02","type":"text/html","title":"TWO"}]}]`,
		},
		"descriptions are passed over": {
			`<section role="doc-toc doc-x"><div><ol><li><div class="title"><a href="c.html">CHAPTER I</a></div><div class="description">Biographical.</div></li></ol></div></section>`,
			`[{"href":"c.html","title":"CHAPTER I"}]`,
		},
		"a name without a link leads where its first child does": {
			`<nav role="doc-toc"><ol><li><a>Faraday, Michael</a><ol><li><a href="c.html#s01">Researches</a></li></ol></li><li><a>Nowhere</a></li></ol></nav>`,
			`[{"href":"c.html#s01","title":"Faraday, Michael","children":[{"href":"c.html#s01","title":"Researches"}]}]`,
		},
		"sections and hidden elements are skipped": {
			`<nav role="doc-toc"><aside><ol><li><a href="c.html">no</a></ol></aside><ul hidden><li><a href="c.html">no</a></ul><ul><li><section><a href="c.html">no</a></section><a href="c.html">yes</a></ul></nav>`,
			`[{"href":"c.html","title":"yes"}]`,
		},
		"only the first list": {
			`<nav role="doc-toc"><ol><li><a href="c.html">1</a><a href="c.html">no</a></ol><ol><li><a href="c.html">no</a></ol></nav><nav role="doc-toc"><ol><li><a href="c.html">no</a></ol></nav>`,
			`[{"href":"c.html","title":"1"}]`,
		},
		"not a part of the publication": {`<nav role="doc-toc"><ol><li><a href="unlisted.html">U</a><li><a href="https://example.org/">W</a></ol></nav>`, ``},
		"not a table of contents":       {`<nav><ol><li><a href="c.html">1</a></ol></nav>`, ``},
		"own page":                      {`<nav role="doc-toc"><ol><li><a href="#x">1</a></ol></nav>`, `[{"href":"html/toc.html#x","title":"1"}]`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			html := strings.ReplaceAll(tt.html, `"c.html`, `"../c.html`)
			p := plan(t, `"name":"T","resources":[{"url":"html/toc.html","rel":"Contents"}]`, file{"html/toc.html", html}, file{"unlisted.html", "u"})
			if diff := cmp.Diff(tt.want, member(t, p, "toc")); diff != "" {
				t.Errorf("toc (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTableOfContentsInLatin1(t *testing.T) {
	t.Parallel()
	p := plan(t, `"name":"T"`, file{"index.html", "<meta charset=iso-8859-1><nav role=doc-toc><ol><li><a href=c.html>\xc9t\xe9</a></ol></nav>"})
	if got, want := member(t, p, "toc"), `[{"href":"c.html","title":"Été"}]`; got != want {
		t.Errorf("toc = %s, want %s", got, want)
	}
}

// A manifest is refused, or converted to one that can be read again and says
// the same of the publication.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"@context":["https://schema.org",{"language":"fr","ex":"x:"}],"name":["T",{"value":"U","language":null}],"author":[{"name":["A"]}],"ex:a":[1]}`))
	f.Add([]byte(`{"conformsTo":"https://www.w3.org/TR/audiobooks/","readingOrder":[{"url":"c.mp3#t=1","duration":"PT1.5S","alternate":{"url":"c.html"}}]}`))
	f.Fuzz(func(t *testing.T, manifest []byte) {
		files := []file{{"publication.json", string(manifest)}, {"c.html", "c"}, {"c.mp3", "m"}, {"index.html", "<title>I</title>"}}
		p, err := lpf.Plan(pack(t, files...), "N")
		if err != nil {
			return
		}
		checkConverted(t, p)
	})
}

// So is an entry page.
func FuzzEntryPage(f *testing.F) {
	f.Add([]byte(`<link rel=publication href="#m"><script id=m type=application/ld+json>{"readingOrder":["c.html"]}</script>`))
	f.Add([]byte(`<base href="a/../"><title>T</title><link rel=publication href="p.json"><nav role=doc-toc><ol><li><a href="c.html">x</a><ul><li></ul></ol>`))
	f.Fuzz(func(t *testing.T, page []byte) {
		a := pack(t, file{"index.html", string(page)}, file{"c.html", "c"}, file{"p.json", `{"readingOrder":["c.html","index.html"]}`})
		p, err := lpf.Plan(a, "N")
		if err != nil {
			return
		}
		if !lpf.Recognize(a) {
			t.Fatal("what can be converted is not recognized")
		}
		checkConverted(t, p)
	})
}

func checkConverted(t *testing.T, p *publication.Plan) {
	t.Helper()
	files := []file{{"manifest.json", manifestOf(t, p)}}
	for _, part := range p.Parts[1:] {
		files = append(files, file{part.Name, "x"})
	}
	again, err := rpf.Plan(pack(t, files...))
	if err != nil {
		t.Fatalf("plan the converted package: %v\n%s", err, files[0].data)
	}
	if again.Format != p.Format {
		t.Fatalf("a %s became a %s", p.Format.Name, again.Format.Name)
	}
	if diff := cmp.Diff(p.Metadata, again.Metadata); diff != "" {
		t.Fatalf("metadata (-first +second):\n%s", diff)
	}
}
