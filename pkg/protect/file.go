package protect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

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

// writeFile has write fill a temporary file beside the named one, and renames it
// once it is synced. Whatever goes wrong, the temporary file is removed.
func writeFile(name string, write func(*os.File) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*.tmp")
	if err != nil {
		return fmt.Errorf("create the output: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreClosed(f.Close()), os.Remove(f.Name()))
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return fmt.Errorf("set the mode of the output: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync the output: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("close the output: %w", err)
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("rename the output: %w", err)
	}
	return syncDir(filepath.Dir(name))
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
