package limits

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	refused   *prometheus.CounterVec
	forgotten prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, l *Limits) *metrics {
	m := &metrics{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_limits_refused_total",
			Help: "Orders that a limit refused (429), by organisation and rule."}, []string{"organisation", "rule"}),
		forgotten: prometheus.NewCounter(prometheus.CounterOpts{Name: "straks_limits_forgotten_total",
			Help: "Recipients whose orders are not counted any more, though they should be: there are too many."}),
	}
	counted := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "straks_limits_recipients",
		Help: "Recipients whose orders are counted, of all organisations."}, func() float64 {
		l.mu.Lock()
		defer l.mu.Unlock()
		n := l.across.size()
		for _, c := range l.of {
			n += c.recipients.size()
		}
		return float64(n)
	})
	reg.MustRegister(m.refused, m.forgotten, counted)
	for name := range l.cfg.Organisations {
		for _, rule := range rules {
			m.refused.WithLabelValues(name, rule)
		}
	}
	return m
}
