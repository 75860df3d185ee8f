package smtp

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// What an operator may do with one relay while the pool runs. Nothing of it is kept over a restart.
//
//	Pause    it gets no mail; its connections stay open. Mails go to other relays, or are refused
//	Drain    Pause; then its connections are closed with QUIT, when the mails on them are done
//	Resume   ends both
//	TryNow   ends the wait before the next attempt to connect, also that after a refused login

// ErrPaused is why a mail is refused whose relays are all paused or drained by an operator.
var ErrPaused = errors.New("paused by an operator")

// Pause gives the relay no mail from now on.
func (p *Pool) Pause(name string) error { return p.operate(name, "paused", true, false) }

// Drain is Pause, and closes the connections.
func (p *Pool) Drain(name string) error { return p.operate(name, "drained", true, true) }

// Resume ends Pause and Drain.
func (p *Pool) Resume(name string) error { return p.operate(name, "resumed", false, false) }

// TryNow has the relay connect at once if it is not well. A drained one stays closed.
func (p *Pool) TryNow(name string) error {
	r, err := p.named(name)
	if err != nil {
		return err
	}
	r.mu.Lock()
	h := &r.health
	h.noDial, h.full = time.Time{}, 0
	if !h.probe.IsZero() {
		h.probe = time.Now()
	}
	r.mu.Unlock()
	r.wakeUp()
	return nil
}

func (p *Pool) operate(name, what string, paused, drained bool) error {
	r, err := p.named(name)
	if err != nil {
		return err
	}
	r.mu.Lock()
	switch {
	case !paused:
		r.health.Paused = time.Time{}
	case r.health.Paused.IsZero():
		r.health.Paused = time.Now()
	}
	r.health.drained = drained
	r.mu.Unlock()
	r.wakeUp()
	p.log.Warn("relay "+what+" by an operator", "relay", name)
	return nil
}

func (p *Pool) named(name string) (*relay, error) {
	relays := p.setup.Load().relays
	i := slices.IndexFunc(relays, func(r *relay) bool { return r.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("no relay is called %q", name)
	}
	return relays[i], nil
}

// paused reports whether an operator has paused or drained the relay.
func (r *relay) paused() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.health.Paused.IsZero()
}

// drained reports whether the relay must have no connection.
func (r *relay) drained() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.health.drained
}

// closeIdle sends QUIT on the connections that no mail uses.
func (r *relay) closeIdle() {
	r.mu.Lock()
	idle := r.idle
	r.idle = nil
	r.mu.Unlock()
	for _, c := range idle {
		c.leave()
		r.discard(c)
	}
}

// setNext sets when the next attempt to connect comes, as it is shown.
func (r *relay) setNext(wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.health.Next = time.Time{}
	if r.health.Open == 0 && !r.health.drained {
		r.health.Next = time.Now().Add(wait)
	}
}
