package fileblob

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// WriteFile writes the file of that path with write, whole or not at all: it
// appears when it is on disk, at once in the place of one that was there. A
// failed run leaves nothing behind, and not even a killed process leaves a file
// where the system knows files without names. The folder must exist.
func WriteFile(path string, write func(*os.File) error) error {
	return writeFile(filepath.Dir(path), path, write)
}

// writeFile has the file made in one folder and named in the same or one below,
// which is made when needed.
func writeFile(dir, path string, write func(*os.File) error) (err error) {
	temp, err := createTemp(dir)
	if err != nil {
		return fmt.Errorf("create the output: %w", err)
	}
	defer func() { err = errors.Join(err, temp.discard()) }()
	if err := write(temp.File); err != nil {
		return err
	}
	if err := temp.Chmod(0o644); err != nil { // it is to be published
		return fmt.Errorf("set the mode of the output: %w", err)
	}
	if err := temp.Sync(); err != nil {
		return fmt.Errorf("sync the output: %w", err)
	}
	if parent := filepath.Dir(path); parent != dir {
		if err := os.MkdirAll(parent, 0o755); err != nil {
			return fmt.Errorf("create the folder of the output: %w", err)
		}
		syncDir(dir)
	}
	if err := temp.publish(path); err != nil {
		return err
	}
	syncDir(filepath.Dir(path))
	return nil
}

// A tempFile is a file that will have another name, or none. Its lock tells
// other processes that somebody is at work on it.
type tempFile struct {
	*os.File
	dir  string
	path string // "" while it has no name
}

// Temporary files are hidden, and tell whose they are.
const tempPrefix, tempSuffix = ".lcp-", ".part"

func tempPath(dir string) string {
	return filepath.Join(dir, tempPrefix+rand.Text()+tempSuffix)
}

// createTemp makes a file in the folder, without a name if the file system can.
func createTemp(dir string) (*tempFile, error) {
	if f, err := createUnnamed(dir); err == nil {
		_ = lock(f) // before it has a name; where that cannot be, nobody clears up either
		return &tempFile{File: f, dir: dir}, nil
	}
	return createNamed(dir)
}

// createNamed makes a file in the folder that has a temporary name.
func createNamed(dir string) (*tempFile, error) {
	for {
		path := tempPath(dir)
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		// Another process may have taken it for a leftover before it was locked.
		if err := lock(f); !errors.Is(err, errLocked) && isAt(f, path) {
			return &tempFile{File: f, dir: dir, path: path}, nil
		}
		f.Close()
	}
}

// isAt reports whether the path still leads to the open file.
func isAt(f *os.File, path string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(open, there)
}

// publish gives the file its name, at once in the place of a file that has it.
func (t *tempFile) publish(path string) error {
	if t.path == "" {
		// Linking does not replace a file; renaming does.
		temp := tempPath(t.dir)
		if err := nameFile(t.File, temp); err != nil {
			return fmt.Errorf("name the output: %w", err)
		}
		t.path = temp
	}
	if !renamesOpenFiles {
		if err := t.Close(); err != nil {
			return fmt.Errorf("close the output: %w", err)
		}
	}
	if err := os.Rename(t.path, path); err != nil {
		return fmt.Errorf("rename the output: %w", err)
	}
	t.path = ""
	return nil
}

// discard closes the file and removes it unless it was published.
func (t *tempFile) discard() error {
	err := t.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	if t.path == "" {
		return err
	}
	return errors.Join(err, os.Remove(t.path))
}

// removeLeftovers removes the temporary files of processes that are no more. It
// does what it can: a file that cannot be removed does no harm.
func removeLeftovers(dir string) {
	d, err := os.Open(dir)
	if err != nil {
		return
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(1024)
		for _, name := range names {
			if strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix) {
				removeLeftover(filepath.Join(dir, name))
			}
		}
		if err != nil {
			return
		}
	}
}

func removeLeftover(path string) {
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return
	}
	unused := lock(f) == nil && isAt(f, path)
	if !renamesOpenFiles {
		f.Close() // nor does the system remove open files, those in use included
	}
	if unused {
		_ = os.Remove(path)
	}
	f.Close()
}

// syncDir makes a change of names last. Not every system can sync a folder; the
// file itself is safe by then.
func syncDir(name string) {
	d, err := os.Open(name)
	if err != nil {
		return
	}
	defer d.Close()
	_ = d.Sync()
}
