package seldom

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// buffer is a log that is written from several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// lines takes what was logged, as "msg n left_out".
func lines(t *testing.T, b *buffer) (all []string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for d := json.NewDecoder(&b.b); d.More(); {
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
		var b buffer
		l := New(slog.New(slog.NewJSONHandler(&b, nil)), 2)
		for i := range 1000 {
			l.Write("flood", slog.LevelInfo, "flood", slog.Int("n", i))
		}
		l.Write("trickle", slog.LevelInfo, "trickle", slog.Int("n", 0))
		equal(t, lines(t, &b), []string{"flood 0 0", "flood 1 0", "trickle 0 0"})

		time.Sleep(Window)
		synctest.Wait()
		equal(t, lines(t, &b), []string{"flood 2 998"})

		for i := range 3 { // a new window for each
			l.Write("flood", slog.LevelInfo, "flood", slog.Int("n", i))
			l.Write("trickle", slog.LevelInfo, "trickle", slog.Int("n", i))
			time.Sleep(Window)
		}
		synctest.Wait()
		equal(t, lines(t, &b), []string{"flood 0 0", "trickle 0 0", "flood 1 0", "trickle 1 0", "flood 2 0", "trickle 2 0"})
	})
}

// Kinds without end become one, and room comes again when their minute has passed.
func TestKindsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b buffer
		l := New(slog.New(slog.NewJSONHandler(&b, nil)), 1)
		for range 2 {
			for i := range 3 * maxKinds {
				l.Write(fmt.Sprint(i), slog.LevelInfo, "kind")
			}
			if n := len(l.windows); n > maxKinds+1 {
				t.Errorf("%d kinds are kept", n)
			}
			if n := len(lines(t, &b)); n != maxKinds+1 {
				t.Errorf("%d lines", n)
			}
			time.Sleep(Window)
			synctest.Wait()
			equal(t, lines(t, &b), []string{fmt.Sprint("kind 0 ", 2*maxKinds-1)})
		}
	})
}
