package bolt

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// parkedCollector gives the levels of parked reports, by carrier.
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
	levels := c.j.parkedLevels()
	for _, carrier := range c.j.opt.Carriers {
		if _, ok := levels[carrier]; !ok {
			to <- prometheus.MustNewConstMetric(parkedReports, prometheus.GaugeValue, 0, carrier)
			to <- prometheus.MustNewConstMetric(parkedBytes, prometheus.GaugeValue, 0, carrier)
		}
	}
	for carrier, level := range levels {
		to <- prometheus.MustNewConstMetric(parkedReports, prometheus.GaugeValue, float64(level.n), carrier)
		to <- prometheus.MustNewConstMetric(parkedBytes, prometheus.GaugeValue, float64(level.octets), carrier)
	}
}

type metrics struct {
	commit  prometheus.Histogram
	batch   prometheus.Histogram
	refused prometheus.Counter

	unreadable prometheus.Counter
	resealing  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, j *Journal) *metrics {
	f := promauto.With(reg)
	gauge := func(name, help string, value func() float64) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	gauge("straks_journal_queue_length", "Calls that wait for the journal's writer.",
		func() float64 { return float64(len(j.accepts) + len(j.facts)) })
	if reg != nil {
		reg.MustRegister(parkedCollector{j})
	}
	gauge("straks_journal_unavailable", "1 while the journal can't store: it can't write, takes longer than a second for it, or has reached max_size.", func() float64 {
		if j.Ready() != nil {
			return 1
		}
		return 0
	})
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "straks_journal_file_bytes", Help: "Size of the journal's pages, free ones included."},
		func() float64 { return float64(j.Levels().FileSize) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "straks_journal_free_bytes", Help: "Size of the journal's free pages."},
		func() float64 { return float64(j.Levels().FreeSize) })
	gauge("straks_journal_disk_free_bytes", "Free on the disk of the journal; -1 where that can't be read.", func() float64 {
		free, err := freeBeside(j.path)
		if err != nil {
			return -1
		}
		return float64(free)
	})
	gauge("straks_journal_max_bytes", "max_size, at which orders are refused; 0 for none.", func() float64 { return float64(j.opt.MaxSize) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "straks_journal_feed_entries", Help: "Entries in the feeds of all organisations."},
		func() float64 { return float64(j.Levels().FeedEntries) })
	return &metrics{
		commit: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "straks_journal_commit_seconds",
			Help:    "Time of one transaction, its sync included.",
			Buckets: []float64{.0002, .0005, .001, .002, .004, .008, .016, .032, .064, .125, .25, .5, 1, 4},
		}),
		batch: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "straks_journal_batch_size",
			Help:    "Calls in one transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		resealing: f.NewGauge(prometheus.GaugeOpts{
			Name: "straks_journal_resealing",
			Help: "1 while recipients may be stored that are plain, or sealed with the former key; else 0.",
		}),
		refused: f.NewCounter(prometheus.CounterOpts{
			Name: "straks_journal_refused_total",
			Help: "Calls refused because the queue was full.",
		}),
		unreadable: f.NewCounter(prometheus.CounterOpts{
			Name: "straks_journal_unreadable_total",
			Help: "Deadlines and feed entries that were skipped, and calls that failed, because a record could not be read.",
		}),
	}
}
