package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/testdata"
)

// corpus is the folder of publications to try besides the samples.
func corpus(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("LCP_CORPUS")
	if dir == "" {
		t.Skip("LCP_CORPUS does not name a folder of publications")
	}
	return dir
}

// Every sample goes through encrypt, license and decrypt, and an outsider finds
// the output as the specifications want it.
func TestSamplesThroughTheFrontDoor(t *testing.T) {
	t.Parallel()
	m := newReadingMachine(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, testdata.Samples); err != nil {
		t.Fatal(err)
	}
	throughTheFrontDoor(t, m, dir, "sample.*")
}

// So does every publication of the corpus that is to be accepted.
func TestCorpusThroughTheFrontDoor(t *testing.T) {
	t.Parallel()
	dir := corpus(t)
	m := newReadingMachine(t)
	for _, kind := range []string{"epub", "pdf", "audiobook", "divina", "webpub", "lpf"} {
		throughTheFrontDoor(t, m, filepath.Join(dir, kind), "*")
	}
}

const readingPassphrase = "correct horse"

// newReadingMachine is a machine with a passphrase in the file p.
func newReadingMachine(t *testing.T) *machine {
	m := newMachine(t)
	m.write(t, "p", []byte(readingPassphrase+"\n"))
	m.must(t, "cert", "show")
	return m
}

func throughTheFrontDoor(t *testing.T, m *machine, dir, pattern string) {
	t.Helper()
	inputs, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(inputs) == 0 {
		t.Fatalf("%s holds no publications, %v", dir, err)
	}
	for _, input := range inputs {
		t.Run(filepath.Base(input), func(t *testing.T) {
			t.Parallel()
			checkFrontDoor(t, m, input)
		})
	}
}

// checkFrontDoor takes one publication through its life.
func checkFrontDoor(t *testing.T, m *machine, input string) {
	t.Helper()
	o := m.must(t, "encrypt", input, "--verify", "--cover", "--out", "shelf", "--url", "https://cdn.example.com/shelf")
	checkStored(t, m, o.record(t), input)
}

// checkStored opens a protected publication with a license for it, and compares it
// with the input.
func checkStored(t *testing.T, m *machine, rec catalogue.Record, input string) {
	t.Helper()
	protected := readFile(t, m.path(rec.File))
	sum := sha256.Sum256(protected)
	if rec.Size != int64(len(protected)) || rec.Checksum != hex.EncodeToString(sum[:]) {
		t.Errorf("the record tells %d bytes, SHA-256 %s; they are %d, %x", rec.Size, rec.Checksum, len(protected), sum)
	}
	key := checkLicense(t, m, rec)

	source, got := openSource(t, input), mustOpenOutside(t, protected)
	if got.names["META-INF/container.xml"] != nil {
		checkProtectedEPUB(t, got, source, key)
	} else {
		checkProtectedPackage(t, got, source, key)
	}
	checkDecrypted(t, m, rec, source, input)
}

// checkLicense issues a license and opens it as a reading system does.
func checkLicense(t *testing.T, m *machine, rec catalogue.Record) []byte {
	t.Helper()
	m.must(t, "license", "generate", "--publication", rec.UUID, "--user", "u1", "--hint", "h", "--passphrase-file", "p", "--out", rec.UUID+".lcpl")
	var l outsideLicense
	if err := json.Unmarshal(readFile(t, m.path(rec.UUID+".lcpl")), &l); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, link := range l.Links {
		if link.Rel == "publication" {
			found = true
			if link.Type != rec.ContentType || link.Length != rec.Size || link.Hash != rec.Checksum || link.Href != rec.Href {
				t.Errorf("the license points to %+v, the record tells %+v", link, rec)
			}
		}
	}
	if !found {
		t.Error("the license has no publication link")
	}
	return l.contentKey(t, readingPassphrase)
}

// openSource reads an input, a PDF as the package it will be.
func openSource(t *testing.T, input string) *outsideBook {
	t.Helper()
	data := readFile(t, input)
	if bytes.HasPrefix(data, []byte("%PDF-")) {
		data = pack(t, member{name: "publication.pdf", text: string(data)})
	}
	return mustOpenOutside(t, data)
}

