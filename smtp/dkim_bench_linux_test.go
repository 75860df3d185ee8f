package smtp

import (
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cpuTime returns the CPU time of this process so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkDKIM is the cost of a mail up to its first octet on a connection, on all
// processors. Where other programs run too, the CPU time says more than the rate.
func BenchmarkDKIM(b *testing.B) {
	keys := dkimKeys(b, "avsender.example")
	for _, set := range []struct {
		name string
		keys []DKIMKey
	}{{"off", nil}, {"rsa2048", keys[:1]}, {"ed25519", keys[1:]}, {"both", keys}} {
		s := newSigner(set.keys, newMetrics().signed, slog.New(slog.DiscardHandler))
		m := to("kari@mottaker.example")
		m.HTML, m.Body = true, "<p>"+strings.Repeat("Koden er <b>483920</b>. ", 80)
		b.Run(set.name, func(b *testing.B) {
			before := cpuTime(b)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					now := time.Now()
					l, err := newLetter(m, now)
					if err != nil {
						b.Error(err)
						return
					}
					s.sign(l, now)
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
			b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/mail")
		})
	}
}
