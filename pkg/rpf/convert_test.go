package rpf_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/rpf"
)

func encodeImage(t testing.TB, kind string, width, height int) string {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, width, height))
	var b bytes.Buffer
	var err error
	switch kind {
	case "jpg":
		err = jpeg.Encode(&b, m, nil)
	case "png":
		err = png.Encode(&b, m)
	case "gif":
		err = gif.Encode(&b, m, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A lossy and a lossless WebP image of one pixel, as widely used to find out
// whether browsers show them.
func webp(t testing.TB, lossless bool) string {
	t.Helper()
	text := "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA"
	if lossless {
		text = "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestPlanComic(t *testing.T) {
	t.Parallel()
	a := pack(t,
		file{"manifest.json", "not the manifest of anything"},
		file{"Book/", ""},
		file{"Book/page 10.gif", encodeImage(t, "gif", 5, 6)},
		file{"Book/Page 2.png", encodeImage(t, "png", 3, 4)},
		file{"Book/page 1 #1.jpg", encodeImage(t, "jpg", 1, 2)},
		file{"Book 2/a.webp", webp(t, false)},
		file{"Book 10/a.webp", webp(t, true)},
		file{"Book/broken.png", "x"},
		file{"Book/.DS_Store", "x"}, file{"__MACOSX/Book/._page 1.jpg", "x"}, file{"Book/Thumbs.db", "x"},
		file{"credits.txt", "x"},
		file{"ComicInfo.xml", `<?xml version="1.0" encoding="ISO-8859-1"?><ComicInfo>` +
			"<Title>L'\xe9t\xe9 &amp; l'hiver</Title><Series>S</Series><Number>4.5</Number><Summary>D</Summary>" +
			`<Year>2010</Year><Month>7</Month><Day>x</Day><Writer>A, B</Writer><Penciller>P</Penciller><CoverArtist>C</CoverArtist>` +
			`<Publisher>Pub, Inc.</Publisher><Genre>G, H</Genre><LanguageISO>fr</LanguageISO><Manga>YesAndRightToLeft</Manga>` +
			`<GTIN>978-2-203-00115-2</GTIN></ComicInfo>`},
	)
	p, err := rpf.PlanComic(a, "file name")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"manifest.json", "Book/", "*Book/page 10.gif", "*Book/Page 2.png", "*Book/page 1 #1.jpg", "*Book 2/a.webp",
		"*Book 10/a.webp", "Book/broken.png", "*credits.txt", "ComicInfo.xml",
	}
	if diff := cmp.Diff(want, entries(p)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	wantMeta := publication.Metadata{
		Title: "L'été & l'hiver", Identifiers: []string{"urn:isbn:9782203001152"}, Authors: []string{"A", "B"},
		Publishers: []string{"Pub, Inc."}, Languages: []string{"fr"}, Subjects: []string{"G", "H"}, Description: "D",
		Published: "2010-07", NumberOfPages: 6,
	}
	if diff := cmp.Diff(wantMeta, p.Metadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if p.Format != publication.Divina || p.Cover == nil || p.Cover.Part.Name != "Book/broken.png" {
		t.Errorf("format %s, cover %+v", p.Format.Name, p.Cover)
	}
	manifest, err := p.Declare(nil)
	if err != nil {
		t.Fatal(err)
	}
	page := func(href, mediaType string, width, height, size int) string {
		return fmt.Sprintf(`{"href":"%s","type":"image/%s","height":%d,"width":%d,"size":%d}`, href, mediaType, height, width, size)
	}
	wantManifest := `{"@context":"https://readium.org/webpub-manifest/context.jsonld","metadata":{"@type":"http://schema.org/Book",` +
		`"conformsTo":"https://readium.org/webpub-manifest/profiles/divina","identifier":"urn:isbn:9782203001152",` +
		`"title":"L'été & l'hiver","author":["A","B"],"penciler":"P","contributor":{"name":"C","role":"cov"},"publisher":"Pub, Inc.",` +
		`"language":"fr","subject":["G","H"],"description":"D","published":"2010-07","readingProgression":"rtl","numberOfPages":6,` +
		`"belongsTo":{"series":{"name":"S","position":4.5}}},` +
		`"links":[{"rel":"self","href":"manifest.json","type":"application/divina+json"}],"readingOrder":[` +
		`{"rel":"cover","href":"Book/broken.png","type":"image/png","size":1},` +
		page("Book/page%201%20%231.jpg", "jpeg", 1, 2, len(encodeImage(t, "jpg", 1, 2))) + "," +
		page("Book/Page%202.png", "png", 3, 4, len(encodeImage(t, "png", 3, 4))) + "," +
		page("Book/page%2010.gif", "gif", 5, 6, len(encodeImage(t, "gif", 5, 6))) + "," +
		page("Book%202/a.webp", "webp", 1, 1, len(webp(t, false))) + "," +
		page("Book%2010/a.webp", "webp", 1, 1, len(webp(t, true))) + `],` +
		`"resources":[{"href":"credits.txt","type":"text/plain","size":1}]}`
	if diff := cmp.Diff(wantManifest, compact(t, manifest)); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
}

func TestPlanComicWithLittleToGoBy(t *testing.T) {
	t.Parallel()
	p, err := rpf.PlanComic(pack(t, file{"1.png", "x"}, file{"comicinfo.xml", "<ComicInfo><Title>"}), "file name")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"manifest.json", "*1.png", "comicinfo.xml"}, entries(p)); diff != "" {
		t.Errorf("entries of a single page (-want +got):\n%s", diff)
	}
	if p.Metadata.Title != "file name" || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "comicinfo.xml") {
		t.Errorf("title %q, warnings %q", p.Metadata.Title, p.Warnings)
	}
	if _, err := rpf.PlanComic(pack(t, file{"a.txt", "x"}, file{"__MACOSX/1.png", "x"}), ""); !errors.Is(err, publication.ErrInvalid) {
		t.Errorf("error without images = %v, want ErrInvalid", err)
	}
}

func TestRealComic(t *testing.T) {
	t.Parallel()
	p, err := rpf.PlanComic(openCorpus(t, "divina/futuristic_tales.cbz"), "Futuristic Tales")
	if err != nil {
		t.Fatal(err)
	}
	folder := "Cory Doctorow's Futuristic Tales of the Here and Now/"
	want := []string{"manifest.json", folder, folder + "a-fc.jpg", "*" + folder + "x-002.jpg", "*" + folder + "x-003.jpg", "*" + folder + "x-004.jpg"}
	if diff := cmp.Diff(want, entries(p)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// The manifest is the example of "LCP for PDF", with the length that the
// encryption module allows and a few members more.
func TestPlanPDF(t *testing.T) {
	t.Parallel()
	data := "%PDF-1.7 and so on"
	cover := encodeImage(t, "jpg", 3, 4)
	doc := rpf.PDF{
		Metadata: publication.Metadata{
			Title: "Readium Web Publication Manifest", Authors: []string{"Readium Community"}, NumberOfPages: 102,
			Identifiers: []string{"978-2-203-00115-2", "x 1"}, Languages: []string{"en"},
		},
		Cover: []byte(cover), CoverType: "image/jpeg",
	}
	p, err := rpf.PlanPDF(io.NewSectionReader(strings.NewReader(data), 0, int64(len(data))), doc, "file name")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"manifest.json", "*publication.pdf", "cover.jpg"}, entries(p)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	want := `{"@context":"https://readium.org/webpub-manifest/context.jsonld","metadata":{"@type":"http://schema.org/Book",` +
		`"conformsTo":"https://readium.org/webpub-manifest/profiles/pdf","identifier":"urn:isbn:9782203001152","altIdentifier":[{"value":"x 1"}],` +
		`"title":"Readium Web Publication Manifest","author":"Readium Community","language":"en","numberOfPages":102},` +
		`"links":[{"rel":"self","href":"manifest.json","type":"application/webpub+json"}],` +
		`"readingOrder":[{"href":"publication.pdf","type":"application/pdf","size":18,"properties":{"encrypted":{` + lcp + `,"originalLength":18}}}],` +
		`"resources":[{"rel":"cover","href":"cover.jpg","type":"image/jpeg","height":4,"width":3}]}`
	if diff := cmp.Diff(want, compact(t, declare(t, p))); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
	if p.Format != publication.PDF || p.Cover == nil || p.Cover.Part.Name != "cover.jpg" {
		t.Errorf("format %s, cover %+v", p.Format.Name, p.Cover)
	}

	bare := rpf.PDF{Metadata: publication.Metadata{NumberOfPages: 1}}
	if p, err = rpf.PlanPDF(io.NewSectionReader(strings.NewReader(data), 0, 18), bare, "file name"); err != nil {
		t.Fatal(err)
	}
	if p.Metadata.Title != "file name" || p.Cover != nil || len(p.Parts) != 2 {
		t.Errorf("plan without title and cover = %+v", p)
	}
	if _, err := rpf.PlanPDF(io.NewSectionReader(strings.NewReader(data), 0, 18), rpf.PDF{}, ""); !errors.Is(err, publication.ErrInvalid) {
		t.Errorf("error without a number of pages = %v, want ErrInvalid", err)
	}
}

// Whatever a ComicInfo.xml holds, the comic is planned, and its manifest can be
// read again as that of a Divina.
func FuzzComicInfo(f *testing.F) {
	f.Add([]byte(`<ComicInfo><Title>T</Title><Year>2010</Year><Month>2</Month><Number>1e999</Number><Series>S</Series></ComicInfo>`))
	f.Add([]byte(`<?xml version="1.0" encoding="utf-16"?><ComicInfo/>`))
	f.Fuzz(func(t *testing.T, info []byte) {
		p, err := rpf.PlanComic(pack(t, file{"1.png", "x"}, file{"2.png", "x"}, file{"ComicInfo.xml", string(info)}), "name")
		if err != nil {
			t.Fatal(err)
		}
		c, err := rpf.Inspect(pack(t, file{"manifest.json", string(declare(t, p))}))
		if err != nil || c.Format != publication.Divina || c.Metadata.Title == "" {
			t.Fatalf("contents = %+v, %v", c, err)
		}
		if diff := cmp.Diff(p.Metadata, c.Metadata); diff != "" {
			t.Fatalf("metadata of the plan and in the manifest:\n%s", diff)
		}
	})
}

// A manifest is refused or planned so that what is declared is what is
// encrypted.
func FuzzPlan(f *testing.F) {
	f.Add([]byte(`{"metadata":{"title":"T"},"readingOrder":[{"href":"a","alternate":[{"href":"b","rel":"cover","type":"image/x"}]}],"links":[{"href":"./b"}]}`))
	f.Add([]byte(`{"readingOrder":[{"href":"a","properties":{"encrypted":{"algorithm":"http://www.idpf.org/2008/embedding"}}},{"href":"b"}]}`))
	f.Fuzz(func(t *testing.T, manifest []byte) {
		p, err := rpf.Plan(pack(t, file{"manifest.json", string(manifest)}, file{"a", "x"}, file{"b", "y"}))
		if err != nil {
			return
		}
		c, err := rpf.Inspect(pack(t, file{"manifest.json", string(declare(t, p))}, file{"a", "x"}, file{"b", "y"}))
		if err != nil || !c.Protected {
			t.Fatalf("contents = %+v, %v", c, err)
		}
		for _, part := range p.Parts {
			if got := c.Encrypted[part.Name].Scheme == publication.Scheme; got != part.Encrypt() {
				t.Fatalf("%q: declared encrypted = %v, encrypted = %v", part.Name, got, part.Encrypt())
			}
		}
	})
}
