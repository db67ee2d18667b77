//go:build unix

package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/catalogue"
)

// queueURL is the address of an empty database for a queue, or skips the test.
func queueURL(t *testing.T) string {
	t.Helper()
	queue, ok := startQueue(t)
	if !ok {
		t.Skip("no PostgreSQL here")
	}
	return queue
}

// A runningWorker is an lcp worker and the records that it prints.
type runningWorker struct {
	cmd     *exec.Cmd
	records chan catalogue.Record
	errors  lockedText
}

func (m *machine) startWorker(t *testing.T, args ...string) *runningWorker {
	t.Helper()
	w := &runningWorker{cmd: m.command(t.Context(), append([]string{"worker"}, args...)...), records: make(chan catalogue.Record, 1000)}
	w.cmd.Stderr = &w.errors
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(w.records)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var rec catalogue.Record
			if err := json.Unmarshal(lines.Bytes(), &rec); err == nil { // the last line of one that was killed may be torn
				w.records <- rec
			}
		}
	}()
	return w
}

// Workers share what is in the queue. Some are killed with work in hand: nothing
// is lost and nothing doubled, on the shelf or on the license server.
func TestWorkersShareABatch(t *testing.T) {
	t.Parallel()
	const books, kills = 24, 3
	queue := queueURL(t)
	m := newMachine(t)
	s := m.serve(t, "")
	book := bigEPUB(t, 2<<20)
	if err := os.Mkdir(m.path("in"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range books {
		m.write(t, fmt.Sprintf("in/%02d.epub", i), book)
	}
	m.write(t, "in/broken.epub", book[:len(book)/2])
	m.env = append(m.env, "LCP_QUEUE="+queue, "LCP_SERVER="+s.base)
	enqueue := []string{"encrypt", "in", "--enqueue", "", "--out", "shelf", "--url", "https://cdn.example.com"}
	m.must(t, enqueue...)
	if again := m.must(t, enqueue...); !strings.Contains(again.errors, "put 0 into the queue") {
		t.Errorf("putting the same into the queue again: %s", again.errors)
	}
	worker := func() *machine { // each on a machine of its own, with its own credentials
		w := newMachine(t)
		w.env = append(w.env, "LCP_QUEUE="+queue, "LCP_SERVER="+s.base, "LCP_SERVER_USER="+s.user, "LCP_SERVER_PASSWORD="+s.password)
		return w
	}
	flags := []string{"--silence", "4s", "--jobs", "2"}
	printed := map[string]int{}
	killOne := func() {
		w := worker().startWorker(t, flags...)
		// Where programs start slowly the survivor may leave it nothing to do.
		kill := time.AfterFunc(10*time.Second, func() { _ = w.cmd.Process.Kill() })
		for rec := range w.records {
			printed[rec.UUID]++
			if len(printed)%2 == 0 {
				break
			}
		}
		kill.Stop()
		_ = w.cmd.Process.Kill()
		_ = w.cmd.Wait()
		for rec := range w.records {
			printed[rec.UUID]++
		}
	}
	killOne() // alone, so that it is killed with work in hand
	if len(printed) == 0 {
		t.Error("the first worker did nothing before it was killed")
	}
	survivor := worker().startWorker(t, append(flags, "--drain")...)
	for range kills - 1 {
		killOne()
	}
	for rec := range survivor.records {
		printed[rec.UUID]++
	}
	if _ = survivor.cmd.Wait(); survivor.cmd.ProcessState.ExitCode() != exitSomeFailed {
		t.Errorf("the worker ended with %s: %s", survivor.cmd.ProcessState, survivor.errors.String())
	}
	m.checkShared(t, s, books)
	for id, n := range printed {
		if n > kills+1 { // who is killed may have been about to say that it is done
			t.Errorf("%s was printed %d times", id, n)
		}
	}
	m.checkJobs(t, books, kills+1)
}

// checkShared fails unless so many publications are registered, and each has its
// file, and nothing else is there.
func (m *machine) checkShared(t *testing.T, s *served, books int) {
	t.Helper()
	var list []api.Publication
	if err := json.Unmarshal(s.want(t, http.StatusOK, "GET", "/publications/?per_page=100", nil), &list); err != nil {
		t.Fatal(err)
	}
	files, err := filesIn(m.path("shelf"))
	if err != nil || len(list) != books || len(files) != books {
		t.Errorf("%d publications are registered and %d files stored, %v, want %d", len(list), len(files), err, books)
	}
	m.write(t, "p", []byte(readingPassphrase))
	m.env = append(m.env, "LCP_SERVER_USER="+s.user, "LCP_SERVER_PASSWORD="+s.password)
	for i, p := range list {
		file := filepath.Join("shelf", p.UUID+".epub")
		if sum := sha256.Sum256(readFile(t, m.path(file))); hex.EncodeToString(sum[:]) != p.Checksum {
			t.Errorf("%s: the file is not the one that is registered", p.UUID)
		}
		if i%6 == 0 { // each takes a while
			m.must(t, "license", "generate", "--publication", p.UUID, "--user", "u", "--hint", "h", "--passphrase-file", "p", "--out", "l.lcpl")
			m.must(t, "decrypt", file, "--license", "l.lcpl", "--passphrase-file", "p", "--out", "clear.epub")
		}
	}
}

// checkJobs fails unless the queue tells what became of the jobs. The broken one
// fails at once, and begins again only with a worker that was killed.
func (m *machine) checkJobs(t *testing.T, done, attempts int) {
	t.Helper()
	var list []listedJob
	if err := json.Unmarshal([]byte(m.must(t, "jobs", "list", "--format", "json").out), &list); err != nil {
		t.Fatal(err)
	}
	uuids := map[string]bool{}
	for _, j := range list {
		switch {
		case j.State == "done" && j.Record != nil && j.Error == "":
			uuids[j.Record.UUID] = true
		case j.State != "failed" || !strings.HasSuffix(j.Source, "broken.epub") || j.Attempt > attempts || j.Record == nil || !strings.Contains(j.Error, "ZIP archive"):
			t.Errorf("job %+v", j)
		}
	}
	if len(uuids) != done {
		t.Errorf("%d jobs are done, want %d", len(uuids), done)
	}
}

// A job is no place for secrets: neither flags nor environment of who puts it into
// the queue reach it, and only a worker with credentials of its own can do it.
func TestQueueHasNoSecrets(t *testing.T) {
	t.Parallel()
	queue := queueURL(t)
	m := newMachine(t)
	m.write(t, "book.epub", sample(t, "sample.epub"))
	u, err := url.Parse(queue)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	m.write(t, "password", []byte(password+"\n"))
	u.User = url.User(u.User.Username())
	m.env = append(m.env, "LCP_SERVER_USER=ann", "LCP_SERVER_PASSWORD=secret-one", "AWS_ACCESS_KEY_ID=k", "AWS_SECRET_ACCESS_KEY=secret-two")
	args := []string{"encrypt", "book.epub", "--storage", "s3://books", "--s3-region", "r", "--server", "https://l.example.com"}
	if o := m.run(t, append(args, "--enqueue", queue)...); o.code != exitMisused || strings.Contains(o.errors, password) {
		t.Errorf("a password in a flag: exit code %d: %s", o.code, o.errors)
	}
	m.must(t, append(args, "--enqueue", u.String(), "--queue-password-file", "password")...)
	conn, err := pgx.Connect(t.Context(), queue)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var row string
	err = conn.QueryRow(t.Context(), "SELECT to_jsonb(river_job)::text FROM river_job").Scan(&row)
	if err != nil || !strings.Contains(row, "book.epub") || strings.Contains(row, "secret") || strings.Contains(row, password) {
		t.Errorf("the database holds %s, %v", row, err)
	}
}

// A CMS that cannot be told has the job tried again, but only as far as that: the
// publication stays as it is.
func TestWorkerTellsAgain(t *testing.T) {
	t.Parallel()
	queue := queueURL(t)
	var mu sync.Mutex
	told, refused := 0, 0
	cms := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if user, password, _ := r.BasicAuth(); user != "lcp" || password != "pass" {
			t.Errorf("credentials %q, %q", user, password)
		}
		if refused++; refused == 1 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		told++
	}))
	defer cms.Close()
	m := newMachine(t)
	m.env = append(m.env, "LCP_QUEUE="+queue)
	m.write(t, "secret", []byte("lcp:pass"))
	m.write(t, "book.epub", sample(t, "sample.epub"))
	m.must(t, "encrypt", "book.epub", "--enqueue", "", "--out", "shelf", "--url", "https://cdn.example.com", "--notify", cms.URL)
	o := m.must(t, "worker", "--drain", "--notify", cms.URL, "--notify-credentials-file", "secret")
	rec := o.record(t)
	if told != 1 || refused != 2 || strings.Count(o.out, "\n") != 1 || !strings.Contains(o.errors, "(to be tried again)") {
		t.Errorf("asked %d times, told %d: %s", refused, told, o.errors)
	}
	sum := sha256.Sum256(readFile(t, filepath.Join(m.path("shelf"), rec.UUID+".epub")))
	if hex.EncodeToString(sum[:]) != rec.Checksum {
		t.Error("the publication was encrypted again")
	}
	if jobs := m.must(t, "jobs", "list").out; strings.Contains(jobs, "owed") || strings.Contains(jobs, "untold") || !strings.Contains(jobs, `"state":"done","source":"`) {
		t.Errorf("the queue tells %s", jobs)
	}
}

