package limits

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	// generations is into how many parts the longest window is cut. A recipient is kept for up to one part longer
	// than it counts.
	generations = 8
	// maxRecipients bounds the recipients that are counted for one organisation, or for all together.
	maxRecipients = 1 << 20
)

// recipients counts the orders to each recipient.
type recipients struct {
	windows []Window // the longest last
	bound   int
	part    time.Duration // of a generation
	all     []generation  // the newest first
	early   int           // recipients that have left early
	known   time.Time     // all orders count that came since then

	followed time.Time // see Count
}

// generation holds the recipients whose newest order came in one part of time: by hash, the seconds since 1970 of
// the orders, rounded up, so that none leaves too early. Most recipients have one order.
type generation struct {
	began time.Time
	one   map[uint64]uint32
	more  map[uint64][]uint32 // the newest last
}

func (g *generation) size() int { return len(g.one) + len(g.more) }

// with returns the counts with other windows. New ones have counted what came since now; nil: there is no window.
func (r *recipients) with(windows []Window, now time.Time) *recipients {
	if len(windows) == 0 {
		return nil
	}
	if r == nil {
		r = &recipients{bound: maxRecipients, known: now, followed: now}
	} else {
		r.forget(now.Add(-r.longest()))
	}
	r.windows = slices.Clone(windows)
	slices.SortFunc(r.windows, func(a, b Window) int { return int(a.Per - b.Per) })
	r.part = max(r.longest()/generations, time.Second)
	r.forget(now.Add(-r.longest()))
	return r
}

// forget drops the orders before a time, so that they can be counted again.
func (r *recipients) forget(before time.Time) {
	if !before.After(r.known) {
		return
	}
	r.known = before
	for i := range r.all {
		g := &r.all[i]
		maps.DeleteFunc(g.one, func(_ uint64, s uint32) bool { return s < seconds(before) })
		for key, at := range g.more {
			delete(g.more, key)
			g.put(key, slices.DeleteFunc(slices.Clone(at), func(s uint32) bool { return s < seconds(before) }))
		}
	}
}

func (r *recipients) longest() time.Duration { return r.windows[len(r.windows)-1].Per }

// seconds rounds a time up.
func seconds(t time.Time) uint32 { return uint32(max(t.Add(time.Second-1).Unix(), 0)) }

// orders returns the times of a recipient's orders, and the generation that has them, -1 if none has.
func (r *recipients) orders(key uint64) (at []uint32, in int) {
	for i := range r.all {
		if s, ok := r.all[i].one[key]; ok {
			return []uint32{s}, i
		}
		if more, ok := r.all[i].more[key]; ok {
			return more, i
		}
	}
	return nil, -1
}

func (r *recipients) refuse(key uint64, now time.Time, to string) (worst *refusal) {
	if r == nil {
		return nil
	}
	at, _ := r.orders(key)
	for _, w := range r.windows {
		n := len(at) - w.Orders // of the order that must leave the window first
		if n < 0 {
			continue
		}
		until := now.Add(w.Per)
		if w.Orders > 0 {
			until = time.Unix(int64(at[n]), 0).Add(w.Per)
		}
		if until.After(now) && (worst == nil || until.After(worst.until)) {
			worst = &refusal{words: fmt.Sprintf("%d orders in %s %s", w.Orders, span(w.Per), to), until: until}
		}
	}
	return worst
}

// span writes a span of time for people.
func span(d time.Duration) string {
	for _, u := range []struct {
		one  string
		name string
		d    time.Duration
	}{{"a", "day", 24 * time.Hour}, {"an", "hour", time.Hour}, {"a", "minute", time.Minute}, {"a", "second", time.Second}} {
		if d >= u.d && d%u.d == 0 {
			if d == u.d {
				return u.one + " " + u.name
			}
			return fmt.Sprintf("%d %ss", d/u.d, u.name)
		}
	}
	return d.String()
}

func (r *recipients) add(key uint64, now time.Time) (undo func()) {
	r.age(now)
	at, in := r.orders(key)
	s := seconds(now)
	oldest := now.Add(-r.longest())
	live := make([]uint32, 0, len(at)+1)
	for _, t := range append(slices.Clone(at), s) {
		if time.Unix(int64(t), 0).After(oldest) {
			live = append(live, t)
		}
	}
	slices.Sort(live) // Recover has no order
	r.remove(key, in)
	r.put(key, live)
	return func() {
		at, in := r.orders(key)
		if i := slices.Index(at, s); i >= 0 {
			rest := slices.Delete(slices.Clone(at), i, i+1)
			g := r.all[in]
			r.remove(key, in)
			g.put(key, rest)
		}
	}
}

func (r *recipients) remove(key uint64, in int) {
	if in >= 0 {
		delete(r.all[in].one, key)
		delete(r.all[in].more, key)
	}
}

// put puts a recipient into the newest generation.
func (r *recipients) put(key uint64, at []uint32) { r.all[0].put(key, at) }

func (g *generation) put(key uint64, at []uint32) {
	switch len(at) {
	case 0:
	case 1:
		g.one[key] = at[0]
	default:
		g.more[key] = at
	}
}

// age begins a new generation where it is time, and drops those that do not count any more.
func (r *recipients) age(now time.Time) {
	if len(r.all) == 0 || now.Sub(r.all[0].began) >= r.part {
		r.all = slices.Insert(r.all, 0, generation{now, make(map[uint64]uint32), make(map[uint64][]uint32)})
	}
	for len(r.all) > 1 && now.Sub(r.all[len(r.all)-2].began) > r.longest() { // what is in the last came before that
		r.all = r.all[:len(r.all)-1]
	}
	for n := r.size(); n >= r.bound; n = r.size() {
		last := len(r.all) - 1
		r.early += r.all[last].size()
		if last == 0 { // all came within one part
			r.all[0] = generation{now, make(map[uint64]uint32), make(map[uint64][]uint32)}
			return
		}
		r.all = r.all[:last]
	}
}

// size returns how many recipients are counted.
func (r *recipients) size() (n int) {
	if r == nil {
		return 0
	}
	for i := range r.all {
		n += r.all[i].size()
	}
	return n
}
