package smpp

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/handover"
	"straks/smpp/session"
	"straks/smpp/wire"
)

// metrics are the counters of all SMSCs. States are
// read at each scrape; see stateMetrics.
type metrics struct {
	sends        *prometheus.CounterVec
	responses    *prometheus.CounterVec
	responseTime *prometheus.HistogramVec
	binds        *prometheus.CounterVec
	bindFailures *prometheus.CounterVec
	retries      *prometheus.CounterVec
	oddities     *prometheus.CounterVec
	unanswered   *prometheus.CounterVec
}

// Causes for which a message was tried again, on the same bind or another.
const (
	causeThrottled = "throttled"
	causeTemporary = "temporary"
	causeRebind    = "rebind"
	causeNotSent   = "not_sent" // nothing was written
	causeRate      = "rate"     // the bind's rate did not allow it in time

	causeNotAllowed = "not_allowed" // Config.Allow did not
)

// PDUs that an SMSC should not have sent, or not then.
const (
	oddLate        = "late"        // a response after the response time-out or the send deadline
	oddUnmatched   = "unmatched"   // a response to none of our requests
	oddUndecodable = "undecodable" // a PDU that can't be read
	oddOverflow    = "overflow"    // a delivery while too many wait for our acknowledgement
)

// unknownStatus is the label of a status that SMPP 3.4 has no name for: an SMSC could
// send 2^32 of them.
const unknownStatus = "other"

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_smpp_" + name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	m := &metrics{
		sends:        counter("sends_total", "Messages handed over, by outcome.", "smsc", "outcome"),
		responses:    counter("responses_total", "Responses to submit_sm by command_status.", "smsc", "status"),
		binds:        counter("binds_total", "Successful binds.", "smsc"),
		bindFailures: counter("bind_failures_total", "Failed attempts to bind, by command_status or \"network\".", "smsc", "status"),
		retries:      counter("retries_total", "Attempts to submit that surely sent nothing and were followed by another.", "smsc", "cause"),
		unanswered:   counter("refused_unanswered_total", "Messages that were refused at once, since the SMSC does not answer submit_sm.", "smsc"),
		oddities:     counter("oddities_total", "PDUs that the SMSC should not have sent, or not then.", "smsc", "kind"),
		responseTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "straks_smpp_response_seconds",
			Help:    "From writing a submit_sm to its response.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10},
		}, []string{"smsc"}),
	}
	reg.MustRegister(m.responseTime)
	return m
}

// smscMetrics are the counters of one SMSC, looked up in advance.
type smscMetrics struct {
	sends        [handover.Unknown + 1]prometheus.Counter
	responses    map[string]prometheus.Counter // by label
	responseTime prometheus.Observer
	binds        prometheus.Counter
	failures     map[string]prometheus.Counter
	retries      map[string]prometheus.Counter
	oddities     map[string]prometheus.Counter
	unanswered   prometheus.Counter
}

// of creates every series of one SMSC, so that each starts at 0.
func (m *metrics) of(smsc string) *smscMetrics {
	s := &smscMetrics{
		responses:    map[string]prometheus.Counter{},
		responseTime: m.responseTime.WithLabelValues(smsc),
		binds:        m.binds.WithLabelValues(smsc),
		failures:     map[string]prometheus.Counter{"network": m.bindFailures.WithLabelValues(smsc, "network")},
		retries:      map[string]prometheus.Counter{},
		oddities:     map[string]prometheus.Counter{},
		unanswered:   m.unanswered.WithLabelValues(smsc),
	}
	for o := range s.sends {
		s.sends[o] = m.sends.WithLabelValues(smsc, handover.Outcome(o).String())
	}
	for _, name := range statusLabels() {
		s.responses[name] = m.responses.WithLabelValues(smsc, name)
		s.failures[name] = m.bindFailures.WithLabelValues(smsc, name)
	}
	for _, cause := range []string{causeThrottled, causeTemporary, causeRebind, causeNotSent, causeRate, causeNotAllowed} {
		s.retries[cause] = m.retries.WithLabelValues(smsc, cause)
	}
	for _, kind := range []string{oddLate, oddUnmatched, oddUndecodable, oddOverflow} {
		s.oddities[kind] = m.oddities.WithLabelValues(smsc, kind)
	}
	return s
}

// forget removes the series of an SMSC.
func (m *metrics) forget(smsc string) {
	of := prometheus.Labels{"smsc": smsc}
	m.responseTime.DeletePartialMatch(of)
	for _, counters := range []*prometheus.CounterVec{m.sends, m.responses, m.binds, m.bindFailures, m.retries, m.oddities, m.unanswered} {
		counters.DeletePartialMatch(of)
	}
}

