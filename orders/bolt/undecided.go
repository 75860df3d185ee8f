package bolt

import "slices"

// undecided are calls whose commit failed, perhaps after it had reached the meta page.
type undecided struct {
	tx       int // of bbolt: none later was begun
	requests []*request
}

func (u *undecided) has(r *request) bool { return slices.Contains(u.requests, r) }

// finish gives a request its answer. decided is false where a call that failed may be stored.
func (r *request) finish(err error, decided bool) {
	r.done <- err
	switch {
	case err == nil:
		r.later.Stored(r.effects)
	case decided:
		r.later.NotStored()
	}
}

// decide tells what became of calls whose commit failed. next is the number of the first transaction that is begun since:
// the failed one has it again, unless it was stored.
func (u *undecided) decide(next int) {
	for _, r := range u.requests {
		if next > u.tx {
			r.later.Stored(r.effects)
		} else {
			r.later.NotStored()
		}
	}
	*u = undecided{}
}
