package hooks

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of all webhooks. Labels are names of the configuration.
type metrics struct {
	attempts   *prometheus.CounterVec
	delay      *prometheus.HistogramVec
	passedOver *prometheus.CounterVec
}

var labels = []string{"organisation", "webhook"}

func newMetrics(reg prometheus.Registerer, d *Dispatcher) *metrics {
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_webhook_attempts_total",
			Help: "Requests to a webhook's receiver, by what came of them: delivered (2xx), gone (410), refused (another status), unreachable (no answer)."},
			append(labels, "result")),
		delay: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "straks_webhook_delay_seconds",
			Help:    "Time from a change of status to the receiver's answer of 2xx.",
			Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30, 300, 3600, 86400}}, labels),
		passedOver: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_webhook_passed_over_total",
			Help: "Feed entries that a webhook's receiver never got: it refused them, or was unreachable, for three days."}, labels),
	}
	reg.MustRegister(m.attempts, m.delay, m.passedOver, &levels{d})
	for _, s := range d.subscriptions {
		for _, r := range results {
			m.attempts.WithLabelValues(s.hook.Organisation, s.hook.Name, string(r))
		}
		m.delay.WithLabelValues(s.hook.Organisation, s.hook.Name)
		m.passedOver.WithLabelValues(s.hook.Organisation, s.hook.Name)
	}
	return m
}

// levels are the metrics that are read from the subscriptions when they are asked for.
type levels struct{ d *Dispatcher }

var (
	descStopped = prometheus.NewDesc("straks_webhook_stopped", "1 while a webhook is stopped, by an answer of 410 or for a cursor that can't be used: straks webhook resume.", labels, nil)
	descBehind  = prometheus.NewDesc("straks_webhook_behind_seconds", "Age of the oldest feed entry that a webhook's receiver has not taken; 0 where it has taken all.", labels, nil)
)

// Describe implements prometheus.Collector.
func (l *levels) Describe(ch chan<- *prometheus.Desc) {
	ch <- descStopped
	ch <- descBehind
}

// Collect implements prometheus.Collector.
func (l *levels) Collect(ch chan<- prometheus.Metric) {
	for _, st := range l.d.States() {
		stopped, behind := 0.0, 0.0
		if st.State == Stopped {
			stopped = 1
		}
		if !st.Waiting.IsZero() {
			behind = max(time.Since(st.Waiting).Seconds(), 0)
		}
		ch <- prometheus.MustNewConstMetric(descStopped, prometheus.GaugeValue, stopped, st.Organisation, st.Name)
		ch <- prometheus.MustNewConstMetric(descBehind, prometheus.GaugeValue, behind, st.Organisation, st.Name)
	}
}
