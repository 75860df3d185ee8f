package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// gcMost is by how much the heap may grow between two collections, in percent. What
	// is alive is mostly small and short-lived (some 8 MiB at 8,000 orders/s), so that Go's
	// default of 100 % collects many times a second for the sake of a few MiB.
	gcMost, gcLeast = 400, 100
	// gcGarbage is the garbage that is let lie, in octets, where gcMost of what is alive
	// would be more: a journal of many millions knows its free and new pages by heart.
	gcGarbage = 80 << 20
	gcEvery   = 500 * time.Millisecond
	// memoryLimit is from where on memory counts more than time, in octets. It is
	// far above what the daemon has in use, and no wall: what must be kept is kept.
	memoryLimit = 256 << 20
)

// tuneProcessors lets twice as many goroutines run as there are processors, unless
// the operator has set another number. Go looks at the network when a processor
// of its own has nothing to do, else every 10 ms only: when they are all busy,
// orders would wait for that at each step of their way. With more of them than there are, it
// is the kernel who sees at once what has come, and has it run.
func tuneProcessors() {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	runtime.SetDefaultGOMAXPROCS() // what there are, or what the control group grants
	runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0))
}

// tuneMemory sets the pace of garbage collection until ctx ends, but for what the operator
// has set.
func tuneMemory(ctx context.Context) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if os.Getenv("GOGC") != "" {
		return
	}
	alive := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(gcEvery)
	defer tick.Stop()
	for set := 0; ; {
		metrics.Read(alive)
		if p := gcPercent(alive[0].Value.Uint64()); p > set+set/10 || p < set-set/10 { // setting it stops the world
			debug.SetGCPercent(p)
			set = p
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// gcPercent returns by how much a heap may grow of which so many octets are alive.
func gcPercent(alive uint64) int {
	return int(min(max(gcGarbage*100/max(alive, 1), gcLeast), gcMost))
}