func mustOpenOutside(t *testing.T, data []byte) *outsideBook {
	t.Helper()
	b, err := openOutside(data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func checkProtectedEPUB(t *testing.T, got, source *outsideBook, key []byte) {
	t.Helper()
	got.checkMimetype(t)
	lcp, others := got.readEncryption(t)
	_, fonts := source.readEncryption(t)
	if strings.Join(others, "\n") != strings.Join(fonts, "\n") {
		t.Errorf("encryption.xml keeps %q, want %q", others, fonts)
	}
	clear, types := source.clearInEPUB(t)
	for _, font := range fonts {
		_, name, _ := strings.Cut(font, " ")
		clear[name] = true
	}
	for name, f := range source.names {
		d, encrypted := lcp[name]
		switch {
		case got.names[name] == nil:
			t.Errorf("entry %q is missing", name)
		case name == "mimetype" || name == "META-INF/encryption.xml":
		case clear[name] || f.UncompressedSize64 == 0:
			if encrypted {
				t.Errorf("entry %q is encrypted", name)
			}
			got.checkCopied(t, name, source)
		case !encrypted:
			t.Errorf("entry %q is clear", name)
		default:
			got.checkEncrypted(t, name, d, types[name], key, source)
		}
	}
	for name := range got.names {
		if source.names[name] == nil && name != "mimetype" && name != "META-INF/encryption.xml" {
			t.Errorf("entry %q was added", name)
		}
	}
}

func checkProtectedPackage(t *testing.T, got, source *outsideBook, key []byte) {
	t.Helper()
	lcp, named, covers, types := got.readManifest(t)
	if source.names["manifest.json"] != nil {
		got.checkManifestKept(t, source)
	}
	for name, f := range source.names {
		d, encrypted := lcp[name]
		switch {
		case name == "manifest.json" || isReplaced(source, name):
		case got.names[name] == nil:
			t.Errorf("entry %q is missing", name)
		case covers[name] || !named[name] || f.UncompressedSize64 == 0:
			if encrypted {
				t.Errorf("entry %q is encrypted", name)
			}
			got.checkCopied(t, name, source)
		case !encrypted:
			t.Errorf("entry %q is clear", name)
		default:
			got.checkEncrypted(t, name, d, types[name], key, source)
		}
	}
	if len(lcp) == 0 {
		t.Error("nothing is encrypted")
	}
}

// isReplaced tells what a W3C package need not keep: its manifest, which becomes
// Readium's, and what macOS puts into archives.
func isReplaced(source *outsideBook, name string) bool {
	return source.names["manifest.json"] == nil && source.names["mimetype"] == nil &&
		(name == "publication.json" || strings.HasPrefix(name, "__MACOSX/"))
}

// checkDecrypted has lcp decrypt the publication with its license, and compares
// every entry with the source.
func checkDecrypted(t *testing.T, m *machine, rec catalogue.Record, source *outsideBook, input string) {
	t.Helper()
	clear := rec.UUID + ".clear"
	args := []string{"decrypt", rec.File, "--license", rec.UUID + ".lcpl", "--passphrase-file", "p", "--out"}
	m.must(t, append(args, clear)...)
	got := mustOpenOutside(t, readFile(t, m.path(clear)))
	for name := range source.names {
		if isReplaced(source, name) {
			continue
		}
		data, want := got.read(t, name), source.read(t, name)
		if name == "mimetype" {
			want = bytes.TrimSpace(want)
		}
		if name != "manifest.json" && !bytes.Equal(data, want) {
			t.Errorf("decrypted entry %q is not the original", name)
		}
	}
	if source.names["manifest.json"] != nil {
		got.checkManifestKept(t, source)
	}
	for name := range got.names {
		if source.names[name] == nil && (name == "META-INF/encryption.xml" || strings.HasSuffix(name, "license.lcpl")) {
			t.Errorf("entry %q is in the clear publication", name)
		}
	}
	if strings.HasSuffix(input, ".pdf") {
		m.must(t, append(args, clear+".pdf")...)
		if !bytes.Equal(readFile(t, m.path(clear+".pdf")), readFile(t, input)) {
			t.Error("the decrypted PDF is not the original")
		}
	}
}

// Every broken publication of the corpus is refused with the reason, or accepted
// with a warning, as the corpus' index says.
func TestCorpusBroken(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(corpus(t), "broken")
	tests := map[string]struct {
		warned bool
		want   []string
	}{
		"truncated.epub":                {want: []string{"not a complete ZIP archive"}},
		"no-mimetype.epub":              {warned: true, want: []string{"mimetype is missing"}},
		"mimetype-last.epub":            {warned: true, want: []string{"mimetype is not the first entry"}},
		"zip-slip.epub":                 {want: []string{`"../../`, "unsafe entry name"}},
		"zip-bomb.epub":                 {want: []string{`"EPUB/bomb.xhtml"`, "decompression bomb"}},
		"container-points-nowhere.epub": {want: []string{`"nowhere/missing.opf"`, "missing"}},
		"duplicate-entry.epub":          {want: []string{`"OPS/content_001.xhtml"`, "duplicate entry name"}},
		"already-lcp.epub":              {want: []string{"already protected with LCP"}},
		"already-lcp.lcpa":              {want: []string{"already protected with LCP"}},
		"other-drm.epub":                {want: []string{"already protected by another scheme", "ADEPT"}},
		"bad-crc.epub":                  {want: []string{`"EPUB/lorem.xhtml"`, "checksum mismatch"}},
		"empty.epub":                    {want: []string{"file is empty"}},
		"epub-named.pdf":                {warned: true, want: []string{"named .pdf but its content is EPUB 3"}},
		"missing-resources.epub":        {want: []string{"missing resources", `"EPUB/audio/fmse004b.mp3"`, `"EPUB/audio/ulnr0036.mp3"`}},
		"bzip2-compression.epub":        {want: []string{`"EPUB/nav.xhtml"`, "unsupported compression method", "bzip2"}},
		"user-password.pdf":             {want: []string{"password-protected"}},
		"owner-password.pdf":            {want: []string{"PDF carries its own encryption"}},
		"truncated.pdf":                 {want: []string{"damaged PDF"}},
		"fuzzed.pdf":                    {want: []string{"damaged PDF"}},
		"no-manifest.audiobook":         {want: []string{"manifest.json is missing"}},
		"remote-only.audiobook":         {want: []string{"no local resource"}},
		"missing-resource.lpf":          {want: []string{"missing resources", `"chapter2.html"`}},
		"no-manifest.lpf":               {want: []string{"publication manifest is missing"}},
		"manifest-not-json.divina":      {want: []string{"manifest.json", "not valid JSON"}},
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(file.Name(), func(t *testing.T) {
			t.Parallel()
			tt, known := tests[file.Name()]
			if !known {
				t.Fatal("no expectation for this file")
			}
			m := newMachine(t)
			input := filepath.Join(dir, file.Name())
			o := m.run(t, "-q", "encrypt", input, "--out", "shelf")
			if !strings.HasPrefix(o.errors, "lcp: "+input+": ") || strings.Count(o.errors, "\n") != 1 {
				t.Errorf("standard error is %q, want one line about the file", o.errors)
			}
			for _, want := range tt.want {
				if !strings.Contains(o.errors, want) {
					t.Errorf("standard error is %q, want %q in it", o.errors, want)
				}
			}
			wantFiles(t, m.temp)
			if tt.warned {
				if o.code != exitDone {
					t.Fatalf("exit code %d, want %d", o.code, exitDone)
				}
				rec := o.record(t)
				mustOpenOutside(t, readFile(t, m.path(rec.File))).checkMimetype(t)
				wantFiles(t, m.path("shelf"), rec.UUID+".epub")
				return
			}
			if o.code != exitFailed || o.out != "" {
				t.Errorf("exit code %d, output %q; want %d and none", o.code, o.out, exitFailed)
			}
			wantFiles(t, m.path("shelf"))
			if n := m.publications(t); n != 0 {
				t.Errorf("%d publications are registered, want none", n)
			}
		})
	}
}
