// Package logtest keeps what a program under test logs, for the test to read
// while the program goes on.
package logtest

import (
	"bytes"
	"sync"
)

// Log is a log in memory: the writer of a slog.Handler. Its zero value is empty and
// ready. It may be written and read by several goroutines.
type Log struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write appends to the log. It never fails.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

// String returns all that was logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// Take returns what was logged since it was last called, and forgets it.
func (l *Log) Take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.all.String()
	l.all.Reset()
	return text
}
