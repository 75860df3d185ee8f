package main

import (
	"flag"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"straks/internal/eventually"
	"straks/internal/faultproxy"
	"straks/internal/nodes"
	"straks/internal/pgcluster"
	"straks/smpp/smsctest"
)

// awaitBind waits until a node has the only bind of the account.
func (f *front) awaitBind(n *nodes.Node) {
	f.Helper()
	eventually.True(f.T, "node "+n.Name+" to have the bind", func() bool { return n.Binds(f.Context()) == 1 })
}

// give has the only bind of the account go to a node: the other one stops in order, and starts again.
func (f *front) give(n *nodes.Node) {
	for _, other := range f.Nodes {
		if other != n && n.Binds(f.Context()) == 0 {
			must(f.T, other.Stop())
			f.awaitBind(n)
			f.restart(other)
		}
	}
}

// sends places an order at a node until it is sent.
func (f *front) sends(n *nodes.Node) {
	f.Helper()
	o := f.Book.New()
	eventually.True(f.T, "node "+n.Name+" to take an order", func() bool { return f.Place(o, n) })
}

// TestOneBind: the carrier allows one bind. Another node takes it over from one that is cut off from the database and
// from one that is killed, while the SMSC refuses a second bind; a node without it hands its orders over.
func TestOneBind(t *testing.T) {
	f := newFront(t, servers(t, pgcluster.Options{Servers: 1}), 1)
	a, b := f.a(), f.b()
	f.give(a)
	f.load(2, func() {
		f.database(func(p *faultproxy.Proxy) { p.ToClient(drop) })
		f.awaitBind(b)
		f.sends(b)
		f.database((*faultproxy.Proxy).Heal)
		must(t, a.AwaitReady(t.Context()))
		f.sends(a)
		if _, metrics, err := a.Get(t.Context(), "/metrics"); err != nil || !forwarded.MatchString(metrics) {
			t.Errorf("node a, which has no bind, has handed no order over: %v", err)
		}
		must(t, b.Kill())
		f.awaitBind(a)
		f.sends(a)
		f.restart(b)
	})
}

var forwarded = regexp.MustCompile(`(?m)^straks_forwarded_total{result="answered"} [1-9]`)

// TestNoticeWithOneBind: while the node that has the only bind says that it will stop, the other one hands its orders to
// that, and is ready.
func TestNoticeWithOneBind(t *testing.T) {
	const notice = 5 * time.Second
	w, err := nodes.New(t.Context(), nodes.Options{Program: asNode, Database: servers(t, pgcluster.Options{Servers: 1}), Binds: 1, Lease: 30 * time.Second,
		SMSC: smsctest.Profile{MaxBinds: 1}, API: `drain_notice = "5s"`})
	must(t, err)
	t.Cleanup(func() { must(t, w.Close()) })
	must(t, w.StartAll(t.Context()))
	f := &front{T: t, World: w}
	a, b := f.a(), f.b()
	f.give(a)
	must(t, b.AwaitReady(t.Context()))
	ended, began := make(chan error, 1), time.Now()
	go func() { ended <- a.Stop() }()
	for seen := 0; ; seen++ {
		placed := f.Place(f.Book.New(), b)
		code, why, err := b.Get(t.Context(), "/readyz")
		if time.Since(began) > notice { // by then node a may have ended it
			if seen == 0 {
				t.Error("nothing was seen of the notice")
			}
			break
		}
		if !placed || err != nil || code != http.StatusOK {
			t.Fatalf("%v after SIGTERM to node a: order placed at node b: %v; readyz %d %s %v", time.Since(began), placed, code, why, err)
		}
	}
	must(t, <-ended)
	f.awaitBind(b)
	f.sends(b)
}

// takeovers asks TestTakeover for figures.
var takeovers = flag.Int("takeover", 0, "measure how long a bind is without a node, in `n` takeovers: 15 s each")

// TestTakeover measures the time from the end of the node that has the only bind until another one has sent an order: by
// kill -9, and by SIGTERM, with the default lease and an SMSC that is willing. The figures are in docs/cluster.md.
func TestTakeover(t *testing.T) {
	if *takeovers == 0 {
		t.Skip("needs -takeover")
	}
	w, err := nodes.New(t.Context(), nodes.Options{Program: asNode, Database: servers(t, pgcluster.Options{}), Binds: 1, SMSC: smsctest.Profile{MaxBinds: 1}})
	must(t, err)
	t.Cleanup(func() { must(t, w.Close()) })
	must(t, w.StartAll(t.Context()))
	f := &front{T: t, World: w}
	for _, end := range []struct {
		name string
		do   func(*nodes.Node) error
	}{{"kill -9", (*nodes.Node).Kill}, {"SIGTERM", (*nodes.Node).Stop}} {
		var took []time.Duration
		for i := range *takeovers {
			from, to := f.Nodes[i%2], f.Nodes[1-i%2]
			f.give(from)
			o := f.Book.New()
			began := time.Now()
			ended := make(chan error, 1)
			go func() { ended <- end.do(from) }()
			for !f.Place(o, to) {
				time.Sleep(5 * time.Millisecond)
			}
			took = append(took, time.Since(began))
			must(t, <-ended)
			f.restart(from)
		}
		slices.Sort(took)
		var all []string
		for _, d := range took {
			all = append(all, fmt.Sprintf("%.2f", d.Seconds()))
		}
		t.Logf("%s: median %s s; all: %s", end.name, all[len(all)/2], strings.Join(all, " "))
	}
}