// A worker that is asked to stop ends what it has in hand, and takes no more.
func TestWorkerStops(t *testing.T) {
	t.Parallel()
	queue := queueURL(t)
	m := newMachine(t)
	m.env = append(m.env, "LCP_QUEUE="+queue)
	book := bigEPUB(t, 12<<20)
	for i := range 8 {
		m.write(t, fmt.Sprintf("%d.epub", i), book)
	}
	m.must(t, "encrypt", m.dir, "--enqueue", "", "--out", "shelf", "--url", "https://cdn.example.com")
	w := m.startWorker(t, "--jobs", "1")
	<-w.records
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	done := 1
	for range w.records {
		done++
	}
	if err := w.cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, w.errors.String())
	}
	files, err := filesIn(m.path("shelf"))
	if n := m.publications(t); err != nil || int(n) != done || len(files) != done {
		t.Errorf("%d done, %d registered, %q stored, %v", done, n, files, err)
	}
	waiting := m.must(t, "jobs", "list", "--state", "waiting", "--format", "ndjson").out
	if n := strings.Count(waiting, "\n"); n != 8-done || strings.Contains(waiting, "error") {
		t.Errorf("%d done, and waiting are %s", done, waiting)
	}
	m.must(t, "jobs", "cancel", "--all")
	if o := m.must(t, "worker", "--drain"); o.out != "" {
		t.Errorf("what was cancelled was done: %s", o.out)
	}
}
