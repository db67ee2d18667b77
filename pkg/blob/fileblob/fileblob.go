// Package fileblob keeps objects in a folder, from which a web server or a
// synchronising tool publishes them, and writes single files the same way: under
// no name or a temporary one until they are whole and on disk.
//
// Types and headers of objects are not kept; a folder has no place for them.
package fileblob

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/lcp-tools/lcp/pkg/blob"
)

// A Store is a folder of objects.
type Store struct {
	dir  string
	base *url.URL
}

var _ blob.Store = (*Store)(nil)

// Open returns the store in a folder, which must exist. Objects are published
// under the base URL; without one their addresses are file URLs, good on this
// machine only. What runs that were killed left unfinished in the folder is
// removed.
func Open(dir, baseURL string) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: syscall.ENOTDIR}
	}
	base := fileURL(abs)
	if baseURL != "" {
		if base, err = blob.ParseBase(baseURL); err != nil {
			return nil, err
		}
	}
	removeLeftovers(dir)
	return &Store{dir: dir, base: base}, nil
}

func fileURL(abs string) *url.URL {
	path := filepath.ToSlash(abs)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive letter
	}
	return &url.URL{Scheme: "file", Path: path}
}

// URL returns the address under the base URL, or a file URL.
func (s *Store) URL(name string) string { return blob.URL(s.base, name) }

// Location returns the path of the file.
func (s *Store) Location(name string) string {
	return filepath.Join(s.dir, filepath.FromSlash(name))
}

// path is Location for names that may be used.
func (s *Store) path(name string) (string, error) {
	if err := blob.CheckName(name); err != nil {
		return "", err
	}
	local := filepath.FromSlash(name)
	if !filepath.IsLocal(local) { // such as NUL on Windows
		return "", fmt.Errorf("%w: %q means something else on this system", blob.ErrName, name)
	}
	return filepath.Join(s.dir, local), nil
}

// Put writes a file. The writer is an io.ReaderAt too. The digest is computed
// only where one was given.
func (s *Store) Put(ctx context.Context, name string, meta blob.Meta, write func(io.Writer) error) (blob.Info, error) {
	path, err := s.path(name)
	if err != nil {
		return blob.Info{}, err
	}
	var info blob.Info
	err = writeFile(s.dir, path, func(f *os.File) error {
		w := &writer{f: f, stopped: func() error { return context.Cause(ctx) }}
		if meta.SHA256 != nil {
			w.sum = sha256.New()
		}
		if err := write(w); err != nil {
			return err
		}
		info = blob.Info{Size: w.size, SHA256: meta.SHA256}
		return w.finish(meta.SHA256)
	})
	if err != nil {
		return blob.Info{}, err
	}
	return info, nil
}

// A writer writes an object that has no name yet.
type writer struct {
	f       *os.File
	sum     hash.Hash // nil if nobody asked
	size    int64
	stopped func() error // why to write no more
}

func (w *writer) Write(p []byte) (int, error) {
	if err := w.stopped(); err != nil {
		return 0, err
	}
	n, err := w.f.Write(p)
	w.size += int64(n)
	if w.sum != nil {
		w.sum.Write(p[:n])
	}
	return n, err
}

// ReadAt reads what was written.
func (w *writer) ReadAt(p []byte, off int64) (int, error) { return w.f.ReadAt(p, off) }

func (w *writer) finish(want *blob.Digest) error {
	if err := w.stopped(); err != nil {
		return err
	}
	if want == nil {
		return nil
	}
	if got := blob.Digest(w.sum.Sum(nil)); got != *want {
		return fmt.Errorf("%w: the SHA-256 of what was written is %s, not %s", blob.ErrChecksum, got, *want)
	}
	return nil
}

// Stat tells the size of a file.
func (s *Store) Stat(_ context.Context, name string) (blob.Info, error) {
	path, err := s.path(name)
	if err != nil {
		return blob.Info{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return blob.Info{}, notFound(path, err)
	}
	if !info.Mode().IsRegular() {
		return blob.Info{}, notFound(path, fs.ErrNotExist)
	}
	return blob.Info{Size: info.Size()}, nil
}

// Open opens a file.
func (s *Store) Open(ctx context.Context, name string) (io.ReadCloser, blob.Info, error) {
	if _, err := s.Stat(ctx, name); err != nil { // opening a named pipe would wait
		return nil, blob.Info{}, err
	}
	path := s.Location(name)
	f, err := os.Open(path)
	if err != nil {
		return nil, blob.Info{}, notFound(path, err)
	}
	info, err := f.Stat() // of this file, which may be another than before
	if err != nil {
		f.Close()
		return nil, blob.Info{}, err
	}
	return f, blob.Info{Size: info.Size()}, nil
}

// Delete removes a file.
func (s *Store) Delete(ctx context.Context, name string) error {
	_, err := s.Stat(ctx, name)
	if err == nil {
		path := s.Location(name)
		if err = notFound(path, os.Remove(path)); err == nil {
			syncDir(filepath.Dir(path))
		}
	}
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	return err
}

// notFound gives blob.ErrNotFound for the errors that mean it.
func notFound(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%w: %s", blob.ErrNotFound, path)
	}
	return err
}
