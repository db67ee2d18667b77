package main

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A keyKind is a kind of key that a provider signs with.
type keyKind struct {
	name    string
	openssl string // the algorithm's name there
	make    func() (crypto.Signer, error)
}

var keyKinds = []keyKind{
	{"rsa2048", "rsa2048", func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }},
	{"rsa4096", "rsa4096", func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 4096) }},
	{"p256", "ecdsap256", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }},
}

// signRate is how often Go signs a license's digest on all cores.
func (k *keyKind) signRate(ctx context.Context, d time.Duration) (float64, error) {
	key, err := k.make()
	if err != nil {
		return 0, err
	}
	digest := sha256.Sum256([]byte("license"))
	var n atomic.Int64
	var failed atomic.Pointer[error]
	begin := now()
	end := begin.Add(d)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for now().Before(end) && ctx.Err() == nil {
				if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
					failed.Store(&err)
					return
				}
				n.Add(1)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(n.Load()) / time.Since(begin).Seconds(), ctx.Err()
}

// opensslRate is how often openssl signs on all cores, or 0 if it is not there.
func (k *keyKind) opensslRate(ctx context.Context, d time.Duration) (float64, error) {
	seconds := strconv.Itoa(max(1, int(d.Seconds())))
	cmd := exec.CommandContext(ctx, "openssl", "speed", "-mr", "-seconds", seconds, "-multi", strconv.Itoa(runtime.GOMAXPROCS(0)), k.openssl) //nolint:gosec // of our making
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("openssl speed %s: %w", k.openssl, err)
	}
	return parseSpeed(string(out))
}

// parseSpeed reads the line of results of openssl speed -mr: +F2 is RSA and +F4
// ECDSA, followed by a number, the bits, and how often it signs in a second.
func parseSpeed(out string) (float64, error) {
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) < 4 || fields[0] != "+F2" && fields[0] != "+F4" {
			continue
		}
		v, err := strconv.ParseFloat(fields[3], 64)
		if err == nil && v > 0 {
			return v, nil
		}
	}
	return 0, fmt.Errorf("openssl speed printed no rate: %q", out)
}

// emptyRates is how often an empty handler, a process of its own, answers the client.
func (b *bench) emptyRates(ctx context.Context) (map[int]rate, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-empty") //nolint:gosec // this program
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
	defer func() {
		stdin.Close()
		_ = cmd.Wait()
	}()
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, err
	}
	rates := map[int]rate{}
	for _, n := range b.connections {
		l := load{address: strings.TrimSpace(address), pid: cmd.Process.Pid, connections: n, duration: b.duration, want: http.StatusOK}
		l.request = func(dst []byte, _ int64) []byte { return append(dst, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"...) }
		if rates[n], err = l.run(ctx); err != nil {
			return nil, err
		}
	}
	return rates, nil
}

// serveNothing answers all requests with nothing, until standard input ends.
func serveNothing(ctx context.Context, _ options) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(os.Stdout, l.Addr()); err != nil {
		return err
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ReadHeaderTimeout: time.Minute}
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		srv.Close()
	}()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
