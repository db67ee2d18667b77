package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"
)

// A report shows results as they come, and at the end the targets.
type report struct {
	out      io.Writer
	database string // being measured
	targets  []target
}

// A target is a figure to hold, and whether it was held.
type target struct {
	database string // set by the report
	what     string
	measured string
	wanted   string
	held     bool
}

func (t *target) verdict() string {
	if t.held {
		return "held"
	}
	return "missed"
}

// judge keeps a target for the end, and returns what to say of it at once;
// unless it counts, as for fewer connections than the most, nothing.
func (r *report) judge(counts bool, t target) string {
	if !counts {
		return ""
	}
	t.database = r.database
	r.targets = append(r.targets, t)
	return t.wanted + ": " + t.verdict()
}

func (r *report) linef(format string, args ...any) { fmt.Fprintf(r.out, format+"\n", args...) }

func (r *report) header(db *database) {
	r.database = fmt.Sprintf("%s, %d", db.kind, db.licenses)
	r.linef("\n%s licenses\n  %-18s %5s %9s %8s %8s %8s %7s", r.database, "", "conns", "per s", "p50 ms", "p99 ms", "CPU µs", "errors")
}

// maxLatency is how long all but one of a hundred requests may take.
const maxLatency = 50 * time.Millisecond

// rate shows what came of a load, and judges its errors, and its latency where
// the verdict on its rate counts.
func (r *report) rate(what string, connections int, result rate, remarks ...string) {
	if remarks[1] != "" {
		remarks = append(remarks, r.judge(true, target{
			what: what, measured: fmt.Sprintf("p99 %.0f ms", ms(result.p99)), wanted: "< 50 ms", held: result.p99 < maxLatency,
		}))
	}
	if result.errors > 0 {
		remarks = append(remarks, r.judge(true, target{
			what: what, measured: fmt.Sprintf("%d errors: %v", result.errors, result.first), wanted: "none",
		}))
	}
	var said []string
	for _, remark := range remarks {
		if remark != "" {
			said = append(said, remark)
		}
	}
	r.linef("  %-18s %5d %9.0f %8.2f %8.2f %8d %7d  %s", what, connections, result.perSecond, ms(result.p50), ms(result.p99),
		result.cpu.Microseconds(), result.errors, strings.Join(said, "; "))
}

// end shows all targets.
func (r *report) end() {
	r.linef("")
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "database, licenses\tfigure\tmeasured\ttarget\t")
	held := 0
	for _, t := range r.targets {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", t.database, t.what, t.measured, t.wanted, t.verdict())
		if t.held {
			held++
		}
	}
	w.Flush()
	r.linef("\n%d of %d targets held", held, len(r.targets))
}

// login returns a token for the dashboard.
func login(ctx context.Context, address string) (string, error) {
	body := strings.NewReader(fmt.Sprintf(`{"username":%q,"password":%q}`, user, password))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/dashdata/login", body)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var in struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&in); err != nil || in.Token == "" {
		return "", fmt.Errorf("log in to the dashboard: %s, %w", resp.Status, err)
	}
	return in.Token, nil
}
