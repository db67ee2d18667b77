package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// A report shows results as they come, and counts targets.
type report struct {
	out    io.Writer
	judged int
	misses int
}

// A target is a figure to hold, and whether it was held.
type target struct {
	text string
	held bool
}

// judge returns what to say of a target; unless it counts, as for fewer
// connections than the most, nothing.
func (r *report) judge(counts bool, t target) string {
	if !counts {
		return ""
	}
	r.judged++
	if t.held {
		return t.text + ": ok"
	}
	r.misses++
	return t.text + ": MISS"
}

func (r *report) linef(format string, args ...any) { fmt.Fprintf(r.out, format+"\n", args...) }

func (r *report) header(db *database) {
	r.linef("\n%s, %d licenses\n  %-18s %5s %9s %8s %8s %8s %7s", db.kind, db.licenses, "", "conns", "per s", "p50 ms", "p99 ms", "CPU µs", "errors")
}

// maxLatency is how long all but one of a hundred requests may take.
const maxLatency = 50 * time.Millisecond

// rate shows what came of a load, and judges its errors, and its latency where
// the verdict on its rate counts.
func (r *report) rate(what string, connections int, result rate, remarks ...string) {
	if remarks[1] != "" {
		remarks = append(remarks, r.judge(true, target{"p99 < 50 ms", result.p99 < maxLatency}))
	}
	if result.errors > 0 {
		remarks = append(remarks, r.judge(true, target{fmt.Sprintf("no errors, and %v", result.first), false}))
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

func (r *report) end() { r.linef("\n%d of %d targets held", r.judged-r.misses, r.judged) }

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
