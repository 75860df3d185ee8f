package smpp

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/smpp/peertest"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

// shared is a BindSlots that hands out what the test gives it.
type shared struct {
	mu        sync.Mutex
	changed   chan struct{}
	free      map[string]bool // slots that may be acquired, like "telco/1"
	inherited bool
	held      map[string]chan struct{} // Ended of each
	released  []string
}

func newShared(free ...string) *shared {
	s := &shared{changed: make(chan struct{}), free: map[string]bool{}, held: map[string]chan struct{}{}}
	s.give(free...)
	return s
}

func (s *shared) give(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		s.free[name] = true
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// end ends a slot, which another process has then.
func (s *shared) end(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.held[name])
}

func (s *shared) releases() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.released...)
}

func (s *shared) Acquire(ctx context.Context, smsc string, n int) (BindSlot, error) {
	name := fmt.Sprintf("%s/%d", smsc, n+1)
	for {
		s.mu.Lock()
		changed := s.changed
		if s.held[name] != nil {
			panic(name + " is acquired twice")
		}
		if s.free[name] {
			ended := make(chan struct{})
			s.free[name], s.held[name] = false, ended
			slot := BindSlot{Ended: ended, Inherited: s.inherited, Release: func() { s.release(name) }}
			s.mu.Unlock()
			return slot, nil
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return BindSlot{}, ctx.Err()
		}
	}
}

func (s *shared) WhoHas(smsc string, n int) string { return fmt.Sprintf("node 7 has %s/%d", smsc, n+1) }

func (s *shared) release(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[name] == nil {
		panic(name + " is released twice")
	}
	delete(s.held, name)
	s.released = append(s.released, name)
}

func (g *running) inState(state State) (binds []string) {
	for _, b := range g.States() {
		if b.State == state {
			binds = append(binds, b.Bind)
		}
	}
	return binds
}

// TestSharedBinds: a bind is up only while its slot is ours. One that ends is drained: a message of several parts goes
// on, no other starts, and the slot is given back after the unbind.
func TestSharedBinds(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{MaxBinds: 1, Behaviour: smsctest.Behaviour{Delay: 100 * time.Millisecond}})
		c := account("telco", s)
		c.Binds, c.Window = 2, 1
		slots := newShared("telco/2")
		g := run(t, Config{SMSCs: []SMSC{c}, Slots: slots})
		eventually.True(t, "one bind of two", func() bool {
			return len(g.inState(StateBound)) == 1 && len(g.inState(StateElsewhere)) == 1
		})
		if bound := g.inState(StateBound); bound[0] != "telco/2" || g.Ready() != nil || len(s.Binds()) != 1 {
			t.Errorf("bound: %v; ready: %v; %d binds at the SMSC", bound, g.Ready(), len(s.Binds()))
		}
		if why := g.States()[0].Reason; why != "node 7 has telco/1" {
			t.Errorf("it is elsewhere: %s", why)
		}
		if n := g.value(t, "straks_smpp_bind_state", "bind", "telco/1", "state", "elsewhere"); n != 1 {
			t.Error("the metric does not show it")
		}
		long := sending(g, strings.Repeat("hei på deg ", 60), peertest.Patience)
		if _, err := s.WaitSubmits(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		waiting := sending(g, "hei", peertest.Patience)
		eventually.True(t, "a message to wait", func() bool { return g.slots.queued(g.smscs())["telco"] > 0 })
		slots.end("telco/2")
		wantOutcome(t, peertest.Wait(t, waiting), handover.NotSent)
		if r := peertest.Wait(t, long); r.Outcome != handover.Accepted || len(r.Parts) < 4 {
			t.Errorf("the message that had started: %+v", r)
		}
		eventually.True(t, "the slot to be given back", func() bool { return len(slots.releases()) == 1 && len(s.Binds()) == 0 })
		if g.Ready() == nil {
			t.Error("ready without a bind")
		}
		slots.give("telco/1")
		eventually.True(t, "the other bind", func() bool { return g.Ready() == nil })
		wantOutcome(t, g.send("hei", peertest.Patience), handover.Accepted)
		if bound := g.inState(StateBound); len(bound) != 1 || bound[0] != "telco/1" {
			t.Errorf("bound: %v", bound)
		}
		g.stop()
		if released := slots.releases(); len(released) != 2 || s.Stats().Unbinds != 2 {
			t.Errorf("released %v, %d unbinds", released, s.Stats().Unbinds)
		}
	})
}

// TestSharedSeparateBinds: transmitter and receiver are one slot.
func TestSharedSeparateBinds(t *testing.T) {
	s := centre(t, smsctest.Profile{})
	c := account("telco", s)
	c.Mode, c.Binds = ModeSeparate, 2
	slots := newShared("telco/1")
	g := run(t, Config{SMSCs: []SMSC{c}, Slots: slots})
	eventually.True(t, "both sessions of one bind", func() bool { return len(g.inState(StateBound)) == 2 && len(s.Binds()) == 2 })
	wantOutcome(t, g.send("hei", peertest.Patience), handover.Accepted)
	slots.give("telco/2")
	eventually.True(t, "all sessions", func() bool { return len(g.inState(StateBound)) == 4 })
	slots.end("telco/1")
	eventually.True(t, "the slot to be given back, once", func() bool { return len(slots.releases()) == 1 })
	eventually.True(t, "the sessions of the other to stay", func() bool { return len(g.inState(StateElsewhere)) == 2 && len(s.Binds()) == 2 })
	slots.give("telco/1")
	eventually.True(t, "all sessions again", func() bool { return len(g.inState(StateBound)) == 4 && len(s.Binds()) == 4 })
}

