// Package seldom bounds the log lines that others can cause as often as they
// like: of each kind the first few are written, and when a minute has passed one
// that tells how many more there were. So a flood costs the log no more than a
// trickle, and neither its beginning nor its size is lost.
package seldom

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// Window is for how long lines are counted together.
	Window = time.Minute
	// maxKinds bounds the kinds that are told apart at a time; what comes beyond
	// is one kind.
	maxKinds = 1000
)

// Log writes to a logger, but seldom. It is safe for concurrent use, and keeps no
// goroutine: a timer runs while there are lines to be told of.
type Log struct {
	log  *slog.Logger
	most int

	mu      sync.Mutex
	windows map[string]*window // by kind
	swept   time.Time          // when windows that have passed were last removed
}

// window is what came of one kind since the first line of it.
type window struct {
	kind    string
	began   time.Time
	written int
	omitted int
}

// New returns a Log that writes at most so many lines of a kind in each Window,
// and one more.
func New(log *slog.Logger, most int) *Log {
	return &Log{log: log, most: most, windows: make(map[string]*window)}
}

// Write writes the line, or counts it. Of those that are counted the first is
// written at the end of the Window, with their number as "left_out".
func (l *Log) Write(kind string, level slog.Level, msg string, attrs ...slog.Attr) {
	if l.due(kind, level, msg, attrs) {
		l.log.LogAttrs(context.Background(), level, msg, attrs...)
	}
}

// due tells whether the line is to be written now.
func (l *Log) due(kind string, level slog.Level, msg string, attrs []slog.Attr) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.window(kind, now)
	if w.written < l.most {
		w.written++
		return true
	}
	if w.omitted++; w.omitted == 1 {
		attrs = slices.Clone(attrs) // the caller's own
		time.AfterFunc(Window-now.Sub(w.began), func() { l.tell(w, level, msg, attrs) })
	}
	return false
}

// window returns the present window of the kind. Under mu.
func (l *Log) window(kind string, now time.Time) *window {
	w := l.windows[kind]
	if w == nil && len(l.windows) >= maxKinds {
		l.sweep(now)
		if len(l.windows) >= maxKinds {
			kind = ""
			w = l.windows[kind]
		}
	}
	if w == nil || w.passed(now) {
		w = &window{kind: kind, began: now}
		l.windows[kind] = w
	}
	return w
}

// passed tells whether the window is over. One with something to tell is so when
// that is told.
func (w *window) passed(now time.Time) bool { return w.omitted == 0 && now.Sub(w.began) >= Window }

// sweep removes the windows that have passed, now and then. Under mu.
func (l *Log) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Second {
		return
	}
	l.swept = now
	maps.DeleteFunc(l.windows, func(_ string, w *window) bool { return w.passed(now) })
}

// tell ends a window of which lines were left out.
func (l *Log) tell(w *window, level slog.Level, msg string, attrs []slog.Attr) {
	l.mu.Lock()
	delete(l.windows, w.kind)
	omitted := w.omitted
	l.mu.Unlock()
	l.log.LogAttrs(context.Background(), level, msg, append(attrs, slog.Int("left_out", omitted))...)
}
