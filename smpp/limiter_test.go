package smpp

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"straks/smpp/peertest"
	"straks/smpp/session"
	"straks/smpp/wire"
)

// entering has a bind enter the gate, and returns where its bindPermit will be.
func entering(t *testing.T, g *bindLimiter, b *bind) <-chan bindPermit {
	c := make(chan bindPermit, 1)
	go func() {
		if p, err := g.acquire(t.Context(), b); err == nil {
			c <- p
		}
	}()
	synctest.Wait()
	return c
}

// entered wants it to be let through without a wait.
func entered(t *testing.T, g *bindLimiter, b *bind) bindPermit {
	t.Helper()
	select {
	case p := <-entering(t, g, b):
		return p
	default:
		t.Fatal("has to wait")
		panic("not reached")
	}
}

// opened returns a gate with a bind that is up.
func opened(t *testing.T) (g *bindLimiter, up *bind) {
	t.Helper()
	first := newBindLimiter(time.Minute)
	g, up = &first, new(bind)
	p := entered(t, g, up)
	g.accepted(up)
	g.release(p)
	return g, up
}

func TestBindLimiterAfterRefusals(t *testing.T) {
	g, b := newBindLimiter(time.Minute), new(bind)
	for i, base := range []time.Duration{1, 2, 4, 8, 16, 16} {
		if d, _ := g.refused(bindPermit{bind: b}, epoch); d < base*time.Minute*2/3 || d > base*time.Minute*4/3+time.Second {
			t.Errorf("refusal %d: %v", i, d)
		}
	}
	g.accepted(b)
	g.lost()
	if d, _ := g.refused(bindPermit{bind: b, open: true}, epoch); d > 2*time.Minute {
		t.Errorf("%v after a bind that was let in", d)
	}
}

func TestBindLimiterOpensForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newBindLimiter(time.Minute)
		first := entered(t, &g, new(bind))
		var others []<-chan bindPermit
		for range 5 {
			others = append(others, entering(t, &g, new(bind)))
		}
		g.accepted(first.bind)
		for _, c := range others { // none waits for another
			<-c
		}
		g.release(first)
	})
}

// One bind is refused, the others lose their sessions: they try at once.
func TestARefusedBindKeepsNoOtherOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, up := opened(t)
		odd := new(bind)
		for range 10 {
			p := <-entering(t, g, odd)
			g.refused(p, time.Now())
			g.release(p)
		}
		entering(t, g, odd) // waits for a quarter of an hour
		g.lost()
		g.release(entered(t, g, up))
		g.release(entered(t, g, new(bind)))
	})
}

// The others are lost while a bind is being refused: that it was refused beside them counts.
func TestRefusedBesideABindThatIsLostNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, up := opened(t)
		p := entered(t, g, new(bind))
		g.lost()
		if _, alone := g.refused(p, time.Now()); !alone {
			t.Error("it shut the gate")
		}
		g.release(p)
		g.release(entered(t, g, up))
	})
}

// A bind that was begun before another was refused is let in: who waits behind that
// refusal waits no longer.
func TestALateWelcomeOpensTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, up := opened(t)
		g.lost()
		refused, welcome := entered(t, g, up), entered(t, g, new(bind))
		g.refused(refused, time.Now())
		g.release(refused)
		start := time.Now()
		one, two := entering(t, g, up), entering(t, g, new(bind))
		g.accepted(welcome.bind)
		<-one
		<-two
		if d := time.Since(start); d != 0 {
			t.Errorf("they wait for %v", d)
		}
	})
}

// Binds that are refused at the same moment are refused once.
func TestRefusedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := opened(t)
		g.lost()
		passes := make([]bindPermit, 6)
		for i := range passes {
			passes[i] = entered(t, g, new(bind))
		}
		for _, p := range passes {
			g.refused(p, time.Now())
			g.release(p)
		}
		start := time.Now()
		<-entering(t, g, new(bind))
		if d := time.Since(start); d < 40*time.Second || d > 80*time.Second {
			t.Errorf("nobody tries for %v, want about a minute", d)
		}
	})
}

// attempts counts how often a wrong password is tried by so many binds.
func attempts(t *testing.T, g *bindLimiter, binds int, d time.Duration) (n int32) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var tried atomic.Int32
	var running sync.WaitGroup
	for range binds {
		running.Go(func() {
			b := new(bind)
			for {
				p, err := g.acquire(ctx, b)
				if err != nil {
					return
				}
				tried.Add(1)
				g.refused(p, time.Now())
				g.release(p)
			}
		})
	}
	running.Wait()
	return tried.Load()
}

