package hooks

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"straks/orders"
)

const (
	// flushEvery is how often changed cursors are stored, all in one call.
	flushEvery = time.Second
	// flushTimeout bounds one call.
	flushTimeout = 5 * time.Second
	// orphansEvery is how often cursors of webhooks that are gone are looked for, and those of others marked as seen.
	orphansEvery = 6 * time.Hour
)

// keepCursors stores cursors until ctx ends.
func (d *Dispatcher) keepCursors(ctx context.Context) {
	ticker, orphans := time.NewTicker(flushEvery), time.NewTicker(orphansEvery)
	defer ticker.Stop()
	defer orphans.Stop()
	for {
		select {
		case <-ticker.C:
		case <-d.flushNow:
		case <-orphans.C:
			d.touch()
			d.sweepOrphans(ctx)
		case <-ctx.Done():
			return
		}
		d.flush(ctx)
	}
}

// flushSoon has cursors stored at once.
func (d *Dispatcher) flushSoon() {
	select {
	case d.flushNow <- struct{}{}:
	default:
	}
}

// flush stores the cursors that have changed.
func (d *Dispatcher) flush(ctx context.Context) {
	var put []orders.Cursor
	var of []*Subscription
	for _, s := range d.subscriptions {
		s.mu.Lock()
		if s.loaded && s.dirty {
			s.dirty = false
			put, of = append(put, s.cursor), append(of, s)
		}
		s.mu.Unlock()
	}
	if len(put) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := d.cfg.Cursors.PutCursors(ctx, put, nil); err != nil {
		for _, s := range of {
			s.mu.Lock()
			s.dirty = true
			s.mu.Unlock()
		}
		if context.Cause(ctx) != context.Canceled {
			d.sampled.Write("flush", slog.LevelError, "webhook cursors not stored, trying again; after a restart, entries would be sent again", slog.Any("err", err))
		}
	}
}

// touch marks the cursors as those of webhooks that exist.
func (d *Dispatcher) touch() {
	for _, s := range d.subscriptions {
		s.mu.Lock()
		s.cursor.Seen, s.dirty = time.Now(), true
		s.mu.Unlock()
	}
}

// orphans returns the cursors of webhooks that are not in the configuration.
func (d *Dispatcher) orphans(ctx context.Context) []orders.Cursor {
	all, err := d.cfg.Cursors.Cursors(ctx)
	if err != nil {
		d.sampled.Write("orphans", slog.LevelError, "webhook cursors not read", slog.Any("err", err))
	}
	var gone []orders.Cursor
	for _, c := range all {
		if !slices.ContainsFunc(d.subscriptions, func(s *Subscription) bool {
			return s.hook.Organisation == c.Organisation && s.hook.cursorName() == c.Name
		}) {
			gone = append(gone, c)
		}
	}
	return gone
}

// reportOrphans logs which cursors no webhook has: one that was renamed begins as a new one does.
func (d *Dispatcher) reportOrphans(ctx context.Context) {
	for _, c := range d.orphans(ctx) {
		d.cfg.Log.Warn("webhook is not in the configuration any more; was it renamed? Its cursor is kept for a while",
			"organisation", c.Organisation, "webhook", c.Name, "seq", c.Seq, "until", c.Seen.Add(CursorRetention))
	}
}

// sweepOrphans removes cursors of webhooks that are gone for CursorRetention.
func (d *Dispatcher) sweepOrphans(ctx context.Context) {
	var old []orders.Cursor
	for _, c := range d.orphans(ctx) {
		if time.Since(c.Seen) > CursorRetention {
			old = append(old, c)
			d.cfg.Log.Info("webhook's cursor removed: it is not in the configuration any more", "organisation", c.Organisation, "webhook", c.Name, "seq", c.Seq)
		}
	}
	if err := d.cfg.Cursors.PutCursors(ctx, nil, old); err != nil {
		d.sampled.Write("sweep", slog.LevelError, "webhook cursors not removed, trying again", slog.Any("err", err))
	}
}
