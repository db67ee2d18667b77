// Command bench-sessions measures how lcp serve takes reading sessions, as a
// process of its own on the loopback interface with SQLite, and how long reports
// take over many events.
//
//	make bench-sessions
//	make bench-sessions BENCHSESSIONS='-events 10000000'
//
// It prints events a second, one in a request from 64 connections and 100 in a
// request from 8: from users who read on, of whose events one in ten starts a
// session, and from readers who are all new. Then it says what an event takes on
// the disk, and how long reports take over the events of a year. A database of ten
// million of them takes minutes and 2 GB of disk, which are given back.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// now is the clock of all measurements.
var now = time.Now //nolint:forbidigo // real time is what is measured

type bench struct {
	lcp    string
	dir    string
	listen string
	key    string
	length time.Duration
	client *http.Client
	pid    int // of lcp serve
	next   atomic.Int64
}

func main() {
	lcp := flag.String("lcp", "bin/lcp", "the `program` to measure")
	seconds := flag.Float64("seconds", 3, "how long each rate is measured")
	events := flag.Int("events", 1_000_000, "`number` of events that reports are over")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *lcp, time.Duration(*seconds*float64(time.Second)), *events)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-sessions:", err)
		os.Exit(1) //nolint:forbidigo // a command of its own
	}
}

func run(ctx context.Context, lcp string, length time.Duration, events int) error {
	dir, err := os.MkdirTemp("", "lcp-bench-sessions-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, length: length, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	if b.lcp, err = filepath.Abs(lcp); err != nil {
		return err
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if err := b.served(ctx, b.rates); err != nil {
		return err
	}
	if err := b.fill(ctx, events); err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "reports over %d events of 12 months, 20 groups and 500 publications\n", events)
	return b.served(ctx, b.reports)
}

// prepare makes a license key and says where it may be used.
func (b *bench) prepare(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.listen = l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	config := fmt.Sprintf("data_dir: %q\naddress: %q\npublic_base_url: \"http://%[2]s\"\nops_address: \"off\"\nlog_level: warn\n"+
		"access: {username: bench, password: bench-password}\nlimits: {public_per_second: 0}\n", b.dir, b.listen)
	if err := os.WriteFile(b.config(), []byte(config), 0o600); err != nil {
		return err
	}
	out, err := b.command(ctx, "license-keys", "add", "Bench", "--format", "json").Output()
	if err != nil {
		return err
	}
	b.key = regexp.MustCompile(`rs_\w+`).FindString(string(out))
	return b.command(ctx, "origins", "approve", b.key, "https://*.example.org").Run()
}

func (b *bench) config() string { return filepath.Join(b.dir, "lcp.yaml") }

func (b *bench) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.lcp, append(args, "--config", b.config())...) //nolint:gosec // named by whoever runs this
	cmd.Dir = b.dir
	return cmd
}

// served runs work while lcp serve does.
func (b *bench) served(ctx context.Context, work func(context.Context) error) (err error) {
	cmd := b.command(ctx, "serve")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		return err
	}
	b.pid = cmd.Process.Pid
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if e := cmd.Wait(); e != nil {
			err = errors.Join(err, fmt.Errorf("lcp serve: %w\n%s", e, complaints.Bytes()))
		}
	}()
	for begin := now(); now().Sub(begin) < 30*time.Second; {
		resp, err := b.ask(ctx, "/health", nil)
		if err == nil {
			if err := resp.Close(); err != nil {
				return err
			}
			return work(ctx)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("lcp serve did not answer within 30 seconds")
}

// ask makes a request and returns the body of an answer of success.
func (b *bench) ask(ctx context.Context, path string, body []byte) (io.ReadCloser, error) {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+b.listen+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Origin", fmt.Sprintf("https://site-%d.example.org", b.next.Load()%20))
	} else {
		req.SetBasicAuth("bench", "bench-password")
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return nil, fmt.Errorf("%s: %s %s", path, resp.Status, text)
	}
	return resp.Body, nil
}

