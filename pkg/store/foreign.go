package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// A Foreign is an open database of another program, from which this one only
// reads. It is safe for concurrent use. The caller must Close it.
type Foreign struct {
	db      *sql.DB
	dialect *dialect
	shown   string
}

// OpenForeign opens a database that exists, by a name of those that Options.DSN
// may have. Nothing is written to it, and no lock is held between queries. Dates
// of MySQL and MariaDB, which have no zone, are in that of the parameter loc
// of the name, such as loc=Europe%2FParis, and else in UTC. It fails with ErrDSN.
func OpenForeign(ctx context.Context, dsn string) (*Foreign, error) {
	name, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	d, err := name.dialect()
	if err != nil {
		return nil, err
	}
	db, err := d.openForeign(ctx, name.source)
	if err != nil {
		return nil, fmt.Errorf("open database %q: %w", name.shown, err)
	}
	if err := db.PingContext(ctx); err != nil {
		return nil, fmt.Errorf("open database %q: %w", name.shown, errors.Join(err, db.Close()))
	}
	return &Foreign{db, d, name.shown}, nil
}

// Close closes the database.
func (f *Foreign) Close() error { return f.db.Close() }

// String returns the name of the database, without a password.
func (f *Foreign) String() string { return f.shown }

// Query runs a SELECT with ? as placeholder. The caller closes the rows.
func (f *Foreign) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return f.db.QueryContext(ctx, f.dialect.text(query), args...)
}

// Columns returns the names of the columns of a table, none if there is no such
// table. An error is that the database cannot be asked.
func (f *Foreign) Columns(ctx context.Context, table string) ([]string, error) {
	rows, err := f.db.QueryContext(ctx, "SELECT * FROM "+table+" WHERE 1 = 0") //nolint:gosec // names of tables are the program's own
	if err != nil {
		if f.dialect.noTable(err) {
			return nil, nil
		}
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	return names, rows.Err()
}

// Arrival returns the column by which every table has its rows in the order in
// which they came, or "" if this database has none.
func (f *Foreign) Arrival() string { return f.dialect.arrival }
