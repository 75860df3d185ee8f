package smpp

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"straks/internal/lot"
)

// route is a Route that knows its SMSCs.
type route struct {
	Route
	smscs  []*smsc // in the configuration's order
	window int     // sum over all binds of the SMSCs
}

// score is how well a route matches. More is better; see Route.
type score struct{ prefix, sender, organisation int }

func (a score) better(b score) bool {
	if a.prefix != b.prefix {
		return a.prefix > b.prefix
	}
	if a.sender != b.sender {
		return a.sender > b.sender
	}
	return a.organisation > b.organisation
}

// match returns how well the route matches the message; ok is false if it does not.
func (r *Route) match(m *Message) (s score, ok bool) {
	for _, prefix := range r.Prefixes {
		if strings.HasPrefix(m.To, prefix) {
			s.prefix = max(s.prefix, len(prefix))
		}
	}
	if slices.Contains(r.Senders, m.From) {
		s.sender = 1
	}
	if slices.Contains(r.Organisations, m.Organisation) {
		s.organisation = 1
	}
	ok = (len(r.Prefixes) == 0 || s.prefix > 0) &&
		(len(r.Senders) == 0 || s.sender > 0) &&
		(len(r.Organisations) == 0 || s.organisation > 0)
	return s, ok
}

// routeOf returns the route of a message, nil where there is none.
func (g *Gateway) routeOf(m *Message) *route { return g.setup.Load().routeOf(m) }

func (s *setup) routeOf(m *Message) *route {
	var best *route
	var bestScore score
	for _, r := range s.routes {
		if score, ok := r.match(m); ok && (best == nil || score.better(bestScore)) {
			best, bestScore = r, score
		}
	}
	return best
}

// senderFor returns the sender of a message at an SMSC of the route.
func (r *route) senderFor(m *Message, c *smsc) string {
	return cmp.Or(m.From, r.Sender, c.Sender)
}

// order returns the SMSCs in the order in which this message tries them: the
// configuration's order, where those with weights take turns at random, in proportion to
// their weights.
func (r *route) order() []*smsc {
	return lot.Order(r.smscs, func(s *smsc) int { return r.Weights[s.Name] })
}

// Reach returns the SMSCs of the message's route, and whether one of them could take it now: a bind of it is up, and it
// responds.
func (g *Gateway) Reach(m Message) (smscs []string, now bool) {
	r := g.routeOf(&m)
	if r == nil {
		return nil, false
	}
	for _, c := range r.smscs {
		smscs = append(smscs, c.Name)
		now = now || g.slots.usable(c)
	}
	return smscs, now
}

// Up returns the SMSCs that could take a message now.
func (g *Gateway) Up() (smscs []string) {
	for _, c := range g.smscs() {
		if g.slots.usable(c) {
			smscs = append(smscs, c.Name)
		}
	}
	return smscs
}

func (s *slots) usable(c *smsc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.up() && !c.silence.Silent(time.Now())
}

// Plan is what Send would do with a message now.
type Plan struct {
	Route  string // name of the route
	Faults []Fault
	SMSCs  []PlannedSMSC // in the order in which they are tried; those with weights in one random order
	Lots   int           // sum of the weights; 0 without any
}

// PlannedSMSC is how a message would go to one SMSC.
type PlannedSMSC struct {
	Name   string
	Weight int     // of the plan's Lots: the chance to be tried first of those with weights; 0 without one
	Faults []Fault // why it can't carry the message; the fields below are empty then

	Binds []BindState // that submit

	SenderKind      string // "alphanumeric", "short code", "international" or "none"
	Source          string // source_addr
	SourceNumbering Numbering
	Destination     string // destination_addr
	DestNumbering   Numbering

	Encoding   string // "gsm", "gsm-packed", "ucs2" or "latin1"
	DataCoding byte
	Characters int
	Parts      int      // short messages that the phone gets
	Long       LongMode // how the parts are sent; empty for a single one
	Validity   string   // validity_period (SMPP 3.4 §7.1.1); empty leaves it to the SMSC
}

// Explain returns what Send would do with the message now. It sends nothing.
func (g *Gateway) Explain(m Message) Plan {
	r := g.routeOf(&m)
	if r == nil {
		return Plan{Faults: g.Check(m)}
	}
	p := Plan{Route: r.Name, Faults: g.Check(m)}
	for _, c := range r.order() {
		planned := g.plan(c, &m, r.senderFor(&m, c))
		planned.Weight = r.Weights[c.Name]
		p.SMSCs, p.Lots = append(p.SMSCs, planned), p.Lots+planned.Weight
	}
	return p
}

func (g *Gateway) plan(c *smsc, m *Message, from string) PlannedSMSC {
	b, faults := c.build(m, from, 0)
	if faults != nil {
		return PlannedSMSC{Name: c.Name, Faults: faults}
	}
	p := PlannedSMSC{
		Name:            c.Name,
		SenderKind:      b.from.String(),
		Source:          b.base.Source,
		SourceNumbering: Numbering{int(b.base.SourceTON), int(b.base.SourceNPI)},
		Destination:     b.base.Dest,
		DestNumbering:   Numbering{int(b.base.DestTON), int(b.base.DestNPI)},
		Encoding:        b.encoding.String(),
		DataCoding:      b.base.DataCoding,
		Characters:      characters(m.Text),
		Parts:           b.segments,
	}
	if b.segments > 1 {
		p.Long = c.LongMessages
	}
	now := time.Now()
	if !m.Expires.IsZero() {
		p.Validity = c.validityPeriod(now, m.Expires)
	}
	for _, bind := range c.binds {
		p.Binds = append(p.Binds, g.slots.fill(bind, g.shown(bind), now))
	}
	return p
}
