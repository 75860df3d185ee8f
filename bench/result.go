package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// result is one round of one scenario, or of one phase of an overload.
type result struct {
	Name       string        `json:"name"`
	Program    string        `json:"program"`
	Round      int           `json:"round"`
	Orders     int           `json:"orders"`     // answered 2xx
	Refused    int           `json:"refused"`    // answered otherwise
	Improper   int           `json:"improper"`   // of those, other than by 503 with Retry-After: must be 0
	Duplicates int           `json:"duplicates"` // sent twice: must be 0
	Lost       int           `json:"lost"`       // answered 2xx, never at the SMSC: must be 0
	Delivered  int           `json:"delivered"`  // final in the feed, by the receipt
	Offered    float64       `json:"offeredPerSecond"`
	Rate       float64       `json:"ordersPerSecond"`
	OfPeak     float64       `json:"ofPeak"`           // Rate by that of the overload's peak
	SubmitRate float64       `json:"submitsPerSecond"` // until the last order was seen at the SMSC
	Submit     percentiles   `json:"requestToSubmit"`  // request's first octet (in an overload: when due) to submit_sm at the SMSC
	Answer     percentiles   `json:"requestToAnswer"`  // likewise, to the whole answer
	Refusal    percentiles   `json:"requestToRefusal"` // likewise
	Late       percentiles   `json:"generatorLate"`    // part of Answer and Refusal: when due to first octet
	Receipt    percentiles   `json:"receiptToFeed"`    // deliver_sm written to deliver_sm_resp, which follows the commit that shows it in the feed
	Page       percentiles   `json:"feedPage"`         // a page of 500 at the feed's tail, after the run
	Settled    time.Duration `json:"lastReceiptAfter"` // from the last answer until every receipt was in the feed
	CPU        time.Duration `json:"cpuPerOrder"`      // the gateway's processor time, user and kernel: hardly depends on what else runs
	OwnCPU     time.Duration `json:"ownCpuPerOrder"`   // the same of load generator and SMSC together
	// Of nodes: processor time of all servers of their database, and their memory after the run.
	DatabaseCPU time.Duration `json:"databaseCpuPerOrder"`
	DatabaseKiB int           `json:"databaseKiB"`
	Batch       float64       `json:"callsPerCommit"` // orders, answers and batches of receipts that share a commit
	Commit      time.Duration `json:"meanCommit"`     // the journal's, its syncs included
	Stored      int           `json:"stored"`         // shipments in the journal before the run
	RestKiB     int           `json:"restRssAnonKiB"` // the gateway's resident memory before the run, without file pages
	PeakKiB     int           `json:"peakRssAnonKiB"` // the highest during the run
}

// broken returns an error for a result that no run may have.
func (r *result) broken() error {
	if r.Duplicates+r.Lost+r.Improper == 0 {
		return nil
	}
	return fmt.Errorf("%s, %s: %d orders sent twice, %d never seen at the SMSC, %d refused other than by 503 with Retry-After",
		r.Program, r.Name, r.Duplicates, r.Lost, r.Improper)
}

// figure is one row of the tables.
type figure struct {
	title, verb string // verb formats each number; numbers are separated by " / "
	numbers     func(*result) []float64
}

var figures = []figure{
	{"orders/s offered", "%.0f", func(r *result) []float64 { return numbers(r.Offered) }},
	{"orders/s answered", "%.0f", func(r *result) []float64 { return numbers(r.Rate) }},
	{"of the peak, %", "%.0f", func(r *result) []float64 { return some(r.OfPeak > 0, 100*r.OfPeak) }},
	{"submit_sm/s at the SMSC", "%.0f", func(r *result) []float64 { return numbers(r.SubmitRate) }},
	{"request to submit_sm, p50 / p99 ms", "%.2f", func(r *result) []float64 { return r.Submit.numbers() }},
	{"request to answer, p50 / p99 ms", "%.2f", func(r *result) []float64 { return r.Answer.numbers() }},
	{"request to refusal, p50 / p99 ms", "%.2f", func(r *result) []float64 { return r.Refusal.numbers() }},
	{"generator late, p50 / p99 ms", "%.2f", func(r *result) []float64 { return r.Late.numbers() }},
	{"receipt to feed, p50 / p99 ms", "%.2f", func(r *result) []float64 { return r.Receipt.numbers() }},
	{"last receipt after the last answer, ms", "%.0f", func(r *result) []float64 { return some(r.Settled > 0, milliseconds(r.Settled)) }},
	{"feed page of 500, p50 / p99 ms", "%.2f", func(r *result) []float64 { return r.Page.numbers() }},
	{"orders / delivered", "%.0f", func(r *result) []float64 { return numbers(float64(r.Orders), float64(r.Delivered)) }},
	{"refused / improperly", "%.0f", func(r *result) []float64 { return numbers(float64(r.Refused), float64(r.Improper)) }},
	{"sent twice / lost", "%.0f", func(r *result) []float64 { return numbers(float64(r.Duplicates), float64(r.Lost)) }},
	{"stored before", "%.0f", func(r *result) []float64 { return some(r.Stored > 0, float64(r.Stored)) }},
	{"memory at rest / peak, MiB", "%.0f", func(r *result) []float64 { return numbers(float64(r.RestKiB)/1024, float64(r.PeakKiB)/1024) }},
	{"CPU of gateway / client and SMSC, µs/order", "%.0f", func(r *result) []float64 {
		return some(r.CPU > 0, float64(r.CPU.Microseconds()), float64(r.OwnCPU.Microseconds()))
	}},
	{"CPU of the database, µs/order", "%.0f", func(r *result) []float64 { return some(r.DatabaseCPU > 0, float64(r.DatabaseCPU.Microseconds())) }},
	{"memory of the database, MiB", "%.0f", func(r *result) []float64 { return some(r.DatabaseKiB > 0, float64(r.DatabaseKiB)/1024) }},
	{"calls in a commit / its mean ms", "%.2f", func(r *result) []float64 { return some(r.Batch > 0, r.Batch, milliseconds(r.Commit)) }},
}

