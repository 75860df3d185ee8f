package orders

import (
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Stages of an order's way, as they are spelled in the metric.
const (
	stageAccept   = "accept"    // until order and key are on disk
	stageHandOver = "hand_over" // until the carrier answered
	stageSettle   = "settle"    // until the answer is on disk
)

// outcomes are those of an order: the four of a hand-over, and those of orders without
// one.
var outcomes = []string{"accepted", "refused", "not_sent", "unknown", "repeated", "blocked", "suppressed", "busy", "limited", "unavailable"}

var receiptResults = []string{"applied", "noted", "repeated", "parked"}

// milliseconds are buckets for times from 100 µs to 10 s.
var milliseconds = []float64{.0001, .00025, .0005, .001, .002, .003, .005, .0075, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// arrivalTimes are buckets for receipts, from the network's second to the TTL of two days.
var arrivalTimes = []float64{.01, .05, .1, .5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600, 6 * 3600, 86400, 172800}

// stageOf names a stage of the orders of a channel.
type stageOf struct {
	channel Channel
	stage   string
}

type metrics struct {
	orders       *prometheus.CounterVec
	stages       map[stageOf]prometheus.Observer // looked up once: each order passes all stages
	changes      *changeCounters
	matched      *prometheus.CounterVec
	receipts     *prometheus.CounterVec
	receiptDelay prometheus.Histogram
	mismatched   *prometheus.CounterVec
	unknown      prometheus.Counter
	dropped      *prometheus.CounterVec
	suppressions *prometheus.CounterVec
	inboxFull    prometheus.Counter
	removed      prometheus.Counter
	givenUp      prometheus.Counter
	refused      *prometheus.CounterVec
	waits        *prometheus.HistogramVec
	waited       *prometheus.CounterVec
	reg          prometheus.Registerer
}

// refusals are the reasons for which an order is not admitted.
var refusals = []string{"overload", "timeout", "queue_full"}

// waitTimes are buckets for orders that wait to be admitted, up to longestWait.
var waitTimes = []float64{.001, .0025, .005, .01, .025, .05, .1, .2, .3, .4, .5}

// admissionMetrics are those of one channel's admission, looked up once.
type admissionMetrics struct {
	refused map[string]prometheus.Counter // by reason
	wait    prometheus.Observer
}

func (m *metrics) admission(c Channel) *admissionMetrics {
	am := &admissionMetrics{refused: make(map[string]prometheus.Counter), wait: m.waits.WithLabelValues(c.String())}
	for _, reason := range refusals {
		am.refused[reason] = m.refused.WithLabelValues(c.String(), reason)
	}
	return am
}

func newMetrics(reg prometheus.Registerer, organisations, relays []string, forms map[string][]string) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		orders:   vec("straks_orders_total", "Orders by organisation, channel and outcome.", "organisation", "channel", "outcome"),
		stages:   make(map[stageOf]prometheus.Observer),
		receipts: vec("straks_receipts_total", "Receipts stored, by the status that they report and by their effect.", "status", "result"),
		receiptDelay: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "straks_receipt_delay_seconds",
			Help: "Time from acceptance of an order to its final receipt.", Buckets: arrivalTimes}),
		mismatched:   vec("straks_receipts_mismatched_total", "Receipts that match nothing, but would under another form of their message id.", "smsc", "form"),
		matched:      vec("straks_receipts_matched_total", "Receipts of messages whose answer never came, by what they were matched by.", "smsc", "by"),
		unknown:      counter("straks_receipts_unknown_total", "Receipts given up after a day in which no answer claimed them."),
		dropped:      vec("straks_receipts_dropped_total", "Receipts that waited for their answer and were dropped to make room for newer ones of their SMSC.", "smsc"),
		suppressions: vec("straks_suppressions_total", "Suppressions of mail addresses: those that began, by cause, and those that a mail which arrived has lifted.", "event"),
		inboxFull:    counter("straks_receipts_turned_away_total", "Receipts that the SMSC must send again because too many waited."),
		removed:      counter("straks_shipments_removed_total", "Shipments removed at the end of their retention."),
		givenUp:      counter("straks_outcomes_given_up_total", "Outcomes of orders that can't be stored, since the journal can't read what it has of them."),
		refused:      vec("straks_orders_refused_total", "Orders that were not admitted, since more came than could be sent in time.", "channel", "reason"),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "straks_orders_queue_wait_seconds",
			Help: "Time for which orders waited to be admitted. Those that need not wait are not counted.", Buckets: waitTimes}, []string{"channel"}),
		waited: vec("straks_repeats_waited_total", "Repeats of a key that waited for the outcome of its order at another node, by how the wait ended.", "end"),
		reg:    reg,
	}
	stages := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "straks_order_stage_seconds",
		Help: "Time of an order in each stage of its way.", Buckets: milliseconds}, []string{"channel", "stage"})
	smscs := slices.Sorted(maps.Keys(forms))
	m.changes = newChangeCounters(organisations, smscs, relays)
	m.initLabels(organisations, stages)
	m.initSMSCs(forms)
	reg.MustRegister(m.orders, stages, m.changes.vec, m.matched, m.receipts, m.receiptDelay, m.mismatched, m.unknown, m.dropped, m.suppressions, m.inboxFull, m.removed, m.givenUp, m.refused, m.waits, m.waited)
	return m
}

