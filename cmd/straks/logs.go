package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"straks/internal/printable"
)

// logsCommand prints the daemon's log as lines that a person reads: from systemd's journal, or from a
// file or stdin.
func logsCommand(ctx context.Context, args []string, e env) error {
	var q logQuery
	fs := newFlags("logs [-f] [-since TIME] [-level LEVEL] [-shipment ID] [-trace ID] [-organisation NAME] [-json] [FILE]")
	follow := fs.Bool("f", false, "go on as the log grows, until interrupted; not with FILE")
	since := fs.String("since", "", "how far `back` to look, like 2h, or a time as journalctl(1) has it; not with FILE (default 1h, or the last ten lines with -f)")
	unit := fs.String("unit", "straks.service", "the systemd `unit` of the daemon")
	fs.Func("level", "only lines of this `level` or above: debug, info, warn, error", q.setLevel)
	fs.StringVar(&q.shipment, "shipment", "", "only lines about the shipment with this `ID`")
	fs.StringVar(&q.trace, "trace", "", "only lines about the request with this trace `ID`: traceId of a problem, or that of traceparent")
	fs.StringVar(&q.organisation, "organisation", "", "only lines about the organisation `NAME`")
	asJSON := fs.Bool("json", false, "print the lines as they are, for a program")
	fs.notes = "FILE has the lines that straks wrote, or those of \"journalctl -o json\"; - is stdin.\n"
	operands, err := fs.parse(args, e, "[FILE]")
	if err != nil {
		return err
	}
	p := newLogPrinter(e, q, *asJSON)
	switch {
	case len(operands) == 0:
		return readJournal(ctx, *unit, *since, *follow, p)
	case *follow || *since != "":
		return misused("logs: -f and -since are for systemd's journal, without FILE; usage: straks %s", fs.synopsis)
	case operands[0] == "-":
		return p.printAll(e.stdin)
	}
	file, err := os.Open(operands[0])
	if err != nil {
		return err
	}
	defer file.Close()
	return p.printAll(file)
}

// readJournal prints what journalctl reads of a unit.
func readJournal(ctx context.Context, unit, since string, follow bool, p *logPrinter) error {
	args := []string{"--unit=" + unit, "--output=json", "--all", "--no-pager", "--quiet"}
	if follow {
		args = append(args, "--follow")
	}
	if since == "" && !follow {
		since = "1h"
	}
	if d, err := time.ParseDuration(since); err == nil {
		since = fmt.Sprintf("@%d", time.Now().Add(-d).Unix()) // systemd.time(7)
	}
	if since != "" {
		args = append(args, "--since="+since)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, "journalctl", args...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("systemd's journal can't be read: %w. For a log in a file: straks logs FILE", err)
	}
	printed := p.printAll(out)
	if printed != nil {
		cancel()
	}
	if err := cmd.Wait(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("journalctl: %w: %s", err, strings.TrimSpace(complaint.String()))
	}
	return printed
}

// logQuery says which lines are printed. Empty fields match all.
type logQuery struct {
	level                         slog.Level
	levelled                      bool // level counts
	shipment, trace, organisation string
}

func (q *logQuery) setLevel(name string) error {
	switch name {
	case "debug", "info", "warn", "error":
		q.levelled = true
		return q.level.UnmarshalText([]byte(name))
	}
	return errors.New("is neither debug, info, warn nor error")
}

// matches reports whether a line is asked for.
func (q *logQuery) matches(l logLine) bool {
	return (!q.levelled || l.Level >= q.level) &&
		(q.shipment == "" || strings.EqualFold(l.value("shipment"), q.shipment)) &&
		(q.trace == "" || strings.EqualFold(l.value("trace"), q.trace)) &&
		(q.organisation == "" || l.value("organisation") == q.organisation)
}

// logLine is one line of the log.
type logLine struct {
	slog.Record
	text []byte // as it came
}

// value returns the value of an attribute as text; empty where there is none.
func (l logLine) value(key string) (value string) {
	l.Attrs(func(a slog.Attr) bool {
		if a.Key == key {
			value = a.Value.String()
		}
		return value == ""
	})
	return value
}

