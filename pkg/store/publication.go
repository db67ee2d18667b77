package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
)

// A Publication is a protected publication, as making licenses for it needs it.
// Times are in UTC and of whole milliseconds.
type Publication struct {
	UUID        string // what licenses and the API know it by; never changes
	AltID       string // a name from its publisher, unique among live publications; may be empty
	Provider    string // URI of who distributes it; may be empty
	Title       string
	Authors     []string
	Publishers  []string
	Description string
	Languages   []string // BCP 47 tags
	Published   string   // the date as the publication tells it
	ContentType string   // of the protected package, such as application/epub+zip
	Href        string   // where reading apps download it; empty until it is known
	Size        int64    // bytes of the protected package
	Checksum    string   // SHA-256 of the protected package, 64 lower-case hexadecimal digits
	CoverURL    string
	ContentKey  lcpcrypto.ContentKey // sealed in the database and bound to UUID

	CreatedAt time.Time // set by the store
	UpdatedAt time.Time // set by the store with every change
	DeletedAt time.Time // zero while the publication is live
}

// check refuses a publication that cannot be stored, with ErrInvalid.
func (p *Publication) check() error {
	switch {
	case p.UUID == "":
		return &InvalidError{"uuid", "is empty"}
	case p.ContentKey == lcpcrypto.ContentKey{}:
		return &InvalidError{"encryption_key", "is missing"}
	case p.Size < 0:
		return &InvalidError{"size", "is negative"}
	}
	return checkFields(
		field{"uuid", p.UUID, maxName},
		field{"alt_id", p.AltID, maxName},
		field{"provider", p.Provider, maxName},
		field{"title", p.Title, maxProse},
		field{"authors", strings.Join(p.Authors, ""), maxProse},
		field{"publishers", strings.Join(p.Publishers, ""), maxProse},
		field{"description", p.Description, maxProse},
		field{"languages", strings.Join(p.Languages, ""), maxProse},
		field{"published", p.Published, maxName},
		field{"content_type", p.ContentType, maxName},
		field{"href", p.Href, maxURL},
		field{"checksum", p.Checksum, maxName},
		field{"cover_url", p.CoverURL, maxURL},
	)
}

