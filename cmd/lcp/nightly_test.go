//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A night is a run of the nightly job of the documentation.
func (m *machine) night(t *testing.T, env ...string) outcome {
	t.Helper()
	script, err := filepath.Abs("../../docs/examples/nightly/nightly.sh")
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "sh", script, "./nightly.conf")
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = m.dir, slices.Concat(m.env, env), &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// nightly checks the job against a live license server: what is delivered is
// stored and registered, what is broken is told of, and the next night does only
// what changed.
func nightly(t *testing.T, storage, flags string, env ...string) *machine {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh here")
	}
	s := newMachine(t).serve(t, "")
	m := newMachine(t)
	if err := os.Mkdir(m.path("delivery"), 0o700); err != nil {
		t.Fatal(err)
	}
	m.write(t, "credentials", []byte(s.user+":"+s.password+"\n"))
	m.write(t, "nightly.conf", fmt.Appendf(nil, "DELIVERY=delivery\nSTORAGE=%s\nS3_FLAGS=%q\nURL=https://cdn.example.com/b\nLCP_SERVER=%s\nCREDENTIALS=credentials\nSTATE=state\n",
		storage, flags, s.base))
	m.write(t, "delivery/9780000000002.epub", sample(t, "sample.epub"))
	m.write(t, "delivery/other.pdf", sample(t, "sample.pdf"))
	m.write(t, "delivery/feed.onix.xml", readFile(t, "../../pkg/onix/testdata/reference.xml"))
	m.write(t, "delivery/broken.epub", []byte("not a book"))

	first := m.night(t, env...)
	if first.code != exitSomeFailed || first.errors != "" ||
		!strings.Contains(first.out, "SOME FAILED (exit code 3)\nnew or corrected: 2\nunchanged:        0\nfailed:           1\n") ||
		!strings.Contains(first.out, "lcp: delivery/broken.epub: unknown publication format") {
		t.Fatalf("the first night: exit code %d: %s%s", first.code, first.out, first.errors)
	}
	if err := os.Remove(m.path("delivery/broken.epub")); err != nil {
		t.Fatal(err)
	}
	m.write(t, "delivery/other.pdf", append(sample(t, "sample.pdf"), '\n')) // corrected
	second := m.night(t, env...)
	if second.code != exitDone || !strings.Contains(second.out, "all done (exit code 0)\nnew or corrected: 1\nunchanged:        1\nfailed:           0\n") {
		t.Errorf("the second night: exit code %d: %s%s", second.code, second.out, second.errors)
	}
	list := m.must(t, "publications", "list", "--server", s.base, "--credentials-file", "credentials", "--format", "ndjson").out
	if strings.Count(list, "\n") != 2 || !strings.Contains(list, `"title":"The Whale: A story & more"`) {
		t.Errorf("the license server has %s", list)
	}
	return m
}

func TestNightlyIntoFolder(t *testing.T) {
	t.Parallel()
	m := nightly(t, "books", "")
	files, err := filepath.Glob(m.path("books/*.epub"))
	if err != nil || len(files) != 1 {
		t.Errorf("the folder has %q, %v", files, err)
	}
}

func TestNightlyIntoBucket(t *testing.T) {
	t.Parallel()
	address, client := startS3(t)
	nightly(t, "s3://books/shelf", "--s3-path-style --s3-region "+testRegion+" --s3-endpoint "+address,
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=testsecret")
	if keys := objects(t, client); len(keys) < 2 || !strings.HasPrefix(keys[0], "shelf/") {
		t.Errorf("the bucket has %q", keys)
	}
}
