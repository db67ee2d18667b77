package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Provider is one that was added while the server ran. The store knows how to
// tell it from others, and nothing of what is set for it.
type Provider struct {
	ID        string // never changes
	URI       string // in the records of its publications and licenses; never changes
	Document  []byte // JSON
	CreatedAt time.Time
	UpdatedAt time.Time
}

// ErrInUse says that something cannot be removed because others rest on it.
var ErrInUse = errors.New("still in use")

const (
	selectProviders = "SELECT id, uri, document, created_at, updated_at FROM providers"
	byProviderID    = " WHERE id = ?"
	takenProviders  = "SELECT id, uri FROM providers WHERE id = ? OR uri = ?"
	insertProvider  = "INSERT INTO providers (id, uri, document, created_at, updated_at) VALUES (?, ?, ?, ?, ?)"
	updateProvider  = "UPDATE providers SET document = ?, updated_at = ? WHERE id = ?"
	deleteProvider  = "DELETE FROM providers WHERE id = ?"
)

// ofProvider counts, up to one each, what rests on a provider: by URI, then by
// identifier.
const ofProvider = `SELECT (SELECT COUNT(*) FROM (SELECT seq FROM licenses WHERE provider = ? LIMIT 1) a)
	+ (SELECT COUNT(*) FROM (SELECT seq FROM publications WHERE provider = ? AND deleted_at = 0 LIMIT 1) b)
	+ (SELECT COUNT(*) FROM (SELECT name FROM users WHERE provider = ? LIMIT 1) c)
	+ (SELECT COUNT(*) FROM (SELECT name FROM api_keys WHERE provider = ? LIMIT 1) d)`

// withProvider removes what belongs to a provider and to nobody else. Tokens
// that it has spent stay until they expire.
var withProvider = []string{
	"DELETE FROM secrets WHERE provider = ?", "DELETE FROM rights_templates WHERE provider = ?",
}

func scanProvider(r row) (p Provider, err error) {
	var created, updated int64
	err = r.Scan(&p.ID, &p.URI, &p.Document, &created, &updated)
	p.CreatedAt, p.UpdatedAt = time.UnixMilli(created).UTC(), time.UnixMilli(updated).UTC()
	return p, err
}

// Providers lists the providers that are stored, by their identifiers.
func (s *Store) Providers(ctx context.Context) ([]Provider, error) {
	list, err := selectAll(ctx, s, scanProvider, selectProviders+" ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("list providers: %w", err)
	}
	return list, nil
}

// CreateProvider adds a provider. It fails with ErrExists if the identifier or
// the URI is taken.
func (s *Store) CreateProvider(ctx context.Context, p Provider) error {
	err := p.check()
	if err == nil {
		err = s.write(ctx, func(t tx) error {
			taken, err := selectAll(ctx, t, func(r row) (other Provider, err error) {
				err = r.Scan(&other.ID, &other.URI)
				return other, err
			}, takenProviders, p.ID, p.URI)
			switch {
			case err != nil:
				return err
			case len(taken) > 0 && taken[0].ID == p.ID:
				return &ExistsError{Field: "id", Value: p.ID, UUID: p.ID}
			case len(taken) > 0:
				return &ExistsError{Field: "uri", Value: p.URI, UUID: taken[0].ID}
			}
			now := s.time().UnixMilli()
			return t.exec(ctx, insertProvider, p.ID, p.URI, string(p.Document), now, now)
		})
	}
	if err != nil {
		return fmt.Errorf("add provider %q: %w", p.ID, err)
	}
	return nil
}

// UpdateProvider replaces what is set for a provider. It fails with ErrNotFound,
// and with ErrInvalid if the URI is another one: records carry it.
func (s *Store) UpdateProvider(ctx context.Context, p Provider) error {
	err := p.check()
	if err == nil {
		err = s.write(ctx, func(t tx) error {
			old, err := selectOne(ctx, t, scanProvider, selectProviders+byProviderID+s.dialect.forUpdate, p.ID)
			switch {
			case err != nil:
				return err
			case old.URI != p.URI:
				return &InvalidError{"uri", fmt.Sprintf("is %q and cannot be changed, since licenses carry it", old.URI)}
			}
			return t.exec(ctx, updateProvider, string(p.Document), s.time().UnixMilli(), p.ID)
		})
	}
	if err != nil {
		return fmt.Errorf("update provider %q: %w", p.ID, err)
	}
	return nil
}

