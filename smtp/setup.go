package smtp

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// setup is a configuration in use. It does not change: Reconfigure puts another in its place.
type setup struct {
	relays []*relay // in the configuration's order
	routes []*route
	signer *signer
}

// newSetup makes the relays and routes of a configuration that was checked and has its defaults. Relays of the
// old setup whose configuration is the same are used again, with their connections.
func (p *Pool) newSetup(c Config, old *setup) (*setup, error) {
	s := &setup{signer: newSigner(c.Keys, p.metrics.signed, p.log)}
	byName := make(map[string]*relay)
	for _, config := range c.Relays {
		i := slices.IndexFunc(old.relays, func(r *relay) bool { return same(r.Relay, config) })
		if i >= 0 {
			s.relays = append(s.relays, old.relays[i])
		} else if r, err := newRelay(config, p.log, p.metrics); err == nil {
			s.relays = append(s.relays, r)
		} else {
			return nil, fmt.Errorf("relay %s: %w", config.Name, err)
		}
		byName[config.Name] = s.relays[len(s.relays)-1]
	}
	for _, config := range c.Routes {
		r := &route{Route: config}
		for _, name := range config.Relays {
			r.relays = append(r.relays, byName[name])
			r.window += byName[name].MaxConns
		}
		s.routes = append(s.routes, r)
	}
	return s, nil
}

// same reports whether two configurations are of the same connections. A secret that is read at each login may have
// changed.
func same(a, b Relay) bool {
	if a.Secret != nil && b.Secret != nil {
		a.Password, b.Password = "", ""
	}
	return a == b
}

// take gives the letter the relays of its route; false where there is no route.
func (l *letter) take(s *setup) bool {
	r := s.routeOf(l.from, l.to, l.message.Organisation)
	if r == nil {
		return false
	}
	l.relays, l.declines, l.deferrals = r.order(), nil, nil
	return true
}

// Reconfigure puts a configuration in the place of the one in use, which stays where the error is not nil: see
// Config.Check. Relays that did not change keep their connections. One that is gone or has changed gets no further
// mail; those under way on it are awaited, late replies too, and then it gets QUIT. A mail that finds its relays gone
// takes those of its new route.
func (p *Pool) Reconfigure(c Config) error {
	if err := c.Check().Err(); err != nil {
		return err
	}
	p.changing.Lock()
	defer p.changing.Unlock()
	old := p.setup.Load()
	now, err := p.newSetup(c.WithDefaults(), old)
	if err != nil {
		return err
	}
	p.setup.Store(now)
	for _, r := range now.relays {
		if !slices.Contains(old.relays, r) {
			p.start(r)
		}
	}
	for _, r := range old.relays {
		if !slices.Contains(now.relays, r) {
			p.stop(r)
		}
	}
	return nil
}

// running is a pool that runs.
type running struct {
	ctx     context.Context
	handler Handler
	relays  sync.WaitGroup
}

func (p *Pool) begin(ctx context.Context, h Handler) {
	p.changing.Lock()
	defer p.changing.Unlock()
	p.running = &running{ctx: ctx, handler: h}
	for _, r := range p.setup.Load().relays {
		p.start(r)
	}
}

// end waits until every relay was drained.
func (p *Pool) end() {
	p.changing.Lock()
	ran := p.running
	p.running = nil
	p.changing.Unlock()
	ran.relays.Wait()
}

// start runs a relay, if the pool runs. Under changing.
func (p *Pool) start(r *relay) {
	if p.running == nil {
		return
	}
	ctx, cancel := context.WithCancel(p.running.ctx)
	r.cancel = cancel
	h := p.running.handler
	p.running.relays.Go(func() {
		defer cancel()
		r.run(ctx, h)
		p.changing.Lock()
		defer p.changing.Unlock()
		p.forget(r.Name)
	})
}

// forget removes the metrics of a relay that is not in the setup any more. Under changing.
func (p *Pool) forget(name string) {
	if !slices.ContainsFunc(p.setup.Load().relays, func(r *relay) bool { return r.Name == name }) {
		p.metrics.forget(name)
	}
}

// stop drains a relay that is not in the setup any more. Under changing.
func (p *Pool) stop(r *relay) {
	if r.cancel != nil {
		r.cancel()
	}
	if p.running == nil {
		p.forget(r.Name)
	}
	p.log.Info("relay removed, or changed", "relay", r.Name)
}