// maxLogLine bounds a line that is read, in octets. Longer ones are cut.
const maxLogLine = 1 << 20

// logPrinter prints the lines that are asked for.
type logPrinter struct {
	query  logQuery
	asJSON io.Writer // nil: for people
	people slog.Handler
}

func newLogPrinter(e env, q logQuery, asJSON bool) *logPrinter {
	p := &logPrinter{query: q, people: readable(e.stdout, slog.LevelDebug, isTerminal(e.stdout) && wantsColours(), "2006-01-02 15:04:05.000")}
	if asJSON {
		p.asJSON = e.stdout
	}
	return p
}

// printAll prints the lines of a log until it ends.
func (p *logPrinter) printAll(from io.Reader) error {
	lines := bufio.NewReaderSize(from, maxLogLine)
	for {
		text, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			err = skipLine(lines)
		}
		if text = bytes.TrimSpace(text); len(text) > 0 {
			if err := p.print(parseLogLine(text)); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// skipLine reads the rest of a line.
func skipLine(lines *bufio.Reader) error {
	for {
		if _, err := lines.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

func (p *logPrinter) print(l logLine) error {
	switch {
	case !p.query.matches(l):
		return nil
	case p.asJSON != nil:
		_, err := fmt.Fprintf(p.asJSON, "%s\n", printable.JSON(l.text))
		return err
	}
	return p.people.Handle(context.Background(), l.Record)
}

// parseLogLine reads a line of straks, one of "journalctl -o json", or any other text, which becomes the message.
func parseLogLine(text []byte) logLine {
	var entry struct {
		Message  json.RawMessage `json:"MESSAGE"` // a string, or an array of octets where it is not UTF-8
		Time     string          `json:"__REALTIME_TIMESTAMP"`
		Priority string          `json:"PRIORITY"`
	}
	if json.Unmarshal(text, &entry) != nil || entry.Time == "" {
		return parseOwnLine(text, time.Time{}, slog.LevelInfo)
	}
	micros, _ := strconv.ParseInt(entry.Time, 10, 64)
	return parseOwnLine(journalText(entry.Message), time.UnixMicro(micros), levelOf(entry.Priority))
}

// journalText returns the text of a message as journalctl writes it.
func journalText(message json.RawMessage) []byte {
	var text string
	if json.Unmarshal(message, &text) == nil {
		return []byte(text)
	}
	var octets []uint8
	var numbers []int
	if json.Unmarshal(message, &numbers) == nil {
		for _, n := range numbers {
			octets = append(octets, uint8(n))
		}
	}
	return octets
}

// levelOf returns the level of a priority of syslog (RFC 5424 §6.2.1).
func levelOf(priority string) slog.Level {
	switch priority {
	case "0", "1", "2", "3":
		return slog.LevelError
	case "4":
		return slog.LevelWarn
	case "7":
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// parseOwnLine reads a line that straks wrote. Time and level are those of other lines.
func parseOwnLine(text []byte, at time.Time, level slog.Level) logLine {
	if len(text) > 3 && text[0] == '<' && text[2] == '>' { // a priority, where no journal took it off
		level, text = levelOf(string(text[1])), text[3:]
	}
	l := logLine{slog.NewRecord(at, level, string(text), 0), text}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return l
	}
	own := slog.NewRecord(at, level, "", 0)
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return l
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return l
		}
		addField(&own, fmt.Sprint(key), value)
	}
	return logLine{own, text}
}

// addField adds a field of a line to its record.
func addField(r *slog.Record, key string, value any) {
	text, isText := value.(string)
	switch {
	case key == slog.TimeKey && isText:
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
			r.Time = at.Local()
		}
	case key == slog.LevelKey && isText:
		_ = r.Level.UnmarshalText([]byte(text)) // or the level stays as it is
	case key == slog.MessageKey && isText:
		r.Message = text
	case isText:
		r.AddAttrs(slog.String(key, text))
	default:
		r.AddAttrs(slog.Any(key, value))
	}
}
