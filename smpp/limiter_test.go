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

	"straks/internal/eventually"
	"straks/smpp/peertest"
	"straks/smpp/session"
	"straks/smpp/wire"
)

// acquiring acquires a permit for a bind, and returns a channel for it.
func acquiring(t *testing.T, g *bindLimiter, b *bind) <-chan bindPermit {
	c := make(chan bindPermit, 1)
	go func() {
		if p, err := g.acquire(t.Context(), b); err == nil {
			c <- p
		}
	}()
	synctest.Wait()
	return c
}

// acquired acquires a permit, which must need no wait.
func acquired(t *testing.T, g *bindLimiter, b *bind) bindPermit {
	t.Helper()
	select {
	case p := <-acquiring(t, g, b):
		return p
	default:
		t.Fatal("has to wait")
		panic("not reached")
	}
}

// opened returns an open limiter, with a bind that is up.
func opened(t *testing.T) (g *bindLimiter, up *bind) {
	t.Helper()
	first := newBindLimiter(time.Minute)
	g, up = &first, new(bind)
	p := acquired(t, g, up)
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
		t.Errorf("%v after an accepted bind", d)
	}
}

func TestBindLimiterOpensForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newBindLimiter(time.Minute)
		first := acquired(t, &g, new(bind))
		var others []<-chan bindPermit
		for range 5 {
			others = append(others, acquiring(t, &g, new(bind)))
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
			p := <-acquiring(t, g, odd)
			g.refused(p, time.Now())
			g.release(p)
		}
		acquiring(t, g, odd) // waits for a quarter of an hour
		g.lost()
		g.release(acquired(t, g, up))
		g.release(acquired(t, g, new(bind)))
	})
}

// The other binds are lost while one is being refused: it counts as refused beside them.
func TestRefusedBesideABindThatIsLostNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, up := opened(t)
		p := acquired(t, g, new(bind))
		g.lost()
		if _, alone := g.refused(p, time.Now()); !alone {
			t.Error("the limiter is closed")
		}
		g.release(p)
		g.release(acquired(t, g, up))
	})
}

// A bind that was tried before another was refused is accepted: the binds that wait because
// of that refusal wait no longer.
func TestALateAcceptanceOpensTheLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, up := opened(t)
		g.lost()
		refused, late := acquired(t, g, up), acquired(t, g, new(bind))
		g.refused(refused, time.Now())
		g.release(refused)
		start := time.Now()
		one, two := acquiring(t, g, up), acquiring(t, g, new(bind))
		g.accepted(late.bind)
		<-one
		<-two
		if d := time.Since(start); d != 0 {
			t.Errorf("they wait for %v", d)
		}
	})
}

// Binds that are refused at the same moment count as one refusal.
func TestRefusedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := opened(t)
		g.lost()
		passes := make([]bindPermit, 6)
		for i := range passes {
			passes[i] = acquired(t, g, new(bind))
		}
		for _, p := range passes {
			g.refused(p, time.Now())
			g.release(p)
		}
		start := time.Now()
		<-acquiring(t, g, new(bind))
		if d := time.Since(start); d < 40*time.Second || d > 80*time.Second {
			t.Errorf("no bind tries for %v, want about a minute", d)
		}
	})
}

// attempts counts how often the given number of binds try a wrong password in d.
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

// Many binds with a wrong password make one attempt at a time. Where the account was
// bound before, each makes one of its own. Beside a bind that is up they make one a minute.
func TestAWrongPasswordIsTriedRarely(t *testing.T) {
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
func TestBindFailIsNotAboutCredentialsOnceBound(t *testing.T) {
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

// narrow is an SMSC that accepts one bind at a time and refuses any other.
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

// The carrier allows one bind, two are configured. When the accepted one is lost, it is
// bound again at once, however long the refused one must wait.
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
			eventually.True(t, "a bind to be refused", func() bool { n.mu.Lock(); defer n.mu.Unlock(); return n.refused > 0 })
			n.mu.Lock()
			n.bound.Close()
			n.mu.Unlock()
			eventually.True(t, "the bind to be bound again", func() bool {
				var binds uint64
				for _, b := range g.States() {
					binds += b.Binds
				}
				return binds == 2 && g.Ready() == nil
			})
		})
	}
}
