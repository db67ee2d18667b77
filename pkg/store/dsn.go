package store

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
)

// ErrDSN says that a data source name is not one of a database that this
// program can open.
var ErrDSN = errors.New("unusable data source name")

// memory is the SQLite name of a database that ends with its connection.
const memory = ":memory:"

// A dataSource is what a data source name names.
type dataSource struct {
	dialect func() (*dialect, error)
	source  string // as the dialect opens it
	shown   string // without secrets
}

// CheckDSN fails with ErrDSN where Open would, without looking for the database.
// The error has no password in it.
func CheckDSN(dsn string) error {
	_, err := parseDSN(dsn)
	return err
}

// parseDSN reads the name of a database. Errors do not repeat what follows a
// scheme, which may hold a password.
func parseDSN(dsn string) (dataSource, error) {
	scheme, rest, hasScheme := strings.Cut(dsn, "://")
	switch {
	case dsn == "":
		return dataSource{}, fmt.Errorf("%w: it is empty", ErrDSN)
	case strings.HasPrefix(dsn, "file:"):
		return sqliteDatabase(parseFileURI(dsn))
	case hasScheme && (scheme == "sqlite" || scheme == "sqlite3"):
		return sqliteDatabase(parseSQLiteURL(rest))
	case hasScheme && (scheme == "postgres" || scheme == "postgresql"):
		shown, err := parsePostgresURL(dsn)
		return dataSource{postgresDialect, dsn, shown}, err
	case hasScheme && (scheme == "mysql" || scheme == "mariadb"):
		return mysqlDatabase(rest)
	case strings.Contains(dsn, "@tcp("), strings.Contains(dsn, "@unix("):
		return mysqlDatabase(dsn)
	case hasScheme:
		return dataSource{}, fmt.Errorf("%w: scheme %q is not known, use a path, sqlite://, postgres:// or mysql://", ErrDSN, scheme)
	}
	return sqliteDatabase(dsn, nil)
}

func sqliteDatabase(path string, err error) (dataSource, error) {
	return dataSource{sqliteDialect, path, path}, err
}

func mysqlDatabase(name string) (dataSource, error) {
	config, err := parseMySQL(name)
	if err != nil {
		return dataSource{}, err
	}
	return dataSource{mysqlDialect, name, shownMySQL(config)}, nil
}

// parseSQLiteURL reads what follows sqlite:// or sqlite3://. That is a path as
// it stands, not a URL with a host: sqlite://lcp.db lies in the working folder
// and sqlite:///data/lcp.db in /data. A file: URI may follow too.
func parseSQLiteURL(rest string) (string, error) {
	if strings.HasPrefix(rest, "file:") {
		return parseFileURI(rest)
	}
	path, query, _ := strings.Cut(rest, "?")
	return checkQuery(path, query)
}

// parseFileURI reads a file: URI as SQLite does: file:lcp.db is relative,
// file:/data/lcp.db and file:///data/lcp.db are not, and %20 is a space.
func parseFileURI(uri string) (string, error) {
	path, query, _ := strings.Cut(strings.TrimPrefix(uri, "file:"), "?")
	path, _, _ = strings.Cut(path, "#")
	if authority, ok := strings.CutPrefix(path, "//"); ok {
		host, _, _ := strings.Cut(authority, "/")
		if host != "" && host != "localhost" {
			return "", fmt.Errorf("%w: file URI names the host %q", ErrDSN, host)
		}
		path = strings.TrimPrefix(authority, host)
	}
	path, err := url.PathUnescape(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrDSN, err)
	}
	return checkQuery(path, query)
}

// checkQuery returns path, or memory if the query asks for that. Of the
// parameters that such names carry, those of the drivers (they begin with an
// underscore) and cache make no difference here: the store chooses how it
// uses its connections.
func checkQuery(path, query string) (string, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrDSN, err)
	}
	for name := range values {
		value := values.Get(name)
		switch {
		case name == "mode" && value == "memory":
			path = memory
		case name == "mode" && (value == "rw" || value == "rwc"), name == "cache", strings.HasPrefix(name, "_"):
		default:
			return "", fmt.Errorf("%w: parameter %s=%s is not supported", ErrDSN, name, value)
		}
	}
	if path == "" || strings.ContainsRune(path, 0) {
		return "", fmt.Errorf("%w: it names no file", ErrDSN)
	}
	return path, nil
}

// fileURI names the file at an absolute path so that SQLite takes no character
// of it for a parameter.
func fileURI(path string) string {
	path = filepath.ToSlash(path)
	if runtime.GOOS == "windows" {
		path = "/" + path // /C:/data/lcp.db
	}
	return "file://" + (&url.URL{Path: path}).EscapedPath()
}
