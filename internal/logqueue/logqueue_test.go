package logqueue

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
)

func jsonLines(to io.Writer) slog.Handler { return slog.NewJSONHandler(to, nil) }

// stuck is a writer whose every Write waits for let.
type stuck struct {
	let chan struct{}
	all bytes.Buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.let
	return s.all.Write(p)
}

// A log that is not read blocks no writer and does not grow. A line counts those left out.
func TestLogQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stuck{let: make(chan struct{})}
		q := New(s, jsonLines)
		line := func(i int) string { return fmt.Sprintf("%09d\n", i) }
		q.Write([]byte(line(0)))
		synctest.Wait() // the first line is being written
		const fit, more = maxWaiting / 10, 7
		for i := range fit + more {
			q.Write([]byte(line(1 + i)))
		}
		q.Close() // returns in a bounded time, or synctest reports a deadlock
		q.Write([]byte("after the end\n"))
		close(s.let)
		<-q.ended
		lines := strings.SplitAfter(s.all.String(), "\n")
		for i := range fit + 1 {
			if lines[i] != line(i) {
				t.Fatalf("line %d: %q", i, lines[i])
			}
		}
		if rest := strings.Join(lines[fit+1:], ""); !strings.Contains(rest, fmt.Sprintf(`"left_out":%d}`, more)) || strings.Count(rest, "\n") != 1 {
			t.Errorf("the end is %q", rest)
		}
	})
}

// Close writes the lines that were written before it.
func TestLogQueueFlushes(t *testing.T) {
	for range 100 {
		var out bytes.Buffer
		q := New(&out, jsonLines)
		fmt.Fprint(q, "one\n")
		fmt.Fprint(q, "two\n")
		if q.Close(); out.String() != "one\ntwo\n" {
			t.Fatalf("%q", out.String())
		}
	}
}
