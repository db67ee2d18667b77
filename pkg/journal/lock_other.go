//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package journal

import "os"

// lock does without where there are no locks.
func lock(*os.File) error { return nil }
