package protect

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
)

// EncryptFile writes the source's protected publication to the named file. The
// file appears under its name only when it is whole and on disk; verify asks
// that it be read back and compared with the source before. A failed run leaves
// nothing behind. The folder must exist.
func (p *Pipeline) EncryptFile(ctx context.Context, src *Source, key lcpcrypto.ContentKey, name string, verify bool, progress func(int64)) (Result, error) {
	var result Result
	err := writeFile(name, func(f *os.File) error {
		var err error
		if result, err = p.Encrypt(ctx, src.Plan, key, f, progress); err != nil {
			return err
		}
		if verify {
			if err := Verify(ctx, src.Plan, key, f, result); err != nil {
				return fmt.Errorf("verify the output: %w", err)
			}
		}
		return src.Changed()
	})
	if err != nil {
		return Result{}, err
	}
	return result, nil
}

// writeFile has write fill a temporary file in the folder of the named one, and
// gives it that name once it is synced. Whatever goes wrong, the temporary file
// is removed; where the system can, it has no name at all before it is whole, so
// that not even a killed process leaves one.
func writeFile(name string, write func(*os.File) error) (err error) {
	temp, err := createTemp(filepath.Dir(name))
	if err != nil {
		return fmt.Errorf("create the output: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, temp.discard())
		}
	}()
	if err := write(temp.File); err != nil {
		return err
	}
	if err := temp.Chmod(0o644); err != nil {
		return fmt.Errorf("set the mode of the output: %w", err)
	}
	if err := temp.Sync(); err != nil {
		return fmt.Errorf("sync the output: %w", err)
	}
	if err := temp.publish(name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// A tempFile is a file that will have another name.
type tempFile struct {
	*os.File
	path string // "" while it has no name
}

// createTemp makes a file in the folder, without a name if the file system can.
func createTemp(dir string) (*tempFile, error) {
	if f, err := createUnnamed(dir); err == nil {
		return &tempFile{File: f}, nil
	}
	f, err := os.CreateTemp(dir, tempPattern)
	if err != nil {
		return nil, err
	}
	return &tempFile{File: f, path: f.Name()}, nil
}

// tempPattern hides temporary files, and tells whose they are.
const tempPattern = ".lcp-*.tmp"

// publish closes the file and gives it its name, at once in the place of a file
// that has it.
func (t *tempFile) publish(name string) error {
	if t.path == "" {
		// Linking does not replace a file; renaming does.
		path := filepath.Join(filepath.Dir(name), strings.Replace(tempPattern, "*", rand.Text(), 1))
		if err := nameFile(t.File, path); err != nil {
			return fmt.Errorf("name the output: %w", err)
		}
		t.path = path
	}
	if err := t.Close(); err != nil {
		return fmt.Errorf("close the output: %w", err)
	}
	if err := os.Rename(t.path, name); err != nil {
		return fmt.Errorf("rename the output: %w", err)
	}
	return nil
}

// discard removes the file.
func (t *tempFile) discard() error {
	err := ignoreClosed(t.Close())
	if t.path == "" {
		return err
	}
	return errors.Join(err, os.Remove(t.path))
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// syncDir makes a rename last. Not every system can sync a folder; the file
// itself is safe by then.
func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	defer d.Close()
	_ = d.Sync()
	return nil
}

// WriteFile writes data to the named file, whole or not at all.
func WriteFile(name string, data []byte) error {
	return writeFile(name, func(f *os.File) error {
		_, err := f.Write(data)
		return err
	})
}
