package main

import (
	"runtime"
	"testing"
)

//nolint:paralleltest // of the whole process
func TestSpareProcessor(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	t.Setenv("GOMAXPROCS", "7")
	spareProcessor()()
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("%d processors though the environment says how many, want %d", n, before)
	}
	t.Setenv("GOMAXPROCS", "")
	stop := spareProcessor()
	if n := runtime.GOMAXPROCS(0); n != before+1 {
		t.Errorf("%d processors, want %d", n, before+1)
	}
	stop()
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("%d processors afterwards, want %d", n, before)
	}
}
