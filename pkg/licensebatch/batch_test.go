package licensebatch_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/licensebatch"
)

// issuer issues licenses as a server does: one for each key.
type issuer struct {
	mu     sync.Mutex
	issued map[string]string // identifier by key
	calls  int
	refuse func(r api.LicenseRequest) error // may be nil
	done   func(calls int)                  // called after each license; may be nil
}

func (s *issuer) GenerateLicense(ctx context.Context, r api.LicenseRequest, key string) (*license.Document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.refuse != nil {
		if err := s.refuse(r); err != nil {
			return nil, err
		}
	}
	if s.issued == nil {
		s.issued = map[string]string{}
	}
	id, known := s.issued[key]
	if !known {
		id = fmt.Sprintf("00000000-0000-4000-8000-%012d", len(s.issued))
		s.issued[key] = id
	}
	s.calls++
	if s.done != nil {
		s.done(s.calls)
	}
	return license.Parse(document(id, r.UserID))
}

func document(id, user string) []byte {
	return fmt.Appendf(nil, `{"provider":"https://e.org","id":%q,"issued":"2030-01-01T00:00:00Z","encryption":{`+
		`"profile":"http://readium.org/lcp/basic-profile","content_key":{"algorithm":"a","encrypted_value":"AAAA"},`+
		`"user_key":{"algorithm":"b","text_hint":"h","key_check":"AAAA"}},"user":{"id":%q},`+
		`"links":[{"rel":"hint","href":"https://e.org/h","type":"text/html"},{"rel":"publication","href":"https://e.org/1.epub","type":"application/epub+zip"}],`+
		`"signature":{"algorithm":"c","certificate":"AAAA","value":"AAAA"}}`, id, user)
}

// users are rows for so many users, with files of their names.
func users(n int) iter.Seq2[licensebatch.Row, error] {
	var b strings.Builder
	b.WriteString("user_id,file\n")
	for i := range n {
		fmt.Fprintf(&b, "u%d,f%d\n", i, i)
	}
	return licensebatch.Reading{NameColumn: "file"}.CSV(strings.NewReader(b.String()))
}

// run runs a batch and returns the results by row.
func run(t *testing.T, ctx context.Context, b licensebatch.Batch, rows iter.Seq2[licensebatch.Row, error]) ([]licensebatch.Result, licensebatch.Summary, error) {
	t.Helper()
	if b.Journal != nil {
		defer b.Journal.Close() // the next run could not open it
	}
	var results []licensebatch.Result
	sum, err := b.Run(ctx, rows, func(r licensebatch.Result) error {
		results = append(results, r)
		return nil
	})
	slices.SortFunc(results, func(a, b licensebatch.Result) int { return a.Row - b.Row })
	return results, sum, err
}