// statusLabels returns every value of the label status.
func statusLabels() []string {
	labels := []string{unknownStatus}
	for s := range dispositions {
		labels = append(labels, s.String())
	}
	return labels
}

func statusLabel(s wire.Status) string {
	if _, known := dispositions[s]; known {
		return s.String()
	}
	return unknownStatus
}

func (s *smscMetrics) bindFailed(label string) { s.failures[label].Inc() }

// observer counts the events of a session.
func (b *bind) observer() session.Observer {
	oddities := b.smsc.metrics.oddities
	return session.Observer{
		Response:    b.countResponse,
		Unmatched:   func(wire.CommandID) { oddities[oddUnmatched].Inc() },
		Undecodable: func(*wire.DecodeError) { oddities[oddUndecodable].Inc() },
		Overflow:    func() { oddities[oddOverflow].Inc() },
	}
}

// countResponse counts one response to a submit, late or not.
func (b *bind) countResponse(took time.Duration, status wire.Status) {
	label := statusLabel(status)
	b.smsc.metrics.responses[label].Inc()
	b.smsc.metrics.responseTime.Observe(took.Seconds())
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.responses == nil {
		b.responses = make(map[string]uint64)
	}
	if b.responses[label]++; b.state.ResponseTime == 0 {
		b.state.ResponseTime = took
	}
	b.state.ResponseTime += (took - b.state.ResponseTime) / responseGain
}

// responseGain is over how many responses States takes the mean of response times.
const responseGain = 16

// countBind counts one successful bind.
func (b *bind) countBind() {
	b.smsc.metrics.binds.Inc()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.Binds++
}

// stateMetrics collects States as metrics.
type stateMetrics struct{ gateway *Gateway }

var (
	bindLabels   = []string{"smsc", "bind"}
	bindUp       = prometheus.NewDesc("straks_smpp_bind_up", "1 while bound; absent while another node has the bind, or its session still counts at the SMSC.", bindLabels, nil)
	bindState    = prometheus.NewDesc("straks_smpp_bind_state", "1 for the state that the bind is in.", append(bindLabels, "state"), nil)
	bindSince    = prometheus.NewDesc("straks_smpp_bind_state_since_seconds", "Unix time of the last change of state.", bindLabels, nil)
	bindInFlight = prometheus.NewDesc("straks_smpp_window_in_use", "Slots of the window in use.", bindLabels, nil)
	bindWindow   = prometheus.NewDesc("straks_smpp_window_size", "Slots of the window.", bindLabels, nil)
	bindRate     = prometheus.NewDesc("straks_smpp_rate_limit", "Submits per second that the bind may send now; 0 for no limit.", bindLabels, nil)
	waiting      = prometheus.NewDesc("straks_smpp_waiting", "Messages that wait for a slot in a window of the SMSC.", []string{"smsc"}, nil)
	pausedNow    = prometheus.NewDesc("straks_smpp_paused", "1 while an operator has paused or drained the SMSC.", []string{"smsc"}, nil)
	overdue      = prometheus.NewDesc("straks_smpp_overdue_seconds", "For how long responses to submit_sm have been missing, while the SMSC does not answer; else 0.", []string{"smsc"}, nil)
)

// Describe implements prometheus.Collector.
func (m stateMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{bindUp, bindState, bindSince, bindInFlight, bindWindow, bindRate, waiting, pausedNow, overdue} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m stateMetrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, b := range m.gateway.States() {
		if b.State != StateElsewhere && b.State != StateTakingOver { // which alarm nobody
			gauge(bindUp, truth(b.State == StateBound || b.State == StateStalled), b.SMSC, b.Bind)
		}
		for _, s := range states {
			gauge(bindState, truth(b.State == s), b.SMSC, b.Bind, string(s))
		}
		gauge(bindSince, float64(b.Since.UnixMilli())/1000, b.SMSC, b.Bind)
		gauge(bindInFlight, float64(b.InFlight), b.SMSC, b.Bind)
		gauge(bindWindow, float64(b.Window), b.SMSC, b.Bind)
		gauge(bindRate, b.Rate, b.SMSC, b.Bind)
	}
	for name, n := range m.gateway.slots.queued(m.gateway.smscs()) {
		gauge(waiting, float64(n), name)
	}
	for _, c := range m.gateway.smscs() {
		late, _ := m.gateway.slots.overdue(c, time.Now())
		gauge(overdue, late.Seconds(), c.Name)
		gauge(pausedNow, truth(m.gateway.slots.isPaused(c)), c.Name)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
