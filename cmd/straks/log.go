package main

import (
	"context"
	"encoding"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/lmittmann/tint"

	"straks/internal/config"
	"straks/internal/printable"
)

// logStyle is how the lines of the log look.
type logStyle struct {
	level   slog.Level
	journal bool // JSON with a priority, for systemd's journal
	text    bool // readable
	colours bool
}

// styleOf returns the style for an output: a person at a terminal reads lines with colours, and
// programs read JSON.
func styleOf(out io.Writer, c config.Log) logStyle {
	s := logStyle{level: c.SlogLevel()}
	terminal := isTerminal(out)
	switch {
	case c.Format == "text", c.Format == "auto" && terminal:
		s.text, s.colours = true, terminal && wantsColours()
	case c.Format == "auto":
		s.journal = isJournal(out)
	}
	return s
}

// isJournal reports whether an output is systemd's journal.
func isJournal(out io.Writer) bool {
	if out != io.Writer(os.Stderr) {
		return false
	}
	is, err := journal.StderrIsJournalStream()
	return is && err == nil
}

// wantsColours reports whether the person at the terminal did not turn colours off (no-color.org).
func wantsColours() bool { return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" }

func newLogger(out io.Writer, cfg *config.Config) *slog.Logger {
	return slog.New(styleOf(out, cfg.Log).handler(out))
}

// handler returns a handler that writes lines of the style.
func (s logStyle) handler(to io.Writer) slog.Handler {
	switch {
	case s.text:
		return readable(to, s.level, s.colours, "15:04:05.000")
	case s.journal:
		return newByPriority(to, &slog.HandlerOptions{Level: s.level})
	}
	return slog.NewJSONHandler(to, &slog.HandlerOptions{Level: s.level})
}

// readable returns a handler for people.
func readable(to io.Writer, level slog.Level, colours bool, times string) slog.Handler {
	return tint.NewTextHandler(to, &tint.Options{Level: level, NoColor: !colours, TimeFormat: times,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.LevelKey || a.Key == slog.TimeKey) {
				return a
			}
			return slog.Attr{Key: harmless(a.Key), Value: harmlessValue(a.Value)}
		}})
}

// harmlessValue returns a value whose text does a terminal no harm.
func harmlessValue(v slog.Value) slog.Value {
	switch v = v.Resolve(); v.Kind() {
	case slog.KindString:
		return slog.StringValue(harmless(v.String()))
	case slog.KindAny:
		if m, ok := v.Any().(encoding.TextMarshaler); ok {
			if text, err := m.MarshalText(); err == nil {
				return slog.StringValue(harmless(string(text)))
			}
		}
		return slog.StringValue(harmless(fmt.Sprintf("%+v", v.Any())))
	}
	return v
}

// harmless escapes what is not printable. Tint takes the escape \x1b, also in a text that has these four
// characters, for a colour that the program wants, and gives the terminal the octet: so the digit is
// written in the other case.
func harmless(s string) string { return strings.ReplaceAll(printable.Lines(s), `\x1b`, `\x1B`) }

// byPriority writes JSON lines for systemd's journal, each after its priority (sd-daemon(3)), so that
// "journalctl -p warning" finds them. It has a handler for each priority, the most urgent first.
type byPriority [4]slog.Handler

func newByPriority(to io.Writer, options *slog.HandlerOptions) (p byPriority) {
	for i, prefix := range []string{"<3>", "<4>", "<6>", "<7>"} { // err, warning, info, debug
		p[i] = slog.NewJSONHandler(&prefixed{to: to, prefix: prefix}, options)
	}
	return p
}

func (p byPriority) Enabled(ctx context.Context, l slog.Level) bool { return p[0].Enabled(ctx, l) }

func (p byPriority) Handle(ctx context.Context, r slog.Record) error {
	switch {
	case r.Level >= slog.LevelError:
		return p[0].Handle(ctx, r)
	case r.Level >= slog.LevelWarn:
		return p[1].Handle(ctx, r)
	case r.Level >= slog.LevelInfo:
		return p[2].Handle(ctx, r)
	}
	return p[3].Handle(ctx, r)
}

func (p byPriority) WithAttrs(attrs []slog.Attr) slog.Handler {
	for i, h := range p {
		p[i] = h.WithAttrs(attrs)
	}
	return p
}

func (p byPriority) WithGroup(name string) slog.Handler {
	for i, h := range p {
		p[i] = h.WithGroup(name)
	}
	return p
}

// prefixed writes each line after a prefix. A slog.JSONHandler writes one line at a time.
type prefixed struct {
	to     io.Writer
	prefix string
	line   []byte // reused
}

func (w *prefixed) Write(line []byte) (int, error) {
	w.line = append(append(w.line[:0], w.prefix...), line...)
	_, err := w.to.Write(w.line)
	return len(line), err
}

// leveled passes on the lines from a level on, which may change.
type leveled struct {
	slog.Handler
	level *slog.LevelVar
}

func (l leveled) Enabled(_ context.Context, at slog.Level) bool { return at >= l.level.Level() }

func (l leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return leveled{l.Handler.WithAttrs(attrs), l.level}
}

func (l leveled) WithGroup(name string) slog.Handler {
	return leveled{l.Handler.WithGroup(name), l.level}
}
