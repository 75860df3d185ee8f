package seldom

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/logtest"
)

// lines takes what was logged, as "msg n left_out".
func lines(t *testing.T, log *logtest.Log) (all []string) {
	t.Helper()
	for d := json.NewDecoder(strings.NewReader(log.Take())); d.More(); {
		var line struct {
			Msg     string
			N       int
			LeftOut int `json:"left_out"`
		}
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(line.Msg, " ", line.N, " ", line.LeftOut))
	}
	return all
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}

// A flood is told by its first lines and by one that counts the rest, a trickle
// in full, and neither drowns the other.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Log
		l := New(slog.New(slog.NewJSONHandler(&log, nil)), 2)
		for i := range 1000 {
			l.Write("flood", slog.LevelInfo, "flood", slog.Int("n", i))
		}
		l.Write("trickle", slog.LevelInfo, "trickle", slog.Int("n", 0))
		equal(t, lines(t, &log), []string{"flood 0 0", "flood 1 0", "trickle 0 0"})

		time.Sleep(Window)
		synctest.Wait()
		equal(t, lines(t, &log), []string{"flood 2 998"})

		for i := range 3 { // a new window for each
			l.Write("flood", slog.LevelInfo, "flood", slog.Int("n", i))
			l.Write("trickle", slog.LevelInfo, "trickle", slog.Int("n", i))
			time.Sleep(Window)
		}
		synctest.Wait()
		equal(t, lines(t, &log), []string{"flood 0 0", "trickle 0 0", "flood 1 0", "trickle 1 0", "flood 2 0", "trickle 2 0"})
	})
}

// Kinds without end become one, and room comes again when their minute has passed.
func TestKindsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Log
		l := New(slog.New(slog.NewJSONHandler(&log, nil)), 1)
		for range 2 {
			for i := range 3 * maxKinds {
				l.Write(fmt.Sprint(i), slog.LevelInfo, "kind")
			}
			if n := len(l.windows); n > maxKinds+1 {
				t.Errorf("%d kinds are kept", n)
			}
			if n := len(lines(t, &log)); n != maxKinds+1 {
				t.Errorf("%d lines", n)
			}
			time.Sleep(Window)
			synctest.Wait()
			equal(t, lines(t, &log), []string{fmt.Sprint("kind 0 ", 2*maxKinds-1)})
		}
	})
}
