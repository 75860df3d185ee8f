package smtp

import (
	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/handover"
)

// metrics are the straks_smtp_* collectors, each labelled with the relay's
// configured name.
type metrics struct {
	seconds  *prometheus.HistogramVec
	replies  *prometheus.CounterVec
	connects *prometheus.CounterVec
	failures *prometheus.CounterVec
	late     *prometheus.CounterVec
}

// relayMetrics are one relay's series, made ahead so that they exist at zero.
type relayMetrics struct {
	seconds  map[handover.Outcome]prometheus.Observer
	replies  map[int]prometheus.Counter // by first digit; 0 for none
	late     map[int]prometheus.Counter // likewise
	connects prometheus.Counter
	failures map[Reason]prometheus.Counter
}

// milliseconds fits a relay on the same network (1 ms) up to one that scans (10 s).
var milliseconds = []float64{.0005, .001, .002, .004, .008, .016, .032, .064, .125, .25, .5, 1, 2, 5, 10, 30}

func newMetrics() *metrics {
	return &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "straks_smtp_handover_seconds",
			Help:    "Time of one transaction on a relay, from MAIL to the last reply.",
			Buckets: milliseconds,
		}, []string{"relay", "outcome"}),
		replies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "straks_smtp_replies_total",
			Help: "Replies that ended a transaction, by class; none: no reply came.",
		}, []string{"relay", "class"}),
		connects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "straks_smtp_connects_total",
			Help: "Connections made to a relay, ready for mail.",
		}, []string{"relay"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "straks_smtp_failures_total",
			Help: "Connections that could not be made or did not hold, by reason.",
		}, []string{"relay", "reason"}),
		late: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "straks_smtp_late_replies_total",
			Help: "Replies to a mail that came after its send deadline, by class; none: it was awaited in vain.",
		}, []string{"relay", "class"}),
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.seconds, m.replies, m.connects, m.failures, m.late}
}

// of makes the series of one relay.
func (m *metrics) of(name string) *relayMetrics {
	r := &relayMetrics{
		seconds:  make(map[handover.Outcome]prometheus.Observer),
		replies:  make(map[int]prometheus.Counter),
		late:     make(map[int]prometheus.Counter),
		failures: make(map[Reason]prometheus.Counter),
		connects: m.connects.WithLabelValues(name),
	}
	for o := handover.NotSent; o <= handover.Unknown; o++ {
		r.seconds[o] = m.seconds.WithLabelValues(name, o.String())
	}
	for digit, class := range map[int]string{0: "none", 2: "2yz", 4: "4yz", 5: "5yz"} {
		r.replies[digit] = m.replies.WithLabelValues(name, class)
		r.late[digit] = m.late.WithLabelValues(name, class)
	}
	for _, reason := range reasons {
		r.failures[reason] = m.failures.WithLabelValues(name, string(reason))
	}
	return r
}

func (r *relayMetrics) handedOver(res Result) {
	r.seconds[res.Outcome].Observe(res.took.Seconds())
	countReply(r.replies, res)
}

func (r *relayMetrics) lateReply(res Result) { countReply(r.late, res) }

func countReply(by map[int]prometheus.Counter, res Result) {
	counter, ok := by[res.Code/100]
	if !ok {
		counter = by[0]
	}
	counter.Inc()
}

// gauges read a relay's state when metrics are collected.
func (r *relay) gauges() []prometheus.Collector {
	gauge := func(name, help string, value func(RelayState) float64) prometheus.Collector {
		opts := prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: prometheus.Labels{"relay": r.Name}}
		return prometheus.NewGaugeFunc(opts, func() float64 { return value(r.state()) })
	}
	return []prometheus.Collector{
		gauge("straks_smtp_connections", "Open connections to a relay.",
			func(s RelayState) float64 { return float64(s.Open) }),
		gauge("straks_smtp_connections_in_use", "Open connections that carry a mail now.",
			func(s RelayState) float64 { return float64(s.InUse) }),
		gauge("straks_smtp_relay_up", "1 while at least one connection to the relay is open.",
			func(s RelayState) float64 {
				if s.Up {
					return 1
				}
				return 0
			}),
	}
}
