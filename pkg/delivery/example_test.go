package delivery_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
)

// examples is where the documentation keeps a backend in each language.
const examples = "../../docs/examples/delivery"

// A language says how to run a program of the documentation.
type language struct {
	program string
	run     func(t *testing.T, file string, port string) (args []string)
}

func interpreted(program, suffix string) language {
	return language{program, func(_ *testing.T, file, _ string) []string {
		return []string{program, filepath.Join(examples, file+suffix)}
	}}
}

var languages = map[string]language{
	"Python": interpreted("python3", ".py"),
	"Node":   interpreted("node", ".mjs"),
	"PHP": {"php", func(_ *testing.T, file, port string) []string {
		args := []string{"php", filepath.Join(examples, file+".php")}
		if port != "" {
			args = []string{"php", "-S", "127.0.0.1:" + port, args[1]}
		}
		return args
	}},
	"Go": {"go", func(t *testing.T, file, _ string) []string {
		t.Helper()
		program := filepath.Join(t.TempDir(), file)
		if runtime.GOOS == "windows" {
			program += ".exe"
		}
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, filepath.Join(examples, file+".go")).CombinedOutput()
		if err != nil {
			t.Fatalf("build %s.go: %v\n%s", file, err, out)
		}
		return []string{program}
	}},
}

// TestExamples runs the backends of the documentation: a token that they mint
// gets a license, and their service answers callbacks that are signed, no others.
func TestExamples(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts other programs")
	}
	for name, l := range languages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(l.program); err != nil {
				t.Skipf("%s is not installed", l.program)
			}
			b := newBench(t)
			b.at = time.Now()
			b.Log = slog.New(slog.DiscardHandler)
			t.Run("mint", func(t *testing.T) { checkMint(t, b, l) })
			t.Run("callback", func(t *testing.T) { checkCallback(t, b, l) })
		})
	}
}

// environment is that of a backend.
func (b *bench) environment() []string {
	return append(os.Environ(), "DELIVERY_KID="+b.secret.KeyID, "DELIVERY_SECRET="+b.secret.Value.Hex())
}

func checkMint(t *testing.T, b *bench, l language) {
	t.Helper()
	args := append(l.run(t, "mint", ""), book, "u1")
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = b.environment()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("mint: %v", err)
	}
	b.at = time.Now()
	g, err := b.byToken(t, issue, strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	terms := g.Terms
	if loan := terms.End.Sub(b.at).Round(time.Minute); loan != 14*24*time.Hour || terms.User.ID != "u1" || terms.AssetID != book ||
		*terms.Copy != 10000 || *terms.Print != 10 || len(terms.PassHash) != 64 || terms.TextHint == "" {
		t.Errorf("a loan of %s for %q of %q", loan, terms.User.ID, terms.AssetID)
	}
}

func checkCallback(t *testing.T, b *bench, l language) {
	t.Helper()
	port := freePort(t)
	b.shop.Mode = delivery.ByCallback
	b.shop.Callback = delivery.Callback{URL: "http://127.0.0.1:" + port + "/lcp", Loopback: true}
	b.Callbacks = delivery.NewCallbacks(delivery.CallbackOptions{Now: b.Now, Timeout: patient})
	t.Cleanup(b.Callbacks.Close)
	start(t, b, l.run(t, "callback", port), port)
	b.at = time.Now()

	g, err := b.Authorize(t.Context(), b.shop, fresh)
	if err != nil {
		t.Fatal(err)
	}
	if g.Terms.User.Name != "Zoe" || len(g.Terms.PassHash) != 64 || g.Terms.End.IsZero() {
		t.Errorf("name %q, end %s", g.Terms.User.Name, g.Terms.End)
	}
	stranger := fresh
	stranger.User = "u2"
	_, err = b.Authorize(t.Context(), b.shop, stranger)
	if r, ok := errors.AsType[*delivery.Refusal](err); !ok || r.Reason != delivery.Denied || r.Message == "" || r.RedirectURL == "" {
		t.Errorf("a stranger: %v", err)
	}
	b.at = time.Now().Add(-10 * time.Minute)
	if _, err = b.Authorize(t.Context(), b.shop, fresh); !answered(err, "401") {
		t.Errorf("an old signature: %v", err)
	}
	b.at = time.Now()
	b.add(t, "shop", "k1", sharedsecret.HS256) // the backend has another of that name
	if _, err = b.Authorize(t.Context(), b.shop, fresh); !answered(err, "401") {
		t.Errorf("a wrong signature: %v", err)
	}
}

// answered reports whether a service answered with a status that denies.
func answered(err error, status string) bool {
	return delivery.ReasonOf(err) == delivery.Denied && strings.HasSuffix(err.Error(), "callback answered "+status)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// start runs a service until the end of the test, and returns once it says that
// it listens.
func start(t *testing.T, b *bench, args []string, port string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background()) // the test's ends before the cleanup
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(b.environment(), "PORT="+port)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	err = cmd.Start()
	_ = in.Close() // the program has its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // killed
		_ = out.Close()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if text := lines.Text(); strings.Contains(text, "listening") || strings.Contains(text, "started") {
			go func() { _, _ = io.Copy(io.Discard, out) }() // until the program ends
			return
		}
		t.Log(lines.Text())
	}
	t.Fatalf("%s ended before it listened", args[0])
}
