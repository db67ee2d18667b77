package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/lcp-tools/lcp/pkg/pdf/pdftest"
)

// noise returns an endless reader of bytes that nothing can compress, as those
// of images, sound and video. The same seed gives the same bytes.
func noise(seed string) io.Reader {
	var key [32]byte
	copy(key[:], seed)
	return rand.NewChaCha8(key)
}

// A zipFile is a publication in the making.
type zipFile struct {
	file *os.File
	buf  *bufio.Writer
	*zip.Writer
}

func createZip(path string) (*zipFile, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	buf := bufio.NewWriterSize(f, mib)
	return &zipFile{f, buf, zip.NewWriter(buf)}, nil
}

func (z *zipFile) Close() error {
	defer z.file.Close()
	if err := z.Writer.Close(); err != nil {
		return err
	}
	if err := z.buf.Flush(); err != nil {
		return err
	}
	return z.file.Close()
}

// store adds the next size bytes of r as they are.
func (z *zipFile) store(name string, r io.Reader, size int64) error {
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	if err != nil {
		return err
	}
	_, err = io.CopyN(w, r, size)
	return err
}

// add adds an entry that was deflated before.
func (z *zipFile) add(name string, d deflated) error {
	w, err := z.CreateRaw(&zip.FileHeader{
		Name: name, Method: zip.Deflate, CRC32: d.crc,
		CompressedSize64: uint64(len(d.data)), UncompressedSize64: uint64(d.size),
	})
	if err != nil {
		return err
	}
	_, err = w.Write(d.data)
	return err
}

// addText adds an entry that is deflated now.
func (z *zipFile) addText(name, text string) error {
	w, err := z.Create(name)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text)
	return err
}

// A resource is an entry that a manifest is to name.
type resource struct {
	name, mediaType string
}

// createEPUB makes an EPUB of an empty page and what fill adds, which it
// returns as resources.
func createEPUB(path, title string, fill func(*zipFile) ([]resource, error)) error {
	z, err := createZip(path)
	if err != nil {
		return err
	}
	defer z.file.Close()
	const mimetype = "application/epub+zip"
	if err := z.store("mimetype", strings.NewReader(mimetype), int64(len(mimetype))); err != nil {
		return err
	}
	resources, err := fill(z)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"META-INF/container.xml": `<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>` +
			`<rootfile full-path="package.opf" media-type="application/oebps-package+xml"/></rootfiles></container>`,
		"nav.xhtml": `<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><head><title>Contents</title></head>` +
			`<body><nav epub:type="toc"><ol><li><a href="first.xhtml">First</a></li></ol></nav></body></html>`,
		"first.xhtml": `<html xmlns="http://www.w3.org/1999/xhtml"><head><title>First</title></head><body><p>First page.</p></body></html>`,
		"package.opf": packageDocument(title, resources),
	} {
		if err := z.addText(name, text); err != nil {
			return err
		}
	}
	return z.Close()
}

