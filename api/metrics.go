package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/numbers"
)

// milliseconds are buckets for times from half a millisecond to the send deadline.
var milliseconds = []float64{.00025, .0005, .001, .002, .003, .005, .0075, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// statuses are those of the calls' answers; their metrics exist from the start. (304 is the document's only.)
var statuses = []int{200, 201, 400, 401, 403, 404, 405, 408, 410, 413, 415, 429, statusClientClosedRequest, 500, 503}

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	refused  *prometheus.CounterVec
	limited  *prometheus.CounterVec
	numbers  *prometheus.CounterVec
	failed   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, ts *tails, octets *shares, s *settings) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_http_requests_total",
			Help: "Requests answered, by route, method and status."}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "straks_http_request_seconds",
			Help: "Time from a request's head to the end of its answer, without the time that it waited for a feed to grow.", Buckets: milliseconds}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "straks_http_requests_in_flight",
			Help: "Requests being answered."}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_http_refused_total",
			Help: "Requests refused because the share of their organisation was used up, by what of: requests, octets."}, []string{"reason"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_orders_limited_total",
			Help: "Orders that got 429 because the rate of their organisation was used up."}, []string{"organisation"}),
		numbers: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_orders_number_refused_total",
			Help: "Orders that got 400 because nothing is sent to their number, though it is valid, by rule: prefix, own_prefix, country, type."}, []string{"organisation", "rule"}),
	}
	m.failed = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_http_failed_authentications_total",
		Help: "Calls with a bad token or client certificate, by how they were answered: at_once, late, or refused (429) because too many came from one address."}, []string{"answer"})
	for _, answer := range []string{"at_once", "late", "refused"} {
		m.failed.WithLabelValues(answer)
	}
	m.refused.WithLabelValues("requests")
	m.refused.WithLabelValues("octets")
	m.begin(s)
	if reg == nil {
		return m, nil
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "straks_http_feed_waiting",
		Help: "Requests that wait for a feed to grow."}, func() float64 { return float64(ts.count()) })
	held := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "straks_http_body_octets",
		Help: "Octets held for bodies that are read, and for orders that wait for their outcome."}, func() float64 { return float64(octets.inUse()) })
	most := prometheus.NewGauge(prometheus.GaugeOpts{Name: "straks_http_body_octets_limit",
		Help: "The most of straks_http_body_octets."})
	most.Set(float64(octets.total))
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.inFlight, m.refused, m.limited, m.numbers, m.failed, waiting, held, most} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// begin makes the metrics of organisations that orders are refused for.
func (m *metrics) begin(s *settings) {
	for organisation := range s.rates {
		m.limited.WithLabelValues(organisation)
	}
	for organisation := range s.numbers {
		for _, rule := range numbers.Refusals() {
			m.numbers.WithLabelValues(organisation, rule)
		}
	}
}

// routeMetrics are those of one route, looked up once.
type routeMetrics struct {
	route    route
	requests *prometheus.CounterVec
	common   map[int]prometheus.Counter // by status, for the route's own method
	seconds  prometheus.Observer
}

func (m *metrics) route(rt route) *routeMetrics {
	rm := &routeMetrics{
		route: rt, requests: m.requests,
		common: make(map[int]prometheus.Counter, len(statuses)), seconds: m.seconds.WithLabelValues(rt.path),
	}
	if rt.method == "" { // any method; the label must not be the client's text
		return rm
	}
	for _, status := range statuses {
		rm.common[status] = m.requests.WithLabelValues(rt.path, rt.method, strconv.Itoa(status))
	}
	return rm
}

// observe counts one request. A status of 0 means an answer without body and
// explicit status, or a panic without an answer.
func (rm *routeMetrics) observe(method string, status int, took time.Duration) {
	if status == 0 {
		status = http.StatusOK
	}
	rm.seconds.Observe(took.Seconds())
	if c := rm.common[status]; c != nil && method == rm.route.method {
		c.Inc()
		return
	}
	if rm.route.method == "" || !rm.route.allowed(method) {
		method = "other"
	}
	rm.requests.WithLabelValues(rm.route.path, method, strconv.Itoa(status)).Inc()
}
