package ratelog

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

// lines takes the log's lines, each as "msg n left_out".
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

// Of a flood the first lines are written and one that counts the rest; a trickle
// beside it is written in full.
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

// Kinds beyond the bound are counted as one. After their minute they are counted
// apart again.
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
