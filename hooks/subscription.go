package hooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"

	"straks/orders"
)

const (
	// poll is how often a feed is read without a sign that it has grown.
	poll = 30 * time.Second
	// readPause is the wait after the journal could not be read.
	readPause = time.Second
)

// Subscription is a webhook at work.
type Subscription struct {
	d         *Dispatcher
	source    Source
	hook      Webhook
	host      string // of the URL, for logs: the rest of it may hold a secret
	log       *slog.Logger
	transport *http.Transport
	kick      chan struct{} // an operator has changed something

	// Of the goroutine of run alone.
	acked    map[uint64]bool // entries after the cursor that the receiver has taken; MaxInFlight at most
	failures int             // attempts since the last success
	passed   int             // times that entries were passed over since the last success

	mu      sync.Mutex
	loaded  bool // the cursor is in the journal
	dirty   bool // it is not as it is there
	cursor  orders.Cursor
	from    From // where an operator wants it
	waiting time.Time
	next    time.Time // of the next attempt, while one waits for it
	last    outcome   // of the last attempt
	lastAt  time.Time
	sent    uint64
	skipped uint64
}

// run works until ctx ends.
func (s *Subscription) run(ctx context.Context) {
	defer s.transport.CloseIdleConnections()
	for ctx.Err() == nil {
		if err := s.load(ctx); err != nil {
			s.d.sampled.Write("load "+s.hook.Organisation+" "+s.hook.Name, slog.LevelError, "webhook's cursor not read or stored, trying again",
				slog.String("organisation", s.hook.Organisation), slog.String("webhook", s.hook.Name), slog.Any("err", err))
			s.wait(ctx, nil, readPause)
			continue
		}
		if s.stopped() {
			s.wait(ctx, nil, math.MaxInt64)
			continue
		}
		changed := s.source.Changed(s.hook.Organisation)
		page, err := s.read(ctx, s.at())
		switch {
		case err != nil:
			s.unread(ctx, err)
		case len(page) == 0:
			s.idle()
			s.wait(ctx, changed, poll)
		default:
			s.behind(page[0])
			if out, failed := s.round(ctx, page); failed {
				s.wait(ctx, nil, s.settle(ctx, out))
			}
		}
	}
}

// wait returns when the feed has changed, d has passed, an operator has changed something, or ctx has ended.
func (s *Subscription) wait(ctx context.Context, changed <-chan struct{}, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-s.kick:
	case <-ctx.Done():
	}
}

// read returns the next entries after a number.
func (s *Subscription) read(ctx context.Context, after uint64) ([]Entry, error) {
	select {
	case s.d.readers <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.d.readers }()
	return s.source.Read(ctx, orders.FeedQuery{Organisation: s.hook.Organisation, Seq: after, Limit: pageSize, FinalOnly: s.hook.FinalOnly})
}

func (s *Subscription) unread(ctx context.Context, err error) {
	var beyond *orders.BeyondNewestError
	if errors.As(err, &beyond) {
		s.stop(fmt.Sprintf("its cursor is beyond the feed's newest number, %d: give -from with straks webhook resume", beyond.Newest))
		return
	}
	if ctx.Err() == nil {
		s.d.sampled.Write("feed", slog.LevelError, "feed not read for webhooks, trying again", slog.Any("err", err))
	}
	s.wait(ctx, nil, readPause)
}

// load reads the cursor, unless that is done, and puts it where an operator wants it. The cursor of a new webhook is
// stored before anything is sent.
func (s *Subscription) load(ctx context.Context) error {
	s.mu.Lock()
	loaded, from, stopped := s.loaded, s.from, !s.cursor.StoppedAt.IsZero()
	s.mu.Unlock()
	if from == "" && (loaded || stopped) {
		return nil
	}
	var c orders.Cursor
	known := false
	if from == "" {
		var err error
		c, known, err = s.d.cfg.Cursors.Cursor(ctx, s.hook.Organisation, s.hook.cursorName())
		if err != nil && !errors.Is(err, orders.ErrUnavailable) && ctx.Err() == nil {
			s.stop("its cursor can't be read (straks journal check): give -from with straks webhook resume")
			return nil
		}
		if err != nil {
			return err
		}
	}
	if !known {
		seq, err := s.position(ctx, from)
		if err != nil {
			return err
		}
		c = orders.Cursor{Organisation: s.hook.Organisation, Name: s.hook.cursorName(), Seq: seq, Begin: seq}
	}
	c.Seen = time.Now()
	if err := s.d.cfg.Cursors.PutCursors(ctx, []orders.Cursor{c}, nil); err != nil {
		return err
	}
	s.mu.Lock()
	s.cursor, s.loaded, s.dirty, s.from = c, true, false, ""
	s.mu.Unlock()
	clear(s.acked)
	s.log.Info("webhook begins", "host", s.host, "after", c.Seq, "new", !known)
	return nil
}

// position returns the number after which a webhook begins.
func (s *Subscription) position(ctx context.Context, from From) (uint64, error) {
	if from == Oldest || from == "" && s.hook.FromOldest {
		return 0, nil
	}
	// No cursor is that high, and the error has the newest number.
	_, err := s.source.Read(ctx, orders.FeedQuery{Organisation: s.hook.Organisation, Seq: math.MaxInt64, Limit: 1})
	var beyond *orders.BeyondNewestError
	if errors.As(err, &beyond) {
		return beyond.Newest, nil
	}
	return 0, fmt.Errorf("the feed's newest number is not known: %w", err)
}

func (s *Subscription) at() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursor.Seq
}

func (s *Subscription) stopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.cursor.StoppedAt.IsZero()
}

// idle notes that the receiver has taken everything.
func (s *Subscription) idle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = time.Time{}
}

// behind notes the oldest entry that the receiver has not taken.
func (s *Subscription) behind(e Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting, s.next = e.At, time.Time{}
}
