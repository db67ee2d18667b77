package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapRoom is how far the heap grows, at least, before the garbage collector
// runs. A license server keeps a few MiB and makes that much garbage in a few
// hundred requests: left to itself the collector would run a hundred times a
// second, and take a sixth of the processor.
const heapRoom = 14 << 20

// keepHeapRoom lets the heap grow to heapRoom before it is collected, and to
// twice what is live where that is more, as always. It does nothing where the
// environment says how to collect (GOGC, GOMEMLIMIT). The returned function ends
// it.
func keepHeapRoom() (stop func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	const atStart = 400 // of the 4 MiB that the collector takes for live at least
	r := &heapTarget{usual: debug.SetGCPercent(atStart), done: make(chan struct{})}
	r.afterCollection()
	return func() {
		close(r.done)
		debug.SetGCPercent(r.usual)
	}
}

// heapTarget follows the live heap.
type heapTarget struct {
	usual int // percentage
	done  chan struct{}
}

// afterCollection has the target set after the next collection, and after every
// one from then on.
func (r *heapTarget) afterCollection() {
	runtime.AddCleanup(new([16]byte), func(*heapTarget) { // not so small that it shares its memory
		select {
		case <-r.done:
		default:
			sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
			metrics.Read(sample)
			debug.SetGCPercent(gcPercent(sample[0].Value.Uint64()))
			r.afterCollection()
		}
	}, r)
}

// gcPercent is how much garbage there may be to so many live bytes, in percent
// of them: what is left of heapRoom, and as much as is live at least.
func gcPercent(live uint64) int {
	const least, most = 100, 1000
	switch {
	case live >= heapRoom/2:
		return least
	case live <= heapRoom*100/(100+most):
		return most
	}
	return int((heapRoom - live) * 100 / live)
}
