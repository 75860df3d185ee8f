package smpp

import (
	"context"
	"errors"
	"sync"
	"time"

	"straks/smpp/session"
	"straks/smpp/wire"
)

// BindSlots shares the binds of an SMSC's account between processes. Each of them is configured with all of the
// account's binds, and bind n of one stands for bind n of the others: one process at a time has it.
type BindSlots interface {
	// Acquire waits until bind n of the SMSC, counted from 0, is this process's own. It returns an error only when ctx
	// ends. It is not called again for a bind that has not been released.
	Acquire(ctx context.Context, smsc string, n int) (BindSlot, error)
	// WhoHas says why bind n is not this process's own while Acquire waits for it. Empty: that is not known.
	WhoHas(smsc string, n int) string
}

// BindSlot is the right to keep one bind up.
type BindSlot struct {
	// Ended is closed when the bind must be given back: it is drained and unbound then, and Release follows.
	Ended <-chan struct{}
	// Inherited: another process had the bind before, and the SMSC may still count its session.
	Inherited bool
	// Release gives the bind back. It is called once, when this process is not bound with it.
	Release func()
}

// patience is for how long after a slot was inherited the SMSC may refuse the bind because it counts a session that has
// ended, and patienceStep is how often it is tried meanwhile. SMSCs notice the end of a dead peer
// after their enquire_link interval, typically a minute, and some refuse a bind that comes too soon after an unbind.
const (
	patience     = 2 * time.Minute
	patienceStep = time.Second
)

// givenUp is why a bind whose slot has ended is unbound.
const givenUp = "given back, for another node"

// anotherHasIt is why a bind is StateElsewhere, where nothing more is known.
const anotherHasIt = "another node has it"

// share is the slot of one bind of an SMSC. Where transmitter and receiver are separate, both use it.
type share struct {
	smsc string
	n    int           // from 0
	turn chan struct{} // 1: held by the one that acquires the slot

	mu   sync.Mutex
	held *heldSlot // nil while it is not ours
}

// heldSlot is a slot that is ours.
type heldSlot struct {
	BindSlot
	share     *share
	inherited time.Time     // when, if its SMSC may still count the session of another; else zero. Under share.mu
	users     int           // sessions that it is for. Under share.mu
	released  chan struct{} // closed when it was given back
}

func newShare(smsc string, n int) *share {
	return &share{smsc: smsc, n: n, turn: make(chan struct{}, 1)}
}

// take waits until the slot is ours. release must be called on what it returns.
func (s *share) take(ctx context.Context, from BindSlots) (*heldSlot, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		h, ok := s.join()
		if ok {
			return h, nil
		}
		if h == nil {
			break
		}
		select { // the other session that it is for is being unbound
		case <-h.released:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	slot, err := from.Acquire(ctx, s.smsc, s.n)
	if err != nil {
		return nil, err
	}
	h := &heldSlot{BindSlot: slot, share: s, users: 1, released: make(chan struct{})}
	if slot.Inherited {
		h.inherited = time.Now()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = h
	return h, nil
}

// join returns the slot if it is ours, and reports whether it stays so: then the caller is one more user.
func (s *share) join() (*heldSlot, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil || s.held.users == 0 || s.held.ended() {
		return s.held, false
	}
	s.held.users++
	return s.held, true
}

func (h *heldSlot) ended() bool {
	select {
	case <-h.Ended:
		return true
	default:
		return false
	}
}

// release gives the slot back when the last of its sessions has ended.
func (h *heldSlot) release() {
	s := h.share
	s.mu.Lock()
	h.users--
	last := h.users == 0
	s.mu.Unlock()
	if !last {
		return
	}
	h.Release()
	s.mu.Lock()
	s.held = nil
	s.mu.Unlock()
	close(h.released)
}

// own waits until the bind is ours, and reports whether it is. It is not when ctx ends or an operator changes something.
func (m *maintainer) own(ctx context.Context) bool {
	if m.g.shared == nil || m.held != nil && !m.ended() {
		return true
	}
	m.disown()
	drained, changed := m.smsc.control.state() // before anybody sees that the bind is awaited
	if drained {
		return false
	}
	m.setState(StateElsewhere, anotherHasIt, "")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}()
	held, err := m.share.take(ctx, m.g.shared)
	if err != nil {
		return false
	}
	m.held = held
	m.setState(StateConnecting, "", "")
	m.log.Info("this node has the bind now", "inherited", held.Inherited)
	return true
}

// giveUpPause is how long a bind that was given up is left to others: longer than they take to see it.
const giveUpPause = 3 * time.Second

// giveUp gives a bind back whose SMSC this process has not reached for SMSC.DeadLink: another may reach it. A refusal is
// no reason: all have the same account.
func (m *maintainer) giveUp(ctx context.Context, err error) {
	var refusal *session.BindError
	switch {
	case errors.As(err, &refusal):
		m.unreached = time.Time{}
	case m.unreached.IsZero():
		m.unreached = time.Now()
	case m.held != nil && time.Since(m.unreached) > m.smsc.DeadLink:
		m.log.Warn("the bind is left to other nodes: the SMSC can't be reached from this one", "reason", err)
		m.disown()
		m.unreached = time.Time{}
		m.rest(ctx, giveUpPause)
	}
}

// disown gives the bind back. It must be unbound.
func (m *maintainer) disown() {
	if m.held != nil {
		m.held.release()
		m.held = nil
	}
}

// ended reports whether the bind must be given back.
func (m *maintainer) ended() bool { return m.held != nil && m.held.ended() }

// slotEnded returns a channel that is closed when the bind must be given back; nil where no other process shares it.
func (m *maintainer) slotEnded() <-chan struct{} {
	if m.held == nil {
		return nil
	}
	return m.held.Ended
}

// whileOurs returns a context that also ends when the bind must be given back.
func (m *maintainer) whileOurs(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if ended := m.slotEnded(); ended != nil {
		go func() {
			defer cancel()
			select {
			case <-ended:
			case <-ctx.Done():
			}
		}()
	}
	return ctx, cancel
}

// inherits reports whether an attempt to bind has failed because the SMSC may still count the session of the process
// that had the bind before. ESME_RBINDFAIL says no more than "no", and many SMSCs send it for one bind too many.
func (m *maintainer) inherits(err error) bool {
	var refusal *session.BindError
	if m.held == nil || !errors.As(err, &refusal) || refusal.Status != wire.ESMEAlyBnd && refusal.Status != wire.ESMEBindFail {
		return false
	}
	m.share.mu.Lock()
	defer m.share.mu.Unlock()
	return !m.held.inherited.IsZero() && time.Since(m.held.inherited) < patience
}

// stillCounted shows and logs such an attempt, and returns the wait before the next.
func (m *maintainer) stillCounted(err error) time.Duration {
	if m.setState(StateTakingOver, "the SMSC still counts the session of the node that had it before: "+err.Error(), m.addr) {
		m.log.Info("waiting for the SMSC to forget the session of the node that had this bind", "addr", m.addr, "reason", err, "longest", patience.String())
	}
	return patienceStep
}

// inherited ends the patience for an inherited slot: its bind is up. The other session of a separate bind may still
// need it.
func (m *maintainer) inherited() {
	if m.held == nil || m.mode != session.Transceiver {
		return
	}
	m.share.mu.Lock()
	defer m.share.mu.Unlock()
	m.held.inherited = time.Time{}
}
