package audit

import "github.com/prometheus/client_golang/prometheus"

func (l *Log) register(reg prometheus.Registerer) {
	l.lines = prometheus.NewCounter(prometheus.CounterOpts{Name: "straks_audit_lines_total", Help: "Events that were written to the audit."})
	l.allLost = prometheus.NewCounter(prometheus.CounterOpts{Name: "straks_audit_lost_total",
		Help: "Events that were left out of the audit, because its disk did not keep up."})
	l.failing = prometheus.NewGauge(prometheus.GaugeOpts{Name: "straks_audit_failing", Help: "1 while the audit can't be written."})
	reg.MustRegister(l.lines, l.allLost, l.failing)
}
