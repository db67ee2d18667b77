// Package relocation has the records of publications follow their files to
// another address, after a bucket, a domain or a folder has moved. It moves no
// files.
//
// Each record that changes counts as one whose file was replaced: the licenses for
// it that are live are updated by that, and apps fetch them again.
package relocation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/client"
)

// Records is where publications are registered. *client.Client and *records.Local
// are such.
type Records interface {
	Publications(ctx context.Context, q client.PublicationQuery) iter.Seq2[api.Publication, error]
	Publication(ctx context.Context, uuid string) (api.Publication, error)
	UpdatePublication(ctx context.Context, p api.Publication) (api.Publication, error)
}

// A Relocation is a move from one address to another. What is under From, in file
// and cover alike, will be under To with the same rest. To may lie below From: what
// is there has moved already.
type Relocation struct {
	From, To string // base URLs

	Records Records
	Check   *http.Client // asks whether what is registered is at the new address; nil not to
	Apply   bool         // change records; else only say what would be
	Jobs    int          // records at once; zero for one
}

// A Move is what becomes of a record that has to change.
type Move struct {
	UUID      string `json:"uuid"`
	AltID     string `json:"alt_id,omitempty"`
	Title     string `json:"title,omitempty"`
	From      string `json:"from,omitempty"` // addresses of the file; empty if it stays where it is
	To        string `json:"to,omitempty"`
	CoverFrom string `json:"cover_from,omitempty"`
	CoverTo   string `json:"cover_to,omitempty"`
	Applied   bool   `json:"applied"`
	Error     string `json:"error,omitempty"` // why it was not changed, or must not be
}

// Validate refuses addresses that cannot be meant.
func (r *Relocation) Validate() error {
	if scheme, rest, ok := strings.Cut(r.From, "://"); !ok || scheme == "" || strings.Trim(rest, "/") == "" {
		return fmt.Errorf("%q is not an address to move from", r.From)
	}
	if _, err := blob.ParseBase(r.To); err != nil {
		return err
	}
	if base(r.From) == base(r.To) {
		return errors.New("both addresses are the same")
	}
	return nil
}

// base is an address that names can be appended to.
func base(address string) string { return strings.TrimRight(address, "/") + "/" }

// moved returns where an address is after the move, if it takes part.
func (r *Relocation) moved(address string) (string, bool) {
	rest, ok := strings.CutPrefix(address, base(r.From))
	below := strings.HasPrefix(base(r.To), base(r.From))
	if !ok || rest == "" || below && strings.HasPrefix(address, base(r.To)) {
		return "", false
	}
	return base(r.To) + rest, true
}

// plan is the move of a record; ok is false if it stays as it is.
func (r *Relocation) plan(p *api.Publication) (m Move, ok bool) {
	m = Move{UUID: p.UUID, AltID: p.AltID, Title: p.Title}
	to, fileMoves := r.moved(p.Href)
	if fileMoves {
		m.From, m.To = p.Href, to
	}
	coverTo, coverMoves := r.moved(p.CoverURL)
	if coverMoves {
		m.CoverFrom, m.CoverTo = p.CoverURL, coverTo
	}
	return m, fileMoves || coverMoves
}

// Run goes through all records and tells about each that has to change, by several
// goroutines at once if there are several jobs. Failures of records are in their
// moves; the error is that of reading the records, or of ctx. What is done is done:
// running again goes on with the rest.
func (r *Relocation) Run(ctx context.Context, each func(Move)) error {
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(max(r.Jobs, 1))
	var listErr error
	for p, err := range r.Records.Publications(ctx, client.PublicationQuery{}) {
		if listErr = errors.Join(err, working.Err()); listErr != nil {
			break
		}
		m, ok := r.plan(&p)
		if !ok {
			continue
		}
		size := p.Size
		group.Go(func() error {
			err := r.move(working, &m, size)
			if working.Err() != nil {
				return working.Err()
			}
			if err != nil {
				m.Error = err.Error()
			}
			each(m)
			return nil
		})
	}
	return errors.Join(listErr, group.Wait())
}

// move carries out one.
func (r *Relocation) move(ctx context.Context, m *Move, size int64) error {
	if r.Check != nil {
		if err := r.check(ctx, m, size); err != nil {
			return err
		}
	}
	if !r.Apply {
		return nil
	}
	p, err := r.Records.Publication(ctx, m.UUID) // as it is now, with the key where that has to be sent back
	if err != nil {
		return err
	}
	if p.Href != cmp.Or(m.From, p.Href) || p.CoverURL != cmp.Or(m.CoverFrom, p.CoverURL) {
		return errors.New("somebody else changed the record meanwhile: run again")
	}
	p.Href, p.CoverURL = cmp.Or(m.To, p.Href), cmp.Or(m.CoverTo, p.CoverURL)
	if _, err := r.Records.UpdatePublication(ctx, p); err != nil {
		return err
	}
	m.Applied = true
	return nil
}

// check asks for what is registered at its new address.
func (r *Relocation) check(ctx context.Context, m *Move, size int64) error {
	if m.To != "" {
		if err := r.head(ctx, m.To, size); err != nil {
			return fmt.Errorf("%s: %w", m.To, err)
		}
	}
	if m.CoverTo != "" {
		if err := r.head(ctx, m.CoverTo, 0); err != nil {
			return fmt.Errorf("%s: %w", m.CoverTo, err)
		}
	}
	return nil
}

// head fails unless something of a size in bytes, zero for any, is at an address.
func (r *Relocation) head(ctx context.Context, address string, size int64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, address, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Accept-Encoding", "identity") // else the size may be that of something compressed
	resp, err := r.Check.Do(req)
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		return failed.Err // without the address, which is told anyway
	}
	if err != nil {
		return err
	}
	resp.Body.Close()
	switch {
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the server answered %s", resp.Status)
	case size > 0 && resp.ContentLength < 0:
		return errors.New("the server does not tell its size")
	case size > 0 && resp.ContentLength != size:
		return fmt.Errorf("it has %d bytes, but %d are registered", resp.ContentLength, size)
	}
	return nil
}
