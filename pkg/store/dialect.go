package store

import (
	"context"
	"database/sql"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// A dialect is all that differs between databases, beside their migrations.
// Every other statement in this package is written once, for all of them.
type dialect struct {
	goose      goose.Dialect
	migrations fs.FS // numbered SQL files

	// open returns the connections for writing and those for reading. They
	// may be one and the same.
	open func(ctx context.Context, name string) (writer, reader *sql.DB, err error)

	// openForeign opens a database of another program, to read only.
	openForeign func(ctx context.Context, name string) (*sql.DB, error)

	// noTable reports whether a query failed because there is no such table.
	noTable func(err error) bool

	// arrival is a column that every table has, and that orders rows as they
	// came; "" if there is none.
	arrival string

	// lockMigration, if set, keeps others from migrating until unlock. It
	// locks for the connection.
	lockMigration func(ctx context.Context, conn *sql.Conn) (unlock func() error, err error)

	// beforeMigration, if set, makes goose safe against a second process that
	// migrates the same database at the same time.
	beforeMigration func(ctx context.Context, writer *sql.DB) error

	// rebind puts the placeholders of the database in place of each ?. It is
	// nil where ? is the placeholder.
	rebind func(query string) string

	// forUpdate follows a SELECT whose rows stay locked until the end of the
	// transaction. It is empty where a transaction locks everything.
	forUpdate string

	// forShare follows a SELECT whose rows nobody may change until the end of
	// the transaction, but others may read in the same way.
	forShare string

	// upsert is the end of an INSERT into a table that, for rows which are there
	// already by the columns of its key, changes other columns instead: each to
	// what fresh makes of its name.
	upsert func(key string) (clause string, fresh func(column string) string)

	// unlessThere makes an INSERT do nothing, and change no row, where there is one
	// with its key already.
	unlessThere func(insert string) string

	// isolation is that of transactions. Every transaction locks what its
	// decision rests on, so that to read what is committed is enough.
	isolation sql.IsolationLevel

	// through follows the name of a table that is to be read through an
	// index. The database would often choose another one, since it does not
	// know the values of placeholders. "" leaves the choice to it.
	through func(index string) string

	// grouped says that operations at the same time share a transaction,
	// because there is only one at a time.
	grouped bool

	// shards is over how many rows a counter is spread.
	shards int

	// unavailable reports whether err says that the database does not answer,
	// or is too busy: that the same may succeed later.
	unavailable func(err error) bool

	// raced reports whether a transaction failed because of another one at the
	// same time, so that running it again may succeed. Transactions look for
	// a conflict before they insert; a unique constraint that still fails
	// then is such a race.
	raced func(err error) bool
}

// text returns query in the words of the database.
func (d *dialect) text(query string) string {
	if d.rebind == nil {
		return query
	}
	return d.rebind(query)
}

// onConflict is upsert in the words of SQLite and PostgreSQL.
func onConflict(key string) (clause string, fresh func(column string) string) {
	return " ON CONFLICT (" + key + ") DO UPDATE SET ", func(column string) string { return "excluded." + column }
}

// onConflictNothing is unlessThere in the words of SQLite and PostgreSQL.
func onConflictNothing(insert string) string { return insert + " ON CONFLICT DO NOTHING" }

// onDuplicate is upsert in the words of MySQL and MariaDB.
func onDuplicate(string) (clause string, fresh func(column string) string) {
	return " ON DUPLICATE KEY UPDATE ", func(column string) string { return "VALUES(" + column + ")" }
}
