// Package licensebatch issues a license for each row of a file. Each row leads to
// one license, in a file of its own, and to one result; a run that ended early, by
// whatever cause, can be taken up again without issuing any license twice.
//
// It does not know who issues: a license server and the local store do alike.
package licensebatch

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/blob/fileblob"
	"github.com/lcp-tools/lcp/pkg/license"
)

// An Issuer issues licenses. Requests under the same key lead to one license.
// *client.Client and *records.Local are issuers.
type Issuer interface {
	GenerateLicense(ctx context.Context, r api.LicenseRequest, key string) (*license.Document, error)
}

// A Batch says how to issue. Issuer and Out are required.
type Batch struct {
	Issuer  Issuer
	Out     string   // folder for the licenses; must exist
	Jobs    int      // licenses at once; 0 for one after the other
	Journal *Journal // nil for none

	// Fatal reports whether after an error no other row can succeed, as when the
	// credentials are refused. The rows that are left then fail untried. May be
	// nil.
	Fatal func(error) bool
}

// What can become of a row.
const (
	Done   = "done"
	Kept   = "kept" // an earlier run with the same journal has done it
	Failed = "failed"
)

// A Result tells what became of a row.
type Result struct {
	Row       int    `json:"row"` // 1 for the first
	Result    string `json:"result"`
	LicenseID string `json:"license_id,omitempty"`
	File      string `json:"file,omitempty"` // path
	Error     string `json:"error,omitempty"`
}

// A Summary counts results.
type Summary struct{ Done, Kept, Failed int }

// grace is how long requests in hand may go on once a run is interrupted.
const grace = 10 * time.Second

// Run issues a license for every row and reports on each, in the order in which
// they are done; report is not called twice at a time. When ctx ends, what is in
// hand is finished and the rest is left. The error says why the run ended before
// the rows did: the context's, that of the rows, of the journal, or of report.
func (b *Batch) Run(ctx context.Context, rows iter.Seq2[Row, error], report func(Result) error) (Summary, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	inHand, release := outlive(ctx, grace)
	defer release()

	tasks := make(chan task)
	outcomes := make(chan outcome)
	var feedErr error
	var running sync.WaitGroup
	running.Go(func() {
		defer close(tasks)
		feedErr = b.feed(ctx, rows, tasks)
	})
	r := &run{Batch: b}
	for range max(1, b.Jobs) {
		running.Go(func() {
			for t := range tasks {
				outcomes <- r.issue(inHand, t)
			}
		})
	}
	go func() {
		running.Wait()
		close(outcomes)
	}()
	var sum Summary
	var collectErr error
	for o := range outcomes {
		if collectErr != nil {
			continue // the workers must come to their end
		}
		if collectErr = b.collect(drain(o, outcomes), report, &sum); collectErr != nil {
			stop(collectErr)
		}
	}
	if collectErr != nil {
		return sum, collectErr
	}
	return sum, feedErr
}

// outlive returns a context that ends a while after its parent.
func outlive(parent context.Context, d time.Duration) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	var mu sync.Mutex
	var timer *time.Timer
	forget := context.AfterFunc(parent, func() {
		mu.Lock()
		defer mu.Unlock()
		timer = time.AfterFunc(d, cancel)
	})
	return ctx, func() {
		forget()
		cancel()
		mu.Lock()
		defer mu.Unlock()
		if timer != nil {
			timer.Stop()
		}
	}
}

// A task is a row with the key of its request.
type task struct {
	row  Row
	key  string
	kept *entry // what the journal knows of it
}

// An outcome is what to tell about a task, and to write down if it is new.
type outcome struct {
	Result
	entry *entry
}