// event writes an event. Readers are new, or one of so many that most read on.
func (b *bench) event(fresh bool) string {
	n := b.next.Add(1)
	user, publication := n%2000, n%7
	if fresh {
		user, publication = n, n%500
	}
	return fmt.Sprintf(`{"userToken":"user-%d","publicationToken":"book-%d","deviceToken":"phone","occurredAt":%q,"activeSeconds":60,"eventId":"%016x-%d"}`,
		user, publication, now().UTC().Format(time.RFC3339), now().UnixNano(), n)
}

// rates measures how many events a second are taken.
func (b *bench) rates(ctx context.Context) error {
	for _, m := range []struct {
		what         string
		conns, batch int
		fresh        bool
	}{
		{"one in a request, 64 connections", 64, 1, false},
		{"one in a request, 64 connections, new readers", 64, 1, true},
		{"100 in a request, 8 connections", 8, 100, false},
		{"100 in a request, 8 connections, new readers", 8, 100, true},
	} {
		before, start, used := b.size(), b.next.Load(), b.cpu()
		rate, err := b.rate(ctx, m.conns, m.batch, m.fresh)
		if err != nil {
			return err
		}
		n := max(1, b.next.Load()-start)
		fmt.Fprintf(os.Stdout, "%-46s %8.0f events/s %6d µs of the server's CPU and %4d bytes each\n",
			m.what, rate, (b.cpu()-used).Microseconds()/n, (b.size()-before)/n)
	}
	return nil
}

// size is what the database takes on the disk, its log included.
func (b *bench) size() (n int64) {
	files, err := filepath.Glob(filepath.Join(b.dir, "lcp.db*"))
	if err != nil {
		return 0
	}
	for _, name := range files {
		if info, err := os.Stat(name); err == nil && !strings.HasSuffix(name, "-wal") {
			n += info.Size()
		}
	}
	return n
}

// cpu is how much of the processors the server has used, or 0 where the system
// does not tell. Unlike a rate it does not depend on what else the machine does.
func (b *bench) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	var ticks int64 // hundredths of a second (proc_pid_stat(5), utime and stime)
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

func (b *bench) rate(ctx context.Context, conns, batch int, fresh bool) (float64, error) {
	var sent atomic.Int64
	var wait sync.WaitGroup
	errs := make(chan error, conns)
	begin := now()
	for range conns {
		wait.Go(func() {
			for now().Sub(begin) < b.length && ctx.Err() == nil {
				if err := b.send(ctx, batch, fresh); err != nil {
					errs <- err
					return
				}
				sent.Add(int64(batch))
			}
		})
	}
	wait.Wait()
	elapsed := now().Sub(begin)
	close(errs)
	return float64(sent.Load()) / elapsed.Seconds(), errors.Join(ctx.Err(), <-errs)
}

func (b *bench) send(ctx context.Context, batch int, fresh bool) error {
	path, body := "/reading-sessions", ""
	if batch == 1 {
		body = fmt.Sprintf(`{"licenseKey":%q,%s`, b.key, b.event(fresh)[1:])
	} else {
		path = "/reading-sessions:batch"
		events := make([]string, batch)
		for i := range events {
			events[i] = b.event(fresh)
		}
		body = fmt.Sprintf(`{"licenseKey":%q,"events":[%s]}`, b.key, strings.Join(events, ","))
	}
	answer, err := b.ask(ctx, path, []byte(body))
	if err != nil {
		return err
	}
	defer answer.Close()
	var got struct {
		Failed int `json:"failed"`
	}
	if err := json.NewDecoder(answer).Decode(&got); err != nil || got.Failed > 0 {
		return fmt.Errorf("%d events failed, %w", got.Failed, err)
	}
	return nil
}

// reports measures how long reports take.
func (b *bench) reports(ctx context.Context) error {
	last := now().UTC()
	period := fmt.Sprintf("from=%s&to=%s", last.AddDate(0, -11, 1-last.Day()).Format("2006-01"), last.Format("2006-01"))
	for _, query := range []string{"", "groupBy=origin", "groupBy=publication", "groupBy=origin,publication", "groupBy=origin,publication&format=csv"} {
		begin := now()
		body, err := b.ask(ctx, "/reports/usage?"+period+"&"+query, nil)
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, body)
		body.Close()
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stdout, "%-46s %8.0f ms %10d bytes\n", "report "+query, float64(now().Sub(begin).Microseconds())/1000, n)
	}
	return nil
}
