// Package readers_test opens what lcp makes with the code of a reading system,
// the packages that Thorium Reader is built on. The JavaScript that does so is
// in _js, a name that keeps the go command out of node_modules.
//
// The tests need node and the packages: make readers installs and runs.
package readers_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/testdata"
)

// passphrase opens every license. Its hash is taken over UTF-8.
const passphrase = "Trois Éléphants"

// A readerCase is what open.mjs is given of one publication.
type readerCase struct {
	UUID       string `json:"uuid"`
	Name       string `json:"name"`
	Kind       string `json:"kind"`      // "package" or "pdf"
	Protected  string `json:"protected"` // without a license in it
	Embedded   string `json:"embedded"`  // with one
	License    string `json:"license"`
	Passphrase string `json:"passphrase"`
	Original   string `json:"original"`
}

// Publications of the corpus, chosen for what has gone wrong in readers before:
// font obfuscation, names that need escaping, long media, many kinds of images.
var corpus = []string{
	"epub/wasteland-otf-obf.epub",
	"epub/adobe-font-obfuscation.epub",
	"epub/sample-with-space.epub",
	"epub/percent-names.epub",
	"epub/kusamakura-japanese-vertical-writing.epub",
	"audiobook/38533.audiobook",
	"audiobook/audio-formats.audiobook",
	"divina/50272-nota-comics.divina",
	"divina/image-formats.divina",
	"divina/futuristic_tales.cbz",
	"lpf/dickinson-selected-poems.lpf",
	"webpub/712199_ebook.webpub",
	"webpub/rwpm.lcpdf",
	"pdf/japanese-title.pdf",
	"pdf/freeculture.pdf",
}

func TestReadingSystem(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	t.Run("opens samples", func(t *testing.T) {
		entries, err := testdata.Samples.ReadDir(".")
		if err != nil {
			t.Fatal(err)
		}
		var cases []readerCase
		for _, e := range entries {
			cases = append(cases, l.protect(t, l.sample(t, e.Name())))
		}
		l.open(t, cases)
	})
	t.Run("opens corpus", func(t *testing.T) {
		dir := os.Getenv("LCP_CORPUS")
		if dir == "" {
			t.Skip("LCP_CORPUS does not name a folder of publications")
		}
		var cases []readerCase
		for _, name := range corpus {
			cases = append(cases, l.protect(t, filepath.Join(dir, filepath.FromSlash(name))))
		}
		l.open(t, cases)
	})
	t.Run("sees differences", func(t *testing.T) { testDifferences(t, l) })
}

// The comparison is only worth something if it can fail.
func testDifferences(t *testing.T, l *lab) {
	right := l.protect(t, l.sample(t, "sample.epub"))
	changed := l.changedSample(t)
	tests := map[string]struct {
		change func(*readerCase)
		want   string
	}{
		"other content":     {func(c *readerCase) { c.Original = changed }, "bytes that differ from the original"},
		"other passphrase":  {func(c *readerCase) { c.Passphrase = "trois éléphants" }, "the passphrase does not open the license"},
		"no license":        {func(c *readerCase) { c.Embedded = c.Protected }, "does not see the embedded license"},
		"nothing encrypted": {func(c *readerCase) { c.Protected = c.Original }, "nothing was encrypted"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := right
			tt.change(&c)
			out, err := l.node(t, []readerCase{c})
			if err == nil {
				t.Errorf("open.mjs succeeded:\n%s", out)
			}
			if !strings.Contains(out, tt.want) {
				t.Errorf("output does not say %q:\n%s", tt.want, out)
			}
		})
	}
}

// A lab is a folder with a built lcp, its data and what it makes.
type lab struct {
	dir            string
	lcp            string
	passphraseFile string
}

// newLab builds lcp, or skips the test where the reading system is missing.
func newLab(t *testing.T) *lab {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves the reading system out")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed, which runs the reading system")
	}
	if _, err := os.Stat(filepath.Join("_js", "node_modules", "r2-shared-js")); err != nil {
		t.Skip("the reading system is not installed: make readers does it")
	}
	dir := t.TempDir()
	l := &lab{dir: dir, lcp: filepath.Join(dir, "lcp"), passphraseFile: filepath.Join(dir, "passphrase")}
	if err := os.WriteFile(l.passphraseFile, []byte(passphrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", l.lcp, "../../cmd/lcp")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build lcp: %v\n%s", err, out)
	}
	return l
}

// protect has lcp protect a publication and make a license for it, beside it
// and embedded.
func (l *lab) protect(t *testing.T, original string) readerCase {
	t.Helper()
	shelf := t.TempDir()
	var record struct {
		UUID string `json:"uuid"`
		File string `json:"file"`
	}
	out := l.run(t, "encrypt", original, "--out", shelf, "--format", "ndjson")
	if err := json.Unmarshal(out, &record); err != nil {
		t.Fatalf("record of %s: %v\n%s", original, err, out)
	}
	c := readerCase{
		UUID: record.UUID, Name: filepath.Base(original), Kind: "package", Passphrase: passphrase, Original: original,
		Protected: filepath.Join(shelf, filepath.Base(record.File)),
		License:   filepath.Join(shelf, "license.lcpl"),
	}
	c.Embedded = filepath.Join(t.TempDir(), filepath.Base(record.File))
	if isPDF(t, original) {
		c.Kind = "pdf"
	}
	l.run(t, "license", "generate", "--publication", record.UUID, "--user", "reader-1",
		"--passphrase-file", l.passphraseFile, "--hint", "Three animals", "--out", c.License)
	l.run(t, "license", "embed", c.License, c.Protected, "--out", c.Embedded)
	return c
}

func isPDF(t *testing.T, path string) bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	head := make([]byte, 5)
	_, err = f.Read(head)
	return err == nil && string(head) == "%PDF-"
}

// run runs lcp on the lab's data and returns what it printed.
func (l *lab) run(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(l.lcp, append(args, "--data-dir", filepath.Join(l.dir, "data"))...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("lcp %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return out
}

// sample writes one of the samples into the lab.
func (l *lab) sample(t *testing.T, name string) string {
	t.Helper()
	data, err := testdata.Samples.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// changedSample writes an EPUB like the sample but for one byte of its last
// entry, which is deflated.
func (l *lab) changedSample(t *testing.T) string {
	t.Helper()
	data, err := testdata.Samples.ReadFile("sample.epub")
	if err != nil {
		t.Fatal(err)
	}
	src, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	dst := zip.NewWriter(&buf)
	for i, f := range src.File {
		content, err := fs.ReadFile(src, f.Name)
		if err != nil {
			t.Fatal(err)
		}
		if i == len(src.File)-1 {
			content[len(content)/2] ^= 1
		}
		w, err := dst.Create(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "changed.epub")
	if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// open has the reading system open and compare all cases.
func (l *lab) open(t *testing.T, cases []readerCase) {
	t.Helper()
	out, err := l.node(t, cases)
	t.Logf("\n%s", out)
	if err != nil {
		t.Error(err)
	}
}

func (l *lab) node(t *testing.T, cases []readerCase) (string, error) {
	t.Helper()
	data, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cases.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("node", filepath.Join("_js", "open.mjs"), path).CombinedOutput()
	return string(out), err
}