func openJournal(t *testing.T, name string) *licensebatch.Journal {
	t.Helper()
	j, err := licensebatch.OpenJournal(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func TestRun(t *testing.T) {
	t.Parallel()
	for _, jobs := range []int{0, 1, 7} {
		dir := t.TempDir()
		s := &issuer{refuse: func(r api.LicenseRequest) error {
			if r.UserID == "u3" {
				return errors.New("publication is\nunknown")
			}
			return nil
		}}
		results, sum, err := run(t, t.Context(), licensebatch.Batch{Issuer: s, Out: dir, Jobs: jobs}, users(20))
		if err != nil || sum != (licensebatch.Summary{Done: 19, Failed: 1}) || len(results) != 20 {
			t.Fatalf("%d jobs: %+v, %v", jobs, sum, err)
		}
		for i, r := range results {
			file := filepath.Join(dir, fmt.Sprintf("f%d.lcpl", i))
			data, readErr := os.ReadFile(file)
			switch {
			case r.Row != i+1:
				t.Errorf("result %d is of row %d", i, r.Row)
			case i == 3:
				if r.Result != licensebatch.Failed || r.Error != "publication is; unknown" || r.LicenseID != "" || readErr == nil {
					t.Errorf("failed row: %+v", r)
				}
			case r.Result != licensebatch.Done || r.File != file || r.LicenseID == "":
				t.Errorf("result %+v", r)
			case readErr != nil || !strings.Contains(string(data), fmt.Sprintf(`"id":"u%d"`, i)) || !strings.Contains(string(data), r.LicenseID):
				t.Errorf("%s: %v, %s", file, readErr, data)
			}
		}
	}
}

func TestFilesAreNamedAfterLicenses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rows := licensebatch.Reading{}.NDJSON(strings.NewReader("{}\n{}\n"))
	results, _, err := run(t, t.Context(), licensebatch.Batch{Issuer: &issuer{}, Out: dir}, rows)
	if err != nil || len(results) != 2 || results[0].LicenseID == results[1].LicenseID {
		t.Fatalf("rows that are equal: %+v, %v", results, err)
	}
	for _, r := range results {
		if r.File != filepath.Join(dir, r.LicenseID+".lcpl") {
			t.Errorf("license %s is in %s", r.LicenseID, r.File)
		}
	}
}

func TestNamesThatAreTaken(t *testing.T) {
	t.Parallel()
	rows := licensebatch.Reading{NameColumn: "n"}.CSV(strings.NewReader("n\nA\na\nb\n"))
	results, sum, err := run(t, t.Context(), licensebatch.Batch{Issuer: &issuer{}, Out: t.TempDir()}, rows)
	if err != nil || sum != (licensebatch.Summary{Done: 2, Failed: 1}) || results[1].Error != `row 1 has the same name, "a"` {
		t.Errorf("%+v, %v", results, err)
	}
}

// A run that was killed at any moment, between an answer and the journal too,
// goes on without a second license for any row.
func TestKilledAndResumed(t *testing.T) {
	t.Parallel()
	const n = 12
	for killedAfter := range n + 1 {
		for _, journalLost := range []bool{false, true} {
			dir := t.TempDir()
			name := filepath.Join(dir, "journal")
			s := &issuer{}
			killed, kill := context.WithCancel(t.Context())
			s.done = func(calls int) {
				if calls == killedAfter {
					kill()
				}
			}
			if killedAfter == 0 {
				kill()
			}
			_, first, err := run(t, killed, licensebatch.Batch{Issuer: s, Out: dir, Jobs: 2, Journal: openJournal(t, name)}, users(n))
			if killedAfter < n-2 && !errors.Is(err, context.Canceled) {
				t.Errorf("killed after %d: %v", killedAfter, err)
			}
			if journalLost {
				tear(t, name)
			}
			s.done = nil
			results, sum, err := run(t, t.Context(), licensebatch.Batch{Issuer: s, Out: dir, Jobs: 2, Journal: openJournal(t, name)}, users(n))
			if err != nil || sum.Failed != 0 || sum.Done+sum.Kept != n || len(results) != n {
				t.Fatalf("resumed after %d: %+v, %v", killedAfter, sum, err)
			}
			if !journalLost && sum.Kept != first.Done {
				t.Errorf("%d rows were done, and %d were kept", first.Done, sum.Kept)
			}
			if len(s.issued) != n {
				t.Errorf("killed after %d, line torn: %t: %d licenses were issued for %d rows", killedAfter, journalLost, len(s.issued), n)
			}
			for i, r := range results {
				data, err := os.ReadFile(r.File)
				if err != nil || !strings.Contains(string(data), fmt.Sprintf(`"id":"u%d"`, i)) || !strings.Contains(string(data), r.LicenseID) {
					t.Errorf("row %d: %v", r.Row, err)
				}
			}
			kill()
		}
	}
}

// tear cuts the last line of a journal in two, as a crash can.
func tear(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data[:len(data)-5], 0o600); err != nil {
		t.Fatal(err)
	}
}

