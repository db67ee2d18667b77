package store_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// dialectFiles may use the words of one database.
var dialectFiles = map[string]bool{"sqlite.go": true, "postgres.go": true, "mysql.go": true}

// Words that only some databases know, or know differently.
var unportable = regexp.MustCompile(`(?i)\b(OR REPLACE|OR IGNORE|REPLACE INTO|RETURNING|ON CONFLICT|ON DUPLICATE|` +
	`AUTOINCREMENT|AUTO_INCREMENT|ROWID|PRAGMA|ILIKE|GLOB|IFNULL|NVL|STRFTIME|JULIANDAY|UNIXEPOCH|DATETIME|NOW\(|` +
	`CURRENT_TIMESTAMP|FOR UPDATE|SKIP LOCKED|JSON_\w+|GROUP_CONCAT|STRING_AGG|LIMIT \?, ?\?|NULLS (FIRST|LAST)|` +
	`TRUE|FALSE|IS DISTINCT|sqlite_\w+|INDEXED BY|NOT INDEXED|USE INDEX)\b|::\w+|\|\||\$\d|@@|` + "`" + `|"`)

var statement = regexp.MustCompile(`^\s*(SELECT|INSERT|UPDATE|DELETE|WHERE|ORDER BY|WITH|ALTER|CREATE)\b|\b\w+ (=|<|>|<=|>=) \?`)

// Statements outside the files of a dialect are for every database.
func TestStatementsArePortable(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, file := range files {
		if dialectFiles[file] || strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, text := range literals(t, file) {
			if !statement.MatchString(text) {
				continue
			}
			checked++
			if word := unportable.FindString(text); word != "" {
				t.Errorf("%s: %q is not for every database: %s", file, word, text)
			}
		}
	}
	if checked < 20 {
		t.Errorf("%d statements found, want more: does this test still recognize them?", checked)
	}
}

func TestUnportable(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"INSERT OR REPLACE INTO a VALUES (?)", "INSERT INTO a VALUES (?) RETURNING seq", "SELECT a FROM b WHERE c = $1",
		`SELECT "end" FROM a`, "SELECT a || b FROM c", "SELECT a FROM b FOR UPDATE", "SELECT a::text FROM b",
	} {
		if !statement.MatchString(text) || !unportable.MatchString(text) {
			t.Errorf("%q passes as portable", text)
		}
	}
}

// literals returns the strings in a Go file.
func literals(t *testing.T, file string) []string {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, text)
		}
		return true
	})
	return texts
}
