package catalogue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// IsURL reports whether an input is fetched over HTTP.
func IsURL(input string) bool {
	return strings.HasPrefix(input, "http://") || strings.HasPrefix(input, "https://")
}

// InputName returns the last part of an input's path, which tells what the
// publication is called.
func InputName(input string) string {
	if IsURL(input) {
		if u, err := url.Parse(input); err == nil {
			return path.Base(u.Path)
		}
	}
	if IsObject(input) {
		return path.Base(input)
	}
	return filepath.Base(input)
}

// fetch downloads a publication into a folder of its own, which the caller
// removes: archives are read from their end. It tries again where the network,
// or a server for the moment, is at fault.
func (w *Worker) fetch(ctx context.Context, address string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "lcp-download-")
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, safeName(InputName(address)))
	if err := w.retry(ctx, func() error { return w.download(req, name) }); err != nil {
		os.RemoveAll(dir)
		return "", fmt.Errorf("download: %w", err)
	}
	return name, nil
}

// Calls over the network are tried so often, after waits that double.
const (
	attempts   = 4
	firstPause = 250 * time.Millisecond
)

// retry calls again where the network, or a server for the moment, is at fault.
func (w *Worker) retry(ctx context.Context, call func() error) error {
	wait := firstPause
	for attempt := 1; ; attempt++ {
		err := call()
		if !errors.As(err, new(*networkError)) || attempt == attempts || w.pause(ctx, wait) != nil {
			return err
		}
		wait *= 2
	}
}

func (w *Worker) pause(ctx context.Context, d time.Duration) error {
	if w.Pause != nil {
		return w.Pause(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A networkError may not come again.
type networkError struct{ error }

func (e *networkError) Unwrap() error { return e.error }

// download writes what the server answers to a file.
func (w *Worker) download(req *http.Request, name string) error {
	resp, err := w.HTTP.Do(req)
	if err != nil {
		return &networkError{err}
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests:
		return &networkError{fmt.Errorf("the server answered %s", resp.Status)}
	case resp.StatusCode != http.StatusOK:
		return &InputError{fmt.Errorf("the server answered %s", resp.Status)}
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	body := &watchedReader{r: resp.Body}
	n, err := io.Copy(f, body)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	switch {
	case body.err != nil:
		return &networkError{body.err}
	case err == nil && resp.ContentLength >= 0 && n != resp.ContentLength:
		return &networkError{fmt.Errorf("%d bytes came of %d", n, resp.ContentLength)}
	}
	return err
}

// A watchedReader tells failures of reading from those of writing.
type watchedReader struct {
	r   io.Reader
	err error
}

func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		w.err = err
	}
	return n, err
}

// safeName keeps a name from a URL within its folder.
func safeName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, name)
	if name == "" || name == "." || name == ".." {
		return "publication"
	}
	return name
}
