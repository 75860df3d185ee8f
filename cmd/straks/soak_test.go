package main

import (
	"errors"
	"os"
	"testing"
	"time"

	"straks/cmd/straks/bench"
)

// A few seconds of "straks bench -soak", which looks at memory, goroutines,
// descriptors and the journal's growth: enough for what leaks with every
// order, reconnection or lost answer.
func TestSoak(t *testing.T) {
	t.Setenv(asProgram, "1") // for the daemon that it starts
	var levels []bench.Level
	err := bench.ErrTooShort
	for d := 4 * time.Second; errors.Is(err, bench.ErrTooShort) && d <= time.Minute; d *= 2 { // more on a slow machine
		levels, err = bench.Soak(t.Context(), os.Args[0], d)
	}
	if err != nil {
		t.Error(err)
	}
	t.Logf("%+v", levels)
}
