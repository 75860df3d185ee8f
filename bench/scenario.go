package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"straks/orders/bolt"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

// scenario is one load on one daemon and its carrier.
type scenario struct {
	Name    string
	Clients int
	Rate    float64 // orders/s; 0: saturated
	For     time.Duration
	Delay   time.Duration // of the SMSC, before each response
	Receipt time.Duration // after the response; 0: at once
	Window  int           // of each bind; 0 means 200
	Stored  int           // shipments in the journal before the run
	Dir     string        // folder of the journal, which is kept; empty means a temporary one
	Profile string        // file for a CPU profile of the daemon, or of the first node; empty for none
	Frozen  bool          // see frozen; Clients, Delay, Window and Profile don't count
}

// usual returns the scenarios of the figures in docs/performance.md.
func usual() []scenario {
	return []scenario{
		{Name: "50/s", Clients: 16, Rate: 50},
		{Name: "2000/s", Clients: 64, Rate: 2000},
		{Name: "saturated", Clients: 64},
		{Name: "50 ms carrier", Clients: 200, Delay: 50 * time.Millisecond, Window: 100},
		{Name: "frozen", Rate: 500, Frozen: true},
	}
}

const (
	// settleTime bounds how long receipts may take after the last order.
	settleTime = 30 * time.Second
	// fastest is more than any machine does, in orders/s.
	fastest = 40_000
)

// do runs the scenario with a daemon of the given program.
func (s scenario) do(ctx context.Context, p program) ([]result, error) {
	if p.nodes > 0 {
		r, err := s.overNodes(ctx, p)
		return []result{r}, err
	}
	dir := s.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "straks-bench-"); err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
	}
	if _, err := os.Stat(journalFile(dir)); err != nil && s.Stored > 0 {
		if err := fill(ctx, journalFile(dir), s.Stored); err != nil {
			return nil, err
		}
	}
	var err error
	if s.Stored, err = stored(ctx, journalFile(dir)); err != nil {
		return nil, err
	}
	if s.Frozen {
		return s.frozen(ctx, p.path, dir)
	}
	r, err := s.in(ctx, p.path, dir)
	return []result{r}, err
}

// stored returns the number of shipments in the journal, 0 where there is no journal.
func stored(ctx context.Context, path string) (int, error) {
	if _, err := os.Stat(path); err != nil {
		return 0, nil
	}
	j, err := bolt.OpenReadOnly(path, bolt.Options{})
	if err != nil {
		return 0, err
	}
	defer j.Close()
	st, err := j.Stats(ctx)
	return st.Shipments, err
}

// limit returns the number of orders that a run can have.
func limit(rate float64, length time.Duration) int {
	if rate == 0 {
		rate = fastest
	}
	return int(rate * length.Seconds())
}

// simulator is the SMSC of a run: it sends a receipt for each message, and reports what it
// sees to the current track.
type simulator struct {
	*smsctest.SMSC
	track atomic.Pointer[track]
}

func listen(addr string, delay, receipt time.Duration) (*simulator, error) {
	s := &simulator{}
	var err error
	s.SMSC, err = smsctest.Listen(addr, s.profile(delay, receipt))
	return s, err
}

// profile returns what the SMSC does: it answers after delay, and its receipts follow after receipt.
func (s *simulator) profile(delay, receipt time.Duration) smsctest.Profile {
	s.track.Store(newTrack(0))
	p := smsctest.Profile{Record: -1, Fast: true, FirstID: uint64(time.Now().UnixMicro()), // ids of no earlier run
		OnSubmit: func(sub smsctest.Submit) { s.track.Load().submit(sub.Text(), sub.At) },
		OnAck:    func(_ *wire.Message, took time.Duration) { s.track.Load().ack(took) }}
	p.Delay, p.Receipt.Delay = delay, receipt
	return p
}

// in runs the scenario over the journal in dir.
func (s scenario) in(ctx context.Context, path, dir string) (result, error) {
	smsc, err := listen("127.0.0.1:0", s.Delay, s.Receipt)
	if err != nil {
		return result{}, err
	}
	defer smsc.Close()
	d, err := startDaemon(ctx, path, dir, smscTable(carrier, smsc.Addr(), s.window()))
	if err != nil {
		return result{}, err
	}
	before := d.metrics()
	r, err := s.measure(ctx, d.alone(), smsc, func() int { return int(d.metrics().delivered - before.delivered) })
	err = errors.Join(err, d.stop())
	return r, err
}

func (s scenario) window() int { return cmp.Or(s.Window, 200) }

