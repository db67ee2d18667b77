package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// On a full disk a run fails with the reason and leaves nothing; what was there
// before is still there, and with more space running again succeeds.
func TestEncryptOnFullDisk(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if err := os.Mkdir(m.path("shelf"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", m.path("shelf"), "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("a small file system cannot be mounted: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(m.path("shelf"), 0); err != nil {
			t.Error(err)
		}
	}()
	m.write(t, "book.epub", sample(t, "sample.epub"))
	first := m.must(t, "encrypt", "book.epub", "--altid", "--out", "shelf").record(t)

	m.write(t, "book.epub", pack(t, plainEPUB(member{name: "EPUB/big.jpg", text: noise(4 << 20)})...))
	o := m.run(t, "-q", "encrypt", "book.epub", "--altid", "--out", "shelf")
	if o.code != exitFailed || o.out != "" || strings.Count(o.errors, "\n") != 1 ||
		!strings.HasPrefix(o.errors, "lcp: book.epub: ") || !strings.Contains(o.errors, "no space left on device") {
		t.Errorf("exit code %d, output %q, standard error %q", o.code, o.out, o.errors)
	}
	wantFiles(t, m.path("shelf"), first.UUID+".epub")
	m.must(t, "decrypt", "shelf/"+first.UUID+".epub", "--out", "clear.epub")

	if o := m.run(t, "decrypt", "shelf/"+first.UUID+".epub", "--out", "shelf/clear.epub"); o.code != exitDone {
		t.Errorf("what fits is not written: %s", o.errors)
	}
	if err := syscall.Mount("none", m.path("shelf"), "tmpfs", syscall.MS_REMOUNT, "size=32m"); err != nil {
		t.Fatal(err)
	}
	again := m.must(t, "encrypt", "book.epub", "--altid", "--out", "shelf").record(t)
	if again.UUID != first.UUID {
		t.Errorf("the uuid is %s, want %s", again.UUID, first.UUID)
	}
}
