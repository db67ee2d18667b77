package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// A progress shows how far a run has come. On a terminal it paints one bar for
// each job and one for the total; elsewhere it prints a line for each file that
// is done.
type progress struct {
	out  io.Writer
	bars bool

	mu       sync.Mutex
	total    *progressbar.ProgressBar
	jobs     []*progressbar.ProgressBar // nil where a job has no work
	painted  int                        // lines on the screen
	pending  []string                   // lines to print above the bars
	stop     chan struct{}
	stopped  chan struct{}
	finished int
	items    int
}

// newProgress begins to show a run of items with so many bytes in so many jobs.
func newProgress(out io.Writer, bars bool, items int, size int64, jobs int) *progress {
	p := &progress{out: out, bars: bars, items: items, jobs: make([]*progressbar.ProgressBar, jobs)}
	if !bars {
		return p
	}
	p.total = newBar(size, "total", true)
	p.stop, p.stopped = make(chan struct{}), make(chan struct{})
	go p.paintLoop()
	return p
}

func newBar(size int64, name string, eta bool) *progressbar.ProgressBar {
	return progressbar.NewOptions64(max(size, 1),
		progressbar.OptionSetWriter(io.Discard), // painted by us, several at a time
		progressbar.OptionSetDescription(name), progressbar.OptionShowBytes(true),
		progressbar.OptionSetWidth(20), progressbar.OptionSetPredictTime(eta),
		progressbar.OptionUseANSICodes(false), progressbar.OptionThrottle(50*time.Millisecond))
}

// start shows an item in the bar of its job, and returns what to call with the
// bytes as they are done.
func (p *progress) start(job int, name string, size int64) func(int64) {
	if !p.bars {
		return nil
	}
	bar := newBar(size, shorten(name, 30), false)
	p.mu.Lock()
	p.jobs[job] = bar
	p.mu.Unlock()
	return func(n int64) {
		advance(bar, n)
		advance(p.total, n)
	}
}

// advance moves a bar on, at most to its end: output can be longer than the input
// that was counted, and a bar that is told so does not move at all.
func advance(bar *progressbar.ProgressBar, n int64) {
	_ = bar.Add64(min(n, bar.GetMax64()-bar.State().CurrentNum))
}

// done takes the item off its bar and prints what there is to say about it.
func (p *progress) done(job int, line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finished++
	p.jobs[job] = nil
	switch {
	case line == "":
	case p.bars:
		p.pending = append(p.pending, line)
	default:
		fmt.Fprintln(p.out, line)
	}
}

// above returns where to print data to w while the bars are shown. If both are on
// a terminal, lines go above the bars, which would be painted over them.
func (p *progress) above(w io.Writer) io.Writer {
	if !p.bars || !isTerminal(w) {
		return w
	}
	return &linesAbove{p: p}
}

// linesAbove hands whole lines to the next painting.
type linesAbove struct {
	p    *progress
	rest string // of a line that has not ended
}

func (l *linesAbove) Write(text []byte) (int, error) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	lines := strings.Split(l.rest+string(text), "\n")
	l.rest = lines[len(lines)-1]
	l.p.pending = append(l.p.pending, lines[:len(lines)-1]...)
	return len(text), nil
}

// close ends the show.
func (p *progress) close() {
	if !p.bars {
		return
	}
	close(p.stop)
	<-p.stopped
}

func (p *progress) paintLoop() {
	defer close(p.stopped)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.paint(true)
		case <-p.stop:
			p.paint(false)
			return
		}
	}
}

// paint goes back to where the bars began, prints the lines that have come and
// the bars anew.
func (p *progress) paint(bars bool) {
	const up, clearDown = "\x1b[%dA", "\r\x1b[J"
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	if p.painted > 0 {
		fmt.Fprintf(&b, up, p.painted)
	}
	b.WriteString(clearDown)
	for _, line := range p.pending {
		b.WriteString(line + "\n")
	}
	p.pending, p.painted = nil, 0
	if bars {
		for _, bar := range p.jobs {
			if bar != nil {
				b.WriteString(barText(bar) + "\n")
				p.painted++
			}
		}
		fmt.Fprintf(&b, "%s [%d/%d]\n", barText(p.total), p.finished, p.items)
		p.painted++
	}
	_, _ = io.WriteString(p.out, b.String())
}

// barText is the bar on one line.
func barText(bar *progressbar.ProgressBar) string {
	return strings.TrimSpace(strings.Trim(bar.String(), "\r\n"))
}

// shorten cuts the middle out of a long name.
func shorten(name string, width int) string {
	r := []rune(name)
	if len(r) <= width {
		return name + strings.Repeat(" ", width-len(r))
	}
	half := (width - 1) / 2
	return string(r[:width-1-half]) + "…" + string(r[len(r)-half:])
}
