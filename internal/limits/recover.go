package limits

import (
	"context"
	"fmt"
	"time"

	"straks/orders"
)

// History is what counts are made of again.
type History interface {
	// Accepted calls visit with each shipment that was accepted from since on and may have left, in
	// about the order of acceptance. Claim, Parts, Carrier and Detail may be empty.
	Accepted(ctx context.Context, since time.Time, visit func(orders.Shipment)) error
}

// Recover counts what was accepted before this process began. Call it before the first Take.
func (l *Limits) Recover(ctx context.Context, h History, now time.Time) error {
	l.mu.Lock()
	gaps := l.gaps(now)
	for _, c := range l.of {
		for p, limited := range map[*calendar]bool{&c.day: c.day.limit > 0, &c.month: c.month.limit > 0, &c.budget.spent: l.cfg.Priced} {
			if p.known = now; !limited { // nothing of before is counted
				p.followed = now
			}
		}
	}
	l.mu.Unlock()
	return l.fill(ctx, h, gaps, now)
}

// Reconfigure puts other limits in the place of those in use. What is counted stays. Where a window is longer than before,
// or new, the orders that are missing are counted from the journal before it returns; until then fewer are counted there.
// Only one goroutine at a time may call it.
func (l *Limits) Reconfigure(ctx context.Context, h History, cfg Config, now time.Time) error {
	l.mu.Lock()
	l.adopt(cfg, now)
	gaps := l.gaps(now)
	l.mu.Unlock()
	return l.fill(ctx, h, gaps, now)
}

// adopt makes the counters of a configuration, from those in use where they count the same. A new one has counted what
// came since now. Under mu, except in New.
func (l *Limits) adopt(cfg Config, now time.Time) {
	l.cfg = cfg
	l.across = l.across.with(cfg.Across, now)
	for name := range l.of {
		if _, stays := cfg.Organisations[name]; !stays {
			delete(l.of, name)
		}
	}
	for name, o := range cfg.Organisations {
		c := l.of[name]
		if c == nil {
			c = &counts{day: calendar{start: startOfDay, known: now, followed: now}, month: calendar{start: startOfMonth, known: now, followed: now},
				budget: newBudget(now)}
			l.of[name] = c
			l.metrics.begin(name)
		}
		c.day.limit, c.month.limit, c.budget.limit, c.shared = o.Day, o.Month, o.Budget, o.Shared
		c.recipients = c.recipients.with(o.Recipient, now)
		c.prefixes = withPrefixes(c.prefixes, o.Prefixes, now)
	}
}

// gap is what a counter has not counted, though it should have.
type gap struct {
	organisation string // empty: all
	since, until time.Time
	known        *time.Time // of the counter
	add          func(s *orders.Shipment, key, everywhere uint64)
}

// gaps returns what is missing now. Under mu.
func (l *Limits) gaps(now time.Time) (gaps []gap) {
	of := func(organisation string, from time.Time, known *time.Time, add func(*orders.Shipment, uint64, uint64)) {
		if known.IsZero() || from.Before(*known) {
			gaps = append(gaps, gap{organisation, from, *known, known, add})
		}
	}
	if r := l.across; r != nil {
		of("", now.Add(-r.longest()), &r.known, func(s *orders.Shipment, _, everywhere uint64) { r.recount(s, everywhere) })
	}
	for name, c := range l.of {
		for _, p := range []*calendar{&c.day, &c.month} {
			if p.limit > 0 {
				of(name, p.start(now), &p.known, func(s *orders.Shipment, _, _ uint64) { p.add(s.Accepted, 1) })
			}
		}
		if b := &c.budget.spent; l.cfg.Priced {
			of(name, b.start(now), &b.known, func(s *orders.Shipment, _, _ uint64) { b.add(s.Accepted, int64(s.Cost.Amount)) })
		}
		if r := c.recipients; r != nil {
			of(name, now.Add(-r.longest()), &r.known, func(s *orders.Shipment, key, _ uint64) { r.recount(s, key) })
		}
		for _, p := range c.prefixes {
			of(name, now.Add(-p.Per), &p.known, func(s *orders.Shipment, key, _ uint64) {
				if one := p.of(s.Recipient, c.prefixes); one != nil {
					one.add(key, s.Accepted)
				}
			})
		}
	}
	return gaps
}

// recount counts an order that was accepted before. Whom a person was forgotten for is not known: all of them together are
// not one recipient.
func (r *recipients) recount(s *orders.Shipment, key uint64) {
	if s.Recipient != orders.Forgotten {
		r.add(key, s.Accepted)
	}
}

// fill counts what is missing.
func (l *Limits) fill(ctx context.Context, h History, gaps []gap, now time.Time) error {
	since := now
	for _, g := range gaps {
		if g.since.Before(since) {
			since = g.since
		}
	}
	if !since.Before(now) {
		return nil
	}
	began, n := time.Now(), 0
	err := h.Accepted(ctx, since, func(s orders.Shipment) {
		key, everywhere := l.key(s.Organisation, s.Channel, s.Recipient), l.key("", s.Channel, s.Recipient)
		l.mu.Lock()
		defer l.mu.Unlock()
		for i := range gaps {
			if gaps[i].has(&s) {
				gaps[i].add(&s, key, everywhere)
			}
		}
		n++
	})
	if err != nil {
		return fmt.Errorf("limits: counting the orders since %s: %w", since.Format(time.RFC3339), err)
	}
	l.mu.Lock()
	for _, g := range gaps {
		*g.known = g.since
	}
	l.mu.Unlock()
	l.log.Info("limits: counted again what was accepted before", "orders", n, "since", since, "duration", time.Since(began))
	return nil
}

// has reports whether a shipment is missing. Without an end, nothing is counted yet: then what a clock that was wrong put
// into the future is missing too.
func (g *gap) has(s *orders.Shipment) bool {
	return (g.organisation == "" || g.organisation == s.Organisation) && !s.Accepted.Before(g.since) && (g.until.IsZero() || s.Accepted.Before(g.until))
}
