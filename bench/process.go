package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// processes are those of a gateway, by their ids.
type processes []int

// cpu returns the processor time used so far, user and kernel. The kernel counts it
// in hundredths of a second (proc_pid_stat(5)).
func (ps processes) cpu() (sum time.Duration) {
	for _, pid := range ps {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ") // past the program's name
		fields := strings.Fields(rest)
		if len(fields) < 13 {
			continue
		}
		user, _ := strconv.Atoi(fields[11])
		system, _ := strconv.Atoi(fields[12])
		sum += time.Duration(user+system) * 10 * time.Millisecond
	}
	return sum
}

// anon returns the resident memory without file pages, in KiB.
func (ps processes) anon() (sum int) {
	for _, pid := range ps {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), "RssAnon:")
		if fields := strings.Fields(rest); len(fields) > 0 {
			kib, _ := strconv.Atoi(fields[0])
			sum += kib
		}
	}
	return sum
}

// peak samples anon every 50 ms until the returned function is called. That function
// returns the highest sample.
func (ps processes) peak() (end func() int) {
	stop, most := make(chan struct{}), make(chan int, 1)
	go func() {
		peak := 0
		for {
			peak = max(peak, ps.anon())
			select {
			case <-stop:
				most <- peak
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return func() int {
		close(stop)
		return <-most
	}
}

// ownCPU returns the processor time of this process and of its children that have ended,
// user and kernel.
func ownCPU() (sum time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}
