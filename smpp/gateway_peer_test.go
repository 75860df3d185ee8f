package smpp

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/internal/memnet"
	"straks/smpp/peertest"
	"straks/smpp/session"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

const number = "+4799999999"

// memory is the network of tests in bubbles.
var memory memnet.Network

// centre starts a simulated SMSC.
func centre(t *testing.T, p smsctest.Profile) *smsctest.SMSC {
	t.Helper()
	addr := "127.0.0.1:0"
	if memory.InBubble(t) {
		addr, p.Listen = memory.Addr(), memory.Listen
	}
	s, err := smsctest.Listen(addr, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// listen is peertest.Listen, in memory in a bubble.
func listen(t *testing.T) (addr string, accept func() net.Conn) {
	t.Helper()
	if !memory.InBubble(t) {
		return peertest.Listen(t)
	}
	l, err := memory.Listen(memory.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String(), func() net.Conn {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
			return nil
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

// account is the configuration of an SMSC for tests.
func account(name string, s *smsctest.SMSC) SMSC {
	return SMSC{Name: name, Addr: s.Addr(), SystemID: "straks", Password: "secret"}
}

// inbox records what the gateway hands to its Handler, and acknowledges deliveries.
type inbox struct {
	mu         sync.Mutex
	deliveries []string // names of SMSCs
	late       []LateResponse
}

func (b *inbox) handler() Handler {
	return Handler{
		Deliver: func(smsc string, d *Delivery) {
			b.mu.Lock()
			b.deliveries = append(b.deliveries, smsc)
			b.mu.Unlock()
			d.Respond(wire.ESMEOK)
		},
		Late: func(l LateResponse) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.late = append(b.late, l)
		},
	}
}

func (b *inbox) lates() []LateResponse {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]LateResponse(nil), b.late...)
}

// running is a gateway that runs until the test's end, or until stop.
type running struct {
	*Gateway
	inbox
	reg  *prometheus.Registry
	stop func()
}

func run(t *testing.T, c Config) *running {
	t.Helper()
	r := &running{reg: prometheus.NewRegistry()}
	g, err := New(c, slog.New(slog.DiscardHandler), r.reg)
	if err != nil {
		t.Fatal(err)
	}
	r.Gateway = g
	if memory.InBubble(t) {
		g.dial = memory.DialContext
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx, r.handler()) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := peertest.Wait(t, ended); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// allUp waits until every bind is bound.
func (r *running) allUp(t *testing.T) *running {
	t.Helper()
	eventually.True(t, "every bind to be up", func() bool {
		for _, b := range r.States() {
			if b.State != StateBound {
				return false
			}
		}
		return true
	})
	return r
}

// send sends a text with five minutes to live, for at most d.
func (r *running) send(text string, d time.Duration) Result {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return r.Send(ctx, Message{ID: "m1", Organisation: "ttd", To: number, From: "Straks", Text: text, Expires: time.Now().Add(5 * time.Minute)})
}

// idle waits until no slot is in use and no token is promised.
func (r *running) idle(t *testing.T) {
	t.Helper()
	eventually.True(t, "all slots to be released", func() bool {
		for _, b := range r.States() {
			if b.InFlight != 0 {
				return false
			}
		}
		for _, n := range r.slots.queued(r.smscs()) {
			if n != 0 {
				return false
			}
		}
		return true
	})
	for _, c := range r.smscs() {
		for _, b := range c.binds {
			b.pacer.idle(t)
		}
	}
}

// value returns the value of a metric. labels are name, value, name, value …
func (r *running) value(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			have := map[string]string{}
			for _, l := range m.GetLabel() {
				have[l.GetName()] = l.GetValue()
			}
			ok := f.GetName() == name
			for i := 0; i < len(labels); i += 2 {
				ok = ok && have[labels[i]] == labels[i+1]
			}
			if ok {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	t.Fatalf("no metric %s%q", name, labels)
	return 0
}

func wantOutcome(t *testing.T, r Result, want handover.Outcome) {
	t.Helper()
	if r.Outcome != want {
		t.Fatalf("outcome %v, want %v: %+v", r.Outcome, want, r)
	}
}

// boundInMemory binds a session to a peer over memory, for a bubble.
func boundInMemory(t *testing.T, size int) (*session.Session, *peertest.Peer) {
	t.Helper()
	ours, theirs := memnet.Pipe(size)
	p := peertest.New(t, theirs)
	go p.AcceptBind()
	s, err := session.Bind(t.Context(), ours, session.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}