// Many binds with a wrong password are one attempt at a time, not many. Where the account was
// bound before, each finds out for itself; beside a bind that is up they try one a minute.
func TestAWrongPasswordIsTriedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newBindLimiter(time.Minute)
		if n := attempts(t, &g, 10, 30*time.Second); n != 1 {
			t.Errorf("%d attempts in 30 s", n)
		}
		if n := attempts(t, &g, 10, time.Hour); n > 10 {
			t.Errorf("%d attempts in an hour", n)
		}
		known, _ := opened(t)
		known.lost()
		if n := attempts(t, known, 10, time.Hour); n > 10+10 {
			t.Errorf("%d attempts in an hour on an account that was bound", n)
		}
		known, _ = opened(t)
		if n := attempts(t, known, 10, time.Hour); n > 10+90 {
			t.Errorf("%d attempts in an hour beside a bind that is up", n)
		}
	})
}

// ESME_RBINDFAIL may mean a wrong password, until the account was bound.
func TestBindFailIsNoWordOnCredentialsOnceBound(t *testing.T) {
	fresh := newBindLimiter(time.Minute)
	proven := newBindLimiter(time.Minute)
	proven.accepted(new(bind))
	proven.lost()
	for _, c := range []struct {
		g      *bindLimiter
		status wire.Status
		want   bool
	}{
		{&fresh, wire.ESMEBindFail, true}, {&fresh, wire.ESMEInvPaswd, true}, {&fresh, wire.ESMEAlyBnd, false},
		{&proven, wire.ESMEBindFail, false}, {&proven, wire.ESMEInvPaswd, true}, {&proven, wire.ESMEInvSysID, true},
	} {
		if got := c.g.credentials(&session.BindError{Status: c.status}); got != c.want {
			t.Errorf("%v, bound before %v: %v", c.status, c.g.proven, got)
		}
	}
}

// narrow is an SMSC that takes one bind at a time and refuses what is more.
type narrow struct {
	mu      sync.Mutex
	status  wire.Status // of a refusal
	bound   net.Conn
	refused int
}

func (n *narrow) serve(p *peertest.Peer) {
	defer p.Conn.Close()
	defer n.left(p.Conn)
	for {
		f, err := p.Frames.Next()
		if err != nil {
			return
		}
		if f.ID != wire.BindTransceiver {
			p.Tell(f.ID.Response(), wire.ESMEOK, f.Sequence, nil)
		} else if status := n.take(p.Conn); status != wire.ESMEOK {
			p.Tell(wire.BindTransceiverResp, status, f.Sequence, nil)
		} else {
			p.Tell(wire.BindTransceiverResp, status, f.Sequence, &wire.BindResp{SystemID: "narrow"})
		}
	}
}

func (n *narrow) take(c net.Conn) wire.Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.bound != nil {
		n.refused++
		return n.status
	}
	n.bound = c
	return wire.ESMEOK
}

func (n *narrow) left(c net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.bound == c {
		n.bound = nil
	}
}

// The carrier allows one bind, two are configured. When the good one is lost, it is
// bound again at once, however long the other is to wait.
func TestOneBindTooMany(t *testing.T) {
	for _, status := range []wire.Status{wire.ESMEBindFail, wire.ESMEInvSysID} {
		t.Run(status.String(), func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			n := &narrow{status: status}
			go func() {
				for c, err := l.Accept(); !errors.Is(err, net.ErrClosed); c, err = l.Accept() {
					go n.serve(peertest.New(t, c))
				}
			}()
			g := run(t, Config{SMSCs: []SMSC{{Name: "telco", Addr: l.Addr().String(), SystemID: "s", Binds: 2, RefusedDelay: time.Hour}}})
			peertest.Eventually(t, "none is refused", func() bool { n.mu.Lock(); defer n.mu.Unlock(); return n.refused > 0 })
			n.mu.Lock()
			n.bound.Close()
			n.mu.Unlock()
			peertest.Eventually(t, "it is not bound again", func() bool {
				var binds uint64
				for _, b := range g.States() {
					binds += b.Binds
				}
				return binds == 2 && g.Ready() == nil
			})
		})
	}
}
