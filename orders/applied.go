package orders

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// changeOf names the changes that one counter counts.
type changeOf struct {
	status                Status
	organisation, carrier string
}

// changeCounters counts changes of status, by names of the configuration: those of others, which were
// in it once, are "other". So the series of an SMSC or relay that is gone grow no more, and are removed.
type changeCounters struct {
	vec   *prometheus.CounterVec
	names atomic.Pointer[configured]

	mu    sync.RWMutex
	known map[changeOf]prometheus.Counter
}

// configured are names of the configuration in use.
type configured struct {
	organisations []string
	carriers      map[Channel][]string
}

// maxSeries bounds the series that are created before they are used.
const maxSeries = 5000

func newChangeCounters(organisations, smscs, relays []string) *changeCounters {
	c := &changeCounters{
		vec: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "straks_status_changes_total",
			Help: "Shipments that reached a status after their hand-over began, by organisation and SMSC or relay."},
			[]string{"status", "organisation", "smsc", "relay"}),
		known: make(map[changeOf]prometheus.Counter),
	}
	c.configure(organisations, smscs, relays)
	return c
}

// configure counts by these names from now on.
func (c *changeCounters) configure(organisations, smscs, relays []string) {
	names := &configured{organisations, map[Channel][]string{SMS: smscs, Email: relays}}
	c.mu.Lock()
	c.names.Store(names)
	for k := range c.known {
		if k.carrier != names.carrier(k.status.Channel(), k.carrier) {
			c.vec.DeleteLabelValues(k.labels()...)
			delete(c.known, k)
		}
	}
	c.mu.Unlock()
	n := 0
	for _, organisation := range organisations {
		for _, status := range Statuses() {
			for _, carrier := range names.carriers[status.Channel()] {
				if n++; status.InFeed() && n < maxSeries {
					c.of(changeOf{status, organisation, carrier})
				}
			}
		}
	}
}

// carrier returns the name of a carrier as metrics have it.
func (c *configured) carrier(channel Channel, name string) string {
	return bounded(name, c.carriers[channel])
}

// bounded returns a name if it is one of these, "" for none, else "other".
func bounded(name string, names []string) string {
	if name == "" || name == "other" || slices.Contains(names, name) {
		return name
	}
	return "other"
}

// count counts a change of the shipment to a status.
func (c *changeCounters) count(s *Shipment, to Status) {
	names := c.names.Load()
	c.of(changeOf{to, bounded(s.Organisation, names.organisations), names.carrier(s.Channel, s.Carrier)}).Inc()
}

func (c *changeCounters) of(k changeOf) prometheus.Counter {
	c.mu.RLock()
	counter := c.known[k]
	c.mu.RUnlock()
	if counter != nil {
		return counter
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k.carrier = c.names.Load().carrier(k.status.Channel(), k.carrier) // it may have gone just now
	counter = c.vec.WithLabelValues(k.labels()...)
	c.known[k] = counter
	return counter
}

// labels are the values of the counter's labels.
func (k changeOf) labels() []string {
	if k.status.Channel() == Email {
		return []string{k.status.label(), k.organisation, "", k.carrier}
	}
	return []string{k.status.label(), k.organisation, k.carrier, ""}
}

// applied counts and logs the effect of an event.
func (s *Service) applied(event Event, e Effect) {
	for _, c := range e.Changes {
		s.metrics.changes.count(&e.Shipment, c.To)
		if c.To.Final() {
			if s.cfg.Settled != nil && !c.From.Final() {
				s.cfg.Settled(&e.Shipment)
			}
			s.log.LogAttrs(context.Background(), slog.LevelInfo, "final status", finalAttrs(&e.Shipment, c)...)
		}
	}
	if len(e.Changes) > 0 {
		s.changes.Happened(e.Shipment.Organisation)
	}
	switch event := event.(type) {
	case Report:
		s.reported(&event, &e)
	case Match:
		if e.Found {
			s.metrics.matched.WithLabelValues(s.metrics.smsc(event.Carrier), string(e.Matched)).Inc()
		}
	}
}

// finalAttrs are the attributes of a final status in the log: no text and no recipient.
func finalAttrs(s *Shipment, c Change) []slog.Attr {
	attrs := make([]slog.Attr, 0, 9)
	attrs = append(attrs, slog.String("shipment", s.ID.String()), slog.String("organisation", s.Organisation), slog.String("status", c.To.String()))
	if s.Carrier != "" {
		attrs = append(attrs, slog.String(s.Channel.carrier(), s.Carrier))
	}
	if ids := slices.DeleteFunc(s.MessageIDs(), odd); len(ids) > 0 {
		attrs = append(attrs, slog.String("message_id", strings.Join(ids, " ")))
	}
	state, code, _ := strings.Cut(s.Detail, " err:")
	if state != "" {
		attrs = append(attrs, slog.String("state", state))
	}
	if code != "" {
		attrs = append(attrs, slog.String("err", code))
	}
	if c.From.Final() {
		attrs = append(attrs, slog.String("corrects", c.From.String()))
	}
	return append(attrs, slog.Int64("since_accepted_ms", c.At.Sub(s.Accepted).Milliseconds()))
}

// odd reports whether a message id is too long for a log, or has characters that no id has.
func odd(id string) bool {
	return len(id) > 65 || strings.ContainsFunc(id, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("-._:/+=", r))
	})
}

