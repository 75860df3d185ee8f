package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"straks/orders/bolt"
	"straks/smpp/smsctest"
)

// Run is one scenario.
type Run struct {
	Name    string
	Clients int
	Rate    float64       // orders/s; 0: saturated
	For     time.Duration // how long
	Delay   time.Duration // the carrier's, before each answer
	Window  int           // of the one bind; 0 means 200
	Stored  int           // shipments in the journal beforehand
	Dir     string        // folder of the journal, kept and used again; empty means a temporary one
	Profile string        // file for a CPU profile of the daemon; empty for none
	Frozen  bool          // see frozen.go; Clients, Delay, Window and Profile don't count
}

// Scenarios are those that the figures in docs/performance.md are of.
func Scenarios() []Run {
	return []Run{
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

// Do runs the scenario with a daemon of the given program.
func (r Run) Do(ctx context.Context, program string) ([]Result, error) {
	dir := r.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "straks-bench-"); err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
	}
	if _, err := os.Stat(journalFile(dir)); err != nil && r.Stored > 0 {
		if err := Fill(ctx, journalFile(dir), r.Stored); err != nil {
			return nil, err
		}
	}
	var err error
	if r.Stored, err = stored(ctx, journalFile(dir)); err != nil {
		return nil, err
	}
	if r.Frozen {
		return r.frozen(ctx, program, dir)
	}
	result, err := r.in(ctx, program, dir)
	return []Result{result}, err
}

// stored returns how many shipments the journal holds, none where there is no journal.
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

func (r Run) limit() int {
	if r.Rate == 0 {
		return int(fastest * r.For.Seconds())
	}
	return int(r.Rate * r.For.Seconds())
}

// simulator is the SMSC of a run: it sends a receipt for each message, and
// tells the track of the moment what it sees.
type simulator struct {
	*smsctest.SMSC
	track atomic.Pointer[Track]
}

func listen(addr string, delay time.Duration) (*simulator, error) {
	s := &simulator{}
	s.track.Store(NewTrack(0))
	profile := smsctest.Profile{Record: -1, FirstID: uint64(time.Now().UnixMicro()), // ids of no earlier run
		OnSubmit: func(sub smsctest.Submit) { s.track.Load().Seen(sub.Text(), sub.At) },
		OnAck:    func(took time.Duration) { s.track.Load().Acked(took) }}
	profile.Delay = delay
	var err error
	s.SMSC, err = smsctest.Listen(addr, profile)
	return s, err
}

// in runs the scenario over the journal in dir.
func (r Run) in(ctx context.Context, program, dir string) (Result, error) {
	smsc, err := listen("127.0.0.1:0", r.Delay)
	if err != nil {
		return Result{}, err
	}
	defer smsc.Close()
	window := r.Window
	if window == 0 {
		window = 200
	}
	d, err := StartDaemon(ctx, program, dir, smscTable(carrier, smsc.Addr(), window))
	if err != nil {
		return Result{}, err
	}
	before := d.levels()
	result, err := r.measure(ctx, d, smsc, func() int { return int(d.levels().delivered - before.delivered) })
	err = errors.Join(err, d.Stop())
	return result, err
}

// measure drives a daemon and asks it what it knows.
func (r Run) measure(ctx context.Context, d *Daemon, smsc *simulator, delivered func() int) (Result, error) {
	track := NewTrack(r.limit())
	smsc.track.Store(track)
	before := d.levels()
	profiled := make(chan error, 1)
	go func() { profiled <- d.profile(r.Profile, r.For) }()
	load := Load{Addr: d.API, Clients: r.Clients, Rate: r.Rate, For: r.For, Request: order(d.API, "+4790")}
	result, err := drive(ctx, r.Name, load, track, d.processes(), delivered)
	if err != nil {
		return result, err
	}
	if err := <-profiled; err != nil {
		return result, err
	}
	result.Stored = r.Stored
	result.Batch, result.Commit = d.levels().commits(before)
	result.Page, err = d.feedPage()
	return result, err
}

// drive makes the orders, waits for their receipts, and sums up.
func drive(ctx context.Context, name string, load Load, track *Track, ps processes, delivered func() int) (Result, error) {
	rest, peak := ps.anon(), ps.peak()
	cpu, own := ps.cpu(), ownCPU()
	err := load.Drive(ctx, track)
	answered := time.Now()
	result := Result{Name: name}
	track.sumUp(&result)
	for deadline := answered.Add(settleTime); err == nil && time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		result.Delivered, result.Settled = delivered(), time.Since(answered)
		if result.Delivered >= result.Orders {
			break
		}
	}
	result.RestKiB, result.PeakKiB = rest, peak()
	if n := time.Duration(result.Orders); n > 0 {
		result.CPU, result.OwnCPU = (ps.cpu()-cpu)/n, (ownCPU()-own)/n
	}
	if err != nil {
		return result, fmt.Errorf("load: %w", err)
	}
	return result, nil
}
