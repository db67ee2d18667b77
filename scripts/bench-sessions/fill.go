package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver

	"github.com/lcp-tools/lcp/pkg/metering"
)

// fill puts events into the database, and the figures that they would have made:
// the months of a year, 20 groups, 500 publications.
func (b *bench) fill(ctx context.Context, events int) error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.dir, "lcp.db")+"?_pragma=synchronous(off)&_pragma=journal_mode(wal)")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	last := int(metering.MonthOf(now()))
	const groups, publications, months = 20, 500, 12
	numbers := func(n int) string {
		return fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) ", n-1)
	}
	each := max(1, events/(groups*publications*months))
	for _, statement := range []string{
		"DELETE FROM usage_rollup", "DELETE FROM usage_unique",
		numbers(publications) + "INSERT OR IGNORE INTO usage_publications (key_id, token, signature) SELECT 1, 'book-' || i, '' FROM n",
		numbers(groups) + "INSERT OR IGNORE INTO usage_groups (key_id, name) SELECT 1, 'group-' || i FROM n",
		numbers(events) + fmt.Sprintf("INSERT INTO reading_events (key_id, event, content, at, user_id, publication_id, origin_id, device, seconds, status, opened_at) "+
			"SELECT 1, CAST(printf('%%016d', i) AS BLOB), zeroblob(8), %d + i, i %% 100000, i %% %d, 1, zeroblob(8), 60, 2, 0 FROM n", now().AddDate(-1, 0, 0).UnixMilli(), publications),
		fmt.Sprintf("INSERT INTO usage_rollup SELECT 1, m.i, m.i, g.id, p.id, %d, %d, 0, 0, 0, 0, %d, %d FROM "+
			"(WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i FROM n) m, "+
			"(SELECT id FROM usage_groups LIMIT %d) g, (SELECT id FROM usage_publications LIMIT %d) p", each, each*9, each*600, each, last-months+1, last, groups, publications),
		"INSERT INTO usage_unique SELECT key_id, month, of_month, group_id, publication_id, started FROM usage_rollup",
		"INSERT INTO usage_unique SELECT key_id, month, of_month, group_id, 0, SUM(started) FROM usage_rollup GROUP BY 1, 2, 3, 4",
		"INSERT INTO usage_unique SELECT key_id, month, of_month, 0, publication_id, SUM(started) FROM usage_rollup GROUP BY 1, 2, 3, 5",
		"INSERT INTO usage_unique SELECT key_id, month, of_month, 0, 0, SUM(started) FROM usage_rollup GROUP BY 1, 2, 3",
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("fill the database: %s: %w", statement[:min(len(statement), 60)], err)
		}
	}
	return nil
}
