package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"

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
