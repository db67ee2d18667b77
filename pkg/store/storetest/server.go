package storetest

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // for the databases of tests
	_ "github.com/jackc/pgx/v5/stdlib" // the same
)

// ErrNoServer says that this machine has no such database server.
var ErrNoServer = errors.New("database server is not installed")

// exitMissing is the exit status of the scripts then.
const exitMissing = 3

// A Server is a database server that is gone when it is stopped. It has as many
// databases as tests need.
type Server struct {
	dsn   string
	made  atomic.Int64
	admin *sql.DB
	cmd   *exec.Cmd
	stdin io.Closer
}

// Start starts a server with a script of the folder scripts: postgres or mariadb.
// It fails with ErrNoServer.
func Start(ctx context.Context, name string) (*Server, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(root, "scripts", name+".sh")) //nolint:gosec // of this repository
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, errors.Join(startError(name, cmd.Wait()), stdin.Close())
	}
	s := &Server{dsn: strings.TrimSpace(line), cmd: cmd, stdin: stdin}
	driver, source := s.admins()
	if s.admin, err = sql.Open(driver, source); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func startError(name string, err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitMissing {
		return fmt.Errorf("%w: %s", ErrNoServer, name)
	}
	return fmt.Errorf("start %s: %w", name, err)
}

// moduleRoot is the folder of go.mod, above that of the test.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working folder")
		}
		dir = parent
	}
}

// Stop stops the server and removes what it wrote.
func (s *Server) Stop() error {
	var err error
	if s.admin != nil {
		err = s.admin.Close()
	}
	return errors.Join(err, s.stdin.Close(), s.cmd.Wait())
}

// admins returns the driver, and the name of the first database in its words.
func (s *Server) admins() (driver, source string) {
	if rest, ok := strings.CutPrefix(s.dsn, "mysql://"); ok {
		return "mysql", rest
	}
	return "pgx", s.dsn
}

// Database makes an empty database.
func (s *Server) Database(t testing.TB) Database {
	t.Helper()
	name := fmt.Sprintf("test_%d", s.made.Add(1))
	driver, _ := s.admins()
	statement, remove := "CREATE SCHEMA "+name, "DROP SCHEMA "+name+" CASCADE" //nolint:gosec // the name is ours
	if driver == "mysql" {
		statement, remove = "CREATE DATABASE "+name, "DROP DATABASE "+name
	}
	if _, err := s.admin.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := s.admin.ExecContext(ctx, remove); err != nil {
			t.Error(err)
		}
	})
	return Database{DSN: s.in(name)}
}

// in returns the name of a database in the words of the store.
func (s *Server) in(name string) string {
	if strings.HasPrefix(s.dsn, "mysql://") {
		return s.dsn[:strings.LastIndexByte(s.dsn, '/')+1] + name
	}
	u, err := url.Parse(s.dsn)
	if err != nil {
		panic(err) // it is ours
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}
