package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"straks/internal/faultproxy"
	"straks/internal/nodes"
	"straks/internal/pgcluster"
	"straks/smpp/smsctest"
)

// front is two nodes over three servers, with a network in between that can be cut at node A.
type front struct {
	*testing.T
	*nodes.World
	servers    []*faultproxy.Proxy // A to each database server
	smsc, peer *faultproxy.Proxy   // A to the SMSC, others to A
	pause      time.Duration       // how long a fault lasts
}

// newFront makes one whose nodes run. binds is how many the SMSC's account has.
func newFront(t *testing.T, db *pgcluster.Cluster, binds int) *front {
	t.Helper()
	f := &front{T: t, pause: 4 * time.Second}
	if *longCluster {
		f.pause = 15 * time.Second
	}
	listen := func(network, target string) *faultproxy.Proxy {
		p, err := faultproxy.Listen(network, target)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		return p
	}
	var ports []string
	for _, s := range db.Servers {
		p := listen("unix", s.Socket())
		_, port, _ := strings.Cut(p.Addr(), ":")
		f.servers, ports = append(f.servers, p), append(ports, port)
	}
	smsc := smsctest.Profile{Retry: 100 * time.Millisecond, AckTimeout: 2 * time.Second, MaxBinds: binds, DeadAfter: f.pause / 3}
	smsc.Jitter, smsc.Receipt.Delay, smsc.Receipt.Jitter = 20*time.Millisecond, 10*time.Millisecond, 100*time.Millisecond
	var err error
	f.World, err = nodes.New(t.Context(), nodes.Options{Program: asNode, Database: db, SMSC: smsc, Binds: binds, Lease: 2 * time.Second,
		Account: fmt.Sprintf("enquire_link = %q\ndead_link = %q", f.pause/15, f.pause/5),
		DSN: func(id int, dsn string) string {
			if id != 1 {
				return dsn
			}
			return db.DSNAt("straks", strings.TrimSuffix(strings.Repeat("127.0.0.1,", len(ports)), ","), strings.Join(ports, ","))
		},
		Carrier: func(id int, addr string) string {
			if id != 1 {
				return addr
			}
			f.smsc = listen("tcp", addr)
			return f.smsc.Addr()
		},
		Peer: func(id int, addr string) string {
			if id != 1 {
				return addr
			}
			f.peer = listen("tcp", addr)
			return f.peer.Addr()
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, n := range f.Nodes {
				t.Logf("node %s:\n%s", n.Name, n.Log())
			}
		}
	})
	must(t, f.StartAll(t.Context()))
	return f
}

func (f *front) a() *nodes.Node { return f.Nodes[0] }
func (f *front) b() *nodes.Node { return f.Nodes[1] }

// wait lets a fault last.
func (f *front) wait() { time.Sleep(f.pause) }

// database calls do for each way from A to a database server.
func (f *front) database(do func(*faultproxy.Proxy)) {
	for _, p := range f.servers {
		do(p)
	}
}

// restart starts a node that was killed.
func (f *front) restart(n *nodes.Node) {
	must(f.T, n.Start(f.Context()))
	must(f.T, n.AwaitReady(f.Context()))
}

// failover has a standby promoted while the primary is down or frozen, and the old one follow it then.
func (f *front) failover(fault func(*pgcluster.Server)) {
	old := f.DB.Primary
	fault(old)
	time.Sleep(f.pause / 4)
	must(f.T, f.DB.Failover(f.Context()))
	f.wait()
	old.Thaw() // it wakes before its supervisor has looked
	time.Sleep(200 * time.Millisecond)
	must(f.T, f.DB.Fence(f.Context(), old))
	must(f.T, f.DB.AwaitStandbys(f.Context(), 2))
}

// standby hits a standby, and brings it back.
func (f *front) standby(fault func(*pgcluster.Server)) {
	for _, s := range f.DB.Servers {
		if s != f.DB.Primary {
			fault(s)
			f.wait()
			s.Thaw()
			must(f.T, f.DB.Fence(f.Context(), s))
			must(f.T, f.DB.AwaitStandbys(f.Context(), 2))
			return
		}
	}
}

func (f *front) stop(n *nodes.Node) {
	must(f.T, n.Signal(syscall.SIGSTOP))
	f.wait()
	must(f.T, n.Signal(syscall.SIGCONT))
}

// cut holds back, delays or resets what passes a proxy.
func (f *front) cut(p *faultproxy.Proxy, fault func(*faultproxy.Proxy)) {
	fault(p)
	f.wait()
	p.Heal()
}

var (
	drop      = faultproxy.Fault{Drop: true}
	delay     = faultproxy.Fault{Delay: 300 * time.Millisecond}
	cutsOfWay = map[string]func(*faultproxy.Proxy){
		"drop to the server": func(p *faultproxy.Proxy) { p.ToServer(drop) }, "drop to the client": func(p *faultproxy.Proxy) { p.ToClient(drop) },
		"delay": func(p *faultproxy.Proxy) { p.ToServer(delay); p.ToClient(delay) }, "reset": (*faultproxy.Proxy).Reset}
)

func killServer(s *pgcluster.Server) { _ = s.Kill() } // it returns no error where it runs

