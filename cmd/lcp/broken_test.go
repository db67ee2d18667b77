package main

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/testdata"
)

// flipped returns data with one bit changed in the middle of where text stands.
func flipped(t *testing.T, data []byte, text string) []byte {
	t.Helper()
	at := bytes.Index(data, []byte(text))
	if at < 0 {
		t.Fatalf("%q is not in the archive", text)
	}
	data = bytes.Clone(data)
	data[at+len(text)/2] ^= 1
	return data
}

// inDirectory returns the archive with a field of the directory record of an
// entry changed, and of its local header where that has the field.
func inDirectory(t *testing.T, data []byte, name string, offset, localOffset int, value uint16) []byte {
	t.Helper()
	data = bytes.Clone(data)
	central := bytes.LastIndex(data, []byte(name)) - 46
	binary.LittleEndian.PutUint16(data[central+offset:], value)
	if localOffset >= 0 {
		local := bytes.Index(data, []byte(name)) - 30
		binary.LittleEndian.PutUint16(data[local+localOffset:], value)
	}
	return data
}

// noise returns text that does not compress.
func noise(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

func sample(t *testing.T, name string) []byte {
	t.Helper()
	data, err := testdata.Samples.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// brokenInputs are files that must be refused, each with what the one line about
// it says besides the name of the file.
func brokenInputs(t *testing.T) map[string]struct {
	data []byte
	want []string
} {
	t.Helper()
	stored := pack(t, plainEPUB(member{name: "EPUB/one.xhtml", text: "Call me Ishmael."})...)
	deflated := pack(t, plainEPUB()...)
	big := pack(t, plainEPUB(member{name: "EPUB/big.jpg", text: noise(3 << 20)})...)
	pdf := sample(t, "sample.pdf")
	manifest := func(readingOrder string) []byte {
		return pack(t, member{name: "manifest.json", text: `{"metadata":{"title":"x"},"readingOrder":[` + readingOrder + `]}`},
			member{name: "a.mp3", text: "audio"})
	}
	type broken = struct {
		data []byte
		want []string
	}
	return map[string]broken{
		"empty.epub":           {nil, []string{"file is empty"}},
		"text.epub":            {[]byte("not a book"), []string{"unknown publication format"}},
		"cut.epub":             {deflated[:len(deflated)*6/10], []string{"not a complete ZIP archive"}},
		"cut-at-the-end.epub":  {deflated[:len(deflated)-5], []string{"ZIP archive"}},
		"stored-bit.epub":      {flipped(t, stored, "Call me Ishmael."), []string{`"EPUB/one.xhtml"`, "checksum mismatch"}},
		"late-bit.epub":        {flipped(t, big, noise(3 << 20)[2<<20:2<<20+9]), []string{`"EPUB/big.jpg"`, "checksum mismatch"}},
		"clear-bit.epub":       {flipped(t, pack(t, plainEPUB(member{name: "EPUB/nav.xhtml", text: "<html></html>"})...), "<html></html>"), []string{`"EPUB/nav.xhtml"`, "checksum mismatch"}},
		"climbs.epub":          {pack(t, plainEPUB(member{name: "../../evil.txt"})...), []string{`"../../evil.txt"`, "unsafe entry name"}},
		"absolute.epub":        {pack(t, plainEPUB(member{name: "/etc/evil"})...), []string{`"/etc/evil"`, "unsafe entry name"}},
		"backslash.epub":       {pack(t, plainEPUB(member{name: `..\..\evil`})...), []string{`evil"`, "unsafe entry name"}},
		"twice.epub":           {pack(t, append(plainEPUB(), member{name: "EPUB/one.xhtml"})...), []string{`"EPUB/one.xhtml"`, "duplicate entry name"}},
		"encrypted-entry.epub": {inDirectory(t, stored, "EPUB/one.xhtml", 8, 6, 1), []string{`"EPUB/one.xhtml"`, "encrypted ZIP entry"}},
		"bzip2.epub":           {inDirectory(t, stored, "EPUB/one.xhtml", 10, 8, 12), []string{`"EPUB/one.xhtml"`, "unsupported compression method 12"}},
		"wrong-length.epub":    {inDirectory(t, stored, "EPUB/one.xhtml", 24, -1, 15), []string{`"EPUB/one.xhtml"`, "length"}},
		"bomb.epub":            {pack(t, plainEPUB(member{name: "EPUB/bomb.xhtml", text: strings.Repeat("\x00", 40<<20), method: zip.Deflate})...), []string{`"EPUB/bomb.xhtml"`, "decompression bomb"}},
		"no-container.epub":    {pack(t, member{name: "mimetype", text: "application/epub+zip"}), []string{"META-INF/container.xml"}},
		"no-package.epub":      {pack(t, plainEPUB(member{name: "META-INF/container.xml", text: strings.ReplaceAll(containerXML, "package.opf", "gone.opf")})...), []string{`"EPUB/gone.opf"`, "missing"}},
		"no-resource.epub":     {pack(t, plainEPUB(member{name: "EPUB/package.opf", text: strings.ReplaceAll(packageOPF, "one.xhtml", "gone.xhtml")})...), []string{`"EPUB/gone.xhtml"`, "missing resources"}},
		"opf-not-xml.epub":     {pack(t, plainEPUB(member{name: "EPUB/package.opf", text: packageOPF[:300]})...), []string{"EPUB/package.opf"}},
		"lcp.epub":             {pack(t, plainEPUB(member{name: "META-INF/license.lcpl", text: "{}"})...), []string{"already protected with LCP"}},
		"lcp-manifest.lcpa": {
			manifest(`{"href":"a.mp3","type":"audio/mpeg","properties":{"encrypted":{"scheme":"http://readium.org/2014/01/lcp","algorithm":"http://www.w3.org/2001/04/xmlenc#aes256-cbc"}}}`),
			[]string{"already protected with LCP"},
		},
		"other-drm.epub": {
			pack(t, plainEPUB(member{name: "META-INF/encryption.xml", text: `<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><EncryptedData xmlns="http://www.w3.org/2001/04/xmlenc#">` +
				`<EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/><CipherData><CipherReference URI="EPUB/one.xhtml"/></CipherData></EncryptedData></encryption>`})...),
			[]string{"already protected by another scheme", `"EPUB/one.xhtml"`},
		},
		"cut.pdf":              {pdf[:len(pdf)/3], []string{"damaged PDF"}},
		"password.pdf":         {bytes.Replace(pdf, []byte("/Root"), []byte("/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O (oooooooooooooooooooooooooooooooo) /U (uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu) >> /Root"), 1), []string{"PDF carries its own encryption"}},
		"no-manifest.webpub":   {pack(t, member{name: "a.html", text: "x"}), []string{"manifest.json is missing"}},
		"cut-manifest.divina":  {pack(t, member{name: "manifest.json", text: `{"metadata":{"tit`}), []string{"manifest.json", "not valid JSON"}},
		"no-track.audiobook":   {manifest(`{"href":"a.mp3","type":"audio/mpeg"},{"href":"gone.mp3","type":"audio/mpeg"}`), []string{`"gone.mp3"`, "missing resources"}},
		"remote.audiobook":     {manifest(`{"href":"https://example.com/a.mp3","type":"audio/mpeg"}`), []string{"nothing to protect"}},
		"no-manifest.lpf":      {pack(t, member{name: "a.html", text: "x"}), []string{"manifest is missing"}},
		"no-chapter.lpf":       {pack(t, member{name: "publication.json", text: `{"@context":["https://schema.org","https://www.w3.org/ns/pub-context"],"name":"x","readingOrder":["gone.html"]}`}), []string{`"gone.html"`, "missing"}},
		"no-images.cbz":        {pack(t, member{name: "readme.txt", text: "x"}), []string{"no images"}},
		"empty-archive.zip":    {pack(t), []string{"unknown publication format"}},
		"only-empty-file.epub": {pack(t, plainEPUB(member{name: "EPUB/one.xhtml"})...), []string{"nothing to protect"}},
	}
}

// A broken input fails with one line that names the file, the entry where there
// is one, and the reason, and leaves nothing: no output, no temporary file, no
// record.
func TestEncryptRefusesBrokenInput(t *testing.T) {
	t.Parallel()
	for name, tt := range brokenInputs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.write(t, name, tt.data)
			o := m.run(t, "encrypt", name, "--quiet", "--cover", "--verify", "--altid", "--out", "shelf")
			if o.code != exitFailed || o.out != "" {
				t.Errorf("exit code %d, output %q; want %d and none", o.code, o.out, exitFailed)
			}
			if !strings.HasPrefix(o.errors, "lcp: "+name+": ") || strings.Count(o.errors, "\n") != 1 {
				t.Errorf("standard error is %q, want one line about %s", o.errors, name)
			}
			for _, want := range tt.want {
				if !strings.Contains(o.errors, want) {
					t.Errorf("standard error is %q, want %q in it", o.errors, want)
				}
			}
			wantFiles(t, m.path("shelf"))
			wantFiles(t, m.dir, name)
			wantFiles(t, m.temp)
			if n := m.publications(t); n != 0 {
				t.Errorf("%d publications are registered, want none", n)
			}
		})
	}
}

