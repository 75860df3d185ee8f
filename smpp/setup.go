package smpp

import (
	"context"
	"crypto/tls"
	"reflect"
	"slices"
	"sync"
	"time"

	"straks/internal/faults"
	"straks/internal/handover"
	"straks/internal/pemfile"
)

// setup is a configuration in use. It does not change.
type setup struct {
	smscs     []*smsc // in the configuration's order
	routes    []*route
	drainTime time.Duration
}

func (g *Gateway) smscs() []*smsc { return g.setup.Load().smscs }

// tlsConfig returns the settings of TLS for the next session; nil where TLS is off.
func (s *smsc) tlsConfig() *tls.Config { return s.TLS.config(s.certificates) }

// newSetup makes the SMSCs and routes of a configuration that was checked and has its defaults. SMSCs of the old
// setup whose configuration is the same are used again, with their binds.
func (g *Gateway) newSetup(c Config, old *setup) (*setup, error) {
	now := &setup{drainTime: c.DrainTime}
	byName := make(map[string]*smsc)
	l := faults.New()
	for i, conf := range c.SMSCs {
		at := slices.IndexFunc(old.smscs, func(s *smsc) bool { return reflect.DeepEqual(s.SMSC, conf) })
		var s *smsc
		if at >= 0 {
			s = old.smscs[at]
		} else {
			s = g.newSMSC(conf, conf.TLS.files(l.At("smsc", i).In("tls")))
		}
		now.smscs = append(now.smscs, s)
		byName[s.Name] = s
	}
	if err := l.All().Err(); err != nil {
		return nil, err
	}
	for _, conf := range c.Routes {
		r := &route{Route: conf}
		for _, name := range conf.SMSCs {
			r.smscs = append(r.smscs, byName[name])
			r.window += byName[name].Binds * byName[name].Window
		}
		now.routes = append(now.routes, r)
	}
	return now, nil
}

func (g *Gateway) newSMSC(c SMSC, certificates *pemfile.Files) *smsc {
	if certificates != nil {
		certificates.Report = func(err error) {
			g.log.Warn("certificate files have changed and can't be used; the previous ones stay in use", "smsc", c.Name, "err", err)
		}
	}
	return newSMSC(c, certificates, g.metrics)
}

// Reconfigure puts a configuration in the place of the one in use, which stays where the error is not nil: see
// Config.Check. SMSCs that did not change keep their binds. One that is gone gets no further message, and is unbound
// when the responses that are due have come, or after DrainTime. One that has changed is unbound likewise, and then bound
// again. A message that waits for an SMSC that is gone takes its new route.
func (g *Gateway) Reconfigure(c Config) error {
	if err := c.Check().Err(); err != nil {
		return err
	}
	g.changing.Lock()
	defer g.changing.Unlock()
	old := g.setup.Load()
	now, err := g.newSetup(c.WithDefaults(), old)
	if err != nil {
		return err
	}
	g.setup.Store(now)
	for _, s := range now.smscs {
		if !slices.Contains(old.smscs, s) {
			g.start(s, old.named(s.Name))
		}
	}
	for _, s := range old.smscs {
		if !slices.Contains(now.smscs, s) {
			g.slots.pause(s, true)
			s.control.retire()
			g.log.Info("SMSC removed, or changed", "smsc", s.Name)
			if g.running == nil {
				g.forget(s.Name)
			}
		}
	}
	return nil
}

// forget removes the metrics of an SMSC that is not in the setup any more. Under changing.
func (g *Gateway) forget(name string) {
	if g.setup.Load().named(name) == nil {
		g.metrics.forget(name)
	}
}

// named returns the SMSC of that name, nil if there is none.
func (s *setup) named(name string) *smsc {
	if i := slices.IndexFunc(s.smscs, func(c *smsc) bool { return c.Name == name }); i >= 0 {
		return s.smscs[i]
	}
	return nil
}

// work is what a gateway that runs has.
type work struct {
	ctx     context.Context
	stop    context.CancelFunc
	handler Handler
	smscs   sync.WaitGroup
}

func (g *Gateway) begin(h Handler) {
	g.changing.Lock()
	defer g.changing.Unlock()
	ctx, stop := context.WithCancel(context.Background())
	g.running = &work{ctx: ctx, stop: stop, handler: h}
	for _, s := range g.smscs() {
		g.start(s, nil)
	}
}

// end lets no more messages in, and waits until every bind was unbound.
func (g *Gateway) end() {
	g.changing.Lock()
	ran := g.running
	g.running = nil
	g.changing.Unlock()
	ran.stop()
	g.slots.close(g.smscs())
	ran.smscs.Wait()
}

// start keeps the binds of an SMSC, if the gateway runs. Where it takes the place of another that has the same name,
// that comes when none of the other's binds is kept: the account may not allow both. Under changing.
func (g *Gateway) start(s, before *smsc) {
	ran := g.running
	if ran == nil {
		return
	}
	ran.smscs.Go(func() {
		defer close(s.gone)
		if before != nil {
			select {
			case <-before.gone:
			case <-ran.ctx.Done():
			}
		}
		var binds sync.WaitGroup
		for _, b := range slices.Concat(s.binds, s.receivers) {
			m := newMaintainer(g, b, ran.handler)
			binds.Go(func() { m.run(ran.ctx) })
		}
		binds.Wait()
		g.changing.Lock()
		defer g.changing.Unlock()
		g.forget(s.Name)
	})
}

// moved returns a job for the message by the setup that took the place of the job's, if there is one, and the message
// surely did not leave; nil otherwise.
func (j *job) moved(ctx context.Context, r Result) *job {
	if r.Outcome != handover.NotSent || ctx.Err() != nil || j.g.setup.Load() == j.setup {
		return nil
	}
	next, faults := j.g.newJob(j.m)
	if faults != nil {
		return nil
	}
	return next
}
