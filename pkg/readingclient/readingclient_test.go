package readingclient_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lcp-tools/lcp/pkg/readingclient"
)

// The module on a clock of its own, in a page that is made up. test/browser has it
// in a real one.
func TestModule(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed, which runs the module")
	}
	file := filepath.Join(t.TempDir(), "reading-sessions.mjs")
	if err := os.WriteFile(file, readingclient.Module(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "--test", filepath.Join("testdata", "reading-sessions.test.mjs"))
	cmd.Env = append(os.Environ(), "LCP_MODULE="+file)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// It is loaded by pages that want to be read at once.
func TestModuleIsSmall(t *testing.T) {
	t.Parallel()
	if n := len(readingclient.Module()); n == 0 || n > 20<<10 {
		t.Errorf("the module has %d bytes", n)
	}
}
