package smpp

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/pemfile"
	"straks/internal/silence"
	"straks/smpp/session"
	"straks/smpp/wire"
)

// Gateway keeps the binds and hands messages over. All methods are safe for
// concurrent use.
type Gateway struct {
	setup   atomic.Pointer[setup]
	allow   func() error                                                      // nil: everything is allowed
	dial    func(ctx context.Context, network, addr string) (net.Conn, error) // nil: a net.Dialer; for tests
	shared  BindSlots                                                         // nil: every bind is ours
	metrics *metrics
	log     *slog.Logger
	slots   slots
	refs    atomic.Uint32 // last concatenation reference; the first is random

	changing sync.Mutex // held while the setup changes
	running  *work      // nil before and after Run
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
	g := &Gateway{allow: c.Allow, shared: c.Slots, metrics: newMetrics(reg), log: log}
	g.refs.Store(rand.Uint32())
	now, err := g.newSetup(c.WithDefaults(), new(setup))
	if err != nil {
		return nil, err
	}
	g.setup.Store(now)
	reg.MustRegister(stateMetrics{g})
	return g, nil
}

// Run keeps all binds up until ctx ends; h receives what the SMSCs send. Then nothing
// more is submitted, the responses still due are awaited for Config.DrainTime, deliveries
// are acknowledged until the binds are unbound, and Run returns nil when all of its
// goroutines have ended. It may be called once.
func (g *Gateway) Run(ctx context.Context, h Handler) error {
	if h.Deliver == nil || h.Late == nil {
		return errors.New("smpp: Handler needs both functions")
	}
	g.begin(h)
	g.watch(ctx)
	g.end()
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

// Size is how long a message is at one SMSC.
type Size struct {
	SMSC     string
	Parts    int // submits; a message whose parts at the SMSC are not known has no more
	Segments int // short messages that the phone gets; more than Parts for a message_payload
}

// Sizes calls visit with the size of the message at each SMSC of its route that can carry its text.
func (g *Gateway) Sizes(m Message, visit func(Size)) {
	r := g.routeOf(&m)
	if r == nil {
		return
	}
	for _, c := range r.smscs {
		b := &build{}
		switch {
		case len(m.Text) <= singlePart:
			visit(Size{c.Name, 1, 1})
		case b.fill(c, m.Text) == nil:
			visit(Size{c.Name, len(b.parts), b.segments})
		}
	}
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
	certificates *pemfile.Files              // nil: TLS is off
	gone         chan struct{}               // closed when none of its binds is kept any more
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
func newSMSC(c SMSC, certificates *pemfile.Files, m *metrics) *smsc {
	s := &smsc{SMSC: c, certificates: certificates, gone: make(chan struct{}), limiter: newBindLimiter(c.RefusedDelay), control: newControl(), dispositions: make(map[wire.Status]Disposition),
		silence: silence.New(leastSilence(&c)), downSince: time.Now(), metrics: m.of(c.Name)}
	for key, value := range c.Status {
		status, _ := ParseStatus(key)
		s.dispositions[status], _ = ParseDisposition(value)
	}
	for i := range c.Binds {
		name := fmt.Sprintf("%s/%d", c.Name, i+1)
		share := newShare(c.Name, i)
		if c.Mode == ModeTransceiver {
			s.binds = append(s.binds, newBind(s, name, session.Transceiver, share))
			continue
		}
		s.binds = append(s.binds, newBind(s, name+"t", session.Transmitter, share))
		s.receivers = append(s.receivers, newBind(s, name+"r", session.Receiver, share))
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
