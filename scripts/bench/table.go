package main

import (
	"fmt"
	"io"
	"strings"
)

// A table shows results as they come: a line of figures for each case, and
// below it what was measured and whether it is what it has to be.
type table struct {
	out    io.Writer
	quick  bool // nothing is expected
	judged int
	misses int
}

func newTable(out io.Writer, quick bool) *table {
	fmt.Fprintf(out, "\n%-6s %8s %8s %8s %8s %9s %7s %7s\n", "case", "MB", "wall s", "CPU s", "MB/s", "peak MiB", "CPU ×", "wall ×")
	return &table{out: out, quick: quick}
}

func (t *table) add(c benchCase, r result) {
	size := float64(r.input.size) / mb
	fmt.Fprintf(t.out, "%-6s %8.1f %8.3f %8.3f %8.0f %9.0f %7.2f %7.2f\n", c.name, size,
		r.lcp.wall.Seconds(), r.lcp.cpu.Seconds(), size/r.lcp.wall.Seconds(), float64(r.lcp.rss)/mib, r.cpu, r.wall)
	fmt.Fprintf(t.out, "       %s\n", strings.Join(figures(c, r), "; "))
	if !t.quick {
		fmt.Fprintf(t.out, "       %s\n", strings.Join(t.verdicts(c, r), "; "))
	}
}

// figures returns what the case is, and what is to be said of some besides.
func figures(c benchCase, r result) []string {
	all := []string{c.about}
	if c.text {
		all = append(all, fmt.Sprintf("deflated to %.0f %%", 100*float64(r.input.packed)/float64(r.input.xhtml)),
			fmt.Sprintf("%.0f MB/s of XHTML", float64(r.input.xhtml)/mb/r.lcp.wall.Seconds()),
			fmt.Sprintf("%.1f × faster than inflating and deflating again at the best level", r.faster()))
	}
	if c.books {
		all = append(all, fmt.Sprintf("%.0f books/s", r.books()), fmt.Sprintf("%.2f of what a process on each core does", r.apart),
			fmt.Sprintf("%.2f of what one core does alone × cores", r.cores))
	}
	if c.s3 {
		all = append(all, fmt.Sprintf("%.3f s to the disk, %.3f s to upload the ready file with the SDK; ratios are to the slower", r.disk.Seconds(), r.sdk.Seconds()))
	}
	return all
}

func (r result) faster() float64 { return r.again.Seconds() / r.lcp.wall.Seconds() }

func (r result) books() float64 { return float64(len(r.input.files)) / r.lcp.wall.Seconds() }

// verdicts compares a result with the figures to hold.
func (t *table) verdicts(c benchCase, r result) []string {
	var all []string
	judge := func(ok bool, target string, args ...any) {
		verdict := "ok"
		if !ok {
			verdict = "MISS"
			t.misses++
		}
		t.judged++
		all = append(all, fmt.Sprintf(target, args...)+": "+verdict)
	}
	want := c.targets
	if want.cpu > 0 {
		judge(r.cpu <= want.cpu, "CPU ≤ %.1f ×", want.cpu)
	}
	if want.wall > 0 {
		judge(r.wall < want.wall, "wall < %.1f ×", want.wall)
	}
	if want.faster > 0 {
		judge(r.faster() >= want.faster, "≥ %.0f × faster", want.faster)
	}
	if want.books > 0 {
		judge(r.books() >= want.books, "≥ %.0f books/s", want.books)
	}
	if want.apart > 0 {
		judge(r.apart >= want.apart, "≥ %.1f of a process on each core", want.apart)
	}
	if want.s3 > 0 {
		judge(r.wall <= want.s3, "wall ≤ %.1f × the slower", want.s3)
	}
	if want.wallS > 0 {
		judge(r.lcp.wall.Seconds() < want.wallS, "wall < %.0f s", want.wallS)
	}
	if want.rss > 0 {
		judge(r.lcp.rss < want.rss, "peak < %d MiB", want.rss/mib)
	}
	return all
}

func (t *table) end() {
	if t.quick {
		fmt.Fprintln(t.out, "\npublications of a twentieth of the size, each run once: these figures say nothing")
		return
	}
	fmt.Fprintf(t.out, "\n%d of %d targets held\n", t.judged-t.misses, t.judged)
}
