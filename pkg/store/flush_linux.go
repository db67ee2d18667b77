package store

import (
	"errors"
	"os"
	"syscall"
)

// flushFile brings what was written to a file, by whomever, to the disk. That is
// all: when it was written may be lost, and need not be waited for.
func flushFile(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	for {
		err = syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return errors.Join(os.NewSyscallError("fdatasync", err), f.Close())
		}
	}
}
