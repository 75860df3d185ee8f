package bench

import (
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

// Result is what a run showed.
type Result struct {
	Name      string        `json:"name"`
	Orders    int           `json:"orders"`    // answered 201
	Refused   int           `json:"refused"`   // answered otherwise
	Repeated  int           `json:"repeated"`  // sent twice: must be 0
	Unseen    int           `json:"unseen"`    // answered 201, never at the SMSC: must be 0
	Delivered int           `json:"delivered"` // final in the feed, by its receipt
	Rate      float64       `json:"ordersPerSecond"`
	Submit    Percentiles   `json:"requestToSubmit"`  // request's first octet to submit_sm at the SMSC
	Answer    Percentiles   `json:"requestToAnswer"`  // request's first octet to the whole answer
	Settled   time.Duration `json:"lastReceiptAfter"` // from the last answer until every receipt was in the feed
	CPU       time.Duration `json:"cpuPerOrder"`      // the daemon's processor time, user and kernel: hardly depends on what else runs
	OwnCPU    time.Duration `json:"ownCpuPerOrder"`   // the same of load generator and SMSC together
	AnonKiB   int           `json:"rssAnonKiB"`       // the daemon's resident memory, file pages apart
	PeakKiB   int           `json:"peakRssAnonKiB"`   // highest seen during the run
}

// Percentiles of a latency.
type Percentiles struct{ P50, P99, Max time.Duration }

// Result sums the run up, but for what only the feed and the daemon know.
func (t *Track) Result(name string) Result {
	r := Result{Name: name, Repeated: int(t.repeated.Load()), Refused: int(t.refused.Load())}
	var submit, answer []time.Duration
	for n := range t.begun {
		if t.answered[n].Load() == 0 {
			continue
		}
		r.Orders++
		answer = append(answer, since(&t.begun[n], &t.answered[n]))
		if t.seen[n].Load() == 0 {
			r.Unseen++
			continue
		}
		submit = append(submit, since(&t.begun[n], &t.seen[n]))
	}
	r.Rate = float64(r.Orders) / t.Elapsed.Seconds()
	r.Submit, r.Answer = percentiles(submit), percentiles(answer)
	return r
}

func since(from, to *atomic.Int64) time.Duration { return time.Duration(to.Load() - from.Load()) }

func percentiles(all []time.Duration) Percentiles {
	if len(all) == 0 {
		return Percentiles{}
	}
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[min(int(q*float64(len(all))), len(all)-1)] }
	return Percentiles{P50: at(0.5), P99: at(0.99), Max: all[len(all)-1]}
}

// Print writes the results as a table.
func Print(w io.Writer, results []Result) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "run\torders\torders/s\tto submit_sm p50\tp99\tto answer p50\tp99\tnot 201\ttwice\tlost\tdelivered\tCPU/order\tours\tMiB\tpeak\t")
	for _, r := range results {
		fmt.Fprintf(tw, "%s\t%d\t%.0f\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d µs\t%d µs\t%.0f\t%.0f\t\n", r.Name, r.Orders, r.Rate,
			ms(r.Submit.P50), ms(r.Submit.P99), ms(r.Answer.P50), ms(r.Answer.P99),
			r.Refused, r.Repeated, r.Unseen, r.Delivered, r.CPU.Microseconds(), r.OwnCPU.Microseconds(), float64(r.AnonKiB)/1024, float64(r.PeakKiB)/1024)
	}
	tw.Flush()
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond)) }
