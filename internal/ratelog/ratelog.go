// Package ratelog samples log lines that a remote party can cause at any rate. Of
// each kind the first few lines are written, and after a minute one more that counts
// the lines left out. A flood then costs the log as little as a trickle, and neither
// its beginning nor its size is lost.
package ratelog

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// Window is the time over which lines of one kind are counted together.
	Window = time.Minute
	// maxKinds bounds the kinds that are counted apart at one time. Further kinds
	// are counted together, as one.
	maxKinds = 1000
)

// Log is a sampled log. It is safe for concurrent use and keeps no goroutine: a
// timer runs for each kind that has lines left out.
type Log struct {
	log   *slog.Logger
	limit int // lines of one kind in a Window

	mu      sync.Mutex
	windows map[string]*window // by kind
	swept   time.Time          // when windows that have passed were last removed
}

// window counts the lines of one kind since its first line.
type window struct {
	kind    string
	began   time.Time
	written int
	omitted int
}

// New returns a Log that writes at most limit lines of a kind in each Window,
// and one more that counts the rest.
func New(log *slog.Logger, limit int) *Log {
	return &Log{log: log, limit: limit, windows: make(map[string]*window)}
}

// Write writes the line or leaves it out, and reports whether it wrote it. The first line that was left out is
// written at the end of the Window, with the number of those as "left_out".
func (l *Log) Write(kind string, level slog.Level, msg string, attrs ...slog.Attr) bool {
	if !l.admit(kind, level, msg, attrs) {
		return false
	}
	l.log.LogAttrs(context.Background(), level, msg, attrs...)
	return true
}

// admit reports whether the line may be written now.
func (l *Log) admit(kind string, level slog.Level, msg string, attrs []slog.Attr) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.window(kind, now)
	if w.written < l.limit {
		w.written++
		return true
	}
	if w.omitted++; w.omitted == 1 {
		attrs = slices.Clone(attrs) // the caller may reuse its slice
		time.AfterFunc(Window-now.Sub(w.began), func() { l.close(w, level, msg, attrs) })
	}
	return false
}

// window returns the current window of the kind. Under mu.
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

// passed reports whether the window is over. A window with lines left out ends
// when they are reported.
func (w *window) passed(now time.Time) bool { return w.omitted == 0 && now.Sub(w.began) >= Window }

// sweep removes the windows that have passed, at most once a second. Under mu.
func (l *Log) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Second {
		return
	}
	l.swept = now
	maps.DeleteFunc(l.windows, func(_ string, w *window) bool { return w.passed(now) })
}

// close ends a window and reports the lines left out.
func (l *Log) close(w *window, level slog.Level, msg string, attrs []slog.Attr) {
	l.mu.Lock()
	delete(l.windows, w.kind)
	omitted := w.omitted
	l.mu.Unlock()
	l.log.LogAttrs(context.Background(), level, msg, append(attrs, slog.Int("left_out", omitted))...)
}