// Rows may move, and failed ones be put right, between two runs.
func TestResumeWithAnotherFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "journal")
	s := &issuer{refuse: func(r api.LicenseRequest) error {
		if r.PublicationID == "" {
			return errors.New("publication_id: is missing")
		}
		return nil
	}}
	runCSV := func(text string) licensebatch.Summary {
		rows := licensebatch.Reading{}.CSV(strings.NewReader("user_id,publication_id,passphrase\n" + text))
		_, sum, err := run(t, t.Context(), licensebatch.Batch{Issuer: s, Out: dir, Journal: openJournal(t, name)}, rows)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	if got := runCSV("u1,p1,a\nu2,,b\nu3,p3,c\nu3,p3,c\n"); got != (licensebatch.Summary{Done: 3, Failed: 1}) {
		t.Errorf("first: %+v", got)
	}
	if got := runCSV("u0,p0,z\nu3,p3,c\nu2,p2,b\nu1,p1,other\nu3,p3,c\n"); got != (licensebatch.Summary{Done: 2, Kept: 3}) {
		t.Errorf("second: %+v", got)
	}
	data, err := os.ReadFile(name)
	if err != nil || strings.Contains(string(data), "u1") || strings.Contains(string(data), "p1") {
		t.Errorf("the journal tells of users: %s", data)
	}
}

func TestJournalsThatAreNone(t *testing.T) {
	t.Parallel()
	header := `{"journal":"lcp license batch","version":1,"id":"X"}` + "\n"
	tests := map[string]struct{ text, want string }{
		"another file":    {"user_id,alt_id\nu1,x\n", "line 1: not the journal"},
		"later version":   {strings.Replace(header, "1", "2", 1), "line 1: version 2 is from a later program"},
		"changed by hand": {header + "{}\n", "line 2: not a row"},
		"very long line":  {strings.Repeat("x", 1<<16) + "\n", "line 1: "},
		"empty":           {"", ""},
		"torn header":     {header[:20], ""},
		"torn row":        {header + `{"row":"`, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "journal")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			j, err := licensebatch.OpenJournal(file)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				j.Close()
				if again, err := licensebatch.OpenJournal(file); err != nil || again.Close() != nil {
					t.Errorf("opened again: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
			if data, _ := os.ReadFile(file); string(data) != tt.text {
				t.Error("the file was changed")
			}
		})
	}
}

// Once it is clear that no row can succeed, the others are not tried, and still
// have their result.
func TestFatal(t *testing.T) {
	t.Parallel()
	fatal := errors.New("unauthorized")
	s := &issuer{}
	tried := 0
	s.refuse = func(r api.LicenseRequest) error {
		if tried++; r.UserID == "u2" {
			return fatal
		}
		return nil
	}
	b := licensebatch.Batch{Issuer: s, Out: t.TempDir(), Fatal: func(err error) bool { return errors.Is(err, fatal) }}
	results, sum, err := run(t, t.Context(), b, users(50))
	if err != nil || sum != (licensebatch.Summary{Done: 2, Failed: 48}) || tried != 3 {
		t.Errorf("after %d tries: %+v, %v", tried, sum, err)
	}
	if results[2].Error != "unauthorized" || results[49].Error != "not tried: unauthorized" {
		t.Errorf("results are %+v and %+v", results[2], results[49])
	}
}

func TestRunEndsEarly(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk full")
	b := licensebatch.Batch{Issuer: &issuer{}, Out: t.TempDir(), Jobs: 4}
	_, err := b.Run(t.Context(), users(1000), func(licensebatch.Result) error { return cause })
	if !errors.Is(err, cause) {
		t.Errorf("report fails: %v", err)
	}
	broken := func(yield func(licensebatch.Row, error) bool) {
		for row := range users(3) {
			if !yield(row, nil) {
				return
			}
		}
		yield(licensebatch.Row{}, cause)
	}
	_, sum, err := run(t, t.Context(), b, broken)
	if !errors.Is(err, cause) || sum.Done != 3 {
		t.Errorf("rows end with an error: %+v, %v", sum, err)
	}
	b.Out = filepath.Join(t.TempDir(), "missing")
	if _, sum, err := run(t, t.Context(), b, users(2)); err != nil || sum.Failed != 2 {
		t.Errorf("no folder: %+v, %v", sum, err)
	}
}
