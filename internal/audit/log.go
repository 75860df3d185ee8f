package audit

import (
	"context"
	"encoding/hex"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxQueue bounds the events that wait to be written. Each takes about 2 KiB at most.
	maxQueue = 8192
	// batch bounds the events of one write.
	batch = 512
	// syncEvery is how often what was written is made durable.
	syncEvery = time.Second
	// headEvery is how often the hash of the last line goes to the log.
	headEvery = time.Hour
)

// Config is where the files are.
type Config struct {
	Dir       string        // that exists
	Retention time.Duration // of a day's file, after the day's end
}

// Log records events. A nil *Log records nothing.
type Log struct {
	log   *slog.Logger
	files *files
	queue chan Event
	lost  atomic.Uint64 // events that were left out since the last line

	lines, allLost prometheus.Counter
	failing        prometheus.Gauge
}

// New opens the audit, and continues what is there. Nothing is written before Run.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Log, error) {
	l := &Log{log: log, files: &files{Config: cfg, now: time.Now}, queue: make(chan Event, maxQueue)}
	l.register(reg)
	found, err := l.files.resume()
	if err != nil {
		return nil, err
	}
	for _, e := range found {
		log.Error("audit", "event", e.Action, "file", e.Object, "octets", e.Count)
		l.Record(e)
	}
	return l, nil
}

// Record adds an event. It never waits.
func (l *Log) Record(e Event) {
	if l == nil {
		return
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	select {
	case l.queue <- e.bounded():
	default:
		l.lost.Add(1)
		l.allLost.Inc()
	}
}

// Run writes events until ctx ends, then those that wait. It may be called once.
func (l *Log) Run(ctx context.Context) error {
	defer l.close()
	sync, head := time.NewTicker(syncEvery), time.NewTicker(headEvery)
	defer sync.Stop()
	defer head.Stop()
	for {
		select {
		case e := <-l.queue:
			l.write(ctx, e)
		case <-sync.C:
			l.sync()
		case <-head.C:
			l.tellHead()
		case <-ctx.Done():
			l.drain()
			return ctx.Err()
		}
	}
}

// write writes an event and those that wait after it. It tries until it succeeds or ctx ends: meanwhile the queue fills.
func (l *Log) write(ctx context.Context, first Event) {
	events := l.take(first)
	for failures := 0; ; failures++ {
		lost := l.lost.Swap(0)
		turned, err := l.files.append(events, lost)
		if err == nil {
			if failures > 0 {
				l.log.Info("audit can be written again", "lost", lost)
			}
			if turned {
				l.tellHead()
			}
			l.failing.Set(0)
			l.lines.Add(float64(len(events)))
			return
		}
		l.lost.Add(lost)
		l.failing.Set(1)
		if failures == 0 {
			l.log.Error("audit can't be written", "err", err)
		}
		select {
		case <-ctx.Done():
			l.lost.Add(uint64(len(events)))
			l.allLost.Add(float64(len(events)))
			return
		case <-time.After(syncEvery):
		}
	}
}

// take returns the event and those that wait after it.
func (l *Log) take(first Event) []Event {
	events := []Event{first}
	for len(events) < batch {
		select {
		case e := <-l.queue:
			events = append(events, e)
		default:
			return events
		}
	}
	return events
}

// drain writes what waits, once.
func (l *Log) drain() {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		select {
		case e := <-l.queue:
			l.write(over, e)
		default:
			return
		}
	}
}

func (l *Log) sync() {
	if err := l.files.sync(); err != nil {
		l.failing.Set(1)
		l.log.Error("audit is not on disk", "err", err)
	}
}

func (l *Log) close() {
	l.sync()
	l.tellHead()
	l.files.close()
}

// tellHead writes the end of the chain to the log, for those who keep that elsewhere.
func (l *Log) tellHead() {
	if end := l.files.end; end.seq > 0 {
		l.log.Info("audit head", "seq", end.seq, "hash", hex.EncodeToString(end.hash[:]))
	}
}
