package smtp

import (
	"slices"
	"strings"

	"straks/internal/lot"
)

// Route sends the mails that match all of its conditions to a list of relays. Of several
// routes that match, the one with the longest matching recipient domain is taken, then the
// one with the longest matching sender domain, then one that names the organisation, then
// the first. A domain stands for those below it too: "example.org" matches
// kari@mail.example.org.
type Route struct {
	// Name is used in logs and "straks route", and unique. Default: the route's number,
	// like "mail-route-1".
	Name string
	// RecipientDomains are domains of recipients, like "example.org" or "no". Default: any.
	RecipientDomains []string
	// SenderDomains are domains of From: the caller's address, or the default sender if it
	// gives none. Default: any.
	SenderDomains []string
	// Organisations are the callers' organisations. Default: any.
	Organisations []string
	// Relays are names, in the order in which they are tried. Required.
	Relays []string
	// Weights balances load over the relays it names: one is picked at random, in proportion
	// to its weight (1 to 1000), and the others are its fallback. They are tried in the
	// position of the first of them; other relays keep theirs. Default none.
	Weights map[string]int
}

// route is a Route that knows its relays. Its domains are in A-labels and lower case.
type route struct {
	Route
	relays []*relay // in the configuration's order
	window int      // mails that they take at a time
}

// score is how well a route matches. More is better; see Route.
type score struct{ recipient, sender, organisation int }

func (a score) better(b score) bool {
	if a.recipient != b.recipient {
		return a.recipient > b.recipient
	}
	if a.sender != b.sender {
		return a.sender > b.sender
	}
	return a.organisation > b.organisation
}

// match returns how well the route matches a mail; ok is false if it does not.
func (r *Route) match(from, to, organisation string) (s score, ok bool) {
	s.recipient, s.sender = longest(r.RecipientDomains, to), longest(r.SenderDomains, from)
	if slices.Contains(r.Organisations, organisation) {
		s.organisation = 1
	}
	ok = (len(r.RecipientDomains) == 0 || s.recipient > 0) &&
		(len(r.SenderDomains) == 0 || s.sender > 0) &&
		(len(r.Organisations) == 0 || s.organisation > 0)
	return s, ok
}

// longest returns the length of the longest of the domains that is the given one or above it; 0 for none.
func longest(domains []string, domain string) int {
	most := 0
	for _, d := range domains {
		if isOrBelow(domain, d) {
			most = max(most, len(d))
		}
	}
	return most
}

// isOrBelow reports whether a domain is the other, or below it.
func isOrBelow(domain, other string) bool {
	above, ok := strings.CutSuffix(domain, other)
	return ok && (above == "" || strings.HasSuffix(above, "."))
}

// InDomains reports whether the domain of an address is one of the domains, or below one.
func InDomains(address string, domains []string) bool {
	a, err := parseAddress(address)
	return err == nil && longest(listedDomains(domains), a.domain) > 0
}

// ParseListedDomain returns a domain of a list, like that of a Route, in A-labels and lower case. Unlike the domain of an
// address it may be a top domain.
func ParseListedDomain(s string) (string, error) {
	if top := strings.ToLower(s); !strings.Contains(s, ".") && isHostname(top) && strings.Trim(top, "0123456789") != "" {
		return top, nil
	}
	return parseDomain(s)
}

// routeOf returns the route of a mail, nil where there is none.
func (s *setup) routeOf(from, to address, organisation string) *route {
	var best *route
	var bestScore score
	for _, r := range s.routes {
		if score, ok := r.match(from.domain, to.domain, organisation); ok && (best == nil || score.better(bestScore)) {
			best, bestScore = r, score
		}
	}
	return best
}

// order returns the relays in the order in which one mail tries them, if all are well.
func (r *route) order() []*relay {
	return lot.Order(r.relays, func(c *relay) int { return r.Weights[c.Name] })
}

// noRoute is the fault of a mail that no route matches.
const noRoute = "has a domain that no [[mail_route]] leads to"

// Lane returns the name of the route that the mail would take, and how many mails all relays of
// that route take at a time. A mail without a route has the lane "" with a window of 1: Send refuses it
// at once.
func (p *Pool) Lane(m Message) (name string, window int) {
	s := p.setup.Load()
	if len(s.routes) == 1 && s.routes[0].all() {
		return s.routes[0].Name, s.routes[0].window
	}
	from, _ := parseAddress(m.From)
	to, _ := parseAddress(m.To)
	r := s.routeOf(from, to, m.Organisation)
	if r == nil {
		return "", 1
	}
	return r.Name, r.window
}

// Reach returns the relays of the mail's route, and whether one of them could take it now.
func (p *Pool) Reach(m Message) (relays []string, now bool) {
	s := p.setup.Load()
	from, _ := parseAddress(m.From)
	to, _ := parseAddress(m.To)
	r := s.routeOf(from, to, m.Organisation)
	if r == nil {
		return nil, false
	}
	for _, c := range r.relays {
		relays = append(relays, c.Name)
		now = now || c.state().usable()
	}
	return relays, now
}

// Up returns the relays that could take a mail now.
func (p *Pool) Up() (relays []string) {
	for _, s := range p.States() {
		if s.usable() {
			relays = append(relays, s.Name)
		}
	}
	return relays
}

// all reports whether the route matches every mail.
func (r *Route) all() bool {
	return len(r.RecipientDomains)+len(r.SenderDomains)+len(r.Organisations) == 0
}

// Plan is what Send would do with a mail now.
type Plan struct {
	Route  string // name of the route; empty where none matches
	Faults Faults
	From   string         // default filled in
	Relays []PlannedRelay // in the order in which they are tried while all are well; those with weights in one random order
	Lots   int            // sum of the weights; 0 without any
	UTF8   bool           // only relays with SMTPUTF8 can take it
}

// PlannedRelay is one relay that a mail would be offered to.
type PlannedRelay struct {
	Relay      // with its defaults
	Weight int // of the plan's Lots: the chance to be tried first of those with weights; 0 without one
}

// Explain returns what Send would do with the mail now. It sends nothing.
func (p *Pool) Explain(m Message) Plan {
	s := p.setup.Load()
	from, to, _ := check(m)
	plan := Plan{From: m.From, UTF8: from.utf8() || to.utf8(), Faults: s.check(m)}
	r := s.routeOf(from, to, m.Organisation)
	if r == nil {
		return plan
	}
	plan.Route = r.Name
	for _, c := range r.order() {
		plan.Relays = append(plan.Relays, PlannedRelay{c.Relay, r.Weights[c.Name]})
		plan.Lots += r.Weights[c.Name]
	}
	return plan
}
