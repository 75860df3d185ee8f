package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// overload finds the peak of a daemon, offers too much regardless of the answers, and then
// half of the peak. Its carrier responds after delay, on one bind with that window.
//
// Where the machine is the limit, the share of the peak that is left depends on the load
// generator as much as on the daemon: the two share the machine.
type overload struct {
	name   string // of the carrier or disk
	folder string // in which the journal's folder is made; empty means that of temporary files
	delay  time.Duration
	window int
	busy   int // connections that keep the daemon busy
	freeze bool

	daemon *daemon
	smsc   *simulator
}

// overloadClients is the number of connections that keeps an overload from waiting for a
// free one, like many independent users.
const overloadClients = 2000

// carrierLimits are the overloads of the machine and of a carrier that limits the daemon
// to 2,000 orders/s.
func carrierLimits() []overload {
	return []overload{
		{name: "overload", window: 64, busy: 64},
		{name: "50 ms carrier", window: 100, busy: 200, delay: 50 * time.Millisecond},
	}
}

// diskLimit freezes the disk under the daemon and offers half of the peak meanwhile. So
// the journal's queue is full while the processors are free.
//
// The folder must be the root of a file system: all writes to it hang.
func diskLimit(folder string) overload {
	return overload{name: "disk", folder: folder, window: 64, busy: 64, freeze: true}
}

func (o overload) do(ctx context.Context, path string, length time.Duration) ([]result, error) {
	dir, err := os.MkdirTemp(o.folder, "straks-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if o.smsc, err = listen("127.0.0.1:0", o.delay, 0); err != nil {
		return nil, err
	}
	defer o.smsc.Close()
	if o.daemon, err = startDaemon(ctx, path, dir, smscTable(carrier, o.smsc.Addr(), o.window)); err != nil {
		return nil, err
	}
	phases, err := o.phases(ctx, length)
	err = errors.Join(err, o.daemon.stop())
	for i := range phases {
		if peak := phases[0].Rate; peak > 0 {
			phases[i].OfPeak = phases[i].Rate / peak
		}
		phases[i].Name = o.name + ", " + phases[i].Name
	}
	return phases, err
}

func (o *overload) phases(ctx context.Context, length time.Duration) ([]result, error) {
	peak, err := o.phase(ctx, "peak", o.busy, 0, length)
	if err != nil {
		return []result{peak}, err
	}
	worst := o.twice
	if o.freeze {
		worst = o.frozen
	}
	over, err := worst(ctx, peak.Rate, length)
	if err != nil {
		return []result{peak, over}, err
	}
	time.Sleep(time.Second) // the daemon must be back to normal within this time
	half, err := o.phase(ctx, "half", o.busy, peak.Rate/2, length)
	return []result{peak, over, half}, err
}

func (o *overload) twice(ctx context.Context, peak float64, length time.Duration) (result, error) {
	return o.phase(ctx, "twice", overloadClients, 2*peak, length)
}

func (o *overload) frozen(ctx context.Context, peak float64, length time.Duration) (r result, err error) {
	if err := fsfreeze("--freeze", o.folder); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, fsfreeze("--unfreeze", o.folder)) }()
	return o.phase(ctx, "frozen, half", overloadClients, peak/2, length)
}

func (o *overload) phase(ctx context.Context, name string, clients int, rate float64, length time.Duration) (result, error) {
	t := newTrack(limit(rate, length))
	o.smsc.track.Store(t)
	l := load{Addrs: []string{o.daemon.api}, Clients: clients, Rate: rate, Open: rate > 0, For: length}
	ps := o.daemon.processes()
	r := result{Name: name, RestKiB: ps.anon()}
	peak, cpu, own, before := ps.peak(), ps.cpu(), ownCPU(), o.daemon.metrics()
	err := l.driveApart(ctx, "+4790", t)
	r.PeakKiB = peak()
	if err != nil {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	t.sum(&r)
	if l.Open {
		r.Late = t.late()
	}
	after := o.daemon.metrics()
	r.Delivered = int(after.delivered - before.delivered)
	if n := time.Duration(r.Orders); n > 0 {
		r.CPU, r.OwnCPU = (ps.cpu()-cpu)/n, (ownCPU()-own)/n
		r.Batch, r.Commit = after.commits(before)
	}
	return r, nil
}

// checkMount refuses a folder whose file system others may need.
func checkMount(folder string) error {
	var here, above syscall.Stat_t
	if err := errors.Join(syscall.Stat(folder, &here), syscall.Stat(folder+"/..", &above)); err != nil {
		return fmt.Errorf("%s: %w", folder, err)
	}
	if here.Dev == above.Dev {
		return fmt.Errorf("%s is on the same file system as its parent folder: mount one of its own there, since nobody can write to it while it is frozen", folder)
	}
	return nil
}

func fsfreeze(how, folder string) error {
	if out, err := exec.Command("fsfreeze", how, folder).CombinedOutput(); err != nil {
		return fmt.Errorf("fsfreeze %s %s: %w: %s", how, folder, err, out)
	}
	return nil
}
