//go:build unix

package main

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bigEPUB is a book that takes a while: media that are copied and text that is
// inflated to be verified.
func bigEPUB(t *testing.T, size int) []byte {
	t.Helper()
	book := plainEPUB()
	media := noise(1 << 20)
	for i := range size >> 20 {
		book = append(book, member{name: fmt.Sprintf("EPUB/media/%d.jpg", i), text: media[i:]})
	}
	for i := range 4 {
		book = append(book, member{name: fmt.Sprintf("EPUB/text/%d.xhtml", i), text: strings.Repeat("Call me Ishmael. ", 1<<16), method: zip.Deflate})
	}
	return pack(t, book...)
}

// Killed at any moment, a run leaves nothing half-written under a final name,
// and running again succeeds with the same key.
func TestEncryptSurvivesKill(t *testing.T) {
	t.Parallel()
	kills := 16
	if testing.Short() {
		kills = 4
	}
	book := bigEPUB(t, 12<<20)
	m := newCrashMachine(t, book)
	full := m.encryptTime(t)
	for i := range kills {
		if i%4 == 3 {
			m = newCrashMachine(t, book) // one where nothing was set up
		}
		moment := rand.N(full + full/8)
		cmd := m.command(t.Context(), "encrypt", "book.epub", "--altid", "--out", "shelf")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(moment, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
		if !m.checkAfterCrash(t) {
			t.Fatalf("killed after %s of %s", moment, full)
		}
	}
}

// A crashMachine is a machine with a book that is encrypted over and over.
type crashMachine struct {
	*machine
	want    map[string][]byte // the entries of the book
	license string            // uuid of the publication that book.lcpl is for
}

func newCrashMachine(t *testing.T, book []byte) *crashMachine {
	t.Helper()
	m := newMachine(t)
	m.write(t, "book.epub", book)
	m.write(t, "p", []byte("secret"))
	want, err := readZIP(m.path("book.epub"))
	if err != nil {
		t.Fatal(err)
	}
	return &crashMachine{machine: m, want: want}
}

// encryptTime is how long a run takes on this machine, another one's data used.
func (m *crashMachine) encryptTime(t *testing.T) time.Duration {
	t.Helper()
	begin := time.Now()
	m.must(t, "encrypt", "book.epub", "--altid", "--out", "shelf", "--data-dir", m.path("other"))
	full := time.Since(begin)
	if err := os.RemoveAll(m.path("shelf")); err != nil {
		t.Fatal(err)
	}
	return full
}

// checkAfterCrash looks at what is there, runs again, and sees to it that both
// what was there and what is there now opens with a license.
func (m *crashMachine) checkAfterCrash(t *testing.T) bool {
	t.Helper()
	left := m.shelf(t)
	for i, name := range left {
		kept := fmt.Sprintf("kept-%d.epub", i)
		m.write(t, kept, readFile(t, filepath.Join(m.path("shelf"), name)))
		defer os.Remove(m.path(kept))
	}
	rec := m.must(t, "encrypt", "book.epub", "--altid", "--out", "shelf").record(t)
	if now := m.shelf(t); len(now) != 1 || now[0] != rec.UUID+".epub" || len(left) > 1 || len(left) == 1 && left[0] != now[0] {
		t.Errorf("the folder held %q, and %q after running again", left, now)
	}
	if m.license != rec.UUID {
		m.must(t, "license", "generate", "--alt-id", "book", "--user", "u", "--hint", "h", "--passphrase-file", "p", "--out", "book.lcpl")
		m.license = rec.UUID
	}
	for i := range left {
		m.checkOpens(t, fmt.Sprintf("kept-%d.epub", i))
	}
	m.checkOpens(t, "shelf/"+rec.UUID+".epub")
	if n := m.publications(t); n != 1 {
		t.Errorf("%d publications are registered, want 1", n)
	}
	return !t.Failed()
}

// shelf lists what is in the output folder under a name that is not hidden.
func (m *crashMachine) shelf(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(m.path("shelf"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !isHidden(e.Name()) {
			names = append(names, e.Name())
		} else if runtime.GOOS == "linux" {
			t.Errorf("a temporary file was left: %s", e.Name())
		}
	}
	return names
}

func (m *crashMachine) checkOpens(t *testing.T, name string) {
	t.Helper()
	m.must(t, "decrypt", name, "--license", "book.lcpl", "--passphrase-file", "p", "--out", "clear.epub")
	got, err := readZIP(m.path("clear.epub"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(m.want) {
		t.Errorf("%s has %d entries, want %d", name, len(got), len(m.want))
	}
	for entry, data := range m.want {
		if string(got[entry]) != string(data) {
			t.Errorf("%s: entry %q is not the original", name, entry)
		}
	}
}

// Ctrl-C rolls back what is in hand: exit code 130, nothing left.
func TestEncryptInterrupted(t *testing.T) {
	t.Parallel()
	book := bigEPUB(t, 24<<20)
	m := newCrashMachine(t, book)
	full := m.encryptTime(t)
	interrupted := 0
	for range 4 {
		moment := full/4 + rand.N(full/2)
		cmd := m.command(t.Context(), "encrypt", "book.epub", "--altid", "--verify", "--out", "shelf")
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		interrupt := time.AfterFunc(moment, func() { _ = cmd.Process.Signal(os.Interrupt) })
		err := cmd.Wait()
		interrupt.Stop()
		status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
		switch code := cmd.ProcessState.ExitCode(); {
		case code == exitDone, status.Signaled():
			continue // it was quicker, or ended by the signal itself while it began or ended
		case code == exitInterrupted:
			interrupted++
		default:
			t.Fatalf("interrupted after %s of %s: %v: %s", moment, full, err, &stderr)
		}
		if !strings.HasSuffix(stderr.String(), "lcp: interrupted\n") {
			t.Errorf("standard error is %q", &stderr)
		}
		wantFiles(t, m.temp)
		if found, err := filesIn(m.path("shelf")); err != nil || len(found) > 1 {
			t.Errorf("the output folder holds %q, %v", found, err)
		}
	}
	if interrupted == 0 {
		t.Log("every run was quicker than its interrupt")
	}
	m.checkAfterCrash(t)
}

// An interrupt ends waiting for a download, and the part that came is removed;
// the items that were not begun are not.
func TestEncryptInterruptedDownload(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(noise(1 << 16)))
		_ = http.NewResponseController(w).Flush()
		close(asked)
		<-r.Context().Done()
	}))
	defer server.Close()
	m.write(t, "later.epub", sample(t, "sample.epub"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := m.command(ctx, "encrypt", server.URL+"/book.epub", "later.epub", "--jobs", "1", "--out", "shelf")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-asked:
	case <-ctx.Done():
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	if !strings.HasSuffix(stderr.String(), "lcp: stopped: 0 of 2 are done\nlcp: interrupted\n") {
		t.Errorf("standard error is %q", &stderr)
	}
	wantFiles(t, m.temp)
	wantFiles(t, m.path("shelf"))
	if n := m.publications(t); n != 0 {
		t.Errorf("%d publications are registered, want none", n)
	}
}

// The reader of standard output goes away: the run ends its work nevertheless,
// and fails.
func TestEncryptWithoutReader(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.write(t, "one.epub", sample(t, "sample.epub"))
	m.write(t, "two.pdf", sample(t, "sample.pdf"))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	cmd := m.command(t.Context(), "encrypt", "one.epub", "two.pdf", "--jobs", "1", "--out", "shelf")
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = w, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
		t.Errorf("%v, want exit code %d", err, exitFailed)
	}
	if !strings.Contains(stderr.String(), "lcp: print the records: ") {
		t.Errorf("standard error is %q", &stderr)
	}
	if n := m.publications(t); n != 2 {
		t.Errorf("%d publications are registered, want 2", n)
	}
}

// What is no file is refused, and not waited for.
func TestEncryptRefusesSpecialFiles(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if err := syscall.Mkfifo(m.path("pipe.epub"), 0o600); err != nil {
		t.Skipf("named pipes cannot be made here: %v", err)
	}
	l, err := net.Listen("unix", m.path("socket.epub"))
	if err != nil {
		t.Skipf("sockets cannot be made here: %v", err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, name := range []string{"pipe.epub", "socket.epub", os.DevNull} {
		cmd := m.command(ctx, "-q", "encrypt", name, "--out", "shelf")
		out, err := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != exitFailed || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
