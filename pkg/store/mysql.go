package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/mysql/*.sql
var mysqlMigrations embed.FS

// mysqlDialect returns the dialect of MySQL 8 and MariaDB 10.6, and later ones.
func mysqlDialect() (*dialect, error) {
	migrations, err := fs.Sub(mysqlMigrations, "migrations/mysql")
	if err != nil {
		return nil, err
	}
	return &dialect{
		goose:         goose.DialectMySQL,
		migrations:    migrations,
		open:          openMySQL,
		openForeign:   openForeignMySQL,
		noTable:       isMySQL(1146),
		lockMigration: lockMySQL,
		forUpdate:     " FOR UPDATE",
		forShare:      " LOCK IN SHARE MODE",
		upsert:        onDuplicate,
		unlessThere:   insertIgnore,
		isolation:     sql.LevelReadCommitted,
		through:       throughMySQL,
		shards:        counterShards,
		raced:         isMySQL(1062, 1213, 1020), // duplicate, deadlock, record has changed
		unavailable:   isMySQLUnavailable,
	}, nil
}

// parseMySQL reads what follows mysql://, which is a name as the driver knows it,
// user:password@tcp(host:3306)/database, or the rest of a URL. Errors of the
// driver are left out, since they could repeat a password.
func parseMySQL(rest string) (*mysql.Config, error) {
	if !strings.Contains(rest, "(") {
		u, err := url.Parse("mysql://" + rest)
		if err != nil || u.Host == "" {
			return nil, mysqlForm()
		}
		return mysqlURL(u)
	}
	config, err := mysql.ParseDSN(rest)
	if err != nil || config.DBName == "" {
		return nil, mysqlForm()
	}
	return config, nil
}

func mysqlForm() error {
	return fmt.Errorf("%w: it must look like mysql://user:password@tcp(host:3306)/database", ErrDSN)
}

// mysqlURL reads mysql://user:password@host:3306/database, with the parameters
// of the driver.
func mysqlURL(u *url.URL) (*mysql.Config, error) {
	config := mysql.NewConfig()
	if u.RawQuery != "" {
		var err error
		if config, err = mysql.ParseDSN("tcp(localhost)/?" + u.RawQuery); err != nil {
			return nil, mysqlForm()
		}
	}
	port := u.Port()
	if port == "" {
		port = "3306"
	}
	config.Net, config.Addr = "tcp", net.JoinHostPort(u.Hostname(), port)
	config.User = u.User.Username()
	config.Passwd, _ = u.User.Password()
	config.DBName = strings.TrimPrefix(u.Path, "/")
	if config.DBName == "" {
		return nil, mysqlForm()
	}
	return config, nil
}

// shownMySQL returns the name of a database without its secrets.
func shownMySQL(c *mysql.Config) string { return "mysql://" + c.Addr + "/" + c.DBName }

func openMySQL(_ context.Context, dsn string) (writer, reader *sql.DB, err error) {
	config, err := parseMySQL(dsn)
	if err != nil {
		return nil, nil, err
	}
	config.ClientFoundRows = true // a row that is updated to what it was counts
	config.ParseTime = false
	config.Collation = "utf8mb4_bin"
	if config.Params == nil {
		config.Params = make(map[string]string)
	}
	config.Params["sql_mode"] = "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'" // nothing is cut off in silence
	db, err := connectMySQL(config)
	return db, db, err
}

func connectMySQL(config *mysql.Config) (*sql.DB, error) {
	config.Logger = &mysql.NopLogger{} // what it would print is in the errors
	if config.Timeout == 0 {
		config.Timeout = connectTimeout
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, mysqlForm()
	}
	db := sql.OpenDB(connector)
	limitConnections(db)
	return db, nil
}

func openForeignMySQL(_ context.Context, dsn string) (*sql.DB, error) {
	config, err := parseMySQL(dsn)
	if err != nil {
		return nil, err
	}
	config.ParseTime = true
	return connectMySQL(config)
}

// lockMySQL waits until nobody else migrates the database. Locks are those of
// the server, hence the name.
func lockMySQL(ctx context.Context, conn *sql.Conn) (unlock func() error, err error) {
	const lock = "SELECT GET_LOCK(CONCAT('lcp ', MD5(DATABASE())), 60)"
	const release = "SELECT RELEASE_LOCK(CONCAT('lcp ', MD5(DATABASE())))"
	var got sql.NullInt64
	if err := conn.QueryRowContext(ctx, lock).Scan(&got); err != nil {
		return nil, err
	}
	if got.Int64 != 1 {
		return nil, fmt.Errorf("%w: another process has been migrating for a minute", ErrUnavailable)
	}
	return func() error {
		return conn.QueryRowContext(context.WithoutCancel(ctx), release).Scan(&got)
	}, nil
}

// insertIgnore is unlessThere. What else would be an error is then none either, such
// as a value too long for its column, so those are looked at before.
func insertIgnore(insert string) string {
	return "INSERT IGNORE" + strings.TrimPrefix(insert, "INSERT")
}

func throughMySQL(index string) string {
	if index == "" {
		return ""
	}
	return " FORCE INDEX (" + index + ")"
}

// isMySQL returns a function that reports whether an error has one of the
// numbers.
func isMySQL(numbers ...uint16) func(error) bool {
	return func(err error) bool {
		e, ok := errors.AsType[*mysql.MySQLError](err)
		return ok && slices.Contains(numbers, e.Number)
	}
}

// isMySQLUnavailable reports whether an error tells of the server, and not of
// what was asked: too many connections, shutdown, lost locks, a full disk, a
// server that only reads for now.
func isMySQLUnavailable(err error) bool {
	return errors.Is(err, mysql.ErrInvalidConn) ||
		isMySQL(1040, 1053, 1203, 1205, 1213, 1020, 1290, 1836, 1792, 1021, 1041, 3024, 1317, 1927, 4031)(err)
}
