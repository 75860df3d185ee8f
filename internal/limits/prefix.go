package limits

import (
	"fmt"
	"time"
)

// buckets is into how many parts the window of a prefix is cut. An order counts for up to one part longer than the
// window.
const buckets = 12

// prefix counts the orders to numbers with a prefix, and the recipients among them.
type prefix struct {
	Prefix
	part time.Duration
	all  []bucket // the newest first
}

// bucket is one part of the window. A recipient is in the newest one that it had an order in.
type bucket struct {
	began  time.Time
	orders int
	seen   map[uint64]struct{}
}

func newPrefix(p Prefix) *prefix { return &prefix{Prefix: p, part: max(p.Per/buckets, time.Second)} }

// age begins a new bucket where it is time, and drops those that do not count any more.
func (p *prefix) age(now time.Time) {
	if len(p.all) == 0 || now.Sub(p.all[0].began) >= p.part {
		p.all = append([]bucket{{began: now, seen: make(map[uint64]struct{})}}, p.all...)
	}
	for n := len(p.all) - 1; n > 0 && now.Sub(p.all[n].began) >= p.Per+p.part; n = len(p.all) - 1 {
		p.all = p.all[:n]
	}
}

// free returns when the oldest bucket leaves.
func (p *prefix) free() time.Time { return p.all[len(p.all)-1].began.Add(p.Per + p.part) }

func (p *prefix) refuse(now time.Time) *refusal {
	if p.Orders == 0 {
		return nil
	}
	p.age(now)
	n := 0
	for i := range p.all {
		n += p.all[i].orders
	}
	if n < p.Orders {
		return nil
	}
	return &refusal{words: fmt.Sprintf("%d orders in %s to numbers that begin with %s", p.Orders, span(p.Per), p.Prefix.Prefix), until: p.free()}
}

func (p *prefix) refuseRecipient(key uint64, now time.Time) *refusal {
	if p.Recipients == 0 {
		return nil
	}
	p.age(now)
	n := 0
	for i := range p.all {
		if _, ok := p.all[i].seen[key]; ok {
			return nil
		}
		n += len(p.all[i].seen)
	}
	if n < p.Recipients {
		return nil
	}
	return &refusal{words: fmt.Sprintf("%d different numbers in %s that begin with %s", p.Recipients, span(p.Per), p.Prefix.Prefix), until: p.free()}
}

func (p *prefix) add(key uint64, now time.Time) (undo func()) {
	p.age(now)
	p.all[0].orders++
	began, known := p.all[0].began, false
	if p.Recipients > 0 {
		for i := range p.all {
			if _, ok := p.all[i].seen[key]; ok {
				known = true
				delete(p.all[i].seen, key)
			}
		}
		p.all[0].seen[key] = struct{}{}
	}
	return func() {
		for i := range p.all {
			if p.all[i].began.Equal(began) {
				p.all[i].orders--
				if !known {
					delete(p.all[i].seen, key)
				}
			}
		}
	}
}