// In a run with others, a broken input does not keep them from being done.
func TestEncryptGoesOnAfterBrokenInput(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	args := []string{"encrypt", "--out", "shelf", "--altid"}
	broken := brokenInputs(t)
	for name, tt := range broken {
		name = strings.ReplaceAll(name, ".", "-") + filepath.Ext(name)
		m.write(t, name, tt.data)
		args = append(args, name)
	}
	m.write(t, "good.epub", sample(t, "sample.epub"))
	m.write(t, "good too.pdf", sample(t, "sample.pdf"))
	o := m.run(t, append(args, "good.epub", "good too.pdf")...)
	if o.code != exitSomeFailed {
		t.Errorf("exit code %d, want %d", o.code, exitSomeFailed)
	}
	if got := strings.Count(o.out, "\n"); got != 2 {
		t.Errorf("%d records, want 2:\n%s", got, o.out)
	}
	if want := fmt.Sprintf("lcp: %d of %d failed, the others are done\n", len(broken), len(broken)+2); !strings.Contains(o.errors, want) {
		t.Errorf("standard error is %q, want %q in it", o.errors, want)
	}
	if found, err := filesIn(m.path("shelf")); err != nil || len(found) != 2 {
		t.Errorf("the output folder holds %q, %v, want 2 files", found, err)
	}
	wantFiles(t, m.temp)
	if n := m.publications(t); n != 2 {
		t.Errorf("%d publications are registered, want 2", n)
	}
}
