package smpp

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// What an operator may do with one SMSC while the gateway runs. Nothing of it is kept over a restart.
//
//	Pause    no message is started on it; its binds stay up, and receipts are acknowledged. Messages take
//	         other SMSCs, or are refused at once. A message whose first part was sent goes on.
//	Drain    Pause; then each bind is unbound, when the responses that are due have come
//	Resume   ends both
//	TryNow   ends the wait before the next attempt to bind, also that after refused credentials

// ErrPaused is why a message is refused whose SMSCs are all paused or drained by an operator.
var ErrPaused = errors.New("paused by an operator")

// control is what an operator has asked for, of one SMSC.
type control struct {
	mu      sync.Mutex
	drained bool
	retired bool          // it is not configured any more: its binds end when they are drained
	changed chan struct{} // closed, and replaced, by each change and each TryNow
}

func newControl() control { return control{changed: make(chan struct{})} }

// state returns whether the SMSC is drained, and a channel that is closed at the next change.
func (c *control) state() (drained bool, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drained, c.changed
}

func (c *control) set(drained bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drained = drained || c.retired
	close(c.changed)
	c.changed = make(chan struct{})
}

// Pause starts no message on the SMSC from now on.
func (g *Gateway) Pause(name string) error { return g.operate(name, "paused", true, false) }

// Drain is Pause, and unbinds.
func (g *Gateway) Drain(name string) error { return g.operate(name, "drained", true, true) }

// Resume ends Pause and Drain.
func (g *Gateway) Resume(name string) error { return g.operate(name, "resumed", false, false) }

// TryNow has each bind of the SMSC that is down try to bind at once. A drained one stays down.
func (g *Gateway) TryNow(name string) error {
	c, err := g.named(name)
	if err != nil {
		return err
	}
	c.limiter.tryNow()
	drained, _ := c.control.state()
	c.control.set(drained)
	return nil
}

func (g *Gateway) operate(name, what string, paused, drained bool) error {
	c, err := g.named(name)
	if err != nil {
		return err
	}
	g.slots.pause(c, paused)
	c.control.set(drained)
	g.log.Warn("SMSC "+what+" by an operator", "smsc", name)
	return nil
}

func (g *Gateway) named(name string) (*smsc, error) {
	for _, c := range g.smscs() {
		if c.Name == name {
			return c, nil
		}
	}
	return nil, fmt.Errorf("no SMSC is called %q", name)
}

// pause sets whether messages may start on the SMSC. Messages that wait for it alone are refused.
func (s *slots) pause(c *smsc, paused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if paused && !c.paused {
		c.pausedAt = time.Now()
	}
	c.paused = paused
	if !paused {
		for _, b := range c.binds {
			if b.up() {
				s.serve(b)
			}
		}
		return
	}
	s.refuse(c, func(w *waiter) error {
		if !w.started && w.allPaused() {
			return ErrPaused
		}
		return nil
	})
}

// refuse refuses the messages that wait for the SMSC and for which why returns a reason. Under mu.
func (s *slots) refuse(c *smsc, why func(*waiter) error) {
	var next *list.Element
	for e := c.queue.Front(); e != nil && !s.closed; e = next {
		next = e.Next()
		w := e.Value.(*waiter)
		if err := why(w); err != nil {
			w.refused = err
			w.leave()
			close(w.woken)
		}
	}
}

// isPaused reports whether an operator has paused the SMSC.
func (s *slots) isPaused(c *smsc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.paused
}

// allPaused reports whether every SMSC of the route is paused.
func (w *want) allPaused() bool {
	for _, c := range w.order {
		if !c.paused {
			return false
		}
	}
	return true
}

// retire is set(true), for good.
func (c *control) retire() {
	c.mu.Lock()
	c.retired = true
	c.mu.Unlock()
	c.set(true)
}

func (c *control) isRetired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.retired
}

// hold waits while the SMSC is drained; false when ctx ends, or where the SMSC is not configured any more.
func (m *maintainer) hold(ctx context.Context) bool {
	for ctx.Err() == nil {
		drained, changed := m.smsc.control.state()
		if !drained {
			return true
		}
		if m.smsc.control.isRetired() {
			return false
		}
		m.disown() // another process may have it meanwhile
		m.setState(StateClosed, "drained by an operator", "")
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return false
}

// drainStep is how often a bind that drains is looked at, and drainQuiet how often in a row nothing may
// be unanswered on it: between two parts of a message that has started nothing is.
const (
	drainStep  = 50 * time.Millisecond
	drainQuiet = 5
)

// drained returns a channel that is closed when the SMSC is drained, or its slot has ended, and the bind has had the
// responses that are due or Config.DrainTime has passed. stop must be called, and ends the wait.
func (m *maintainer) drained(ctx context.Context) (done <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ready, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			drained, changed := m.smsc.control.state()
			if m.ended() {
				m.g.slots.leave(m.bind)
				drained, changed = true, nil // no operator can change that
			}
			if drained && m.quiet(ctx, changed) {
				close(ready)
				return
			}
			if drained {
				continue // it was resumed meanwhile, or ctx has ended
			}
			select {
			case <-changed:
			case <-m.slotEnded():
			case <-ctx.Done():
				return
			}
		}
	}()
	return ready, func() {
		cancel()
		<-ended
	}
}

// quiet waits until nothing is unanswered on the bind, and reports whether the SMSC is still drained then.
func (m *maintainer) quiet(ctx context.Context, changed <-chan struct{}) bool {
	tick := time.NewTicker(drainStep)
	defer tick.Stop()
	limit := time.NewTimer(m.g.setup.Load().drainTime)
	defer limit.Stop()
	for idle := 0; idle < drainQuiet; {
		select {
		case <-changed:
			return false
		case <-limit.C:
			return true
		case <-ctx.Done():
			return true
		case <-tick.C:
		}
		if idle++; m.g.slots.inUse(m.bind) > 0 {
			idle = 0
		}
	}
	return true
}

// inUse returns how many slots of the bind are taken.
func (s *slots) inUse(b *bind) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return b.inFlight
}

// rest waits before the next attempt to bind: for d, or until an operator wants it now.
func (m *maintainer) rest(ctx context.Context, d time.Duration) {
	_, changed := m.smsc.control.state()
	m.setNext(time.Now().Add(d))
	defer m.setNext(time.Time{})
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-m.slotEnded():
	case <-ctx.Done():
	}
}

// setNext sets when the next attempt to bind comes, as it is shown.
func (b *bind) setNext(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.Next = at
}
