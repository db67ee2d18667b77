package browser_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// Two sites with the demo page and lcp serve, which knows one of them: at the other
// one use is blocked, or held until somebody decides, as was agreed.
func TestReadingSessionsAreMetered(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for policy, tt := range map[string]struct{ expect, state string }{
		"block": {"blocked", "unknown"}, "review": {"started", "pending"},
	} {
		t.Run(policy, func(t *testing.T) {
			dir := t.TempDir()
			base := l.serveFrom(t, dir, "")
			var key struct {
				LicenseKey string `json:"licenseKey"`
			}
			out := l.lcpOn(t, dir, "license-keys", "add", "Nevermore Academy", "--origin-policy", policy, "--activation-threshold", "1s", "--format", "json")
			if err := json.Unmarshal(out, &key); err != nil {
				t.Fatalf("%v in %s", err, out)
			}
			known := demo(t, base).URL
			unknown := strings.Replace(demo(t, base).URL, "127.0.0.1", "localhost", 1)
			l.lcpOn(t, dir, "origins", "approve", key.LicenseKey, known)

			steps := l.read(t, key.LicenseKey, known, unknown, tt.expect)
			if s := steps["known origin"]; s.Told[0] != "started" || len(s.Complaints) > 0 {
				t.Errorf("known origin: %+v", s)
			}
			if s := steps["unknown origin"]; !slices.Contains(s.Told, tt.expect) {
				t.Errorf("unknown origin: %+v", s)
			}
			if s := steps["online again"]; slices.Contains(s.Told, "started") || slices.Contains(s.Told, "error") {
				t.Errorf("online again: %+v", s)
			}
			if got := l.originState(t, dir, unknown); got != tt.state {
				t.Errorf("%s is %q, want %q", unknown, got, tt.state)
			}
			bill := l.bill(t, dir)
			if b := bill[known]; b.Started != 1 || b.Billable != 1 || b.Continued == 0 || b.Offline == 0 || b.UniqueUsers != 1 || b.ActiveSeconds == 0 {
				t.Errorf("bill of the known origin: %+v", b)
			}
			if b := bill[unknown]; b.Billable != 0 || (b.Blocked > 0) != (policy == "block") || (b.Held == 1) != (policy == "review") {
				t.Errorf("bill of the unknown origin: %+v", b)
			}
		})
	}
}

func (l *lab) originState(t *testing.T, dir, origin string) string {
	t.Helper()
	var list []struct{ Origin, State string }
	out := l.lcpOn(t, dir, "origins", "list", "--format", "json")
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	for _, o := range list {
		if o.Origin == origin {
			return o.State
		}
	}
	return ""
}

// A line is what is billed for an origin.
type line struct {
	OriginGroup                                                                      string
	Started, Continued, Offline, Blocked, Held, UniqueUsers, ActiveSeconds, Billable int64
}

// bill returns the lines of this month and the last one, by origins.
func (l *lab) bill(t *testing.T, dir string) map[string]line {
	t.Helper()
	now := time.Now().UTC()
	out := l.lcpOn(t, dir, "sessions", "report", "--from", now.AddDate(0, 0, -1).Format("2006-01"), "--to", now.Format("2006-01"),
		"--group-by", "origin", "--format", "json")
	var list []line
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	bill := map[string]line{}
	for _, x := range list {
		bill[x.OriginGroup] = x
	}
	return bill
}
