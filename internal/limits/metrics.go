package limits

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	refused   *prometheus.CounterVec
	forgotten prometheus.Counter
	unpriced  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, l *Limits) *metrics {
	m := &metrics{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_limits_refused_total",
			Help: "Orders that a limit refused (429), by organisation and rule."}, []string{"organisation", "rule"}),
		forgotten: prometheus.NewCounter(prometheus.CounterOpts{Name: "straks_limits_forgotten_total",
			Help: "Recipients whose orders are not counted any more, though they should be: there are too many."}),
		unpriced: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_cost_unpriced_total",
			Help: "Messages that were sent without a price, though others have one: they count as if they cost nothing."}, []string{"organisation"}),
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
	reg.MustRegister(m.refused, m.forgotten, counted, m.unpriced, spending{l})
	return m
}

// begin makes the metrics of an organisation.
func (m *metrics) begin(organisation string) {
	m.unpriced.WithLabelValues(organisation)
	for _, rule := range rules {
		m.refused.WithLabelValues(organisation, rule)
	}
}

// spending is the metrics of what organisations spend. They show nothing where nothing has a price.
type spending struct{ l *Limits }

var (
	monthDesc = prometheus.NewDesc("straks_cost_month",
		"What the messages of this month (of UTC) cost, in the currency; those under way count with the most that they can cost.", []string{"organisation", "currency"}, nil)
	budgetDesc = prometheus.NewDesc("straks_cost_month_budget",
		"The budget of a month, in the currency; not there for an organisation without one.", []string{"organisation", "currency"}, nil)
)

func (s spending) Describe(out chan<- *prometheus.Desc) { out <- monthDesc; out <- budgetDesc }

func (s spending) Collect(out chan<- prometheus.Metric) {
	priced, currency := s.l.prices()
	if !priced {
		return
	}
	for _, of := range s.l.Spending(time.Now()) {
		out <- prometheus.MustNewConstMetric(monthDesc, prometheus.GaugeValue, of.Spent.Float(), of.Organisation, currency)
		if of.Budget > 0 {
			out <- prometheus.MustNewConstMetric(budgetDesc, prometheus.GaugeValue, of.Budget.Float(), of.Organisation, currency)
		}
	}
}
