package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3"
)

// versionTable is where goose notes which migrations the database has.
const versionTable = "schema_versions"

// migrationAttempts bounds how often a migration is tried again that failed
// because another process did it meanwhile.
const migrationAttempts = 5

// ErrSchema says that the schema of the database is not the one that this
// program works with.
var ErrSchema = errors.New("database schema does not fit this program")

// migrate brings the schema up to date, or only compares it if apply is false.
func (s *Store) migrate(ctx context.Context, apply bool) error {
	provider, err := goose.NewProvider(s.dialect.goose, s.writer, s.dialect.migrations,
		goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	sources := provider.ListSources()
	want := sources[len(sources)-1].Version
	have := s.schemaVersion(ctx)
	switch {
	case have == want:
		return nil
	case have > want:
		return fmt.Errorf("%w: it has version %d and was written by a newer lcp; this one knows version %d", ErrSchema, have, want)
	case !apply:
		return fmt.Errorf("%w: it has version %d and this lcp needs version %d: let it migrate the database", ErrSchema, have, want)
	}
	if have == 0 && s.isForeign(ctx) {
		return fmt.Errorf("%w: its table publications is another program's, such as the LCP Server's: give lcp a database of its own, and bring the records over with \"lcp import OLD-DSN\"", ErrSchema)
	}
	return s.applyMigrations(ctx, provider, want)
}

// isForeign reports whether the database has a table of the name of one of ours,
// that is not ours: the configuration of the LCP Server names such a database.
func (s *Store) isForeign(ctx context.Context) bool {
	has := func(columns string) bool {
		var n int64
		return s.writer.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT "+columns+" FROM publications WHERE 1 = 0) found").Scan(&n) == nil
	}
	return has("uuid") && !has("live_alt_id")
}

// lockMigration keeps other processes from migrating, if the database has a way
// to.
func (s *Store) lockMigration(ctx context.Context) (unlock func() error, err error) {
	if s.dialect.lockMigration == nil {
		return func() error { return nil }, nil
	}
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return nil, err
	}
	release, err := s.dialect.lockMigration(ctx, conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return func() error { return errors.Join(release(), conn.Close()) }, nil
}

// applyMigrations runs what is missing. Another process may do so at the same
// time. Either it waits, or each migration is one transaction, so that the slower
// process fails, and then finds it done.
func (s *Store) applyMigrations(ctx context.Context, provider *goose.Provider, want int64) (err error) {
	unlock, err := s.lockMigration(ctx)
	if err != nil {
		return fmt.Errorf("migrate database: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if s.dialect.beforeMigration != nil {
		if err := s.dialect.beforeMigration(ctx, s.writer); err != nil {
			return fmt.Errorf("migrate database: %w", err)
		}
	}
	for attempt := 1; ; attempt++ {
		_, err := provider.Up(ctx)
		if err == nil {
			return nil
		}
		if attempt == migrationAttempts || ctx.Err() != nil {
			return fmt.Errorf("migrate database to version %d: %w", want, err)
		}
	}
}

// schemaVersion returns the version of the schema, 0 for an empty database. It
// asks for one number only, because this is part of every start.
func (s *Store) schemaVersion(ctx context.Context) int64 {
	var version int64
	err := s.writer.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+versionTable).Scan(&version)
	if err != nil {
		return 0 // there is no such table; anything worse is met again at once
	}
	return version
}