// TestSharedDrain: an operator who drains an SMSC gives its slots to the other processes.
func TestSharedDrain(t *testing.T) {
	s := centre(t, smsctest.Profile{})
	slots := newShared("telco/1")
	g := run(t, Config{SMSCs: []SMSC{account("telco", s)}, Slots: slots}).allUp(t)
	g.Drain("telco")
	eventually.True(t, "the slot to be given back", func() bool { return len(slots.releases()) == 1 })
	slots.give("telco/1")
	g.Resume("telco")
	g.allUp(t)
	g.Pause("telco") // which keeps the bind
	g.Resume("telco")
	wantOutcome(t, g.send("hei", peertest.Patience), handover.Accepted)
	if n := len(slots.releases()); n != 1 {
		t.Errorf("%d releases", n)
	}
	g.Drain("telco")
	eventually.True(t, "the bind to close", func() bool { return len(g.inState(StateClosed)) == 1 })
	g.Resume("telco") // there is no slot
	eventually.True(t, "the wait for a slot", func() bool { return len(g.inState(StateElsewhere)) == 1 })
	g.Drain("telco")
	eventually.True(t, "the wait to end", func() bool { return len(g.inState(StateClosed)) == 1 })
}

// TestInheritedSlot: while the SMSC counts the session of a process that has died, the bind is tried every second, and
// no password counts as refused.
func TestInheritedSlot(t *testing.T) {
	for _, status := range []wire.Status{wire.ESMEAlyBnd, wire.ESMEBindFail} {
		t.Run(status.String(), func(t *testing.T) {
			memory.Bubble(t, func(t *testing.T) {
				s := centre(t, smsctest.Profile{MaxBinds: 1, BindsFull: status})
				before := run(t, Config{SMSCs: []SMSC{account("telco", s)}}).allUp(t)
				c := account("telco", s)
				c.RefusedDelay, c.ReconnectMax = time.Hour, time.Hour
				slots := newShared("telco/1")
				slots.inherited = true
				g := run(t, Config{SMSCs: []SMSC{c}, Slots: slots})
				eventually.True(t, "three attempts", func() bool { return s.Stats().BindsRefused >= 3 })
				if taking := g.inState(StateTakingOver); len(taking) != 1 {
					t.Errorf("%+v", g.States())
				}
				if g.smscs()[0].limiter.refusals != 0 {
					t.Error("it counts as a refused password")
				}
				before.stop()
				g.allUp(t)
				wantOutcome(t, g.send("hei", peertest.Patience), handover.Accepted)
			})
		})
	}
}

// TestInheritedPassword: a wrong password is one, inherited slot or not.
func TestInheritedPassword(t *testing.T) {
	s := centre(t, smsctest.Profile{Accounts: map[string]string{"straks": "another"}})
	c := account("telco", s)
	c.RefusedDelay = time.Hour
	slots := newShared("telco/1")
	slots.inherited = true
	g := run(t, Config{SMSCs: []SMSC{c}, Slots: slots})
	eventually.True(t, "the refusal", func() bool { return len(g.inState(StateRefused)) == 1 })
	slots.end("telco/1") // also while it waits for an hour
	eventually.True(t, "the slot to be given back", func() bool { return len(slots.releases()) == 1 })
}

// TestNoAlarmElsewhere: what alarms about binds has no series for one that another process has.
func TestNoAlarmElsewhere(t *testing.T) {
	s := centre(t, smsctest.Profile{})
	var log bytes.Buffer
	reg := prometheus.NewRegistry()
	g, err := New(Config{SMSCs: []SMSC{account("telco", s)}, Slots: newShared()}, slog.New(slog.NewTextHandler(&log, nil)), reg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx, new(inbox).handler()) }()
	eventually.True(t, "the wait for a slot", func() bool { return g.States()[0].State == StateElsewhere })
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "straks_smpp_bind_up" {
			t.Errorf("%v", f)
		}
	}
	eventually.True(t, "the reason", func() bool {
		err := g.Ready()
		return err != nil && strings.Contains(err.Error(), "telco/1 is elsewhere: node 7 has telco/1")
	})
	cancel()
	if err := peertest.Wait(t, ended); err != nil || strings.Contains(log.String(), "WARN") {
		t.Errorf("%v: %s", err, log.String())
	}
}

// TestUnreachedSlot: a bind whose SMSC can't be reached from here is left to the other processes, and one that is
// refused is not.
func TestUnreachedSlot(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{})
		c := account("telco", s)
		c.EnquireLink, c.DeadLink = 50*time.Millisecond, 100*time.Millisecond
		s.Down()
		slots := newShared("telco/1")
		g := run(t, Config{SMSCs: []SMSC{c}, Slots: slots})
		eventually.True(t, "the slot to be given back", func() bool { return len(slots.releases()) == 1 })
		if err := s.Up(); err != nil {
			t.Fatal(err)
		}
		slots.give("telco/1")
		g.allUp(t)
		wantOutcome(t, g.send("hei", peertest.Patience), handover.Accepted)
		if n := len(slots.releases()); n != 1 {
			t.Errorf("%d releases", n)
		}
	})
}
