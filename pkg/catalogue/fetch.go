package catalogue

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
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
	return filepath.Base(input)
}

// fetch downloads a publication into a folder of its own, which the caller
// removes: archives are read from their end.
func (w *Worker) fetch(ctx context.Context, address string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := w.HTTP.Do(req)
	if err != nil {
		return "", fmt.Errorf("download: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("download: the server answered %s", resp.Status)
	}
	dir, err := os.MkdirTemp("", "lcp-download-")
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, safeName(InputName(address)))
	if err := download(name, resp); err != nil {
		os.RemoveAll(dir)
		return "", fmt.Errorf("download: %w", err)
	}
	return name, nil
}

func download(name string, resp *http.Response) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, resp.Body)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil && resp.ContentLength >= 0 && n != resp.ContentLength {
		err = fmt.Errorf("%d bytes came of %d", n, resp.ContentLength)
	}
	return err
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