// disturbances are all that may happen to a cluster.
func disturbances() map[string]func(*front) {
	all := map[string]func(*front){
		"kill the primary":   func(f *front) { f.failover(killServer) },
		"freeze the primary": func(f *front) { f.failover((*pgcluster.Server).Freeze) },
		"kill a standby":     func(f *front) { f.standby(killServer) },
		"freeze a standby":   func(f *front) { f.standby((*pgcluster.Server).Freeze) },
		"kill A":             func(f *front) { must(f.T, f.a().Kill()); f.wait(); f.restart(f.a()) },
		"kill B":             func(f *front) { must(f.T, f.b().Kill()); f.wait(); f.restart(f.b()) },
		"stop A":             func(f *front) { must(f.T, f.a().Stop()); f.restart(f.a()) },
		"freeze A":           func(f *front) { f.stop(f.a()) },
		"freeze B":           func(f *front) { f.stop(f.b()) },
		"planned failover":   func(f *front) { must(f.T, f.DB.Switchover(f.Context())); must(f.T, f.DB.AwaitStandbys(f.Context(), 2)) },
	}
	for name, cut := range cutsOfWay {
		all["A to the database: "+name] = func(f *front) {
			f.database(cut)
			f.wait()
			f.database((*faultproxy.Proxy).Heal)
		}
		all["A to the SMSC: "+name] = func(f *front) {
			defer f.Outage(f.a().Name, nodes.Cut)()
			f.cut(f.smsc, cut)
		}
		all["B to A: "+name] = func(f *front) { f.cut(f.peer, cut) }
	}
	return all
}

// shortly are those of CI, one after the other in one run.
var shortly = []string{"kill the primary", "freeze A", "A to the database: drop to the client", "A to the SMSC: reset", "kill B"}

// TestClusterLoad disturbs two nodes and three servers while clients place orders and repeat at the other node what
// was not answered: each order has one message at most, each answer its shipment, and the feed is whole.
func TestClusterLoad(t *testing.T) {
	if !*longCluster {
		f := newFront(t, servers(t, pgcluster.Options{}), 2)
		f.under(shortly...)
		return
	}
	for _, binds := range []int{2, 1} {
		t.Run(fmt.Sprintf("%d binds", binds), func(t *testing.T) {
			f := newFront(t, servers(t, pgcluster.Options{}), binds)
			for name := range disturbances() {
				t.Run(name, func(t *testing.T) {
					f.T = t
					if binds == 1 && strings.HasSuffix(name, " B") {
						f.give(f.b())
					} else if binds == 1 {
						f.give(f.a())
					}
					f.under(name)
				})
			}
			f.T = t
		})
	}
}

// under disturbs the cluster under load, and compares all records.
func (f *front) under(names ...string) {
	f.Helper()
	all := disturbances()
	f.load(len(names), func() {
		for _, name := range names {
			began := len(f.Book.Orders())
			all[name](f)
			f.Logf("%s: %d orders", name, len(f.Book.Orders())-began)
		}
	})
}

// clients is how many place orders at a time.
const clients = 6

// load has clients place orders during a number of disturbances, and compares all records.
func (f *front) load(number int, disturb func()) {
	f.Helper()
	load := f.Load(clients, 10*time.Millisecond)
	disturb()
	ctx, cancel := context.WithTimeout(f.Context(), time.Minute)
	defer cancel()
	faults := load.Stop(ctx)
	for _, n := range f.Nodes {
		must(f.T, n.AwaitReady(f.Context()))
	}
	verdict := f.Judge(f.Context())
	for _, fault := range append(faults, verdict.Faults...) {
		f.Error(fault)
	}
	logVerdict(f.T, verdict)
	if open := len(verdict.Open) + len(verdict.Unsent); open > 2*clients*(len(f.Book.Orders())/500+number) {
		f.Errorf("%d orders were not sent", open)
	}
	if verdict.Created == 0 {
		f.Error("too little happened to tell anything")
	}
}

// logVerdict logs what became of all orders, and which ones were not sent.
func logVerdict(t *testing.T, v nodes.Verdict) {
	t.Helper()
	t.Logf("%d orders, %d sent; 201 to %d, 200 to %d; %d without an outcome, %d failed since they were found not sent too late",
		v.Orders, v.Submits, v.Created, v.Known, len(v.Open), len(v.Unsent))
	for i := range v.Open {
		why, _ := v.Open[i].Why()
		t.Logf("%s: %s", why, &v.Open[i])
	}
	for i := range v.Unsent {
		t.Logf("failed: %s", &v.Unsent[i])
	}
}

// TestAsynchronous is a control that must fail: with standbys that no commit waits for, a failover forgets a key, and a
// repeat sends a second message. If the records did not show it, they would show nothing of the other tests either.
func TestAsynchronous(t *testing.T) {
	db := servers(t, pgcluster.Options{Settings: map[string]string{"synchronous_standby_names": ""}})
	f := newFront(t, db, 2)
	first := f.Book.New()
	for !f.Place(first, f.a()) { // all servers have it
		time.Sleep(10 * time.Millisecond)
	}
	for _, s := range db.Servers {
		if s != db.Primary {
			must(t, s.Kill())
		}
	}
	lost := f.Book.New()
	for !f.Place(lost, f.a()) {
		time.Sleep(10 * time.Millisecond)
	}
	must(t, db.Primary.Kill())
	for _, s := range db.Servers {
		if s != db.Primary {
			must(t, s.Start(t.Context()))
		}
	}
	must(t, db.Failover(t.Context()))
	for !f.Place(lost, f.b()) {
		time.Sleep(10 * time.Millisecond)
	}
	for _, n := range f.Nodes {
		must(t, n.AwaitReady(t.Context()))
	}
	verdict := f.Judge(t.Context())
	if text := strings.Join(verdict.Faults, "\n"); !strings.Contains(text, lost.Key+" was sent 2 times") {
		t.Errorf("the control did not fail: %+v", verdict)
	}
}
