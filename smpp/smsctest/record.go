package smsctest

import "sync"

// record keeps the newest submits.
type record struct {
	mu   sync.Mutex
	ring []Submit // oldest at next once it is full
	next int
	size int
}

func (r *record) add(s Submit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.size <= 0:
	case len(r.ring) < r.size:
		r.ring = append(r.ring, s)
	default:
		r.ring[r.next] = s
		r.next = (r.next + 1) % r.size
	}
}

// all returns a copy, in order of arrival.
func (r *record) all() []Submit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(append([]Submit(nil), r.ring[r.next:]...), r.ring[:r.next]...)
}

func (r *record) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring, r.next = nil, 0
}
