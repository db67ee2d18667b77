package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/postgres/*.sql
var postgresMigrations embed.FS

const (
	// maxConnections is how many connections a store has to a database server
	// at most. Each of them does one thing at a time.
	maxConnections = 24
	// connectTimeout is how long it waits for one, unless the name of the
	// database says otherwise.
	connectTimeout = 5 * time.Second
	// counterShards is over how many rows a counter is spread, where
	// transactions run at the same time.
	counterShards = 8
	// migrationLock is the advisory lock of who migrates a database.
	migrationLock = 0x6c6370 // lcp
)

// postgresDialect returns the dialect of PostgreSQL 12 and later.
func postgresDialect() (*dialect, error) {
	migrations, err := fs.Sub(postgresMigrations, "migrations/postgres")
	if err != nil {
		return nil, err
	}
	return &dialect{
		goose:         goose.DialectPostgres,
		migrations:    migrations,
		open:          openPostgres,
		openForeign:   openForeignPostgres,
		noTable:       isPostgres("42P01"),
		lockMigration: lockPostgres,
		rebind:        numberPlaceholders,
		forUpdate:     " FOR UPDATE",
		forShare:      " FOR SHARE",
		upsert:        onConflict,
		unlessThere:   onConflictNothing,
		isolation:     sql.LevelReadCommitted,
		through:       func(string) string { return "" },
		shards:        counterShards,
		raced:         isPostgres("40001", "40P01", "23505"),
		unavailable:   isPostgresUnavailable,
	}, nil
}

// parsePostgresURL returns the name of a database without its secrets. The
// errors of pgx and net/url may repeat a password and are left out.
func parsePostgresURL(dsn string) (shown string, err error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return "", fmt.Errorf("%w: it is not a URL: special characters of the password must be percent-encoded", ErrDSN)
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return "", fmt.Errorf("%w: it must look like postgres://user:password@host:5432/database, with parameters that PostgreSQL knows", ErrDSN)
	}
	return u.Scheme + "://" + config.Host + ":" + strconv.Itoa(int(config.Port)) + "/" + config.Database, nil
}

func openPostgres(_ context.Context, dsn string) (writer, reader *sql.DB, err error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, nil, ErrDSN
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "lcp"
	}
	db := stdlib.OpenDB(*config)
	limitConnections(db)
	return db, db, nil
}

func openForeignPostgres(ctx context.Context, dsn string) (*sql.DB, error) {
	_, db, err := openPostgres(ctx, dsn)
	return db, err
}

// limitConnections bounds the connections to a server, and keeps those that are
// open: statements are prepared on them.
func limitConnections(db *sql.DB) {
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	db.SetConnMaxIdleTime(5 * time.Minute)
}

// lockPostgres waits until nobody else migrates the database.
func lockPostgres(ctx context.Context, conn *sql.Conn) (unlock func() error, err error) {
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", migrationLock); err != nil {
		return nil, err
	}
	return func() error {
		_, err := conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", migrationLock)
		return err
	}, nil
}

// numberPlaceholders puts $1, $2 and so on in place of each ?. No statement has
// a question mark that is none.
func numberPlaceholders(query string) string {
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		query = after
	}
}

// isPostgres returns a function that reports whether an error has one of the
// codes.
func isPostgres(codes ...string) func(error) bool {
	return func(err error) bool {
		e, ok := errors.AsType[*pgconn.PgError](err)
		return ok && slices.Contains(codes, e.Code)
	}
}

// isPostgresUnavailable reports whether an error tells of the server, and not of
// what was asked (PostgreSQL, appendix A): no connection (08), transaction
// rolled back (40), resources (53), locks (55P03), an operator (57), a
// server that only reads for now (25006).
func isPostgresUnavailable(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return pgconn.SafeToRetry(err) || pgconn.Timeout(err)
	}
	return slices.Contains([]string{"08", "40", "53", "57"}, e.Code[:min(2, len(e.Code))]) || e.Code == "55P03" || e.Code == "25006"
}
