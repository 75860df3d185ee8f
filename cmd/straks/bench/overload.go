package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
)

// Phase is one part of an overload: so much was offered, so much of it was done.
type Phase struct {
	Name    string      `json:"name"`
	Offered float64     `json:"offeredPerSecond"`
	Rate    float64     `json:"ordersPerSecond"` // answered 201
	Share   float64     `json:"ofPeak"`
	Answer  Percentiles `json:"requestToAnswer"` // of those; from when the order was due
	Refused int         `json:"refused"`
	Turned  Refusals    `json:"requestToRefusal"`       // likewise
	Steady  Refusals    `json:"requestToRefusalSteady"` // of those begun after the first two seconds, in which most connections are made
	Served  Refusals    `json:"requestToRefusalServed"` // of the same, without the load generator's own part: from the first octet until the kernel had the answer
	Delays  Percentiles `json:"generatorLate"`          // one of its parts: from when an order was due to its first octet
	Rude    int         `json:"rude"`                   // refused other than by a 503 with Retry-After: must be 0
	Twice   int         `json:"twice"`                  // must be 0
	Lost    int         `json:"lost"`                   // must be 0
	PeakKiB int         `json:"peakRssAnonKiB"`
}

// Broken returns an error where the phase had what none may have.
func (p *Phase) Broken() error {
	if p.Twice+p.Lost+p.Rude == 0 {
		return nil
	}
	return fmt.Errorf("%s: %d orders sent twice, %d lost, %d refused in another way than by 503 with Retry-After", p.Name, p.Twice, p.Lost, p.Rude)
}

// overloadClients is how many connections keep an overload from waiting for a
// free one, as many users do that know nothing of each other.
const overloadClients = 2000

// settling is how long a phase's connections take to be made.
const settling = 2 * time.Second

// Overload finds the peak, offers twice as much regardless of what is
// answered, and then half, all to one daemon: first between this machine's
// limit and a carrier that answers at once, then with one that limits it to
// 2,000 orders/s. With a freezable folder, see hang, also while a disk hangs.
//
// Where the machine is the limit, the share of the peak that is left tells of
// the load generator as much as of the daemon: both have to share it.
func Overload(ctx context.Context, program string, d time.Duration, freezable string) ([]Phase, error) {
	kinds := []overload{
		{program: program, window: 64, busy: 64, worst: (*overload).twice},
		{program: program, window: 100, busy: 200, worst: (*overload).twice, delay: 50 * time.Millisecond, name: "50 ms carrier, "},
	}
	if freezable != "" {
		if err := mounted(freezable); err != nil {
			return nil, err
		}
		kinds = append(kinds, overload{program: program, window: 64, busy: 64, worst: (*overload).hang, folder: freezable, name: "disk, "})
	}
	var all []Phase
	for i := range kinds {
		phases, err := kinds[i].in(ctx, d)
		all = append(all, phases...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// overload is one of a daemon whose carrier answers after delay, on one bind
// with that window.
type overload struct {
	name    string // comes before the phases'
	program string
	folder  string // in which the journal is kept; that of temporary files
	delay   time.Duration
	window  int
	busy    int                                                                                  // connections that keep the daemon busy all the time
	worst   func(o *overload, ctx context.Context, peak float64, d time.Duration) (Phase, error) // what comes between the peak and its half

	daemon *Daemon
	smsc   *simulator
}

func (o *overload) in(ctx context.Context, d time.Duration) ([]Phase, error) {
	dir, err := os.MkdirTemp(o.folder, "straks-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	o.smsc, err = listen("127.0.0.1:0", o.delay)
	if err != nil {
		return nil, err
	}
	defer o.smsc.Close()
	o.daemon, err = StartDaemon(ctx, o.program, dir, smscTable(carrier, o.smsc.Addr(), o.window))
	if err != nil {
		return nil, err
	}
	phases, err := o.phases(ctx, d)
	err = errors.Join(err, o.daemon.Stop())
	for i := range phases {
		phases[i].Share = phases[i].Rate / phases[0].Rate
		phases[i].Name = o.name + phases[i].Name
	}
	return phases, err
}

func (o *overload) phases(ctx context.Context, d time.Duration) ([]Phase, error) {
	peak, err := o.phase(ctx, "peak", o.busy, 0, d)
	if err != nil {
		return nil, err
	}
	worst, err := o.worst(o, ctx, peak.Rate, d)
	if err != nil {
		return nil, err
	}
	time.Sleep(time.Second) // within which all is to be as it was
	half, err := o.phase(ctx, "half", o.busy, peak.Rate/2, d)
	return []Phase{peak, worst, half}, err
}

func (o *overload) twice(ctx context.Context, peak float64, d time.Duration) (Phase, error) {
	return o.phase(ctx, "twice", overloadClients, 2*peak, d)
}

func (o *overload) phase(ctx context.Context, name string, clients int, rate float64, d time.Duration) (Phase, error) {
	t := NewTrack(Run{Rate: rate, For: d}.limit())
	o.smsc.track.Store(t)
	l := Load{Addr: o.daemon.API, Clients: clients, Rate: rate, Open: rate > 0, For: d}
	ps := o.daemon.processes()
	peak := ps.peak()
	err := l.apart(ctx, o.program, "+4790", t)
	p := Phase{Name: name, PeakKiB: peak()}
	if err != nil {
		return p, fmt.Errorf("%s: %w", name, err)
	}
	var r Result
	t.sumUp(&r)
	p.Rate, p.Answer, p.Refused, p.Twice, p.Lost = r.Rate, r.Answer, r.Refused, r.Repeated, r.Unseen
	p.Offered = float64(r.Orders+r.Refused) / t.Elapsed.Seconds()
	p.Turned, p.Steady, p.Served, p.Delays = t.refusals(0), t.refusals(settling), t.served(settling), t.delays()
	p.Rude = int(t.rude.Load())
	return p, nil
}

// PrintPhases writes them as a table.
func PrintPhases(w io.Writer, phases []Phase) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "phase\toffered/s\torders/s\tof peak\tto answer p50\tp99\tmax\trefused\tto refusal p50\tp99\tover 10 ms\tsteady p99\tover 10 ms\tserved p99\tover 10 ms\tgenerator p99\trude\ttwice\tlost\tMiB\t")
	for _, p := range phases {
		fmt.Fprintf(tw, "%s\t%.0f\t%.0f\t%.0f %%\t%s\t%s\t%s\t%d\t%s\t%s\t%.1f %%\t%s\t%.1f %%\t%s\t%.1f %%\t%s\t%d\t%d\t%d\t%.0f\t\n", p.Name, p.Offered, p.Rate, 100*p.Share,
			ms(p.Answer.P50), ms(p.Answer.P99), ms(p.Answer.Max), p.Refused, ms(p.Turned.P50), ms(p.Turned.P99), 100*p.Turned.Late,
			ms(p.Steady.P99), 100*p.Steady.Late, ms(p.Served.P99), 100*p.Served.Late, ms(p.Delays.P99), p.Rude, p.Twice, p.Lost, float64(p.PeakKiB)/1024)
	}
	tw.Flush()
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond)) }
