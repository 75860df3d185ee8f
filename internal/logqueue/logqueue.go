// Package logqueue writes a log without making its writers wait: a log reader that
// is slow, or hangs on a failing disk, must not delay orders or the daemon's end.
package logqueue

import (
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// maxWaiting bounds the octets of log lines that wait to be written.
	maxWaiting = 1 << 20
	// closeTimeout is how long Close waits for the last lines to be written.
	closeTimeout = time.Second
)

// Queue is the writer of a slog.Handler. Lines that find the queue full are left
// out, and a line says how many.
type Queue struct {
	to    io.Writer
	gap   *slog.Logger  // writes to it
	wake  chan struct{} // 1
	ended chan struct{} // closed when everything is written

	mu      sync.Mutex
	waiting []byte // whole lines
	leftOut int
	closed  bool
}

// New returns a queue that writes to a writer, in its own goroutine, until Close. The handler gives
// the queue's own line the look of the others.
func New(to io.Writer, handler func(io.Writer) slog.Handler) *Queue {
	q := &Queue{to: to, gap: slog.New(handler(to)), wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go q.run()
	return q
}

// Write takes a line. It never fails and never blocks.
func (q *Queue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
	case len(q.waiting)+len(line) > maxWaiting:
		q.leftOut++
	default:
		q.waiting = append(q.waiting, line...)
		q.signal()
	}
	return len(line), nil
}

// Close waits for the lines in the queue to be written, for a second at most.
func (q *Queue) Close() {
	q.mu.Lock()
	q.closed = true
	q.signal()
	q.mu.Unlock()
	select {
	case <-q.ended:
	case <-time.After(closeTimeout):
	}
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run is the writing goroutine. It ends when the queue is closed and empty.
func (q *Queue) run() {
	defer close(q.ended)
	var lines []byte
	for last := false; !last; {
		<-q.wake
		var leftOut int
		lines, leftOut, last = q.take(lines[:0])
		q.to.Write(lines) // an error means that the reader has gone: there is nowhere to report it
		if leftOut > 0 {
			q.gap.Warn("log lines left out: the log's reader is too slow", "left_out", leftOut)
		}
	}
}

// take returns the lines that wait, and reuses the buffer of those written before.
func (q *Queue) take(written []byte) (lines []byte, leftOut int, last bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines, q.waiting = q.waiting, written
	leftOut, q.leftOut = q.leftOut, 0
	return lines, leftOut, q.closed
}
