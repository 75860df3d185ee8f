package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"straks/internal/faultproxy"
	"straks/internal/nodes"
	"straks/internal/pgcluster"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

// asNode returns this test binary as the program.
func asNode(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// servers starts PostgreSQL servers that end with the test.
func servers(t *testing.T, o pgcluster.Options) *pgcluster.Cluster {
	t.Helper()
	if err := pgcluster.Available(); err != nil {
		t.Skip(err)
	}
	db, err := pgcluster.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// point is a step of an order's way at which node A is hit: what passes on its connections is held back there.
type point struct {
	name string
	// Of the chunks that name the order: the nth to the database, or its answer; the one to the SMSC, or its answer;
	// or the acknowledgement of the receipt.
	write, reply, submit, response, ack bool
	n                                   int

	submits [2]int // least and most that the SMSC gets where A is killed
	created bool   // a repeat at B is answered with 201
}

// points are those of the way of one order. The first write of an order with its number is the commit of Accept, the
// second that of its answer, the third that of its receipt.
var points = []point{
	{name: "before accept's commit", write: true, n: 1, submits: [2]int{1, 1}, created: true},
	{name: "after accept's commit", reply: true, n: 1, submits: [2]int{0, 0}},
	{name: "before the octets", submit: true, submits: [2]int{0, 0}},
	{name: "after the octets", response: true, submits: [2]int{1, 1}},
	{name: "after the answer", write: true, n: 2, submits: [2]int{1, 1}},
	{name: "after the answer's commit", reply: true, n: 2, submits: [2]int{1, 1}},
	{name: "before the receipt's commit", write: true, n: 3, submits: [2]int{1, 1}},
	{name: "after the receipt's commit", reply: true, n: 3, submits: [2]int{1, 1}},
	{name: "before deliver_sm_resp", ack: true, submits: [2]int{1, 1}},
}

// TestCrashPoints hits node A at each step of an order's way: by SIGKILL, and by SIGSTOP until its lease has expired.
// Clients repeat at node B. Then it compares what they were told, what the SMSC got and what both nodes' feeds say.
func TestCrashPoints(t *testing.T) {
	db := servers(t, pgcluster.Options{})
	var cases sync.WaitGroup
	defer cases.Wait()
	atOnce := make(chan struct{}, 6) // they wait most of their time
	for i, p := range points {
		for _, kill := range []bool{true, false} {
			if !*longCluster && kill != (i%2 == 0) {
				continue // each point once
			}
			name := map[bool]string{true: "kill", false: "stop"}[kill]
			database := fmt.Sprintf("point%d%s", i, name)
			if err := db.Database(t.Context(), database); err != nil {
				t.Fatal(err)
			}
			atOnce <- struct{}{}
			cases.Go(func() {
				defer func() { <-atOnce }()
				t.Run(p.name+"/"+name, func(t *testing.T) { newHit(t, db, database, p).run(kill) })
			})
		}
	}
}

// longCluster has the tests of several nodes try all that can fail, each for longer.
var longCluster = flag.Bool("cluster", false, "try everything that can fail among several nodes: some minutes")

// hit is one node that is hit at one point.
type hit struct {
	*testing.T
	*nodes.World
	point

	db, smsc *faultproxy.Proxy

	mu      sync.Mutex
	order   *nodes.Order
	writes  int // to the database, that name the order
	on      int // connection of the last of them
	sent    bool
	done    bool
	reached chan struct{}
	release chan struct{}
}

// pointLease is long enough that a node is not declared dead because the machine is slow.
const pointLease = 5 * time.Second

func newHit(t *testing.T, db *pgcluster.Cluster, database string, p point) *hit {
	t.Helper()
	h := &hit{T: t, point: p, reached: make(chan struct{}), release: make(chan struct{})}
	var err error
	if h.db, err = faultproxy.Listen("unix", db.Primary.Socket()); err != nil {
		t.Fatal(err)
	}
	smsc := smsctest.Profile{Retry: 50 * time.Millisecond, AckTimeout: time.Second}
	smsc.Receipt.Delay = 100 * time.Millisecond
	h.World, err = nodes.New(t.Context(), nodes.Options{Program: asNode, Database: db, Journal: database, SMSC: smsc, Lease: pointLease,
		DSN: func(id int, dsn string) string {
			if id != 1 {
				return dsn
			}
			_, port, _ := strings.Cut(h.db.Addr(), ":")
			return db.DSNAt(database, "127.0.0.1", port)
		},
		Carrier: func(id int, addr string) string {
			if id != 1 {
				return addr
			}
			if h.smsc, err = faultproxy.Listen("tcp", addr); err != nil {
				t.Fatal(err)
			}
			return h.smsc.Addr()
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.db.Close()
		h.smsc.Close()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, n := range h.Nodes {
				t.Logf("node %s:\n%s", n.Name, n.Log())
			}
		}
	})
	return h
}

// stop holds a chunk back, the first one that it is asked to.
func (h *hit) stop() <-chan struct{} {
	if h.done {
		return nil
	}
	h.done = true
	close(h.reached)
	return h.release
}

// next returns an order that may get to the point; nil: one is there.
func (h *hit) next() *nodes.Order {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.done {
		return nil
	}
	h.order, h.writes, h.sent = h.Book.New(), 0, false
	return h.order
}

// names reports whether octets name the order. The caller holds mu.
func (h *hit) names(octets []byte) bool {
	return h.order != nil && bytes.Contains(octets, []byte(strings.TrimPrefix(h.order.Number, "+")))
}

// atDatabase is the tap of A's connections to the database.
func (h *hit) atDatabase(c faultproxy.Chunk) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case c.ToServer && h.names(c.Octets):
		h.writes++
		h.on = c.Conn
		if h.write && h.writes == h.n {
			return h.stop()
		}
	case !c.ToServer && h.reply && h.writes == h.n && c.Conn == h.on:
		return h.stop()
	}
	return nil
}

