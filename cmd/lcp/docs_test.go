package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/store/storetest"
)

// shellBlock is an example in the documentation: a fenced block of sh.
var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// TestDocumentationExamples runs the examples of each document one after
// another in an empty folder, as a reader would.
func TestDocumentationExamples(t *testing.T) {
	if testing.Short() {
		t.Skip("short: they start lcp a hundred times")
	}
	for _, tool := range []string{"sh", "curl", "sha256sum", "openssl", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s, which the examples call, is not installed", tool)
		}
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
	queue, hasQueue := startQueue(t)
	for _, document := range append(documents, "../../README.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		port := freePort(t)
		t.Cleanup(func() { stopServer(dir) })
		for _, block := range shellBlock.FindAllStringSubmatch(string(text), -1) {
			script := strings.ReplaceAll(block[1], "scripts/", repository+"/scripts/")
			script = strings.ReplaceAll(script, ":8989", ":"+port)
			if strings.HasPrefix(script, "make ") {
				continue // builds and tests: this very test is part of it
			}
			if strings.Contains(script, "--enqueue") && !hasQueue {
				t.Log("no PostgreSQL here: the example with a queue is left out")
				continue
			}
			examples++
			cmd := exec.CommandContext(t.Context(), "sh", "-euc", script)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir+"/data", "XDG_CONFIG_HOME="+dir+"/config",
				"LCP_QUEUE="+queue, "LCP_PORT="+port, "LCP_PUBLIC_BASE_URL=http://localhost:"+port, "LCP_OPS_ADDRESS=off")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: example\n%s\nfails: %v\n%s", filepath.Base(document), block[1], err, out)
			}
		}
	}
	if examples < 5 {
		t.Errorf("found %d examples: the documentation has more, so they were not recognized", examples)
	}
}

// startQueue returns the address of an empty database on a real PostgreSQL, which
// goes with the test.
func startQueue(t *testing.T) (url string, ok bool) {
	t.Helper()
	server, err := storetest.Start(context.WithoutCancel(t.Context()), "postgres")
	if errors.Is(err, storetest.ErrNoServer) {
		return "", false
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server.Database(t).DSN, true
}

// freePort returns a port that nothing listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// stopServer ends the server that the examples in dir started and did not end.
func stopServer(dir string) {
	text, err := os.ReadFile(filepath.Join(dir, "serve.pid"))
	if err != nil {
		return
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
	}
}
