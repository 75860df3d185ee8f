package smtp

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"straks/internal/eventually"
	"straks/internal/memnet"
	"straks/smtp/relaytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds each call of a test; no test waits until it passes.
const patience = 2 * time.Minute

// memory is the network of tests in bubbles.
var memory memnet.Network

// newIn is New. In a bubble, the relays are dialled in memory.
func newIn(t testing.TB, relays ...Relay) *Pool {
	t.Helper()
	p, err := New(Config{Relays: relays}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.setup.Load().relays {
		if memory.InBubble(t) {
			r.dialTCP = memory.DialContext
		}
	}
	return p
}

func listen(t testing.TB, p relaytest.Profile) *relaytest.Relay {
	t.Helper()
	addr := "127.0.0.1:0"
	if memory.InBubble(t) {
		addr, p.Listen = memory.Addr(), memory.Listen
	}
	r, err := relaytest.Listen(addr, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// plain is the configuration of a relay without TLS, with one connection while there is no mail.
func plain(name string, r *relaytest.Relay) Relay {
	return Relay{Name: name, Addr: r.Addr(), MinIdle: 1, DialTimeout: time.Minute, CommandTimeout: time.Minute}
}

func (p *Pool) relay(i int) *relay { return p.setup.Load().relays[i] }

func byHealth(p *Pool, l *letter) []*relay {
	l.relays = p.setup.Load().relays
	return l.byHealth()
}

// round has the letter try each relay of the pool once.
func round(p *Pool, ctx context.Context, l *letter) Result {
	if l.relays == nil {
		l.relays = p.setup.Load().relays
	}
	return p.round(ctx, l)
}

// newPool returns a pool that is not run: it connects when a mail is sent.
func newPool(t testing.TB, relays ...Relay) *Pool {
	t.Helper()
	return newLatePool(t, nil, relays...)
}

// newLatePool returns a pool that passes late replies on. It is not run.
func newLatePool(t testing.TB, late func(string, Result), relays ...Relay) *Pool {
	t.Helper()
	p := newIn(t, relays...)
	for _, r := range p.setup.Load().relays {
		r.handler.Late = late
	}
	stopAtEnd(t, p)
	return p
}

// stopAtEnd closes the connections of a pool that is not run, when the test ends.
func stopAtEnd(t testing.TB, p *Pool) {
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		p.Run(ctx, Handler{})
	})
}

// runPool returns a pool that runs until the test ends and is ready: the connections that
// were made at its start are idle.
func runPool(t testing.TB, relays ...Relay) *Pool {
	t.Helper()
	p := newIn(t, relays...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx, Handler{})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	inUse := func(s RelayState) bool { return s.InUse > 0 }
	eventually.True(t, "the pool to be ready", func() bool { return p.Ready() == nil && !slices.ContainsFunc(p.States(), inUse) })
	return p
}

// dialogue is the profile of a relay that is wrong in a few replies.
func dialogue(replies ...relaytest.Reply) relaytest.Profile {
	return relaytest.Profile{Script: relaytest.Dialogue(replies...)}
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func to(address string) Message {
	return Message{
		ID: "0d4f1b3a-8f5c-7c1e-9a54-5a8f3c3ad9f1", From: "varsel@avsender.example", To: address, Envelope: Envelope{ReturnPath: "b+1@retur.example"},
		Subject: "Din kode", Body: "Koden er 483920",
	}
}

func mustLetter(t testing.TB, address string) *letter {
	t.Helper()
	l, err := newLetter(to(address), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return l
}
