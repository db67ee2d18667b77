package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A load is what a number of connections ask of a server, for some time.
type load struct {
	address     string
	pid         int // of the server
	connections int
	duration    time.Duration
	most        int64 // requests; 0 for any number
	first       int64 // number of the first
	// request appends the n-th request to dst, as it goes over the wire.
	request func(dst []byte, n int64) []byte
	// answered gets each good answer's body; may be nil. It may not keep it.
	answered func(n int64, body []byte)
	want     int // status code; others are errors
}

// A rate is what came of a load.
type rate struct {
	perSecond float64
	p50, p99  time.Duration
	cpu       time.Duration // of the server, for one request; 0 if the system does not tell
	errors    int64
	first     error // of those
}

// warmUp is the number of the first request that is made to warm up, far from all
// that are measured.
const warmUp = 1 << 40

// run makes requests until the time is over, after a fifth of the time in which
// nothing is measured: what a server does once, such as to hash the password of
// the API, is not what it does all day.
func (l *load) run(ctx context.Context) (rate, error) {
	if l.most > 0 {
		return l.measure(ctx)
	}
	warm := *l
	warm.first, warm.duration = l.first+warmUp, l.duration/5
	if _, err := warm.measure(ctx); err != nil {
		return rate{}, err
	}
	return l.measure(ctx)
}

func (l *load) measure(ctx context.Context) (rate, error) {
	conns := make([]net.Conn, l.connections)
	for i := range conns {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.address)
		if err != nil {
			return rate{}, err
		}
		defer conn.Close()
		conns[i] = conn
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // one thread looks for work, the other core is the server's
	var next atomic.Int64
	next.Store(l.first)
	times := make([][]time.Duration, l.connections)
	faults := make([]error, l.connections)
	var failed atomic.Int64
	cpu := cpuTime(l.pid)
	begin := now()
	end := begin.Add(l.duration)
	var wg sync.WaitGroup
	for i, conn := range conns {
		wg.Go(func() {
			_ = conn.SetDeadline(end.Add(30 * time.Second))
			c := &connection{load: l, Conn: conn, answers: bufio.NewReaderSize(conn, 16<<10)}
			times[i], faults[i] = c.run(ctx, &next, end, &failed)
		})
	}
	wg.Wait()
	elapsed := time.Since(begin)
	all := slices.Concat(times...)
	slices.Sort(all)
	r := rate{perSecond: float64(len(all)) / elapsed.Seconds(), errors: failed.Load(), first: errors.Join(faults...)}
	if len(all) > 0 {
		r.p50, r.p99 = all[len(all)/2], all[len(all)*99/100]
		r.cpu = (cpuTime(l.pid) - cpu) / time.Duration(len(all))
	}
	return r, ctx.Err()
}

// A connection is one that is kept open.
type connection struct {
	*load
	net.Conn
	answers *bufio.Reader
	out     []byte
	body    []byte
}

// run returns how long the good answers took, and the first fault.
func (c *connection) run(ctx context.Context, next *atomic.Int64, end time.Time, failed *atomic.Int64) ([]time.Duration, error) {
	var times []time.Duration
	var first error
	for begin := now(); begin.Before(end) && ctx.Err() == nil; {
		n := next.Add(1) - 1
		if c.most > 0 && n >= c.first+c.most {
			break
		}
		c.out = c.request(c.out[:0], n)
		if _, err := c.Write(c.out); err != nil {
			failed.Add(1)
			return times, err
		}
		code, err := c.read()
		answered := now()
		if err != nil {
			failed.Add(1)
			return times, err
		}
		if code != c.want {
			failed.Add(1)
			if first == nil {
				first = fmt.Errorf("answer %d: %.200s", code, c.body)
			}
		} else {
			times = append(times, answered.Sub(begin))
			if c.answered != nil {
				c.answered(n, c.body)
			}
		}
		begin = answered
	}
	return times, first
}

var contentLength = []byte("Content-Length: ")

// read reads an answer that tells its length, and keeps its body.
func (c *connection) read() (code int, err error) {
	length := -1
	for first := true; ; first = false {
		line, err := c.answers.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		switch {
		case first && len(line) > 12:
			if code, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, err
			}
		case bytes.HasPrefix(line, contentLength):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(contentLength):]))); err != nil {
				return 0, err
			}
		case len(line) <= 2:
			return code, c.readBody(length)
		}
	}
}

func (c *connection) readBody(length int) error {
	if length < 0 {
		return errors.New("an answer does not tell its length")
	}
	c.body = slices.Grow(c.body[:0], length)[:length]
	for read := 0; read < length; {
		n, err := c.answers.Read(c.body[read:])
		if err != nil {
			return err
		}
		read += n
	}
	return nil
}