// carrier names the carriers of a channel in logs and metrics.
func (c Channel) carrier() string {
	if c == Email {
		return "relay"
	}
	return "smsc"
}

// reported counts the effect of a report, and logs receipts that would match under another form of their
// message id.
func (s *Service) reported(r *Report, e *Effect) {
	s.metrics.receipts.WithLabelValues(r.Status.String(), receiptResult(*e)).Inc()
	if e.Matched != "" {
		s.metrics.matched.WithLabelValues(s.metrics.smsc(r.Carrier), string(e.Matched)).Inc()
	}
	if e.Found && r.Status.Final() && len(e.Changes) > 0 {
		s.metrics.receiptDelay.Observe(r.At.Sub(e.Shipment.Accepted).Seconds())
	}
	s.suppressed(e)
	if e.Dropped > 0 && r.Carrier == MailReports {
		s.metrics.dropped.WithLabelValues(r.Carrier).Add(float64(e.Dropped))
		s.sampled.Write("dropped "+r.Carrier, slog.LevelError,
			"reports about mails dropped: too many match no mail of this journal, and the oldest made room; are they for mails of another one?",
			slog.Int("reports", e.Dropped))
	} else if e.Dropped > 0 {
		s.metrics.dropped.WithLabelValues(s.metrics.smsc(r.Carrier)).Add(float64(e.Dropped))
		s.sampled.Write("dropped "+r.Carrier, slog.LevelError,
			"receipts dropped: too many of this SMSC match no message, and the oldest made room; are they for messages of another system?",
			slog.String("smsc", r.Carrier), slog.Int("receipts", e.Dropped))
	}
	if e.Hint.Form != "" {
		s.metrics.mismatched.WithLabelValues(s.metrics.smsc(r.Carrier), e.Hint.Form).Inc()
		s.sampled.Write("hint "+r.Carrier+" "+e.Hint.Form, slog.LevelWarn,
			"receipt matches nothing, but would with another form of message ids: check the SMSC's settings",
			slog.String("smsc", r.Carrier), slog.String("message_id_form", e.Hint.Form))
	}
}

// suppressed counts and logs that a suppression has begun or ended. The address is not in the log: "straks
// trace" has it by the shipment.
func (s *Service) suppressed(e *Effect) {
	b := e.Suppressed
	switch {
	case b.Suppression():
		s.metrics.suppressions.WithLabelValues(string(b.Source)).Inc()
		s.log.Info("address suppressed: this organisation's mails to it are not sent until then",
			"organisation", b.Organisation, "shipment", e.Shipment.ID, "source", string(b.Source), "word", b.Word, "until", b.Until, "times", b.Times)
	case e.Lifted:
		s.metrics.suppressions.WithLabelValues("lifted").Inc()
		s.log.Info("address no longer suppressed: a mail has reached it", "organisation", e.Shipment.Organisation, "shipment", e.Shipment.ID)
	}
}
