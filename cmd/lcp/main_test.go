package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lcp-tools/lcp/testdata"
)

var update = flag.Bool("update", false, "rewrite what scripts compare output with")

// TestMain makes the test binary be lcp where scripts and tests run that.
func TestMain(m *testing.M) {
	testscript.Main(unconfigured{m}, map[string]func(){"lcp": main})
}

// unconfigured runs tests without the configuration of who runs them.
type unconfigured struct{ *testing.M }

func (m unconfigured) Run() int {
	for _, k := range configKeys() {
		for _, variable := range k.variables() {
			os.Unsetenv(variable)
		}
	}
	return m.M.Run()
}

// Every script of testdata/script keeps one promise, told in its first comment.
// It runs in an empty folder with the sample publications of the module, a
// second edition of sample.epub, and plain.epub that has no cover, on a machine where nothing is set up.
//
// In short mode, which is that of the race detector, only those run that have
// several things in hand at a time: built with it, lcp takes a second to start.
func TestScripts(t *testing.T) {
	t.Parallel()
	scripts := []string{"*"}
	if testing.Short() {
		scripts = []string{"*batch*", "catalogue_*", "demo", "report"}
	}
	var files []string
	for _, pattern := range scripts {
		found, err := filepath.Glob(filepath.Join("testdata", "script", pattern+".txtar"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no scripts are called %s: %v", pattern, err)
		}
		files = append(files, found...)
	}
	testscript.Run(t, testscript.Params{
		Files:               files,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			if err := os.CopyFS(env.WorkDir, testdata.Samples); err != nil {
				return err
			}
			plain := pack(env.T().(testing.TB), plainEPUB()...)
			return errors.Join(writeEdition2(env.WorkDir), os.WriteFile(filepath.Join(env.WorkDir, "plain.epub"), plain, 0o600))
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code":  cmdCode,
			"field": cmdField,
			"files": cmdFiles,
			"lines": cmdLines,
			"same":  cmdSame,
		},
	})
}

// writeEdition2 writes sample.epub with one entry more as edition2.epub.
func writeEdition2(dir string) error {
	z, err := zip.OpenReader(filepath.Join(dir, "sample.epub"))
	if err != nil {
		return err
	}
	defer z.Close()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range z.File {
		if err := w.Copy(f); err != nil {
			return err
		}
	}
	colophon, err := w.Create("EPUB/colophon.txt")
	if err == nil {
		_, err = io.WriteString(colophon, "second edition")
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "edition2.epub"), b.Bytes(), 0o600)
}

// code N COMMAND [ARG...] runs a command that must end with exit code N.
func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND [ARG...]")
	}
	code := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("exit code is %s, want %s", code, args[0])
	}
}

// field VARIABLE FILE NAME... sets a variable to what a member of a JSON object
// is, found by its names from the outside in. FILE may be stdout; of several
// objects the first counts.
func cmdField(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: field VARIABLE FILE NAME...")
	}
	var v any
	if err := json.NewDecoder(strings.NewReader(ts.ReadFile(args[1]))).Decode(&v); err != nil {
		ts.Fatalf("%s: %v", args[1], err)
	}
	for _, name := range args[2:] {
		object, _ := v.(map[string]any)
		member, ok := object[name]
		if !ok {
			ts.Fatalf("%s has no %q", args[1], name)
		}
		v = member
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

// files DIR [NAME...] fails unless exactly these files are in the folder and
// below. A folder that does not exist has none.
func cmdFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: files DIR [NAME...]")
	}
	got, err := filesIn(ts.MkAbs(args[0]))
	ts.Check(err)
	want := slices.Sorted(slices.Values(args[1:]))
	if !slices.Equal(got, want) {
		ts.Fatalf("%s holds %q, want %q", args[0], got, want)
	}
}

// filesIn lists the files in a folder and below, sorted, by their path in it.
func filesIn(dir string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		found = append(found, filepath.ToSlash(rel))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	slices.Sort(found)
	return found, err
}

// lines N FILE fails unless the file, or stdout or stderr, has N lines.
func cmdLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines N FILE")
	}
	text := ts.ReadFile(args[1])
	if got := strconv.Itoa(strings.Count(text, "\n")); got != args[0] {
		ts.Fatalf("%s has %s lines, want %s:\n%s", args[1], got, args[0], text)
	}
}

// same A B fails unless the two ZIP archives hold entries of the same names with
// the same bytes, as the standard library reads them.
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: same A B")
	}
	a, err := readZIP(ts.MkAbs(args[0]))
	ts.Check(err)
	b, err := readZIP(ts.MkAbs(args[1]))
	ts.Check(err)
	if an, bn := slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)); !slices.Equal(an, bn) {
		ts.Fatalf("%s has %q, %s has %q", args[0], an, args[1], bn)
	}
	for name := range a {
		if !bytes.Equal(a[name], b[name]) {
			ts.Fatalf("entry %q differs", name)
		}
	}
}

// readZIP reads all entries of an archive.
func readZIP(name string) (map[string][]byte, error) {
	z, err := zip.OpenReader(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer z.Close()
	entries := make(map[string][]byte, len(z.File))
	for _, f := range z.File {
		if entries[f.Name], err = readZIPFile(f); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", name, f.Name, err)
		}
	}
	return entries, nil
}

func readZIPFile(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
