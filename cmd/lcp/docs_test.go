package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// shellBlock is an example in the documentation: a fenced block of sh.
var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// TestDocumentationExamples runs the examples of each document one after
// another in an empty folder, as a reader would.
func TestDocumentationExamples(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh to run the examples with")
	}
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for _, document := range append(documents, "../../README.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for _, block := range shellBlock.FindAllStringSubmatch(string(text), -1) {
			script := strings.ReplaceAll(block[1], "scripts/", repository+"/scripts/")
			if strings.HasPrefix(script, "make ") {
				continue // builds and tests: this very test is part of it
			}
			examples++
			cmd := exec.CommandContext(t.Context(), "sh", "-euc", script)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir+"/data", "XDG_CONFIG_HOME="+dir+"/config")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: example\n%s\nfails: %v\n%s", filepath.Base(document), block[1], err, out)
			}
		}
	}
	if examples < 5 {
		t.Errorf("found %d examples: the documentation has more, so they were not recognized", examples)
	}
}