// feed hands out the rows.
func (b *Batch) feed(ctx context.Context, rows iter.Seq2[Row, error], tasks chan<- task) error {
	k := keyer{batch: rand.Text(), times: map[[32]byte]int{}}
	if b.Journal != nil {
		k.batch = b.Journal.id
	}
	names := map[string]int{}
	for row, err := range rows {
		if err != nil {
			return err
		}
		t := task{row: row}
		if row.Err == nil {
			t.row.Err = claim(names, row)
			t.key = k.key(row)
		}
		if b.Journal != nil {
			if e, ok := b.Journal.done[t.key]; ok {
				t.kept = &e
			}
		}
		select {
		case tasks <- t:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// claim refuses a row whose license would take the file of another one's. Not
// every system tells upper from lower case.
func claim(names map[string]int, row Row) error {
	if row.Name == "" {
		return nil
	}
	name := strings.ToLower(row.Name)
	if first, taken := names[name]; taken {
		return fmt.Errorf("row %d has the same name, %q", first, row.Name)
	}
	names[name] = row.Number
	return nil
}

// A keyer makes the keys of requests: the same for the same row, wherever it
// stands in the file, in every run with the same journal. Rows that are equal are
// told apart by their number, since each asks for a license. The hash of the
// passphrase has no part in it: nobody shall guess passphrases from keys.
type keyer struct {
	batch string
	times map[[32]byte]int
}

func (k *keyer) key(row Row) string {
	r := row.Request
	r.PassHash = ""
	content, err := json.Marshal(r)
	if err != nil { // a date that JSON cannot write: the issuer refuses it
		content = nil
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%q\n%s", k.batch, row.Name, content))
	k.times[sum]++
	sum = sha256.Sum256(fmt.Appendf(sum[:], "%d", k.times[sum]))
	return hex.EncodeToString(sum[:16])
}

// run is a batch at work.
type run struct {
	*Batch
	mu    sync.Mutex
	fatal error // why no further row can succeed
}

// issue carries out one task.
func (r *run) issue(ctx context.Context, t task) outcome {
	o := outcome{Result: Result{Row: t.row.Number}}
	if t.kept != nil {
		o.Result.Result, o.LicenseID, o.File = Kept, t.kept.License, filepath.Join(r.Out, t.kept.File)
		return o
	}
	e, err := r.write(ctx, t)
	if err != nil {
		o.Result.Result, o.Error = Failed, strings.ReplaceAll(err.Error(), "\n", "; ")
		return o
	}
	o.Result.Result, o.LicenseID, o.File, o.entry = Done, e.License, filepath.Join(r.Out, e.File), &e
	return o
}

// write has the license issued and writes it.
func (r *run) write(ctx context.Context, t task) (entry, error) {
	if t.row.Err != nil {
		return entry{}, t.row.Err
	}
	if err := r.ended(); err != nil {
		return entry{}, fmt.Errorf("not tried: %w", err)
	}
	doc, err := r.Issuer.GenerateLicense(ctx, t.row.Request, t.key)
	if err != nil {
		if r.Fatal != nil && r.Fatal(err) {
			r.end(err)
		}
		return entry{}, err
	}
	name := t.row.Name
	if name == "" {
		name = doc.ID
		if err := checkName(name); err != nil {
			return entry{}, fmt.Errorf("identifier of the license: %w", err)
		}
	}
	name += license.Extension
	if err := writeLicense(filepath.Join(r.Out, name), doc); err != nil {
		return entry{}, fmt.Errorf("write the license: %w", err)
	}
	return entry{Row: t.key, License: doc.ID, File: name}, nil
}

// writeLicense writes a license, whole or not at all.
func writeLicense(path string, doc *license.Document) error {
	return fileblob.WriteFile(path, func(f *os.File) error {
		_, err := f.Write(append(doc.JSON(), '\n'))
		return err
	})
}

func (r *run) ended() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fatal
}

func (r *run) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fatal == nil {
		r.fatal = err
	}
}

// drain returns an outcome with those that are ready by now, so that the journal
// is synced once for all of them.
func drain(first outcome, more <-chan outcome) []outcome {
	list := []outcome{first}
	for len(list) < 256 {
		select {
		case o, ok := <-more:
			if !ok {
				return list
			}
			list = append(list, o)
		default:
			return list
		}
	}
	return list
}

// collect writes down what is done, then reports.
func (b *Batch) collect(outcomes []outcome, report func(Result) error, sum *Summary) error {
	if b.Journal != nil {
		var entries []entry
		for _, o := range outcomes {
			if o.entry != nil {
				entries = append(entries, *o.entry)
			}
		}
		if len(entries) > 0 {
			if err := b.Journal.add(entries); err != nil {
				return err
			}
		}
	}
	var errs []error
	for _, o := range outcomes {
		switch o.Result.Result {
		case Done:
			sum.Done++
		case Kept:
			sum.Kept++
		default:
			sum.Failed++
		}
		errs = append(errs, report(o.Result))
	}
	return errors.Join(errs...)
}
