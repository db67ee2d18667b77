//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/pkg/inbox"
)

// A watching lcp prints a record for each file, and lines on what it does.
type watching struct {
	t       *testing.T
	cmd     *exec.Cmd
	records chan catalogue.Record
	lines   chan string

	mu  sync.Mutex
	log bytes.Buffer
}

// watch starts lcp on the machine's folder in.
func (m *machine) watch(t *testing.T, args ...string) *watching {
	t.Helper()
	if err := os.MkdirAll(m.path("in"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	w := &watching{t: t, records: make(chan catalogue.Record, 1000), lines: make(chan string, 1000)}
	w.cmd = m.command(ctx, append([]string{"encrypt", "--watch", "in", "--out", "shelf", "--settle", "50ms"}, args...)...)
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := w.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.cmd.Process.Kill() })
	go func() {
		for d := json.NewDecoder(out); ; {
			var rec catalogue.Record
			if d.Decode(&rec) != nil {
				close(w.records)
				return
			}
			w.records <- rec
		}
	}()
	go func() {
		for s := bufio.NewScanner(errs); s.Scan(); {
			w.mu.Lock()
			w.log.WriteString(s.Text() + "\n")
			w.mu.Unlock()
			w.lines <- s.Text()
		}
		close(w.lines)
	}()
	return w
}

// record waits for the next record.
func (w *watching) record() catalogue.Record {
	w.t.Helper()
	rec, ok := <-w.records
	if !ok {
		w.t.Fatalf("the watch ended: %s", w.printed())
	}
	return rec
}

// until waits for a line with a text.
func (w *watching) until(text string) {
	w.t.Helper()
	for line := range w.lines {
		if strings.Contains(line, text) {
			return
		}
	}
	w.t.Fatalf("the watch ended without %q: %s", text, w.printed())
}

func (w *watching) printed() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// stop has the watch end, which must be with exit code 0.
func (w *watching) stop(signal os.Signal) {
	w.t.Helper()
	_ = w.cmd.Process.Signal(signal)
	for range w.lines { // to their end, before the pipes are closed
	}
	if err := w.cmd.Wait(); err != nil {
		w.t.Errorf("stopped by %s: %v: %s", signal, err, w.printed())
	}
}

// A watch that begins while the license server is away waits for it; one whose
// credentials the server refuses ends at once.
func TestWatchBegins(t *testing.T) {
	t.Parallel()
	server := &documentedServer{publications: map[string]api.Publication{}}
	var away atomic.Bool
	live := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(live.Close)
	m := newMachine(t)
	m.env = append(m.env, "LCP_SERVER="+live.URL, "LCP_SERVER_USER=ann", "LCP_SERVER_PASSWORD=open sesame")
	if err := os.MkdirAll(m.path("in"), 0o700); err != nil {
		t.Fatal(err)
	}
	m.write(t, "in/book.epub", sample(t, "sample.epub"))
	away.Store(true)
	w := m.watch(t, "--url", "https://cdn.example.com")
	w.until("503 Service Unavailable (tried 5 times): files stay until it is back")
	away.Store(false)
	if rec := w.record(); rec.Title == "" {
		t.Errorf("record %+v", rec)
	}
	w.stop(syscall.SIGTERM)

	m.env = append(m.env, "LCP_SERVER_PASSWORD=wrong")
	m.write(t, "in/next.epub", sample(t, "sample.epub"))
	o := m.run(t, "encrypt", "--watch", "in", "--out", "shelf", "--url", "https://cdn.example.com")
	if o.code != exitFailed || !strings.Contains(o.errors, "401 Unauthorized") {
		t.Errorf("with a wrong password: exit code %d: %s", o.code, o.errors)
	}
}

