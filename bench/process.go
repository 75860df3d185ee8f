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

// cpu returns the processor time used so far, user and kernel, with that of their children that have ended. The
// kernel counts it in hundredths of a second (proc_pid_stat(5)).
func (ps processes) cpu() (sum time.Duration) {
	for _, pid := range ps {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ") // past the program's name
		fields := strings.Fields(rest)
		if len(fields) < 15 {
			continue
		}
		for _, field := range fields[11:15] { // user, system, and both of the children
			ticks, _ := strconv.Atoi(field)
			sum += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return sum
}

// anon returns the resident memory without file pages, in KiB.
func (ps processes) anon() int { return ps.kib("status", "RssAnon:") }

// shared returns the resident memory without file pages, in KiB. What the processes share counts once.
func (ps processes) shared() int {
	return ps.kib("smaps_rollup", "Pss_Anon:") + ps.kib("smaps_rollup", "Pss_Shmem:")
}

// kib returns the sum of a line of a file in /proc.
func (ps processes) kib(file, line string) (sum int) {
	for _, pid := range ps {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), line)
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
