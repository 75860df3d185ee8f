package main

import (
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// logRoom bounds the octets of log lines that wait to be written.
	logRoom = 1 << 20
	// logEnd is for how long close waits for the last lines to be written.
	logEnd = time.Second
)

// logQueue writes a log, and keeps nobody waiting: a reader that is slow, or hangs on
// the disk that is ill already, must not hold up orders, nor the daemon's end. Lines that
// find no room are left out, and counted in one that says so.
type logQueue struct {
	to    io.Writer
	wake  chan struct{} // 1
	ended chan struct{} // closed when all is written

	mu      sync.Mutex
	waiting []byte // whole lines
	leftOut int
	closed  bool
}

func newLogQueue(to io.Writer) *logQueue {
	q := &logQueue{to: to, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go q.run()
	return q
}

// Write takes a line. It never fails: there is nobody to tell.
func (q *logQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
	case len(q.waiting)+len(line) > logRoom:
		q.leftOut++
	default:
		q.waiting = append(q.waiting, line...)
		q.signal()
	}
	return len(line), nil
}

// close has what waits written, but does not wait for long.
func (q *logQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.signal()
	q.mu.Unlock()
	select {
	case <-q.ended:
	case <-time.After(logEnd):
	}
}

func (q *logQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run is the writing goroutine. It ends when the queue is closed and all is written.
func (q *logQueue) run() {
	defer close(q.ended)
	gap := slog.New(slog.NewJSONHandler(q.to, nil))
	var lines []byte
	for last := false; !last; {
		<-q.wake
		var leftOut int
		lines, leftOut, last = q.take(lines[:0])
		q.to.Write(lines) // an error is the reader's having gone: there is nobody to tell
		if leftOut > 0 {
			gap.Warn("log lines left out: who reads them is too slow", "left_out", leftOut)
		}
	}
}

// take returns what waits, and gives the queue the room of what was written.
func (q *logQueue) take(written []byte) (lines []byte, leftOut int, last bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines, q.waiting = q.waiting, written
	leftOut, q.leftOut = q.leftOut, 0
	return lines, leftOut, q.closed
}
