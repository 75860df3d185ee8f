package postgres

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootTime is a clock that goes on while the machine sleeps, unlike time.Since.
func bootTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 1<<63 - 1 // every lease has ended
	}
	return time.Duration(ts.Nano())
}
