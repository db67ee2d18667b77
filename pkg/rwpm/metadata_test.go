package rwpm_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/rwpm"
	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
)

// The forms are those of contexts/default, and those that real manifests have
// besides.
func TestMetadata(t *testing.T) {
	t.Parallel()
	d := parse(t, `{"metadata": {
		"@type": "http://schema.org/Book",
		"conformsTo": ["https://readium.org/webpub-manifest/profiles/divina", "https://example.org/x"],
		"identifier": "urn:isbn:9780679760801",
		"altIdentifier": ["https://viaf.org/viaf/175580487/", {"value": "123456789", "scheme": "https://example.org/s"}],
		"title": {"fr": "Vingt mille lieues sous les mers", "ja": "海底二万里"},
		"author": {"name": {"ru": "Булгаков", "ja": "ブルガーコフ"}, "sortAs": "B", "identifier": "https://isni.org/1"},
		"artist": ["Shawn McManus", {"name": "Colleen Doran"}, 7, {}],
		"contributor": {"name": "Lou Reed", "role": "sng"},
		"publisher": "Literary Fiction Ltd.",
		"language": ["ja", "fr"],
		"subject": ["Fantasy", {"name": "Manga: Shonen", "code": "XAMG"}, {"code": "FBA"}],
		"description": "D",
		"published": "2016-09-02",
		"modified": "2016-02-22T11:31:38Z",
		"duration": 123.45,
		"numberOfPages": 1.78e2,
		"readingProgression": "rtl"
	}}`)
	got := d.Metadata()
	want := rwpm.Metadata{
		Type:           "http://schema.org/Book",
		ConformsTo:     []string{rwpm.ProfileDivina, "https://example.org/x"},
		Identifier:     "urn:isbn:9780679760801",
		AltIdentifiers: []string{"https://viaf.org/viaf/175580487/", "123456789"},
		Title:          rwpm.Text{{Language: "fr", Value: "Vingt mille lieues sous les mers"}, {Language: "ja", Value: "海底二万里"}},
		Languages:      []string{"ja", "fr"},
		Contributors: map[rwpm.Role][]rwpm.Contributor{
			rwpm.Author: {{
				Name:   rwpm.Text{{Language: "ru", Value: "Булгаков"}, {Language: "ja", Value: "ブルガーコフ"}},
				SortAs: "B", Identifier: "https://isni.org/1",
			}},
			rwpm.Artist:    {{Name: rwpm.Plain("Shawn McManus")}, {Name: rwpm.Plain("Colleen Doran")}},
			rwpm.Other:     {{Name: rwpm.Plain("Lou Reed"), Roles: []string{"sng"}}},
			rwpm.Publisher: {{Name: rwpm.Plain("Literary Fiction Ltd.")}},
		},
		Subjects:           []string{"Fantasy", "Manga: Shonen", "FBA"},
		Description:        "D",
		Published:          "2016-09-02",
		Modified:           "2016-02-22T11:31:38Z",
		Duration:           123450000000,
		NumberOfPages:      178,
		ReadingProgression: "rtl",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if got, want := got.Title.In("JA"), "海底二万里"; got != want {
		t.Errorf("title in Japanese = %q, want %q", got, want)
	}
	if got, want := got.Title.In("en"), "Vingt mille lieues sous les mers"; got != want {
		t.Errorf("title in a language that it lacks = %q, want %q", got, want)
	}
}

func TestMetadataOfTheWrongForm(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"absent":        `{}`,
		"null":          `{"metadata": null}`,
		"a string":      `{"metadata": "x"}`,
		"wrong members": `{"metadata": {"title": 1, "language": null, "author": [[]], "duration": "x", "numberOfPages": -1, "subject": {}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := rwpm.Metadata{Contributors: map[rwpm.Role][]rwpm.Contributor{}}
			if diff := cmp.Diff(want, parse(t, text).Metadata()); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
		})
	}
}

func TestManifestDocument(t *testing.T) {
	t.Parallel()
	abridged := false
	m := rwpm.Manifest{
		Metadata: rwpm.Metadata{
			Type: "http://schema.org/Audiobook", ConformsTo: []string{rwpm.ProfileAudiobook},
			Identifier: "urn:x:1", AltIdentifiers: []string{"urn:x:2", "0000-0003-0782-2704"},
			Title:     rwpm.Text{{Language: "en", Value: "T & <U>"}, {Value: "V"}},
			Languages: []string{"en", "fr"},
			Contributors: map[rwpm.Role][]rwpm.Contributor{
				rwpm.Narrator: {{Name: rwpm.Plain("N")}, {Name: rwpm.Plain("O"), Identifier: "urn:o"}},
				rwpm.Author:   {{Name: rwpm.Plain("A")}},
			},
			Duration: 1500000000, NumberOfPages: 3, Abridged: &abridged, ReadingProgression: "rtl",
			Series:        []rwpm.Series{{Name: "S", Position: 4.5}},
			Accessibility: rwpm.Accessibility{AccessModes: []string{"auditory"}, AccessModeSufficient: [][]string{{"auditory"}, {"textual", "visual"}}},
			Extra:         []jsontree.Member{{Key: "copyrightYear", Value: jsontree.NewString("2015")}, {Key: "title", Value: jsontree.NewInt(1)}},
		},
		ReadingOrder: []rwpm.Link{{Href: "a%20b.mp3", Type: "audio/mpeg", Duration: 1, Alternates: []rwpm.Link{{Href: "c"}}}},
		Resources:    []rwpm.Link{{Rels: []string{"cover"}, Href: "c.jpg", Width: 1, Height: 2, Size: 3}},
		TOC:          []rwpm.Link{{Href: "a#t=1", Title: "One", Children: []rwpm.Link{{Href: "b"}}}},
	}
	want := `{"@context":"https://readium.org/webpub-manifest/context.jsonld","metadata":{` +
		`"@type":"http://schema.org/Audiobook","conformsTo":"https://readium.org/webpub-manifest/profiles/audiobook",` +
		`"identifier":"urn:x:1","altIdentifier":["urn:x:2",{"value":"0000-0003-0782-2704"}],` +
		`"title":{"en":"T & <U>","und":"V"},"author":"A","narrator":["N",{"name":"O","identifier":"urn:o"}],` +
		`"language":["en","fr"],"readingProgression":"rtl","duration":1.5,"numberOfPages":3,"abridged":false,` +
		`"belongsTo":{"series":{"name":"S","position":4.5}},` +
		`"accessibility":{"accessMode":["auditory"],"accessModeSufficient":["auditory",["textual","visual"]]},` +
		`"copyrightYear":"2015"},` +
		`"readingOrder":[{"href":"a%20b.mp3","type":"audio/mpeg","duration":0.000000001,"alternate":[{"href":"c"}]}],` +
		`"resources":[{"rel":"cover","href":"c.jpg","height":2,"width":1,"size":3}],` +
		`"toc":[{"href":"a#t=1","title":"One","children":[{"href":"b"}]}]}`
	if got := compact(t, m.Document().Bytes()); got != want {
		t.Errorf("manifest =\n%s\nwant\n%s", got, want)
	}
}