// What is there and what arrives is done, broken files among it; sources are put
// away under the path they had. A watch that is told to stop succeeds.
func TestWatch(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if err := os.MkdirAll(m.path("in/sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	m.write(t, "in/sub/there.epub", sample(t, "sample.epub"))
	m.write(t, "in/broken.epub", []byte("not a book"))
	m.write(t, "in/notes.txt", []byte("not for us"))
	w := m.watch(t, "--jobs", "1", "--metrics-address", "127.0.0.1:0", "--altid")
	w.until("counters are at ")
	first := w.record()
	w.until("broken.epub: ")
	m.write(t, "in/next.pdf.part", sample(t, "sample.pdf"))
	if err := os.Rename(m.path("in/next.pdf.part"), m.path("in/next.pdf")); err != nil {
		t.Fatal(err)
	}
	if rec := w.record(); rec.AltID != "next" {
		t.Errorf("record %+v", rec)
	}
	if out := m.run(t, "encrypt", "--watch", "in", "--out", "other"); out.code != exitFailed || !strings.Contains(out.errors, "another run is using it") {
		t.Errorf("a second watch: exit code %d: %s", out.code, out.errors)
	}
	m.write(t, "in/there.epub", readFile(t, editionFile(t))) // a new edition of what has gone by
	if rec := w.record(); rec.UUID != first.UUID || rec.Checksum == first.Checksum {
		t.Errorf("the new edition is %+v, the first %+v", rec, first)
	}
	w.stop(syscall.SIGTERM)
	wantFiles(t, m.path("in"), ".lcp-journal", "done/next.pdf", "done/sub/there.epub", "done/there.epub",
		"failed/broken.epub", "failed/broken.epub.error.json", "notes.txt")
	var note inbox.Note
	if err := json.Unmarshal(readFile(t, m.path("in/failed/broken.epub.error.json")), &note); err != nil {
		t.Fatal(err)
	}
	if note.Source != "broken.epub" || note.Kind != "unknown" || !strings.Contains(note.Reason, "unknown publication format") || note.Code != exitFailed || note.Time.IsZero() {
		t.Errorf("note %+v", note)
	}
	if n := m.publications(t); n != 2 {
		t.Errorf("%d publications are registered", n)
	}
}

func editionFile(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sample.epub"), sample(t, "sample.epub"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeEdition2(dir); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "edition2.epub")
}

// Without --altid, what comes under a name that was there before is another book.
// Counters count, and --delete-source leaves nothing behind.
func TestWatchDeletesAndCounts(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	address := "127.0.0.1:" + freePort(t)
	w := m.watch(t, "--metrics-address", address, "--delete-source")
	w.until("watching in")
	m.write(t, "in/book.epub", sample(t, "sample.epub"))
	first := w.record()
	for gone := false; !gone; {
		_, err := os.Stat(m.path("in/book.epub"))
		gone = os.IsNotExist(err)
	}
	m.write(t, "in/book.epub", sample(t, "sample.epub"))
	if second := w.record(); second.UUID == first.UUID {
		t.Error("the second book has the identifier of the first")
	}
	m.write(t, "in/bad.epub", nil)
	w.until("bad.epub")
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	for _, line := range []string{
		`lcp_watch_files_total{result="done"} 2`, `lcp_watch_files_total{result="failed"} 1`, "lcp_watch_duration_seconds_count 2", "lcp_watch_waiting 0",
	} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("the counters lack %s:\n%s", line, text)
		}
	}
	w.stop(os.Interrupt)
	wantFiles(t, m.path("in"), ".lcp-journal", "failed/bad.epub", "failed/bad.epub.error.json")
}

// While the license server cannot be reached, files stay; when it can be, each is
// registered once.
func TestWatchWaitsForTheServer(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	port := freePort(t)
	m.env = append(m.env, "LCP_PORT="+port, "LCP_PUBLIC_BASE_URL=http://localhost:"+port, "LCP_OPS_ADDRESS=off",
		"LCP_ACCESS_USERNAME=lcp", "LCP_ACCESS_PASSWORD=a long password", "LCP_SERVER_USER=lcp", "LCP_SERVER_PASSWORD=a long password")
	w := m.watch(t, "--server", "http://localhost:"+port, "--url", "https://cdn.example.com", "--altid")
	m.write(t, "in/a.epub", sample(t, "sample.epub"))
	m.write(t, "in/b.epub", sample(t, "sample.epub"))
	w.until("it stays, to be tried again in ")
	wantFiles(t, m.path("in"), ".lcp-journal", "a.epub", "b.epub")
	serve := m.command(t.Context(), "serve")
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = serve.Process.Signal(syscall.SIGTERM), serve.Wait() }()
	a, b := w.record(), w.record()
	if a.UUID == b.UUID || a.AltID+b.AltID != "ab" && a.AltID+b.AltID != "ba" {
		t.Errorf("records %+v, %+v", a, b)
	}
	w.stop(syscall.SIGTERM)
	wantFiles(t, m.path("in"), ".lcp-journal", "done/a.epub", "done/b.epub")
	if files, _ := filesIn(m.path("shelf")); len(files) != 2 {
		t.Errorf("the shelf has %q", files)
	}
}

// Killed at random moments and started again, a watch does every file once, without
// alternative identifiers to go by.
func TestWatchSurvivesKills(t *testing.T) {
	t.Parallel()
	const kills, books = 12, 24
	m := newMachine(t)
	if err := os.Mkdir(m.path("in"), 0o700); err != nil {
		t.Fatal(err)
	}
	book := bigEPUB(t, 1<<20)
	for i := range books {
		m.write(t, fmt.Sprintf("in/%02d.epub", i), book)
	}
	for range kills {
		cmd := m.command(t.Context(), "-q", "encrypt", "--watch", "in", "--out", "shelf", "--settle", "0s")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(80*time.Millisecond+rand.N(300*time.Millisecond), func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
	}
	w := m.watch(t)
	w.until("watching in")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if left, err := filepath.Glob(m.path("in/*.epub")); err != nil || len(left) == 0 {
			break
		}
	}
	w.stop(syscall.SIGTERM)
	checkShelf(t, m, books)
}

// Interrupted twice, lcp goes at once, even where a server keeps it.
func TestInterruptedTwice(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m := newMachine(t)
	m.env = append(m.env, "AWS_ACCESS_KEY_ID=k", "AWS_SECRET_ACCESS_KEY=s")
	m.write(t, "book.epub", sample(t, "sample.epub"))
	cmd := m.command(t.Context(), "encrypt", "book.epub", "--storage", "s3://books", "--s3-path-style", "--s3-endpoint", "http://"+l.Addr().String())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept() // it waits for an answer now
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case <-ended:
				return
			case <-time.After(50 * time.Millisecond):
				_ = cmd.Process.Signal(os.Interrupt)
			}
		}
	}()
	_ = cmd.Wait()
	close(ended)
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
	if n := m.publications(t); n != 0 {
		t.Errorf("%d publications are registered", n)
	}
}
