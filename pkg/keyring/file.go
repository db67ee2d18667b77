package keyring

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// ErrPermissions says that others than its owner may read a key file.
var ErrPermissions = errors.New("key file is open to other users")

// maxFileSize bounds what is read of a key file.
const maxFileSize = 64 << 10

// fileHeader opens every key file that this package writes.
const fileHeader = `# Master keys of lcp. Whoever has this file can read every content key in the
# database; without it nobody can. Keep a copy in a safe place.
# One key a line, in base64. The first one seals, all of them open.
`

// Load reads the master keys in the file at path: one base64 key a line, the
// primary one first; blank lines and lines that start with # do not count.
//
// It fails with an error that is fs.ErrNotExist when there is no such file,
// ErrPermissions when its group or others may read or write it, and ErrKey when
// a line is not a key.
func Load(path string) (*Keyring, error) {
	k, _, err := load(path)
	return k, err
}

// load returns the keyring in a file, and the lines that hold its keys.
func load(path string) (*Keyring, []string, error) {
	texts, err := readFile(path)
	if err != nil {
		return nil, nil, err
	}
	k, err := parseKeys(texts)
	if err != nil {
		return nil, nil, fmt.Errorf("key file %q: %w", path, err)
	}
	return k, texts, nil
}

// LoadOrCreate is Load, but makes the file with a new random key if there is
// none, readable by its owner only (0600). The folder must exist. created says
// that this call made it. An existing file is never written to, and of several
// processes that start at once one makes the file and all read the same key.
func LoadOrCreate(path string) (k *Keyring, created bool, err error) {
	k, err = Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, false, err
	}
	err = create(path, NewKey())
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, false, fmt.Errorf("create key file: %w", err)
	}
	created = err == nil
	k, err = Load(path)
	return k, created, err
}

// Rotate puts a new random key before those in the file at path and returns the
// keyring that the file now holds. What is already sealed still opens, and is
// Stale. Programs that run keep the keys they loaded until they load them again.
//
// The file is replaced at once or not at all. Two changes at the same time are
// refused, since one of them would be lost.
func Rotate(path string) (*Keyring, error) {
	return change(path, "rotate", func(texts []string) ([]string, error) {
		if len(texts) == maxKeys {
			return nil, fmt.Errorf("key file %q: it has %d keys, remove those that are no longer needed", path, maxKeys)
		}
		return append([]string{NewKey().Base64()}, texts...), nil
	})
}

// Prune removes all keys but the primary one from the file at path and returns
// the keyring that the file now holds. What is sealed under another key is lost
// by that: whoever calls it has sealed everything again. The file is replaced as
// Rotate does it.
func Prune(path string) (*Keyring, error) {
	return change(path, "prune", func(texts []string) ([]string, error) { return texts[:1], nil })
}

// change replaces the lines of the key file at path that hold keys.
func change(path, verb string, edit func(texts []string) ([]string, error)) (*Keyring, error) {
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s key file %q: it is being changed by somebody else (if not, remove %q): %w", verb, path, next, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s key file: %w", verb, err)
	}
	if err := changeInto(f, path, edit); err != nil {
		os.Remove(next) // what counts is the first error
		return nil, fmt.Errorf("%s key file: %w", verb, err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("%s key file: %w", verb, err)
	}
	return Load(path)
}

// changeInto writes the keys at path, as edited, to f, closes it, and moves it to
// path.
func changeInto(f *os.File, path string, edit func([]string) ([]string, error)) error {
	_, texts, err := load(path) // while f keeps other changes out
	if err == nil {
		texts, err = edit(texts)
	}
	if err != nil {
		f.Close() // nothing was written
		return err
	}
	if err := writeKeys(f, texts); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// create writes key to a new file at path. It fails with fs.ErrExist when
// there is one. The file appears with all its content: it is written under a
// temporary name and then linked, because a rename would replace the key of
// another process that was faster.
func create(path string, key Key) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	texts := []string{key.Base64()}
	if err := writeKeys(f, texts); err != nil {
		return err
	}
	err = os.Link(f.Name(), path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = createInPlace(path, texts)
	}
	if err != nil {
		return err
	}
	return syncDir(dir)
}

// createInPlace is for file systems without hard links, such as exFAT. Another
// process may see the file empty for a moment, and then reports it as such.
func createInPlace(path string, texts []string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return writeKeys(f, texts)
}

// writeKeys writes a key file to f, brings it to the disk, and closes it.
func writeKeys(f *os.File, texts []string) error {
	_, err := io.WriteString(f, fileHeader+strings.Join(texts, "\n")+"\n")
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// readFile returns the lines of a key file that hold keys.
func readFile(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	defer f.Close()
	if err := checkPermissions(f); err != nil {
		return nil, err
	}
	var texts []string
	lines := bufio.NewScanner(io.LimitReader(f, maxFileSize))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line != "" && !strings.HasPrefix(line, "#") {
			texts = append(texts, line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read key file %q: %w", path, err)
	}
	return texts, nil
}

// checkPermissions refuses a key file that its group or others may open. On
// Windows access is not in these bits, which are made up there.
func checkPermissions(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("key file %q: %w", f.Name(), err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("%w: %q has mode %#o, run: chmod 600 %s", ErrPermissions, f.Name(), mode, f.Name())
	}
	return nil
}

// syncDir makes a new name in dir survive a power cut.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // folders cannot be synced there
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
