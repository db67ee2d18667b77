package fileblob

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// createUnnamed opens a file in the folder that has no name and goes away with
// its last descriptor (open(2), O_TMPFILE). It fails where the file system does
// not know such files, or nameFile could not work.
func createUnnamed(dir string) (*os.File, error) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		return nil, err
	}
	return os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
}

// nameFile gives a file that has no name the one of path, which must be free.
func nameFile(f *os.File, path string) error {
	self := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	if err := unix.Linkat(unix.AT_FDCWD, self, unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW); err != nil {
		return &os.PathError{Op: "link", Path: path, Err: err}
	}
	return nil
}
