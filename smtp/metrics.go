package smtp

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/handover"
)

// metrics are the straks_smtp_* collectors. Each has the relay's configured name as a label.
type metrics struct {
	seconds  *prometheus.HistogramVec
	replies  *prometheus.CounterVec
	connects *prometheus.CounterVec
	failures *prometheus.CounterVec
	late     *prometheus.CounterVec
	silent   *prometheus.CounterVec
	signed   *prometheus.CounterVec // by result
}

// forget removes the series of a relay.
func (m *metrics) forget(name string) {
	relay := prometheus.Labels{"relay": name}
	m.seconds.DeletePartialMatch(relay)
	for _, counters := range []*prometheus.CounterVec{m.replies, m.connects, m.failures, m.late, m.silent} {
		counters.DeletePartialMatch(relay)
	}
}

// relayMetrics are the series of one relay.
type relayMetrics struct {
	seconds  prometheus.ObserverVec // by outcome
	replies  *prometheus.CounterVec // by class
	late     *prometheus.CounterVec // by class
	failures *prometheus.CounterVec // by reason
	connects prometheus.Counter
	silent   prometheus.Counter
}

// transactionSeconds fits a relay on the same network (1 ms) and one that scans mails (10 s).
var transactionSeconds = []float64{.0005, .001, .002, .004, .008, .016, .032, .064, .125, .25, .5, 1, 2, 5, 10, 30}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"relay"}, labels...))
	}
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "straks_smtp_handover_seconds",
			Help:    "Time of one transaction on a relay, from MAIL to the last reply.",
			Buckets: transactionSeconds,
		}, []string{"relay", "outcome"}),
		replies:  counter("straks_smtp_replies_total", "Replies that ended a transaction, by class; none: no reply arrived.", "class"),
		connects: counter("straks_smtp_connects_total", "Connections made to a relay, ready for mail."),
		failures: counter("straks_smtp_failures_total", "Connections that could not be made or broke, by reason.", "reason"),
		silent:   counter("straks_smtp_refused_unanswered_total", "Mails that were refused at once, since the relay does not reply to the final dot."),
		late:     counter("straks_smtp_late_replies_total", "Replies to a mail after its send deadline, by class; none: no reply arrived.", "class"),
		signed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "straks_smtp_dkim_mails_total",
			Help: "Mails by what DKIM made of them; unsigned: there is no key for the domain of the sender, failed: sent without a signature that they should have.",
		}, []string{"result"}),
	}
	for _, result := range []string{dkimSigned, dkimUnsigned, dkimFailed} {
		m.signed.WithLabelValues(result)
	}
	return m
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.seconds, m.replies, m.connects, m.failures, m.late, m.silent, m.signed}
}

// of returns the series of one relay, all of them initialised.
func (m *metrics) of(name string) *relayMetrics {
	relay := prometheus.Labels{"relay": name}
	r := &relayMetrics{
		seconds:  m.seconds.MustCurryWith(relay),
		replies:  m.replies.MustCurryWith(relay),
		late:     m.late.MustCurryWith(relay),
		failures: m.failures.MustCurryWith(relay),
		connects: m.connects.With(relay),
		silent:   m.silent.With(relay),
	}
	for o := handover.NotSent; o <= handover.Unknown; o++ {
		r.seconds.WithLabelValues(o.String())
	}
	for _, code := range []int{0, 250, 450, 550} {
		r.replies.WithLabelValues(class(code))
		r.late.WithLabelValues(class(code))
	}
	for _, reason := range reasons {
		r.failures.WithLabelValues(string(reason))
	}
	return r
}

// class is a reply code as a label.
func class(code int) string {
	switch code / 100 {
	case 2, 4, 5:
		return fmt.Sprintf("%dyz", code/100)
	}
	return "none"
}

func (r *relayMetrics) handedOver(res Result) {
	r.seconds.WithLabelValues(res.Outcome.String()).Observe(res.took.Seconds())
	r.replies.WithLabelValues(class(res.Code)).Inc()
}

// gauges read the state of each relay when metrics are collected.
type gauges struct{ pool *Pool }

func gauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, []string{"relay"}, nil)
}

var (
	openGauge    = gauge("straks_smtp_connections", "Open connections to a relay.")
	inUseGauge   = gauge("straks_smtp_connections_in_use", "Open connections that carry a mail now.")
	upGauge      = gauge("straks_smtp_relay_up", "1 while at least one connection to the relay is open.")
	overdueGauge = gauge("straks_smtp_overdue_seconds", "For how long replies to the final dot have been missing, while the relay does not answer; else 0.")
	pausedGauge  = gauge("straks_smtp_paused", "1 while an operator has paused or drained the relay.")
)

// Describe implements prometheus.Collector.
func (g gauges) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{openGauge, inUseGauge, upGauge, overdueGauge, pausedGauge} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(metrics chan<- prometheus.Metric) {
	for _, s := range g.pool.States() {
		show := func(d *prometheus.Desc, value float64) {
			metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, s.Name)
		}
		show(openGauge, float64(s.Open))
		show(inUseGauge, float64(s.InUse))
		show(upGauge, float64(min(s.Open, 1)))
		show(overdueGauge, s.Overdue.Seconds())
		paused := 0.0
		if !s.Paused.IsZero() {
			paused = 1
		}
		show(pausedGauge, paused)
	}
}