// DeleteProvider removes a provider with its secrets and templates. It fails with
// ErrNotFound, and with ErrInUse as long as there are licenses, publications,
// users or keys of it.
func (s *Store) DeleteProvider(ctx context.Context, id string) error {
	err := s.write(ctx, func(t tx) error {
		p, err := selectOne(ctx, t, scanProvider, selectProviders+byProviderID+s.dialect.forUpdate, id)
		if err != nil {
			return err
		}
		n, err := selectOne(ctx, t, scanCount, ofProvider, p.URI, p.URI, id, id)
		switch {
		case err != nil:
			return err
		case n > 0:
			return fmt.Errorf("%w: there are licenses, publications, users or keys of it", ErrInUse)
		}
		for _, statement := range withProvider {
			if err := t.exec(ctx, statement, id); err != nil {
				return err
			}
		}
		return t.exec(ctx, deleteProvider, id)
	})
	if err != nil {
		return fmt.Errorf("remove provider %q: %w", id, err)
	}
	return nil
}

func (p *Provider) check() error {
	switch {
	case p.ID == "":
		return &InvalidError{"id", "is empty"}
	case p.URI == "":
		return &InvalidError{"uri", "is empty"}
	}
	return checkFields(field{"id", p.ID, maxName}, field{"uri", p.URI, maxName}, field{"document", string(p.Document), maxProse})
}

// maxTemplates is how many templates a provider can have.
const maxTemplates = 1000

const (
	selectTemplate = "SELECT document FROM rights_templates WHERE provider = ? AND name = ?"
	listTemplates  = "SELECT name FROM rights_templates WHERE provider = ? ORDER BY name"
	countTemplates = "SELECT COUNT(*) FROM rights_templates WHERE provider = ?"
	insertTemplate = "INSERT INTO rights_templates (document, updated_at, provider, name) VALUES (?, ?, ?, ?)"
	updateTemplate = "UPDATE rights_templates SET document = ?, updated_at = ? WHERE provider = ? AND name = ?"
	deleteTemplate = "DELETE FROM rights_templates WHERE provider = ? AND name = ?"
)

// Template returns the JSON of a provider's rights template. It fails with
// ErrNotFound.
func (s *Store) Template(ctx context.Context, provider, name string) ([]byte, error) {
	document, err := selectOne(ctx, s.keyed(), func(r row) (b []byte, err error) {
		err = r.Scan(&b)
		return b, err
	}, selectTemplate, provider, name)
	if err != nil {
		return nil, fmt.Errorf("rights template %q: %w", name, err)
	}
	return document, nil
}

// Templates lists the names of a provider's rights templates.
func (s *Store) Templates(ctx context.Context, provider string) ([]string, error) {
	names, err := selectAll(ctx, s, scanText, listTemplates, provider)
	if err != nil {
		return nil, fmt.Errorf("list rights templates: %w", err)
	}
	return names, nil
}

// SaveTemplate adds a rights template, or replaces one, and says whether it was
// new. The JSON is the caller's to check.
func (s *Store) SaveTemplate(ctx context.Context, provider, name string, document []byte) (created bool, err error) {
	err = checkFields(field{"provider", provider, maxKeyPart}, field{"name", name, maxKeyPart}, field{"document", string(document), maxProse})
	if err == nil {
		err = s.write(ctx, func(t tx) error {
			now := s.time().UnixMilli()
			n, err := t.execCount(ctx, updateTemplate, string(document), now, provider, name)
			if created = n == 0; err != nil || !created {
				return err
			}
			if n, err := selectOne(ctx, t, scanCount, countTemplates, provider); err != nil || n >= maxTemplates {
				return errors.Join(err, tooMany(n, maxTemplates, "templates"))
			}
			return t.exec(ctx, insertTemplate, string(document), now, provider, name)
		})
	}
	if err != nil {
		return false, fmt.Errorf("save rights template %q: %w", name, err)
	}
	return created, nil
}

// tooMany is an ErrInvalid if n has reached the limit.
func tooMany(n, limit int64, what string) error {
	if n < limit {
		return nil
	}
	return fmt.Errorf("%w: there are %d %s already, the most that there can be", ErrInvalid, n, what)
}

// DeleteTemplate removes a rights template. It fails with ErrNotFound.
func (s *Store) DeleteTemplate(ctx context.Context, provider, name string) error {
	err := s.write(ctx, func(t tx) error {
		n, err := t.execCount(ctx, deleteTemplate, provider, name)
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("remove rights template %q: %w", name, err)
	}
	return nil
}

func scanText(r row) (text string, err error) {
	err = r.Scan(&text)
	return text, err
}
