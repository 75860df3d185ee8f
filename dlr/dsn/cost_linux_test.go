package dsn

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A mail that is 16 times as long costs at most about 16 times as much; a quadratic one would cost 256 times. Both are
// tried beneath the bound of a header and above it. What counts is the processor time of this thread, so it matters
// little what else the machine does.
func TestCostIsLinear(t *testing.T) {
	const longer, most = 16, 64
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it is not the parser's time
	for _, shape := range shapesOfCost {
		for _, small := range []int{maxHeader / 2 / longer, MaxOctets / longer} {
			short, long := shape.mail(small), shape.mail(longer*small)
			if a, b := cost(t, short), cost(t, long); b > most*a {
				t.Errorf("%s: %v for %d octets, %v for %d", shape.name, a, len(short), b, len(long))
			}
		}
	}
}

// cost is the processor time that it takes to parse a mail. The kernel counts in steps of some ms, so it is parsed again and
// again for many of them.
func cost(t *testing.T, mail []byte) time.Duration {
	runtime.GC()
	n, used, before := 0, time.Duration(0), threadTime(t)
	for ; used < 20*time.Millisecond; used = threadTime(t) - before {
		Parse(mail, Envelope{})
		n++
	}
	return used / time.Duration(n)
}

func threadTime(t *testing.T) time.Duration {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
