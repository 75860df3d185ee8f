package smsctest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// Stats are counters since Listen, and levels where the name says "now".
type Stats struct {
	Connections    uint64 `json:"connections"`
	ConnectionsNow uint64 `json:"connectionsNow"`
	Binds          uint64 `json:"binds"`
	BindsNow       uint64 `json:"bindsNow"`
	BindsRefused   uint64 `json:"bindsRefused"`

	Submits    uint64 `json:"submits"`    // all of the following together
	Taken      uint64 `json:"taken"`      // got a message id
	Throttled  uint64 `json:"throttled"`  // ESME_RTHROTTLED or ESME_RMSGQFUL
	Refused    uint64 `json:"refused"`    // any other status
	Unanswered uint64 `json:"unanswered"` // of those taken: the answer was withheld

	Receipts    uint64 `json:"receipts"`    // made, duplicates and intermediate ones included
	Delivered   uint64 `json:"delivered"`   // deliver_sm and data_sm written, repeats included
	Redelivered uint64 `json:"redelivered"` // of those, repeats
	Acked       uint64 `json:"acked"`       // of those, answered ESME_ROK
	Postponed   uint64 `json:"postponed"`   // of those, answered with a temporary error
	Rejected    uint64 `json:"rejected"`    // of those, answered with a lasting error or generic_nack
	Dropped     uint64 `json:"dropped"`     // never sent, since too many were waiting
	WaitingNow  uint64 `json:"waitingNow"`  // for a bind, an answer or their next try

	Enquiries      uint64 `json:"enquiries"`      // enquire_link received
	EnquiriesSent  uint64 `json:"enquiriesSent"`  // enquire_link sent
	EnquiryAnswers uint64 `json:"enquiryAnswers"` // enquire_link_resp received
	Unbinds        uint64 `json:"unbinds"`        // unbind received
	UnbindAnswers  uint64 `json:"unbindAnswers"`  // unbind_resp received
	Nacks          uint64 `json:"nacks"`          // generic_nack received
	Malformed      uint64 `json:"malformed"`      // PDUs that could not be read, or do not belong here
	Mischiefs      uint64 `json:"mischiefs"`      // bogus PDUs and garbage sent
	Closed         uint64 `json:"closed"`         // connections closed in place of an answer
	Frozen         uint64 `json:"frozen"`         // connections frozen
	Outages        uint64 `json:"outages"`        // times that the listener was closed
}

// counters are the living Stats.
type counters struct {
	connections, connectionsNow, binds, bindsNow, bindsRefused            counter
	submits, taken, throttled, refused, unanswered                        counter
	receipts, delivered, redelivered, acked, postponed, rejected, dropped counter
	waitingNow                                                            counter
	enquiries, enquiriesSent, enquiryAnswers, unbinds, unbindAnswers      counter
	nacks, malformed, mischiefs, closed, frozen, outages                  counter
	watch                                                                 watch
}

type counter = atomic.Uint64

// count adds one and wakes whoever waits for a change.
func (n *counters) count(c *counter) { n.add(c, 1) }

func (n *counters) add(c *counter, delta int) {
	c.Add(uint64(delta))
	n.watch.notify()
}

func (n *counters) stats() Stats {
	return Stats{
		Connections: n.connections.Load(), ConnectionsNow: n.connectionsNow.Load(),
		Binds: n.binds.Load(), BindsNow: n.bindsNow.Load(), BindsRefused: n.bindsRefused.Load(),
		Submits: n.submits.Load(), Taken: n.taken.Load(), Throttled: n.throttled.Load(),
		Refused: n.refused.Load(), Unanswered: n.unanswered.Load(),
		Receipts: n.receipts.Load(), Delivered: n.delivered.Load(), Redelivered: n.redelivered.Load(),
		Acked: n.acked.Load(), Postponed: n.postponed.Load(), Rejected: n.rejected.Load(),
		Dropped: n.dropped.Load(), WaitingNow: n.waitingNow.Load(),
		Enquiries: n.enquiries.Load(), EnquiriesSent: n.enquiriesSent.Load(), EnquiryAnswers: n.enquiryAnswers.Load(),
		Unbinds: n.unbinds.Load(), UnbindAnswers: n.unbindAnswers.Load(),
		Nacks: n.nacks.Load(), Malformed: n.malformed.Load(), Mischiefs: n.mischiefs.Load(),
		Closed: n.closed.Load(), Frozen: n.frozen.Load(), Outages: n.outages.Load(),
	}
}

// watch wakes those who wait for counters to change.
type watch struct {
	waiting atomic.Int32 // spares the lock where nobody waits
	mu      sync.Mutex
	tokens  map[chan struct{}]struct{}
}

func (w *watch) notify() {
	if w.waiting.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for t := range w.tokens {
		select {
		case t <- struct{}{}:
		default:
		}
	}
}

// enter returns a channel that gets a token after every change, and the way out.
func (w *watch) enter() (changed <-chan struct{}, leave func()) {
	t := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tokens == nil {
		w.tokens = map[chan struct{}]struct{}{}
	}
	w.tokens[t] = struct{}{}
	w.waiting.Add(1)
	return t, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.tokens, t)
		w.waiting.Add(-1)
	}
}

// Stats returns the counters as they are now.
func (s *SMSC) Stats() Stats { return s.n.stats() }

// Wait returns as soon as the counters satisfy ok, or with an error that tells
// the counters when ctx ends or the SMSC is closed before.
func (s *SMSC) Wait(ctx context.Context, ok func(Stats) bool) error {
	changed, leave := s.n.watch.enter()
	defer leave()
	for {
		now := s.Stats()
		if ok(now) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("smsctest: still waiting at %+v: %w", now, ctx.Err())
		case <-s.done:
			return fmt.Errorf("smsctest: closed at %+v", now)
		}
	}
}

// WaitSubmits waits until n submits have come in since Listen, and returns
// those that are kept.
func (s *SMSC) WaitSubmits(ctx context.Context, n int) ([]Submit, error) {
	err := s.Wait(ctx, func(st Stats) bool { return st.Submits >= uint64(n) })
	return s.Submits(), err
}

// Submits returns the submits that are kept (see Profile.Record), oldest first.
func (s *SMSC) Submits() []Submit { return s.record.all() }

// Forget empties what Submits returns. Counters go on.
func (s *SMSC) Forget() { s.record.forget() }
