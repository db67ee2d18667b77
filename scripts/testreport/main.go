// Command testreport runs go test and tells what came of it: a line for every
// package, the output of what failed, and, which go test keeps to itself, the
// tests that were skipped and why. Its arguments are those of go test:
//
//	go run ./scripts/testreport -race ./...
//
// It exits with 1 when a test failed or nothing ran.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1) //nolint:forbidigo // a command of its own
	}
}

func run(args []string, out io.Writer) error {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...) //nolint:gosec,noctx // go test with the caller's flags, to its end
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r := newReport(out)
	readErr := r.read(stdout)
	waitErr := cmd.Wait()
	r.summarize()
	if waitErr == nil && r.passed+r.failed == 0 {
		waitErr = errors.New("no tests ran")
	}
	return cmp.Or(readErr, waitErr)
}

// An event is a line of go test -json (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

// name identifies the test or package that an event is about.
func (e event) name() string {
	return cmp.Or(strings.TrimSuffix(e.Package+" "+e.Test, " "), e.ImportPath)
}

// A report gathers the events of one run.
type report struct {
	out    io.Writer
	output map[string]*strings.Builder // by event name, until its outcome is known
	skips  map[string][]string         // packages' tests by reason

	passed, failed, skipped int // tests
	ok, notOK               int // packages
}

func newReport(out io.Writer) *report {
	return &report{out: out, output: make(map[string]*strings.Builder), skips: make(map[string][]string)}
}

func (r *report) read(events io.Reader) error {
	in := bufio.NewReader(events)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			r.line(line)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil {
		r.out.Write(line) //nolint:errcheck // what is not an event is shown as it is
		return
	}
	switch {
	case e.Action == "build-output":
		fmt.Fprint(r.out, e.Output)
	case e.Action == "output":
		r.keep(e)
	case e.Test == "":
		r.packageEnd(e)
	default:
		r.testEnd(e)
	}
}

// keep keeps what a test printed, but for the marks of its progress.
func (r *report) keep(e event) {
	if strings.HasPrefix(e.Output, "=== ") {
		return
	}
	b := r.output[e.name()]
	if b == nil {
		b = new(strings.Builder)
		r.output[e.name()] = b
	}
	b.WriteString(e.Output)
}

// take returns what was printed under a name and forgets it.
func (r *report) take(name string) string {
	b := r.output[name]
	delete(r.output, name)
	if b == nil {
		return ""
	}
	return b.String()
}

func (r *report) testEnd(e event) {
	switch e.Action {
	case "pass":
		r.passed++
		r.take(e.name())
	case "fail":
		r.failed++
		fmt.Fprintf(r.out, "--- in %s\n%s", e.Package, r.take(e.name()))
	case "skip":
		r.skipped++
		reason := skipReason(r.take(e.name()))
		r.skips[reason] = append(r.skips[reason], e.name())
	}
}

func (r *report) packageEnd(e event) {
	switch e.Action {
	case "pass":
		r.ok++
		fmt.Fprintf(r.out, "ok    %-55s %6.1fs\n", e.Package, e.Elapsed)
		r.take(e.name())
	case "fail":
		r.notOK++
		fmt.Fprintf(r.out, "FAIL  %-55s %6.1fs\n%s", e.Package, e.Elapsed, r.take(e.name()))
	case "skip":
		r.take(e.name()) // has no tests
	}
}

// skipReason returns the text given to t.Skip: the lines that are not go test's
// own, without the place in the source.
func skipReason(output string) string {
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "---") {
			continue
		}
		if place, reason, ok := strings.Cut(line, ": "); ok && strings.Contains(place, "_test.go:") {
			return reason
		}
		return line
	}
	return "no reason given"
}

// summarize prints the reasons for skips and the totals.
func (r *report) summarize() {
	const shown = 3
	for _, reason := range slices.Sorted(maps.Keys(r.skips)) {
		tests := r.skips[reason]
		fmt.Fprintf(r.out, "skipped %d: %s\n", len(tests), reason)
		for _, test := range tests[:min(shown, len(tests))] {
			fmt.Fprintf(r.out, "        %s\n", test)
		}
		if more := len(tests) - shown; more > 0 {
			fmt.Fprintf(r.out, "        and %d more\n", more)
		}
	}
	fmt.Fprintf(r.out, "%d tests passed, %d failed, %d skipped; %d packages ok, %d failed\n",
		r.passed, r.failed, r.skipped, r.ok, r.notOK)
}
