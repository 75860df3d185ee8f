package smpp

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/faults"
	"straks/internal/silence"
	"straks/smpp/session"
	"straks/smpp/wire"
)

// Gateway keeps the binds and hands messages over. All methods are safe for
// concurrent use.
type Gateway struct {
	smscs     []*smsc
	routes    []*route
	drainTime time.Duration
	log       *slog.Logger
	slots     slots
	refs      atomic.Uint32 // last concatenation reference; the first is random
}

// Delivery is a deliver_sm or data_sm from an SMSC.
type Delivery = session.Delivery

// Handler receives what the SMSCs send by themselves. Both functions are required. They
// are called from reading goroutines and must not block.
type Handler struct {
	// Deliver receives a receipt or an inbound message. Respond must be called on
	// it once it is stored, or could not be.
	Deliver func(smsc string, d *Delivery)
	// Late receives a response whose Send has already returned Unknown.
	Late func(LateResponse)
}

// New returns a Gateway that binds once Run is called. The error lists every
// fault of the configuration; see Config.Check.
func New(c Config, log *slog.Logger, reg prometheus.Registerer) (*Gateway, error) {
	if err := c.Check().Err(); err != nil {
		return nil, err
	}
	c = c.WithDefaults()
	secrets, err := c.tlsConfigs()
	if err != nil {
		return nil, err
	}
	g := &Gateway{drainTime: c.DrainTime, log: log}
	g.refs.Store(rand.Uint32())
	m := newMetrics(reg)
	byName := make(map[string]*smsc)
	for i, conf := range c.SMSCs {
		s := newSMSC(conf, secrets[i], m)
		g.smscs = append(g.smscs, s)
		byName[s.Name] = s
	}
	for _, conf := range c.Routes {
		r := &route{Route: conf}
		for _, name := range conf.SMSCs {
			r.smscs = append(r.smscs, byName[name])
			r.window += byName[name].Binds * byName[name].Window
		}
		g.routes = append(g.routes, r)
	}
	reg.MustRegister(stateMetrics{g})
	return g, nil
}

// tlsConfigs reads the files of every SMSC.
func (c *Config) tlsConfigs() ([]*tls.Config, error) {
	var all []*tls.Config
	l := faults.New()
	for i := range c.SMSCs {
		all = append(all, c.SMSCs[i].TLS.config(l.At("smsc", i).In("tls")))
	}
	return all, l.All().Err()
}

// Run keeps all binds up until ctx ends; h receives what the SMSCs send. Then nothing
// more is submitted, the responses still due are awaited for Config.DrainTime, deliveries
// are acknowledged until the binds are unbound, and Run returns nil when all of its
// goroutines have ended. It may be called once.
func (g *Gateway) Run(ctx context.Context, h Handler) error {
	if h.Deliver == nil || h.Late == nil {
		return errors.New("smpp: Handler needs both functions")
	}
	var binds sync.WaitGroup
	for _, c := range g.smscs {
		for _, b := range slices.Concat(c.binds, c.receivers) {
			m := newMaintainer(g, b, h)
			binds.Go(func() { m.run(ctx) })
		}
	}
	g.watch(ctx)
	g.slots.close(g.smscs)
	binds.Wait()
	return nil
}

// Lane returns the name of the route that the message would take, and how many submits
// all binds of that route may have unanswered together, whether they are up or not. A
// message without a route has the lane "" with a window of 1: Send refuses it at once.
func (g *Gateway) Lane(m Message) (name string, window int) {
	r := g.routeOf(&m)
	if r == nil {
		return "", 1
	}
	return r.Name, r.window
}

// singlePart is a length of text, in octets of UTF-8, that one part holds in any encoding: UCS-2 holds 70
// units, at most one for each octet, and GSM 03.38 160 septets, at most two for each.
const singlePart = 70

// Parts returns the most parts that the message can have at an SMSC of its route: a message
// whose parts at the SMSC are not known has no more. It is 1 where Send refuses the message.
func (g *Gateway) Parts(m Message) int {
	if len(m.Text) <= singlePart {
		return 1
	}
	r := g.routeOf(&m)
	if r == nil {
		return 1
	}
	most := 1
	for _, c := range r.smscs {
		b := &build{}
		if b.fill(c, m.Text) == nil {
			most = max(most, len(b.parts))
		}
	}
	return most
}

// Check returns everything that keeps the message from ever being sent, so that
// it can be refused before it is stored. Nil means that some SMSC of its
// route can carry it.
func (g *Gateway) Check(m Message) []Fault {
	r := g.routeOf(&m)
	if r == nil {
		return noRoute
	}
	var first []Fault
	for _, c := range r.smscs {
		_, faults := c.build(&m, r.senderFor(&m, c), 0)
		if len(faults) == 0 {
			return nil
		}
		if first == nil {
			first = faults
		}
	}
	return first
}

var noRoute = []Fault{{FieldRecipient, "no route leads to this number"}}

// smsc is an SMSC with its binds.
type smsc struct {
	SMSC
	tls          *tls.Config                 // nil for none
	dispositions map[wire.Status]Disposition // overrides
	binds        []*bind                     // that submit
	receivers    []*bind                     // that only receive
	limiter      bindLimiter
	control      control
	paused       bool            // under slots.mu: no message may start on it
	pausedAt     time.Time       // likewise: since when, while it is
	queue        list.List       // of *waiter, under slots.mu
	silence      silence.Tracker // likewise
	downSince    time.Time       // likewise: when the last bind was lost; of use while none is up
	metrics      *smscMetrics
}

// newSMSC makes an SMSC of a configuration that was checked.
func newSMSC(c SMSC, secret *tls.Config, m *metrics) *smsc {
	s := &smsc{SMSC: c, tls: secret, limiter: newBindLimiter(c.RefusedDelay), control: newControl(), dispositions: make(map[wire.Status]Disposition),
		silence: silence.New(leastSilence(&c)), downSince: time.Now(), metrics: m.of(c.Name)}
	for key, value := range c.Status {
		status, _ := ParseStatus(key)
		s.dispositions[status], _ = ParseDisposition(value)
	}
	for i := range c.Binds {
		name := fmt.Sprintf("%s/%d", c.Name, i+1)
		if c.Mode == ModeTransceiver {
			s.binds = append(s.binds, newBind(s, name, session.Transceiver, i))
			continue
		}
		s.binds = append(s.binds, newBind(s, name+"t", session.Transmitter, i))
		s.receivers = append(s.receivers, newBind(s, name+"r", session.Receiver, i))
	}
	return s
}

// classify returns what a status from this SMSC means.
func (s *smsc) classify(status wire.Status) Disposition {
	if d, ok := s.dispositions[status]; ok && status != wire.ESMEOK {
		return d
	}
	return DefaultDisposition(status)
}

// others returns the binds of the SMSC except one: those to avoid when it must be that one.
func (s *smsc) others(except *bind) []*bind {
	return slices.DeleteFunc(slices.Clone(s.binds), func(b *bind) bool { return b == except })
}