func numbers(all ...float64) []float64 { return all }

// some returns the numbers where they were measured.
func some(measured bool, all ...float64) []float64 {
	if !measured {
		return nil
	}
	return all
}

func (p percentiles) numbers() []float64 {
	return some(p != percentiles{}, milliseconds(p.P50), milliseconds(p.P99))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// medians returns the median over the rounds of each number of the figure.
func (f figure) medians(rounds []result) []float64 {
	var all [][]float64
	for i := range rounds {
		for k, x := range f.numbers(&rounds[i]) {
			if k == len(all) {
				all = append(all, nil)
			}
			all[k] = append(all[k], x)
		}
	}
	var medians []float64
	for _, xs := range all {
		slices.Sort(xs)
		medians = append(medians, (xs[(len(xs)-1)/2]+xs[len(xs)/2])/2)
	}
	return medians
}

func cell(verb string, all []float64) string {
	var texts []string
	for _, x := range all {
		texts = append(texts, fmt.Sprintf(verb, x))
	}
	return cmp.Or(strings.Join(texts, " / "), "-")
}

// ratios divides each number of after by that of before.
func ratios(before, after []float64) string {
	var texts []string
	for k := range min(len(before), len(after)) {
		text := "-"
		if before[k] > 0 {
			text = fmt.Sprintf("%.2f", after[k]/before[k])
		}
		texts = append(texts, text)
	}
	return cmp.Or(strings.Join(texts, " / "), "-")
}

// namesIn returns the scenarios and the programs of the results, in their order.
func namesIn(results []result) (names, programs []string) {
	for _, r := range results {
		if !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
		if !slices.Contains(programs, r.Program) {
			programs = append(programs, r.Program)
		}
	}
	return names, programs
}

// roundsOf returns the results of one program in one scenario.
func roundsOf(results []result, name, program string) []result {
	return slices.DeleteFunc(slices.Clone(results), func(r result) bool { return r.Name != name || r.Program != program })
}

// printMarkdown writes one table of the medians for docs/performance.md. A cell has the
// figures of each program, and in parentheses the ratios of the last to the first.
func printMarkdown(w io.Writer, results []result) {
	names, programs := namesIn(results)
	fmt.Fprintf(w, "| %s | %s |\n|---|%s\n", strings.Join(programs, " → "), strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	for _, f := range figures {
		row, measured := "", false
		for _, name := range names {
			var texts []string
			var all [][]float64
			for _, program := range programs {
				medians := f.medians(roundsOf(results, name, program))
				all, texts = append(all, medians), append(texts, cell(f.verb, medians))
				measured = measured || len(medians) > 0
			}
			row += strings.Join(texts, " → ")
			if len(programs) > 1 {
				row += " (" + ratios(all[0], all[len(all)-1]) + ")"
			}
			row += " | "
		}
		if measured {
			fmt.Fprintf(w, "| %s | %s\n", f.title, strings.TrimSpace(row))
		}
	}
}

// printResults writes the medians of the rounds: one table of all scenarios for one
// program; for more programs a table for each scenario, with the ratios of the last
// program's figures to the first's.
func printResults(w io.Writer, results []result) {
	names, programs := namesIn(results)
	rounds := func(name, program string) []result { return roundsOf(results, name, program) }
	if len(programs) == 1 {
		var columns [][]result
		for _, name := range names {
			columns = append(columns, rounds(name, programs[0]))
		}
		printTable(w, "", names, columns, false)
		return
	}
	for _, name := range names {
		var columns [][]result
		for _, program := range programs {
			columns = append(columns, rounds(name, program))
		}
		printTable(w, name, programs, columns, true)
		fmt.Fprintln(w)
	}
}

// printTable writes a column of figures for each element of columns, the rounds of one
// program in one scenario. Figures that no column has are left out.
func printTable(w io.Writer, title string, heads []string, columns [][]result, compare bool) {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tw, "%s\t%s\t", title, strings.Join(heads, "\t"))
	if compare {
		fmt.Fprint(tw, "ratio\t")
	}
	fmt.Fprintln(tw)
	for _, f := range figures {
		var all [][]float64
		measured := false
		for _, rounds := range columns {
			all = append(all, f.medians(rounds))
			measured = measured || len(all[len(all)-1]) > 0
		}
		if !measured {
			continue
		}
		fmt.Fprintf(tw, "%s\t", f.title)
		for _, medians := range all {
			fmt.Fprintf(tw, "%s\t", cell(f.verb, medians))
		}
		if compare {
			fmt.Fprintf(tw, "%s\t", ratios(all[0], all[len(all)-1]))
		}
		fmt.Fprintln(tw)
	}
	tw.Flush()
}
