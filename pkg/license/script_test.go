package license_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/certificate"
)

const script = "../../scripts/verify-license.sh"

// verifyScript runs the script, which shares no code with us, on a license.
func verifyScript(t *testing.T, text []byte, args ...string) (verdict string, code int) {
	t.Helper()
	for _, tool := range []string{"sh", "openssl", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s, which the script needs, is not installed", tool)
		}
	}
	file := filepath.Join(t.TempDir(), "license.lcpl")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{script, file}, args...)...)
	out, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestLicensesVerifyWithOpenSSL(t *testing.T) {
	t.Parallel()
	const text = "<b>Tom & \"Jerry\"</b> \\ / \u2028\u2029 \U0001F469\u200D\U0001F680 e\u0301 \u00e9 \u007f \x00\x01\b\t\n\f\r\x1f \ufeff \uffff"
	for _, keyType := range []certificate.KeyType{certificate.RSA2048, certificate.P256} {
		t.Run(string(keyType), func(t *testing.T) {
			t.Parallel()
			r := request()
			r.Publication.Title, r.TextHint, r.User.ID, r.User.Name = text, text, text, text
			r.User.Encrypted = []string{"email"}
			r.User.Fields = map[string]string{"https://a.example/\uff5e": text, "https://a.example/\U0001F600": text}
			d := issue(t, newIssuer(t, options(t, keyType)), r)
			if _, err := d.Verify(nil); err != nil {
				t.Fatal(err)
			}
			_, dir := provider(t, keyType)
			for _, args := range [][]string{nil, {filepath.Join(dir, certificate.RootFile)}} {
				verdict, code := verifyScript(t, d.JSON(), args...)
				if code != 0 || !strings.HasPrefix(verdict, "OK ") || strings.Count(verdict, "\n") != 1 {
					t.Errorf("%s %v = %d, %s", script, args, code, verdict)
				}
			}
		})
	}
}

func TestScriptRefuses(t *testing.T) {
	t.Parallel()
	d := string(issue(t, newIssuer(t, options(t, certificate.P256)), request()).JSON())
	_, otherDir := provider(t, certificate.RSA2048)
	for name, tt := range map[string]struct {
		text   string
		args   []string
		reason string
	}{
		"changed":         {strings.Replace(d, `"print":10`, `"print":11`, 1), nil, "does not match"},
		"another root":    {d, []string{filepath.Join(otherDir, certificate.RootFile)}, "certificate"},
		"unsigned":        {`{"id":"1"}`, nil, "signature"},
		"not JSON":        {`<license/>`, nil, ""},
		"repeated member": {strings.Replace(d, `{"provider"`, `{"id":"x","provider"`, 1), nil, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			verdict, code := verifyScript(t, []byte(tt.text), tt.args...)
			if code != 1 || !strings.HasPrefix(verdict, "BAD ") || !strings.Contains(verdict, tt.reason) {
				t.Errorf("%s = %d, %s, want 1 and %q", script, code, verdict, tt.reason)
			}
		})
	}
}
