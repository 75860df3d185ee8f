package forward

import "github.com/prometheus/client_golang/prometheus"

// What came of a request that this node could not send itself: labels of a metric.
const (
	answered  = "answered"  // by another node, whatever its status
	none      = "none"      // no live node could send it
	unreached = "unreached" // one could, and no connection to it was made
	broken    = "broken"    // it may have the request, and gave no answer
	abandoned = "abandoned" // the client left first
)

type metrics struct{ forwarded *prometheus.CounterVec }

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "straks_forwarded_total", Help: "Orders that this node could not send, by what came of forwarding them to another node.",
	}, []string{"result"})}
	for _, result := range []string{answered, none, unreached, broken, abandoned} {
		m.forwarded.WithLabelValues(result)
	}
	if reg == nil {
		return m, nil
	}
	return m, reg.Register(m.forwarded)
}

func (m *metrics) count(result string) { m.forwarded.WithLabelValues(result).Inc() }
