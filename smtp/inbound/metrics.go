package inbound

import "github.com/prometheus/client_golang/prometheus"

// result is how a mail or a recipient ended. It is a label of metrics.
type result string

const (
	resultStored    result = "stored"    // a report, 250
	resultForwarded result = "forwarded" // to the operator, 250
	resultDeferred  result = "deferred"  // the handler could not take it, 451
	resultRefused   result = "refused"   // the handler never will, 554
	resultUnknown   result = "unknown"   // a recipient without a mailbox, 550
	resultTooLarge  result = "too_large" // 552, or 554 for a line
	resultCut       result = "cut"       // the connection ended first, or the time
	resultBusy      result = "busy"      // no memory for it, 452
	resultTooOften  result = "too_often" // beyond a rate, 451 or 421
	resultLoop      result = "loop"      // 554
)

var results = []result{resultStored, resultForwarded, resultDeferred, resultRefused, resultUnknown, resultTooLarge, resultCut, resultBusy, resultTooOften, resultLoop}

// metrics are the straks_mail_* collectors of the server.
type metrics struct {
	mails *prometheus.CounterVec
	other []prometheus.Collector
}

func newMetrics(s *Server) *metrics {
	m := &metrics{mails: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_mail_received_total",
		Help: "Mails for our return paths, postmaster and abuse, and recipients that were refused, by listener and result."}, []string{"listener", "result"})}
	for _, r := range results {
		m.mails.WithLabelValues("smtp", string(r))
		m.mails.WithLabelValues("lmtp", string(r))
	}
	m.other = []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "straks_mail_octets",
			Help: "Memory of the mails that are being received."}, func() float64 { return float64(s.memory.inUse()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "straks_mail_octets_limit",
			Help: "The largest memory of the mails that are being received."}, func() float64 { return float64(s.memory.limit) }),
		s.limiters[0].Collector("straks_mail_connections"),
	}
	if c := s.certificate; c != nil {
		m.other = append(m.other, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "straks_mail_certificate_not_after_seconds",
			Help: "Unix time at which the certificate in use expires; absent without STARTTLS."}, c.expires))
	}
	return m
}

func (m *metrics) collectors() []prometheus.Collector { return append(m.other, m.mails) }

func (m *metrics) count(lmtp bool, r result) {
	listener := "smtp"
	if lmtp {
		listener = "lmtp"
	}
	m.mails.WithLabelValues(listener, string(r)).Inc()
}
