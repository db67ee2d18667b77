//go:build unix

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func uploadObject(t *testing.T, client *s3.Client, key string, data []byte) {
	t.Helper()
	bucket := testBucket
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(data)}); err != nil {
		t.Fatal(err)
	}
}

// Publications are taken from a bucket: by their keys, below a prefix, from a list;
// into the same bucket, too. What is unchanged there is not read again.
func TestEncryptFromS3(t *testing.T) {
	t.Parallel()
	address, client := startS3(t)
	m := newMachine(t)
	m.env = append(m.env, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=testsecret")
	for key, name := range map[string]string{
		"new/a b.epub": "sample.epub", "new/b.pdf": "sample.pdf", "new/sub/c.cbz": "sample.cbz", "new/.hidden.epub": "sample.epub",
	} {
		uploadObject(t, client, key, sample(t, name))
	}
	uploadObject(t, client, "new/notes.txt", []byte("not for us"))
	reach := []string{"--s3-endpoint", address, "--s3-path-style", "--s3-region", testRegion, "--jobs", "1"}
	run := func(args ...string) outcome {
		return m.run(t, append(append([]string{"-q", "encrypt"}, args...), reach...)...)
	}

	out := run("s3://books/new/", "--out", "shelf", "--journal", "journal", "--altid", "--verify")
	if out.code != exitDone || strings.Count(out.out, "\n") != 2 || !strings.Contains(out.out, `"alt_id":"a b"`) {
		t.Fatalf("exit code %d: %s%s", out.code, out.out, out.errors)
	}
	m.write(t, "clear.epub", sample(t, "sample.epub"))
	rec := outcome{out: strings.SplitAfter(out.out, "\n")[0]}.record(t)
	m.must(t, "-q", "decrypt", rec.File, "--out", "back.epub")
	want, _ := readZIP(m.path("clear.epub"))
	if got, err := readZIP(m.path("back.epub")); err != nil || !bytes.Equal(got["EPUB/package.opf"], want["EPUB/package.opf"]) {
		t.Errorf("what comes back is not what was in the bucket: %v", err)
	}

	// Into a folder below, whose objects a later run does not take.
	for range 2 {
		out = run("s3://books/new/", "-r", "--storage", "s3://books/new/out", "--journal", "journal2", "--altid")
		if out.code != exitDone {
			t.Fatalf("exit code %d: %s", out.code, out.errors)
		}
	}
	if out.out != "" || len(objects(t, client)) != 5+3 {
		t.Errorf("the second run did %s, and the bucket has %q", out.out, objects(t, client))
	}
	uploadObject(t, client, "new/b.pdf", sample(t, "sample.epub")) // another publication
	m.write(t, "list.csv", []byte("input,alt_id\ns3://books/new/b.pdf,b\ns3://books/new/a b.epub,a b\n"))
	if out = run("--from", "list.csv", "--out", "shelf", "--journal", "journal"); out.code != exitDone || strings.Count(out.out, "\n") != 1 {
		t.Errorf("after a change: exit code %d: %s%s", out.code, out.out, out.errors)
	}
	for input, text := range map[string]string{
		"s3://books/new":    "for what is below it, end it in a slash",
		"s3://missing/x/":   "NoSuchBucket",
		"s3://books/none/":  "no publications found",
		"s3://books/x.epub": "no such object",
	} {
		if out := run(input, "--out", "none"); out.code != exitFailed || !strings.Contains(out.errors, text) {
			t.Errorf("%s: exit code %d: %s", input, out.code, out.errors)
		}
	}
	if out := run("s3://books/new/b.pdf", "--out", "none", "--delete-source"); out.code != exitMisused {
		t.Errorf("--delete-source: exit code %d", out.code)
	}
}

// A folder that cannot be read, a file that vanished and one that is being written
// are failures of their own; two of one alternative identifier stop the run before
// it begins.
func TestBadSources(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	for _, dir := range []string{"in", "in/locked", "in/sub"} {
		if err := os.Mkdir(m.path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m.write(t, "in/a.epub", sample(t, "sample.epub"))
	m.write(t, "in/locked/b.epub", sample(t, "sample.epub"))
	m.write(t, "in/sub/a.epub", sample(t, "sample.epub"))
	out := m.run(t, "encrypt", "in", "-r", "--altid", "--out", "shelf")
	if out.code != exitMisused || !strings.Contains(out.errors, `in/a.epub and in/sub/a.epub have the same alternative identifier "a"`) {
		t.Errorf("exit code %d: %s", out.code, out.errors)
	}
	if _, err := os.Stat(m.path("shelf")); err == nil || m.publications(t) != 0 {
		t.Error("something was written")
	}
	out = m.run(t, "encrypt", "in/a.epub", "in/gone.epub", "--out", "shelf")
	if out.code != exitSomeFailed || !strings.Contains(out.errors, "lcp: in/gone.epub: open: no such file") && !strings.Contains(out.errors, "in/gone.epub: stat: no such file") {
		t.Errorf("exit code %d: %s", out.code, out.errors)
	}
	if os.Getuid() == 0 {
		t.Log("as root every folder can be read")
		return
	}
	if err := os.Chmod(m.path("in/locked"), 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Chmod(m.path("in/locked"), 0o700) }()
	out = m.run(t, "encrypt", "in", "-r", "--out", "shelf")
	if out.code != exitSomeFailed || !strings.Contains(out.errors, "in/locked: open: permission denied") {
		t.Errorf("exit code %d: %s", out.code, out.errors)
	}
}

// A file that is written to while it is read is an error, and leaves nothing.
func TestSourceChangesInHand(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	book := bigEPUB(t, 48<<20)
	m.write(t, "book.epub", book)
	cmd := m.command(t.Context(), "encrypt", "book.epub", "--out", "shelf", "--verify")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ended:
			if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(errs.String(), "the file changed while it was read") {
				t.Errorf("exit code %d: %s", code, errs.String())
			}
			if files, _ := filesIn(m.path("shelf")); len(files) > 0 {
				t.Errorf("the shelf has %q", files)
			}
			return
		case <-tick.C: // the same bytes, at another time
			now := time.Now().Add(time.Duration(i) * time.Second)
			if err := os.Chtimes(m.path("book.epub"), now, now); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What ONIX messages say of publications goes into records and to the CMS; when it
// changes, the next run registers again what is otherwise unchanged.
func TestEncryptWithONIX(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	message := readFile(t, filepath.Join("..", "..", "pkg", "onix", "testdata", "reference.xml"))
	m.write(t, "feed.xml", message)
	m.write(t, "978-0-00-000000-2_final.epub", sample(t, "sample.epub"))
	m.write(t, "other.epub", pack(t, plainEPUB(member{name: "EPUB/package.opf", text: strings.Replace(packageOPF, "urn:x:1", "urn:isbn:9780000000002", 1)})...))
	args := []string{"encrypt", "978-0-00-000000-2_final.epub", "other.epub", "sample.epub", "--onix", "feed.xml", "--out", "shelf", "--journal", "journal", "--jobs", "1"}
	m.write(t, "sample.epub", sample(t, "sample.epub"))
	out := m.must(t, args...)
	if strings.Count(out.out, `"title":"The Whale: A story & more","authors":["Ann Author","Vincent van Writer"]`) != 2 ||
		!strings.Contains(out.errors, "sample.epub: warning: ONIX: no product is for this publication") {
		t.Errorf("%s%s", out.out, out.errors)
	}
	list := m.must(t, "publications", "list", "--format", "ndjson").out
	if !strings.Contains(list, `"description":"Call me Ishmael.\nSome years ago—never mind\nhow long."`) || !strings.Contains(list, `"cover_url":"https://covers.example.com/1.jpg"`) {
		t.Errorf("records %s", list)
	}
	if out := m.must(t, args...); out.out != "" || !strings.Contains(out.errors, "3 of 3 are unchanged") {
		t.Errorf("again: %s%s", out.out, out.errors)
	}
	m.write(t, "feed.xml", bytes.ReplaceAll(message, []byte("Whale"), []byte("Dolphin")))
	if out := m.must(t, args...); strings.Count(out.out, `"title":"The Dolphin: A story & more"`) != 2 {
		t.Errorf("with other words: %s%s", out.out, out.errors)
	}
	m.write(t, "feed.xml", message[:len(message)/2])
	if out := m.run(t, append(args, "--out", "none")...); out.code != exitFailed || !strings.Contains(out.errors, "lcp: ONIX message feed.xml: line ") {
		t.Errorf("half a message: exit code %d: %s", out.code, out.errors)
	}
	two := bytes.Replace(message, []byte("<RecordReference>example.press.2"), []byte("<RecordReference>unused"), 1)
	two = bytes.Replace(two, []byte("<NotificationType>05"), []byte("<NotificationType>03"), 1)
	m.write(t, "feed.xml", two)
	if out := m.must(t, args...); !strings.Contains(out.errors, "ONIX: no publication was there for the products 9780000000026") {
		t.Errorf("with another product: %s", out.errors)
	}
}