const (
	selectPublication = `SELECT seq, uuid, alt_id, provider, title, authors, publishers, description, languages,
	published, content_type, href, size, checksum, cover_url, content_key, created_at, updated_at, deleted_at
	FROM publications`
	byUUID            = " WHERE uuid = ?"
	byAltID           = " WHERE live_alt_id = ?"
	byChecksum        = " WHERE checksum = ? AND deleted_at = 0 ORDER BY seq DESC LIMIT 1"
	isLivePublication = "SELECT CASE WHEN deleted_at = 0 THEN 1 ELSE 0 END FROM publications WHERE uuid = ?"
	insertPublication = `INSERT INTO publications (alt_id, live_alt_id, provider, title, authors, publishers, description,
	languages, published, content_type, href, size, checksum, cover_url, content_key, updated_at, created_at, deleted_at, uuid)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	selectReplacement = "SELECT replaced_at FROM replacements WHERE publication_uuid = ?"
	insertReplacement = "INSERT INTO replacements (replaced_at, publication_uuid) VALUES (?, ?)"
	updateReplacement = "UPDATE replacements SET replaced_at = ? WHERE publication_uuid = ?"
	updatePublication = `UPDATE publications SET alt_id = ?, live_alt_id = ?, provider = ?, title = ?, authors = ?,
	publishers = ?, description = ?, languages = ?, published = ?, content_type = ?, href = ?, size = ?, checksum = ?,
	cover_url = ?, content_key = ?, updated_at = ?, created_at = ?, deleted_at = ? WHERE uuid = ?`
)

// publicationArgs returns the values of insertPublication and of
// updatePublication, which have them in the same order.
func (s *Store) publicationArgs(p *Publication) []any {
	var deleted int64
	if !p.DeletedAt.IsZero() {
		deleted = p.DeletedAt.UnixMilli()
	}
	live := sql.NullString{String: p.AltID, Valid: p.AltID != "" && deleted == 0}
	return []any{
		p.AltID, live, p.Provider, p.Title, encodeList(p.Authors), encodeList(p.Publishers), p.Description,
		encodeList(p.Languages), p.Published, p.ContentType, p.Href, p.Size, p.Checksum, p.CoverURL,
		s.sealContentKey(p.UUID, p.ContentKey), p.UpdatedAt.UnixMilli(), p.CreatedAt.UnixMilli(), deleted, p.UUID,
	}
}

// scanPublication reads a row of selectPublication.
func (s *Store) scanPublication(r row) (numbered[Publication], error) {
	var n numbered[Publication]
	var authors, publishers, languages string
	var sealed []byte
	var created, updated, deleted int64
	p := &n.record
	err := r.Scan(&n.seq, &p.UUID, &p.AltID, &p.Provider, &p.Title, &authors, &publishers, &p.Description, &languages,
		&p.Published, &p.ContentType, &p.Href, &p.Size, &p.Checksum, &p.CoverURL, &sealed, &created, &updated, &deleted)
	if err != nil {
		return n, err
	}
	p.CreatedAt, p.UpdatedAt = time.UnixMilli(created).UTC(), time.UnixMilli(updated).UTC()
	if deleted != 0 {
		p.DeletedAt = time.UnixMilli(deleted).UTC()
	}
	var errs [4]error
	p.Authors, errs[0] = decodeList(authors)
	p.Publishers, errs[1] = decodeList(publishers)
	p.Languages, errs[2] = decodeList(languages)
	p.ContentKey, errs[3] = s.openContentKey(p.UUID, sealed)
	return n, errors.Join(errs[:]...)
}

// findPublication returns the publication, live or deleted, that the clause
// finds for value, or ErrNotFound.
func (s *Store) findPublication(ctx context.Context, q querier, clause, value string) (Publication, error) {
	n, err := selectOne(ctx, q, s.scanPublication, selectPublication+clause, value)
	return n.record, err
}

// CreatePublication adds p and returns it with its times. It fails with
// ErrExists when a live publication has the UUID or the alternative identifier.
// A deleted one with the same UUID and key is replaced, and live again; with
// another key that is ErrKeyChanged, because its licenses live on.
func (s *Store) CreatePublication(ctx context.Context, p Publication) (Publication, error) {
	saved, _, err := s.putPublication(ctx, p, false)
	if err != nil {
		return Publication{}, fmt.Errorf("create publication %q: %w", p.UUID, err)
	}
	return saved, nil
}

// SavePublication adds p, or replaces the record with the same UUID and key; a
// deleted one is then live again. If p has no alternative identifier, it keeps
// the one that it had. created says that the UUID was new. A reservation of p is
// fulfilled.
//
// It fails with ErrExists when another live publication has the alternative
// identifier, and with ErrKeyChanged when the publication is known with another
// key: licenses that were made for it would no longer open it.
func (s *Store) SavePublication(ctx context.Context, p Publication) (saved Publication, created bool, err error) {
	saved, created, err = s.putPublication(ctx, p, true)
	if err != nil {
		return Publication{}, false, fmt.Errorf("save publication %q: %w", p.UUID, err)
	}
	return saved, created, nil
}

// putPublication adds p, or replaces the record with the same UUID: a live one
// only if replace is set.
func (s *Store) putPublication(ctx context.Context, p Publication, replace bool) (_ Publication, created bool, err error) {
	if err := p.check(); err != nil {
		return p, false, err
	}
	err = s.write(ctx, func(t tx) error {
		created, err = s.putPublicationTx(ctx, t, &p, replace)
		return err
	})
	return p, created, err
}

func (s *Store) putPublicationTx(ctx context.Context, t tx, p *Publication, replace bool) (created bool, err error) {
	p.UpdatedAt, p.DeletedAt = s.time(), time.Time{}
	statement := updatePublication
	known, err := s.findPublication(ctx, t, byUUID+s.dialect.forUpdate, p.UUID)
	switch {
	case errors.Is(err, ErrNotFound):
		p.CreatedAt = p.UpdatedAt
		statement, created = insertPublication, true
	case err != nil:
		return false, err
	case known.DeletedAt.IsZero() && !replace:
		return false, &ExistsError{Field: "uuid", Value: p.UUID, UUID: p.UUID}
	case known.ContentKey != p.ContentKey:
		return false, ErrKeyChanged
	default:
		p.CreatedAt = known.CreatedAt
		if p.AltID == "" {
			p.AltID = known.AltID
		}
		t.tally.publication(&known, -1)
	}
	t.tally.publication(p, 1)
	if err := s.checkAltID(ctx, t, p); err != nil {
		return false, err
	}
	if err := t.exec(ctx, statement, s.publicationArgs(p)...); err != nil {
		return false, err
	}
	if !created {
		if err := s.noteReplacement(ctx, t, &known, p); err != nil {
			return false, err
		}
	}
	return created, t.exec(ctx, deleteReservations, p.UUID, nullable(p.AltID))
}

// checkAltID fails with ErrExists if another live publication has the
// alternative identifier of p.
func (s *Store) checkAltID(ctx context.Context, t tx, p *Publication) error {
	if p.AltID == "" {
		return nil
	}
	other, err := s.findPublication(ctx, t, byAltID, p.AltID)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	case other.UUID != p.UUID:
		return &ExistsError{Field: "alt_id", Value: p.AltID, UUID: other.UUID}
	}
	return nil
}

// Publication returns a live publication. It fails with ErrNotFound, which is
// ErrDeleted if there was one.
func (s *Store) Publication(ctx context.Context, uuid string) (Publication, error) {
	p, err := s.AnyPublication(ctx, uuid)
	if err == nil && !p.DeletedAt.IsZero() {
		return Publication{}, fmt.Errorf("publication %q: %w", uuid, ErrDeleted)
	}
	return p, err
}

// AnyPublication returns a publication, live or deleted: what a fresh license
// needs. It fails with ErrNotFound.
func (s *Store) AnyPublication(ctx context.Context, uuid string) (Publication, error) {
	p, err := s.findPublication(ctx, s.keyed(), byUUID, uuid)
	if err != nil {
		return Publication{}, fmt.Errorf("publication %q: %w", uuid, err)
	}
	return p, nil
}

// PublicationByAltID returns the live publication with an alternative
// identifier. It fails with ErrNotFound.
func (s *Store) PublicationByAltID(ctx context.Context, altID string) (Publication, error) {
	p, err := s.findPublication(ctx, s.keyed(), byAltID, altID)
	if err != nil {
		return Publication{}, fmt.Errorf("publication with alt_id %q: %w", altID, err)
	}
	return p, nil
}

// PublicationByChecksum returns the newest live publication whose protected
// package has a checksum. It fails with ErrNotFound.
func (s *Store) PublicationByChecksum(ctx context.Context, checksum string) (Publication, error) {
	p, err := s.findPublication(ctx, s.keyed(), byChecksum, checksum)
	if err != nil {
		return Publication{}, fmt.Errorf("publication with checksum %q: %w", checksum, err)
	}
	return p, nil
}

// UpdatePublication lets change decide what becomes of a live publication, in
// one transaction, and returns the outcome. When change refuses, nothing is
// written and its error comes back in the chain. It may change all but UUID and
// the times; change may run more than once, on any goroutine, and must not call
// the store. With another file (href, size, checksum or type) the licenses that
// are live count as updated now.
//
// A changed key is the caller's decision: copies of the publication that are
// already with readers do not open with a license made after it. UpdatePublication
// fails with ErrNotFound, ErrDeleted, or ErrExists for an alternative identifier
// that is taken.
func (s *Store) UpdatePublication(ctx context.Context, uuid string,
	change func(Publication) (Publication, error),
) (Publication, error) {
	var p Publication
	err := s.write(ctx, func(t tx) error {
		old, err := s.findLivePublication(ctx, t, uuid)
		if err != nil {
			return err
		}
		if p, err = change(old); err != nil {
			return err
		}
		p.UUID, p.CreatedAt, p.UpdatedAt, p.DeletedAt = old.UUID, old.CreatedAt, s.time(), time.Time{}
		if err := p.check(); err != nil {
			return err
		}
		if err := s.checkAltID(ctx, t, &p); err != nil {
			return err
		}
		t.tally.publication(&old, -1)
		t.tally.publication(&p, 1)
		if err := s.noteReplacement(ctx, t, &old, &p); err != nil {
			return err
		}
		return t.exec(ctx, updatePublication, s.publicationArgs(&p)...)
	})
	if err != nil {
		return Publication{}, fmt.Errorf("update publication %q: %w", uuid, err)
	}
	return p, nil
}

// noteReplacement writes down that the file of a publication is another one now:
// what licenses say of it has changed, and their times follow when they are read
// (License.Updated), however many they are.
func (s *Store) noteReplacement(ctx context.Context, t tx, old, p *Publication) error {
	if old.Checksum == p.Checksum && old.Size == p.Size && old.Href == p.Href && old.ContentType == p.ContentType {
		return nil
	}
	at := s.time().UnixMilli()
	last, err := selectOne(ctx, t, scanCount, selectReplacement, p.UUID)
	switch {
	case errors.Is(err, ErrNotFound):
		return t.exec(ctx, insertReplacement, at, p.UUID)
	case err != nil:
		return err
	default:
		return t.exec(ctx, updateReplacement, max(at, last+1), p.UUID)
	}
}

// findLivePublication returns a publication and keeps others from changing it
// until the transaction ends. It fails with ErrNotFound or ErrDeleted.
func (s *Store) findLivePublication(ctx context.Context, t tx, uuid string) (Publication, error) {
	p, err := s.findPublication(ctx, t, byUUID+s.dialect.forUpdate, uuid)
	if err == nil && !p.DeletedAt.IsZero() {
		err = ErrDeleted
	}
	return p, err
}

// DeletePublication marks a publication as deleted: no new license can be made
// for it, those that exist live on, and its alternative identifier is free. It
// fails with ErrNotFound, or ErrDeleted if it was deleted before.
func (s *Store) DeletePublication(ctx context.Context, uuid string) error {
	err := s.write(ctx, func(t tx) error {
		p, err := s.findLivePublication(ctx, t, uuid)
		if err != nil {
			return err
		}
		t.tally.publication(&p, -1)
		p.UpdatedAt = s.time()
		p.DeletedAt = p.UpdatedAt
		return t.exec(ctx, updatePublication, s.publicationArgs(&p)...)
	})
	if err != nil {
		return fmt.Errorf("delete publication %q: %w", uuid, err)
	}
	return nil
}

// A PublicationFilter says which live publications to list. The zero value
// means all.
type PublicationFilter struct {
	ContentType string
	Provider    string // URI
}

func (f PublicationFilter) conditions() *conditions {
	c := &conditions{}
	c.add("deleted_at = ?", 0)
	if f.ContentType != "" {
		c.add("content_type = ?", f.ContentType)
	}
	if f.Provider != "" {
		c.add("provider = ?", f.Provider)
	}
	return c
}

// Publications lists live publications, newest first. next is where the next
// page begins, or 0 at the end of the list. The error is ErrInvalid for an
// impossible page.
func (s *Store) Publications(ctx context.Context, f PublicationFilter, p Page) (list []Publication, next Cursor, err error) {
	if err := p.check(); err != nil {
		return nil, 0, fmt.Errorf("list publications: %w", err)
	}
	c := f.conditions()
	c.page(p, "seq")
	rows, err := selectAll(ctx, s, s.scanPublication, selectPublication+c.where()+c.tail, c.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list publications: %w", err)
	}
	list, next = cut(rows, p.Limit)
	return list, next, nil
}

// CountPublications returns how many publications Publications lists on all
// pages.
func (s *Store) CountPublications(ctx context.Context, f PublicationFilter) (int64, error) {
	if f.Provider != "" {
		c := f.conditions()
		n, err := selectOne(ctx, s, scanCount, "SELECT COUNT(*) FROM publications"+c.where(), c.args...)
		if err != nil {
			return 0, fmt.Errorf("count publications of %q: %w", f.Provider, err)
		}
		return n, nil
	}
	clause, args := "", []any(nil)
	if f.ContentType != "" {
		clause, args = " AND name = ?", []any{f.ContentType}
	}
	n, err := s.sum(ctx, countPublications, clause, args...)
	if err != nil {
		return 0, fmt.Errorf("count publications: %w", err)
	}
	return n, nil
}
