package mail

import (
	"github.com/prometheus/client_golang/prometheus"

	"straks/dlr/dsn"
)

// metrics count what comes back. What became of a report is in straks_receipts_total.
type metrics struct{ reports *prometheus.CounterVec }

// unmatched is the key of a mail that names no mail of ours.
const unmatched = "none"

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_mail_reports_total",
		Help: "Mails that came back, by what they say, and by what their mail is known: return_path (the token), envelope_id, message_id, or none."},
		[]string{"verdict", "key"})}
	for v := dsn.Nothing; v <= dsn.Complaint; v++ {
		for _, key := range []string{dsn.ReturnPath.String(), dsn.EnvelopeID.String(), dsn.MessageID.String(), unmatched} {
			m.reports.WithLabelValues(v.String(), key)
		}
	}
	if reg != nil {
		reg.MustRegister(m.reports)
	}
	return m
}

func (m *metrics) count(r dsn.Result) {
	key := unmatched
	if len(r.Keys) > 0 {
		key = r.Keys[0].Source.String()
	}
	m.reports.WithLabelValues(r.Verdict.String(), key).Inc()
}
