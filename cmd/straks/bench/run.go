package bench

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"straks/smpp/smsctest"
)

// Run is one scenario.
type Run struct {
	Name    string
	Clients int
	Rate    float64       // orders/s; 0: saturated
	For     time.Duration // how long
	Delay   time.Duration // the carrier's, before each answer
	Extra   string        // more keys of the [[smsc]] table, and tables behind it
	Profile string        // file for a CPU profile of the daemon; empty for none
}

// Scenarios are those that the figures in docs/performance.md are of.
func Scenarios(d time.Duration) []Run {
	return []Run{
		{Name: "50/s", Clients: 16, Rate: 50, For: d},
		{Name: "2000/s", Clients: 64, Rate: 2000, For: d},
		{Name: "saturated", Clients: 64, For: d},
	}
}

// settleTime bounds how long receipts may take after the last order.
const settleTime = 30 * time.Second

// Do runs the scenario with a daemon of the given program.
func (r Run) Do(ctx context.Context, program string) (Result, error) {
	dir, err := os.MkdirTemp("", "straks-bench-")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(dir)
	return r.In(ctx, program, dir)
}

// In runs the scenario over the journal in dir.
func (r Run) In(ctx context.Context, program, dir string) (Result, error) {
	limit := int(r.Rate * r.For.Seconds())
	if r.Rate == 0 {
		limit = int(40_000 * r.For.Seconds())
	}
	track := NewTrack(limit)
	profile := smsctest.Profile{Record: -1, OnSubmit: func(s smsctest.Submit) { track.Seen(s.Text(), s.At) }}
	profile.Delay = r.Delay
	smsc, err := smsctest.Listen("127.0.0.1:0", profile)
	if err != nil {
		return Result{}, err
	}
	defer smsc.Close()
	d, err := StartDaemon(ctx, program, dir, smsc.Addr(), r.Extra)
	if err != nil {
		return Result{}, err
	}
	result, err := r.drive(ctx, d, track)
	peak, stopErr := d.Stop()
	result.PeakKiB = peak
	if err == nil {
		err = stopErr
	}
	return result, err
}

func (r Run) drive(ctx context.Context, d *Daemon, track *Track) (Result, error) {
	before, err := d.delivered()
	if err != nil {
		return Result{}, err
	}
	load := Load{Addr: d.API, Base: "/notifications/api/v1", Token: token, Clients: r.Clients, Rate: r.Rate, For: r.For,
		Limit: len(track.begun), Run: fmt.Sprint(time.Now().UnixNano())}
	cpu, own := d.cpu(), ownCPU()
	profiled := make(chan error, 1)
	go func() { profiled <- d.profile(r.Profile, r.For) }()
	if err := load.Drive(ctx, track); err != nil {
		return Result{}, err
	}
	if err := <-profiled; err != nil {
		return Result{}, err
	}
	answered := time.Now()
	result := track.Result(r.Name)
	for deadline := answered.Add(settleTime); result.Delivered < result.Orders && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		now, err := d.delivered()
		if err != nil {
			return result, err
		}
		result.Delivered = int(now - before)
		result.Settled = time.Since(answered)
	}
	if n := time.Duration(result.Orders); n > 0 {
		result.CPU, result.OwnCPU = (d.cpu()-cpu)/n, (ownCPU()-own)/n
	}
	result.AnonKiB = d.Anon()
	return result, nil
}

// ownCPU returns the processor time of this process, of user and of kernel.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// delivered counts shipments that are final by their receipt.
func (d *Daemon) delivered() (float64, error) {
	return d.Counter("straks_status_changes_total", `status="SMS_Delivered"`)
}
