package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// How often a progress is written: on a terminal, where each line replaces the one before, and elsewhere.
const (
	progressDrawn = 200 * time.Millisecond
	progressLine  = 10 * time.Second
)

// progress says on stderr how far a long command is: what is done, how fast, and how much time is left. On a terminal
// it is one line that changes, elsewhere a line every ten seconds. There is a line at the end in any case.
type progress struct {
	to       io.Writer
	what     string
	unit     func(n int64) string
	terminal bool
	began    time.Time

	mu    sync.Mutex
	told  time.Time // zero: never
	done  int64
	total int64 // about; 0: not known
}

// newProgress begins a progress of what, whose amounts unit writes.
func newProgress(e env, what string, unit func(n int64) string) *progress {
	now := time.Now()
	p := &progress{to: e.stderr, what: what, unit: unit, began: now, told: now}
	if isTerminal(e.stderr) {
		p.terminal, p.told = true, time.Time{}
	}
	return p
}

// report notes that so much is done, of about total. It may be called often.
func (p *progress) report(done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done, p.total = done, total
	now := time.Now()
	every := progressLine
	if p.terminal {
		every = progressDrawn
	}
	if now.Sub(p.told) < every {
		return
	}
	p.told = now
	if p.terminal {
		fmt.Fprintf(p.to, "\r\x1b[K%s", p.line(now))
	} else {
		fmt.Fprintln(p.to, p.line(now))
	}
}

// line is what is done, of how much, the rate since the beginning, and the time that the rest takes at that rate.
func (p *progress) line(now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", p.what, p.unit(p.done))
	if p.total > 0 {
		fmt.Fprintf(&b, " of about %s (%d %%)", p.unit(max(p.total, p.done)), 100*p.done/max(p.total, p.done, 1))
	}
	elapsed := now.Sub(p.began)
	fmt.Fprintf(&b, ", %s/s", p.unit(perSecond(p.done, elapsed)))
	if p.total > 0 && p.done > 0 {
		rest := float64(max(p.total-p.done, 0)) / float64(p.done)
		fmt.Fprintf(&b, ", %s left", (time.Duration(rest*float64(elapsed)) + time.Second/2).Truncate(time.Second))
	}
	return b.String()
}

// end writes the last line, unless the command has failed.
func (p *progress) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		fmt.Fprint(p.to, "\r\x1b[K")
	}
	if err != nil {
		return
	}
	elapsed := time.Since(p.began)
	fmt.Fprintf(p.to, "%s: %s in %s, %s/s\n", p.what, p.unit(p.done), elapsed.Round(time.Millisecond), p.unit(perSecond(p.done, elapsed)))
}

func perSecond(n int64, d time.Duration) int64 {
	if d < time.Millisecond {
		d = time.Millisecond
	}
	return int64(float64(n) / d.Seconds())
}

// records writes a number of records with separators: "1,234,567 records".
func records(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s + " records"
}

// mebibytes writes a number of octets: "12.5 MiB".
func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// countedWriter reports what is written to it.
type countedWriter struct {
	to          io.Writer
	p           *progress
	done, total int64
}

func (c *countedWriter) Write(b []byte) (int, error) {
	n, err := c.to.Write(b)
	c.done += int64(n)
	c.p.report(c.done, c.total)
	return n, err
}

// watchFile reports the length of a growing file until stop is called.
func (p *progress) watchFile(ctx context.Context, path string, total int64) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	look := func() {
		if info, err := os.Stat(path); err == nil {
			p.report(info.Size(), max(total, info.Size()))
		}
	}
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressDrawn)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				look()
			}
		}
	}()
	return func() {
		cancel()
		<-ended
		look()
	}
}