// atSMSC is the tap of A's connections to the SMSC.
func (h *hit) atSMSC(c faultproxy.Chunk) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	isAck := bytes.Contains(c.Octets, []byte{byte(wire.DeliverSMResp >> 24), 0, 0, byte(wire.DeliverSMResp & 0xff)})
	switch {
	case c.ToServer && h.names(c.Octets):
		h.sent = true
		if h.submit {
			return h.stop()
		}
	case c.ToServer && h.ack && h.sent && isAck:
		return h.stop()
	case !c.ToServer && h.response && h.sent:
		return h.stop()
	}
	return nil
}

// run places an order at A, hits A, and repeats the order at B.
func (h *hit) run(kill bool) {
	a, b := h.Nodes[0], h.Nodes[1]
	must(h.T, a.Start(h.Context()))
	must(h.T, a.AwaitReady(h.Context()))
	late := h.n == 3 || h.ack // the receipt must come to A
	if !late {
		must(h.T, b.Start(h.Context()))
		must(h.T, b.AwaitReady(h.Context()))
	}
	h.db.Tap(h.atDatabase)
	h.smsc.Tap(h.atSMSC)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for o := h.next(); o != nil && !h.Place(o, a); o = h.next() {
			time.Sleep(20 * time.Millisecond) // a slow machine may have one refused
		}
	}()
	select {
	case <-h.reached:
	case <-time.After(5 * time.Minute):
		h.Fatal("the order did not get to the point")
	}
	if kill {
		h.kill(a)
		<-answered
	} else {
		must(h.T, a.Signal(syscall.SIGSTOP))
		close(h.release)
	}
	if late {
		must(h.T, b.Start(h.Context()))
		must(h.T, b.AwaitReady(h.Context()))
	}
	h.repeat(h.order, b)
	if !kill {
		time.Sleep(pointLease + time.Second) // it has expired
		must(h.T, a.Signal(syscall.SIGCONT))
		<-answered
	}
	h.settle(kill)
}

// kill ends a node, and loses what is held back on its connections.
func (h *hit) kill(a *nodes.Node) {
	must(h.T, a.Kill())
	h.db.Reset()
	h.smsc.Reset()
	close(h.release)
	h.db.Heal()
	h.smsc.Heal()
}

// repeat repeats the order until B knows it.
func (h *hit) repeat(o *nodes.Order, b *nodes.Node) {
	ctx, cancel := context.WithTimeout(h.Context(), 5*time.Minute)
	defer cancel()
	for !h.Place(o, b) {
		if ctx.Err() != nil {
			h.Fatal("node b never answered")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// settle starts what was killed, and compares all records.
func (h *hit) settle(kill bool) {
	if kill {
		must(h.T, h.Nodes[0].Start(h.Context()))
	}
	for _, n := range h.Nodes {
		must(h.T, n.AwaitReady(h.Context()))
	}
	verdict := h.Judge(h.Context())
	for _, fault := range verdict.Faults {
		h.Error(fault)
	}
	all := h.Book.Orders()
	o := all[slices.IndexFunc(all, func(o nodes.Order) bool { return o.Key == h.order.Key })]
	if o.Submits < h.submits[0] && kill || kill && o.Submits > h.submits[1] {
		h.Errorf("the SMSC got %d messages, want from %d to %d: %+v", o.Submits, h.submits[0], h.submits[1], o)
	}
	if kill && h.created != (o.Created > 0 && o.Known == 0) {
		h.Errorf("the repeat: %+v", o)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
