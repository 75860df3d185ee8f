package api

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"straks/internal/ratelog"
	"straks/orders"
)

const (
	// maxWaiting bounds the requests that wait for a feed to grow, and maxWaitingOf the requests of one
	// organisation, which leaves room for others.
	maxWaiting, maxWaitingOf = 2048, 1024
	// tailOctets bounds the newest entries that are kept for an organisation's waiting requests.
	tailOctets = 256 << 10
	// wakePause, times the number of waiting requests, is the least time between two wake-ups. A change after
	// a quiet time is sent at once; under steady traffic, 1,000 requests are woken twenty times a second.
	wakePause = 50 * time.Microsecond
)

// tails hold the newest entries of the feeds that requests wait for. One goroutine for each such
// organisation reads and encodes a new entry once, for any number of requests. The goroutine ends with
// the last request.
type tails struct {
	sampled *ratelog.Log

	mu      sync.Mutex
	of      map[tailKey]*tail
	waiting int
}

// tailKey names a feed.
type tailKey struct {
	source       feedSource // of whose kind there is one
	organisation string
}

// tail holds the entries of one feed from a number on.
type tail struct {
	tailKey
	stop chan struct{} // closed when the last request has left

	mu      sync.Mutex
	waiting int // guarded by tails.mu
	from    uint64
	to      uint64      // entries holds all with numbers above from, up to here
	entries []tailEntry // the oldest first
	octets  int
	moved   [2]chan struct{} // closed when there is a new entry: any, a final one
}

// tailEntry is an entry as it is sent.
type tailEntry struct {
	seq   uint64
	final bool
	json  []byte
}

// join counts one request that waits for the feed, until leave is called.
func (ts *tails) join(ctx context.Context, source feedSource, organisation string) (t *tail, leave func(), err error) {
	key := tailKey{source, organisation}
	newest, err := ts.newest(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t = ts.of[key]
	if ts.waiting >= maxWaiting || t != nil && t.waiting >= maxWaitingOf {
		return nil, nil, unavailable("busy", "Too many requests wait for the feed already. Ask for it without wait.", retryBusy)
	}
	if t == nil {
		t = &tail{tailKey: key, stop: make(chan struct{}), from: newest, to: newest,
			moved: [2]chan struct{}{make(chan struct{}), make(chan struct{})}}
		ts.of[key] = t
		go ts.follow(t)
	}
	ts.waiting++
	t.waiting++
	return t, func() { ts.leave(t) }, nil
}

// newest returns the number of the feed's newest entry, from which a new tail begins. Older entries are
// read from the journal by the request that asks for them.
func (ts *tails) newest(ctx context.Context, key tailKey) (uint64, error) {
	ts.mu.Lock()
	t := ts.of[key]
	ts.mu.Unlock()
	if t != nil {
		return 0, nil // not used: there is a tail
	}
	last, err := key.source.read(ctx, orders.FeedQuery{Organisation: key.organisation, Descending: true, Limit: 1})
	if err != nil || len(last) == 0 {
		return 0, err
	}
	return last[0].seq, nil
}

func (ts *tails) leave(t *tail) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.waiting--
	if t.waiting--; t.waiting == 0 {
		delete(ts.of, t.tailKey)
		close(t.stop)
	}
}

// count returns the number of requests that wait.
func (ts *tails) count() int {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return ts.waiting
}

// follow reads new entries until the last request has left.
func (ts *tails) follow(t *tail) {
	for {
		changed := t.source.Changed(t.organisation)
		entries, err := t.source.read(context.Background(), orders.FeedQuery{Organisation: t.organisation, Seq: t.to, Limit: feedBatch})
		pause := time.Duration(0)
		switch {
		case err != nil:
			ts.sampled.Write("tail", slog.LevelError, "feed not read for waiting requests, trying again", slog.Any("err", err))
			pause = time.Second
		case len(entries) > 0:
			t.add(entries)
			pause = time.Duration(ts.waitingFor(t)) * wakePause
		default:
			select {
			case <-changed:
				continue
			case <-t.stop:
				return
			}
		}
		select {
		case <-time.After(pause):
		case <-t.stop:
			return
		}
	}
}

func (ts *tails) waitingFor(t *tail) int {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return t.waiting
}

// add appends new entries, drops the oldest ones beyond tailOctets, and wakes the requests that wait for
// such entries.
func (t *tail) add(entries []feedEntry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	final := false
	for _, e := range entries {
		entry := e.encoded()
		t.entries = append(t.entries, entry)
		t.octets += len(entry.json)
		final = final || e.final
		t.to = e.seq
	}
	keep := 0
	for t.octets > tailOctets {
		t.octets -= len(t.entries[keep].json)
		t.from = t.entries[keep].seq
		keep++
	}
	t.entries = slices.Delete(t.entries, 0, keep)
	for i, wake := range [...]bool{true, final} {
		if wake {
			close(t.moved[i])
			t.moved[i] = make(chan struct{})
		}
	}
}

// after returns at most limit entries above a number, a batch of them at most, and the number up to which these are
// all. whole is false if some of them were dropped. moved is closed when there are more.
func (t *tail) after(seq uint64, final bool, limit int) (entries []tailEntry, to uint64, whole bool, moved <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	moved = t.moved[0]
	if final {
		moved = t.moved[1]
	}
	if seq < t.from {
		return nil, t.to, false, moved
	}
	first, _ := slices.BinarySearchFunc(t.entries, seq+1, func(e tailEntry, seq uint64) int {
		return int(int64(e.seq) - int64(seq))
	})
	for _, e := range t.entries[first:] {
		if e.final || !final {
			if len(entries) == limit || full(entries) {
				return entries, entries[len(entries)-1].seq, true, moved
			}
			entries = append(entries, e)
		}
	}
	return entries, max(seq, t.to), true, moved
}
