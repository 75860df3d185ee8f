package codes

import (
	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/numbers"
	"straks/orders"
)

type metrics struct {
	statuses *prometheus.CounterVec
	checks   *prometheus.CounterVec
	stopped  prometheus.Counter
	uses     *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, organisations []string) *metrics {
	m := &metrics{
		statuses: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_verifications_total",
			Help: "Verifications that came to a status, by organisation and status."}, []string{"organisation", "status"}),
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_verification_checks_total",
			Help: "Codes checked, by outcome: approved, wrong, ended, stopped, unknown."}, []string{"outcome"}),
		stopped: prometheus.NewCounter(prometheus.CounterOpts{Name: "straks_verification_recipients_stopped_total",
			Help: "Recipients that were stopped for an hour, after 100 wrong codes within an hour."}),
		uses: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_verification_codes_total",
			Help: "Codes of verifications that have ended, by the country code of the number (or email), and whether they were used. Many that nobody uses are a sign of numbers that are paid for traffic."}, []string{"to", "used"}),
	}
	for _, o := range organisations {
		for _, s := range Statuses() {
			m.statuses.WithLabelValues(o, string(s))
		}
	}
	for _, o := range []Outcome{Right, Wrong, Ended, Stopped, Unknown} {
		m.checks.WithLabelValues(string(o))
	}
	for _, used := range []string{"true", "false"} {
		m.uses.WithLabelValues("email", used) // countries appear with their first code
	}
	if reg != nil {
		reg.MustRegister(m.statuses, m.checks, m.stopped, m.uses)
	}
	return m
}

func (m *metrics) status(organisation string, s Status) {
	m.statuses.WithLabelValues(organisation, string(s)).Inc()
}

func (m *metrics) checked(o Outcome) { m.checks.WithLabelValues(string(o)).Inc() }

// used counts a code that nobody needs any more.
func (m *metrics) used(a Address, used bool) {
	to := "email"
	if a.Channel == orders.SMS {
		to = "+" + numbers.CountryCode(string(a.To))
	}
	label := "false"
	if used {
		label = "true"
	}
	m.uses.WithLabelValues(to, label).Inc()
}
