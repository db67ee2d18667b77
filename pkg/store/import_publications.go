package store

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// ImportPublications brings publications of another server over, with their keys,
// their times and whether they were deleted, in one transaction. It returns what
// became of each.
//
// A publication without CreatedAt counts as created now; UpdatedAt is when the
// other server last changed it, zero if it does not tell. One that is here already
// becomes what it is there only if it was changed there later than here or, where
// that is not told, not at all here; what the other server leaves empty stays. If
// the file is another one then, the licenses that are live count as updated now.
//
// A publication is refused with ErrExists if another live one has its alternative
// identifier, with ErrKeyChanged if it was changed here later and has another key,
// and with ErrInvalid if it cannot be stored. If dryRun is set nothing is written.
func (s *Store) ImportPublications(ctx context.Context, batch []Publication, dryRun bool) ([]Import, error) {
	var results []Import
	err := s.write(ctx, func(t tx) error {
		im := publicationImport{t: t, batch: slices.Clone(batch), results: make([]Import, len(batch)), now: s.time()}
		if err := im.decide(ctx); err != nil {
			return err
		}
		results = im.results
		if dryRun {
			return nil
		}
		return im.apply(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("import publications: %w", err)
	}
	return results, nil
}

// A publicationImport is a batch of publications on its way in.
type publicationImport struct {
	t       tx
	now     time.Time
	batch   []Publication           // what each will be
	results []Import                // by index
	known   map[string]*Publication // those that are here, by UUID
	holders map[string]string       // UUIDs of live ones by alternative identifier
}

// decide finds out what is to become of each publication. It writes nothing.
func (im *publicationImport) decide(ctx context.Context) error {
	if err := im.find(ctx); err != nil {
		return err
	}
	seen := make(map[string]bool, len(im.batch))
	for i := range im.batch {
		p, known := &im.batch[i], im.known[im.batch[i].UUID]
		err := p.check()
		if err == nil && seen[p.UUID] {
			err = &InvalidError{"uuid", "is that of another publication, too"}
		}
		verdict := Refused
		if err == nil {
			seen[p.UUID] = true
			verdict, err = im.verdict(p, known)
		}
		if verdict == Created || verdict == Updated {
			err = im.hold(p, known)
		}
		if err != nil {
			verdict = Refused
		}
		im.results[i] = Import{verdict, err}
	}
	return nil
}

const (
	selectKnownPublications = selectPublication + " WHERE uuid IN "
	selectHolders           = "SELECT live_alt_id, uuid FROM publications WHERE live_alt_id IN "
)

// find reads and locks the publications that are here, and who has the
// alternative identifiers.
func (im *publicationImport) find(ctx context.Context) error {
	uuids, altIDs := make([]string, len(im.batch)), make([]string, len(im.batch))
	for i := range im.batch {
		uuids[i], altIDs[i] = im.batch[i].UUID, im.batch[i].AltID
	}
	im.known, im.holders = make(map[string]*Publication), make(map[string]string)
	err := inChunks(distinct(uuids), func(part []string) error {
		query := selectKnownPublications + placeholders(len(part)) + im.t.s.dialect.forUpdate
		rows, err := selectAll(ctx, im.t, im.t.s.scanPublication, query, anys(part)...)
		for i := range rows {
			im.known[rows[i].record.UUID] = &rows[i].record
		}
		return err
	})
	if err != nil {
		return err
	}
	return inChunks(distinct(altIDs), func(part []string) error {
		_, err := selectAll(ctx, im.t, func(r row) (none struct{}, err error) {
			var altID, uuid string
			err = r.Scan(&altID, &uuid)
			im.holders[altID] = uuid
			return none, err
		}, selectHolders+placeholders(len(part)), anys(part)...)
		return err
	})
}

// verdict is what is to become of a publication that is here, or not if known is
// nil, and makes of p what it will be.
func (im *publicationImport) verdict(p, known *Publication) (Verdict, error) {
	changed := p.UpdatedAt.UTC().Truncate(time.Millisecond)
	if deleted := p.DeletedAt.UTC().Truncate(time.Millisecond); deleted.After(changed) {
		changed = deleted
	}
	if known == nil {
		if p.CreatedAt.IsZero() {
			p.CreatedAt = im.now
		}
		p.UpdatedAt = changed
		if changed.IsZero() {
			p.UpdatedAt = p.CreatedAt
		}
		return Created, nil
	}
	there := p.over(known)
	newer := changed.After(known.UpdatedAt)
	if changed.IsZero() {
		newer, changed = known.UpdatedAt.Equal(known.CreatedAt), known.UpdatedAt
	}
	switch {
	case reflect.DeepEqual(there, *known):
		return Unchanged, nil
	case newer:
		there.UpdatedAt = changed
		*p = there
		return Updated, nil
	case p.ContentKey != known.ContentKey:
		return Refused, ErrKeyChanged
	default:
		return Kept, nil
	}
}

// over returns known with all that p tells, and with its UpdatedAt.
func (p *Publication) over(known *Publication) Publication {
	there := *known
	there.AltID = cmp.Or(p.AltID, known.AltID)
	there.Provider = cmp.Or(p.Provider, known.Provider)
	there.Title = cmp.Or(p.Title, known.Title)
	there.Description = cmp.Or(p.Description, known.Description)
	there.ContentType = cmp.Or(p.ContentType, known.ContentType)
	there.Href = cmp.Or(p.Href, known.Href)
	there.Size = cmp.Or(p.Size, known.Size)
	there.Checksum = cmp.Or(p.Checksum, known.Checksum)
	there.CoverURL = cmp.Or(p.CoverURL, known.CoverURL)
	if len(p.Authors) > 0 {
		there.Authors = p.Authors
	}
	if len(p.Publishers) > 0 {
		there.Publishers = p.Publishers
	}
	there.ContentKey, there.DeletedAt = p.ContentKey, p.DeletedAt.UTC().Truncate(time.Millisecond)
	return there
}

// hold gives the alternative identifier of what was known to p, unless another
// live publication has it.
func (im *publicationImport) hold(p, known *Publication) error {
	live := p.AltID != "" && p.DeletedAt.IsZero()
	if holder, held := im.holders[p.AltID]; live && held && holder != p.UUID {
		return &ExistsError{Field: "alt_id", Value: p.AltID, UUID: holder}
	}
	if known != nil && im.holders[known.AltID] == p.UUID {
		delete(im.holders, known.AltID)
	}
	if live {
		im.holders[p.AltID] = p.UUID
	}
	return nil
}

// publicationRows are rows in the order of publicationArgs.
var publicationRows = rowWriter{table: "publications", key: "alt_id, live_alt_id, provider, title, authors, publishers, description, " +
	"languages, published, content_type, href, size, checksum, cover_url, content_key, updated_at, created_at, deleted_at, uuid", inserts: true}

// apply writes what was decided. What gives up an alternative identifier comes
// before what takes it, as in the batch.
func (im *publicationImport) apply(ctx context.Context) error {
	var rows [][]any
	for i := range im.batch {
		p := &im.batch[i]
		switch im.results[i].Verdict {
		case Created:
			rows = append(rows, im.t.s.publicationArgs(p))
		case Updated:
			known := im.known[p.UUID]
			im.t.tally.publication(known, -1)
			if err := im.t.s.noteReplacement(ctx, im.t, known, p); err != nil {
				return err
			}
			if err := im.t.exec(ctx, updatePublication, im.t.s.publicationArgs(p)...); err != nil {
				return err
			}
		default:
			continue
		}
		im.t.tally.publication(p, 1)
	}
	return publicationRows.write(ctx, im.t, rows)
}
