package pumping

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	alarms  *prometheus.CounterVec
	refused *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, d *Detector) *metrics {
	m := &metrics{
		alarms: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_pumping_alarms_total",
			Help: "Prefixes or countries whose orders began to look like pumping, by organisation and reason: share, undelivered, unused."}, []string{"organisation", "reason"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_pumping_refused_total",
			Help: "Orders that got 429 because their prefix is stopped for suspected pumping."}, []string{"organisation"}),
	}
	reg.MustRegister(m.alarms, m.refused, current{d})
	return m
}

// begin makes the metrics of organisations.
func (m *metrics) begin(modes map[string]Mode) {
	for organisation := range modes {
		m.refused.WithLabelValues(organisation)
		for _, reason := range reasons {
			m.alarms.WithLabelValues(organisation, reason)
		}
	}
}

// current is the metric of the alarms that there are.
type current struct{ d *Detector }

var currentDesc = prometheus.NewDesc("straks_pumping_suspected",
	"Prefixes and countries that are suspected of pumping now, by organisation.", []string{"organisation"}, nil)

func (c current) Describe(out chan<- *prometheus.Desc) { out <- currentDesc }

func (c current) Collect(out chan<- prometheus.Metric) {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	for name := range c.d.cfg.Modes {
		n := 0
		if o := c.d.of[name]; o != nil {
			n = len(o.alarms)
		}
		out <- prometheus.MustNewConstMetric(currentDesc, prometheus.GaugeValue, float64(n), name)
	}
}
