package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/store"
	"github.com/lcp-tools/lcp/pkg/store/storetest"
)

// A process of the suite is this test binary, told so by these variables.
const (
	dsnVariable  = "STORETEST_DSN"
	nameVariable = "STORETEST_NAME"
	bookVariable = "STORETEST_BOOKS"
)

func process(t *testing.T, dsn, name string, books int) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), dsnVariable+"="+dsn, nameVariable+"="+name, bookVariable+"="+strconv.Itoa(books))
	return cmd
}

func TestMain(m *testing.M) {
	if dsn := os.Getenv(dsnVariable); dsn != "" {
		books, err := strconv.Atoi(os.Getenv(bookVariable))
		if err == nil {
			err = storetest.Work(context.Background(), dsn, os.Getenv(nameVariable), books, os.Stdout)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	for _, s := range []*server{postgres, mariadb} {
		if err := s.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// The servers of the tests, started by the first test that needs one.
var (
	postgres = &server{name: "postgres"}
	mariadb  = &server{name: "mariadb"}
)

type server struct {
	name  string
	start sync.Once
	*storetest.Server
	err error
}

// database makes an empty database, or skips the test.
func (s *server) database(t testing.TB) storetest.Database {
	t.Helper()
	s.start.Do(func() { s.Server, s.err = storetest.Start(context.Background(), s.name) })
	if errors.Is(s.err, storetest.ErrNoServer) {
		t.Skip(s.err)
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.Database(t)
}

func (s *server) stop() error {
	if s.Server == nil {
		return nil
	}
	return s.Stop()
}

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Implementation{
		New: func(t *testing.T) storetest.Database { return postgres.database(t) }, Process: process,
	})
}

func TestMariaDB(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Implementation{
		New: func(t *testing.T) storetest.Database { return mariadb.database(t) }, Process: process,
	})
}

// behindProxy returns a proxy before the server, and the DSN of a new database that
// leads through it.
func (s *server) behindProxy(t *testing.T) (*proxy, string) {
	t.Helper()
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`)
	dsn := s.database(t).DSN
	p := newProxy(t, address.FindString(dsn))
	return p, address.ReplaceAllString(dsn, p.address)
}

// A database server that goes away is told as such, changes nothing by halves,
// and is used again once it is back, without another Open.
func TestServerGoesAway(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*server{"PostgreSQL": postgres, "MariaDB": mariadb} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, dsn := s.behindProxy(t)
			db, err := store.Open(t.Context(), testOptions(t, dsn))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.CreatePublication(t.Context(), somePublication("p")); err != nil {
				t.Fatal(err)
			}
			proxy.cut()
			l := store.License{UUID: "l", PublicationUUID: "p", Status: "ready"}
			for range 3 {
				if _, err := db.CreateLicense(t.Context(), l); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("CreateLicense = %v, want ErrUnavailable", err)
				}
				if _, err := db.License(t.Context(), "l"); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("License = %v, want ErrUnavailable", err)
				}
				if err := db.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("Ping = %v, want ErrUnavailable", err)
				}
			}
			if _, err := store.Open(t.Context(), testOptions(t, dsn)); !errors.Is(err, store.ErrUnavailable) ||
				strings.Contains(err.Error(), password(dsn)) {
				t.Errorf("Open = %v, want ErrUnavailable", err)
			}
			proxy.restore(t)
			if _, err := db.CreateLicense(t.Context(), l); err != nil {
				t.Errorf("CreateLicense afterwards: %v", err)
			}
			// In the middle of a transaction.
			_, err = db.UpdateLicense(t.Context(), "l", "", func(l store.License, _ bool) (store.License, []store.Event, error) {
				proxy.cut()
				l.Status = "active"
				return l, nil, nil
			})
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("UpdateLicense = %v, want ErrUnavailable", err)
			}
			proxy.restore(t)
			if got, err := db.License(t.Context(), "l"); err != nil || got.Status != "ready" {
				t.Errorf("license is %q, %v, want ready", got.Status, err)
			}
		})
	}
}

// A database server that takes and says nothing any more is as good as gone.
func TestServerFallsSilent(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*server{"PostgreSQL": postgres, "MariaDB": mariadb} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, dsn := s.behindProxy(t)
			db, err := store.Open(t.Context(), testOptions(t, dsn))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.CreatePublication(t.Context(), somePublication("p")); err != nil {
				t.Fatal(err)
			}
			db.SetPatience(100 * time.Millisecond)
			proxy.silent.Lock()
			if _, err := db.CreateLicense(t.Context(), store.License{UUID: "l", PublicationUUID: "p", Status: "ready"}); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("CreateLicense = %v, want ErrUnavailable", err)
			}
			if _, err := db.Publication(t.Context(), "p"); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Publication = %v, want ErrUnavailable", err)
			}
			proxy.silent.Unlock()
			db.SetPatience(time.Minute)
			if _, err := db.Publication(t.Context(), "p"); err != nil {
				t.Errorf("Publication afterwards: %v", err)
			}
		})
	}
}

func password(dsn string) string {
	_, rest, _ := strings.Cut(dsn, "://lcp:")
	word, _, _ := strings.Cut(rest, "@")
	return word
}

// A proxy stands between a store and its server, and can cut the line.
type proxy struct {
	address, server string
	mu              sync.Mutex
	listener        net.Listener
	conns           []net.Conn
	wait            sync.WaitGroup
	silent          sync.RWMutex // locked while nothing gets through
}

// A gate writes to a connection, unless there is to be silence.
type gate struct {
	net.Conn
	silent *sync.RWMutex
}

func (g gate) Write(b []byte) (int, error) {
	g.silent.RLock()
	defer g.silent.RUnlock()
	return g.Conn.Write(b)
}

func newProxy(t *testing.T, server string) *proxy {
	p := &proxy{address: "127.0.0.1:0", server: server}
	p.restore(t)
	t.Cleanup(p.wait.Wait)
	t.Cleanup(p.cut)
	return p
}

// restore listens, on the same port as before.
func (p *proxy) restore(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.address, p.listener = l.Addr().String(), l
	p.wait.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.join(t.Context(), client)
		}
	})
}

// join connects a client to the server.
func (p *proxy) join(ctx context.Context, client net.Conn) {
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.server)
	if err != nil {
		client.Close()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, client, server)
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		p.wait.Go(func() {
			_, _ = io.Copy(gate{pair[0], &p.silent}, pair[1])
			pair[0].Close()
		})
	}
}

// cut closes everything.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// The configuration of the LCP Server names a database in which it has a table
// publications of its own.
func TestForeignDatabase(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(t *testing.T) (driver, source, dsn string){
		"sqlite": func(t *testing.T) (string, string, string) {
			path := filepath.Join(t.TempDir(), "lcp.db")
			return "sqlite", path, path
		},
		"postgres": func(t *testing.T) (string, string, string) {
			dsn := postgres.database(t).DSN
			return "pgx", dsn, dsn
		},
		"mariadb": func(t *testing.T) (string, string, string) {
			dsn := mariadb.database(t).DSN
			return "mysql", strings.TrimPrefix(dsn, "mysql://"), dsn
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			driver, source, dsn := database(t)
			db, err := sql.Open(driver, source)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), "CREATE TABLE publications (id INTEGER, uuid VARCHAR(100))"); err != nil {
				t.Fatal(err)
			}
			_, err = store.Open(t.Context(), testOptions(t, dsn))
			if !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), "lcp import OLD-DSN") {
				t.Fatalf("Open = %v, want ErrSchema that tells of lcp import", err)
			}
			var n int
			if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM schema_versions").Scan(&n); err == nil {
				t.Error("something was written to the database of another program")
			}
		})
	}
}
