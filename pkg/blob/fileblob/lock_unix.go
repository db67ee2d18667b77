//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package fileblob

import (
	"errors"
	"os"
	"syscall"
)

// renamesOpenFiles tells that a file can be renamed and removed while it is
// open, and so while it is locked.
const renamesOpenFiles = true

// errLocked is returned by lock when another process has the lock.
var errLocked = errors.New("locked by another process")

// lock takes the lock of a file, which is held until the file is closed or the
// process ends. It fails where the file system has no locks.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}
