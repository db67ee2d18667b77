// Package legacytest makes databases of other license servers for tests: with the
// tables that those servers make, and a few records of every kind, among them such
// that cannot be brought over.
package legacytest

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	_ "github.com/go-sql-driver/mysql" // the drivers of the databases
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
)

//go:embed *.sql
var scripts embed.FS

// The scripts.
const (
	V2      = "v2.sql"      // the LCP Server v2
	V2Early = "v2-2025.sql" // the same, before its first release
	V1LCP   = "v1-lcp.sql"  // the license server of the Readium LCP Server v1
	V1LSD   = "v1-lsd.sql"  // its status server
)

// Key returns the content key of the n-th publication.
func Key(n int) lcpcrypto.ContentKey {
	var k lcpcrypto.ContentKey
	for i := range k {
		k[i] = byte(n)
	}
	return k
}

// LongName is the name of a device that is longer than names may be here.
var LongName = strings.Repeat("é", 300)

// words are what databases differ in.
type words struct {
	id, text, blob, zone string
	datetime             func(script string) string
	quote, hex           string // formats
}

var dialects = map[string]words{
	"sqlite": {
		id: "INTEGER PRIMARY KEY", text: "TEXT", blob: "BLOB", zone: "+00:00", quote: `"%s"`, hex: "X'%x'",
		datetime: func(string) string { return "DATETIME" },
	},
	"pgx": {
		id: "BIGINT PRIMARY KEY", text: "TEXT", blob: "BYTEA", zone: "+00", quote: `"%s"`, hex: `'\x%x'`,
		datetime: func(script string) string {
			if script == V1LCP || script == V1LSD {
				return "TIMESTAMP(3)" // which takes no heed of a zone
			}
			return "TIMESTAMPTZ"
		},
	},
	"mysql": {
		id: "BIGINT PRIMARY KEY", text: "LONGTEXT", blob: "VARBINARY(64)", quote: "`%s`", hex: "X'%x'",
		datetime: func(string) string { return "DATETIME(3)" },
	},
}

var (
	quoted = regexp.MustCompile(`@q\((\w+)\)`)
	keys   = regexp.MustCompile(`@key\((-?\d+)\)`)
)

// Create runs a script in a database, for which driver and source are as those of
// sql.Open: sqlite, pgx or mysql.
func Create(ctx context.Context, driver, source, script string) (err error) {
	text, err := scripts.ReadFile(script)
	if err != nil {
		return err
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for statement := range strings.SplitSeq(dialects[driver].fill(string(text), script), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", script, err)
		}
	}
	return nil
}

// fill puts the words of a database into a script.
func (w words) fill(text, script string) string {
	text = regexp.MustCompile(`(?m)^--.*\n`).ReplaceAllString(text, "")
	text = quoted.ReplaceAllString(text, fmt.Sprintf(w.quote, "$1"))
	text = keys.ReplaceAllStringFunc(text, func(match string) string {
		n, _ := strconv.Atoi(keys.FindStringSubmatch(match)[1])
		key := Key(n)
		if n < 0 { // damaged
			return fmt.Sprintf(w.hex, key[:16])
		}
		return fmt.Sprintf(w.hex, key[:])
	})
	return strings.NewReplacer("@id", w.id, "@datetime", w.datetime(script), "@text", w.text, "@blob", w.blob, "@z", w.zone,
		"@long", "'"+LongName+"'").Replace(text)
}