// initLabels creates every series at the start, so that a rate over it
// includes its first step.
func (m *metrics) initLabels(organisations []string, stages *prometheus.HistogramVec) {
	m.initOrganisations(organisations)
	for _, c := range []Channel{SMS, Email} {
		for _, stage := range []string{stageAccept, stageHandOver, stageSettle} {
			m.stages[stageOf{c, stage}] = stages.WithLabelValues(c.String(), stage)
		}
	}
	for _, end := range endsOfWait {
		m.waited.WithLabelValues(end)
	}
	for _, event := range []string{string(BlockedByBounce), string(BlockedByComplaint), "lifted"} {
		m.suppressions.WithLabelValues(event)
	}
	for _, status := range Statuses() {
		if status != SMSAccepted && status != EmailSucceeded && !status.Final() || status == EmailSucceededFinal {
			continue // no receipt reports it
		}
		for _, result := range receiptResults {
			m.receipts.WithLabelValues(status.String(), result)
		}
	}
}

// initOrganisations creates the series of each organisation.
func (m *metrics) initOrganisations(organisations []string) {
	for _, c := range []Channel{SMS, Email} {
		for _, org := range organisations {
			for _, o := range outcomes {
				m.orders.WithLabelValues(org, c.String(), o)
			}
		}
	}
}

// initSMSCs creates the series of each SMSC.
func (m *metrics) initSMSCs(forms map[string][]string) {
	for smsc, all := range forms {
		m.dropped.WithLabelValues(smsc)
		for _, by := range []MatchedBy{MatchedByReference, MatchedByRecipient} {
			m.matched.WithLabelValues(smsc, string(by))
		}
		for _, form := range all {
			m.mismatched.WithLabelValues(smsc, form)
		}
	}
}

// SetNames has the metrics go by names of a new configuration: see Config. Only one goroutine at a time may call it.
func (s *Service) SetNames(organisations, relays []string, forms map[string][]string) {
	m := s.metrics
	before := m.changes.names.Load().carriers[SMS]
	m.changes.configure(organisations, slices.Sorted(maps.Keys(forms)), relays)
	m.initOrganisations(organisations)
	m.initSMSCs(forms)
	for _, smsc := range before {
		if _, ok := forms[smsc]; !ok {
			for _, counters := range []*prometheus.CounterVec{m.matched, m.mismatched, m.dropped} {
				counters.DeletePartialMatch(prometheus.Labels{"smsc": smsc})
			}
		}
	}
}

// smsc returns the name of an SMSC as metrics have it: one that is not in the configuration any more may still deliver.
func (m *metrics) smsc(name string) string { return m.changes.names.Load().carrier(SMS, name) }

// watch registers the gauges, which are computed when they are read.
func (m *metrics) watch(s *Service) {
	gauge := func(name, help string, labels prometheus.Labels, value func() int) {
		m.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(value()) }))
	}
	gauge("straks_orders_in_flight", "Orders between their request and their outcome on disk.", nil, s.InFlight)
	gauge("straks_receipts_waiting", "Receipts that wait for the journal.", nil, s.inbox.waiting)
	for c, a := range s.admissions {
		channel := prometheus.Labels{"channel": c.String()}
		gauge("straks_orders_at_work", "Orders that are being stored or answered.", channel, func() int { return a.load().atWork })
		gauge("straks_orders_at_work_limit", "Most orders that are admitted to be stored or answered at a time.", channel, func() int { return a.working })
		gauge("straks_orders_queue_length", "Orders that wait to be admitted.", channel, func() int { return a.load().waiting })
	}
}

// order counts the outcome of an order. A look-up by key alone has no channel, and is none.
func (m *metrics) order(o *Order, outcome string) {
	if o.Message.Channel == 0 {
		return
	}
	m.orders.WithLabelValues(o.Organisation, o.Message.Channel.String(), outcome).Inc()
}

func (m *metrics) stage(o *Order, stage string, started time.Time) {
	m.stages[stageOf{o.Message.Channel, stage}].Observe(time.Since(started).Seconds())
}

func (m *metrics) swept(s Swept) {
	m.removed.Add(float64(s.Shipments))
	m.unknown.Add(float64(s.Parked))
}

// receiptResult is what became of a receipt. One of several parts, or an
// intermediate one, is noted as long as the shipment awaits more.
func receiptResult(e Effect) string {
	switch {
	case e.Parked:
		return "parked"
	case len(e.Changes) > 0:
		return "applied"
	case e.Found && !e.Shipment.Status.Final():
		return "noted"
	}
	return "repeated"
}
