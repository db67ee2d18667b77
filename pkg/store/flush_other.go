//go:build !linux

package store

import (
	"errors"
	"os"
)

// flushFile brings what was written to a file, by whomever, to the disk.
func flushFile(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