func packageDocument(title string, resources []resource) string {
	var items, refs strings.Builder
	for i, r := range resources {
		fmt.Fprintf(&items, `<item id="r%d" href=%q media-type=%q/>`+"\n", i, r.name, r.mediaType)
		if r.mediaType == "application/xhtml+xml" {
			fmt.Fprintf(&refs, `<itemref idref="r%d"/>`+"\n", i)
		}
	}
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">urn:bench:%[1]s</dc:identifier>
<dc:title>%[1]s</dc:title><dc:language>en</dc:language><meta property="dcterms:modified">2020-01-01T00:00:00Z</meta></metadata>
<manifest><item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="first" href="first.xhtml" media-type="application/xhtml+xml"/>
%[2]s</manifest><spine><itemref idref="first"/>%[3]s</spine></package>`, title, items.String(), refs.String())
}

func generateMedia(dir string, scale int64) error {
	return createEPUB(filepath.Join(dir, "media.epub"), "Media", func(z *zipFile) ([]resource, error) {
		data := noise("media")
		var all []resource
		for i := range 100 {
			all = append(all, resource{fmt.Sprintf("images/%03d.jpg", i), "image/jpeg"})
			if err := z.store(all[len(all)-1].name, data, 2*mb/scale); err != nil {
				return nil, err
			}
		}
		for i := range 10 {
			all = append(all, resource{fmt.Sprintf("video/%02d.mp4", i), "video/mp4"})
			if err := z.store(all[len(all)-1].name, data, 30*mb/scale); err != nil {
				return nil, err
			}
		}
		return all, nil
	})
}

func generateText(dir string, scale int64) error {
	return createEPUB(filepath.Join(dir, "text.epub"), "Text", func(z *zipFile) ([]resource, error) {
		return addChapters(z, int(400/scale), 75_000)
	})
}

func generateSmall(dir string, scale int64) error {
	return createEPUB(filepath.Join(dir, "small.epub"), "Small", func(z *zipFile) ([]resource, error) {
		return addChapters(z, int(8000/scale), 2_000)
	})
}

// addChapters adds n chapters of about size bytes, each another text.
func addChapters(z *zipFile, n, size int) ([]resource, error) {
	w := newWriter()
	var all []resource
	for i := range n {
		d, err := deflateText(w.chapter(i, size))
		if err != nil {
			return nil, err
		}
		r := resource{fmt.Sprintf("text/%04d.xhtml", i), "application/xhtml+xml"}
		if err := z.add(r.name, d); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// generateBooks makes books of 20 chapters and 8 images, 1.6 MB together. The
// chapters come from a pool: compressing them takes longer than all the rest.
func generateBooks(dir string, scale int64) error {
	w := newWriter()
	var pool []deflated
	for i := range 60 {
		d, err := deflateText(w.chapter(i, 75_000))
		if err != nil {
			return err
		}
		pool = append(pool, d)
	}
	images := noise("books")
	for book := range int(200 / scale) {
		path := filepath.Join(dir, fmt.Sprintf("book %03d.epub", book))
		err := createEPUB(path, fmt.Sprintf("Book %d", book), func(z *zipFile) ([]resource, error) {
			return addBook(z, book, pool, images)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// generateBook makes a book of one chapter.
func generateBook(dir string, _ int64) error {
	return createEPUB(filepath.Join(dir, "book.epub"), "Book", func(z *zipFile) ([]resource, error) {
		return addChapters(z, 1, 2_000)
	})
}

func addBook(z *zipFile, book int, pool []deflated, images io.Reader) ([]resource, error) {
	left := int64(1_600_000)
	var all []resource
	for i := range 20 {
		d := pool[(book*7+i)%len(pool)]
		r := resource{fmt.Sprintf("text/%02d.xhtml", i), "application/xhtml+xml"}
		if err := z.add(r.name, d); err != nil {
			return nil, err
		}
		all = append(all, r)
		left -= int64(len(d.data))
	}
	const n = 8
	for i := range n {
		r := resource{fmt.Sprintf("images/%02d.jpg", i), "image/jpeg"}
		if err := z.store(r.name, images, left/n); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func generateAudio(dir string, scale int64) error {
	var sizes []int64
	for range 10 {
		sizes = append(sizes, 30*mb/scale)
	}
	return createAudiobook(filepath.Join(dir, "audio.audiobook"), sizes)
}

// generateHuge makes an audiobook that needs ZIP64: the whole is beyond 4 GiB,
// one track alone is too.
func generateHuge(dir string, scale int64) error {
	sizes := []int64{4500 * mib / scale}
	for range 6 {
		sizes = append(sizes, 274*mib/scale)
	}
	return createAudiobook(filepath.Join(dir, "huge.audiobook"), sizes)
}

func createAudiobook(path string, sizes []int64) error {
	z, err := createZip(path)
	if err != nil {
		return err
	}
	defer z.file.Close()
	data := noise(filepath.Base(path))
	var order []string
	for i, size := range sizes {
		name := fmt.Sprintf("track%02d.mp3", i)
		order = append(order, fmt.Sprintf(`{"href":%q,"type":"audio/mpeg","duration":%d}`, name, size/16_000))
		if err := z.store(name, data, size); err != nil {
			return err
		}
	}
	err = z.addText("manifest.json", fmt.Sprintf(`{"@context":"https://readium.org/webpub-manifest/context.jsonld",`+
		`"metadata":{"@type":"http://schema.org/Audiobook","conformsTo":"https://readium.org/webpub-manifest/profiles/audiobook",`+
		`"title":"Audio"},"readingOrder":[%s]}`, strings.Join(order, ",")))
	if err != nil {
		return err
	}
	return z.Close()
}

// generatePDF makes a PDF of which every page is an image: the first a JPEG,
// the others as bare as PDF has them, 3 bytes a pixel.
func generatePDF(dir string, scale int64) error {
	const pages = 100
	side := 576 // pixels, for a megabyte a page
	for scale > 1 && int64(side*side*3) > mb/scale {
		side--
	}
	first, err := gradient(side)
	if err != nil {
		return err
	}
	var f pdftest.File
	f.Object(1, "<< /Type /Catalog /Pages 2 0 R >>")
	f.Object(3, "<< /Title (Pages) /Author (bench) >>")
	var kids strings.Builder
	data := noise("pdf")
	for i := range pages {
		page := 10 + 3*i
		fmt.Fprintf(&kids, " %d 0 R", page)
		f.Object(page, fmt.Sprintf("<< /Type /Page /Parent 2 0 R /Contents %d 0 R /Resources << /XObject << /I %d 0 R >> >> >>", page+1, page+2))
		f.Stream(page+1, "", []byte("q 595 0 0 595 0 0 cm /I Do Q"))
		dict := fmt.Sprintf("/Type /XObject /Subtype /Image /ColorSpace /DeviceRGB /BitsPerComponent 8 /Width %d /Height %d", side, side)
		if i == 0 {
			f.Stream(page+2, dict+" /Filter /DCTDecode", first)
			continue
		}
		pixels := make([]byte, side*side*3)
		if _, err := io.ReadFull(data, pixels); err != nil {
			return err
		}
		f.Stream(page+2, dict, pixels)
	}
	f.Object(2, fmt.Sprintf("<< /Type /Pages /Count %d /Kids [%s ] /MediaBox [0 0 595 595] >>", pages, kids.String()))
	return os.WriteFile(filepath.Join(dir, "pages.pdf"), f.Finish("/Root 1 0 R /Info 3 0 R"), 0o600)
}

func gradient(side int) ([]byte, error) {
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			img.SetRGBA(x, y, color.RGBA{uint8(255 * x / side), uint8(255 * y / side), 128, 255})
		}
	}
	var buf bytes.Buffer
	err := jpeg.Encode(&buf, img, nil)
	return buf.Bytes(), err
}
