package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/eventually"
	"straks/internal/logtest"
)

// open opens an audit in dir.
func open(t testing.TB, dir string) *Log {
	t.Helper()
	l, err := New(Config{Dir: dir, Retention: 47 * time.Hour}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// keep records events, from open to close.
func keep(t testing.TB, dir string, events ...Event) {
	t.Helper()
	l := open(t, dir)
	for _, e := range events {
		l.Record(e)
	}
	end(l)
}

// end has a log write what waits, and closes it.
func end(l *Log) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = l.Run(ctx)
}

// days writes n events on each of some days, and returns the last hash.
func days(t testing.TB, dir string, n int, names ...string) string {
	t.Helper()
	for _, name := range names {
		l := open(t, dir)
		at, _ := time.Parse(dayForm, name)
		l.files.now = func() time.Time { return at }
		for i := range n {
			l.Record(Event{At: at, Action: Order, Organisation: "ttd", Object: fmt.Sprint(i), Outcome: "created"})
		}
		end(l)
	}
	return verify(t, dir).Head
}

func verify(t testing.TB, dir string) Report {
	t.Helper()
	r, err := Verify(dir, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestChain: the chain goes on over restarts and days, and a day that is over for longer than the retention is removed.
func TestChain(t *testing.T) {
	dir := t.TempDir()
	head := days(t, dir, 3, "2026-01-30", "2026-01-31")
	keepUntil := days(t, dir, 3, "2026-01-31", "2026-02-01")
	r, err := Verify(dir, head, nil)
	if err != nil || len(r.Breaks) > 0 || r.Lines != 12 || r.Files != 3 || r.FirstSeq != 1 || !r.HeadFound || r.Head != keepUntil {
		t.Errorf("%+v %v", r, err)
	}
	days(t, dir, 1, "2026-02-02")
	r = verify(t, dir)
	if len(r.Breaks) > 0 || r.FirstSeq != 4 || r.Lines != 10 || !strings.HasPrefix(r.First, "2026-01-31") {
		t.Errorf("after the first file's time: %+v", r)
	}
	if r, _ := Verify(dir, strings.Repeat("0", 64), nil); r.HeadFound {
		t.Error("a hash that no line has was found")
	}
	days(t, dir, 1, "2026-01-31") // a clock that was set back
	if r = verify(t, dir); len(r.Breaks) > 0 || r.Lines != 11 {
		t.Errorf("after the clock was set back: %+v", r)
	}
}

// TestEveryChangeShows: any octet changed, any line removed, doubled or moved, and any file removed.
func TestEveryChangeShows(t *testing.T) {
	dir := t.TempDir()
	days(t, dir, 4, "2026-01-30", "2026-01-31")
	first, second := filepath.Join(dir, nameOf("2026-01-30")), filepath.Join(dir, nameOf("2026-01-31"))
	text, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	shows := func(what string, changed []byte) {
		t.Helper()
		if err := os.WriteFile(first, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if r := verify(t, dir); len(r.Breaks) == 0 {
			t.Errorf("%s does not show", what)
		}
	}
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		shows(fmt.Sprintf("octet %d", i), changed)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))[:4]
	join := func(l ...[]byte) []byte { return bytes.Join(l, nil) }
	shows("a removed line", join(lines[0], lines[1], lines[3]))
	shows("a removed last line", join(lines[:3]...))
	shows("a doubled line", join(lines[0], lines[1], lines[1], lines[2], lines[3]))
	shows("two lines that changed places", join(lines[0], lines[2], lines[1], lines[3]))
	shows("an empty file", nil)
	os.WriteFile(first, text, 0o600)
	head := verify(t, dir).Head
	tail, _ := os.ReadFile(second)
	os.WriteFile(second, tail[:bytes.LastIndexByte(tail[:len(tail)-1], '\n')+1], 0o600)
	if r, _ := Verify(dir, head, nil); r.HeadFound {
		t.Error("the last line was removed, and its hash is found")
	}
}

// TestTornLine: the line that a power cut tore is removed, and the chain goes on.
func TestTornLine(t *testing.T) {
	dir := t.TempDir()
	keep(t, dir, Event{Action: Order}, Event{Action: Order})
	names, _ := list(dir)
	path := filepath.Join(dir, names[0])
	text, _ := os.ReadFile(path)
	for cut := 1; cut < len(text); cut += 7 {
		os.WriteFile(path, text[:cut], 0o600)
		keep(t, dir, Event{Action: Start})
		r := verify(t, dir)
		after, _ := os.ReadFile(path)
		if len(r.Breaks) > 0 || text[cut-1] != '\n' && !strings.Contains(string(after), Repaired) {
			t.Fatalf("cut at %d: %+v\n%s", cut, r, after)
		}
	}
	os.WriteFile(path, []byte("{}\n"), 0o600)
	keep(t, dir, Event{Action: Start})
	if r := verify(t, dir); len(r.Breaks) != 2 || r.Lines != 3 {
		t.Errorf("after a last line that can't be read: %+v", r)
	}
}

// TestFullDisk: while nothing can be written events wait, then are left out; the next line says how many, and no half line stays.
func TestFullDisk(t *testing.T) {
	dir, out := t.TempDir(), &logtest.Log{}
	l, err := New(Config{Dir: dir, Retention: time.Hour}, slog.New(slog.NewJSONHandler(out, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.files.append([]Event{{At: time.Now(), Action: Start}}, 0); err != nil {
		t.Fatal(err)
	}
	good := l.files.open
	if l.files.open, err = os.Open(good.Name()); err != nil { // reading only: each write fails
		t.Fatal(err)
	}
	fill := maxQueue + 100
	for range fill {
		l.Record(Event{Action: Order, Organisation: "ttd"})
	}
	if _, err := l.files.append([]Event{{Action: Order}}, 0); err == nil {
		t.Fatal("a write to a file that is open for reading succeeded")
	}
	if _, err := good.WriteString(`{"seq":2,"ti`); err != nil { // the half of a line that got to the disk
		t.Fatal(err)
	}
	l.files.open.Close()
	l.files.open = good
	end(l)
	r := verify(t, dir)
	if len(r.Breaks) > 0 || r.Lines != 1+maxQueue || r.LostEvents != uint64(fill-maxQueue) {
		t.Errorf("%+v", r)
	}
}

// TestConcurrentRecords: lines of many callers are whole and in one chain.
func TestConcurrentRecords(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error)
	go func() { ran <- l.Run(ctx) }()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 100 {
				l.Record(Event{Action: Order, Reason: strings.Repeat("å", 200) + "\xff"})
			}
		})
	}
	wg.Wait()
	eventually.True(t, "every line", func() bool {
		r, err := Verify(dir, "", nil)
		return err == nil && r.Lines == 1600
	})
	stop()
	if err := <-ran; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if r := verify(t, dir); len(r.Breaks) > 0 {
		t.Errorf("%+v", r)
	}
	var none *Log
	none.Record(Event{Action: Order})
}

// BenchmarkRecord is the cost of an order's event, with its line.
func BenchmarkRecord(b *testing.B) {
	l := open(b, b.TempDir())
	e := Event{At: time.Now(), Action: Order, Organisation: "ttd", Token: "backend", Peer: "10.0.0.9:12345",
		Object: "0d4f1b3a-8f5c-7c1e-9a54-5a8f3c3ad9f1", Outcome: "created", Trace: strings.Repeat("a", 32)}
	for b.Loop() {
		l.Record(e)
		if len(l.queue) == batch {
			l.write(context.Background(), <-l.queue)
		}
	}
	b.StopTimer()
	end(l)
}
