package bench

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

// cpu returns the processor time that they have used so far, of user and of
// kernel. The kernel counts it in hundredths of a second (proc_pid_stat(5)).
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

// anon returns their resident memory that is not file pages, in KiB.
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

// peak looks every 50 ms until the function that it returns is called, which
// tells the most that anon was.
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

// ownCPU returns the processor time of this process, of user and of kernel.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
