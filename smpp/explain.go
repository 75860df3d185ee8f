package smpp

import "time"

// Plan is what Send would do with a message now.
type Plan struct {
	Route  string // name of the route
	Faults []Fault
	SMSCs  []PlannedSMSC // in the order in which they are tried; equals by one drawing of the lot
	Lots   int           // sum of the weights of those that are equals; 0 without any
}

// PlannedSMSC is how a message would go to one SMSC.
type PlannedSMSC struct {
	Name   string
	Weight int     // of the plan's Lots, to be the first of the equals; 0 for one that is none of them
	Faults []Fault // why it can't; the fields below are empty then

	Binds []BindState // that submit; the first that is bound and has room is used

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

// Explain tells what Send would do with the message now, and sends nothing.
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
		p.Binds = append(p.Binds, g.slots.fill(bind, bind.shown(), now))
	}
	return p
}
