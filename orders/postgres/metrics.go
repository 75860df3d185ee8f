package postgres

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	commit  prometheus.Histogram
	batch   prometheus.Histogram
	barrier prometheus.Histogram
	refused prometheus.Counter
	retries *prometheus.CounterVec
	fenced  prometheus.Counter

	unreadable, unreplicated prometheus.Counter
}

// commitTimes are buckets for writes, in seconds.
var commitTimes = []float64{.0002, .0005, .001, .002, .004, .008, .016, .032, .064, .125, .25, .5, 1, 4}

// parkedCollector gives the levels of parked reports, by carrier. The keeper alone has them: all nodes share them.
type parkedCollector struct{ j *Journal }

var (
	parkedReports = prometheus.NewDesc("straks_journal_parked_reports", "Receipts of an SMSC that wait for the answer that they belong to.", []string{"smsc"}, nil)
	parkedBytes   = prometheus.NewDesc("straks_journal_parked_bytes", "Octets of these receipts in the journal.", []string{"smsc"}, nil)
)

func (c parkedCollector) Describe(to chan<- *prometheus.Desc) {
	to <- parkedReports
	to <- parkedBytes
}

func (c parkedCollector) Collect(to chan<- prometheus.Metric) {
	if !c.j.lease.keeper() {
		return
	}
	all, _ := c.j.counts.now()
	for _, carrier := range c.j.opt.Carriers {
		if _, ok := all[carrier]; !ok {
			all = all.with(carrier, 0, 0)
		}
	}
	for carrier, l := range all {
		to <- prometheus.MustNewConstMetric(parkedReports, prometheus.GaugeValue, float64(l.n), carrier)
		to <- prometheus.MustNewConstMetric(parkedBytes, prometheus.GaugeValue, float64(l.octets), carrier)
	}
}

func newMetrics(reg prometheus.Registerer, j *Journal) *metrics {
	f := promauto.With(reg)
	gauge := func(name, help string, value func() float64) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	one := func(is bool) float64 {
		if is {
			return 1
		}
		return 0
	}
	gauge("straks_journal_queue_length", "Calls that wait for the journal's writer.",
		func() float64 { return float64(len(j.orders.queue) + len(j.facts.queue)) })
	gauge("straks_journal_unavailable", "1 while the journal can't store: the database can't be written, or this node has no lease.",
		func() float64 { return one(j.Ready() != nil) })
	gauge("straks_node_lease_seconds", "For how long this node may still submit without renewing its lease.",
		func() float64 { return max(j.lease.left().Seconds(), 0) })
	gauge("straks_node_clock_offset_seconds", "By how much the database's clock is ahead of this machine's.",
		func() float64 { return j.lease.clockOffset().Seconds() })
	gauge("straks_node_live_nodes", "Nodes that hold a lease, as this one sees them.", func() float64 { return float64(j.Alive()) })
	gauge("straks_node_keeper", "1 on the node that keeps deadlines and retention.", func() float64 { return one(j.lease.keeper()) })
	gauge("straks_journal_resealing", "1 on the keeper while recipients may be stored that are plain, or sealed with the former key; else 0.",
		func() float64 { return one(j.lease.keeper() && j.sealing.resealing()) })
	if reg != nil {
		reg.MustRegister(parkedCollector{j}, alikeCollector{j}, slotCollector{j})
	}
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	retries := f.NewCounterVec(prometheus.CounterOpts{Name: "straks_journal_retries_total",
		Help: "Transactions that lost against another one and were done again, by the database's code (SQLSTATE)."}, []string{"code"})
	for _, code := range lostTo {
		retries.WithLabelValues(code)
	}
	return &metrics{
		commit: f.NewHistogram(prometheus.HistogramOpts{
			Name: "straks_journal_commit_seconds", Help: "Time of one transaction, its sync included.",
			Buckets: commitTimes,
		}),
		barrier: f.NewHistogram(prometheus.HistogramOpts{
			Name: "straks_journal_barrier_seconds", Help: "Time of the write that answers wait for which were read: until a standby has what was committed before.",
			Buckets: commitTimes,
		}),
		batch: f.NewHistogram(prometheus.HistogramOpts{
			Name: "straks_journal_batch_size", Help: "Calls in one transaction.", Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		refused:      counter("straks_journal_refused_total", "Calls refused because the queue was full."),
		retries:      retries,
		unreadable:   counter("straks_journal_unreadable_total", "Deadlines and feed entries that were skipped, and calls that failed, because a record could not be read."),
		unreplicated: counter("straks_journal_unreplicated_total", "Warnings of the database that a commit may be on no standby."),
		fenced:       counter("straks_node_fenced_total", "How often this node was declared dead while it ran."),
	}
}
