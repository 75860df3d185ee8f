package orders

import (
	"cmp"
	"container/list"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Admission bounds the orders of a channel that are under way. It is the only bound on the way of
// an order.
//
// An order is admitted before anything of it is stored, if both
//
//   - fewer orders of its channel are at work than the processors can use. An order is at
//     work while we store or answer it, but not while it is with its carrier. So orders at a
//     carrier that hangs do not delay other orders; and
//   - fewer orders of its lane are on their way to the carrier, or with it, than the
//     windows of the carriers can use.
//
// Otherwise the order waits. An order that waits in one lane does not block the orders of another.
//
// Within a lane, organisations share by what they hold: the next order is of the organisation that has the
// fewest orders on their way to the carrier, or with it; first come, first served within the organisation.
// One that floods the lane, or whose messages take long, so delays itself. An organisation alone may use
// the whole lane.
//
// Overload is measured by waiting time and for each organisation by itself, as in FQ-CoDel (RFC 8290), and
// not by count: a burst makes a long queue too, but a short one in time. If even the shortest wait of an
// interval was above targetWait, new orders of the organisation are refused at once. The first of its orders
// that is admitted after a shorter wait ends the overload. No order waits longer than longestWait.
//
// A refused order costs no commit. Steps that finish work are never refused or delayed.

const (
	// targetWait is the shortest wait that is an overload, and the length of the interval over
	// which the shortest wait is taken.
	targetWait = 100 * time.Millisecond
	// longestWait is the longest time for which an order waits to be admitted.
	longestWait = 500 * time.Millisecond
	// queueLength and queueOctets bound the orders that wait in one lane. Beyond them, the newest order of
	// the organisation with the most is refused.
	queueLength = 4096
	queueOctets = 32 << 20
)

// Lane is a set of carriers that share their orders. All orders of a lane wait for the same windows.
// There are few lanes, and their names come from the configuration.
type Lane struct {
	Name   string
	Window int // messages that the carriers of the lane take at a time
}

// admission is that of one channel.
type admission struct {
	channel Channel
	working int // most orders at work
	most    int // most orders between their admission and their outcome on disk
	metrics *admissionMetrics

	mu       sync.Mutex
	atWork   int // those that finish may exceed working
	admitted int // until their outcome is on disk
	waiting  int // in all lanes
	lanes    map[string]*lane
	shares   map[string]*share // by organisation
}

// share is what one organisation has of an admission.
type share struct{ atWork int }

// load is what the metrics show.
type load struct{ atWork, waiting int }

func (a *admission) load() load {
	a.mu.Lock()
	defer a.mu.Unlock()
	return load{a.atWork, a.waiting}
}

// permit is held by an admitted order. Its methods are called by the goroutine of the order.
type permit struct {
	a       *admission
	flow    *flow
	counted counted
}

// counted is what a permit counts as.
type counted uint8

const (
	toCarrier   counted = iota // at work, in its lane
	withCarrier                // in its lane
	fromCarrier                // at work
	unsettled                  // counted against most only
	released
)

func newAdmission(c Channel, working, most int, m *metrics) *admission {
	return &admission{channel: c, working: working, most: most, metrics: m.admission(c),
		lanes: make(map[string]*lane), shares: make(map[string]*share)}
}

// try admits an order that need not wait; nil where it must. It never overtakes an order
// that waits, since whatever becomes free is given to those first.
func (a *admission) try(l Lane, organisation string) *permit {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.flow(l, organisation)
	if f.lane.waiting > 0 || !a.fits(f.lane) {
		return nil
	}
	return a.admit(f, time.Now(), 0)
}

// wait waits until the order is admitted. octets is what it holds in memory. wait returns nil
// and no error when every caller has left, and ErrBusy when the order is refused.
func (a *admission) wait(l Lane, organisation string, octets int, callers *atomic.Int32) (*permit, error) {
	w, err := a.enqueue(l, organisation, octets, callers)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(longestWait)
	defer timer.Stop()
	select {
	case <-w.woken:
		return w.permit, w.refused
	case <-timer.C:
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-w.woken:
		return w.permit, w.refused
	default:
	}
	a.remove(w)
	w.flow.overloaded = true // the first in the queue waited for longestWait
	return nil, a.refuse(w.flow, "timeout")
}

// overload returns why an order would be refused now because its organisation is overloaded in the lane,
// else nil.
func (a *admission) overload(l Lane, organisation string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.flow(l, organisation)
	if f.look(time.Now()); !f.overloaded || a.fits(f.lane) {
		return nil
	}
	return a.refuse(f, "overload")
}

// enqueue lets an order wait, or refuses it.
func (a *admission) enqueue(l Lane, organisation string, octets int, callers *atomic.Int32) (*waiter, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, now := a.flow(l, organisation), time.Now()
	f.look(now)
	if !a.fits(f.lane) { // by now, it may
		if f.overloaded {
			return nil, a.refuse(f, "overload")
		}
		if !a.makeRoom(f, octets) {
			return nil, a.refuse(f, "queue_full")
		}
	}
	w := &waiter{flow: f, since: now, octets: octets, callers: callers, woken: make(chan struct{})}
	f.push(w)
	a.waiting++
	a.grant()
	return w, nil
}

// makeRoom refuses orders of the organisations with the most in the queue of the lane, the newest first, until
// an order of that size has room. It reports false where the order's own organisation is the one with the most.
func (a *admission) makeRoom(f *flow, octets int) bool {
	for {
		w := f.lane.excess(f, octets)
		switch {
		case w == nil:
			return true
		case w.flow == f:
			return false
		}
		a.remove(w)
		w.refused = a.refuse(w.flow, "queue_full")
		close(w.woken)
	}
}

// refuse counts an order that is refused for that reason.
func (a *admission) refuse(f *flow, reason string) error {
	a.metrics.refused[reason].Inc()
	return &refusal{reason, f.organisation, f.lane.name, f.queue.Len(), f.lane.waiting, a.atWork, a.working, f.lane.busy, f.lane.most}
}

// refusal is ErrBusy, with the numbers that the log shows.
type refusal struct {
	reason, organisation, lane string
	waiting, waitingInLane     int // of the organisation, of all
	atWork, atWorkLimit        int
	inLane, laneLimit          int
}

func (r *refusal) attrs() []slog.Attr {
	return []slog.Attr{slog.String("organisation", r.organisation), slog.String("lane", r.lane),
		slog.Int("waiting", r.waiting), slog.Int("waiting_in_lane", r.waitingInLane), slog.Int("at_work", r.atWork),
		slog.Int("at_work_limit", r.atWorkLimit), slog.Int("in_lane", r.inLane), slog.Int("lane_limit", r.laneLimit)}
}

func (r *refusal) Error() string { return fmt.Sprintf("%v: %s", ErrBusy, r.reason) }
func (r *refusal) Unwrap() error { return ErrBusy }

// flow returns what the organisation has in the lane, as the carrier describes the lane now.
func (a *admission) flow(l Lane, organisation string) *flow {
	in := a.lanes[l.Name]
	if in == nil {
		in = &lane{name: l.Name, flows: make(map[string]*flow)}
		a.lanes[l.Name] = in
	}
	// A quarter more keep the windows full: those that are being stored.
	in.most = max(l.Window, 1) + a.working/4
	f := in.flows[organisation]
	if f == nil {
		s := a.shares[organisation]
		if s == nil {
			s = new(share)
			a.shares[organisation] = s
		}
		f = &flow{lane: in, organisation: organisation, share: s, queue: list.New()}
		in.flows[organisation] = f
	}
	return f
}

// fits reports whether an order of the lane can be admitted now.
func (a *admission) fits(l *lane) bool {
	return a.atWork < a.working && a.admitted < a.most && l.busy < l.most
}

// admit admits an order after a wait.
func (a *admission) admit(f *flow, now time.Time, wait time.Duration) *permit {
	f.measure(now, wait)
	a.atWork++
	f.share.atWork++
	a.admitted++
	f.busy++
	f.lane.busy++
	return &permit{a: a, flow: f}
}

// grant admits waiting orders while there is room.
func (a *admission) grant() {
	for a.waiting > 0 && a.atWork < a.working && a.admitted < a.most {
		w := a.next()
		if w == nil {
			return
		}
		a.remove(w)
		if w.callers.Load() > 0 {
			wait := time.Since(w.since)
			a.metrics.wait.Observe(wait.Seconds())
			w.permit = a.admit(w.flow, w.since.Add(wait), wait)
		}
		close(w.woken)
	}
}

// next returns the order that is admitted next; nil: none waits in a lane with room. Between lanes, the
// organisation with the fewest orders at work comes first, then the order that has waited longest.
func (a *admission) next() (first *waiter) {
	for _, l := range a.lanes {
		if l.waiting == 0 || l.busy >= l.most {
			continue
		}
		w := l.next()
		if first == nil || cmp.Or(cmp.Compare(w.flow.share.atWork, first.flow.share.atWork), w.since.Compare(first.since)) < 0 {
			first = w
		}
	}
	return first
}

func (a *admission) remove(w *waiter) {
	w.flow.remove(w)
	a.waiting--
}

// handOver counts the order as one that is with its carrier.
func (p *permit) handOver() { p.move(withCarrier) }

// answered counts the order as one that has left its lane, and whose outcome must be stored.
func (p *permit) answered() { p.move(fromCarrier) }

// unsettle counts the order as one whose outcome can't be stored now: only MaxInFlight
// bounds it.
func (p *permit) unsettle() { p.move(unsettled) }

// release ends the count. It may be called again.
func (p *permit) release() { p.move(released) }

func (p *permit) move(to counted) {
	a := p.a
	a.mu.Lock()
	defer a.mu.Unlock()
	work := func(c counted) bool { return c == toCarrier || c == fromCarrier }
	if work(p.counted) && !work(to) {
		a.atWork--
		p.flow.share.atWork--
	} else if !work(p.counted) && work(to) {
		a.atWork++
		p.flow.share.atWork++
	}
	if p.counted <= withCarrier && to > withCarrier {
		p.flow.busy--
		p.flow.lane.busy--
	}
	if p.counted < released && to == released {
		a.admitted--
	}
	p.counted = to
	a.grant()
}
