package orders

import (
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
// Otherwise the order waits, first come, first served within its lane. An order that
// waits in one lane does not block the orders of another.
//
// Overload is measured by waiting time, as in CoDel (RFC 8289), and not by count: a burst
// makes a long queue too, but a short one in time. If even the shortest wait of an interval was
// above targetWait, new orders are refused at once. The first order that is admitted after a
// shorter wait ends the overload. No order waits longer than longestWait.
//
// A refused order costs no commit. Steps that finish work are never refused or delayed.

const (
	// targetWait is the shortest wait that is an overload, and the length of the interval over
	// which the shortest wait is taken.
	targetWait = 100 * time.Millisecond
	// longestWait is the longest time for which an order waits to be admitted.
	longestWait = 500 * time.Millisecond
	// queueLength and queueOctets bound the queue of one lane.
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
}

// lane is a Lane in use.
type lane struct {
	name   string
	most   int        // orders on their way to the carrier, or with it
	busy   int        // those that there are
	queue  *list.List // of *waiter
	octets int        // of the orders in queue

	// The shortest wait of the present interval, and the verdict of the last one.
	began      time.Time // of the interval; zero: none has begun
	shortest   time.Duration
	overloaded bool
}

// waiter is an order in a queue.
type waiter struct {
	lane    *lane
	at      *list.Element
	since   time.Time
	octets  int
	callers *atomic.Int32 // that wait for the order; without any it is not admitted
	permit  *permit       // set before woken is closed; nil: every caller has left
	woken   chan struct{}
}

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
	lane    *lane
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
	return &admission{channel: c, working: working, most: most, metrics: m.admission(c), lanes: make(map[string]*lane)}
}

// try admits an order that need not wait; nil where it must. It never overtakes an order
// that waits, since whatever becomes free is given to those first.
func (a *admission) try(l Lane) *permit {
	a.mu.Lock()
	defer a.mu.Unlock()
	in := a.lane(l)
	if in.queue.Len() > 0 || !a.fits(in) {
		return nil
	}
	in.measure(time.Now(), 0)
	return a.admit(in)
}

// wait waits until the order is admitted. octets is what it holds in memory. wait returns nil
// and no error when every caller has left, and ErrBusy when the order is refused.
func (a *admission) wait(l Lane, octets int, callers *atomic.Int32) (*permit, error) {
	w, err := a.queue(l, octets, callers)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(longestWait)
	defer timer.Stop()
	select {
	case <-w.woken:
		return w.permit, nil
	case <-timer.C:
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-w.woken:
		return w.permit, nil
	default:
	}
	a.remove(w)
	w.lane.overloaded = true // the first in the queue waited for longestWait
	return nil, a.refuse(w.lane, "timeout")
}

// overload returns why an order would be refused now because its lane is overloaded, else nil.
func (a *admission) overload(l Lane) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	in := a.lane(l)
	if in.look(time.Now()); !in.overloaded || a.fits(in) {
		return nil
	}
	return a.refuse(in, "overload")
}

// queue puts an order into its lane's queue, or refuses it.
func (a *admission) queue(l Lane, octets int, callers *atomic.Int32) (*waiter, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	in, now := a.lane(l), time.Now()
	in.look(now)
	switch {
	case a.fits(in): // by now
	case in.overloaded:
		return nil, a.refuse(in, "overload")
	case in.queue.Len() >= queueLength || in.octets+octets > queueOctets:
		return nil, a.refuse(in, "queue_full")
	}
	w := &waiter{lane: in, since: now, octets: octets, callers: callers, woken: make(chan struct{})}
	w.at = in.queue.PushBack(w)
	in.octets += octets
	a.waiting++
	a.grant()
	return w, nil
}

// refuse counts an order that is refused for that reason.
func (a *admission) refuse(l *lane, reason string) error {
	a.metrics.refused[reason].Inc()
	return &refusal{reason, l.name, l.queue.Len(), a.atWork, a.working, l.busy, l.most}
}

// refusal is ErrBusy, with the numbers that the log shows.
type refusal struct {
	reason, lane        string
	waiting             int
	atWork, atWorkLimit int
	inLane, laneLimit   int
}

func (r *refusal) attrs() []slog.Attr {
	return []slog.Attr{slog.String("lane", r.lane), slog.Int("waiting", r.waiting), slog.Int("at_work", r.atWork),
		slog.Int("at_work_limit", r.atWorkLimit), slog.Int("in_lane", r.inLane), slog.Int("lane_limit", r.laneLimit)}
}

func (r *refusal) Error() string { return fmt.Sprintf("%v: %s", ErrBusy, r.reason) }
func (r *refusal) Unwrap() error { return ErrBusy }

// lane returns the lane in use, as the carrier describes it now.
func (a *admission) lane(l Lane) *lane {
	in := a.lanes[l.Name]
	if in == nil {
		in = &lane{name: l.Name, queue: list.New()}
		a.lanes[l.Name] = in
	}
	// A quarter more keep the windows full: those that are being stored.
	in.most = max(l.Window, 1) + a.working/4
	return in
}

// fits reports whether an order of the lane can be admitted now.
func (a *admission) fits(l *lane) bool {
	return a.atWork < a.working && a.admitted < a.most && l.busy < l.most
}

func (a *admission) admit(l *lane) *permit {
	a.atWork++
	a.admitted++
	l.busy++
	return &permit{a: a, lane: l}
}

// grant admits waiting orders while there is room: the oldest first, of those whose lane
// has room.
func (a *admission) grant() {
	for a.waiting > 0 && a.atWork < a.working && a.admitted < a.most {
		w := a.next()
		if w == nil {
			return
		}
		a.remove(w)
		if w.callers.Load() > 0 {
			wait := time.Since(w.since)
			w.lane.measure(w.since.Add(wait), wait)
			a.metrics.wait.Observe(wait.Seconds())
			w.permit = a.admit(w.lane)
		}
		close(w.woken)
	}
}

// next returns the oldest of the orders that wait in lanes with room; nil: there is none.
func (a *admission) next() (first *waiter) {
	for _, l := range a.lanes {
		if l.queue.Len() == 0 || l.busy >= l.most {
			continue
		}
		if w := l.queue.Front().Value.(*waiter); first == nil || w.since.Before(first.since) {
			first = w
		}
	}
	return first
}

func (a *admission) remove(w *waiter) {
	w.lane.queue.Remove(w.at)
	w.lane.octets -= w.octets
	a.waiting--
}

// measure records the wait of an order that is admitted now.
func (l *lane) measure(now time.Time, wait time.Duration) {
	l.look(now)
	l.shortest = min(l.shortest, wait)
	if wait <= targetWait {
		l.overloaded = false
	}
}

// look begins a new interval if the present one is over, and then decides whether the lane is
// overloaded. If no order was admitted in the interval, the wait of the first in the queue counts.
func (l *lane) look(now time.Time) {
	if now.Sub(l.began) < targetWait {
		return
	}
	if first := l.queue.Front(); first != nil && !l.began.IsZero() {
		shortest := min(l.shortest, now.Sub(first.Value.(*waiter).since))
		l.overloaded = l.overloaded || shortest > targetWait
	}
	l.began, l.shortest = now, longestWait
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
	} else if !work(p.counted) && work(to) {
		a.atWork++
	}
	if p.counted <= withCarrier && to > withCarrier {
		p.lane.busy--
	}
	if p.counted < released && to == released {
		a.admitted--
	}
	p.counted = to
	a.grant()
}
