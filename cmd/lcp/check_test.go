//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/conformance"
	"github.com/lcp-tools/lcp/pkg/profile"
)

// A shelfServer publishes protected publications, as the types that they are.
func shelfServer(t *testing.T, dir string) *httptest.Server {
	t.Helper()
	types := map[string]string{".epub": "application/epub+zip", ".lcpa": "application/audiobook+lcp", ".lcpdf": "application/pdf+lcp"}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", types[filepath.Ext(r.URL.Path)])
		http.ServeFile(w, r, filepath.Join(dir, filepath.Base(r.URL.Path)))
	}))
	t.Cleanup(s.Close)
	return s
}

// checkOf runs lcp check and returns its one report.
func (m *machine) checkOf(t *testing.T, args ...string) conformance.Report {
	t.Helper()
	o := m.run(t, append([]string{"check", "--format", "ndjson", "--passphrase-file", "p", "--root", filepath.Join(m.data, testCertDir, "root.pem")}, args...)...)
	var report conformance.Report
	if err := json.Unmarshal([]byte(o.out), &report); err != nil {
		t.Fatalf("report %q, %s: %v", o.out, o.errors, err)
	}
	if want := min(report.Errors, exitFailed); o.code != want {
		t.Errorf("exit code %d, want %d", o.code, want)
	}
	return report
}

// toldOf gives the errors and warnings of a report, without that of the test
// certificate.
func toldOf(r conformance.Report) []string {
	var told []string
	for _, f := range r.Findings {
		if f.Severity != conformance.Info && f.Rule != "signature-test" {
			told = append(told, string(f.Severity)+" "+f.Rule+": "+f.Message)
		}
	}
	return told
}

// What this very program makes, and lcp serve answers, has no faults from the
// license to the last resource, wherever a license stands.
func TestCheckFindsNothingInOurOwn(t *testing.T) {
	t.Parallel()
	m := newReadingMachine(t)
	shelf := shelfServer(t, m.path("shelf"))
	base := "http://127.0.0.1:" + freePort(t)
	m.write(t, "lcp.yaml", fmt.Appendf(nil, "public_base_url: %s\naddress: %s\nops_address: off\nsnapshot_users: true\nstatus: {renew_max_days: 60}\n"+
		"authorization: {mode: allow-all, until: %s}\n", base, strings.TrimPrefix(base, "http://"), time.Now().AddDate(0, 1, 0).Format(time.DateOnly)))
	s := &served{machine: m, user: "admin", base: base, client: &http.Client{Timeout: time.Minute}}
	s.start(t)
	end := time.Now().UTC().AddDate(0, 0, 30).Format(time.RFC3339)
	for _, name := range []string{"sample.epub", "sample.audiobook", "sample.pdf"} {
		m.write(t, name, sample(t, name))
		rec := m.must(t, "encrypt", name, "--out", "shelf", "--url", shelf.URL).record(t)
		r := licenseFor(rec.UUID, "u1")
		r["user_name"], r["user_encrypted"], r["pass_hash"] = "Ada", []string{"name"}, profile.HashPassphrase(readingPassphrase).Hex()
		license := s.want(t, http.StatusCreated, "POST", "/licenses/", r)
		id := idOf(t, license)
		m.write(t, "book.lcpl", license)
		wantNothing := func(state, target string) {
			t.Helper()
			report := m.checkOf(t, target)
			if told := toldOf(report); len(told) > 0 {
				t.Errorf("%s, %s: %s", name, state, strings.Join(told, "\n"))
			}
			if text, _ := json.Marshal(report.Findings); !strings.Contains(string(text), "decrypt to what is declared") {
				t.Errorf("%s, %s: nothing was decrypted: %s", name, state, text)
			}
		}
		wantNothing("ready", "book.lcpl")
		s.want(t, http.StatusOK, "POST", "/register/"+id+"?id=d&name=n", nil)
		wantNothing("active", "book.lcpl")
		s.want(t, http.StatusOK, "PUT", "/renew/"+id+"?id=d&name=n&end="+end, nil)
		wantNothing("renewed", "book.lcpl")
		wantNothing("renewed", s.base+"/status/"+id)
		s.want(t, http.StatusOK, "PUT", "/return/"+id+"?id=d&name=n", nil)
		wantNothing("returned", "book.lcpl")
	}
}

// A publication that was replaced without telling the license server is found out.
func TestCheckFindsAReplacedPublication(t *testing.T) {
	t.Parallel()
	m := newReadingMachine(t)
	shelf := shelfServer(t, m.path("shelf"))
	m.write(t, "a.epub", sample(t, "sample.epub"))
	rec := m.must(t, "encrypt", "a.epub", "--out", "shelf", "--url", shelf.URL, "--filename", "a").record(t)
	m.must(t, "license", "generate", "--publication", rec.UUID, "--user", "u", "--hint", "h", "--passphrase-file", "p", "--out", "a.lcpl")
	m.must(t, "encrypt", "a.epub", "--out", "new", "--no-register", "--filename", "a")
	m.write(t, "shelf/a.epub", readFile(t, m.path("new/a.epub")))
	report := m.checkOf(t, "a.lcpl")
	rules := map[string]int{}
	for _, f := range report.Findings {
		rules[f.Rule]++
	}
	// No server runs that would answer for status document and hint page.
	if rules["publication-hash"]+rules["publication-length"] != 1 || rules["status-fetch"] != 1 || rules["hint"] != 1 {
		t.Errorf("found %v: %+v", rules, report)
	}
}
