// Package browser_test opens pages of lcp serve in Chromium. The JavaScript that
// does so is in _js, a name that keeps the go command out of node_modules.
//
// The tests need Chromium, node and the packages: make browser installs the
// packages and runs the tests.
package browser_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A lab has what the tests need: a built lcp, and a browser.
type lab struct {
	lcp      string
	chromium string
	shots    string // folder for pictures
}

// newLab builds lcp, or skips the test where something is missing.
func newLab(t *testing.T) *lab {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves the browser out")
	}
	l := &lab{shots: t.TempDir()}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			l.chromium = path
			break
		}
	}
	if l.chromium == "" {
		t.Skip("chromium is not installed")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed, which drives the browser")
	}
	if _, err := os.Stat(filepath.Join("_js", "node_modules", "playwright-core")); err != nil {
		t.Skip("what drives the browser is not installed: make browser does it")
	}
	if dir := os.Getenv("LCP_SCREENSHOTS"); dir != "" {
		l.shots = dir
	}
	var err error
	if l.lcp, err = build(); err != nil {
		t.Fatal(err)
	}
	return l
}

// build builds lcp for all tests, once.
var build = sync.OnceValues(func() (string, error) {
	lcp := filepath.Join(built, "lcp")
	if out, err := exec.Command("go", "build", "-o", lcp, "../../cmd/lcp").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build lcp: %w\n%s", err, out)
	}
	return lcp, nil
})

// built is the folder of what is built.
var built string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "browser-test-")
	if err != nil {
		panic(err)
	}
	built = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// serve starts lcp serve with a configuration, and returns its address.
func (l *lab) serve(t *testing.T, config string) string {
	t.Helper()
	return l.serveFrom(t, t.TempDir(), config)
}

// serveFrom is serve with its data in a folder.
func (l *lab) serveFrom(t *testing.T, dir, config string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	file := filepath.Join(dir, "lcp.yaml")
	text := fmt.Sprintf("public_base_url: http://%[1]s\naddress: %[1]s\nops_address: off\n%[2]s", address, config)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(l.lcp, "serve", "--config", file, "--data-dir", filepath.Join(dir, "data"))
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("lcp serve: %s", stderr.Bytes())
		}
	})
	base := "http://" + address
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get(base + "/health")
		if err == nil {
			resp.Body.Close()
			return base
		}
		if time.Since(begin) > time.Minute {
			t.Fatalf("lcp serve does not answer: %v", err)
		}
	}
}

// lcpOn runs a command on the data in a folder, and returns what it printed.
func (l *lab) lcpOn(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), l.lcp, append(args, "--data-dir", filepath.Join(dir, "data"))...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("lcp %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return out
}

// A network is all that a browser can reach, and notes what it asks for.
type network struct {
	*httptest.Server

	mu    sync.Mutex
	asked []string // method and URL, but the browser's own; guarded by mu
}

// newNetwork lets a browser reach what is on this machine, and nothing else.
func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{}
	forward := &httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isBrowsersOwn(r.URL.Hostname()) {
			http.Error(w, "out of reach", http.StatusForbidden)
			return
		}
		n.mu.Lock()
		n.asked = append(n.asked, r.Method+" "+r.URL.String())
		n.mu.Unlock()
		if host := r.URL.Hostname(); host != "127.0.0.1" && host != "localhost" || r.Method == http.MethodConnect {
			http.Error(w, "out of reach", http.StatusForbidden)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(n.Close)
	return n
}

// isBrowsersOwn reports whether a host is one that Chromium calls by itself,
// whatever page it shows.
func isBrowsersOwn(host string) bool {
	return strings.HasSuffix(host, ".google.com") || strings.HasSuffix(host, ".googleapis.com") || strings.HasSuffix(host, ".gvt1.com")
}

// requests returns what was asked for, each once.
func (n *network) requests() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := slices.Clone(n.asked)
	slices.Sort(list)
	return slices.Compact(list)
}

// run runs a script with a value as its case, and returns what it printed.
func (l *lab) run(t *testing.T, script string, value any) ([]byte, error) {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "case.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join("_js", script), file)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s%s", script, err, out, stderr.Bytes())
	}
	return out, err
}

// A viewOf is a page as it was seen once.
type viewOf struct {
	Language   string   `json:"language"` // of the browser
	View       string   `json:"view"`
	Shot       string   `json:"shot"` // file of a picture
	Status     int      `json:"status"`
	Declared   string   `json:"declared"` // language of the page
	Text       string   `json:"text"`
	Scripts    int      `json:"scripts"`
	Cookies    int      `json:"cookies"`
	Focus      string   `json:"focus"`      // how the first link shows that it has it
	Complaints []string `json:"complaints"` // of the browser: policy violations, errors
	Spill      []string `json:"spill"`      // elements that are wider than the window
	Barriers   []string `json:"barriers"`   // what axe-core finds
}

// look looks at a page in several languages, in several ways.
func (l *lab) look(t *testing.T, n *network, url string, languages ...string) []viewOf {
	t.Helper()
	out, err := l.run(t, "look.mjs", map[string]any{
		"chromium": l.chromium, "proxy": n.URL, "url": url, "languages": languages, "shots": l.shots,
	})
	if err != nil {
		t.Fatal(err)
	}
	var views []viewOf
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var v viewOf
		if err := d.Decode(&v); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, out)
		}
		views = append(views, v)
	}
	if len(views) != 2*len(languages) {
		t.Fatalf("%d views of %d languages:\n%s", len(views), len(languages), out)
	}
	return views
}

// faults tells what is wrong with a view of a page that loads nothing.
func (v viewOf) faults() string {
	var b strings.Builder
	for what, list := range map[string][]string{"browser complains": v.Complaints, "does not fit": v.Spill, "barrier": v.Barriers} {
		for _, s := range list {
			fmt.Fprintf(&b, "%s: %s\n", what, s)
		}
	}
	if v.Scripts > 0 || v.Cookies > 0 {
		fmt.Fprintf(&b, "%d scripts, %d cookies\n", v.Scripts, v.Cookies)
	}
	if v.Focus == "none" {
		b.WriteString("focus is not to be seen\n")
	}
	return b.String()
}
