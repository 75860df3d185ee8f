package daemon

import (
	"cmp"
	"context"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"straks/console"
	"straks/internal/recent"
	"straks/orders"
)

const errorLevel = slog.LevelError

// What is counted lately comes from the daemon's own metrics, which are sampled: nothing is counted twice, and
// the way of an order does not know of it. Keys of the samples:
//
//	orders/OUTCOME           orders
//	org/NAME/OUTCOME         orders of an organisation, and what became of its messages
//	carrier/NAME/OUTCOME     messages of an SMSC ("smsc:telco") or relay ("relay:mx")
//	latency/NAME/BOUND       its answers, by bucket; without a name: of all
//	replies/NAME/CLASS       replies of a relay
//	journal                  octets in use

const journalKey = "journal"

var (
	orderOutcomes   = []string{"accepted", "refused", "not_sent", "unknown", "blocked", "busy", "unavailable", "repeated"}
	carrierOutcomes = []string{"accepted", "refused", "not_sent", "unknown"}
	results         = []string{"delivered", "failed", "ttl"}
	failedOrders    = []string{"not_sent", "busy", "unavailable"}
	failedMessages  = []string{"not_sent", "unknown"}
)

// sampleEvery samples until ctx ends.
func (s *consoleSource) sampleEvery(ctx context.Context) {
	tick := time.NewTicker(recent.Every)
	defer tick.Stop()
	for {
		s.sample(time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// sample takes the values of all counters that are shown.
func (s *consoleSource) sample(now time.Time) {
	families, err := s.registry.Gather()
	if err != nil {
		s.log.Warn("console: metrics can't be read", "err", err)
	}
	values, bounds := make(map[string]float64), make(map[string][]time.Duration)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			read(f.GetName(), m, values, bounds)
		}
	}
	s.bounds.Store(&bounds)
	s.recent.Add(now, values)
}

// read adds one series of a metric.
func read(name string, m *dto.Metric, values map[string]float64, bounds map[string][]time.Duration) {
	labels := make(map[string]string, 4)
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	count := m.GetCounter().GetValue()
	switch name {
	case "straks_orders_total":
		values["orders/"+labels["outcome"]] += count
		values["org/"+labels["organisation"]+"/"+labels["outcome"]] += count
	case "straks_status_changes_total":
		if result := resultOf(labels["status"]); result != "" {
			values["org/"+labels["organisation"]+"/"+result] += count
		}
	case "straks_smpp_sends_total":
		values["carrier/"+smscKind+labels["smsc"]+"/"+labels["outcome"]] += count
	case "straks_smpp_response_seconds":
		addBuckets("latency/"+smscKind+labels["smsc"]+"/", m.GetHistogram(), values, bounds)
	case "straks_smtp_handover_seconds":
		values["carrier/"+relayKind+labels["relay"]+"/"+labels["outcome"]] += float64(m.GetHistogram().GetSampleCount())
		addBuckets("latency/"+relayKind+labels["relay"]+"/", m.GetHistogram(), values, bounds)
	case "straks_smtp_replies_total":
		values["replies/"+labels["relay"]+"/"+labels["class"]] = count
	case "straks_order_stage_seconds":
		if labels["stage"] == "hand_over" {
			addBuckets("latency//", m.GetHistogram(), values, bounds)
		}
	case "straks_journal_file_bytes":
		values[journalKey] += m.GetGauge().GetValue()
	case "straks_journal_free_bytes":
		values[journalKey] -= m.GetGauge().GetValue()
	}
}

// resultOf sorts a final status; empty for another.
func resultOf(status string) string {
	i := slices.IndexFunc(orders.Statuses(), func(s orders.Status) bool { return s.String() == status })
	if i < 0 || !orders.Statuses()[i].Final() {
		return ""
	}
	switch s := orders.Statuses()[i]; {
	case s.Delivered():
		return "delivered"
	case strings.HasSuffix(status, "_TTL"):
		return "ttl"
	}
	return "failed"
}

func addBuckets(prefix string, h *dto.Histogram, values map[string]float64, bounds map[string][]time.Duration) {
	add := func(most float64, n uint64) {
		bound := time.Duration(0)
		if !math.IsInf(most, 1) {
			bound = time.Duration(most * float64(time.Second))
		}
		values[prefix+bound.String()] += float64(n)
		if !slices.Contains(bounds[prefix], bound) {
			bounds[prefix] = append(bounds[prefix], bound)
		}
	}
	for _, b := range h.GetBucket() {
		if !math.IsInf(b.GetUpperBound(), 1) {
			add(b.GetUpperBound(), b.GetCumulativeCount())
		}
	}
	add(math.Inf(1), h.GetSampleCount())
}

// replies returns the relay's replies since the start, by class.
func (s *consoleSource) replies(relay string) map[string]uint64 {
	all := make(map[string]uint64)
	for _, class := range []string{"2yz", "4yz", "5yz", "none"} {
		if n := s.recent.Value("replies/" + relay + "/" + class); n > 0 {
			all[class] = uint64(n)
		}
	}
	return all
}

// counts returns those of the outcomes that there were.
func (s *consoleSource) counts(span recent.Span, prefix string, outcomes []string) (all []console.Count) {
	for _, name := range outcomes {
		if n := int(s.recent.Total(span, prefix+name)); n > 0 {
			all = append(all, console.Count{Name: name, Count: n})
		}
	}
	return all
}

// orders returns the traffic of all orders.
func (s *consoleSource) orders(span recent.Span) console.Traffic {
	return s.traffic(span, "orders/", "latency//", orderOutcomes, failedOrders)
}

// carrierTraffic returns the traffic of one carrier, by its name with its kind.
func (s *consoleSource) carrierTraffic(span recent.Span, name string) console.Traffic {
	return s.traffic(span, "carrier/"+name+"/", "latency/"+name+"/", carrierOutcomes, failedMessages)
}

func (s *consoleSource) traffic(span recent.Span, prefix, latency string, outcomes, failed []string) console.Traffic {
	keys := func(names []string) []string {
		all := make([]string, len(names))
		for i, name := range names {
			all[i] = prefix + name
		}
		return all
	}
	t := console.Traffic{Step: recent.Step(span), Outcomes: s.counts(span, prefix, outcomes),
		Rate: s.recent.Growth(span, keys(outcomes)...), Failed: s.recent.Growth(span, keys(failed)...)}
	t.Waits = s.waits(span, latency)
	var buckets []recent.Bucket
	for _, bound := range (*cmp.Or(s.bounds.Load(), &map[string][]time.Duration{}))[latency] {
		buckets = append(buckets, recent.Bucket{Most: bound, Count: s.recent.Total(span, latency+bound.String())})
	}
	t.Median, t.Slow = recent.Quantile(0.5, buckets), recent.Quantile(0.99, buckets)
	return t
}

// waits returns the median of the response times in each step, in ms; 0 where there were none.
func (s *consoleSource) waits(span recent.Span, latency string) (all []float64) {
	bounds := (*cmp.Or(s.bounds.Load(), &map[string][]time.Duration{}))[latency]
	counts := make([][]float64, len(bounds))
	for i, bound := range bounds {
		counts[i] = s.recent.Growth(span, latency+bound.String())
	}
	buckets := make([]recent.Bucket, len(bounds))
	for step := 0; len(counts) > 0 && step < len(counts[0]); step++ {
		for i, bound := range bounds {
			buckets[i] = recent.Bucket{Most: bound}
			if step < len(counts[i]) { // a sample may have come between two
				buckets[i].Count = counts[i][step]
			}
		}
		all = append(all, float64(recent.Quantile(0.5, buckets))/float64(time.Millisecond))
	}
	return all
}

func sortEnds(all []console.End) {
	slices.SortFunc(all, func(a, b console.End) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Name, b.Name)) })
}
