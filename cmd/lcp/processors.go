package main

import (
	"os"
	"runtime"
)

// spareProcessor has the scheduler run on one processor more than there is. Commits
// of SQLite wait for the disk in system calls, and a goroutine in one keeps its
// processor from the others until the runtime notices, which where signing keeps
// the rest busy is after milliseconds. On a machine with two that is half of what it can
// do; with one more it signs half as many licenses again with RSA-4096, and nothing
// is slower. It does nothing where the environment says how many (GOMAXPROCS). The
// returned function ends it.
func spareProcessor() (stop func()) {
	if os.Getenv("GOMAXPROCS") != "" {
		return func() {}
	}
	usual := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(usual + 1)
	return func() { runtime.GOMAXPROCS(usual) }
}
