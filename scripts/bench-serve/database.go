package main

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/lcp-tools/lcp/pkg/keyring"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
	"github.com/lcp-tools/lcp/pkg/store"
	"github.com/lcp-tools/lcp/pkg/store/storetest"
)

// A database is one that is filled with licenses.
type database struct {
	kind     string // sqlite or postgres
	licenses int
	dsn      string
	secret   sharedsecret.Secret // that tokens are signed with
}

// data is the data directory of all servers, so that they share a master key.
func (b *bench) data() string { return filepath.Join(b.tmp, "data") }

func (b *bench) keyring() (*keyring.Keyring, error) {
	if err := os.MkdirAll(b.data(), 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(b.data(), "master.key")
	if b.keep != "" { // kept databases stay sealed with the same key
		kept := filepath.Join(b.keep, "master.key")
		if _, _, err := keyring.LoadOrCreate(kept); err != nil {
			return nil, err
		}
		if err := copyFile(file, kept); err != nil {
			return nil, err
		}
	}
	keys, _, err := keyring.LoadOrCreate(file)
	return keys, err
}

// fill makes a database with so many licenses.
func (b *bench) fill(ctx context.Context, kind string, licenses int) (*database, error) {
	keys, err := b.keyring()
	if err != nil {
		return nil, err
	}
	f := storetest.Filling{Licenses: licenses, Publications: 1 + licenses/1000, Users: 1 + licenses/4, Now: now()}
	o := store.Options{Keyring: keys, Now: now, Migrate: true}
	if kind == "postgres" {
		if o.DSN, err = b.postgres.create(ctx, fmt.Sprintf("lcp%d", licenses)); err != nil {
			return nil, err
		}
		return &database{kind: kind, licenses: licenses, dsn: o.DSN}, storetest.Fill(ctx, o, "pgx", o.DSN, f)
	}
	name := fmt.Sprintf("%d.db", licenses)
	file, kept := filepath.Join(b.tmp, name), filepath.Join(b.keep, name)
	o.DSN = file
	if b.keep != "" {
		o.DSN = kept
	}
	if _, err := os.Stat(o.DSN); err != nil {
		const quick = "?_pragma=journal_mode(wal)&_pragma=synchronous(off)&_pragma=cache_size(-300000)"
		if err := storetest.Fill(ctx, o, "sqlite", o.DSN+quick, f); err != nil {
			return nil, err
		}
	}
	if b.keep != "" {
		err = copyFile(file, kept)
	}
	return &database{kind: kind, licenses: licenses, dsn: file}, err
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// A postgres is a PostgreSQL server that ends with its standard input.
type postgres struct {
	cmd   *exec.Cmd
	stdin io.Closer
	dsn   string
}

// startPostgres starts scripts/postgres.sh. It brings every commit to the disk,
// as SQLite does.
func startPostgres(ctx context.Context) (*postgres, error) {
	p := &postgres{cmd: exec.CommandContext(ctx, "scripts/postgres.sh")}
	p.cmd.Env = append(os.Environ(), "LCP_TEST_FSYNC=on")
	p.cmd.Stderr = os.Stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("scripts/postgres.sh: %w", p.cmd.Wait())
	}
	p.dsn = strings.TrimSpace(line)
	return p, nil
}

// create makes an empty database and returns its URL.
func (p *postgres) create(ctx context.Context, name string) (string, error) {
	db, err := sql.Open("pgx", p.dsn)
	if err != nil {
		return "", err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	u, err := url.Parse(p.dsn)
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

func (p *postgres) stop() error {
	if err := p.stdin.Close(); err != nil {
		return err
	}
	return p.cmd.Wait()
}
