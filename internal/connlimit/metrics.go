package connlimit

import (
	"maps"

	"github.com/prometheus/client_golang/prometheus"
)

// Stats are the counts of one moment.
type Stats struct {
	Open    int
	Idle    int            // of those that are open: may be closed for another
	Closed  map[string]int // idle connections that were closed for another, by reason
	Refused map[string]int // new connections that were closed at once, by reason
}

// Stats returns the counts.
func (l *Limiter) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{l.open, l.idle.len(), maps.Clone(l.closed), maps.Clone(l.refused)}
}

// Collector returns metrics whose names begin with prefix, like "straks_http_connections".
func (l *Limiter) Collector(prefix string) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prefix+name, help, labels, nil)
	}
	return &collector{
		limiter: l,
		open:    desc("_open", "Open connections."),
		idle:    desc("_idle", "Open connections that have no request with a good token under way: they are closed when connections run short."),
		limit:   desc("_limit", "The largest number of open connections."),
		closed:  desc("_closed_total", "Idle connections that were closed for new ones, by the bound that was reached.", "reason"),
		refused: desc("_refused_total", "New connections that were closed at once, because no other was idle, by the bound that was reached.", "reason"),
	}
}

type collector struct {
	limiter                            *Limiter
	open, idle, limit, closed, refused *prometheus.Desc
}

// Describe sends the descriptions of the metrics.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.open, c.idle, c.limit, c.closed, c.refused} {
		to <- d
	}
}

// Collect sends the metrics.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	s := c.limiter.Stats()
	gauge := func(d *prometheus.Desc, n int) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n))
	}
	gauge(c.open, s.Open)
	gauge(c.idle, s.Idle)
	gauge(c.limit, c.limiter.limits.Open)
	counters := func(d *prometheus.Desc, counts map[string]int) {
		for reason, n := range counts {
			to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), reason)
		}
	}
	counters(c.closed, s.Closed)
	counters(c.refused, s.Refused)
}
