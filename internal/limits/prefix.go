package limits

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"straks/internal/numbers"
	"straks/orders"
)

// buckets is into how many parts the window of a prefix is cut. An order counts for up to one part longer than the
// window.
const buckets = 12

// prefixes counts for one limit: one prefix or country, or each country by itself.
type prefixes struct {
	Prefix
	known    time.Time          // all orders count that came since then
	followed time.Time          // see Count
	by       map[string]*prefix // by country, "" where there is one only
}

// withPrefixes returns the counters of these limits. One that counts the same as before stays.
func withPrefixes(old []*prefixes, limits []Prefix, now time.Time) (all []*prefixes) {
	for _, limit := range limits {
		i := slices.IndexFunc(old, func(p *prefixes) bool {
			return p.Prefix.Prefix == limit.Prefix && p.Country == limit.Country && p.Per == limit.Per && (p.Recipients > 0) == (limit.Recipients > 0)
		})
		if i < 0 {
			all = append(all, &prefixes{Prefix: limit, known: now, followed: now, by: make(map[string]*prefix)})
			continue
		}
		one := old[i]
		one.Prefix = limit
		for _, p := range one.by {
			p.Orders, p.Recipients = limit.Orders, limit.Recipients
		}
		all = append(all, one)
	}
	return all
}

// matching returns the counters that an order to the recipient counts in.
func (c *counts) matching(to orders.Recipient) (all []*prefix) {
	for _, p := range c.prefixes {
		if one := p.of(to, c.prefixes); one != nil {
			all = append(all, one)
		}
	}
	return all
}

// of returns the counter of a recipient, nil where the limit is not about it. all are the limits of its organisation.
func (p *prefixes) of(to orders.Recipient, all []*prefixes) *prefix {
	number, country := string(to), ""
	switch {
	case !strings.HasPrefix(number, cmp.Or(p.Prefix.Prefix, "+")):
		return nil
	case p.Country == numbers.Everywhere:
		country = cmp.Or(numbers.Region(number), "+")
		if slices.ContainsFunc(all, func(other *prefixes) bool { return other.Country == country }) {
			return nil
		}
	case p.Country != "" && p.Country != numbers.Region(number):
		return nil
	}
	one := p.by[country]
	if one == nil {
		one = newPrefix(p.Prefix, country)
		p.by[country] = one
	}
	return one
}

// prefix counts the orders to some numbers, and the recipients among them.
type prefix struct {
	Prefix
	numbers string // which, for people
	part    time.Duration
	all     []bucket // the newest first
}

// bucket is one part of the window. A recipient is in the newest one that it had an order in.
type bucket struct {
	began  time.Time
	orders int
	seen   map[uint64]struct{}
}

func newPrefix(p Prefix, country string) *prefix {
	of := "that begin with " + p.Prefix
	if p.Country != "" {
		of = "of " + cmp.Or(strings.TrimPrefix(country, "+"), strings.Trim(p.Country, numbers.Everywhere), "no country")
	}
	return &prefix{Prefix: p, numbers: of, part: max(p.Per/buckets, time.Second)}
}

// bucket returns that of a time, and begins it where there is none. Orders of the past come too, from Recover.
func (p *prefix) bucket(at time.Time) *bucket {
	i := 0
	for i < len(p.all) && at.Before(p.all[i].began) {
		i++
	}
	if i == len(p.all) || at.Sub(p.all[i].began) >= p.part {
		p.all = slices.Insert(p.all, i, bucket{began: at, seen: make(map[uint64]struct{})})
	}
	return &p.all[i]
}

// age drops buckets that do not count any more.
func (p *prefix) age(now time.Time) {
	for n := len(p.all) - 1; n >= 0 && now.Sub(p.all[n].began) >= p.Per+p.part; n-- {
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
	return &refusal{words: fmt.Sprintf("%d orders in %s to numbers %s", p.Orders, span(p.Per), p.numbers), until: p.free()}
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
	return &refusal{words: fmt.Sprintf("%d different numbers in %s %s", p.Recipients, span(p.Per), p.numbers), until: p.free()}
}

func (p *prefix) add(key uint64, at time.Time) (undo func()) {
	b := p.bucket(at)
	b.orders++
	began, known := b.began, p.Recipients == 0 || p.saw(key, b)
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

// saw notes a recipient in a bucket, unless it is in a newer one, and reports whether it was in any.
func (p *prefix) saw(key uint64, in *bucket) (known bool) {
	for i := range p.all {
		if _, ok := p.all[i].seen[key]; !ok {
			continue
		}
		known = true
		if !p.all[i].began.Before(in.began) {
			return true
		}
		delete(p.all[i].seen, key)
	}
	in.seen[key] = struct{}{}
	return known
}
