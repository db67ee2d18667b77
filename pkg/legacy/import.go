package legacy

import (
	"context"
	"errors"
	"iter"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/lcp-tools/lcp/pkg/store"
)

// batchSize is how many records are written in one transaction.
const batchSize = 10000

// Store is where records are brought to. *store.Store is one.
type Store interface {
	ImportPublications(ctx context.Context, batch []store.Publication, dryRun bool) ([]store.Import, error)
	ImportLicenses(ctx context.Context, batch []store.ForeignLicense, dryRun bool) ([]store.Import, error)
}

// An Import brings all that a source has to a store. Running it again brings what
// has come or changed since, so that it can be run beforehand, and once more when
// the other server has been stopped.
type Import struct {
	Source  *Source
	Store   Store
	Profile func() (string, error) // chooses the encryption profile of a license, of which the sources tell nothing
	BaseURL string                 // where files are published that the other server keeps itself; "" if that is not known
	DryRun  bool                   // write nothing

	// Each is told of every record that was not brought over, or not all of it.
	Each func(Record) error
	// Progress is told now and then how far it has come.
	Progress func(Summary)
}

// A Record is one that was not brought over, or not all of it.
type Record struct {
	Type   string   `json:"type"`            // publication or license
	ID     string   `json:"id"`              // its uuid
	Result string   `json:"result"`          // failed or incomplete
	Error  string   `json:"error,omitempty"` // why it failed
	Lost   []string `json:"lost,omitempty"`  // what is missing of one that is incomplete
}

// Results of records.
const (
	Failed     = "failed"
	Incomplete = "incomplete"
)

// A Tally counts records by what became of them.
type Tally struct {
	Created, Updated, Unchanged, Kept, Gone, Failed int64
	Incomplete                                      int64 // of those that did not fail
}

// All is how many records were seen.
func (t Tally) All() int64 {
	return t.Created + t.Updated + t.Unchanged + t.Kept + t.Gone + t.Failed
}

// Done is how many of them are here as they should be.
func (t Tally) Done() int64 { return t.All() - t.Failed }

func (t *Tally) add(v store.Verdict) {
	switch v {
	case store.Created:
		t.Created++
	case store.Updated:
		t.Updated++
	case store.Unchanged:
		t.Unchanged++
	case store.Kept:
		t.Kept++
	case store.Gone:
		t.Gone++
	default:
		t.Failed++
	}
}

// A Summary is what became of all records, and what the other server did not know
// of those that were created.
type Summary struct {
	Publications, Licenses Tally

	Untitled    int64 // publications without a title
	Unaddressed int64 // publications without an address of their file
	Unmeasured  int64 // publications without size or checksum
	Unseen      int64 // licenses that the status server does not know
	Recounted   int64 // licenses whose number of devices was not that of the registrations
}

// Run imports publications, then licenses. Faults of records are told to Each; the
// error is that of a database, of Each, or of ctx. What is done is done.
func (im *Import) Run(ctx context.Context) (Summary, error) {
	r := run{Import: im, promised: make(map[string]bool)}
	err := batches(ctx, im.Source.Publications, r.publications)
	if err == nil {
		err = batches(ctx, im.Source.Licenses, r.licenses)
	}
	return r.sum, err
}

// batches hands the records of a source on, so many at a time. The next are read
// while use is at work.
func batches[T any](ctx context.Context, records func(context.Context) iter.Seq2[T, error], use func(context.Context, []T) error) error {
	group, working := errgroup.WithContext(ctx)
	ready := make(chan []T, 1)
	group.Go(func() error {
		defer close(ready)
		var batch []T
		send := func() error {
			select {
			case ready <- batch:
				batch = nil
				return nil
			case <-working.Done():
				return working.Err()
			}
		}
		for record, err := range records(working) {
			if err != nil {
				return err
			}
			if batch = append(batch, record); len(batch) == batchSize {
				if err := send(); err != nil {
					return err
				}
			}
		}
		if len(batch) == 0 {
			return nil
		}
		return send()
	})
	group.Go(func() error {
		for batch := range ready {
			if err := use(working, batch); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// A run is one of an Import.
type run struct {
	*Import
	sum      Summary
	promised map[string]bool // publications that would be there if it were no dry run
}

func (r *run) publications(ctx context.Context, all []Publication) error {
	var batch []store.Publication
	for i := range all {
		p := &all[i]
		if p.Fault != nil {
			r.sum.Publications.Failed++
			if err := r.failed("publication", p.UUID, p.Fault); err != nil {
				return err
			}
			continue
		}
		if p.File != "" && r.BaseURL != "" {
			p.Href = strings.TrimRight(r.BaseURL, "/") + "/" + p.File
		}
		batch = append(batch, p.Publication)
	}
	results, err := r.Store.ImportPublications(ctx, batch, r.DryRun)
	if err != nil {
		return err
	}
	for i, result := range results {
		if err := r.publication(&batch[i], result); err != nil {
			return err
		}
	}
	r.Progress(r.sum)
	return nil
}

func (r *run) publication(p *store.Publication, result store.Import) error {
	r.sum.Publications.add(result.Verdict)
	if result.Verdict == store.Refused {
		return r.failed("publication", p.UUID, result.Err)
	}
	if r.DryRun && result.Verdict == store.Created {
		r.promised[p.UUID] = true
	}
	if result.Verdict == store.Created {
		r.sum.Untitled += one(p.Title == "")
		r.sum.Unaddressed += one(p.Href == "")
		r.sum.Unmeasured += one(p.Size == 0 || p.Checksum == "")
	}
	return nil
}

func one(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

func (r *run) licenses(ctx context.Context, all []License) error {
	var batch []store.ForeignLicense
	var from []*License
	for i := range all {
		l := &all[i]
		if l.Fault != nil {
			r.sum.Licenses.Failed++
			if err := r.failed("license", l.UUID, l.Fault); err != nil {
				return err
			}
			continue
		}
		var err error
		if l.Profile, err = r.Profile(); err != nil {
			return err
		}
		batch, from = append(batch, l.ForeignLicense), append(from, l)
	}
	results, err := r.Store.ImportLicenses(ctx, batch, r.DryRun)
	if err != nil {
		return err
	}
	for i, result := range results {
		if err := r.license(from[i], result); err != nil {
			return err
		}
	}
	r.Progress(r.sum)
	return nil
}

func (r *run) license(l *License, result store.Import) error {
	if result.Verdict == store.Refused && r.promised[l.PublicationUUID] && errors.Is(result.Err, store.ErrNotFound) {
		result = store.Import{Verdict: store.Created}
	}
	r.sum.Licenses.add(result.Verdict)
	switch result.Verdict {
	case store.Refused:
		return r.failed("license", l.UUID, result.Err)
	case store.Created:
		r.sum.Unseen += one(l.Unseen)
		r.sum.Recounted += one(l.Devices != int64(l.Registered()))
	case store.Kept, store.Gone:
		return nil
	default:
	}
	if len(l.Lost) == 0 {
		return nil
	}
	r.sum.Licenses.Incomplete++
	return r.Each(Record{Type: "license", ID: l.UUID, Result: Incomplete, Lost: l.Lost})
}

func (r *run) failed(kind, id string, err error) error {
	return r.Each(Record{Type: kind, ID: id, Result: Failed, Error: strings.ReplaceAll(err.Error(), "\n", "; ")})
}