// measure drives a gateway and reads its metrics.
func (s scenario) measure(ctx context.Context, g gateway, smsc *simulator, delivered func() int) (result, error) {
	t := newTrack(limit(s.Rate, s.For))
	smsc.track.Store(t)
	before, database := g.metrics(), g.databaseCPU()
	profiled := make(chan error, 1)
	go func() { profiled <- g.daemons[0].profile(s.Profile, s.For) }()
	l := load{Addrs: g.addrs(), Clients: s.Clients, Rate: s.Rate, For: s.For, Request: order(g.addrs()[0], "+4790")}
	r, err := drive(ctx, s.Name, l, t, g.processes(), delivered)
	r.DatabaseCPU, r.DatabaseKiB = (g.databaseCPU()-database)/max(time.Duration(r.Orders), 1), g.databaseMemory()
	if err != nil {
		return r, err
	}
	if err := <-profiled; err != nil {
		return r, err
	}
	r.Stored = s.Stored
	r.Batch, r.Commit = g.metrics().commits(before)
	r.Page, err = g.daemons[0].feedPage()
	return r, err
}

// drive makes the orders, waits for their receipts, and sums up.
func drive(ctx context.Context, name string, l load, t *track, ps processes, delivered func() int) (result, error) {
	rest, peak := ps.anon(), ps.peak()
	cpu, own := ps.cpu(), ownCPU()
	err := l.drive(ctx, t)
	answered := time.Now()
	r := result{Name: name}
	t.sum(&r)
	for deadline := answered.Add(settleTime); err == nil && time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		r.Delivered, r.Settled = delivered(), time.Since(answered)
		if r.Delivered >= r.Orders {
			break
		}
	}
	t.sum(&r) // with the receipts, and what a gateway submitted after its answer
	r.RestKiB, r.PeakKiB = rest, peak()
	if n := time.Duration(r.Orders); n > 0 {
		r.CPU, r.OwnCPU = (ps.cpu()-cpu)/n, (ownCPU()-own)/n
	}
	if err != nil {
		return r, fmt.Errorf("load: %w", err)
	}
	return r, nil
}

// frozen measures what a frozen SMSC costs the orders to another. Each of two SMSCs has
// recipients of its own. Orders go to both; in the second half one SMSC neither reads nor
// writes. The results are those of the other.
func (s scenario) frozen(ctx context.Context, path, dir string) ([]result, error) {
	well, err := listen("127.0.0.1:0", 0, 0)
	if err != nil {
		return nil, err
	}
	defer well.Close()
	sick, err := smsctest.Listen("127.0.0.1:0", smsctest.Profile{Record: -1, Fast: true})
	if err != nil {
		return nil, err
	}
	defer sick.Close()
	tables := []string{smscTable(carrier, well.Addr(), 200), smscTable("sick", sick.Addr(), 200),
		"[[route]]\nprefixes = [\"+4790\"]\nsmscs = [\"" + carrier + "\"]\n",
		"[[route]]\nprefixes = [\"+4791\"]\nsmscs = [\"sick\"]\n"}
	d, err := startDaemon(ctx, path, dir, strings.Join(tables, ""))
	if err != nil {
		return nil, err
	}
	var results []result
	for _, freeze := range []bool{false, true} {
		if freeze {
			sick.Freeze(0)
		}
		var r result
		if r, err = s.besideOther(ctx, d, well, freeze); err != nil {
			break
		}
		results = append(results, r)
	}
	sick.Thaw()
	err = errors.Join(err, d.stop())
	return results, err
}

// besideOther drives orders to the SMSC that is well, and a tenth of the rate to the other.
func (s scenario) besideOther(ctx context.Context, d *daemon, well *simulator, freeze bool) (result, error) {
	aside, others := make(chan error, 1), newTrack(limit(s.Rate, s.For))
	go func() {
		l := load{Addrs: []string{d.api}, Clients: 64, Rate: s.Rate / 10, For: s.For, Request: order(d.api, "+4791")}
		aside <- l.drive(ctx, others)
	}()
	s.Name, s.Clients = "other SMSC well", 32
	if freeze {
		s.Name = "other SMSC frozen"
	}
	acked := well.Stats().Acked
	r, err := s.measure(ctx, d.alone(), well, func() int { return int(well.Stats().Acked - acked) })
	if err := <-aside; err != nil {
		return r, fmt.Errorf("orders to the other SMSC: %w", err)
	}
	mine, all := time.Duration(r.Orders), time.Duration(r.Orders)+time.Duration(others.made.Load())
	r.CPU, r.OwnCPU = r.CPU*mine/max(all, 1), r.OwnCPU*mine/max(all, 1)
	return r, err
}
