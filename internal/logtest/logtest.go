// Package logtest keeps the log of a program under test in memory. The test reads
// it while the program runs.
package logtest

import (
	"bytes"
	"sync"
)

// Log is a log in memory, to be the writer of a slog.Handler. Its zero value is
// empty and ready. It is safe for concurrent use.
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

// String returns the whole log.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// Take returns what was logged since the last Take, and removes it.
func (l *Log) Take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.all.String()
	l.all.Reset()
	return text
}
