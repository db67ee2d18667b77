package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/pkg/store"
)

// A machine is a place where nothing is set up: a home, a folder for temporary
// files, and a working directory, all empty.
type machine struct {
	dir, temp, data string
	env             []string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	root := t.TempDir()
	m := &machine{dir: filepath.Join(root, "work"), temp: filepath.Join(root, "tmp"), data: filepath.Join(root, "data")}
	for _, dir := range []string{m.dir, m.temp} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(root, "home"), "TMPDIR=" + m.temp, "LCP_DATA_DIR=" + m.data}
	return m
}

// command prepares a run of lcp on the machine.
func (m *machine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "lcp", args...)
	cmd.Dir, cmd.Env = m.dir, m.env
	return cmd
}

// An outcome is what a run of lcp left.
type outcome struct {
	code        int
	out, errors string
}

// run runs lcp to its end.
func (m *machine) run(t *testing.T, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := m.command(t.Context(), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("lcp %q: %v", args, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// must runs lcp, which must succeed.
func (m *machine) must(t *testing.T, args ...string) outcome {
	t.Helper()
	o := m.run(t, args...)
	if o.code != exitDone {
		t.Fatalf("lcp %q: exit code %d: %s", args, o.code, o.errors)
	}
	return o
}

// record decodes the one record that a run printed.
func (o outcome) record(t *testing.T) catalogue.Record {
	t.Helper()
	var rec catalogue.Record
	d := json.NewDecoder(strings.NewReader(o.out))
	d.DisallowUnknownFields()
	if err := d.Decode(&rec); err != nil {
		t.Fatalf("record %q: %v", o.out, err)
	}
	return rec
}

// write puts a file into the working directory.
func (m *machine) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(m.path(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, filepath.FromSlash(name)) }

// wantFiles fails unless exactly these files are in a folder and below.
func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	got, err := filesIn(dir)
	if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s holds %q, %v, want %q", filepath.Base(dir), got, err, want)
	}
}

// publications counts the records in the machine's store.
func (m *machine) publications(t *testing.T) int64 {
	t.Helper()
	s, err := (&app{streams: streams{err: t.Output()}}).openStore(t.Context(), Config{DataDir: m.data})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n, err := s.CountPublications(t.Context(), store.PublicationFilter{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A member is an entry of a package that a test makes.
type member struct {
	name, text string
	method     uint16
}

// Parts of a small EPUB without a cover.
const (
	containerXML = `<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>` +
		`<rootfile full-path="EPUB/package.opf" media-type="application/oebps-package+xml"/></rootfiles></container>`
	packageOPF = `<package version="3.0" unique-identifier="id" xmlns="http://www.idpf.org/2007/opf">` +
		`<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">urn:x:1</dc:identifier>` +
		`<dc:title>Plain</dc:title><dc:language>en</dc:language></metadata>` +
		`<manifest><item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>` +
		`<item id="one" href="one.xhtml" media-type="application/xhtml+xml"/></manifest>` +
		`<spine><itemref idref="one"/></spine></package>`
)

// plainEPUB is a small EPUB with the given members more, which take the place of
// those of the same name.
func plainEPUB(more ...member) []member {
	book := []member{
		{name: "mimetype", text: "application/epub+zip"},
		{name: "META-INF/container.xml", text: containerXML, method: zip.Deflate},
		{name: "EPUB/package.opf", text: packageOPF, method: zip.Deflate},
		{name: "EPUB/nav.xhtml", text: "<html/>", method: zip.Deflate},
		{name: "EPUB/one.xhtml", text: strings.Repeat("Call me Ishmael. ", 40), method: zip.Deflate},
	}
next:
	for _, m := range more {
		for i := range book {
			if book[i].name == m.name {
				book[i] = m
				continue next
			}
		}
		book = append(book, m)
	}
	return book
}

// pack makes a ZIP archive.
func pack(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		f, err := w.CreateHeader(&zip.FileHeader{Name: m.name, Method: m.method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(m.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
