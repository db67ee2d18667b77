//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package fileblob

import (
	"errors"
	"os"
)

// renamesOpenFiles tells that a file can be renamed and removed while it is
// open. On Windows it cannot, so being open is all the lock that is needed.
const renamesOpenFiles = false

var errLocked = errors.New("locked by another process")

func lock(*os.File) error { return nil }
