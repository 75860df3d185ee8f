package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"straks/internal/printable"
)

const (
	maxLogTail = 30  // lines
	maxLogLine = 400 // octets of each
)

// logLine is one line of the log, as the console shows it.
type logLine struct {
	at    time.Time
	level slog.Level
	text  string
}

// logTail keeps the last warnings and errors of the log, in memory. Recipients mask themselves in it, as in the log.
type logTail struct {
	mu    sync.Mutex
	lines []logLine // the oldest first
}

// handler returns a handler that keeps what it passes on.
func (t *logTail) handler(next slog.Handler) slog.Handler { return tailHandler{next, t, ""} }

func (t *logTail) last() []logLine {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := slices.Clone(t.lines)
	slices.Reverse(lines)
	return lines
}

func (t *logTail) add(l logLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == maxLogTail {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, l)
}

type tailHandler struct {
	slog.Handler
	tail *logTail
	with string // attributes of the logger
}

func (h tailHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		var b strings.Builder
		b.WriteString(r.Message + h.with)
		r.Attrs(func(a slog.Attr) bool {
			b.WriteString(attribute(a))
			return b.Len() < maxLogLine
		})
		text := b.String()
		h.tail.add(logLine{r.Time, r.Level, printable.Line(strings.ToValidUTF8(text[:min(len(text), maxLogLine)], ""))})
	}
	return h.Handler.Handle(ctx, r)
}

func attribute(a slog.Attr) string { return fmt.Sprintf(" %s=%v", a.Key, a.Value.Resolve()) }

func (h tailHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := h.with
	for _, a := range attrs {
		with += attribute(a)
	}
	return tailHandler{h.Handler.WithAttrs(attrs), h.tail, with}
}

func (h tailHandler) WithGroup(name string) slog.Handler {
	return tailHandler{h.Handler.WithGroup(name), h.tail, h.with}
}
