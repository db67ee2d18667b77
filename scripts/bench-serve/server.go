package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// user and password are those of the API in the server's configuration.
const (
	user     = "bench"
	password = "bench-password"
)

// A server is a running lcp serve.
type server struct {
	cmd     *exec.Cmd
	address string
	errors  bytes.Buffer
	started time.Duration // from the start of the process to its first answer
}

// startServer runs lcp serve on a database, in the name of a provider with that
// kind of key, and waits for its first answer.
func (b *bench) startServer(ctx context.Context, db *database, kind keyKind) (*server, error) {
	certificate, err := b.certificate(kind)
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(b.tmp, "lcp.yaml")
	text := fmt.Sprintf(`data_dir: %q
dsn: %q
public_base_url: "http://%[3]s"
address: %[3]q
ops_address: "off"
log_level: "warn"
authorization: {mode: token}
access: {username: %[4]q, password: %[5]q}
jwt: {admin: {%[4]s: %[5]q}}
certificate: {cert: %q, private_key: %q}
limits: {public_per_second: 0, logins_per_minute: 0}
`, b.data(), db.dsn, address, user, password, certificate+".pem", certificate+".key")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	lcp, err := filepath.Abs(b.lcp)
	if err != nil {
		return nil, err
	}
	s := &server{address: address, cmd: exec.CommandContext(ctx, lcp, "serve", "--config", config)} //nolint:gosec // named by whoever runs this
	s.cmd.Dir, s.cmd.Stderr = b.tmp, &s.errors
	begin := now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.wait(ctx, begin); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	s.started = time.Since(begin)
	return s, nil
}

// wait polls the server until it answers.
func (s *server) wait(ctx context.Context, begin time.Time) error {
	for time.Since(begin) < 30*time.Second {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
		if err == nil {
			defer conn.Close()
			_, err = conn.Write([]byte("GET /status/00000000-0000-4000-8000-000000000000 HTTP/1.1\r\nHost: x\r\n\r\n"))
			if err == nil {
				_, err = conn.Read(make([]byte, 1))
			}
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return errors.New("lcp serve did not answer within 30 seconds")
}

// stop asks the server to finish, and waits for it.
func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("lcp serve: %w\n%s", err, s.errors.Bytes())
	}
	return nil
}

// resident returns how many MiB the server has in memory, now and at most so
// far, or zeros where the system does not tell.
func (s *server) resident() (current, peak float64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "VmRSS:":
			current = kib / 1024
		case "VmHWM:":
			peak = kib / 1024
		}
	}
	return current, peak
}

// cpuTime returns how long a process has computed so far, or 0 where the system
// does not tell.
func cpuTime(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // after the name, which may have spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	inUser, _ := strconv.Atoi(fields[11])
	inSystem, _ := strconv.Atoi(fields[12])
	const tick = 10 * time.Millisecond // USER_HZ, the same on all of Linux
	return time.Duration(inUser+inSystem) * tick
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// certificate makes a provider's certificate with that kind of key, once, and
// returns the name of its files without their endings.
func (b *bench) certificate(kind keyKind) (string, error) {
	name := filepath.Join(b.tmp, kind.name)
	if _, err := os.Stat(name + ".pem"); err == nil {
		return name, nil
	}
	key, err := kind.make()
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench-serve TEST"},
		NotBefore: now().AddDate(-2, 0, 0), NotAfter: now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return name, errors.Join(
		os.WriteFile(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
}

// get is a request with the credentials of the API.
func get(address, path string) (*http.Request, error) {
	req, err := http.NewRequest(http.MethodGet, "http://"+address+path, http.NoBody) //nolint:noctx // bounded by the client
	if err == nil {
		req.SetBasicAuth(user, password)
	}
	return req, err
}
