package main

import (
	"os"
	"runtime/debug"
)

const (
	// gcPercent is how much the heap grows between two collections. What is
	// alive is small and short-lived (some 8 MiB at 8,000 orders/s), so that Go's
	// default of 100 % collects many times a second for the sake of a few MiB.
	gcPercent = 400
	// memoryLimit is from where on memory counts more than time, in octets. It is
	// far above what the daemon has in use, and no wall: what must be kept is kept.
	memoryLimit = 192 << 20
)

// tuneMemory sets the pace of garbage collection, but for what the operator has set.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
