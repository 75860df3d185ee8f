package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Result is what a run showed.
type Result struct {
	Name       string        `json:"name"`
	Orders     int           `json:"orders"`    // answered 201
	Refused    int           `json:"refused"`   // answered otherwise
	Repeated   int           `json:"repeated"`  // sent twice: must be 0
	Unseen     int           `json:"unseen"`    // answered 201, never at the SMSC: must be 0
	Delivered  int           `json:"delivered"` // final in the feed, by its receipt
	Rate       float64       `json:"ordersPerSecond"`
	SubmitRate float64       `json:"submitsPerSecond"` // until the last order was seen at the SMSC
	Submit     Percentiles   `json:"requestToSubmit"`  // request's first octet to submit_sm at the SMSC
	Answer     Percentiles   `json:"requestToAnswer"`  // request's first octet to the whole answer
	Receipt    Percentiles   `json:"receiptToFeed"`    // deliver_sm written to deliver_sm_resp, which follows the commit that shows it in the feed
	Page       Percentiles   `json:"feedPage"`         // a page of 500 at the feed's tail, after the run
	Settled    time.Duration `json:"lastReceiptAfter"` // from the last answer until every receipt was in the feed
	CPU        time.Duration `json:"cpuPerOrder"`      // the gateway's processor time, user and kernel: hardly depends on what else runs
	OwnCPU     time.Duration `json:"ownCpuPerOrder"`   // the same of load generator and SMSC together
	Batch      float64       `json:"callsPerCommit"`   // orders, answers and batches of receipts that share a commit
	Commit     time.Duration `json:"meanCommit"`       // the journal's, its syncs included
	Stored     int           `json:"stored"`           // shipments in the journal before the run
	RestKiB    int           `json:"restRssAnonKiB"`   // the gateway's resident memory before the run, file pages apart
	PeakKiB    int           `json:"peakRssAnonKiB"`   // the highest seen during the run
}

// Percentiles of a latency, in nanoseconds.
type Percentiles struct{ P50, P99, Max time.Duration }

func (p Percentiles) String() string {
	if p == (Percentiles{}) {
		return "-"
	}
	return fmt.Sprintf("%.2f / %.2f", milliseconds(p.P50), milliseconds(p.P99))
}

// Broken returns an error where the run had what none may have.
func (r *Result) Broken() error {
	if r.Repeated+r.Unseen == 0 {
		return nil
	}
	return fmt.Errorf("%s: %d orders sent twice, %d never seen at the SMSC", r.Name, r.Repeated, r.Unseen)
}

// Print writes the results side by side.
func Print(w io.Writer, results []Result) {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	for _, line := range lines {
		fmt.Fprintf(tw, "%s\t", line.title)
		for i := range results {
			fmt.Fprintf(tw, "%s\t", line.cell(&results[i]))
		}
		fmt.Fprintln(tw)
	}
	tw.Flush()
}

// lines are the table's.
var lines = []struct {
	title string
	cell  func(*Result) string
}{
	{"", func(r *Result) string { return r.Name }},
	{"orders/s answered", func(r *Result) string { return fmt.Sprintf("%.0f", r.Rate) }},
	{"submit_sm/s at the SMSC", func(r *Result) string { return fmt.Sprintf("%.0f", r.SubmitRate) }},
	{"request to submit_sm, p50 / p99 ms", func(r *Result) string { return r.Submit.String() }},
	{"request to answer, p50 / p99 ms", func(r *Result) string { return r.Answer.String() }},
	{"receipt to feed, p50 / p99 ms", func(r *Result) string { return r.Receipt.String() }},
	{"last receipt after the last answer, ms", func(r *Result) string { return fmt.Sprintf("%.0f", milliseconds(r.Settled)) }},
	{"feed page of 500, p50 / p99 ms", func(r *Result) string { return r.Page.String() }},
	{"orders", func(r *Result) string { return fmt.Sprint(r.Orders) }},
	{"not taken / sent twice / never seen", func(r *Result) string { return fmt.Sprintf("%d / %d / %d", r.Refused, r.Repeated, r.Unseen) }},
	{"delivered", func(r *Result) string { return fmt.Sprint(r.Delivered) }},
	{"stored before", func(r *Result) string { return fmt.Sprint(r.Stored) }},
	{"memory at rest / peak, MiB", func(r *Result) string {
		return fmt.Sprintf("%.0f / %.0f", float64(r.RestKiB)/1024, float64(r.PeakKiB)/1024)
	}},
	{"CPU of gateway / client and SMSC, µs/order", func(r *Result) string {
		return fmt.Sprintf("%d / %d", r.CPU.Microseconds(), r.OwnCPU.Microseconds())
	}},
	{"calls in a commit / its mean ms", func(r *Result) string {
		if r.Batch == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f / %.2f", r.Batch, milliseconds(r.Commit))
	}},
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
